"""Work spread over threads, or over processes where Python itself would be the bottleneck."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from typing import Any, TypeVar

from bigsharp.errors import BigsharpError

Item = TypeVar("Item")
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
    work: Callable[[Item], Result],
    items: Iterable[Item],
    pool: Executor | None = None,
    stop: Callable[[], None] = lambda: None,
) -> Iterator[Result]:
    """Work on items in a pool, or here without one; results come as they are ready.

    Where one fails, or the caller stops asking, those that were not begun are left, `stop` is
    called, and the others are waited for.

    Raises
    ------
    BigsharpError
        A process of the pool died.
    """
    if pool is None:
        yield from map(work, items)
        return
    try:
        for future in as_completed([pool.submit(work, item) for item in items]):
            yield future.result()
    except BrokenExecutor:
        raise BigsharpError(
            "a process that shared the work was ended; if for lack of memory, give fewer `jobs`"
        ) from None
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
