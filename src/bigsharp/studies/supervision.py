"""The slides on DRCN's weakness: the basic model, and what its two extensions bring."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

from bigsharp.studies.draw import COLOURS, MARKERS, panels
from bigsharp.studies.results import Results
from bigsharp.studies.study import Study, Verdict, base, by_sgd, verdict
from bigsharp.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RATE = 0.01
_SCALE = 3
_BASIC, _BOTH = "basic", "both"
_MODELS = {
    _BASIC: {"skip": False, "ensemble": False},
    "skip-connection": {"skip": True, "ensemble": False},
    "recursive supervision": {"skip": False, "ensemble": True},
    _BOTH: {"skip": True, "ensemble": True},
}


def _runs(budget: str) -> dict[str, Recipe | str]:
    return {
        label: by_sgd(budget, base("drcn", budget, **options), _RATE)
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
        outcome = results.first(label)
        end = " (diverged)" if outcome.diverged else ""
        curves.plot([p["step"] for p in outcome.curve],
                    [p[f"psnr_x{_SCALE}"] for p in outcome.curve],
                    **style, label=label + end)  # fmt: skip
        start = outcome.gradients["start"]
        if any(start):
            norms.plot(range(1, len(start) + 1), start, **style)
        norms.plot(range(1, len(start) + 1), outcome.gradients["end"], **style, alpha=0.6,
                   linestyle=":")  # fmt: skip
    curves.set_xlabel("steps")
    curves.set_ylabel(f"held-out PSNR at ×{_SCALE} (dB)")
    norms.set_yscale("log")
    norms.set_xlabel("recursion")
    norms.set_ylabel("norm of the error's gradient")
    norms.set_title("lines: at the start; dotted: at the end", fontsize=9)
    curves.legend(loc="lower right")
    return figure


def _judge(results: Results) -> Verdict:
    bicubic = results.bicubic[f"{_SCALE}"]
    psnr = {label: results.psnr(label, _SCALE) for label in _MODELS}
    told = ", ".join(
        f"{label} {'diverges' if results.first(label).diverged else f'{psnr[label]:.2f} dB'}"
        for label in _MODELS
    )
    ends = {label: results.first(label).gradients["end"] for label in (_BASIC, _BOTH)}
    slope = {label: norms[0] / norms[-1] if norms[-1] else nan for label, norms in ends.items()}
    return verdict(
        [not psnr[_BASIC] > bicubic, not psnr[_BASIC] >= psnr[_BOTH], psnr[_BOTH] > bicubic],
        f"At ×{_SCALE}, where bicubic has {bicubic:.2f} dB: {told}. At the end the gradient at the "
        f"first recursion is {slope[_BASIC]:.2g} times that at the last of the basic model, and "
        f"{slope[_BOTH]:.2g} times with both.",
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
)
