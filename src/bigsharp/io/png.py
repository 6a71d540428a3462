"""What Pillow does not do for PNG: chunks that give colours their meaning, and 16 bits a sample."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from PIL import Image, PngImagePlugin

from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.image.tiles import even_parts
from bigsharp.io.picture import Info, Picture

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: They say what the values mean where there is no profile (PNG 3rd edition, section 11.3.2).
_COLOUR = (b"gAMA", b"cHRM", b"sRGB", b"cICP")

#: What holds pixels; the chunks of `_COLOUR` come before it.
_PIXELS = (b"IDAT", b"fdAT")

#: gAMA of a picture that looks the same without it.
_USUAL_GAMMA = range(44_000, 47_001)

#: Bytes of a text, a profile or the like; beyond it nothing can be meant.
_LONGEST = 64 << 20

#: Rows that are filtered together.
_BAND = 256


def colour_chunks(file: IO[bytes]) -> dict[bytes, bytes]:
    """Read the chunks that give a PNG's values their meaning.

    Raises
    ------
    BigsharpError
        A chunk that holds no pixels is longer than any picture needs.
    """
    found = {}
    may_come: tuple[bytes, ...] = _COLOUR
    size = file.seek(0, io.SEEK_END)
    file.seek(len(_SIGNATURE))
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"IEND":
            break
        if name in _PIXELS:
            may_come = ()
        elif min(length, size - file.tell()) > _LONGEST:
            raise BigsharpError(f"a {name.decode('latin-1')} chunk of {length:,} bytes")
        if name in may_come:
            found[name] = file.read(length)
            file.seek(4, io.SEEK_CUR)
        else:
            file.seek(length + 4, io.SEEK_CUR)
    file.seek(0)
    return found


def needs_chunks(info: Info) -> bool:
    """Whether a picture looks wrong without its colour chunks."""
    if info.icc or b"sRGB" in info.colour:
        return False
    gamma = info.colour.get(b"gAMA")
    odd = gamma is not None and int.from_bytes(gamma, "big") not in _USUAL_GAMMA
    cicp = info.colour.get(b"cICP")
    # Primaries 1 with transfer 13 are sRGB (ITU-T H.273).
    return odd or (cicp is not None and cicp[:2] != bytes([1, 13]))


def chunks_of(info: Info, xmp: bytes | None) -> PngImagePlugin.PngInfo:
    """Pillow's list of what is written beside pixels, profile and EXIF."""
    chunks = PngImagePlugin.PngInfo()
    for name, content in info.colour.items():
        if not info.icc:
            chunks.add(name, content)
    for key, text in info.text.items():
        try:
            chunks.add_text(key, text, zip=len(text) > 1000)
        except UnicodeError:
            chunks.add_itxt(key, text)
    if xmp:
        chunks.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    return chunks


def save_deep(picture: Picture, file: IO[bytes], options: dict[str, Any]) -> None:
    """Write 16 bits a sample, which Pillow writes for grey alone.

    Parameters
    ----------
    picture : Picture
        Of uint16.
    file : file
    options : dict
        Pillow's, for what stands beside the pixels.
    """
    bands = picture.bands
    height, width = picture.size
    channels = 1 if bands.ndim == 2 else bands.shape[2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    beside = io.BytesIO()
    Image.new("L" if channels < 3 else "RGB", (1, 1)).save(beside, "PNG", **options)
    put_signature(file)
    for name, content in chunks(beside.getvalue()):
        if name == b"IHDR":
            put(file, name, struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
        elif name == b"IDAT":
            for packed in _pack(bands.reshape(height, width * channels), channels * 2):
                put(file, name, packed)
        else:
            put(file, name, content)


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The names and contents of a sound PNG's chunks."""
    at = len(_SIGNATURE)
    while at < len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        yield name, content[at + 8 : at + 8 + length]
        at += length + 12


def put_signature(file: IO[bytes]) -> None:
    """Begin a PNG."""
    file.write(_SIGNATURE)


def put(file: IO[bytes], name: bytes, content: bytes) -> None:
    """Write a chunk."""
    checksum = zlib.crc32(name + content)
    file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum))


def _pack(rows: Array, step: int) -> Iterator[bytes]:
    """Compress rows of samples; `step` is the bytes from a pixel to the next."""
    packer = zlib.compressobj()
    above = np.zeros((1, rows.shape[1] * 2), np.uint8)
    for band in even_parts(len(rows), _BAND):
        raw = rows[band].astype(">u2").view(np.uint8)
        yield packer.compress(_filtered(raw, np.vstack([above, raw[:-1]]), step).tobytes())
        above = raw[-1:]
    yield packer.flush()


def _filtered(raw: Array, above: Array, step: int) -> Array:
    """Each row by the filter of the smallest sum (PNG 3rd edition, sections 9.2 and 12.7)."""
    left, corner = (np.pad(rows, ((0, 0), (step, 0)))[:, :-step] for rows in (raw, above))
    a, b, c = (rows.astype(np.int16) for rows in (left, above, corner))
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    paeth = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
    filters = [np.zeros_like(a), a, b, (a + b) // 2, paeth]
    tried = np.stack([(raw - guess.astype(np.uint8)) for guess in filters])
    sums = np.abs(tried.view(np.int8).astype(np.int16)).sum(axis=2)
    best = sums.argmin(axis=0)
    chosen = tried[best, np.arange(len(raw))]
    return np.hstack([best[:, None].astype(np.uint8), chosen])
