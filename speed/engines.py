"""Engines on the CPU, side by side: effective GFLOP/s, share of the peak, threads, memory, start.

    python speed/engines.py [--model vdsr] [--sides 256,512,1024,2048] [--rounds 5]

The engines take turns in one process, and medians are printed. "Effective" counts the operations
of the direct convolution, whatever an engine does. Instruction sets beside the best are run, too;
ncnn is where it is installed (pip install ncnn). `--model drcn` takes the paper's network of 256
filters, with weights drawn by chance, as none are released.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from bigsharp import kernels, networks, weights
from bigsharp.engines import Engine, open_engine
from bigsharp.engines.native import NativeEngine
from bigsharp.networks.network import Network
from bigsharp.weights import file
from bigsharp.weights.onnx import to_onnx
from kept import arguments, show
from with_ncnn import NcnnEngine

#: ONNX Runtime's and PyTorch's threads spin for a while after a run, which the next may not suffer.
PAUSE = 0.2


def read_network(model: str) -> tuple[str, Network]:
    """The released network, or DRCN by chance."""
    if model in weights.names():
        packed = file.read(weights.path(model, file.SUFFIX))
        return packed.architecture, networks.load(weights.path(model, file.SUFFIX))
    torch.manual_seed(0)
    network = networks.build(model)
    # Its last convolution starts at zero, which would hide what the others do.
    torch.nn.init.normal_(network.reconstruction[-1].weight, std=0.02)
    return model, network


def open_all(network: Network, architecture: str, folder: Path) -> dict[str, Engine]:
    """Every engine that runs here, ours also by its other instructions and numbers of threads."""
    packed = networks.pack(architecture, network)
    (folder / "n.safetensors").write_bytes(file.to_bytes(packed))
    (folder / "n.onnx").write_bytes(to_onnx(packed))
    cores = NativeEngine(packed).threads
    engines: dict[str, Engine] = {f"native, {cores} threads": NativeEngine(packed)}
    for threads in (1, 2 * cores):
        engines[f"native, {threads} threads"] = NativeEngine(packed, threads)
    if kernels.instructions() == "x86-64-v4":
        engines["native, x86-64-v3"] = NativeEngine(packed, 0, "x86-64-v3")
    engines["onnx"] = open_engine(folder / "n.onnx")
    engines["torch"] = open_engine(folder / "n.safetensors", "torch")
    if find_spec("ncnn"):
        engines["ncnn"] = NcnnEngine(packed)
    return engines


def speed(engines: dict[str, Engine], side: int, rounds: int, macs: int) -> dict[str, float]:
    """Effective GFLOP/s by engine."""
    ilr = np.random.default_rng(0).random((side, side), np.float32)
    times: dict[str, list[float]] = {name: [] for name in engines}
    results = {name: engine.restore(ilr) for name, engine in engines.items()}
    for _ in range(rounds):
        for name, engine in engines.items():
            time.sleep(PAUSE)
            began = time.perf_counter()
            engine.restore(ilr)
            times[name].append(time.perf_counter() - began)
    for name, result in results.items():
        apart = np.abs(result - results["onnx"]).max()
        assert apart < 1e-3, f"{name} differs from ONNX Runtime by {apart:.1e}"
    return {name: 2e-9 * macs * side**2 / statistics.median(t) for name, t in times.items()}


def memory_and_start(engine: str, model: str) -> list[str]:
    """What a process takes at 1024², above its imports, and how soon the engine is ready."""
    script = (
        "import re, time, numpy as np; from bigsharp.engines import open_engine\n"
        f"import bigsharp.engines.{engine}\n"
        "ilr = np.zeros((1024, 1024), np.float32)\n"
        # Not getrusage: its peak is the parent's, too.
        "status = lambda: open('/proc/self/status').read()\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', status())[1]) / 1024\n"
        "before, began = peak(), time.perf_counter()\n"
        f"opened = open_engine({model!r}, {engine!r}); ready = time.perf_counter() - began\n"
        "opened.restore(ilr); print(f'{peak() - before:.0f} MB;{ready:.3f} s')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.strip().split(";")


def main() -> None:
    """One line an engine."""
    parser = arguments(__doc__)
    parser.add_argument("--model", default="vdsr")
    parser.add_argument("--sides", default="256,512,1024,2048")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    architecture, network = read_network(options.model)
    peak = kernels.peak("", os.cpu_count() or 1, 1.0)
    sides = list(map(int, options.sides.split(",")))
    with tempfile.TemporaryDirectory() as folder:
        engines = open_all(network, architecture, Path(folder))
        rates = [speed(engines, side, options.rounds, network.macs_per_pixel) for side in sides]
    released = options.model in weights.names()
    # What `memory_and_start` calls those that it is asked of.
    kind = {f"native, {os.cpu_count()} threads": "native", "onnx": "onnx", "torch": "torch"}
    rows = []
    for name in engines:
        several = [f"{rate[name]:.0f}" for rate in rates]
        ratio = statistics.mean(rate[name] / rate["onnx"] for rate in rates)
        row = [
            name,
            *several,
            f"{ratio:.2f}",
            f"{statistics.mean(r[name] for r in rates) / peak:.2f}",
        ]
        if released:
            row += memory_and_start(kind[name], options.model) if name in kind else ["", ""]
        rows.append(row)
    head = ["effective GFLOP/s", *(f"{side}²" for side in sides), "× ONNX Runtime"]
    head.append(f"of {peak:.0f} GFLOP/s of multiply-adds")
    head += ["memory at 1024²", "ready in"] if released else []
    models = [options.model] if released else []
    show(f"engines {options.model}", head, rows, options.keep, models)


if __name__ == "__main__":
    main()
