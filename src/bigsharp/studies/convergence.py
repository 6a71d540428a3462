"""The slides' "trained 10⁴ faster": a rate of 0.1 in the place of SRCNN's 10⁻⁵."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bigsharp.studies.draw import COLOURS, MARKERS, panels
from bigsharp.studies.results import Results
from bigsharp.studies.study import CLIP, Study, Verdict, base, by_sgd, verdict
from bigsharp.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SCALE = 3
_SLOW, _SAME_NETWORK, _SAME_RATE, _FAST = (
    "SRCNN, 1e-5", "SRCNN, 0.1 clipped", "VDSR, 1e-5", "VDSR, 0.1 clipped",
)  # fmt: skip


def _runs(budget: str) -> dict[str, Recipe | str]:
    deep = replace(base("vdsr", budget), scales=(_SCALE,))
    # As SRCNN's paper starts and trains, but on the same patches as VDSR, for longer.
    options = {"kernels": [9, 1, 5], "filters": [64, 32], "gaussian": True}
    shallow = replace(deep, architecture="srcnn", options=options, steps=3 * deep.steps)
    return {
        _SLOW: by_sgd(budget, shallow, 1e-5),
        _SAME_NETWORK: by_sgd(budget, shallow, 0.1, CLIP),
        _SAME_RATE: by_sgd(budget, deep, 1e-5),
        _FAST: by_sgd(budget, deep, 0.1, CLIP),
    }


def _draw(results: Results) -> Figure:
    figure, axes = panels(2, height=3.6, sharey=True)
    for panel, key in zip(axes, ("step", "seconds"), strict=True):
        for number, outcome in enumerate(results.outcomes):
            points = outcome.curve
            panel.plot([p[key] for p in points], [p[f"psnr_x{_SCALE}"] for p in points],
                       color=COLOURS[number], marker=MARKERS[number], markersize=3.5,
                       label=outcome.label)  # fmt: skip
        panel.set_xscale("log")
        panel.set_xlabel("steps" if key == "step" else "seconds of training")
    axes[0].set_ylabel(f"held-out PSNR at ×{_SCALE} (dB)")
    axes[0].legend(loc="lower right")
    return figure


def _first(results: Results, label: str, psnr: float) -> dict[str, float] | None:
    """The first validation of a run that reached so much."""
    points = results.first(label).curve
    return next((p for p in points if p[f"psnr_x{_SCALE}"] >= psnr), None)


def _judge(results: Results) -> Verdict:
    last = results.first(_SLOW).curve[-1]
    reached = last[f"psnr_x{_SCALE}"]
    told = [f"SRCNN at 1e-5 has {reached:.2f} dB after {last['step']:,} steps"]
    ratio = 0.0
    for label in (_FAST, _SAME_NETWORK, _SAME_RATE):
        point = _first(results, label, reached)
        if point is None:
            told.append(f"{label.replace(', ', ' at ')} never has as much")
            continue
        steps, seconds = last["step"] / point["step"], last["seconds"] / point["seconds"]
        ratio = steps if label == _FAST else ratio
        told.append(
            f"{label.replace(', ', ' at ')} has as much by step {point['step']:,}"
            f"{', its first validation' if point is results.first(label).curve[0] else ''}: "
            f"{steps:.0f} times fewer steps, {seconds:.0f} times less time"
        )
    psnr = ", ".join(
        f"{label.replace(', ', ' at ')} {results.psnr(label, _SCALE):.2f}"
        for label in results.labels
    )
    return verdict(
        [ratio > 1, ratio >= 1e4],
        f"On held-out images {'; '.join(told)}. On Set5, where bicubic has "
        f"{results.bicubic[f'{_SCALE}']:.2f} dB: {psnr}.",
    )


STUDY = Study(
    title="What a rate of 0.1 in the place of 10⁻⁵ brings",
    claim="Training of SRCNN converges too slowly (learning rate is 10⁻⁵). VDSR can be trained 10⁴ "
    "faster, with residual.",
    runs=_runs,
    draw=_draw,
    judge=_judge,
    scales=(_SCALE,),
    note="10⁴ is the ratio of the two rates, 0.1 and 10⁻⁵, not of steps or of seconds. Two of the "
    "four runs exchange the rates, to tell what is the rate's part.",
)
