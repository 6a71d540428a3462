"""Some 600 damaged picture files, the same each time.

python tests/broken.py FOLDER
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from bigsharp.io.formats import format_named
from bigsharp.io.picture import Info, Picture
from bigsharp.io.write import Saving, encode


def sound() -> Iterator[tuple[str, bytes]]:
    """Small pictures of every format, by Pillow and by us, with frames, pages and metadata."""
    y, x = np.mgrid[0:20, 0:24]
    pixels = np.dstack([x * 10, y * 12, (x * y) % 256]).astype(np.uint8)
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a description", 6
    exif.get_ifd(0x8769)[0xA002] = 24
    image = Image.fromarray(pixels)
    frames = [Image.fromarray(np.roll(pixels, 3 * k, axis=0)) for k in range(1, 4)]
    for kind, options in {
        "png": {"exif": exif},
        "jpg": {"exif": exif, "xmp": b"<x tiff:Orientation='6'/>"},
        "webp": {"exif": exif.tobytes()},
        "avif": {},
        "gif": {"save_all": True, "append_images": frames, "duration": 50},
        "bmp": {},
        "ppm": {},
        "tga": {"compression": "tga_rle"},
        "jp2": {},
        "ico": {},
        "pcx": {},
        "dds": {},
    }.items():
        yield kind, _saved(image, kind, **options)
    yield "png", _saved(image, "png", save_all=True, append_images=frames, duration=50)
    yield "jpg", _saved(image, "jpg", progressive=True)
    yield "jpg", _saved(image.convert("CMYK"), "jpg")
    yield "png", _saved(image.quantize(8), "png", transparency=3)
    for compression in ("raw", "tiff_lzw", "packbits", "jpeg"):
        yield "tif", _saved(image, "tif", compression=compression, exif=exif)
    yield "tif", _saved(image, "tif", save_all=True, append_images=frames)
    deep = Picture(pixels.astype(np.uint16) * 257, pixels[..., 0].astype(np.uint16), Info())
    for kind in ("png", "tif"):
        yield kind, encode(format_named(kind), [deep], Saving())
    yield "ppm", encode(format_named("ppm"), [Picture(deep.pixels)], Saving())


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    name = Image.registered_extensions()[f".{kind}"]
    image.save(buffer, name, **options)
    return buffer.getvalue()


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """One way to break a file, drawn by chance."""
    values = bytearray(content)
    way = random.integers(0, 7)
    at = int(random.integers(0, len(values)))
    if way == 0:
        return bytes(values[:at])
    if way == 1:
        for place in random.integers(0, len(values), 1 + at % 20):
            values[place] = random.integers(0, 256)
    elif way == 2:
        values[at : at + 4] = random.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"])
    elif way == 3:
        end = min(len(values), at + 200)
        values[at:end] = bytes(random.integers(0, 256, end - at, dtype=np.uint8))
    elif way == 4:
        values[at:at] = values[: at // 2]
    elif way == 5:
        del values[at : at + 1 + at % 7]
    else:  # In the head, where sizes stand.
        for place in random.integers(0, min(len(values), 64), 3):
            values[place] = random.integers(0, 256)
    return bytes(values)


def write_all(folder: Path, each: int = 22) -> int:
    """Write the files into a folder; gives their number."""
    random = np.random.default_rng(20)
    count = 0
    for number, (kind, content) in enumerate(sound()):
        for k in range(each):
            (folder / f"{number:02}-{k:02}.{kind}").write_bytes(damaged(content, random))
            count += 1
    return count


if __name__ == "__main__":
    print(write_all(Path(sys.argv[1])))
