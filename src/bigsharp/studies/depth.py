"""The slides' plot "The Deeper, the Better"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigsharp.studies.draw import panels, series
from bigsharp.studies.results import Results
from bigsharp.studies.study import Pair, Study, Verdict, base, by_scale, verdict
from bigsharp.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DEPTHS = (5, 8, 11, 14, 17, 20)
_SCALES = (2, 3, 4)


def _runs(budget: str) -> dict[str, Recipe | str]:
    return {f"depth {depth}": base("vdsr", budget, depth=depth) for depth in _DEPTHS}


def _psnr(results: Results, scale: float) -> list[float]:
    return [results.psnr(f"depth {depth}", scale) for depth in _DEPTHS]


def _draw(results: Results) -> Figure:
    figure, axes = panels(3)
    for number, (panel, scale) in enumerate(zip(axes, _SCALES, strict=True)):
        spread = [results.spread(f"depth {depth}", scale) for depth in _DEPTHS]
        series(panel, _DEPTHS, _psnr(results, scale), number, spread=spread)
        panel.set_xticks(_DEPTHS)
        panel.set_xlabel("depth D")
        panel.set_title(f"×{scale}", loc="left", weight="bold")
        panel.margins(y=0.15)
        above = panel.secondary_xaxis("top")
        above.set_xticks(_DEPTHS, [f"{2 * depth + 1}" for depth in _DEPTHS])
        above.set_xlabel("receptive field, 2D + 1", fontsize=9)
    axes[0].set_ylabel("PSNR (dB)")
    return figure


def _judge(results: Results) -> Verdict:
    gains = {scale: (p := _psnr(results, scale))[-1] - p[0] for scale in _SCALES}
    psnr = {s: dict(zip(_DEPTHS, _psnr(results, s), strict=True)) for s in _SCALES}
    best = {s: max(_DEPTHS, key=lambda d: -1.0 if p[d] != p[d] else p[d]) for s, p in psnr.items()}
    short = {s: psnr[s][_DEPTHS[-1]] - psnr[s][best[s]] for s in _SCALES}
    noise = results.noise(_SCALES)
    where = ", ".join(f"{depth} at ×{scale}" for scale, depth in best.items())
    return verdict(
        [gain > noise for gain in gains.values()] + [gap >= -noise / 2 for gap in short.values()],
        f"From depth 5 to 20: {by_scale(gains)}. The best depth is {where}; depth 20 against it: "
        f"{by_scale(short)}. Seeds differ by up to {noise:.2f} dB (standard deviation).",
    )


STUDY = Study(
    title="The deeper, the better",
    claim="The Deeper, the Better: for depth D network, the receptive field has size "
    "(2D + 1) × (2D + 1).",
    runs=_runs,
    draw=_draw,
    judge=_judge,
    longer=(Pair("depth 11", "depth 20"),),
    seeds={"small": 2},
)
