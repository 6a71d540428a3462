"""What a picture can be in memory: bytes, an open file, a PIL image, an array or a tensor."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from PIL import Image

from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.io.picture import Picture
from bigsharp.io.pil import from_pil, to_pil

#: A float this far beyond white, or as far below black, was meant for another range, or is light
#: of a scene; what a resampled picture has of both is less.
_BEYOND_WHITE = 1.5
_BELOW_BLACK = 1 - _BEYOND_WHITE


def as_bytes(image: Any) -> bytes | None:
    """The content of bytes, a bytearray, a memoryview or an open binary file; None for another.

    Raises
    ------
    BigsharpError
        The file gives text.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if not hasattr(image, "read"):
        return None
    content = image.read()
    if not content and getattr(image, "seekable", bool)():  # It was just written.
        image.seek(0)
        content = image.read()
    if not isinstance(content, bytes):
        raise BigsharpError("a picture is read from a file that is open in binary mode, 'rb'")
    return content


def to_picture(image: Any) -> Picture:
    """A `Picture` of a PIL image, an array or a tensor.

    Raises
    ------
    BigsharpError
        It is none of them, or its shape, type or values are those of no picture.
    """
    if isinstance(image, Image.Image):
        return from_pil(image)
    if _is_tensor(image):
        tensor = image.detach().cpu()
        # NumPy has no such type.
        return from_array(
            (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
        )
    if isinstance(image, np.ndarray):
        return from_array(image)
    raise BigsharpError(
        "a picture is a path, bytes, an open file, a PIL image, an array or a tensor, not "
        f"{type(image).__name__}"
    )


def _is_tensor(image: Any) -> bool:
    # Nobody has a tensor who has not imported PyTorch.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(image, torch.Tensor)


def from_array(array: Array) -> Picture:
    """A `Picture` of an array of shape (H, W) or (H, W, 1 to 4).

    Raises
    ------
    BigsharpError
        It has another shape, another type, or values that are none of a picture.
    """
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype not in (np.bool_, np.uint8, np.uint16, np.float16, np.float32, np.float64):
        raise BigsharpError(
            f"an array holds bool, uint8, uint16 or floats in [0, 1], not {array.dtype}"
        )
    if array.ndim not in (2, 3) or 0 in array.shape or array.shape[2:] > (4,):
        raise BigsharpError(
            f"an array has shape (H, W) or (H, W, 1 to 4), none of them 0, not {array.shape}"
        )
    if array.dtype == np.bool_:
        array = array * np.uint8(255)
    if np.issubdtype(array.dtype, np.floating):
        _check_floats(array)
    if array.ndim == 2:
        return Picture(array)
    channels = array.shape[2]
    alpha = array[..., -1] if channels in (2, 4) else None
    return Picture(array[..., :3] if channels >= 3 else array[..., 0], alpha)


def _check_floats(array: Array) -> None:
    if not np.isfinite(array).all():
        raise BigsharpError("the array holds values that are infinite or not a number")
    if array.max() > _BEYOND_WHITE:
        raise BigsharpError(
            f"the array's floats go to {array.max():g}, and white is 1: divide by 255, or give "
            "uint8"
        )
    if array.min() < _BELOW_BLACK:
        raise BigsharpError(
            f"the array's floats go down to {array.min():g}, and black is 0: bring them to [0, 1]"
        )


def like(image: Any, result: Picture) -> Any:
    """The result as the kind of thing that `image` is: a PIL image, an array or a tensor."""
    if isinstance(image, Image.Image):
        return to_pil(result)
    bands = result.bands
    if bands.ndim != image.ndim:
        bands = bands[..., None]
    if not _is_tensor(image):
        return bands > 127 if image.dtype == np.bool_ else bands
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(bands))
    return tensor.to(device=image.device, dtype=image.dtype)
