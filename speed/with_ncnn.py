"""VDSR and DRCN in ncnn, their weights written in ncnn's own form.

    python speed/with_ncnn.py cat.png cat-x2.png

enlarges a picture by 2 as `bigsharp upscale` does, with the released VDSR run by ncnn.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bigsharp import weights
from bigsharp.image.arrays import Array
from bigsharp.io import picture
from bigsharp.restore.pipeline import choose_target, upscale_picture
from bigsharp.weights import file
from bigsharp.weights.file import Packed


class NcnnEngine:
    """A network that ncnn runs, in fp32."""

    name = "ncnn"
    halo = 20

    def __init__(self, packed: Packed) -> None:
        import ncnn

        graph = Graph(packed.state)
        {"vdsr": write_vdsr, "drcn": write_drcn}[packed.architecture](graph, packed)
        self.scales: Sequence[float] = packed.scales
        self.parameters = sum(values.size for values in packed.state.values())
        self.library, self.net = ncnn, ncnn.Net()
        self.net.opt.num_threads = os.cpu_count()
        self.net.opt.use_fp16_storage = self.net.opt.use_fp16_arithmetic = False
        self.net.opt.use_bf16_storage = False
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "net.param").write_text(graph.text())
            Path(folder, "net.bin").write_bytes(graph.data)
            self.net.load_param(f"{folder}/net.param")
            self.net.load_model(f"{folder}/net.bin")

    def restore(self, ilr: Array) -> Array:
        """Restore ILR luma."""
        with self.net.create_extractor() as extractor:
            extractor.input("ilr", self.library.Mat(ilr[None]))
            return np.array(extractor.extract("out")[1])[0]


class Graph:
    """Layers as ncnn's two files name them. A blob has one reader: copies are layers, too."""

    def __init__(self, state: dict[str, Array]) -> None:
        self.state = state
        self.lines = ["Input ilr 0 1 ilr"]
        self.blobs = 1
        self.data = b""

    def layer(self, kind: str, inputs: list[str], settings: str, outputs: int = 1) -> list[str]:
        """Add one, and name its outputs."""
        names = [f"b{self.blobs + i}" for i in range(outputs)]
        self.blobs += outputs
        words = [kind, f"l{len(self.lines)}", len(inputs), outputs, *inputs, *names, settings]
        self.lines.append(" ".join(map(str, words)))
        return names

    def convolve(self, x: str, name: str, relu: bool = True) -> str:
        """A 3 × 3 convolution by the weights of that name."""
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        self.data += bytes(4) + weight.tobytes() + bias.tobytes()
        settings = f"0={len(weight)} 1=3 4=1 5=1 6={weight.size} 9={int(relu)}"
        return self.layer("Convolution", [x], settings)[0]

    def copies(self, x: str, count: int) -> list[str]:
        """The same for several readers."""
        return self.layer("Split", [x], "", count)

    def add(self, x: str, y: str) -> str:
        """Their sum."""
        return self.layer("BinaryOp", [x, y], "0=0")[0]

    def text(self) -> str:
        """The first file; the last layer's output is `out`."""
        before, last = self.lines[:-1], self.lines[-1].split(" ")
        last[last.index(f"b{self.blobs - 1}")] = "out"
        return "\n".join(
            ["7767517", f"{len(self.lines)} {self.blobs}", *before, " ".join(last), ""]
        )


def write_vdsr(graph: Graph, packed: Packed) -> None:
    """A stack, and the image added to it."""
    x, skip = graph.copies("ilr", 2)
    last = packed.options["depth"] - 1
    for number in range(last):
        x = graph.convolve(x, f"layers.{number}")
    graph.add(graph.convolve(x, f"layers.{last}", relu=False), skip)


def write_drcn(graph: Graph, packed: Packed) -> None:
    """Every recursion's reconstruction, weighted and added up, and the image added to the sum."""
    x, skip = graph.copies("ilr", 2)
    for number in range(2):
        x = graph.convolve(x, f"embedding.{number}")
    total = ""
    mixture = packed.state["mixture"]
    for share in mixture / mixture.sum():
        x, state = graph.copies(graph.convolve(x, "inference"), 2)
        rebuilt = graph.convolve(state, "reconstruction.0")
        rebuilt = graph.convolve(rebuilt, "reconstruction.1", relu=False)
        weighted = graph.layer("BinaryOp", [rebuilt], f"0=2 1=1 2={share:.9e}")[0]
        total = graph.add(total, weighted) if total else weighted
    graph.add(total, skip)


def main(source: str, target: str) -> None:
    """Enlarge a picture by 2."""
    engine = NcnnEngine(file.read(weights.path("vdsr", file.SUFFIX)))
    image = picture.read(source)
    picture.write(upscale_picture(image, choose_target(image.size, 2), engine), target)


if __name__ == "__main__":
    main(*sys.argv[1:])
