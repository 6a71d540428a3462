"""Engines on the CPU, side by side: effective GFLOP/s, share of the peak, threads, memory, start.

    python speed/engines.py [--model vdsr] [--sides 256,512,1024,2048] [--rounds 5]

The engines take turns in one process, and medians are printed. "Effective" counts the operations
of the direct convolution, whatever an engine does. Instruction sets beside the best are run, too;
ncnn is where it is installed (pip install ncnn). `--model drcn` takes the paper's network of 256
filters, with weights drawn by chance, as none are released.
"""

from __future__ import annotations

import argparse
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


def speed(engines: dict[str, Engine], side: int, rounds: int, macs: int, peak: float) -> None:
    """Print one line an engine."""
    ilr = np.random.default_rng(0).random((side, side), np.float32)
    times: dict[str, list[float]] = {name: [] for name in engines}
    results = {name: engine.restore(ilr) for name, engine in engines.items()}
    for _ in range(rounds):
        for name, engine in engines.items():
            time.sleep(PAUSE)
            began = time.perf_counter()
            engine.restore(ilr)
            times[name].append(time.perf_counter() - began)
    rates = {name: 2e-9 * macs * side**2 / statistics.median(t) for name, t in times.items()}
    for name, rate in rates.items():
        apart = np.abs(results[name] - results["onnx"]).max()
        print(
            f"{side:5}²  {name:20} {rate:6.0f} GFLOP/s  {rate / rates['onnx']:5.2f} × onnx  "
            f"{rate / peak:5.2f} × peak  differs by {apart:.1e}"
        )


def memory_and_start(engine: str, model: str) -> None:
    """Print what a process takes at 1024², above its imports, and how soon the engine is ready."""
    script = (
        "import re, time, numpy as np; from bigsharp.engines import open_engine\n"
        f"import bigsharp.engines.{engine}\n"
        "ilr = np.zeros((1024, 1024), np.float32)\n"
        # Not getrusage: its peak is the parent's, too.
        "status = lambda: open('/proc/self/status').read()\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', status())[1]) / 1024\n"
        "before, began = peak(), time.perf_counter()\n"
        f"opened = open_engine({model!r}, {engine!r}); ready = time.perf_counter() - began\n"
        "opened.restore(ilr); print(f'{peak() - before:.0f} MB, ready in {ready:.3f} s')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    print(f" 1024²  {engine:20} {done.stdout.strip()}")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="vdsr")
    parser.add_argument("--sides", default="256,512,1024,2048")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    architecture, network = read_network(options.model)
    peak = kernels.peak("", os.cpu_count() or 1, 1.0)
    print(f"{kernels.instructions()}, {os.cpu_count()} cores: {peak:.0f} GFLOP/s of multiply-adds")
    with tempfile.TemporaryDirectory() as folder:
        engines = open_all(network, architecture, Path(folder))
        for side in map(int, options.sides.split(",")):
            speed(engines, side, options.rounds, network.macs_per_pixel, peak)
    if options.model in weights.names():
        for engine in ("native", "onnx", "torch"):
            memory_and_start(engine, options.model)


if __name__ == "__main__":
    main()
