"""The slides' first bullet on the data set: 91 images, and 200 more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bigsharp.studies.draw import MARKERS, PALETTE, panels, series
from bigsharp.studies.results import Results
from bigsharp.studies.study import Pair, Study, Verdict, base, by_scale, verdict
from bigsharp.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SETS = {
    "91 images": ("T91",),
    "291 images": ("T91", "BSDS200"),
    "491 images": ("T91", "BSDS200", "BSDS200-test"),
}
_SCALES = (2, 3, 4)

#: Of the same origin as BSDS200.
_PHOTOGRAPHS = "B100"


def _runs(budget: str) -> dict[str, Recipe | str]:
    recipe = base("vdsr", budget)
    return {label: replace(recipe, data=sets) for label, sets in _SETS.items()}


def _draw(results: Results) -> Figure:
    figure, axes = panels(3)
    x = range(len(_SETS))
    for number, (panel, scale) in enumerate(zip(axes, _SCALES, strict=True)):
        psnr = [results.psnr(label, scale) for label in _SETS]
        spread = [results.spread(label, scale) for label in _SETS]
        series(panel, x, psnr, number, spread=spread)
        for place, label in zip(x, _SETS, strict=True):
            for outcome in (o for o in results.of(label) if o.psnr):
                panel.plot(place, outcome.psnr[f"{scale:g}"], MARKERS[number],
                           color=PALETTE[number], alpha=0.35, markersize=4)  # fmt: skip
        panel.set_xticks(x, [label.split()[0] for label in _SETS])
        panel.set_xlabel("training images")
        panel.set_title(f"×{scale}", loc="left", weight="bold")
        panel.margins(x=0.2, y=0.2)
    axes[0].set_ylabel("PSNR (dB)")
    return figure


def _judge(results: Results) -> Verdict:
    few, more, most = _SETS
    gains, further = (Pair(*pair).gains(results) for pair in ((few, more), (more, most)))
    photographs = {
        s: results.psnr(more, s, _PHOTOGRAPHS) - results.psnr(few, s, _PHOTOGRAPHS) for s in _SCALES
    }
    noise = results.noise(_SCALES)
    return verdict(
        [gain > noise for gain in gains.values()],
        f"200 more images: {by_scale(gains)}; another 200: {by_scale(further)}. Seeds differ by up "
        f"to {noise:.2f} dB (standard deviation). On {_PHOTOGRAPHS}, photographs as the 200 are, "
        f"these bring {by_scale(photographs)}.",
    )


STUDY = Study(
    title="What 200 more training images bring",
    claim="Dataset: 91 clean natural images (+ 200 BSDS dataset).",
    runs=_runs,
    draw=_draw,
    judge=_judge,
    longer=(Pair("91 images", "291 images"),),
    also=(_PHOTOGRAPHS,),
    seeds={"small": 2, "paper": 2},
    note="The slides name the sets and claim nothing of them; what is judged is that the 200 "
    "further images help, at equally many steps. A likely reason where they do not: the 91 are "
    "small and sharp like Set5's, the 200 photographs that went through JPEG; hence "
    f"{_PHOTOGRAPHS} beside.",
)
