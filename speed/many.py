"""Many pictures through `bigsharp upscale`, one at a time and two at once (`--jobs`): seconds."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean

from PIL import Image
from skimage.data import astronaut

from kept import arguments, show

#: Of pictures: how many, their side, and the model.
CASES = {
    "4 of 2000 × 2000 by bicubic": (4, 2000, "bicubic"),
    "150 icons of 48 × 48 by VDSR": (150, 48, "vdsr"),
    "12 of 400 × 400 by VDSR": (12, 400, "vdsr"),
    "12 of 400 × 400 by A+": (12, 400, "aplus"),
}
JOBS, ROUNDS = (1, 2), 2


def run(folder: Path, model: str, jobs: int) -> float:
    """Seconds of one command."""
    words = ["upscale", folder, "-o", folder / "out", "-m", model, "-j", str(jobs), "-q", "-y"]
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bigsharp", *words], check=True)
    return time.perf_counter() - began


def main() -> None:
    """One line a case."""
    options = arguments(__doc__).parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for name, (count, side, model) in CASES.items():
            folder = Path(place) / name
            folder.mkdir()
            picture = Image.fromarray(astronaut()).resize((side, side))
            for number in range(count):
                picture.rotate(number).save(folder / f"{number}.png")
            rounds = [[run(folder, model, jobs) for jobs in JOBS] for _ in range(ROUNDS)]
            rows.append(
                [name, *(f"{fmean(several):.1f} s" for several in zip(*rounds, strict=True))]
            )
    models = sorted({model for _, _, model in CASES.values()})
    show("many", ["", "one at a time", "two at once"], rows, options.keep, models)


if __name__ == "__main__":
    main()
