"""Tables of what is measured: printed, and kept for tools/tables.py, which lays them into docs."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

from bigsharp import kernels
from bigsharp.benchmark.methods import digest_of_model
from bigsharp.benchmark.report import machine

FILE = Path(__file__).parents[1] / "docs" / "speed.json"


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--keep", action="store_true", help="keep the table in docs/speed.json")
    return parser


def timed(words: Sequence[str | Path]) -> tuple[float, float]:
    """Seconds and peak resident megabytes of a Python process of these words."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, *words])
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def means(scores: Iterable[Sequence[float]]) -> list[str]:
    """The mean of each, the best in bold."""
    cells = [f"{fmean(each):.2f}" for each in scores]
    best = max(cells, key=float)
    return [f"**{cell}**" if cell == best else cell for cell in cells]


def show(
    name: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    keep: bool,
    models: Sequence[str] = (),
) -> None:
    """Print a table, and keep it, with the machine and the weights of the models it is of."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in [head, *rows]:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    if keep:
        kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
        where = f"{machine()}, {kernels.instructions() or 'no native engine'}"
        digests = {model: digest for model in models if (digest := digest_of_model(model))}
        kept[name] = {
            "machine": where,
            "weights": digests,
            "head": list(head),
            "rows": [list(row) for row in rows],
        }
        text = json.dumps(dict(sorted(kept.items())), ensure_ascii=False, indent=1)
        FILE.write_text(text + "\n", encoding="utf-8")
