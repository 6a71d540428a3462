"""`bigsharp data`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bigsharp.cli.common import Quiet, Root, progress_bar, words


def data(
    check: Annotated[
        bool, typer.Option("--check", help="Look for test images among the training images.")
    ] = False,
    tests: Annotated[
        str | None, typer.Option("--data", help="Test on these [default: all test sets there].")
    ] = None,
    trainings: Annotated[
        str | None,
        typer.Option("--against", help="Train on these [default: all training sets there]."),
    ] = None,
    root: Root = None,
    quiet: Quiet = False,
) -> None:
    """Say which image sets are there, and where each is published.

    With --check: whether images that are tested on lie among those that are trained on.
    """
    from bigsharp.scoring import leaks, sets

    if not check:
        for line in sets.survey(root):
            print(line)
        return
    searched = sets.choose(words(tests) if tests else [], "test", root)
    trained_on = sets.choose(words(trainings) if trainings else [], "train", root)
    with progress_bar(quiet) as bar:
        task = bar.add_task("looking", total=None)
        copies = leaks.find_copies(
            searched,
            trained_on,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    for copy in copies:
        print(copy)
    if not quiet:
        print(f"{len(copies)} found of {len(searched)} × {len(trained_on)} pairs", file=sys.stderr)
    raise typer.Exit(1 if copies else 0)
