"""Results laid out as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from bigsharp.benchmark.run import Result


def terminal_table(results: Sequence[Result]) -> Table:
    """Rows of set and scale, a column a model, PSNR/SSIM in the cells; the best PSNR in bold."""
    models = list(dict.fromkeys(result.model for result in results))
    table = Table(title="PSNR (dB) / SSIM", box=box.SIMPLE_HEAD)
    table.add_column("set")
    table.add_column("scale", justify="right")
    for model in models:
        table.add_column(escape(model), justify="right")
    rows: dict[tuple[str, float], dict[str, Result]] = {}
    for result in results:
        rows.setdefault((result.data, result.scale), {})[result.model] = result
    for (data, scale), row in rows.items():
        best = max(result.mean.psnr for result in row.values())
        cells = []
        for model in models:
            mean = row[model].mean
            text = f"{mean.psnr:.2f} / {mean.ssim:.4f}"
            cells.append(f"[bold]{text}[/]" if mean.psnr == best and len(models) > 1 else text)
        table.add_row(escape(data), f"×{scale:g}", *cells)
    return table
