"""The slides' "trained 10⁴ faster": a rate of 0.1 in the place of SRCNN's 10⁻⁵."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bigsharp.studies.draw import MARKERS, PALETTE, panels
from bigsharp.studies.results import Results
from bigsharp.studies.study import CLIP, Study, Verdict, base, by_sgd, in_db, verdict
from bigsharp.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SCALE = 3
_SLOW, _SAME_NETWORK, _SAME_RATE, _FAST = (
    "SRCNN, 1e-5", "SRCNN, 0.1 clipped", "VDSR, 1e-5", "VDSR, 0.1 clipped",
)  # fmt: skip


def _runs(budget: str) -> dict[str, Recipe | str]:
    deep = replace(base("vdsr", budget, beginning=True), scales=(_SCALE,))
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
                       color=PALETTE[number], marker=MARKERS[number], markersize=3.5,
                       label=outcome.label)  # fmt: skip
        panel.set_xscale("log")
        panel.set_xlabel("steps" if key == "step" else "seconds of training")
    axes[0].set_ylabel(f"held-out PSNR at ×{_SCALE} (dB)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def _judge(results: Results) -> Verdict:
    psnr = {label: results.psnr(label, _SCALE) for label in results.labels}
    told = ", ".join(
        f"{label} {in_db(p)} at the best of {results.first(label).steps:,} steps"
        for label, p in psnr.items()
    )
    ratio, words = _ratio(*(results.first(label).curve for label in (_FAST, _SLOW)))
    return verdict(
        [psnr[_FAST] > psnr[_SLOW], ratio >= 1e4],
        f"On Set5 at ×{_SCALE}, where bicubic has {results.bicubic[f'{_SCALE}']:.2f} dB: {told}. "
        f"{words}",
    )


def _ratio(fast: list[dict[str, Any]], slow: list[dict[str, Any]]) -> tuple[float, str]:
    """How many times the steps the slow needs for what the fast has first; also in words."""
    if not (fast and slow):
        return 0.0, "One of the two diverged before its first validation."
    key, first, last = f"psnr_x{_SCALE}", fast[0], slow[-1]
    there = next((point for point in slow if point[key] >= first[key]), None)
    steps, seconds = ((there or last)[k] / first[k] for k in ("step", "seconds"))
    times = f"{steps:,.0f} times the steps and {seconds:,.0f} times the time"
    began = f"On held-out images VDSR at 0.1 has {first[key]:.2f} dB by step {first['step']:,}."
    if there:
        return steps, f"{began} SRCNN at 1e-5 took {times}."
    return steps, (
        f"{began} SRCNN at 1e-5 is not there by step {last['step']:,}, with {last[key]:.2f} dB: it "
        f"takes more than {times}. How many more cannot be seen in so few steps: at its own first "
        f"validation it had {slow[0][key]:.2f} dB."
    )


STUDY = Study(
    title="What a rate of 0.1 in the place of 10⁻⁵ brings",
    claim="Training of SRCNN converges too slowly (learning rate is 10⁻⁵). VDSR can be trained 10⁴ "
    "faster, with residual.",
    runs=_runs,
    draw=_draw,
    judge=_judge,
    scales=(_SCALE,),
    scored="PSNR on held-out images",
    note="10⁴ is the ratio of the two rates, 0.1 and 10⁻⁵, not of steps or of seconds. VDSR starts "
    "from bicubic and SRCNN from black, so VDSR is ahead before it learns anything; hence two of "
    "the four runs exchange the rates, to tell what is the rate's part and what the network's.",
)
