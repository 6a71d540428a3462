"""What Pillow does not do for TIFF: to tell pictures from their companions, and 16-bit colour."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any

from PIL import TiffTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from bigsharp.errors import BigsharpError
from bigsharp.io import metadata
from bigsharp.io.picture import Picture

#: More than any scanner's book; a chain of them can be made that takes hours to follow.
MOST_PAGES = 10_000

#: NewSubfileType: a smaller copy, or a mask (TIFF 6.0, page 36).
_COMPANION = 1 | 4

#: What an address in a classic TIFF can reach.
_LARGEST = (1 << 32) - 1

#: Bytes of a strip before it is compressed.
_STRIP = 1 << 18

#: PHOTOMETRIC of grey, RGB, a palette and YCbCr.
PALETTE, PLAIN = 3, (0, 1, 2, 3, 6)

#: PHOTOMETRIC of CIE's, ICC's and ITU's L*a*b*.
LABS = (8, 9, 10)

#: WebP's COMPRESSION, and what those are called that not every library decodes.
WEBP = 50001
COMPRESSIONS = {
    **dict.fromkeys((33003, 33004, 33005, 34712), "JPEG 2000"),
    **{34661: "JBIG", 34676: "SGILog", 34677: "SGILog24", 34887: "LERC", 34892: "lossy JPEG"},
    **{34925: "LZMA", 34933: "PNG", 34934: "JPEG XR", 50000: "ZSTD", WEBP: "WebP"},
    **{50002: "JPEG XL", 52546: "JPEG XL"},
}

SUBFILE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIPS, SAMPLES, ROWS, COUNTS, X_DPI, Y_DPI = 273, 277, 278, 279, 282, 283
PLANAR, UNIT, PREDICTOR, EXTRA, FORMAT, XMP, ICC = 284, 296, 317, 338, 339, 700, 34675


def directories(file: IO[bytes]) -> list[ImageFileDirectory_v2]:
    """Every directory of a file's chain.

    Raises
    ------
    BigsharpError
        The chain goes in circles, or is longer than `MOST_PAGES`.
    """
    file.seek(0)
    head = file.read(8)
    if head[2:3] == b"\x2b" or head[3:4] == b"\x2b":
        head += file.read(8)
    directory = ImageFileDirectory_v2(head)
    found: list[ImageFileDirectory_v2] = []
    seen = set()
    following = directory.next
    while following and following not in seen and len(found) < MOST_PAGES:
        seen.add(following)
        file.seek(following)
        directory = ImageFileDirectory_v2(head)
        directory.next = -1
        directory.load(file)
        if directory.next < 0:  # Pillow only warns.
            raise OSError("a directory is cut off")
        found.append(directory)
        following = directory.next
    if following:
        raise BigsharpError(f"its chain of pages has no end, or has more than {MOST_PAGES:,}")
    return found


def pages(chain: list[ImageFileDirectory_v2]) -> list[int]:
    """Which directories are pictures, and no thumbnail, smaller copy or mask of one."""
    own = [k for k, tags in enumerate(chain) if not tags.get(SUBFILE, 0) & _COMPANION]
    return own or [0]


def save(pictures: Iterable[Picture], file: IO[bytes], compressed: bool = True) -> None:
    """Write pages, 8 or 16 bits a sample.

    Raises
    ------
    BigsharpError
        They take more than 4 GB.
    """
    file.write(b"II*\0" + bytes(4))
    link = 4
    for picture in pictures:
        file.write(bytes(file.tell() % 2))  # A directory begins at an even address.
        link = _save_page(picture, file, link, compressed)


def _save_page(picture: Picture, file: IO[bytes], link: int, compressed: bool) -> int:
    """Write a page, and its address at `link`; gives the place of the next page's."""
    start = file.tell()
    tags = _tags(picture, compressed)
    step = tags[ROWS]
    strips = [slice(top, top + step) for top in range(0, picture.size[0], step)]
    for tag in (STRIPS, COUNTS):
        tags.tagtype[tag] = TiffTags.LONG
        tags[tag] = [0] * len(strips)
    # The tags come first and are as long with the true numbers.
    file.seek(start + len(tags.tobytes(start)))
    sizes = [file.write(strip) for strip in _strips(picture, strips, compressed)]
    end = file.tell()
    if end > _LARGEST:
        raise BigsharpError("TIFF cannot hold more than 4 GB; use .png")
    tags[COUNTS] = sizes
    # Pillow counts these from the end of the tags.
    tags[STRIPS] = [sum(sizes[:k]) for k in range(len(sizes))]
    file.seek(start)
    file.write(tags.tobytes(start))
    file.seek(link)
    file.write(struct.pack("<I", start))
    file.seek(end)
    return start + 2 + 12 * len(tags)


def _tags(picture: Picture, compressed: bool) -> ImageFileDirectory_v2:
    height, width = picture.size
    colours = 1 if picture.pixels.ndim == 2 else 3
    samples = colours + (picture.alpha is not None)
    size = picture.pixels.dtype.itemsize
    tags = ImageFileDirectory_v2()
    tags[WIDTH], tags[LENGTH] = width, height
    tags[BITS] = (8 * size,) * samples
    tags[COMPRESSION], tags[PREDICTOR] = (8, 2) if compressed else (1, 1)
    tags[PHOTOMETRIC] = 2 if colours == 3 else 1
    tags[SAMPLES] = samples
    tags[ROWS] = max(1, min(height, _STRIP // (width * samples * size)))
    tags[PLANAR] = 1
    if picture.alpha is not None:
        tags[EXTRA] = 2
    info = picture.info
    if info.dpi:
        tags[X_DPI], tags[Y_DPI], tags[UNIT] = *info.dpi, 2
    exif = metadata.sized_exif(info.exif, height, width)
    further = metadata.tiff_tags(exif) | {
        ICC: metadata.fitting_profile(info.icc, colours == 1),
        XMP: metadata.upright_xmp(info.xmp, height, width),
    }
    for tag, value in further.items():
        if value and _can_hold(tag, value):
            tags[tag] = value
            if isinstance(value, bytes) and tag in (XMP, ICC):
                tags.tagtype[tag] = TiffTags.BYTE if tag == XMP else TiffTags.UNDEFINED
    return tags


def _can_hold(tag: int, value: Any) -> bool:
    """Whether Pillow can write a tag; an odd one is left out, and not the picture."""
    alone = ImageFileDirectory_v2()
    try:
        alone[tag] = value
        alone.tobytes()
    except Exception:  # Of a dozen types, by the tag's type and its value's.
        return False
    return True


def _strips(picture: Picture, strips: list[slice], compressed: bool) -> Iterator[bytes]:
    for rows in strips:
        alpha = None if picture.alpha is None else picture.alpha[rows]
        values = picture.with_pixels(picture.pixels[rows], alpha).bands
        values = values.astype(values.dtype.newbyteorder("<"))
        if compressed:
            # Differences along a row (TIFF 6.0, section 14) in whole numbers that wrap around.
            values[:, 1:] -= values[:, :-1].copy()
        yield zlib.compress(values.tobytes()) if compressed else values.tobytes()
