"""Results laid out as the slides lay out theirs: Markdown, LaTeX, CSV, or on the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigsharp.benchmark.published import find, plain, published
from bigsharp.benchmark.run import Result
from bigsharp.io.files import write_bytes

if TYPE_CHECKING:
    from rich.table import Table

#: Between the metrics of a cell, as the slides write it.
_SLASH = "/"

#: How each metric is printed; the papers give IFC three digits.
_FORMS = {"PSNR": ".2f", "SSIM": ".4f", "IFC": ".3f", "LPIPS": ".4f"}


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes
    ----------
    dataset, scale : str
        A scale is written ×2; another strength σ 25, q 10.
    kind : {"measured", "published", "difference"}
    cells : tuple of str
        PSNR/SSIM and what else was measured, one a method; empty where there is none.
    best : frozenset of int
        Which cells have the highest PSNR.
    """

    dataset: str
    scale: str
    kind: str
    cells: tuple[str, ...]
    best: frozenset[int]


@dataclass(frozen=True)
class Grid:
    """A table before it is written in any form.

    Attributes
    ----------
    methods : tuple of str
        The columns of scores.
    metrics : tuple of str
        What a cell holds.
    rows : tuple of Row
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """What a cell holds, with units."""
        return _SLASH.join(self.metrics).replace("PSNR", "PSNR (dB)")


#: The metrics' values in the order of a grid's, a method each; None where there is none.
Scores = dict[str, tuple[float | None, ...]]


def lay_out(
    results: Sequence[Result], *, metrics: Sequence[str] = (), theirs_in: str = "benchmark"
) -> Grid:
    """Rows of set and scale, a column a method.

    Parameters
    ----------
    results : sequence of Result
    metrics : sequence of {"ifc", "lpips"}
        To show beyond PSNR and SSIM; the results have them.
    theirs_in : str
        The published table whose scores, and how far ours are from them, go under ours; methods
        that were published but not measured then have columns, too. None where it is empty.
    """
    names = list(dict.fromkeys(result.method for result in results))
    groups: dict[tuple[str, float, str], Scores] = {}
    for result in results:
        values = (result.mean.psnr, result.mean.ssim, *(result.metrics[name] for name in metrics))
        where = (result.data, result.scale, result.label)
        groups.setdefault(where, {})[result.method] = values
    every = list(dict.fromkeys(entry.method for entry in published(theirs_in)))
    if any(_published(data, scale, every, theirs_in) for data, scale, _ in groups):
        known = {plain(name) for name in names}
        names += [method for method in every if plain(method) not in known]
    titles = ("PSNR", "SSIM", *(name.upper() for name in metrics))
    forms = [_FORMS[title] for title in titles]
    rows = []
    for (data, scale, label), ours in groups.items():
        rows.append(_row(data, label, "measured", ours, names, forms))
        theirs = _published(data, scale, names, theirs_in)
        if theirs:
            rows.append(_row(data, label, "published", theirs, names, forms))
            rows.append(_difference(data, label, ours, theirs, names, forms))
    return Grid(tuple(names), titles, tuple(rows))


def _published(data: str, scale: float, names: Sequence[str], table: str) -> Scores:
    entries = {name: find(data, scale, name, table) for name in names}
    return {name: (entry.psnr, entry.ssim) for name, entry in entries.items() if entry}


def _row(
    dataset: str, scale: str, kind: str, scores: Scores, names: Sequence[str], forms: Sequence[str]
) -> Row:
    cells = tuple(_cell(scores.get(name, ()), forms) for name in names)
    # The best is the best as printed: a hundredth of a dB is all that a table tells.
    psnr = {name: round(values[0] or 0, 2) for name, values in scores.items()}
    best = {i for i, name in enumerate(names) if psnr.get(name) == max(psnr.values())}
    return Row(dataset, scale, kind, cells, frozenset(best if len(scores) > 1 else ()))


def _difference(
    dataset: str,
    scale: str,
    ours: Scores,
    theirs: Scores,
    names: Sequence[str],
    forms: Sequence[str],
) -> Row:
    cells = []
    for name in names:
        pairs = zip(ours.get(name, ()), theirs.get(name, ()), strict=False)
        apart = [None if a is None or b is None else a - b for a, b in pairs]
        cells.append(_cell(apart, [f"+{form}" for form in forms]))
    return Row(dataset, scale, "difference", tuple(cells), frozenset())


def _cell(values: Sequence[float | None], forms: Sequence[str]) -> str:
    known = [f"{v:{form}}" for v, form in zip(values, forms, strict=False) if v is not None]
    return _SLASH.join(known)


def markdown(grid: Grid) -> str:
    """A Markdown table, the best score of a row in bold."""
    lines = [["set", "scale", "", *grid.methods], ["---"] * (3 + len(grid.methods))]
    lines += _lines(grid, lambda cell: f"**{cell}**", lambda text: text.replace("|", "\\|"))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex(grid: Grid) -> str:
    """A LaTeX tabular in the style of booktabs, the best score of a row in bold."""
    columns = "lrl" + "c" * len(grid.methods)
    head = " & ".join(["Dataset", "Scale", "", *map(_tex, grid.methods)])
    lines = [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", f"{head} \\\\", "\\midrule"]
    for line in _lines(grid, lambda cell: f"\\textbf{{{cell}}}", _tex):
        lines.append(" & ".join(line) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def comma_separated(grid: Grid) -> str:
    """A CSV file: every row labelled in full, every metric in a column of its own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"{method} {metric}" for method in grid.methods for metric in grid.metrics]
    writer.writerow(["set", "scale", "kind", *columns])
    for row in grid.rows:
        numbers = []
        for cell in row.cells:
            parts = cell.split(_SLASH)
            numbers += parts + [""] * (len(grid.metrics) - len(parts))
        writer.writerow([row.dataset, row.scale.removeprefix("×"), row.kind, *numbers])
    return text.getvalue()


def texts(grid: Grid, folder: Path, note: str) -> dict[Path, str]:
    """What table.md, with a note under it, table.tex and table.csv hold."""
    forms = {
        "md": f"{markdown(grid)}\n{grid.title}; {note}\n",
        "tex": latex(grid),
        "csv": comma_separated(grid),
    }
    return {folder / f"table.{extension}": text for extension, text in forms.items()}


def write(grid: Grid, folder: Path, note: str) -> None:
    """Write what `texts` gives.

    Raises
    ------
    BigsharpError
        The folder cannot be written to.
    """
    for path, text in texts(grid, folder, note).items():
        write_bytes(path, text.encode())


def terminal_table(grid: Grid) -> Table:
    """A table for rich to print, of the methods measured; the best score of a row in bold."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    kinds = len({row.kind for row in grid.rows}) > 1
    labels = ["set", "scale", ""] if kinds else ["set", "scale"]
    measured = [
        number
        for number in range(len(grid.methods))
        if any(row.cells[number] for row in grid.rows if row.kind == "measured")
    ]
    table = Table(title=grid.title, box=box.SIMPLE_HEAD)
    for label in labels:
        table.add_column(label)
    for number in measured:
        # A narrow terminal breaks a cell into lines; it must not lose digits.
        table.add_column(escape(grid.methods[number]), justify="right", overflow="fold")
    for line in _lines(grid, lambda cell: f"[bold]{cell}[/]", escape):
        table.add_row(*line[: len(labels)], *(line[3 + number] for number in measured))
    return table


def _lines(grid: Grid, bold: Callable[[str], str], escape: Callable[[str], str]) -> list[list[str]]:
    """The rows as text; a set and a scale are named once."""
    lines, before = [], ("", "")
    for row in grid.rows:
        here = (row.dataset, row.scale)
        data, scale = (
            "" if row.dataset == before[0] else escape(row.dataset),
            "" if here == before else escape(row.scale),
        )
        cells = [bold(c) if i in row.best else c for i, c in enumerate(row.cells)]
        lines.append([data, scale, row.kind, *cells])
        before = here
    return lines


def _tex(text: str) -> str:
    for sign in "&%$#_{}":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("×", "$\\times$")
