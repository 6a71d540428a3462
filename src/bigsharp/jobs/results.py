"""What becomes of the pictures of a file, one after another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bigsharp.io import write
from bigsharp.io.formats import Format
from bigsharp.io.picture import Picture, check_pixels
from bigsharp.io.read import Reader
from bigsharp.io.write import Saving
from bigsharp.jobs.job import Order
from bigsharp.restoration.cleaner import Cleaner
from bigsharp.restoration.cleaning import Step, choose_steps
from bigsharp.restoration.pipeline import upscale_picture
from bigsharp.restoration.restorer import Progress, Restorer, detour, shifted, silent

#: Called with what is done about noise and JPEG's damage, and where the model restores at another
#: scale than is asked for, in a few words.
Tell = Callable[[str], None]

#: What a deblocked JPEG is written with at its own size: of a gain of 0.7 dB at quality 85, 95 at
#: 4:2:0 keeps nothing, and this 0.5 dB, in 1.6 times the bytes; 100 keeps no more.
_CLEANED = 98, "4:4:4"

#: Bytes of results that are kept in case a frame comes again.
_RECENT = 64 << 20


def unheard(words: str) -> None:
    """Tell nobody."""


class Results:
    """The restored pictures of a file, each made when it is asked for, and equal ones once.

    Parameters
    ----------
    reader : Reader
        Of which the first picture is taken at once.
    kind : Format
        Of the file that they go into.
    order, restorer, cleaner, progress, tell
        As `run` takes them.
    name : path
        Of the file that they go into, for messages.

    Attributes
    ----------
    saving : Saving
        How they are to be written.
    same : bool
        That file is the one they come from: there is nothing to do, and to write it anew costs.

    Raises
    ------
    BigsharpError
        The size is none, or too large, or not what the format holds.
    """

    def __init__(
        self,
        reader: Reader,
        kind: Format,
        order: Order,
        restorer: Restorer,
        cleaner: Cleaner,
        progress: Progress = silent,
        tell: Tell = unheard,
        name: str | Path = "the result",
    ) -> None:
        self._reader, self._order = reader, order
        self._restorer, self._cleaner = restorer, cleaner
        self._progress, self._tell = progress, tell
        self._pictures = iter(reader)
        first = next(self._pictures)
        self._taken = [first]
        target = order.size.of(first.size)
        if reader.several and kind.gathers:
            name_of_all = f"its {reader.count} frames together"
            check_pixels(name_of_all, reader.count * target.height, target.width, order.max_pixels)
        write.check(name, kind, first, target.size, order.saving, reader.several)
        self._steps = _choose_steps(first, order, restorer, tell)
        loses = kind.has_quality and kind.name == reader.format and reader.count == 1
        done = not self._steps and target.size == first.size
        self.same = loses and done and order.saving == Saving()
        self.saving = order.saving
        if kind.name == "JPEG" and target.size == first.size:
            self.saving = _finely(order.saving, self._steps)
        if self.same:
            progress(1, 1)

    def __iter__(self) -> Iterator[Picture]:
        recent = _Recent()
        for number, picture in enumerate(self._all()):
            key = _digest(picture) if self._reader.count > 1 else b""
            restored = recent.get(key)
            if restored is None:
                restored = self._restore(number, picture)
                recent.add(key, restored)
            yield picture.with_pixels(restored.pixels, restored.alpha)

    def _all(self) -> Iterator[Picture]:
        while self._taken:
            yield self._taken.pop()
        yield from self._pictures

    def _restore(self, number: int, picture: Picture) -> Picture:
        order, count = self._order, self._reader.count
        # What is done to some frames alone would flicker.
        if number and self._reader.several == "pages":
            self._steps = _choose_steps(picture, order, self._restorer, unheard)

        def progress(done: int, total: int) -> None:
            """Progress through them all, were they of one size."""
            self._progress(number * total + done, count * total)

        return _restore(picture, order, self._steps, self._restorer, self._cleaner, progress)


def _finely(saving: Saving, steps: Sequence[Step]) -> Saving:
    """How a JPEG is written, so that what was taken away does not come again."""
    if not any(step.task == "deblock" for step in steps):
        return saving
    quality, subsampling = _CLEANED
    return replace(
        saving,
        quality=saving.quality or quality,
        subsampling=saving.subsampling or subsampling,
    )


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
    order: Order,
    restorer: Restorer,
    cleaner: Cleaner,
    progress: Progress = silent,
) -> Picture:
    """A picture in memory as an order asks for it: cleaned, and enlarged.

    Raises
    ------
    BigsharpError
        The picture or the result is too large, or has no such size.
    """
    check_pixels("the picture", *picture.size, order.max_pixels)
    steps = _choose_steps(picture, order, restorer, unheard)
    return _restore(picture, order, steps, restorer, cleaner, progress)


def _choose_steps(picture: Picture, order: Order, restorer: Restorer, tell: Tell) -> list[Step]:
    target = order.size.of(picture.size)
    steps, said = choose_steps(picture, order.cleaning, target.scale)
    if target.size != picture.size:
        # Who enlarges need not hear of what was not done.
        said = [*(said if steps else []), *detour(restorer.passes(target, picture.size), target)]
    if said:
        tell("; ".join(said))
    return steps


def _restore(
    picture: Picture,
    order: Order,
    steps: Sequence[Step],
    restorer: Restorer,
    cleaner: Cleaner,
    progress: Progress,
) -> Picture:
    target = order.size.of(picture.size)
    check_pixels("the result", target.height, target.width, order.max_pixels)
    # A model that knows larger scales alone restores more than is asked for.
    for each in restorer.passes(target, picture.size):
        check_pixels("what the model restores", *each.size, 4 * order.max_pixels)
    dtype = write.dtype_of(picture, order.saving)
    enlarges = target.size != picture.size
    first = picture.size[0] * picture.size[1] * len(steps)
    pixels = first + (target.height * target.width if enlarges else 0)
    picture = cleaner.clean(picture, steps, order.tile, shifted(0, pixels, progress))
    if not enlarges:
        if not steps:
            progress(1, 1)
        return picture.as_type(dtype)
    return upscale_picture(
        picture,
        target,
        restorer,
        tile=order.tile,
        dtype=dtype,
        colour=order.colour,
        progress=shifted(first, pixels, progress),
    )
