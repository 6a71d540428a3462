"""Animations, written frame by frame, where Pillow would have them all in memory.

Pillow compresses what a frame changes as a picture of its own, and its parts are put together here.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import IO, Any

import numpy as np
from PIL import Image

from bigsharp.image.arrays import Array
from bigsharp.io import png
from bigsharp.io.picture import Picture

#: Milliseconds of a frame whose file says nothing.
DURATION = 100.0

#: What 16 and 24 bits hold.
_WORD, _TRIPLE = 0xFFFF, 0xFFFFFF

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """What a frame changes of what was shown before.

    Attributes
    ----------
    bands : ndarray of uint8, shape (h, w) or (h, w, 2 to 4)
        A rectangle; its alpha takes the place of what was there.
    left, top : int
    duration : float
        Milliseconds.
    goes : bool
        Clear it away before the next.
    """

    bands: Array
    left: int
    top: int
    duration: float
    goes: bool = False


def changes_of(
    frames: Iterable[Picture], bands_of: Callable[[Picture], Array], overwrites: bool = True
) -> Iterator[Change]:
    """Of each frame the rectangle that differs; of equal ones one, shown as long as all.

    Parameters
    ----------
    frames : iterable of Picture
    bands_of : callable
        A frame's pixels and alpha, of one shape for all.
    overwrites : bool
        Whether the format can make clear again what was seen. In one that cannot, a frame before
        one with clear pixels goes, whole.

    Raises
    ------
    ValueError
        The frames are not of one kind and size.
    """
    last: Change | None = None
    before = np.empty(0, np.uint8)
    for picture in frames:
        bands = bands_of(picture)
        duration = picture.duration or DURATION
        if last is None:
            last = Change(bands, 0, 0, duration)
        elif bands.shape != before.shape:
            raise ValueError("its frames are not of one kind and size")
        elif np.array_equal(bands, before):
            last = replace(last, duration=last.duration + duration)
        elif overwrites or bands[..., -1].all():
            yield last
            last = _difference(before, bands, duration)
        else:
            yield Change(before, 0, 0, last.duration, goes=True)
            last = Change(bands, 0, 0, duration)
        before = bands
    if last is not None:
        yield last


def _difference(before: Array, bands: Array, duration: float) -> Change:
    differs = (bands != before).any(axis=2) if bands.ndim == 3 else bands != before
    top, bottom = np.flatnonzero(differs.any(axis=1))[[0, -1]]
    left, right = np.flatnonzero(differs.any(axis=0))[[0, -1]]
    # WebP counts places by twos.
    left, top = left // 2 * 2, top // 2 * 2
    return Change(bands[top : bottom + 1, left : right + 1], int(left), int(top), duration)


def save(
    name: str, first: Picture, frames: Iterable[Picture], file: IO[bytes], options: Options
) -> None:
    """Write an animation.

    Parameters
    ----------
    name : {"PNG", "GIF", "WEBP"}
    first : Picture
        The first frame, whose `info` holds for all.
    frames : iterable of Picture
        All of them, `first` too, of 8 bits and of one size.
    file : file
        That can seek.
    options : dict
        Pillow's, for all but the pixels.
    """
    {"PNG": _save_png, "GIF": _save_gif, "WEBP": _save_webp}[name](first, frames, file, options)


def _encoded(image: Image.Image | Array, name: str, **options: Any) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(np.ascontiguousarray(image))
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def _save_png(first: Picture, frames: Iterable[Picture], file: IO[bytes], options: Options) -> None:
    """PNG 3rd edition, section 11.3.4: every frame's pixels are of the first one's type."""
    # A GIF's alpha, and its colours, can begin with a later frame.
    from_gif = first.info.format == "GIF"
    clear, grey = from_gif or first.alpha is not None, first.pixels.ndim == 2 and not from_gif
    end: list[tuple[bytes, bytes]] = []
    count = number = place = 0
    for change in changes_of(frames, lambda frame: _bands(frame, clear, grey)):
        chunks = list(png.chunks(_encoded(change.bands, "PNG", **({} if count else options))))
        content = [packed for name, packed in chunks if name == b"IDAT"]
        if count == 0:
            start = chunks.index((b"IDAT", content[0]))
            end = [chunk for chunk in chunks[start:] if chunk[0] != b"IDAT"]
            png.put_signature(file)
            for name, packed in chunks[:start]:
                png.put(file, name, packed)
            place = file.tell()
            png.put(file, b"acTL", bytes(8))
        png.put(file, b"fcTL", _frame_control(number, change))
        number += 1
        for packed in content:
            if count == 0:
                png.put(file, b"IDAT", packed)
            else:
                png.put(file, b"fdAT", struct.pack(">I", number) + packed)
                number += 1
        count += 1
    for name, packed in end:
        png.put(file, name, packed)
    file.seek(place)
    png.put(file, b"acTL", struct.pack(">II", count, _loops(first)))
    file.seek(0, io.SEEK_END)


def _bands(picture: Picture, clear: bool, grey: bool) -> Array:
    """Pixels, of grey or of three colours, with alpha or without."""
    pixels = picture.pixels
    if pixels.ndim == 2 and not grey:
        pixels = np.dstack([pixels] * 3)
    if not clear:
        return pixels
    alpha = picture.alpha
    return np.dstack([pixels, np.full(picture.size, 255, np.uint8) if alpha is None else alpha])


def _frame_control(number: int, change: Change) -> bytes:
    height, width = change.bands.shape[:2]
    shown = next(
        fraction
        for finest in (_WORD, 100, 1)
        if (fraction := _seconds(change.duration, finest)).numerator <= _WORD
    )
    # Stays until the next, and takes the place of what was there.
    return struct.pack(
        ">5I2H2x", number, width, height, change.left, change.top,
        shown.numerator, shown.denominator,
    )  # fmt: skip


def _seconds(duration: float, finest: int) -> Fraction:
    return min(Fraction(duration / 1000).limit_denominator(finest), Fraction(_WORD))


def _loops(first: Picture) -> int:
    """How often it is played, 0 for ever; once, where nobody said."""
    loop = first.info.loop
    return 1 if loop is None else loop


def _save_gif(first: Picture, frames: Iterable[Picture], file: IO[bytes], options: Options) -> None:
    """GIF89a: each frame has a table of colours of its own."""
    height, width = first.size
    file.write(b"GIF89a" + struct.pack("<2H3x", width, height))
    # GIF says "once" by saying nothing.
    if first.info.loop is not None:
        file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<Hx", first.info.loop))
    if comment := options.get("comment"):
        parts = [comment[at : at + 255] for at in range(0, len(comment), 255)]
        file.write(b"!\xfe" + b"".join(bytes([len(part)]) + part for part in parts) + b"\0")
    for change in changes_of(frames, seen, overwrites=False):
        file.write(_gif_frame(change))
    file.write(b";")


def seen(picture: Picture) -> Array:
    """Red, green, blue, and an alpha that is all or nothing, as GIF knows it."""
    bands = _bands(picture, clear=True, grey=False)
    bands[..., 3] = np.where(bands[..., 3] < 128, 0, 255)
    return bands


def _gif_frame(change: Change) -> bytes:
    """The frame's control, its table of colours, and its pixels (GIF89a, sections 20 to 23)."""
    bands = change.bands
    height, width = bands.shape[:2]
    if not bands[..., 3].all():
        content = _encoded(bands, "GIF")
    elif change.goes:
        # Some readers make clear what goes only where the frame names a colour that is clear.
        content = _encoded(Image.fromarray(bands[..., :3]).quantize(255), "GIF", transparency=255)
    else:
        content = _encoded(bands[..., :3], "GIF")
    at, flags, clear = 13, content[10], None
    table, at = _colour_table(content, at, flags)
    while content[at : at + 1] == b"!":
        if content[at + 1] == 0xF9 and content[at + 3] & 1:
            clear = content[at + 6]
        at += 2
        while content[at]:
            at += content[at] + 1
        at += 1
    interlaced = content[at + 9] & 0x40
    if content[at + 9] & 0x80:
        flags = content[at + 9]
        table, at = _colour_table(content, at + 10, flags)
    else:
        at += 10
    delay = min(round(change.duration / 10), _WORD)
    disposal = 2 if change.goes else 1
    control = (disposal << 2 | (clear is not None), delay, clear or 0)
    where = (change.left, change.top, width, height, 0x80 | interlaced | flags & 7)
    return (
        b"!\xf9\x04" + struct.pack("<BHBx", *control) + b"," + struct.pack("<4HB", *where)
        + table + content[at:-1]
    )  # fmt: skip


def _colour_table(content: bytes, at: int, flags: int) -> tuple[bytes, int]:
    size = 3 * (2 << (flags & 7)) if flags & 0x80 else 0
    return content[at : at + size], at + size


def _save_webp(
    first: Picture, frames: Iterable[Picture], file: IO[bytes], options: Options
) -> None:
    """The container of WebP (RFC 9649, section 2.7)."""
    height, width = first.size
    kinds = {"icc_profile": (b"ICCP", 0x20), "exif": (b"EXIF", 0x08), "xmp": (b"XMP ", 0x04)}
    beside = {tag: options[key] for key, (tag, _) in kinds.items() if options.get(key)}
    if b"EXIF" in beside:
        beside[b"EXIF"] = beside[b"EXIF"].removeprefix(b"Exif\0\0")
    flags = 0x12 | sum(flag for tag, flag in kinds.values() if tag in beside)
    start = file.tell()
    file.write(b"RIFF\0\0\0\0WEBP")
    _put(file, b"VP8X", bytes([flags, 0, 0, 0]) + _three(width - 1) + _three(height - 1))
    if b"ICCP" in beside:
        _put(file, b"ICCP", beside.pop(b"ICCP"))
    _put(file, b"ANIM", bytes(4) + struct.pack("<H", _loops(first)))
    pixels = {key: options[key] for key in ("quality", "lossless") if key in options}
    for change in changes_of(frames, lambda frame: _bands(frame, clear=True, grey=False)):
        _put(file, b"ANMF", _webp_frame(change, pixels))
    for tag, content in beside.items():
        _put(file, tag, content)
    size = file.tell() - start - 8
    file.seek(start + 4)
    file.write(struct.pack("<I", size))
    file.seek(0, io.SEEK_END)


def _webp_frame(change: Change, options: Options) -> bytes:
    bands = change.bands
    height, width = bands.shape[:2]
    content = _encoded(bands, "WEBP", **options)
    # Without blending: alpha takes the place of what was there.
    frame = b"".join([
        _three(change.left // 2), _three(change.top // 2), _three(width - 1), _three(height - 1),
        _three(min(round(change.duration), _TRIPLE)), b"\x02",
    ])  # fmt: skip
    at = 12
    while at < len(content):
        length = 8 + struct.unpack_from("<I", content, at + 4)[0]
        length += length % 2
        if content[at : at + 4] in (b"ALPH", b"VP8 ", b"VP8L"):
            frame += content[at : at + length]
        at += length
    return frame


def _put(file: IO[bytes], tag: bytes, content: bytes) -> None:
    file.write(tag + struct.pack("<I", len(content)) + content + bytes(len(content) % 2))


def _three(value: int) -> bytes:
    return value.to_bytes(3, "little")
