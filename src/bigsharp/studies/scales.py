"""The slides' table "Single Model for Multiple scales"."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bigsharp.benchmark.published import published
from bigsharp.studies.results import Results
from bigsharp.studies.study import TESTED, Pair, Study, Verdict, base, by_scale, in_db, verdict
from bigsharp.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TRAINED = ((2,), (3,), (4,), (2, 3), (2, 4), (3, 4), (2, 3, 4))
_TESTED = (2, 3, 4)
_LARGE = (Pair("×3", "×2,3,4", (3,)), Pair("×4", "×2,3,4", (4,)))


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
    ours, slides, _ = matrices.values()
    # One for both, so that they can be compared by their colours.
    both = [*_over_bicubic(ours), *_over_bicubic(slides)]
    bound = max(abs(value) for row in both for value in row)
    for axes, (name, values) in zip(figure.subplots(3, 1), matrices.items(), strict=True):
        if name == "difference":
            _heat(axes, values, values, "+.2f", max(abs(v) for row in values for v in row))
        else:
            _heat(axes, values, _over_bicubic(values), ".2f", bound)
        axes.set_title(f"{name} (dB)", loc="left", weight="bold")
        axes.set_ylabel("tested")
    axes.set_xlabel("trained on")
    return figure


def _over_bicubic(rows: list[list[float]]) -> list[list[float]]:
    return [[value - row[-1] for value in row] for row in rows]


def _heat(
    axes: Axes, values: list[list[float]], shown: list[list[float]], form: str, bound: float
) -> None:
    """A matrix's numbers on colours that show another, from −`bound` to `bound`."""
    axes.imshow(shown, "RdBu", vmin=-bound, vmax=bound, aspect="auto")
    for row, numbers in enumerate(values):
        for column, value in enumerate(numbers):
            dark = abs(shown[row][column]) > 0.6 * bound
            axes.text(column, row, f"{value:{form}}", ha="center", va="center",
                       color="white" if dark else "black")  # fmt: skip
    axes.set_xticks(range(len(_TRAINED) + 1), [*map(_label, _TRAINED), "bicubic"])
    axes.set_yticks(range(len(_TESTED)), [f"×{scale}" for scale in _TESTED])
    axes.grid(visible=False)


def _judge(results: Results) -> Verdict:
    large = {scale: gain for pair in _LARGE for scale, gain in pair.gains(results).items()}
    collapse = results.psnr("×2", 3) - results.bicubic["3"]
    return verdict(
        [gain > 0 for gain in large.values()],
        f"Trained on ×2,3,4 in place of the tested scale alone: {by_scale(large)}; seeds differ by "
        f"up to {results.noise(_TESTED):.2f} dB (standard deviation). What the slides show beside "
        "the claim is seen here too: trained on ×2 and tested at ×3, a network gives "
        f"{in_db(results.psnr('×2', 3))}, {in_db(collapse, '+.2f')} from bicubic (the slides: "
        "30.42 and 30.39).",
    )


def _table(results: Results) -> list[list[str]]:
    """Each cell of the matrix: measured here, the slides' number in brackets."""
    matrices = _matrices(results)
    rows = [
        [f"×{scale}", *(f"{mine:.2f} ({other:.2f})" for mine, other in zip(*cells, strict=True))]
        for scale, *cells in zip(
            _TESTED, matrices["measured here"], matrices["the slides"], strict=True
        )
    ]
    return [["tested on", *map(_label, _TRAINED), "bicubic"], *rows]


STUDY = Study(
    title="One model for several scales",
    claim="Interestingly, we observe that training multiple scales boosts the performance for "
    "large scales.",
    runs=_runs,
    draw=_draw,
    judge=_judge,
    longer=_LARGE,
    wider=_LARGE,
    seeds={"small": 2},
    table=_table,
    note=f"PSNR on {TESTED} in one pass: a network restores the ILR image of a scale that it was "
    "not trained on, too.",
)
