"""Make the README's picture: the example enlarged by bicubic and by bigsharp, side by side."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import bigsharp

ROOT = Path(__file__).parents[1]
SCALE = 4
#: Of the small picture: left, top, right, bottom.
CROP = (28, 8, 108, 72)
GAP, CAPTION = 8, 26


def main() -> None:
    """Write docs/before-after.png."""
    small = Image.open(ROOT / "examples" / "astronaut.png").crop(CROP)
    panels = {
        "before: bicubic, as most viewers show it": bigsharp.upscale(small, SCALE, model="bicubic"),
        "after: bigsharp": bigsharp.upscale(small, SCALE),
    }
    width, height = small.width * SCALE, small.height * SCALE
    sheet = Image.new("RGB", (2 * width + GAP, height + CAPTION), "white")
    draw = ImageDraw.Draw(sheet)
    for column, (caption, panel) in enumerate(panels.items()):
        left = column * (width + GAP)
        sheet.paste(panel, (left, 0))
        draw.text((left + 2, height + 6), caption, "black", ImageFont.load_default(14))
    sheet.save(ROOT / "docs" / "before-after.png", optimize=True)


if __name__ == "__main__":
    main()
