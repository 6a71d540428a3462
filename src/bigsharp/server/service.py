"""The service without HTTP: tickets, their queue, the processes that work, what is kept."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import pickle
import secrets
import shlex
import shutil
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

from starlette.exceptions import HTTPException

from bigsharp import errors
from bigsharp.io.formats import READ
from bigsharp.jobs.job import Job, Order
from bigsharp.jobs.naming import BESIDE, Naming
from bigsharp.jobs.plan import plan
from bigsharp.options import Options
from bigsharp.restoration.models import available_models
from bigsharp.server.folder import own_folder
from bigsharp.server.settings import MEGABYTE, Settings

_log = logging.getLogger(__name__)

#: Characters of a picture's name that are kept, and of its extension.
_NAME, _EXTENSION = 100, 8

#: Bytes that a ticket is counted for at least, so that failed ones do not pile up.
_LEAST = 4096

#: Seconds that a client is told to wait.
_SHORTEST, _LONGEST = 1, 60

#: Pictures whose mean time says how long that is.
_REMEMBERED = 20


@dataclass(eq=False)
class Ticket:
    """A picture that somebody asked for, and what became of it.

    Attributes
    ----------
    name, result : str
        What its user calls the picture, and may call the result: for people alone.
    options : Options
    job : Job
        In a folder of its own.
    state : {"queued", "running", "done", "failed", "deleted"}
    share : float
        Done of it, 0 to 1.
    status : int
        HTTP's, of the result.
    error : str, optional
        One line.
    said : str, optional
        What was taken away first, and where the model restored at another scale, in a few words.
    bytes : int
        On the disk.
    holders : int
        How many have it in hand: meanwhile it makes no room for others.
    fetched : bool
        Whether somebody has its result.
    process : Process, optional
        What is working on it.
    changed : asyncio.Event
        Set at the next change, and another one is there then.
    kept : asyncio.TimerHandle, optional
        What will delete it.
    """

    name: str
    result: str
    options: Options
    job: Job
    bytes: int
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: Literal["queued", "running", "done", "failed", "deleted"] = "queued"
    share: float = 0.0
    status: int = 200
    error: str | None = None
    said: str | None = None
    holders: int = 0
    fetched: bool = False
    process: Process | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    kept: asyncio.TimerHandle | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will become of it."""
        return self.state not in ("queued", "running")

    @property
    def command(self) -> str:
        """The command line that does the same."""
        name = f"./{self.name}" if self.name.startswith("-") else self.name
        return shlex.join(["bigsharp", "upscale", name, *self.options.words()])

    def set(self, **values: Any) -> None:
        """Change it, and wake whoever waits for that."""
        for name, value in values.items():
            setattr(self, name, value)
        self.changed.set()
        self.changed = asyncio.Event()

    async def end(self) -> None:
        """Wait for its end."""
        while not self.ended:
            await self.changed.wait()

    async def away(self) -> None:
        """Wait until its result is fetched, or it has ended without one."""
        while not self.ended or (self.state == "done" and not self.fetched):
            await self.changed.wait()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have it in hand."""
        self.holders += 1
        try:
            yield
        finally:
            self.holders -= 1

    def as_json(self) -> dict[str, Any]:
        """What its user is told."""
        names = ("id", "state", "name", "result", "error", "said")
        said = {name: getattr(self, name) for name in names}
        return said | {"progress": round(self.share, 3), "command": self.command}


class Service:
    """Tasks in a bounded queue, and processes that do them; a context manager.

    Parameters
    ----------
    settings : Settings

    Attributes
    ----------
    tickets : dict of str to Ticket
        By id, until their results are deleted.
    incoming : int
        Bytes of requests that are arriving.
    counts : Counter of str
        Tasks that ended, by state, and workers replaced.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tickets: dict[str, Ticket] = {}
        self.incoming = 0
        self._stored = 0
        self.counts: Counter[str] = Counter()
        self.seconds = 0.0
        self._recent: deque[float] = deque([1.0], _REMEMBERED)
        self._closing = False
        self._exit = ExitStack()
        self._threads = max(1, (os.cpu_count() or 1) // settings.workers)

    async def __aenter__(self) -> Self:
        self._folder = self._exit.enter_context(own_folder())
        self._queue: asyncio.Queue[Ticket] = asyncio.Queue()
        self._slots = [asyncio.create_task(self._slot()) for _ in range(self.settings.workers)]
        return self

    async def __aexit__(self, *error: object) -> None:
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)
        self._exit.close()

    def of(self, state: str) -> list[Ticket]:
        """The tickets in a state, oldest first."""
        return [ticket for ticket in self.tickets.values() if ticket.state == state]

    @property
    def bytes(self) -> int:
        """On the disk, and on the way there."""
        return self.incoming + self._stored

    def check(self) -> None:
        """Refuse another picture where there is no place for it.

        Raises
        ------
        HTTPException
            429 while the queue is full, 503 where the service ends or its disk is full.
        """
        if self._closing:
            raise HTTPException(503, "the service is stopping", {"Retry-After": "10"})
        waiting = len(self.of("queued"))
        if waiting >= self.settings.queue:
            mean = sum(self._recent) / len(self._recent)
            wait = math.ceil(mean * waiting / self.settings.workers)
            wait = min(max(wait, _SHORTEST), _LONGEST)
            sentence = f"{waiting} pictures are waiting already; try again in {wait} s"
            raise HTTPException(429, sentence, {"Retry-After": str(wait)})
        self._make_room()
        if self.bytes > self.settings.space * MEGABYTE:
            raise HTTPException(503, "the service's disk is full", {"Retry-After": str(_LONGEST)})

    def ticket(self, name: str, content: BinaryIO, options: Options) -> Ticket:
        """A ticket of a picture, whose content it copies: not for the thread of the event loop.

        Raises
        ------
        BigsharpError
            The options are none.
        """
        if options.model not in available_models():
            raise errors.unknown("model", options.model, available_models())
        name = _shown(name)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            extension = Path(name).suffix.lower()
            source = folder / f"picture{extension if extension in READ else ''}"
            with source.open("wb") as file:
                shutil.copyfileobj(content, file)
            naming = Naming(None, options.format, options.model)
            order = Order(
                options.size,
                options.saving,
                options.colour,  # type: ignore[arg-type]
                options.cleaning,
                max_pixels=self.settings.max_pixels,
            )
            (job,) = plan([source], None, order, naming)
            result = str(naming.name(Path(name), options.size, BESIDE))
            return Ticket(name, result, options, job, max(_LEAST, source.stat().st_size))
        except BaseException:
            shutil.rmtree(folder)
            raise

    def enqueue(self, ticket: Ticket) -> None:
        """Let a ticket wait its turn, if there is a place."""
        try:
            self.check()
        except HTTPException:
            shutil.rmtree(ticket.job.source.parent)
            raise
        self.tickets[ticket.id] = ticket
        self._stored += ticket.bytes
        self._queue.put_nowait(ticket)

    def forget(self, ticket: Ticket) -> None:
        """Delete a ticket and its files, whatever it is at."""
        if self.tickets.pop(ticket.id, None) is None:
            return
        self._stored -= ticket.bytes
        if ticket.process is not None:
            _kill(ticket.process)
        if ticket.kept is not None:
            ticket.kept.cancel()
        if not ticket.ended:
            self.counts["deleted"] += 1
        ticket.set(state="deleted", status=410, error="the picture was deleted")
        shutil.rmtree(ticket.job.source.parent, ignore_errors=True)

    async def drain(self) -> None:
        """Take no more, end what waits; let what runs finish and be fetched, if that is soon."""
        self._closing = True
        for ticket in self.of("queued"):
            self._end(ticket, 503, "the service is stopping")
        running = [asyncio.create_task(ticket.away()) for ticket in self.of("running")]
        if running:
            await asyncio.wait(running, timeout=self.settings.stop_seconds)
        for ticket in self.of("running"):
            self._end(ticket, 503, "the service is stopping")

    async def _slot(self) -> None:
        """Work with one process, and with the next one when that has ended."""
        process = None
        try:
            while True:
                process = await self._living(process)
                ticket = await self._queue.get()
                # It may have ended while it had nothing to do.
                process = await self._living(process)
                if ticket.state == "queued" and not await self._do(ticket, process):
                    _kill(process)
                    await process.wait()
        finally:
            if process is not None:
                _kill(process)
                await process.wait()

    async def _living(self, process: Process | None) -> Process:
        """A process, or another one in the place of one that has ended."""
        if process is not None:
            if process.returncode is None:
                return process
            self.counts["replaced"] += 1
        words = ("-m", "bigsharp.server.worker", str(self._threads))
        while True:
            try:
                return await asyncio.create_subprocess_exec(
                    sys.executable, *words, stdin=PIPE, stdout=PIPE
                )
            except OSError as error:  # There may be too little memory just now.
                _log.error("no process can be started (%s)", error.strerror)
                await asyncio.sleep(1)

    async def _do(self, ticket: Ticket, process: Process) -> bool:
        """Have a process do a ticket; says whether that can do another."""
        began = time.monotonic()
        ticket.set(state="running", process=process)
        seconds = self.settings.job_seconds
        answer: dict[str, Any] | None = None
        try:
            async with asyncio.timeout(seconds):
                answer = await self._answer(ticket, process)
        except TimeoutError:
            self._end(ticket, 503, f"not done in {seconds:g} s; ask for a smaller result")
        finally:
            ticket.process = None
        if answer is not None and not ticket.ended:
            self.seconds += time.monotonic() - began
            self._recent.append(time.monotonic() - began)
            self._end(ticket, answer["status"], answer.get("error"))
            if "trace" in answer:
                _log.error("%s", answer["trace"])
        elif not ticket.ended:
            self._end(ticket, 500, "the process that worked on the picture has ended")
        return answer is not None

    async def _answer(self, ticket: Ticket, process: Process) -> dict[str, Any] | None:
        """Its last answer to a ticket; None where it ended before."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(pickle.dumps((ticket.job, ticket.options.restorer)))
            await process.stdin.drain()
            while line := await process.stdout.readline():
                answer: dict[str, Any] = json.loads(line)
                if "status" in answer:
                    return answer
                ticket.set(**answer)
        except (OSError, ValueError):  # It was gone before it was asked, or in mid-word.
            pass
        return None

    def _end(self, ticket: Ticket, status: int, error: str | None) -> None:
        """Tell how a ticket ended; keep its result for a while."""
        size = ticket.job.output.stat().st_size if status == 200 else 0
        space = self.settings.space
        if size > space * MEGABYTE:
            ticket.job.output.unlink()
            error = (
                f"the result has {size / MEGABYTE:.1f} MB, and there is space for {space} (--space)"
            )
            status, size = 413, 0
        if error is not None:
            source, output = str(ticket.job.source), str(ticket.job.output)
            error = error.replace(output, ticket.result).replace(source, ticket.name)
            if ticket.name not in error and ticket.result not in error:
                error = f"{ticket.name}: {error}"
        state: Literal["done", "failed"] = "done" if status == 200 else "failed"
        self.counts[state] += 1
        ticket.job.source.unlink(missing_ok=True)
        self._stored += size + _LEAST - ticket.bytes
        ticket.bytes = size + _LEAST
        ticket.set(
            state=state, status=status, error=error, share=1.0 if status == 200 else ticket.share
        )
        loop = asyncio.get_running_loop()
        ticket.kept = loop.call_later(self.settings.keep_seconds, self.forget, ticket)
        with ticket.held():
            self._make_room()

    def _make_room(self) -> None:
        for oldest in list(self.tickets.values()):
            if self.bytes <= self.settings.space * MEGABYTE:
                return
            if oldest.ended and not oldest.holders:
                self.forget(oldest)


def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()


def _shown(name: str) -> str:
    """A file's name of which nothing but a name is left."""
    last = "".join(c for c in name.replace("\\", "/").rpartition("/")[2] if c.isprintable())
    path = Path(last.strip() or "picture")
    extension = path.suffix[:_EXTENSION]
    return path.name.removesuffix(path.suffix)[: _NAME - len(extension)] + extension
