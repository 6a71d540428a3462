"""The slides' first bullet on the data set: 91 images, and 200 more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bigsharp.studies.draw import COLOURS, MARKERS, panels, series
from bigsharp.studies.results import Results
from bigsharp.studies.study import Study, Verdict, base, verdict
from bigsharp.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SETS = {
    "91 images": ("T91",),
    "291 images": ("T91", "BSDS200"),
    "491 images": ("T91", "BSDS200", "BSDS200-test"),
}
_SCALES = (2, 3, 4)


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
            for outcome in results.of(label):
                panel.plot(place, outcome.psnr[f"{scale:g}"], MARKERS[number],
                           color=COLOURS[number], alpha=0.35, markersize=4)  # fmt: skip
        panel.set_xticks(x, [label.split()[0] for label in _SETS])
        panel.set_xlabel("training images")
        panel.set_title(f"×{scale}", loc="left", weight="bold")
        panel.margins(x=0.2, y=0.2)
    axes[0].set_ylabel("PSNR (dB)")
    return figure


def _judge(results: Results) -> Verdict:
    few, more, most = _SETS
    gains = [results.psnr(more, s) - results.psnr(few, s) for s in _SCALES]
    further = [results.psnr(most, s) - results.psnr(more, s) for s in _SCALES]
    noise = max(results.spread(label, scale) for label in _SETS for scale in _SCALES)
    told, then = (
        ", ".join(f"{g:+.2f} dB at ×{s}" for g, s in zip(several, _SCALES, strict=True))
        for several in (gains, further)
    )
    return verdict(
        [gain > noise for gain in gains],
        f"200 more images: {told}; another 200: {then}. "
        f"Seeds differ by up to {noise:.2f} dB (standard deviation).",
    )


STUDY = Study(
    title="What 200 more training images bring",
    claim="Dataset: 91 clean natural images (+ 200 BSDS dataset).",
    runs=_runs,
    draw=_draw,
    judge=_judge,
    longer=("91 images", "291 images"),
    seeds={"small": 2, "paper": 2},
    note="The slides name the sets and claim nothing of them; what is judged is that the 200 "
    "further images help, at equally many steps. Likely, where they do not: the 91 are small and "
    "sharp like Set5's, and more seldom seen beside photographs that went through JPEG.",
)
