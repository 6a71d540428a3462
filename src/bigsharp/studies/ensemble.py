"""The slides' plot "Ensemble Effect": each recursion's own prediction against the ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigsharp.studies.draw import PALETTE, panels, series
from bigsharp.studies.results import Outcome, Results
from bigsharp.studies.study import Study, Verdict, base, verdict
from bigsharp.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SCALES = (2, 3, 4)


def _runs(budget: str) -> dict[str, Recipe | str]:
    return {"DRCN": "drcn-64" if budget == "small" else base("drcn", budget)}


def _draw(results: Results) -> Figure:
    figure, axes = panels(4, height=3.0)
    outcome = results.first("DRCN")
    recursions = range(1, len(outcome.weights) + 1)
    for number, (panel, scale) in enumerate(zip(axes, _SCALES, strict=False)):
        series(panel, recursions, outcome.predictions[f"{scale}"], number, markersize=3.5)
        panel.axhline(outcome.psnr[f"{scale}"], color="black", linestyle="--", linewidth=1.2)
        panel.annotate("ensemble", (1, outcome.psnr[f"{scale}"]), xytext=(0, 3),
                       textcoords="offset points", fontsize=9)  # fmt: skip
        panel.set_title(f"×{scale}", loc="left", weight="bold")
        panel.margins(y=0.12)
    axes[3].bar(recursions, outcome.weights, color=PALETTE[3])
    axes[3].set_title("learned weight", loc="left", weight="bold")
    for panel in axes:
        panel.set_xticks(recursions[3::4])
        panel.set_xlabel("recursion")
    axes[0].set_ylabel("PSNR (dB)")
    return figure


def _gains(outcome: Outcome) -> dict[int, float]:
    """What the ensemble has over the best single recursion, by scale."""
    return {s: outcome.psnr[f"{s}"] - max(outcome.predictions[f"{s}"]) for s in _SCALES}


def _judge(results: Results) -> Verdict:
    outcome = results.first("DRCN")
    gains = _gains(outcome)
    best = {s: (p := outcome.predictions[f"{s}"]).index(max(p)) + 1 for s in _SCALES}
    over = ", ".join(f"{gain:+.2f} dB at ×{scale}" for scale, gain in gains.items())
    at = ", ".join(f"{number} at ×{scale}" for scale, number in best.items())
    return verdict(
        [len(set(best.values())) > 1, all(gain > 0.1 for gain in gains.values())],
        f"The best single recursion is {at}; the ensemble has {over} against it. "
        "A gain above 0.1 dB counts as significant.",
    )


STUDY = Study(
    title="Each recursion's own prediction against the ensemble",
    claim="There is no single recursion depth that works the best across all scale factors. "
    "Ensemble of intermediate predictions significantly improves performance.",
    runs=_runs,
    draw=_draw,
    judge=_judge,
)
