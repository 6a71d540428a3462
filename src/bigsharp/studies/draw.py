"""One style for the figures of all studies: readable at half a page, and by the colour-blind."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigsharp.benchmark import figures
from bigsharp.io.files import write_bytes
from bigsharp.studies import results as kept
from bigsharp.studies.results import Outcome, Results
from bigsharp.studies.study import LONGER, WIDER, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: The palette of Okabe and Ito, but its yellow, which white paper swallows.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"

_STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
}


def panels(count: int = 1, *, height: float = 3.2, **settings: Any) -> tuple[Figure, list[Axes]]:
    """A figure as wide as a page's text with so many axes beside one another."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, height), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False, **settings)[0])


def series(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[float],
    number: int = 0,
    *,
    spread: Sequence[float] = (),
    **settings: Any,
) -> None:
    """A line with a marker at each value, in the `number`-th colour; spreads as bars."""
    style: dict[str, Any] = {
        "color": PALETTE[number],
        "marker": MARKERS[number],
        "capsize": 3,
    } | settings
    axes.errorbar(x, y, list(spread) if any(spread) else None, **style)


def save(study: Study, results: Results, folder: Path) -> list[Path]:
    """Draw a study's results as PDF and PNG, with the data as CSV; gives the files."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        figure = study.draw(results)
        figure.suptitle(study.title, weight="bold")
        figure.supxlabel(circumstances(study, results), fontsize=7.5, color="#444444")
        path = kept.path_of(folder, results.study, results.budget)
        drawn = figures.save(figure, path.with_suffix(""), digest(results))
    write_bytes(path.with_suffix(".csv"), kept.table(results).encode())
    return [*drawn, path.with_suffix(".csv")]


def digest(results: Results) -> str:
    """Of all that is drawn: a figure carries it, so that one of other results is found out."""
    return hashlib.sha256(kept.table(results).encode()).hexdigest()


def circumstances(study: Study, results: Results) -> str:
    """What the size of the runs was, in words: what all of them have in common."""
    compared = [o for o in results.outcomes if not o.label.endswith((LONGER, WIDER))]
    recipes = [o.recipe for o in compared if "steps" in o.recipe]
    words = [f"{results.budget} budget"] if recipes else []
    words += [f"the released {o.recipe['released']}" for o in results.outcomes if not recipes]
    options = [recipe["options"] for recipe in recipes]
    widths = {str(o.get("features", o.get("filters"))) for o in options}
    if len(widths) == 1:
        words.append(f"{widths.pop()} filters a layer")
    for key, text in (("steps", "{:,} steps"), ("batch", "{} patches a step")):
        values = {recipe[key] for recipe in recipes}
        if len(values) == 1:
            words.append(text.format(values.pop()))
    if recipes:
        words.append(_seeds(compared))
    return " · ".join([*words, study.scored])


def _seeds(outcomes: Sequence[Outcome]) -> str:
    """How often each was trained; a study that goes on has some more often than others."""
    counts = sorted(set(Counter(outcome.label for outcome in outcomes).values()))
    if counts == [1]:
        return "one seed"
    told = " or ".join(map(str, counts))
    return f"mean of {told} seeds (bars: standard deviation)"
