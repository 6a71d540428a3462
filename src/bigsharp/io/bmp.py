"""BMP with transparency, which Pillow reads and does not write."""

from __future__ import annotations

import struct
from typing import IO

import numpy as np

from bigsharp.io.picture import Picture

_FILE_HEADER, _HEADER = 14, 108
_BITFIELDS = 3
_RED, _GREEN, _BLUE, _ALPHA = 0xFF0000, 0xFF00, 0xFF, 0xFF000000
_PER_METRE = 39.37


def save(picture: Picture, file: IO[bytes], dpi: tuple[float, float] | None = None) -> None:
    """Write 8 bits of red, green, blue and alpha (BITMAPV4HEADER of the Windows SDK, wingdi.h).

    Parameters
    ----------
    picture : Picture
        Of uint8, with alpha.
    file : file
    dpi : (float, float), optional
        Horizontal and vertical.
    """
    height, width = picture.size
    colours, alpha = picture.bands[..., :-1], picture.bands[..., -1:]
    # Grey becomes three equal colours.
    reds_last = np.broadcast_to(colours, (height, width, 3))[..., ::-1]
    rows = np.concatenate([reds_last, alpha], axis=-1)[::-1]
    across, down = (round(per_inch * _PER_METRE) for per_inch in dpi or (0, 0))
    offset = _FILE_HEADER + _HEADER
    file.write(struct.pack("<2sIHHI", b"BM", offset + rows.nbytes, 0, 0, offset))
    file.write(struct.pack("<IiiHHIIiiII", _HEADER, width, height, 1, 32, _BITFIELDS, rows.nbytes,
                           across, down, 0, 0))  # fmt: skip
    file.write(struct.pack("<4I4s48x", _RED, _GREEN, _BLUE, _ALPHA, b"BGRs"))
    file.write(rows.tobytes())
