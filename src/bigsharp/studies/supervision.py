"""The slides on DRCN's weakness: the basic model, and what its two extensions bring."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

from bigsharp.studies.draw import MARKERS, PALETTE, panels
from bigsharp.studies.results import Results
from bigsharp.studies.study import CLIP, Study, Verdict, base, by_sgd, in_db, verdict
from bigsharp.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RATE = 0.01
_SCALE = 3
_CLIPPED = ", clipped"
_BASIC, _BOTH = "basic", "both"
_MODELS = {
    _BASIC: {"skip": False, "ensemble": False},
    "skip-connection": {"skip": True, "ensemble": False},
    "recursive supervision": {"skip": False, "ensemble": True},
    _BOTH: {"skip": True, "ensemble": True},
}


def _runs(budget: str) -> dict[str, Recipe | str]:
    return {
        label + ending: by_sgd(budget, base("drcn", budget, beginning=True, **options), _RATE, clip)
        for ending, clip in (("", 0.0), (_CLIPPED, CLIP))
        for label, options in _MODELS.items()
    }


def _draw(results: Results) -> Figure:
    figure, (curves, norms) = panels(2, height=3.6)
    for number, label in enumerate(_MODELS):
        style: dict[str, Any] = {
            "color": PALETTE[number],
            "marker": MARKERS[number],
            "markersize": 4,
        }
        for ending, line in ((_CLIPPED, "-"), ("", ":")):
            outcome = results.first(label + ending)
            if points := outcome.curve:
                curves.plot([p["step"] for p in points], [p[f"psnr_x{_SCALE}"] for p in points],
                            line, **style, label=outcome.label)  # fmt: skip
        # Once clipped, gradients are those of a network that trains; the start is the same.
        gradients = results.first(label + _CLIPPED).gradients
        for when, line in (("start", ":"), ("best", "-")):
            if any(gradients[when]):
                norms.plot(range(1, len(gradients[when]) + 1), gradients[when], line, **style)
    curves.set_xlabel("steps")
    curves.set_ylabel(f"held-out PSNR at ×{_SCALE} (dB)")
    curves.set_title(_diverged(results), fontsize=8.5, loc="left")
    norms.set_yscale("log")
    norms.set_xlabel("recursion")
    norms.set_ylabel("norm of the error's gradient")
    norms.set_title("dotted: start, lines: best checkpoint", fontsize=8.5, loc="left")
    if curves.lines:
        lines, labels = curves.get_legend_handles_labels()
        wrapped = [label.replace(" ", "\n", 1) for label in labels]
        figure.legend(lines, wrapped, loc="outside right center")
    return figure


def _diverged(results: Results) -> str:
    """Which models diverge, in words."""
    several = [label for label in results.labels if results.first(label).diverged]
    if len(several) == len(_MODELS) and not any(label.endswith(_CLIPPED) for label in several):
        return "without clipping all four diverge"
    return f"diverged: {', '.join(several) or 'none'}"


def _judge(results: Results) -> Verdict:
    bicubic = results.bicubic[f"{_SCALE}"]
    psnr = {label: results.psnr(label, _SCALE) for label in results.labels}
    told = ", ".join(f"{label} {in_db(p)}" for label, p in psnr.items() if p == p)
    return verdict(
        [
            not psnr[_BASIC] > bicubic,
            psnr[_BOTH] > bicubic,
            not psnr[_BASIC + _CLIPPED] >= psnr[_BOTH + _CLIPPED],
        ],
        f"At the paper's rate of {_RATE:g}, {_diverged(results)}. At ×{_SCALE}, where bicubic has "
        f"{bicubic:.2f} dB, at a run's best checkpoint: {told or 'nothing'}. {_gradients(results)}",
    )


def _gradients(results: Results) -> str:
    """Whether the basic model's gradients vanish or explode on their way back, in words."""
    basic = results.first(_BASIC + _CLIPPED).gradients
    ratios = [norms[0] / norms[-1] if norms[-1] else nan for norms in basic.values()]
    odd = any(not 0.1 <= ratio <= 10 for ratio in ratios if ratio == ratio)
    start, best = (f"{ratio:.2g}" for ratio in ratios)
    return (
        f"The basic model's gradients {'do' if odd else 'do not'} vanish or explode: through 16 "
        f"recursions back to the first, their norm is multiplied by {start} at the start and by "
        f"{best} at the best checkpoint. (With recursive supervision more losses reach the first "
        "recursion than the last, so its norms fall by construction; with a skip-connection "
        "training starts at bicubic by a last layer of zeros, through which no gradient comes yet.)"
    )


STUDY = Study(
    title="DRCN's two extensions",
    claim="Exploding/vanishing gradients make the training difficult. Basic model does not "
    "converge. To ease the difficulty, we propose two extensions: recursive supervision and "
    "skip-connection.",
    runs=_runs,
    draw=_draw,
    judge=_judge,
    gradients=True,
    scored="PSNR on held-out images",
    note="The claim's parts: the basic model does not converge, the one with both extensions does, "
    "and is the better one. Without clipping neither does; the clipped runs (gradients to "
    "±θ / rate, as VDSR's) test whether that is because the step is too long: with them all train.",
)
