"""The slides' first shortcoming of SRCNN: the context of small image regions, 13 × 13."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING

from bigsharp.studies.draw import PALETTE, panels, series
from bigsharp.studies.results import Results
from bigsharp.studies.study import Pair, Study, Verdict, base, by_scale, verdict
from bigsharp.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DEPTHS = (6, 10, 14, 20)
_SCALES = (2, 3, 4)
_SRCNN = "SRCNN 9-1-5"

#: Stacks of 3 × 3 filters, the first of which sees no more than SRCNN.
_SAME_CONTEXT = Pair("VDSR-6", "VDSR-20")


def _runs(budget: str) -> dict[str, Recipe | str]:
    deepest = base("vdsr", budget, features=32 if budget == "paper" else 16)
    width = deepest.options["features"]
    weights = 9 * (18 * width**2 + 2 * width)
    recipes: dict[str, Recipe | str] = {
        f"VDSR-{depth}": replace(
            deepest, options=deepest.options | {"depth": depth, "features": _width(depth, weights)}
        )
        for depth in _DEPTHS
    }
    first = 12 * width
    second = round((weights - 81 * first) / (first + 25))
    # Without a skip-connection, centred gradients need dead filters started anew (training.md).
    shallow = replace(deepest, architecture="srcnn", recycle_every=100)
    options = {"kernels": [9, 1, 5], "filters": [first, second]}
    if budget == "small":
        shallow = replace(shallow, lr=0.03, lr_adam=3e-3)
    return {_SRCNN: replace(shallow, options=options)} | recipes


def _width(depth: int, weights: int) -> int:
    """Filters of a VDSR of this depth with about so many weights: 9 ((D − 2) f² + 2 f)."""
    inner = depth - 2
    return round((sqrt(4 + 4 * inner * weights / 9) - 2) / (2 * inner))


def _draw(results: Results) -> Figure:
    figure, axes = panels(3)
    deep = [results.first(f"VDSR-{depth}") for depth in _DEPTHS]
    shallow = results.first(_SRCNN)
    for number, (panel, scale) in enumerate(zip(axes, _SCALES, strict=True)):
        psnr = [results.psnr(outcome.label, scale) for outcome in deep]
        spread = [results.spread(outcome.label, scale) for outcome in deep]
        fields = [outcome.receptive_field for outcome in deep]
        series(panel, fields, psnr, number, spread=spread, label="3 × 3 filters")
        panel.errorbar(shallow.receptive_field, results.psnr(_SRCNN, scale),
                       results.spread(_SRCNN, scale), fmt="*", color=PALETTE[6], markersize=11,
                       capsize=3, label=_SRCNN)  # fmt: skip
        panel.set_xticks(fields)
        panel.set_xlabel("receptive field (pixels)")
        panel.set_title(f"×{scale}", loc="left", weight="bold")
        panel.margins(x=0.1, y=0.15)
    axes[0].set_ylabel("PSNR (dB)")
    axes[0].legend(loc="lower right")
    return figure


def _judge(results: Results) -> Verdict:
    over = Pair(_SRCNN, "VDSR-20").gains(results)
    same = _SAME_CONTEXT.gains(results)
    counts = [outcome.parameters for outcome in results.outcomes]
    return verdict(
        [gain > 0 for gain in (*over.values(), *same.values())],
        f"With {min(counts):,} to {max(counts):,} parameters each, 41 × 41 against SRCNN's 13 × "
        f"13: {by_scale(over)}. Against a stack of six 3 × 3 layers, which sees 13 × 13 as well: "
        f"{by_scale(same)}. Seeds differ by up to {results.noise(_SCALES):.2f} dB (standard "
        "deviation).",
    )


STUDY = Study(
    title="Context: 13 × 13 against 41 × 41 pixels, equal parameters",
    claim="SRCNN relies on the context of small image regions (13 × 13).",
    runs=_runs,
    draw=_draw,
    judge=_judge,
    longer=(_SAME_CONTEXT,),
    seeds={"small": 2},
)
