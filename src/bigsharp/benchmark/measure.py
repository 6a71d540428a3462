"""A whole benchmark of one task, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigsharp.benchmark import run
from bigsharp.benchmark.methods import Method, open_methods
from bigsharp.benchmark.records import RecordFile
from bigsharp.benchmark.run import Result
from bigsharp.benchmark.table import Grid, lay_out
from bigsharp.benchmark.tasks import Benchmark
from bigsharp.restoration.restorer import Progress, silent


@dataclass(frozen=True)
class Measured:
    """What a benchmark gives.

    Attributes
    ----------
    task : Benchmark
    results : list of Result
        By set, by strength, by protocol, by method.
    methods : mapping of str to Method
        What was scored, ready to restore more.
    grid : Grid
        The table, what is published beside it.
    """

    task: Benchmark
    results: list[Result]
    methods: Mapping[str, Method]
    grid: Grid


def measure(
    task: Benchmark,
    data: Mapping[str, Sequence[Path]],
    *,
    metrics: Sequence[str] = (),
    check: bool = False,
    engine: str = "auto",
    kept: RecordFile | None = None,
    jobs: int = 1,
    progress: Progress = silent,
) -> Measured:
    """Score the methods of a task on image sets, under each of its protocols.

    Parameters
    ----------
    task : Benchmark
        One of `bigsharp.benchmark.tasks.BENCHMARKS`, or `Benchmark.changed`.
    data : mapping of str to sequence of path
        Image sets with their images.
    check : bool
        See first that what restores nothing scores as published; see `run.check`.
    metrics, engine, kept, jobs, progress
        As `run.benchmark` takes them.

    Raises
    ------
    BigsharpError
        As `run.benchmark` and `run.check`.
    """
    opened = open_methods(task.methods, engine)
    settings: dict[str, Any] = {
        "engine": engine, "kept": kept, "jobs": jobs, "progress": progress,
    }  # fmt: skip
    results: list[Result] = []
    for rules in task.rules:
        if check:
            run.check(data, task.strengths, rules=rules, **settings)
        results += run.benchmark(
            data, task.strengths, task.methods, opened=opened, metrics=metrics, rules=rules,
            **settings,
        )  # fmt: skip
    order = list(data)
    results.sort(key=lambda each: (order.index(each.data), task.strengths.index(each.scale)))
    grid = lay_out(results, metrics=metrics, theirs_in=task.published)
    return Measured(task, results, opened, grid)
