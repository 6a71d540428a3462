"""How to enlarge beyond the trained scales: PSNR of Y by one pass and by every kind of split.

    python speed/passes.py [--keep]

Set5 by VDSR, from an LR image of 8 bits (`--protocol 8bit-lr`); each pass begins with
what the last one gave, not rounded.
"""

from __future__ import annotations

import math

import numpy as np

from bigsharp.image.arrays import Array
from bigsharp.image.resize import imresize
from bigsharp.io.read import read
from bigsharp.restoration.models import open_restorer
from bigsharp.restoration.restorer import Restorer
from bigsharp.restoration.target import Target
from bigsharp.scoring import protocol
from bigsharp.scoring.sets import find_images
from kept import arguments, means, show

RULES = protocol.PROTOCOLS["8bit-lr"]
SCALES = (5, 6, 8, 12, 16)

#: How much larger the first of two unequal passes is than an equal one, or the second.
UNEQUAL = 1.25


def splits(scale: float) -> dict[str, list[float]]:
    """The factors of each pass."""
    half = math.sqrt(scale)
    return {
        "one pass": [scale],
        "two, the first larger": [half * UNEQUAL, half / UNEQUAL],
        "two, equal": [half, half],
        "two, the last larger": [half / UNEQUAL, half * UNEQUAL],
        "three, equal": [scale ** (1 / 3)] * 3,
    }


def enlarged(restorer: Restorer, lr: Array, size: tuple[int, int], factors: list[float]) -> Array:
    """A plane through passes, the last of which gives `size`."""
    plane = (lr / 255).astype(np.float32)
    for number, factor in enumerate(factors):
        left = math.prod(factors[number + 1 :])
        height, width = (math.ceil(n / left) for n in size)
        target = Target(height, width, factor, factor)
        result = np.empty(target.size, np.float32)
        for window, part in restorer.restore(plane, target):
            result[window] = part
        plane = result.clip(0, 1)
    return plane * 255


def row(scale: float, images: list[Array], restorer: Restorer) -> list[str]:
    """The mean PSNR at a scale, by each way."""
    scores: dict[str, list[float]] = {way: [] for way in ["bicubic", *splits(scale)]}
    for image in images:
        hr = protocol.crop(image, scale)
        lr = protocol.degrade(hr, scale, RULES)
        size = (hr.shape[0], hr.shape[1])
        results = {way: enlarged(restorer, lr, size, split) for way, split in splits(scale).items()}
        results["bicubic"] = imresize(lr, size=size).astype(np.float32)
        for way, result in results.items():
            scores[way].append(protocol.score(result, hr, scale, RULES).psnr)
    return [f"×{scale:g}", *means(scores.values())]


def main() -> None:
    """Measure, print, and keep."""
    options = arguments(__doc__).parse_args()
    images = [protocol.reference(read(path)) for path in find_images("Set5")]
    restorer = open_restorer("vdsr")
    rows = [row(scale, images, restorer) for scale in SCALES]
    head = [f"{len(images)} images", "bicubic", *splits(SCALES[0])]
    show("passes", head, rows, options.keep, ["vdsr"])


if __name__ == "__main__":
    main()
