"""The slides' plot "Recursion effect"."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from bigsharp.studies.draw import panels, series
from bigsharp.studies.results import Results
from bigsharp.studies.study import Pair, Study, Verdict, base, in_db, verdict
from bigsharp.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RECURSIONS = (1, 6, 11, 16)


def _runs(budget: str) -> dict[str, Recipe | str]:
    return {f"recursions {n}": base("drcn", budget, recursions=n) for n in _RECURSIONS}


def _psnr(results: Results) -> list[float]:
    return [results.psnr(f"recursions {n}", 3) for n in _RECURSIONS]


def _draw(results: Results) -> Figure:
    figure, (axes,) = panels()
    spread = [results.spread(f"recursions {n}", 3) for n in _RECURSIONS]
    series(axes, _RECURSIONS, _psnr(results), spread=spread)
    axes.set_xticks(_RECURSIONS)
    axes.set_xlabel("recursions")
    axes.set_ylabel("PSNR at ×3 (dB)")
    fields = [results.first(f"recursions {n}").receptive_field for n in _RECURSIONS]
    above = axes.secondary_xaxis("top")
    above.set_xticks(_RECURSIONS, [f"{field}" for field in fields])
    above.set_xlabel("receptive field")
    return figure


def _judge(results: Results) -> Verdict:
    psnr = _psnr(results)
    told = ", ".join(f"{in_db(p)} with {n}" for n, p in zip(_RECURSIONS, psnr, strict=True))
    return verdict(
        [later > before for before, later in pairwise(psnr)],
        f"At ×3, where bicubic has {results.bicubic['3']:.2f} dB: {told}. From 1 to 16 recursions "
        f"that is {in_db(psnr[-1] - psnr[0], '+.2f')}, from 6 to 16 "
        f"{in_db(psnr[-1] - psnr[1], '+.2f')}. Seeds differ by up to {results.noise([3]):.2f} dB "
        "(standard deviation).",
    )


STUDY = Study(
    title="More recursions, larger receptive fields",
    claim="More recursions yielding larger receptive fields lead to better performances.",
    runs=_runs,
    draw=_draw,
    judge=_judge,
    scales=(3,),
    longer=(Pair("recursions 6", "recursions 16", (3,)),),
    seeds={"small": 2},
)
