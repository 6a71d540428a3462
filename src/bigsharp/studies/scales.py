"""The slides' table "Single Model for Multiple scales"."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bigsharp.benchmark.published import published
from bigsharp.studies.results import Results
from bigsharp.studies.study import TESTED, Study, Verdict, base, verdict
from bigsharp.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TRAINED = ((2,), (3,), (4,), (2, 3), (2, 4), (3, 4), (2, 3, 4))
_TESTED = (2, 3, 4)


def _label(trained: tuple[float, ...]) -> str:
    return "×" + ",".join(f"{scale:g}" for scale in trained)


def _runs(budget: str) -> dict[str, Recipe | str]:
    recipe = base("vdsr", budget)
    return {_label(trained): replace(recipe, scales=trained) for trained in _TRAINED}


def _matrices(results: Results) -> dict[str, list[list[float]]]:
    """What the slides give and what was measured: a row a tested scale, bicubic last."""
    theirs = {(e.trained_on, e.scale): e.psnr for e in published("scales")}
    ours = [
        [*(results.psnr(_label(t), s) for t in _TRAINED), results.bicubic[f"{s:g}"]]
        for s in _TESTED
    ]
    slides = [[theirs[t, s] for t in (*_TRAINED, ())] for s in _TESTED]
    difference = [
        [mine - other for mine, other in zip(*rows, strict=True)]
        for rows in zip(ours, slides, strict=True)
    ]
    return {"measured here": ours, "the slides": slides, "difference": difference}


def _draw(results: Results) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 6.2), layout="constrained")
    matrices = _matrices(results)
    for axes, (name, values) in zip(figure.subplots(3, 1), matrices.items(), strict=True):
        _heat(axes, values, name == "difference")
        axes.set_title(f"{name} (dB)", loc="left", weight="bold")
        axes.set_ylabel("tested")
    axes.set_xlabel("trained on")
    return figure


def _heat(axes: Axes, values: list[list[float]], signed: bool) -> None:
    """A matrix as colours, each row by what it gains over bicubic, with the numbers on them."""
    shown = values if signed else [[v - row[-1] for v in row] for row in values]
    bound = max(abs(v) for row in shown for v in row)
    axes.imshow(shown, "RdBu", vmin=-bound, vmax=bound, aspect="auto")
    for row, numbers in enumerate(values):
        for column, value in enumerate(numbers):
            dark = abs(shown[row][column]) > 0.6 * bound
            axes.text(column, row, f"{value:+.2f}" if signed else f"{value:.2f}", ha="center",
                      va="center", color="white" if dark else "black")  # fmt: skip
    axes.set_xticks(range(len(_TRAINED) + 1), [*map(_label, _TRAINED), "bicubic"])
    axes.set_yticks(range(len(_TESTED)), [f"×{scale}" for scale in _TESTED])
    axes.grid(visible=False)


def _judge(results: Results) -> Verdict:
    large = {s: results.psnr("×2,3,4", s) - results.psnr(f"×{s}", s) for s in (3, 4)}
    collapse = results.psnr("×2", 3) - results.bicubic["3"]
    told = ", ".join(f"{gain:+.2f} dB at ×{scale}" for scale, gain in large.items())
    return verdict(
        [*(gain > 0 for gain in large.values()), collapse < 0.5],
        f"Trained on ×2,3,4 in place of the tested scale alone: {told}. Trained on ×2 and tested "
        f"at ×3, a network gives {results.psnr('×2', 3):.2f} dB, {collapse:+.2f} dB from bicubic "
        f"(the slides: 30.42 and 30.39).",
    )


STUDY = Study(
    title="One model for several scales",
    claim="Interestingly, we observe that training multiple scales boosts the performance for "
    "large scales.",
    runs=_runs,
    draw=_draw,
    judge=_judge,
    longer=("×2,3,4",),
    seeds={"small": 2},
    note=f"PSNR on {TESTED} in one pass: a network restores the ILR image of a scale that it was "
    "not trained on, too.",
)
