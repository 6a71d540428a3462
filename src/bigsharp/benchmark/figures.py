"""The figures of the slides: crops side by side, and what a decibel costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from bigsharp.benchmark.comparison import Box, Comparison
from bigsharp.benchmark.methods import Method
from bigsharp.benchmark.run import Result
from bigsharp.errors import BigsharpError
from bigsharp.io.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARK = "#e8112d"


def crops(comparison: Comparison, box: Box) -> Figure:
    """The whole picture with the crop marked, and the crop by the truth and by every method.

    Raises
    ------
    BigsharpError
        The box is not inside the picture.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    height, width = comparison.truth.shape[:2]
    within = box.left + box.width <= width and box.top + box.height <= height
    if min(box.left, box.top) < 0 or min(box.width, box.height) < 1 or not within:
        raise BigsharpError(
            f"the crop {box.left},{box.top},{box.width},{box.height} is not inside "
            f"{comparison.name}, which is {width} × {height}"
        )
    parts = {"Ground truth": comparison.truth, **comparison.restored}
    columns = ceil(len(parts) / 2)
    figure = Figure(figsize=(3.2 + 1.7 * columns, 4.2), layout="constrained")
    grid = figure.add_gridspec(2, columns + 2, width_ratios=[1, 1, *[0.85] * columns])
    whole = figure.add_subplot(grid[:, :2])
    whole.imshow(comparison.truth)
    edge = Rectangle(
        (box.left, box.top), box.width, box.height, fill=False, edgecolor=_MARK, linewidth=1.5
    )
    whole.add_patch(edge)
    whole.set_xlabel(f"{comparison.name}, {comparison.label}")
    best = max(comparison.scores.values(), key=lambda score: score.psnr)
    for number, (name, image) in enumerate(parts.items()):
        axes = figure.add_subplot(grid[number // columns, 2 + number % columns])
        axes.imshow(box.cut(image), interpolation="nearest")
        score = comparison.scores.get(name)
        under = "(PSNR, SSIM)" if score is None else f"({score.psnr:.2f}, {score.ssim:.4f})"
        axes.set_xlabel(f"{name}\n{under}", weight="bold" if score == best else "normal")
    for axes in figure.axes:
        axes.set_xticks([])
        axes.set_yticks([])
    return figure


def cost(results: Sequence[Result], methods: Mapping[str, Method]) -> Figure:
    """PSNR against time and against parameters; `results` are of one set and scale."""
    from matplotlib.figure import Figure

    first = results[0]
    figure = Figure(figsize=(9, 4), layout="constrained")
    by_time, by_size = figure.subplots(1, 2, sharey=True)
    # Bicubic has no parameters, and its time is that of the interpolation alone.
    sizes = {name: method.parameters for name, method in methods.items() if method.parameters}
    for axes, values, label in (
        (by_time, {r.method: r.seconds for r in results}, "seconds an image"),
        (by_size, sizes, "parameters"),
    ):
        for number, result in enumerate(results):
            if result.method in values:
                place = (values[result.method], result.mean.psnr)
                axes.plot(*place, "o", color=f"C{number}")
                axes.annotate(
                    result.method,
                    place,
                    xytext=(6, 4),
                    textcoords="offset points",
                    color=f"C{number}",
                )
        axes.set_xscale("log")
        axes.margins(x=0.25, y=0.15)
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    by_time.set_ylabel(f"PSNR on {first.data}, {first.label} (dB)")
    return figure


def distribution(results: Sequence[Result]) -> Figure:
    """PSNR of every image, a row a method; `results` are of one set and scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.2 + 0.5 * len(results)), layout="constrained")
    axes = figure.subplots()
    values = [[r.psnr for r in result.records if isfinite(r.psnr)] for result in results]
    places = range(len(results), 0, -1)
    axes.boxplot(values, positions=places, orientation="horizontal", showfliers=False, widths=0.6)
    for number, (place, psnr) in enumerate(zip(places, values, strict=True)):
        axes.plot(psnr, [place] * len(psnr), "o", alpha=0.5, markersize=4, color=f"C{number}")
    axes.set_yticks(places, [result.method for result in results])
    axes.set_xlabel(f"PSNR of each image of {results[0].data}, {results[0].label} (dB)")
    axes.grid(alpha=0.3, axis="x")
    return figure


def save(figure: Figure, path: Path, source: str = "") -> list[Path]:
    """Write a figure as PDF and PNG, which says its source; `path` is without extension."""
    written = []
    for kind in ("pdf", "png"):
        target = path.with_name(f"{path.name}.{kind}")
        # No date in the file: the same figure then is the same bytes.
        metadata = {"CreationDate": None} if kind == "pdf" else {"Source": source}
        with whole_file(target) as file:
            figure.savefig(file, format=kind, dpi=200, metadata=metadata)
        written.append(target)
    return written
