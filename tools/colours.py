"""What `--colour luma` and `rgb` give on photographs, drawings and coloured text: RGB PSNR.

    python tools/colours.py FOLDER_OF_PHOTOGRAPHS [SCALE]

Each picture is shrunk by antialiased bicubic, rounded to 8 bits, and enlarged by VDSR.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import fmean

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import bigsharp
from bigsharp.image.arrays import Array
from bigsharp.image.resize import imresize
from bigsharp.restoration.pipeline import is_drawn
from bigsharp.scoring import metrics

COUNT = 8
INKS = [(200, 0, 0), (0, 0, 200), (0, 120, 0), (0, 0, 0), (230, 120, 0), (255, 60, 60)]


def drawing(seed: int) -> Array:
    """Shapes and lines of random colours."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (240, 180), tuple(map(int, random.integers(180, 256, 3))))
    draw = ImageDraw.Draw(image)
    for number in range(14):
        ink = tuple(map(int, random.choice([0, 60, 128, 200, 255], 3)))
        x, y, width, height = map(int, random.integers(10, [180, 180, 70, 70]))
        shape = draw.ellipse if number % 2 else draw.rectangle
        shape((x, y, x + width, y + height), fill=ink)
    for _ in range(6):
        ends = tuple(map(int, random.integers(0, 240, 4)))
        draw.line(ends, fill=tuple(map(int, random.choice([0, 255], 3))), width=2)
    return np.asarray(image)


def text(seed: int) -> Array:
    """Lines of text of random sizes and colours."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (240, 180), (255, 255, 255) if seed % 2 else (30, 30, 40))
    draw = ImageDraw.Draw(image)
    for line in range(9):
        font = ImageFont.load_default(int(random.integers(12, 24)))
        ink = INKS[int(random.integers(0, len(INKS)))]
        draw.text((int(random.integers(0, 60)), 20 * line), "Quick brown fox 0123", ink, font)
    return np.asarray(image)


def main(folder: str, scale: int = 2) -> None:
    """Measure and print."""
    paths = sorted(Path(folder).iterdir())
    photographs = [np.asarray(Image.open(p).convert("RGB")) for p in paths[:: len(paths) // COUNT]]
    for name, pictures in {
        "photographs": photographs[:COUNT],
        "drawings": [drawing(seed) for seed in range(COUNT)],
        "coloured text": [text(seed) for seed in range(COUNT)],
    }.items():
        scores: dict[str, list[float]] = {"bicubic": [], "luma": [], "rgb": []}
        drawn = 0
        for picture in pictures:
            height, width = (n // scale * scale for n in picture.shape[:2])
            true = picture[:height, :width]
            small = imresize(true, size=(height // scale, width // scale))
            drawn += is_drawn(small)
            inside = (slice(scale, -scale), slice(scale, -scale))
            for way, kept in scores.items():
                model = "bicubic" if way == "bicubic" else "vdsr"
                colour = "luma" if way == "bicubic" else way
                result = bigsharp.upscale(small, scale, model=model, colour=colour)
                kept.append(metrics.psnr(result[inside].astype(float), true[inside].astype(float)))
        line = "  ".join(f"{way} {fmean(kept):.2f}" for way, kept in scores.items())
        print(f"×{scale} {name}: {line}  (drawn: {drawn} of {len(pictures)})")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
