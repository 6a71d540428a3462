"""Every method on one core: seconds of processor time for a result of 512 × 512 pixels.

    python speed/methods.py [--rounds 3] [--keep]

The methods take turns in one process, and the lowest of the rounds is shown, without what a first
picture takes besides: opening the model, and compiling.
"""

from __future__ import annotations

import os
import time

for library in ("OMP", "OPENBLAS", "NUMBA"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

from skimage.data import astronaut  # noqa: E402  (libraries heed that when they are imported)

import bigsharp  # noqa: E402
from bigsharp.image.resize import imresize  # noqa: E402
from kept import arguments, show  # noqa: E402

SCALES = (2, 4)
METHODS = (
    *("bicubic", "neighbours", "sparse", "aplus", "rfl", "glasner", "selfex"),
    *("srcnn", "vdsr", "drcn-64", "drcn"),
)


def main() -> None:
    """One line a method."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    large = astronaut()[..., 0]
    small = {scale: imresize(large, 1 / scale) for scale in SCALES}
    models = {name: bigsharp.load(name) for name in METHODS}
    seconds: dict[tuple[str, int], list[float]] = {}
    for number in range(options.rounds + 1):
        for name, model in models.items():
            for scale, picture in small.items():
                began = time.process_time()
                assert model.upscale(picture, scale).shape == large.shape
                if number:  # the first round warms up
                    seconds.setdefault((name, scale), []).append(time.process_time() - began)
    rows = [[f"`{name}`", *(f"{min(seconds[name, s]):.2f} s" for s in SCALES)] for name in METHODS]
    show("methods", ["", *(f"×{scale}" for scale in SCALES)], rows, options.keep, METHODS)


if __name__ == "__main__":
    main()
