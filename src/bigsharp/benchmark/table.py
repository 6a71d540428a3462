"""Results laid out as the slides lay out theirs: Markdown, LaTeX, CSV, or on the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigsharp.benchmark.published import find, published
from bigsharp.benchmark.run import Result
from bigsharp.files import write_bytes

if TYPE_CHECKING:
    from rich.table import Table

#: Between PSNR and SSIM, as the slides write it.
_SLASH = "/"


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes
    ----------
    dataset, scale : str
    kind : {"measured", "published", "difference"}
    cells : tuple of str
        PSNR/SSIM, one a method; empty where there is none.
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
    """A table before it is written in any form; `methods` name its columns of scores."""

    methods: tuple[str, ...]
    rows: tuple[Row, ...]


Scores = dict[str, tuple[float, float | None]]


def lay_out(results: Sequence[Result], *, with_published: bool = True) -> Grid:
    """Rows of set and scale, a column a method.

    Parameters
    ----------
    results : sequence of Result
    with_published : bool
        Put the published scores, and how far ours are from them, under ours; methods that were
        published but not measured then have columns, too.
    """
    names = list(dict.fromkeys(result.method for result in results))
    groups: dict[tuple[str, float], Scores] = {}
    for result in results:
        mean = result.mean
        groups.setdefault((result.data, result.scale), {})[result.method] = (mean.psnr, mean.ssim)
    every = list(dict.fromkeys(entry.method for entry in published()))
    if with_published and any(_published(*group, every) for group in groups):
        known = {name.lower() for name in names}
        names += [method for method in every if method.lower() not in known]
    rows = []
    for (data, scale), ours in groups.items():
        label = (data, f"×{scale:g}")
        rows.append(_row(*label, "measured", ours, names))
        theirs = _published(data, scale, names) if with_published else {}
        if theirs:
            rows.append(_row(*label, "published", theirs, names))
            rows.append(_difference(*label, ours, theirs, names))
    return Grid(tuple(names), tuple(rows))


def _published(data: str, scale: float, names: Sequence[str]) -> Scores:
    entries = {name: find(data, scale, name) for name in names}
    return {name: (entry.psnr, entry.ssim) for name, entry in entries.items() if entry}


def _row(dataset: str, scale: str, kind: str, scores: Scores, names: Sequence[str]) -> Row:
    shown = {name: f"{psnr:.2f}" + _ssim(ssim, ".4f") for name, (psnr, ssim) in scores.items()}
    # The best is the best as printed: a hundredth of a dB is all that a table tells.
    highest = max(round(psnr, 2) for psnr, _ in scores.values())
    best = [n in scores and round(scores[n][0], 2) == highest for n in names]
    cells = tuple(shown.get(name, "") for name in names)
    alone = len(scores) == 1
    return Row(
        dataset, scale, kind, cells, frozenset(i for i, b in enumerate(best) if b and not alone)
    )


def _difference(
    dataset: str, scale: str, ours: Scores, theirs: Scores, names: Sequence[str]
) -> Row:
    cells = []
    for name in names:
        if name not in ours or name not in theirs:
            cells.append("")
            continue
        (psnr, ssim), (their_psnr, their_ssim) = ours[name], theirs[name]
        both = ssim is not None and their_ssim is not None
        apart = ssim - their_ssim if both else None  # type: ignore[operator]
        cells.append(f"{psnr - their_psnr:+.2f}" + _ssim(apart, "+.4f"))
    return Row(dataset, scale, "difference", tuple(cells), frozenset())


def _ssim(value: float | None, form: str) -> str:
    return "" if value is None else f"{_SLASH}{value:{form}}"


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
    """A CSV file: every row labelled in full, PSNR and SSIM in columns of their own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    pairs = [f"{method} {metric}" for method in grid.methods for metric in ("PSNR", "SSIM")]
    writer.writerow(["set", "scale", "kind", *pairs])
    for row in grid.rows:
        numbers = [part for cell in row.cells for part in f"{cell}{_SLASH}".split(_SLASH)[:2]]
        writer.writerow([row.dataset, row.scale.removeprefix("×"), row.kind, *numbers])
    return text.getvalue()


def write(grid: Grid, folder: Path, note: str) -> None:
    """Write table.md, with a note under it, table.tex and table.csv.

    Raises
    ------
    BigsharpError
        The folder cannot be written to.
    """
    forms = {"md": f"{markdown(grid)}\n{note}\n", "tex": latex(grid), "csv": comma_separated(grid)}
    for extension, text in forms.items():
        write_bytes(folder / f"table.{extension}", text.encode())


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
    table = Table(title="PSNR (dB)/SSIM", box=box.SIMPLE_HEAD)
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
