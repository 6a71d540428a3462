"""What to restore of a colour picture: RGB PSNR of photographs, drawings, text and sprites.

    python speed/colours.py [--scale 2] [--keep]

Each picture is shrunk by antialiased bicubic, rounded to 8 bits, and enlarged by VDSR: luma alone,
with chroma by bicubic; luma, and chroma that follows its edges (a guided filter: K. He, J. Sun,
X. Tang, "Guided image filtering", ECCV 2010); Y, Cb and Cr each; red, green and blue each. Of
sprites the alpha is scored, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import fmean

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import uniform_filter

import bigsharp
from bigsharp.image.arrays import Array, from_unit
from bigsharp.image.color import rgb_to_ycbcr, ycbcr_to_rgb
from bigsharp.image.resize import imresize
from bigsharp.io.read import read
from bigsharp.restoration.pipeline import is_drawn
from bigsharp.scoring import metrics
from bigsharp.scoring.sets import find_images
from kept import arguments, means, show

COUNT = 8
Ends = tuple[int, int, int, int]
INKS = [(200, 0, 0), (0, 0, 200), (0, 120, 0), (0, 0, 0), (230, 120, 0), (255, 60, 60)]


def shapes(draw: ImageDraw.ImageDraw, random: Generator, count: int, low: int, high: Ends) -> None:
    """Ellipses and rectangles of random colours, their left, top, width and height in a range."""
    for number in range(count):
        ink = tuple(map(int, random.choice([0, 60, 128, 200, 255], 3)))
        x, y, width, height = map(int, random.integers(low, high))
        shape = draw.ellipse if number % 2 else draw.rectangle
        shape((x, y, x + width, y + height), fill=ink)


def drawing(seed: int) -> Array:
    """Shapes and lines of random colours."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (240, 180), tuple(map(int, random.integers(180, 256, 3))))
    draw = ImageDraw.Draw(image)
    shapes(draw, random, 14, 10, (180, 180, 70, 70))
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


def sprite(seed: int) -> Array:
    """A small drawing on nothing: red, green, blue and alpha, smooth at its edge."""
    image = Image.new("RGBA", (720, 540))
    random = np.random.default_rng(seed)
    shapes(ImageDraw.Draw(image), random, 6, 60, (420, 300, 280, 220))
    return np.asarray(image.resize((240, 180), Image.Resampling.BOX))


def guided(small: Array, scale: int) -> Array:
    """VDSR on luma; chroma by bicubic, made a linear function of that luma near each pixel."""
    y, *chroma = np.moveaxis(rgb_to_ycbcr(small / 255).astype(np.float32), -1, 0)
    y = MODEL.upscale(np.clip(y, 0, 1), scale)
    planes = [y]
    for plane in chroma:
        planes.append(follow(imresize(plane, size=y.shape), y, 2 * scale + 1))
    return from_unit(ycbcr_to_rgb(np.stack(planes, axis=-1)), np.uint8)


def follow(plane: Array, guide: Array, window: int, doubt: float = 1e-3) -> Array:
    """He et al.'s guided filter, in squares of so many pixels."""
    near = lambda values: uniform_filter(values, window, mode="nearest")  # noqa: E731
    mean, centre = near(guide), near(plane)
    slope = (near(guide * plane) - mean * centre) / (near(guide**2) - mean**2 + doubt)
    return near(slope) * guide + near(centre - slope * mean)


MODEL = bigsharp.load("vdsr")
WAYS: dict[str, Callable[[Array, int], Array]] = {
    "bicubic": lambda small, scale: bigsharp.upscale(small, scale, model="bicubic"),
    "luma": lambda small, scale: MODEL.upscale(small, scale, colour="luma"),
    "luma, chroma guided by it": guided,
    "Y, Cb, Cr": lambda small, scale: MODEL.upscale(small, scale, colour="ycbcr"),
    "R, G, B": lambda small, scale: MODEL.upscale(small, scale, colour="rgb"),
}


def kinds() -> dict[str, list[Array]]:
    """The pictures, by kind."""
    sets = {"Set5": find_images("Set5"), "Set14": find_images("Set14"),
            "B100, every tenth": find_images("B100")[::10]}  # fmt: skip
    photographs = {
        name: [pixels for path in paths if (pixels := read(path).pixels).ndim == 3]
        for name, paths in sets.items()
    }
    drawn = {"drawings": drawing, "coloured text": text, "sprites": sprite}
    return photographs | {name: [make(k) for k in range(COUNT)] for name, make in drawn.items()}


def row(name: str, pictures: list[Array], scale: int, seconds: dict[str, float]) -> list[str]:
    """A kind's PSNR by every way; and how many of it are taken for drawings."""
    scores: dict[str, list[float]] = {way: [] for way in WAYS}
    drawn = 0
    for picture in pictures:
        height, width = (n // scale * scale for n in picture.shape[:2])
        true = picture[:height, :width, :3]
        small = imresize(true, size=(height // scale, width // scale))
        drawn += is_drawn(small)
        for way, restore in WAYS.items():
            began = time.process_time()
            result = restore(small, scale)
            seconds[way] = seconds.get(way, 0) + time.process_time() - began
            scores[way].append(psnr(result, true, scale))
    return [f"{name} ({len(pictures)})", *means(scores.values()), f"{drawn}"]


def alpha_row(pictures: list[Array], scale: int) -> list[str]:
    """The alpha of sprites: by bicubic, and restored, as it is."""
    cells = {}
    for model in ("bicubic", "vdsr"):
        scores = []
        for picture in pictures:
            small = imresize(picture, size=tuple(n // scale for n in picture.shape[:2]))
            alpha = bigsharp.upscale(small, scale, model=model)[..., 3]
            scores.append(psnr(alpha, picture[..., 3]))
        cells[model] = f"{fmean(scores):.2f}"
    label = f"alpha of sprites ({len(pictures)}): bicubic, restored"
    return [label, cells["bicubic"], f"**{cells['vdsr']}**", *[""] * (len(WAYS) - 1)]


def psnr(result: Array, true: Array, border: int = 0) -> float:
    """Of 8 bits."""
    return metrics.psnr(result.astype(float), true.astype(float), border=border)


def main() -> None:
    """Measure, print, and keep."""
    parser = arguments(__doc__)
    parser.add_argument("--scale", type=int, default=2)
    options = parser.parse_args()
    seconds: dict[str, float] = {}
    several = kinds()
    rows = [row(name, pictures, options.scale, seconds) for name, pictures in several.items()]
    rows.append(alpha_row(several["sprites"], options.scale))
    times = [f"{seconds[way] / seconds['luma']:.1f}" for way in WAYS]
    rows.append(["processor time, luma alone being 1", *times, ""])
    head = [f"×{options.scale}", *WAYS, "taken for drawings"]
    show("colours", head, rows, options.keep, ["vdsr"])


if __name__ == "__main__":
    main()
