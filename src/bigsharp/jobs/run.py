"""Jobs, done: a whole file, or nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bigsharp.errors import BigsharpError
from bigsharp.io import write
from bigsharp.io.files import write_bytes
from bigsharp.io.formats import format_like
from bigsharp.io.read import Reader
from bigsharp.jobs.job import STANDARD, Job, Order
from bigsharp.jobs.results import Results, Tell, unheard
from bigsharp.restoration.cleaner import Cleaner
from bigsharp.restoration.restorer import Progress, Restorer, silent

#: Bytes that come through a pipe.
_LONGEST = 2 << 30


def run(
    job: Job,
    restorer: Restorer,
    cleaner: Cleaner,
    progress: Progress = silent,
    tell: Tell = unheard,
) -> Path:
    """Do a job: a whole file, or nothing.

    Parameters
    ----------
    job : Job
    restorer : Restorer
        Enlarges.
    cleaner : Cleaner
        Takes away what the job asks for.
    progress, tell : callable

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    BigsharpError
        The picture cannot be read or written, or has no such size.
    """
    source = _from_stdin() if job.source == STANDARD else job.source
    with Reader(source, job.order.max_pixels) as reader:
        kind = job.format or format_like(reader.format)
        results = Results(reader, kind, job.order, restorer, cleaner, progress, tell, job.output)
        if results.same:
            _copy(source, job.output)
        elif job.output == STANDARD:
            sys.stdout.buffer.write(write.encode(kind, results, results.saving))
        else:
            write.write(job.output, kind, results, results.saving)
    if job.order.keep_times and STANDARD not in (job.source, job.output):
        times = job.source.stat()
        os.utime(job.output, ns=(times.st_atime_ns, times.st_mtime_ns))
    return job.output


def run_in_memory(
    content: bytes, order: Order, restorer: Restorer, cleaner: Cleaner, progress: Progress = silent
) -> bytes:
    """What `run` makes of a file, of the same format where that is written.

    Raises
    ------
    BigsharpError
        As by `run`.
    """
    with Reader(content, order.max_pixels) as reader:
        kind = format_like(reader.format)
        results = Results(reader, kind, order, restorer, cleaner, progress)
        return content if results.same else write.encode(kind, results, results.saving)


def _from_stdin() -> bytes:
    content = sys.stdin.buffer.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise BigsharpError("standard input: more than 2 GB, which no picture has")
    return content


def _copy(source: Path | bytes, output: Path) -> None:
    content = source if isinstance(source, bytes) else source.read_bytes()
    if output == STANDARD:
        sys.stdout.buffer.write(content)
    else:
        write_bytes(output, content)
