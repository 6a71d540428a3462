"""`bigsharp queue`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bigsharp.cli.common import Device, Root, import_torch, say, stopping
from bigsharp.errors import BigsharpError


def queue(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .toml file: [[run]] tables.")],
    background: Annotated[
        bool, typer.Option("--background", help="Leave it to itself; it writes FILE.log.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Only say what each run has reached.")
    ] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="End one that works, and wait for its checkpoint.")
    ] = False,
    device: Device = "auto",
    root: Root = None,
) -> None:
    """Train the runs of a file one after another, at the lowest priority.

    It goes on where it stopped.
    """
    import_torch()
    from bigsharp.training import queue as queues
    from bigsharp.training.loop import choose_device

    if sum((background, show, stop)) > 1:
        raise BigsharpError("--background, --show and --stop are three things; give one")
    entries, faults = queues.read_queue(file)
    if stop:
        queues.stop(file)
    elif background:
        print(f"process {queues.start(file, device, root)} works; see {file}.log")
        return
    for line in faults:
        say(line)
    if show or stop:
        for entry in entries:
            print(entry.status())
        raise typer.Exit(1 if faults else 0)
    worker = queues.Worker(root, choose_device(device), lambda line: print(line, flush=True))
    with stopping(worker.stop), queues.working(file):
        failed = worker.work(entries)
    if worker.stopped:
        say("stopped; the same command goes on")
        raise typer.Exit(130)
    raise typer.Exit(1 if failed or faults else 0)
