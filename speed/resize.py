"""Enlarging a 12-megapixel photograph to ×2, beside Pillow's bicubic (which is not MATLAB's)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

from bigsharp.image.resize import imresize
from kept import arguments, show

REPEATS = 3
HEIGHT, WIDTH = 3000, 4000


def seconds(work: Callable[[], object]) -> float:
    """The time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def enlarge(image: Image.Image) -> Callable[[], object]:
    """Pillow's own ×2."""
    size = (2 * image.width, 2 * image.height)
    return lambda: image.resize(size, Image.Resampling.BICUBIC)


def main() -> None:
    """Time the cases in turn and print medians and ratios."""
    options = arguments(__doc__).parse_args()
    rgb = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    luma = rgb[..., 0].astype(np.float32)
    images = {"uint8 RGB": Image.fromarray(rgb), "float32 luma": Image.fromarray(luma)}
    arrays = {"uint8 RGB": rgb, "float32 luma": luma}
    rows = []
    for name, array in arrays.items():
        times = [
            (seconds(lambda array=array: imresize(array, 2)), seconds(enlarge(images[name])))
            for _ in range(REPEATS)
        ]
        ours, pillow = (statistics.median(column) for column in zip(*times, strict=True))
        rows.append([name, f"{ours:.2f} s", f"{pillow:.2f} s"])
    head = ["12 megapixels to ×2", "bigsharp (MATLAB's)", "Pillow (another bicubic)"]
    show("resize", head, rows, options.keep)


if __name__ == "__main__":
    main()
