"""How long the command line takes to answer, beside Python doing nothing.

The target is 0.3 s for ``--help`` and ``--version``.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

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
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):
        for name, words in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - began)
    for name, times in seconds.items():
        print(f"{name:30} {statistics.median(times):6.3f} s   slowest {max(times):.3f} s")


if __name__ == "__main__":
    main()
