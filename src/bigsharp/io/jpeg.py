"""What the quantisation tables of a JPEG say."""

from __future__ import annotations

import io
from functools import cache

from PIL import Image

from bigsharp.io.picture import Jpeg


@cache
def luma_table(quality: int) -> tuple[int, ...]:
    """Luma's quantisation table as libjpeg makes it for a quality from 1 to 100."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG", quality=quality)
    tables: dict[int, list[int]] = Image.open(buffer).quantization  # type: ignore[attr-defined]
    return tuple(tables[0])


def quality_of(jpeg: Jpeg) -> int:
    """The quality from 1 to 100 whose table of luma is as coarse, on the whole."""
    found = sum(jpeg.tables[min(jpeg.tables)])
    return min(range(1, 101), key=lambda quality: abs(sum(luma_table(quality)) - found))
