"""Work spread over threads, or over processes where Python itself would be the bottleneck."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def threads(count: int) -> Executor:
    """Threads of this process, for work that is done outside Python: decoding, the engine."""
    return ThreadPoolExecutor(count)


def processes(count: int, start: Callable[..., None], *words: Any) -> Executor:
    """Processes that each call `start` first."""
    # PyTorch and ONNX Runtime have threads, which a forked process would lack.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, context, start, words)


def spread(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    pool: Executor | None = None,
    stop: Callable[[], None] = lambda: None,
) -> Iterator[Result]:
    """Do tasks in a pool, or here without one; results come as they are ready.

    Where one fails, or the caller stops asking, tasks that were not begun are left, `stop` is
    called, and the others are waited for.
    """
    if pool is None:
        yield from map(work, tasks)
        return
    try:
        for future in as_completed([pool.submit(work, task) for task in tasks]):
            yield future.result()
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
