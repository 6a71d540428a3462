"""How long the command line takes to answer, beside Python doing nothing.

The target for ``--help`` is 0.1 s.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from kept import arguments, show

REPEATS = 15
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "bigsharp --version": ["-m", "bigsharp", "--version"],
    "bigsharp --help": ["-m", "bigsharp", "--help"],
    "bigsharp upscale --help": ["-m", "bigsharp", "upscale", "--help"],
    "python -c 'import bigsharp'": ["-c", "import bigsharp"],
}


def main() -> None:
    """Run the commands in turn, so that a slow spell of the machine meets them all."""
    options = arguments(__doc__).parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):
        for name, words in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - began)
    rows = [
        [f"`{name}`", f"{statistics.median(times):.3f} s", f"{max(times):.3f} s"]
        for name, times in seconds.items()
    ]
    show("startup", ["", f"median of {REPEATS}", "slowest"], rows, options.keep)


if __name__ == "__main__":
    main()
