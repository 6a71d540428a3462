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
from bigsharp.io import write as pictures
from bigsharp.io.formats import format_of
from bigsharp.io.read import read
from bigsharp.restoration.pipeline import upscale_picture
from bigsharp.restoration.restorer import ByNetwork
from bigsharp.restoration.target import choose_target
from bigsharp.weights import file
from bigsharp.weights.file import Packed


class NcnnEngine:
    """A network that ncnn runs, in fp32."""

    name = "ncnn"

    def __init__(self, packed: Packed) -> None:
        import ncnn

        net = Net(packed.state)
        write(net, packed)
        self.scales: Sequence[float] = packed.scales
        self.task = packed.task
        self.halo = packed.halo
        self.parameters = packed.parameter_count
        self.library, self.net = ncnn, ncnn.Net()
        self.net.opt.num_threads = os.cpu_count()
        self.net.opt.use_fp16_storage = self.net.opt.use_fp16_arithmetic = False
        self.net.opt.use_bf16_storage = False
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "net.param").write_text(net.text())
            Path(folder, "net.bin").write_bytes(net.data)
            self.net.load_param(f"{folder}/net.param")
            self.net.load_model(f"{folder}/net.bin")

    def restore(self, ilr: Array) -> Array:
        """Restore ILR luma."""
        with self.net.create_extractor() as extractor:
            extractor.input("ilr", self.library.Mat(ilr[None]))
            return np.array(extractor.extract("out")[1])[0]


class Net:
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


def write(net: Net, packed: Packed) -> None:
    """Layer by layer; a result is copied for as many as read it."""
    graph = packed.graph
    reads = [of for _, of, *_ in (*graph.layers, *graph.outputs)] + [0] * graph.skip
    waiting = {}

    def keep(number: int, x: str) -> None:
        count = reads.count(number)
        waiting[number] = net.copies(x, count) if count > 1 else [x]

    keep(0, "ilr")
    for number, (name, of) in enumerate(graph.layers, 1):
        keep(number, net.convolve(waiting[of].pop(), name))
    total = ""
    for name, of, share in graph.outputs:
        part = net.convolve(waiting[of].pop(), name, relu=False)
        part = net.layer("BinaryOp", [part], f"0=2 1=1 2={share:.9e}")[0] if share != 1 else part
        total = net.add(total, part) if total else part
    if graph.skip:
        net.add(total, waiting[0].pop())


def main(source: str, target: str) -> None:
    """Enlarge a picture by 2."""
    engine = NcnnEngine(file.read(weights.path("vdsr", file.SUFFIX)))
    image = read(source)
    result = upscale_picture(image, choose_target(image.size, 2), ByNetwork(engine))
    pictures.write(target, format_of(target), [result], pictures.Saving())


if __name__ == "__main__":
    main(*sys.argv[1:])
