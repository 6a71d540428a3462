"""Jobs, laid out before any work is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bigsharp.errors import BigsharpError
from bigsharp.io.files import check_path
from bigsharp.io.formats import is_written
from bigsharp.jobs.find import find_pictures, is_folder, is_several, place_of
from bigsharp.jobs.job import STANDARD, Job, Order
from bigsharp.jobs.naming import IN_FOLDER, Naming


def plan(
    inputs: Sequence[str | Path],
    output: str | Path | None,
    order: Order,
    naming: Naming = Naming(),  # noqa: B008
    *,
    recursive: bool = False,
) -> list[Job]:
    """Lay out what is to be done, and refuse what cannot be, before any work.

    Parameters
    ----------
    inputs : sequence of str or path
        Files, folders, patterns such as ``*.png``, ``@LIST`` for a text file of them, one a line,
        or ``-`` for standard input. A picture named twice is done once.
    output : path, optional
        A file; or a folder where there is more than one input, a folder among
        them, or a name that is a folder or ends in ``/``. By default each result goes beside its
        original.
    order : Order
    naming : Naming
    recursive : bool
        Look into folders within folders; the output folder mirrors them.

    Raises
    ------
    BigsharpError
        Nothing is there, two pictures would have one result, a result would replace an original or
        exists, or cannot be written.
    """
    if naming.overwrite and naming.skip_existing:
        raise BigsharpError("`overwrite` and `skip_existing` exclude each other")
    inputs = list(dict.fromkeys(inputs))
    folder = _output_folder(inputs, output)
    jobs = []
    for source, within in find_pictures(inputs, recursive, folder):
        if folder is not None:
            place = folder / within / naming.name(source, order.size, IN_FOLDER)
        elif output is not None:
            place = Path(output)
        elif source == STANDARD:
            place = STANDARD
        else:
            place = source.parent / naming.name(source, order.size, naming.beside)
        jobs.append(Job(source, place, order, naming.kind(place)))
    if not naming.overwrite:
        jobs = _without_results(jobs, {place_of(Path(words)) for words in inputs})
    for job in jobs:
        if job.output != STANDARD:
            check_path(job.output)
    _refuse_clashes(jobs)
    return _without_existing(jobs, naming)


def _output_folder(inputs: Sequence[str | Path], output: str | Path | None) -> Path | None:
    """The folder that results go into; None where they have none of their own."""
    if output is None or str(output) == str(STANDARD):
        return None
    if str(output).endswith(("/", os.sep)) or (is_folder(output) and not is_written(output)):
        return Path(output)
    if len(inputs) == 1 and not is_several(str(inputs[0])):
        # Whoever names a file, and hits a folder, will be told.
        return None
    if is_written(output):
        raise BigsharpError(
            f"{output}: names one picture, and there may be several; a folder's name ends in /"
        )
    return Path(output)


def _without_results(jobs: list[Job], named: set[str]) -> list[Job]:
    """Without results of an earlier run that were found beside their originals."""
    places = [(place_of(job.source), place_of(job.output)) for job in jobs]
    earlier = {output for source, output in places if output != source} - named
    return [job for job, (source, _) in zip(jobs, places, strict=True) if source not in earlier]


def _refuse_clashes(jobs: Sequence[Job]) -> None:
    """No two pictures have one result, and no result is an original."""
    sources = {place_of(job.source) for job in jobs}
    results: dict[str, Path] = {}
    if len(jobs) > 1 and any(job.output == STANDARD for job in jobs):
        raise BigsharpError("- is standard output, which takes one picture")
    for job in jobs:
        if job.output == STANDARD:
            continue
        place = place_of(job.output)
        if place in sources and place != place_of(job.source):
            raise BigsharpError(
                f"{job.output}: is one of the pictures, and would be the result of {job.source}; "
                "give results another name or folder, or leave `overwrite` out"
            )
        if place in sources:
            raise BigsharpError(f"{job.output}: is the original; give the result another name")
        if place in results:
            raise BigsharpError(
                f"{job.output}: would be the result of {results[place]} and of {job.source}; "
                "give them other names, as with `name`"
            )
        results[place] = job.source
        if job.output.exists() and job.source.exists() and job.output.samefile(job.source):
            raise BigsharpError(f"{job.output}: is the original; give the result another name")


def _without_existing(jobs: list[Job], naming: Naming) -> list[Job]:
    existing = [job for job in jobs if job.output.is_file()]
    if naming.skip_existing:
        return [job for job in jobs if not job.output.is_file()]
    if existing and not naming.overwrite:
        others = f", and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise BigsharpError(
            f"{existing[0].output}: exists{others}; give `overwrite`, `skip_existing`, or another "
            "name"
        )
    return jobs
