"""The slides on DRCN's weakness: the basic model, and what its two extensions bring."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

from bigsharp.studies.draw import COLOURS, MARKERS, panels
from bigsharp.studies.results import Results
from bigsharp.studies.study import CLIP, Study, Verdict, base, by_sgd, verdict
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
            "color": COLOURS[number],
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
        for when, line in (("start", ":"), ("end", "-")):
            if any(gradients[when]):
                norms.plot(range(1, len(gradients[when]) + 1), gradients[when], line, **style)
    curves.set_xlabel("steps")
    curves.set_ylabel(f"held-out PSNR at ×{_SCALE} (dB)")
    curves.set_title(_diverged(results), fontsize=8.5, loc="left")
    norms.set_yscale("log")
    norms.set_xlabel("recursion")
    norms.set_ylabel("norm of the error's gradient")
    norms.set_title("dotted: start, lines: end", fontsize=8.5, loc="left")
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
    told = ", ".join(f"{label} {p:.2f} dB" for label, p in psnr.items() if p == p)
    slopes = {}
    for label in (_BASIC, _BOTH):
        norms = results.first(label + _CLIPPED).gradients["end"]
        slopes[label] = norms[0] / norms[-1] if norms[-1] else nan
    return verdict(
        [
            not psnr[_BASIC] > bicubic,
            psnr[_BOTH] > bicubic,
            not psnr[_BASIC + _CLIPPED] >= psnr[_BOTH + _CLIPPED],
        ],
        f"At the paper's rate of {_RATE:g}, {_diverged(results)}. At ×{_SCALE}, where bicubic has "
        f"{bicubic:.2f} dB: {told}. After clipped training the gradient at the first recursion is "
        f"{slopes[_BASIC]:.2g} times that at the last in the basic model, and with both "
        f"{slopes[_BOTH]:.2g} times.",
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
    note="The claim's parts: the basic model does not converge, the one with both extensions does, "
    "and is the better one. The clipped runs (gradients to ±θ / rate, as VDSR's) test whether it "
    "is the step that is too long.",
)
