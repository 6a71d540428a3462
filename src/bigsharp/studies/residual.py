"""The slides on residual learning: "only learns the difference … enables much faster learning"."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from bigsharp.studies.draw import PALETTE
from bigsharp.studies.results import Outcome, Results
from bigsharp.studies.study import CLIP, Study, Verdict, base, by_sgd, in_db, verdict
from bigsharp.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RATES = (0.1, 0.01, 0.001)
_DEPTHS = (20, 10)
_SCALE = 3


def _label(depth: int, residual: bool, rate: float) -> str:
    return f"VDSR-{depth}, {'residual' if residual else 'non-residual'}, {rate:g}"


def _runs(budget: str) -> dict[str, Recipe | str]:
    return {
        _label(depth, residual, rate): by_sgd(
            budget, base("vdsr", budget, beginning=True, depth=depth, residual=residual), rate, CLIP
        )
        for depth in _DEPTHS
        for rate in _RATES
        for residual in (True, False)
    }


def _curve(outcome: Outcome) -> tuple[list[float], list[float]]:
    points = outcome.curve
    return [p["step"] for p in points], [p[f"psnr_x{_SCALE}"] for p in points]


def _draw(results: Results) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(3, 2))
    near = [p for label in (_label(d, True, r) for d in _DEPTHS for r in _RATES)
            for p in _curve(results.first(label))[1]]  # fmt: skip
    for (panel, whole), depth in zip(axes.T, _DEPTHS, strict=True):
        for number, rate in enumerate(_RATES):
            for residual in (True, False):
                steps, psnr = _curve(results.first(_label(depth, residual, rate)))
                for each in (panel, whole):
                    each.plot(steps, psnr, "-" if residual else ":", color=PALETTE[number],
                              marker="o" if residual else "x", markersize=3.5,
                              label=f"{rate:g}, {'residual' if residual else 'not'}")  # fmt: skip
        panel.set_title(f"{depth} layers", loc="left", weight="bold")
        whole.set_xlabel("steps")
    if near:
        # Residual learning starts at bicubic, and all that it gains lies within a decibel.
        axes[0, 0].set_ylim(min(near) - 0.1, max(near) + 0.1)
    figure.supylabel(f"held-out PSNR at ×{_SCALE} (dB)")
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, title="rate", loc="outside right center")
    return figure


def _judge(results: Results) -> Verdict:
    checks, told = [], []
    for depth in _DEPTHS:
        best = {
            residual: max(
                (results.psnr(_label(depth, residual, rate), _SCALE) for rate in _RATES),
                key=lambda psnr: -1.0 if psnr != psnr else psnr,
            )
            for residual in (True, False)
        }
        checks.append(not best[True] <= best[False])
        told.append(f"{in_db(best[True])} against {in_db(best[False])} with {depth} layers")
    first = {
        residual: max(_curve(results.first(_label(20, residual, rate)))[1][:1] for rate in _RATES)
        for residual in (True, False)
    }
    checks.append(first[True] > first[False])
    start = " against ".join(in_db(several[0] if several else nan) for several in first.values())
    return verdict(
        checks,
        f"At the best of the three rates, residual against non-residual, ×{_SCALE} on Set5, where "
        f"bicubic has {results.bicubic[f'{_SCALE}']:.2f} dB: {' and '.join(told)}. At the first "
        f"validation, with 20 layers, on held-out images: {start}. Residual learning starts from "
        "bicubic, the other from nothing.",
    )


STUDY = Study(
    title="Residual against non-residual learning",
    claim="Only learns the difference → reduces the problem capacity. Enables much FASTER "
    "learning.",
    runs=_runs,
    draw=_draw,
    judge=_judge,
    scored="PSNR on held-out images",
)
