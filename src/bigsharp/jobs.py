"""What is to be done with which picture, planned before any work, and done."""

from __future__ import annotations

import glob
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np

from bigsharp import errors
from bigsharp.defaults import MAX_PIXELS, TILE
from bigsharp.errors import BigsharpError
from bigsharp.io import write
from bigsharp.io.files import check_path, write_bytes
from bigsharp.io.formats import READ, Format, format_like, format_named, format_of, is_written
from bigsharp.io.picture import Picture, check_pixels
from bigsharp.io.read import Reader
from bigsharp.io.write import Saving
from bigsharp.restoration.cleaning import Cleaner, Cleaning, choose_steps, cleaner_on
from bigsharp.restoration.pipeline import Colour, upscale_picture
from bigsharp.restoration.restorer import Progress, Restorer, detour, shifted, silent
from bigsharp.restoration.target import Size

#: The name of a cleaned picture beside the original.
RESTORED = "{stem}-restored{ext}"

#: The name of the result, beside the original and in a folder of results.
BESIDE, IN_FOLDER = "{stem}-{size}{ext}", "{stem}{ext}"

#: Standard input, or output.
STANDARD = Path("-")

#: Bytes of a list of pictures, and of one that comes through a pipe.
_LONGEST_LIST, _LONGEST = 64 << 20, 2 << 30

#: Bytes of results that are kept in case a frame comes again.
_RECENT = 64 << 20

#: Files and folders whose names begin so are passed over.
_HIDDEN = "."


def unheard(words: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Job:
    """A picture file to make of another.

    Attributes
    ----------
    source, output : Path
        `STANDARD` for standard input and output.
    size : Size
    format : Format, optional
        By default the original's, if that is written.
    saving : Saving
    tile : int
        Side of a tile in result pixels, for what goes tile by tile.
    max_pixels : int
        Refuse pictures, or results, of more pixels than this.
    keep_times : bool
        Give the result the times of the original.
    colour : {"auto", "luma", "ycbcr", "rgb"}
        What is restored; see `upscale_picture`.
    cleaning : Cleaning
        What is taken away first.
    """

    source: Path
    output: Path
    size: Size
    format: Format | None = None
    saving: Saving = field(default_factory=Saving)
    tile: int = TILE
    max_pixels: int = MAX_PIXELS
    keep_times: bool = False
    colour: Colour = "auto"
    cleaning: Cleaning = field(default_factory=Cleaning)

    def __post_init__(self) -> None:
        if self.tile < 1:
            raise BigsharpError(f"a tile is at least 1 pixel wide, not {self.tile}")
        if self.colour not in get_args(Colour):
            raise errors.unknown("colour mode", self.colour, get_args(Colour))


@dataclass(frozen=True)
class Naming:
    """How results are called, and what happens to those that exist.

    Attributes
    ----------
    template : str, optional
        Of the name: {stem}, {ext}, {size} (x2, 800w …), {scale} and {model} are replaced; it may
        hold folders. By default `BESIDE` or `IN_FOLDER`.
    format : str, optional
        A format's name or extension, instead of the original's.
    model : str
        For the template.
    overwrite, skip_existing : bool
        Replace a result that exists, or leave it and its picture alone; else it is an error.
    beside : str
        The template for a result beside its original.
    """

    template: str | None = None
    format: str | None = None
    model: str = ""
    overwrite: bool = False
    skip_existing: bool = False
    beside: str = BESIDE

    def kind(self, output: Path) -> Format | None:
        """The format of a result; None for the original's.

        Raises
        ------
        BigsharpError
            It is none that is written, or the name's extension says another.
        """
        named = format_named(self.format) if self.format else None
        if output == STANDARD:
            return named
        kind = format_of(output)
        if named not in (None, kind):
            raise BigsharpError(f"{output}: its extension says {kind}, and `format` {named}")
        return kind

    def name(self, source: Path, size: Size, default: str) -> Path:
        """The result's path, relative to the folder it goes into.

        Raises
        ------
        BigsharpError
            The template holds something else in braces, or its format is unknown.
        """
        extension = source.suffix if is_written(source) else ".png"
        if self.format:
            extension = format_named(self.format).extensions[0]
        scale = None if size.scale is None else f"{size.scale:.4g}"
        fields = {"stem": source.stem, "ext": extension, "size": str(size),
                  "scale": scale, "model": Path(self.model).stem}  # fmt: skip
        template = self.template or default
        try:
            name = template.format_map({k: v for k, v in fields.items() if v is not None})
        except (KeyError, ValueError, IndexError, AttributeError):
            known = ", ".join(f"{{{key}}}" for key, value in fields.items() if value is not None)
            raise BigsharpError(f"{template!r}: a name is made of {known}") from None
        if not name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise BigsharpError(f"{template!r}: a name stays in its folder")
        return Path(name)


def plan(
    inputs: Sequence[str | Path],
    output: str | Path | None,
    size: Size,
    naming: Naming = Naming(),
    *,
    recursive: bool = False,
    saving: Saving = Saving(),  # noqa: B008
    tile: int = TILE,
    max_pixels: int = MAX_PIXELS,
    keep_times: bool = False,
    colour: Colour = "auto",
    cleaning: Cleaning = Cleaning(),  # noqa: B008
) -> list[Job]:
    """Lay out what is to be done, and refuse what cannot be, before any work.

    Parameters
    ----------
    inputs : sequence of str or path
        Files, folders, patterns such as ``*.png``, ``@LIST`` for a text file of them, one a line,
        or ``-`` for standard input.
    output : path, optional
        A file; or a folder where there is more than one input, a folder among
        them, or a name that is a folder or ends in ``/``. By default each result goes beside its
        original.
    size : Size
    naming : Naming
    recursive : bool
        Look into folders within folders; the output folder mirrors them.
    saving, tile, max_pixels, keep_times, colour, cleaning
        As `Job` has them.

    Raises
    ------
    BigsharpError
        Nothing is there, two pictures would have one result, a result would replace an original or
        exists, or cannot be written.
    """
    if naming.overwrite and naming.skip_existing:
        raise BigsharpError("`overwrite` and `skip_existing` exclude each other")
    folder = _output_folder(inputs, output)
    jobs = []
    for source, within in _find(inputs, recursive, folder):
        if folder is not None:
            place = folder / within / naming.name(source, size, IN_FOLDER)
        elif output is not None:
            place = Path(output)
        elif source == STANDARD:
            place = STANDARD
        else:
            place = source.parent / naming.name(source, size, naming.beside)
        kind = naming.kind(place)
        jobs.append(
            Job(
                source,
                place,
                size,
                kind,
                saving,
                tile,
                max_pixels,
                keep_times,
                colour,
                cleaning,
            )
        )
    if not naming.overwrite:
        jobs = _without_results(jobs, {_place(Path(words)) for words in inputs})
    for job in jobs:
        if job.output != STANDARD:
            check_path(job.output)
    _refuse_clashes(jobs)
    return _without_existing(jobs, naming)


def _output_folder(inputs: Sequence[str | Path], output: str | Path | None) -> Path | None:
    """The folder that results go into; None where they have none of their own."""
    if output is None or str(output) == str(STANDARD):
        return None
    alone = len(inputs) == 1 and not _is_several(str(inputs[0]))
    # Whoever names a file, and hits a folder, will be told.
    if (
        alone
        and not str(output).endswith(("/", os.sep))
        and not (_is_folder(output) and not is_written(output))
    ):
        return None
    return Path(output)


def _is_folder(path: str | Path) -> bool:
    # `Path.is_dir` raises where a name is too long.
    return os.path.isdir(path)  # noqa: PTH112


def _is_several(words: str) -> bool:
    exists = os.path.lexists(words)
    return _is_folder(words) or (not exists and (words.startswith("@") or glob.has_magic(words)))


def _find(
    inputs: Sequence[str | Path],
    recursive: bool,
    output: Path | None,
    lists: set[str] | None = None,
) -> Iterator[tuple[Path, Path]]:
    """Every picture, and the folder that it lies in within the input that it was found by."""
    lists = lists or set()
    for words in inputs:
        if not str(words):
            raise BigsharpError("an empty name is no picture")
        path = Path(words)
        if path == STANDARD and len(inputs) > 1:
            raise BigsharpError("- is standard input, and no other picture goes with it")
        if not os.path.lexists(path) and str(words).startswith("@"):
            name = str(words)[1:]
            if _place(Path(name)) in lists:
                raise BigsharpError(f"{name}: names itself")
            yield from _find(_lines(name), recursive, output, lists | {_place(Path(name))})
        elif _is_folder(path):
            yield from _in_folder(path, recursive, output)
        elif not os.path.lexists(path) and glob.has_magic(str(words)):
            # Shells on Windows hand patterns on.
            names = glob.glob(str(words), recursive=True)  # noqa: PTH207  (Path's has a root)
            matches = [Path(name) for name in sorted(names)]
            if not matches:
                raise BigsharpError(f"{words}: no picture fits the pattern")
            yield from ((match, Path()) for match in matches if match.is_file())
        else:
            yield path, Path()


def _in_folder(folder: Path, recursive: bool, output: Path | None) -> Iterator[tuple[Path, Path]]:
    found = False
    avoided = output.resolve() if output is not None else None
    for place, folders, names in os.walk(folder, onerror=_refuse_to_pass_over):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders
            if recursive and not name.startswith(_HIDDEN) and (here / name).resolve() != avoided
        )  # fmt: skip
        for name in sorted(names):
            if Path(name).suffix.lower() in READ and not name.startswith(_HIDDEN):
                found = True
                yield here / name, here.relative_to(folder)
    if not found:
        deeper = "" if recursive else "; `recursive` looks into the folders within it"
        raise BigsharpError(f"{folder}: holds no picture{deeper}")


def _refuse_to_pass_over(error: OSError) -> None:
    raise BigsharpError(f"{error.filename}: cannot be read ({error.strerror})") from None


def _lines(path: str) -> list[str]:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LONGEST_LIST + 1)
    except OSError as error:
        raise BigsharpError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > _LONGEST_LIST:
        raise BigsharpError(f"{path}: is longer than any list of pictures")
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise BigsharpError(f"{path}: names no picture")
    return names


def _without_results(jobs: list[Job], named: set[str]) -> list[Job]:
    """Without results of an earlier run that were found beside their originals."""
    places = [(_place(job.source), _place(job.output)) for job in jobs]
    earlier = {output for source, output in places if output != source} - named
    return [job for job, (source, _) in zip(jobs, places, strict=True) if source not in earlier]


def _refuse_clashes(jobs: Sequence[Job]) -> None:
    """No two pictures have one result, and no result is an original."""
    sources = {_place(job.source) for job in jobs}
    results: dict[str, Path] = {}
    if len(jobs) > 1 and any(job.output == STANDARD for job in jobs):
        raise BigsharpError("- is standard output, which takes one picture")
    for job in jobs:
        if job.output == STANDARD:
            continue
        place = _place(job.output)
        if place in sources and place != _place(job.source):
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


def _place(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path))


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


def run(
    job: Job,
    restorer: Restorer,
    progress: Progress = silent,
    cleaner: Cleaner | None = None,
    tell: Callable[[str], None] = unheard,
) -> Path:
    """Do a job: a whole file, or nothing.

    Parameters
    ----------
    job : Job
    restorer : Restorer
        Enlarges.
    progress : callable
    cleaner : Cleaner, optional
        Takes away what the job asks for; by default the one for whoever names none.
    tell : callable
        Called with what is done about noise and JPEG's damage, and where the model restores at
        another scale than is asked for, in a few words.

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
    if _needs_nothing(source, job, tell):
        progress(1, 1)
        _copy(source, job.output)
    else:
        with Reader(source, job.max_pixels) as reader:
            kind = job.format or format_like(reader.format)
            pictures = results(reader, job, kind, restorer, progress, cleaner, tell)
            if job.output == STANDARD:
                sys.stdout.buffer.write(write.encode(kind, pictures, job.saving))
            else:
                write.write(job.output, kind, pictures, job.saving)
    if job.keep_times and STANDARD not in (job.source, job.output):
        times = job.source.stat()
        os.utime(job.output, ns=(times.st_atime_ns, times.st_mtime_ns))
    return job.output


def _needs_nothing(source: Path | bytes, job: Job, tell: Callable[[str], None]) -> bool:
    """Whether a file is the result as it is: there is nothing to clean, and to write it anew costs.

    It is what somebody asks who asks for a picture of some damage to be cleaned.
    """
    asked = job.cleaning.denoise is not None or job.cleaning.deblock is not None
    if not asked or job.cleaning.unasked or job.saving != Saving():
        return False
    with Reader(source, job.max_pixels) as reader:
        kind = job.format or format_like(reader.format)
        if not kind.has_quality or kind.name != reader.format or reader.count > 1:
            return False
        picture = next(iter(reader))
    steps, said = choose_steps(picture, job.cleaning)
    if steps or job.size.of(picture.size).size != picture.size:
        return False
    tell("; ".join(said))
    return True


def _copy(source: Path | bytes, output: Path) -> None:
    content = source if isinstance(source, bytes) else source.read_bytes()
    if output == STANDARD:
        sys.stdout.buffer.write(content)
    else:
        write_bytes(output, content)


def _from_stdin() -> bytes:
    content = sys.stdin.buffer.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise BigsharpError("standard input: more than 2 GB, which no picture has")
    return content


def results(
    reader: Reader,
    job: Job,
    kind: Format,
    restorer: Restorer,
    progress: Progress = silent,
    cleaner: Cleaner | None = None,
    tell: Callable[[str], None] = unheard,
) -> Iterator[Picture]:
    """The restored pictures of a file, each when it is asked for; equal ones are restored once.

    Raises
    ------
    BigsharpError
        Before any is restored: the size is none, too large, or not what the format holds.
    """
    recent = _Recent()
    for number, picture in enumerate(reader):
        if number == 0:
            target = job.size.of(picture.size)
            size = (target.height, target.width)
            if reader.several and kind.gathers:
                name = f"its {reader.count} frames together"
                check_pixels(name, reader.count * size[0], size[1], job.max_pixels)
            write.check(job.output, kind, picture, size, job.saving, reader.several)
        key = _digest(picture) if reader.count > 1 else b""
        restored = recent.get(key)
        if restored is None:
            told = _of_several(progress, number, reader.count)
            said = tell if number == 0 else unheard
            restored = restore(picture, job, restorer, told, cleaner, said)
            recent.add(key, restored)
        yield picture.with_pixels(restored.pixels, restored.alpha)


class _Recent:
    """The latest results, as many as a bound of memory lets be kept, and the very last.

    They go by the digests of what they were made of.
    """

    def __init__(self) -> None:
        self._kept: dict[bytes, Picture] = {}

    def get(self, key: bytes) -> Picture | None:
        """What a picture of the same pixels became."""
        return self._kept.get(key)

    def add(self, key: bytes, restored: Picture) -> None:
        """Keep a result, in the place of the oldest."""
        self._kept[key] = restored
        while len(self._kept) > 1 and sum(map(_size, self._kept.values())) > _RECENT:
            self._kept.pop(next(iter(self._kept)))


def _digest(picture: Picture) -> bytes:
    bands = np.ascontiguousarray(picture.bands)
    return hashlib.sha256(bands.data).digest() + repr((bands.shape, bands.dtype)).encode()


def _size(picture: Picture) -> int:
    return picture.pixels.nbytes + (0 if picture.alpha is None else picture.alpha.nbytes)


def restore(
    picture: Picture,
    job: Job,
    restorer: Restorer,
    progress: Progress,
    cleaner: Cleaner | None = None,
    tell: Callable[[str], None] = unheard,
) -> Picture:
    """A picture as a job asks for it: cleaned, and enlarged.

    Raises
    ------
    BigsharpError
        The picture or the result is too large, or has no such size.
    """
    check_pixels("the picture", *picture.size, job.max_pixels)
    target = job.size.of(picture.size)
    check_pixels("the result", target.height, target.width, job.max_pixels)
    # A model that knows larger scales alone restores more than is asked for.
    passes = restorer.passes(target, picture.size)
    for step in passes:
        check_pixels("what the model restores", *step.size, 4 * job.max_pixels)
    dtype = write.dtype_of(picture, job.saving)
    steps, said = choose_steps(picture, job.cleaning, target.scale)
    keeps_size = target.size == picture.size
    # Who enlarges need not hear of what was not done.
    said = said if steps or keeps_size else []
    if not keeps_size and (words := detour(passes, target)):
        said = [*said, words]
    if said:
        tell("; ".join(said))
    if steps:
        first = picture.size[0] * picture.size[1] * len(steps)
        pixels = first + (0 if keeps_size else target.height * target.width)
        cleaner = cleaner or cleaner_on()
        picture = cleaner.clean(picture, steps, job.tile, shifted(0, pixels, progress))
        progress = shifted(first, pixels, progress)
    return upscale_picture(
        picture,
        target,
        restorer,
        tile=job.tile,
        dtype=dtype,
        colour=job.colour,
        progress=progress,
    )


def _of_several(progress: Progress, number: int, count: int) -> Callable[[int, int], None]:
    """Progress through a picture as progress through them all, were they of one size."""
    return lambda done, total: progress(number * total + done, count * total)
