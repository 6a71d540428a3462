"""What a file says beside its pixels, made true of the picture that comes of it."""

from __future__ import annotations

import re
import struct
from typing import Any

from PIL import ExifTags, Image

#: What JPEG puts before an EXIF block; Pillow gives it for some formats and not for others.
_MARK = b"Exif\0\0"

_LONG = 4

# Of a TIFF file's tags, those that describe the picture and not the layout of its pixels.
_DESCRIPTIVE = (
    ExifTags.Base.DocumentName,
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.PageName,
    ExifTags.Base.Copyright,
    ExifTags.Base.XPTitle,
    ExifTags.Base.XPComment,
    ExifTags.Base.XPAuthor,
    ExifTags.Base.XPKeywords,
    ExifTags.Base.XPSubject,
)

# What tifffile writes as a description: it reads its own pictures by it.
_LAYOUT = '{"shape": '

_BLOCKS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


def orientation_of(exif: Image.Exif) -> int:
    """How a picture is stored, 1 to 8 (EXIF 2.32, section 4.6.4.A); 1 where nothing valid is said.

    Raises nothing: a block that cannot be parsed says nothing.
    """
    try:
        value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow's parser meets damage with exceptions of a dozen types.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright_exif(block: bytes | None) -> bytes | None:
    """An EXIF block without its orientation and its thumbnail; None where it cannot be parsed.

    The rest stays byte for byte where it is, because the makers' notes of many cameras hold
    addresses.
    """
    if not block:
        return None
    data = bytearray(block.removeprefix(_MARK))
    try:
        parsed = Image.Exif()
        parsed.load(_MARK + bytes(data))
        for tag in _BLOCKS:
            parsed.get_ifd(tag)
        order, entries, end = _directory(data, _first(data))
        kept = [data[at : at + 12] for at, tag in entries if tag != ExifTags.Base.Orientation]
        if not kept:
            return None
        start = entries[0][0]
        struct.pack_into(f"{order}H", data, start - 2, len(kept))
        data[start : end + 4] = b"".join(kept).ljust(end + 4 - start, b"\0")
    except Exception:  # As above.
        return None
    return _MARK + bytes(data)


def sized_exif(block: bytes | None, height: int, width: int) -> bytes | None:
    """An EXIF block of `upright_exif` whose tags of the picture's size, if any, say this size."""
    if not block:
        return None
    data = bytearray(block.removeprefix(_MARK))
    sizes: dict[int, int] = {
        ExifTags.Base.ImageWidth: width,
        ExifTags.Base.ImageLength: height,
        ExifTags.Base.ExifImageWidth: width,
        ExifTags.Base.ExifImageHeight: height,
    }
    order, entries, _ = _directory(data, _first(data))
    for at, tag in list(entries):
        if tag == ExifTags.IFD.Exif:
            (inner,) = struct.unpack_from(f"{order}I", data, at + 8)
            entries += _directory(data, inner)[1]
    for at, tag in entries:
        if tag in sizes:
            struct.pack_into(f"{order}HII", data, at + 2, _LONG, 1, sizes[tag])
    return _MARK + bytes(data)


def _first(data: bytes | bytearray) -> int:
    """Where the first directory of an EXIF block (a small TIFF file) is."""
    at: int = struct.unpack_from(f"{_order(data)}I", data, 4)[0]
    return at


def _order(data: bytes | bytearray) -> str:
    return "<" if data[:2] == b"II" else ">"


def _directory(data: bytes | bytearray, at: int) -> tuple[str, list[tuple[int, int]], int]:
    """Byte order, each entry's place and tag, and the end of the entries."""
    order = _order(data)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    places = range(at + 2, at + 2 + 12 * count, 12)
    entries = [(place, struct.unpack_from(f"{order}H", data, place)[0]) for place in places]
    struct.unpack_from(f"{order}I", data, places.stop)
    return order, entries, places.stop


def exif_of_tiff(tags: Image.Exif) -> bytes | None:
    """An EXIF block of those of a TIFF file's tags that describe the picture."""
    kept = Image.Exif()
    for tag in _DESCRIPTIVE:
        if tag in tags and not str(tags[tag]).startswith(_LAYOUT):
            kept[tag] = _as_it_was(tags[tag])
    blocks = {block: entries for block in _BLOCKS if (entries := tags.get_ifd(block))}
    for block, entries in blocks.items():
        kept.get_ifd(block).update(entries)
    return kept.tobytes() if kept or blocks else None


def tiff_tags(block: bytes | None) -> dict[int, Any]:
    """The tags that an EXIF block gives a TIFF file; an inner block is a dictionary."""
    if not block:
        return {}
    exif = Image.Exif()
    exif.load(block)
    tags: dict[int, Any] = {t: _as_it_was(exif[t]) for t in _DESCRIPTIVE if t in exif}
    return tags | {tag: entries for tag in _BLOCKS if (entries := exif.get_ifd(tag))}


def _as_it_was(value: Any) -> Any:
    """Text as the bytes that were read: Pillow reads them as Latin-1, and writes ASCII alone."""
    return value.encode("latin-1", "replace") if isinstance(value, str) else value


def upright_xmp(packet: bytes | None, height: int, width: int) -> bytes | None:
    """An XMP packet that calls the picture upright, and of this size where it says one."""
    if not packet:
        return None
    for name, value in (
        (rb"tiff:Orientation", 1),
        (rb"(?:tiff:ImageWidth|exif:PixelXDimension)", width),
        (rb"(?:tiff:ImageLength|exif:PixelYDimension)", height),
    ):
        said = rb"(" + name + rb"\s*(?:=\s*[\"']|>)\s*)\d+"
        packet = re.sub(said, rb"\g<1>%d" % value, packet)
    return packet


def fitting_profile(profile: bytes | None, grey: bool) -> bytes | None:
    """A colour profile if it is one of grey, or else of RGB (ICC.1:2022, table 15)."""
    wanted = b"GRAY" if grey else b"RGB "
    return profile if profile and profile[16:20] == wanted and profile[36:40] == b"acsp" else None
