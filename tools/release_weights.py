"""Release what was trained: weights, and the card that says what they are.

    python tools/release_weights.py runs/vdsr/best.pt vdsr --hardware "2 CPU cores of …"
    python tools/release_weights.py runs/aplus/aplus-x3.safetensors aplus-x3 --scale 3 \
      --hardware "…"
    python tools/release_weights.py runs/vdsr-denoise/best.pt vdsr-denoise --hardware "…"

scores the model on the benchmark sets of its task that BIGSHARP_DATA holds and writes
NAME.safetensors and NAME.json, of a network's checkpoint also NAME.onnx, into src/bigsharp/weights.
The card has the scores, and of a network the curve of the held-out images. A model for one scale is
named for it.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import bigsharp
from bigsharp import classic
from bigsharp.benchmark.run import Result, benchmark
from bigsharp.benchmark.tasks import BENCHMARKS
from bigsharp.classic.train import Settings
from bigsharp.io.files import write_bytes
from bigsharp.training.classic import DATA
from bigsharp.weights import file
from bigsharp.weights.file import SUFFIX

WEIGHTS = Path(__file__).parents[1] / "src" / "bigsharp" / "weights"

#: Of what is no network.
TITLES = {"sparse": "Sparse coding", "neighbours": "NE+LLE", "aplus": "A+", "rfl": "RFL"}


def main() -> None:
    """Read the arguments, write the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("name")
    parser.add_argument("--hardware", required=True, help="what it was trained on")
    parser.add_argument("--note", default="", help="what a user should know of these weights")
    parser.add_argument("--source", help="the paper of what is no network")
    parser.add_argument("--data", help="sets to score, others than the task's")
    parser.add_argument("--scale", help="other scales, or levels, than the task's")
    options = parser.parse_args()

    release = release_method if options.checkpoint.suffix == SUFFIX else release_network
    files, about = release(options.checkpoint)
    task = about.pop("task", "upscale")
    test = BENCHMARKS[task]
    (rules,) = test.rules
    sets = options.data.split(",") if options.data else test.data
    tested = [float(s) for s in options.scale.split(",")] if options.scale else test.strengths
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{SUFFIX}"
        path.write_bytes(files[SUFFIX])
        results = benchmark(sets, tested, [test.methods[0], str(path)], rules=rules)
    card = {
        "name": options.name,
        "task": task,
        "summary": summary(results, about),
        "note": options.note,
        **({"source": options.source} if options.source else {}),
        **about,
        "hardware": options.hardware,
        "date": datetime.date.today().isoformat(),
        "bigsharp": bigsharp.__version__,
        "license": "MIT",
        "sha256": {e: hashlib.sha256(written).hexdigest() for e, written in files.items()},
        "protocol": rules.name,
        "measured": [
            ours.beside(before) for before, ours in zip(results[::2], results[1::2], strict=True)
        ],
    }
    files[".json"] = (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode()
    for extension, written in files.items():
        write_bytes(WEIGHTS / (options.name + extension), written)
    print(card["summary"])


def release_network(path: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of a checkpoint's network, and its part of the card."""
    import torch

    from bigsharp import networks
    from bigsharp.networks.export import WRITERS

    content = networks.read_checkpoint(path)
    packed = networks.read(path)
    network = networks.unpack(packed, path)
    return {suffix: write(packed) for suffix, write in WRITERS.items()}, {
        "task": packed.task,
        "architecture": packed.architecture,
        "options": network.options,
        "parameters": network.parameter_count,
        "macs_per_pixel": network.macs_per_pixel,
        "receptive_field": network.receptive_field,
        "recipe": content["recipe"],
        "steps": content["step"],
        "curve": [{k: v and round(v, 5) for k, v in row.items()} for row in content["log"]],
        "torch": torch.__version__,
    }


def release_method(path: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The file of a method that is no network, and its part of the card."""
    learned = file.read_learned(path)
    return {SUFFIX: path.read_bytes()}, {
        "architecture": learned.architecture,
        "options": learned.options,
        "parameters": classic.build(learned).parameters,
        "recipe": {"data": DATA, **asdict(Settings())},
        "numpy": np.__version__,
    }


def summary(results: list[Result], about: dict[str, Any]) -> str:
    """One line: the model, and its PSNR on the first set."""
    first = [r for r in results[1::2] if r.data == results[0].data]
    scores = " ".join(f"{r.mean.psnr:.2f}" for r in first)
    labels = " ".join(r.label for r in first)
    size = f"{about['parameters'] / 1e6:.2f} M parameters"
    title = TITLES.get(about["architecture"], about["architecture"].upper())
    return f"{title}, {size}; {first[0].data} at {labels}: {scores} dB"


if __name__ == "__main__":
    main()
