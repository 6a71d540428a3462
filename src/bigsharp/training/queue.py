"""A queue of training runs in one file, worked through one after another.

```toml
[[run]]
recipe = "vdsr-trunk"       # a recipe's name, or a .toml file
for = "20h"                 # trained so long in all, over every session; without it, to the end
[[run]]
recipe = "vdsr-anneal"
folder = "vdsr-1"           # by default named for the recipe
from = "vdsr-trunk/last.pt" # a released model, or a file
steps = 9000                # and data, scale, lr, seed, as on the command line of `bigsharp train`
```

Folders and files are meant from where the queue file lies. A run that was begun goes on where it
stopped, one that is done is passed over, and one that fails does not keep the others from running.
"""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bigsharp import errors
from bigsharp.errors import BigsharpError
from bigsharp.io.files import write_bytes
from bigsharp.limits import shown
from bigsharp.training.checkpoint import LAST, read_run
from bigsharp.training.log import Validation
from bigsharp.training.loop import NO_MEMORY, Status, Trainer
from bigsharp.training.recipe import Recipe, load_recipe, read_toml

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_LISTS = ("data", "scale")

#: Seconds that a stopped process has for its step and its checkpoint.
_PATIENCE = 300
_KEYS = ("recipe", "folder", "from", "for", "steps", "lr", "seed", *_LISTS)


def parse_duration(text: str) -> float:
    """The seconds of "90s", "45m", "2h", "1h30m" or "3d".

    Raises
    ------
    BigsharpError
        It is no such text, or no time at all.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", text)
    seconds = sum(float(count) * _UNITS[unit] for count, unit in parts)
    if not parts or "".join(map("".join, parts)) != text or seconds == 0:
        raise BigsharpError(f"{shown(text)} is no duration such as 90s, 45m, 2h, 1h30m or 3d")
    return seconds


@dataclass(frozen=True)
class Entry:
    """One run of a queue.

    Attributes
    ----------
    recipe : Recipe
    folder : Path
    start : str, optional
        A released model, or a file, whose weights the run starts from.
    seconds : float
        How long it is trained in all.
    """

    recipe: Recipe
    folder: Path
    start: str | None
    seconds: float

    @classmethod
    def from_dict(cls, values: dict[str, Any], base: Path) -> Entry:
        """Check one table of a queue file that lies in `base`.

        Raises
        ------
        BigsharpError
            A key is missing, unknown or of the wrong kind, or there is no such recipe.
        """
        for key in values:
            if key not in _KEYS:
                raise errors.unknown("key of a run", key, _KEYS)
        if "recipe" not in values:
            raise BigsharpError("it names no recipe")
        for key in ("recipe", "folder", "from", "for"):
            if not isinstance(values.get(key, ""), str):
                raise BigsharpError(f"{key} cannot be {shown(values[key])}; it is a text")
            if "\0" in values.get(key, ""):
                raise BigsharpError(f"{key} cannot be {shown(values[key])}; no file is called so")
        for key in _LISTS:
            if not isinstance(values.get(key, []), list):
                raise BigsharpError(f"{key} cannot be {shown(values[key])}; it is a list")
        name = values["recipe"]
        recipe = load_recipe(str(base / name) if name.endswith(".toml") else name).changed(
            data=values.get("data"),
            scales=values.get("scale"),
            **{key: values.get(key) for key in ("steps", "lr", "seed")},
        )
        start, folder = values.get("from"), base / values.get("folder", recipe.name)
        if not folder.resolve().is_relative_to(base.resolve()):
            raise BigsharpError(f"folder {folder} lies outside the folder of the queue")
        return cls(
            recipe,
            folder,
            str(base / start) if start and start.endswith((".pt", ".safetensors")) else start,
            parse_duration(values["for"]) if "for" in values else math.inf,
        )

    @property
    def name(self) -> str:
        """What the run is called: its folder's name."""
        return self.folder.name

    def reached(self) -> dict[str, Any] | None:
        """The run's last checkpoint; None before the first."""
        path = self.folder / LAST
        return read_run(path) if path.exists() else None

    def is_done(self, reached: dict[str, Any]) -> bool:
        """Whether all its steps, or all its time, are behind it."""
        return reached["step"] >= self.recipe.steps or reached["seconds"] >= self.seconds

    def status(self) -> str:
        """One line: what the run has reached."""
        try:
            reached = self.reached()
        except BigsharpError as error:
            return f"{self.name}: {error}"
        if reached is None:
            return f"{self.name}: waits"
        state = "done" if self.is_done(reached) else "goes on"
        line = f"{self.name}: {state}, step {reached['step']:,} of {self.recipe.steps:,}"
        line += f", {reached['seconds'] / 3600:.1f} h"
        if math.isfinite(self.seconds):
            line += f" of {self.seconds / 3600:.1f}"
        if reached["log"]:
            psnr = Validation.from_row(reached["log"][-1]).psnr
            line += "".join(f", {name} {value:.2f}" for name, value in psnr.items()) + " dB"
        return line


def read_queue(path: Path) -> tuple[list[Entry], list[str]]:
    """The runs of a queue file, and a line for each that cannot be run.

    Raises
    ------
    BigsharpError
        The file is missing, is no TOML, or holds no list of runs.
    """
    tables = read_toml(path).get("run")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BigsharpError(f"{path}: holds no runs; each is a table that begins with [[run]]")
    entries: dict[Path, Entry] = {}
    faults = []
    for number, table in enumerate(tables, 1):
        try:
            entry = Entry.from_dict(table, path.parent)
            if entry.folder.resolve() in entries:
                raise BigsharpError(f"{entry.folder} is the folder of a run before it")
            entries[entry.folder.resolve()] = entry
        except BigsharpError as error:
            faults.append(f"{path}: run {number}: {error}")
    return list(entries.values()), faults


def open_run(entry: Entry, root: str | Path | None, device: str) -> Trainer | None:
    """What trains a run from where it stopped; None where it is done.

    Raises
    ------
    BigsharpError
        As `Trainer`.
    """
    reached = entry.reached()
    if reached is not None and entry.is_done(reached):
        return None
    return Trainer(
        entry.recipe,
        entry.folder,
        root=root,
        device=device,
        resume=reached is not None,
        start=entry.start if reached is None else None,
    )


class Worker:
    """Works through a queue, at the lowest priority where the system lets a process lower its own.

    Parameters
    ----------
    root : path, optional
        The folder of the image sets.
    device : str
        "cpu", "cuda" …
    tell : callable
        Takes the lines that are to be read.

    Attributes
    ----------
    stopped : bool
        Whether `stop` was called.
    """

    def __init__(
        self, root: str | Path | None, device: str, tell: Callable[[str], None] = print
    ) -> None:
        self.root, self.device, self.tell = root, device, tell
        self._trainer: Trainer | None = None
        self.stopped = False

    def stop(self) -> None:
        """End after the current step, with a checkpoint."""
        self.stopped = True
        if self._trainer is not None:
            self._trainer.stop = True

    def work(self, entries: list[Entry]) -> int:
        """Train every run that is not done, in order, and give the number of those that failed."""
        if hasattr(os, "nice"):
            os.nice(19)
        failed = 0
        for entry in entries:
            if self.stopped:
                break
            try:
                self._train(entry)
            except BigsharpError as error:
                failed += 1
                self.tell(f"{entry.name}: {error}")
            except MemoryError:
                failed += 1
                self.tell(f"{entry.name}: {NO_MEMORY}")
            finally:
                self._trainer = None
        return failed

    def _train(self, entry: Entry) -> None:
        trainer = open_run(entry, self.root, self.device)
        if trainer is not None:
            self._trainer, trainer.stop = trainer, self.stopped

            def report(status: Status) -> None:
                if status.step % entry.recipe.validate_every == 0:
                    self.tell(f"{entry.name}: step {status.step:,}  {status}")

            trainer.train(report, entry.seconds - trainer.seconds)
        self.tell(entry.status())


@contextmanager
def working(file: Path) -> Iterator[None]:
    """Keep other processes from working through the same queue, and let `stop` find this one.

    Raises
    ------
    BigsharpError
        One works through it already, or its folder cannot be written to.
    """
    note = file.with_name(f"{file.name}.pid")
    with _claimed(file):
        write_bytes(note, str(os.getpid()).encode())
        try:
            yield
        finally:
            note.unlink(missing_ok=True)


@contextmanager
def _claimed(file: Path, timeout: float = 0) -> Iterator[None]:
    lock = FileLock(file.with_name(f"{file.name}.lock"), timeout=timeout)
    try:
        lock.acquire()
    except Timeout:
        raise BigsharpError(f"{file}: another process works through this queue") from None
    except OSError as error:
        raise BigsharpError(f"{file}: cannot be locked ({error.strerror or error})") from None
    try:
        yield
    finally:
        lock.release()


def start(file: Path, device: str, root: str | Path | None) -> int:
    """Work through a queue in a process of its own, which outlives this one; gives its number.

    Raises
    ------
    BigsharpError
        One works through it already.
    """
    with _claimed(file):
        pass
    words = ["queue", str(file), "--device", device]
    if root is not None:
        words += ["--root", str(root)]
    with file.with_name(f"{file.name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bigsharp", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return process.pid


def stop(file: Path) -> None:
    """End the process that works through a queue, and wait until its checkpoint is written.

    Raises
    ------
    BigsharpError
        None does, or it does not end within some minutes.
    """
    try:
        number = int(file.with_name(f"{file.name}.pid").read_text())
        os.kill(number, signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError):
        raise BigsharpError(f"{file}: no process works through this queue") from None
    with _claimed(file, _PATIENCE):
        pass
