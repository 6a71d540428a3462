"""Our own CPU engine: VDSR and DRCN, as a stream of rows (``native/``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from bigsharp import kernels
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.weights.file import Packed, Task

#: Rows that are handed over at once, so that threads are started seldom.
_ROWS = 256

#: Of what a picture's rows may take while they go through the layers.
_MEMORY = 1 << 30


class NativeEngine:
    """Run 3 × 3 convolutions by the minimal filtering algorithm F(4 × 4, 3 × 3), in fp32.

    The result is the same, bit for bit, for any number of threads.

    Parameters
    ----------
    packed : Packed
        The network.
    threads : int
        0 for one a core.
    instructions : str
        An instruction set: "x86-64-v3", "x86-64-v4" or "neon"; the best by default.

    Raises
    ------
    BigsharpError
        The network is of another kind, its weights are damaged, or the machine has no such
        instructions.

    Attributes
    ----------
    widest : int
        Columns that `rows` takes: those whose rows need a gigabyte in all layers together.

    References
    ----------
    A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.
    """

    name = "native"

    def __init__(self, packed: Packed, threads: int = 0, instructions: str = "") -> None:
        if not can_run(packed):
            raise BigsharpError(
                "the native engine runs 3 × 3 convolutions, such as VDSR's and DRCN's, and not "
                f"{packed.architecture}"
            )
        self._layers = kernels.new_layers(instructions)
        # Our ReLU makes 0 of NaN, and would hide such weights.
        if not all(np.isfinite(values).all() for values in packed.state.values()):
            raise BigsharpError("its weights are damaged: some are NaN or infinite")
        try:
            _fill(self._layers, packed)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BigsharpError(f"the weights are no {packed.architecture}'s ({error})") from None
        self.instructions: str = self._layers.instructions
        self.threads = threads or _cores()
        self.scales: Sequence[float] = packed.scales
        self.task: Task = packed.task
        self.halo = packed.halo
        self.widest = max(_MEMORY // self._layers.bytes_per_column, 16 * self.halo)
        self.parameters: int | None = packed.parameter_count

    def restore(self, ilr: Array) -> Array:
        """Restore ILR luma: float32, (H, W), in [0, 1], to the same; the output is not clipped."""
        if 0 in ilr.shape:
            raise ValueError(f"a picture of shape {ilr.shape} has no pixels")
        if ilr.ndim == 2 and ilr.shape[1] > self.widest:
            return self._restore_in_strips(ilr)
        bands = (ilr[top : top + _ROWS] for top in range(0, ilr.shape[0], _ROWS))
        return np.concatenate(list(self.rows(bands)))

    def rows(self, bands: Iterable[Array]) -> Iterator[Array]:
        """Restore a picture that comes as bands of rows.

        Memory grows with the width of the picture, and not with its height.

        Parameters
        ----------
        bands : iterable of ndarray, shape (rows, W), float32
            From the top; of any number of rows each, and `widest` columns at most.

        Yields
        ------
        ndarray, shape (rows, W), float32
            The restored rows in order, as they are finished: the network's `halo` behind.

        Raises
        ------
        ValueError
            A pixel is NaN or infinite or no floating-point number, or the bands differ in width,
            or are wider than `widest`.
        """
        stream: kernels.Stream | None = None
        width = 0
        for band in bands:
            if band.ndim != 2 or band.shape[1] == 0:
                raise ValueError(f"a band of rows has shape (rows, width), not {band.shape}")
            if band.dtype.kind != "f":
                raise ValueError(f"pixels are floating-point numbers in [0, 1], not {band.dtype}")
            if stream is None:
                width = band.shape[1]
                if width > self.widest:
                    raise ValueError(f"rows have {self.widest} columns at most, not {width}")
                stream = kernels.new_stream(self._layers, width, self.threads)
            if band.shape[1] != width:
                raise ValueError(f"a band is {band.shape[1]} wide, those before {width}")
            yield _run(stream.push, np.ascontiguousarray(band, np.float32))
        if stream is not None:
            yield _run(stream.finish)

    def _restore_in_strips(self, ilr: Array) -> Array:
        """Columns by columns, so that memory is bounded; not a bit of the result changes."""
        width = ilr.shape[1]
        # The picture's own tiles begin at multiples of 4; an output's rounding depends on its whole
        # tile, so that a convolution sees 4 pixels more, not 1.
        side, margin = self.widest // 8 * 4, 4 * self.halo
        restored = []
        for left in range(0, width, side):
            seen = max(0, left - margin)
            strip = self.restore(ilr[:, seen : min(width, left + side + margin)])
            restored.append(strip[:, left - seen :][:, :side])
        return np.hstack(restored)


def _run(work: Callable[..., Array], *band: Array) -> Array:
    try:
        return work(*band)
    except OSError as error:
        raise BigsharpError(f"the native engine cannot start its threads ({error})") from None


def can_run(packed: Packed) -> bool:
    """Whether all of a network's convolutions are 3 × 3, with zeros beyond the border."""
    kernels_seen = [values.shape for name, values in packed.state.items() if values.ndim == 4]
    return packed.graph.padding == "zeros" and all(shape[2:] == (3, 3) for shape in kernels_seen)


def _fill(layers: kernels.Layers, packed: Packed) -> None:
    """Hand a network's layers over, those alone that some output reads."""
    graph = packed.graph
    outputs = [output for output in graph.outputs if output[-1] != 0]
    if not outputs:
        raise ValueError("none of its predictions has a share")
    read = {of for _, of, _ in outputs}
    for number in range(len(graph.layers), 0, -1):
        if number in read:
            read.add(graph.layers[number - 1][1])
    weights: dict[str, int] = {}
    steps: dict[int, int] = {}
    for number, (name, of) in enumerate(graph.layers, 1):
        if number not in read:
            continue
        if of == 0:
            steps[number] = layers.embed(*packed.layer(name))
            continue
        if name not in weights:
            weights[name] = layers.pack(*packed.layer(name))
        steps[number] = layers.convolve(steps[of], weights[name])
    for name, of, share in outputs:
        layers.reconstruct(steps[of], *packed.layer(name), share=share, skip=graph.skip)


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
