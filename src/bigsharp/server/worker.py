"""The process that restores pictures for the service: what crashes a decoder ends it alone.

On standard input come pickles, each a `Job` and the name of its model; on standard output goes a
line of JSON for each step of its progress, one with what is to be said of it, and at last one
with ``status``.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import pickle
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from bigsharp.errors import BigsharpError, NoPicture, TooLarge, as_line
from bigsharp.jobs.job import Job
from bigsharp.jobs.run import run
from bigsharp.restoration.cleaner import cleaner_on
from bigsharp.restoration.models import open_restorer

#: Of what is answered; any other mistake of the user's is 422.
_STATUS = {TooLarge: 413, NoPicture: 415}

#: What a system says of a disk that takes no more, or nothing.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

#: Shares of a picture between two reports.
_STEP = 0.01

#: The innermost calls of a fault that are reported.
_CALLS = 10

Say = Callable[..., None]

_open = lru_cache(maxsize=2)(open_restorer)


def status_of(error: BigsharpError) -> int:
    """The HTTP status of a mistake, the user's or this machine's."""
    if isinstance(error.__context__, OSError) and error.__context__.errno in _DISK:
        return 503
    return _STATUS.get(type(error), 422)


def main(threads: int) -> None:
    """Do what comes until there is no more."""
    # Ctrl-C reaches the whole group, and the service ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="PIL")
    with os.fdopen(os.dup(1), "w") as answers:
        # Decoders print what they think into these descriptors.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(nowhere, number)

        def say(**said: Any) -> None:
            print(json.dumps(said), file=answers, flush=True)

        while True:
            try:
                job, model = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            _do(job, model, threads, say)


def _do(job: Job, model: str, threads: int, say: Say) -> None:
    told = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told
        if done / total >= told + _STEP:
            told = done / total
            say(share=told)

    try:
        cleaner = cleaner_on(threads=threads)
        run(job, _open(model, threads=threads), cleaner, progress, lambda words: say(said=words))
    except BigsharpError as error:
        say(status=status_of(error), error=as_line(str(error)))
    except MemoryError:
        say(status=503, error="not enough memory; use a smaller scale")
    except Exception as error:
        fault = f"the service failed ({type(error).__name__})"
        say(status=500, error=fault, trace=traceback.format_exc(-_CALLS))
    else:
        say(status=200)


if __name__ == "__main__":
    main(int(sys.argv[1]))
