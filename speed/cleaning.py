"""What it costs to take noise and JPEG's damage away: seconds and peak memory of whole commands.

Of a JPEG of quality 50 (4:2:0), twice in turn; means are printed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from bigsharp.defaults import MODEL
from bigsharp.restoration.models import CLEANERS
from kept import arguments, show, timed

SIDE = 1024
CASES = {
    "`upscale --clean off`": ["upscale", "--clean", "off"],
    "`upscale`: deblocked first": ["upscale"],
    "`restore --deblock auto`": ["restore", "--deblock", "auto"],
    "`restore --denoise 55`": ["restore", "--denoise", "55"],
}
ROUNDS = 2


def main() -> None:
    """One line a case; the ratio is to enlarging alone."""
    options = arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        image, output = Path(folder) / "in.jpg", Path(folder) / "out.png"
        noise = np.random.default_rng(0).integers(0, 256, (SIDE // 8, SIDE // 8, 3), np.uint8)
        Image.fromarray(noise).resize((SIDE, SIDE)).save(image, quality=50)
        end = [image, "-o", output, "-q", "-y"]
        rounds = [
            [timed(["-m", "bigsharp", *words, *end]) for words in CASES.values()]
            for _ in range(ROUNDS)
        ]
    measured = np.mean(rounds, axis=0)
    rows = [
        [name, f"{seconds:.1f} s", f"{seconds / measured[0, 0]:.2f}", f"{memory:.0f} MB"]
        for name, (seconds, memory) in zip(CASES, measured, strict=True)
    ]
    head = [f"JPEG of {SIDE}²", "time", "enlarging alone being 1", "memory"]
    show("cleaning", head, rows, options.keep, [MODEL, *CLEANERS.values()])


if __name__ == "__main__":
    main()
