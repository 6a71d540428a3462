"""Release a trained checkpoint: weights for both engines, and the card that says what they are.

    python tools/release.py runs/vdsr/best.pt vdsr --hardware "2 CPU cores of …"

scores the network on the benchmark sets that BIGSHARP_DATA holds and writes NAME.safetensors,
NAME.onnx and NAME.json, with the scores and the curve of the held-out images, into
src/bigsharp/weights. A network for one scale is named for it: srcnn-x3.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import tempfile
from pathlib import Path

import torch

import bigsharp
from bigsharp import networks
from bigsharp.benchmark.run import Result, benchmark
from bigsharp.io.files import write_bytes
from bigsharp.networks.export import WRITERS
from bigsharp.networks.network import Network
from bigsharp.weights.file import SUFFIX

WEIGHTS = Path(__file__).parents[1] / "src" / "bigsharp" / "weights"


def main() -> None:
    """Read the arguments, write the three files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("name")
    parser.add_argument("--hardware", required=True, help="what it was trained on")
    parser.add_argument("--note", default="", help="what a user should know of these weights")
    parser.add_argument("--data", default="Set5,Set14,B100", help="sets to score")
    parser.add_argument("--scale", default="2,3,4")
    options = parser.parse_args()

    content = networks.read_checkpoint(options.checkpoint)
    packed = networks.read(options.checkpoint)
    network = networks.unpack(packed, options.checkpoint)
    files = {suffix: write(packed) for suffix, write in WRITERS.items()}
    tested = [float(scale) for scale in options.scale.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"network{SUFFIX}"
        path.write_bytes(files[SUFFIX])
        results = benchmark(options.data.split(","), tested, ["bicubic", str(path)])
    card = {
        "name": options.name,
        "summary": summary(results, content["architecture"], network),
        "note": options.note,
        "architecture": content["architecture"],
        "options": network.options,
        "parameters": network.parameter_count,
        "macs_per_pixel": network.macs_per_pixel,
        "receptive_field": network.receptive_field,
        "recipe": content["recipe"],
        "steps": content["step"],
        "curve": [{k: v and round(v, 5) for k, v in row.items()} for row in content["log"]],
        "hardware": options.hardware,
        "torch": torch.__version__,
        "date": datetime.date.today().isoformat(),
        "bigsharp": bigsharp.__version__,
        "license": "MIT",
        "sha256": {e: hashlib.sha256(written).hexdigest() for e, written in files.items()},
        "protocol": results[0].protocol,
        "measured": [measured(*pair) for pair in zip(results[::2], results[1::2], strict=True)],
    }
    files[".json"] = (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode()
    for extension, written in files.items():
        write_bytes(WEIGHTS / (options.name + extension), written)
    print(card["summary"])


def measured(bicubic: Result, network: Result) -> dict[str, object]:
    """One row of the card: a set at a scale."""
    return {
        "data": network.data,
        "scale": network.scale,
        "psnr": round(network.mean.psnr, 4),
        "ssim": round(network.mean.ssim, 5),
        "bicubic_psnr": round(bicubic.mean.psnr, 4),
        "bicubic_ssim": round(bicubic.mean.ssim, 5),
    }


def summary(results: list[Result], architecture: str, network: Network) -> str:
    """One line: the network, and its PSNR on the first set."""
    first = [r for r in results[1::2] if r.data == results[0].data]
    scores = " ".join(f"{r.mean.psnr:.2f}" for r in first)
    scales = " ".join(f"×{r.scale:g}" for r in first)
    size = f"{network.parameter_count / 1e6:.2f} M parameters"
    return f"{architecture.upper()}, {size}; {first[0].data} at {scales}: {scores} dB"


if __name__ == "__main__":
    main()
