"""A whole `bigsharp upscale`, by engine and tile size: seconds and peak memory of the process.

The cases take turns, twice, and means are printed. ncnn, where it is installed, does the
same by `with_ncnn.py`. The native engine takes rows, and no tiles.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from bigsharp.defaults import MODEL
from kept import arguments, show, timed

#: Of the small picture; the result at ×2 has a megapixel, and four in the second case.
SIDES = (512, 1024)
CASES = [("native", 512), ("onnx", 256), ("onnx", 512), ("onnx", 1024), ("torch", 512)]
if find_spec("ncnn"):
    CASES.append(("ncnn", 512))
NAMES = {
    "native": "native engine, by rows (the default)",
    "onnx": "ONNX Runtime",
    "torch": "PyTorch",
    "ncnn": "ncnn in the place of an engine",
}
ROUNDS = 2


def run(image: Path, engine: str, tile: int) -> tuple[float, float]:
    """Seconds and peak resident megabytes of one command."""
    output = image.with_suffix(".out.png")
    words = ["-m", "bigsharp", "upscale", image, "-o", output, "--scale", "2", "-q", "-y"]
    words += ["--model", MODEL, "--engine", engine, "--tile", str(tile)]
    if engine == "ncnn":
        words = [Path(__file__).with_name("with_ncnn.py"), image, output]
    return timed(words)


def main() -> None:
    """One line a case; the ratio is to ONNX Runtime in tiles of 512."""
    options = arguments(__doc__).parse_args()
    cells = {case: [NAMES[case[0]] + ("" if case[0] == "native" else f", tiles of {case[1]}")]
             for case in CASES}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for side in SIDES:
            image = Path(folder) / f"{side}.png"
            noise = np.random.default_rng(0).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
            Image.fromarray(noise).resize((side, side)).save(image)
            rounds = [{case: run(image, *case) for case in CASES} for _ in range(ROUNDS)]
            measured = {case: np.mean([r[case] for r in rounds], axis=0) for case in CASES}
            default = measured["onnx", 512][0]
            for case, (seconds, memory) in measured.items():
                cells[case] += [f"{seconds:.1f} s", f"{default / seconds:.2f}", f"{memory:.0f} MB"]
    head = [""]
    for side in SIDES:
        head += [f"{side}² → {2 * side}²", "× ONNX Runtime", "memory"]
    show("upscale", head, list(cells.values()), options.keep, [MODEL])


if __name__ == "__main__":
    main()
