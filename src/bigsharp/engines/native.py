"""Our own CPU engine: VDSR and DRCN, as a stream of rows (``native/``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from bigsharp import kernels
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.weights.file import Packed

#: Networks that are stacks of 3 × 3 convolutions.
ARCHITECTURES = ("vdsr", "drcn")

#: Rows that are handed over at once, so that threads are started seldom.
_ROWS = 256

#: Of what a picture's rows may take while they go through the layers.
_MEMORY = 1 << 30


class NativeEngine:
    """Run VDSR or DRCN by the minimal filtering algorithm F(4 × 4, 3 × 3), in fp32.

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
        if packed.architecture not in ARCHITECTURES:
            raise BigsharpError(
                f"the native engine runs {' and '.join(ARCHITECTURES)}, not {packed.architecture}"
            )
        self._network = kernels.new_network(instructions)
        # Our ReLU makes 0 of NaN, and would hide such weights.
        if not all(np.isfinite(values).all() for values in packed.state.values()):
            raise BigsharpError("its weights are damaged: some are NaN or infinite")
        try:
            _BUILDERS[packed.architecture](self._network, packed)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BigsharpError(f"the weights are no {packed.architecture}'s ({error})") from None
        self.instructions: str = self._network.instructions
        self.threads = threads or _cores()
        self.scales: Sequence[float] = packed.scales
        self.halo = _halo(packed)
        self.widest = max(_MEMORY // self._network.bytes_per_column, 16 * self.halo)
        self.parameters: int | None = sum(values.size for values in packed.state.values())

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
                stream = kernels.new_stream(self._network, width, self.threads)
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


def _vdsr(network: kernels.Network, packed: Packed) -> None:
    state = packed.state
    depth = packed.options["depth"]
    step = network.embed(*_layer(state, "layers.0"))
    for number in range(1, depth - 1):
        step = network.convolve(step, network.pack(*_layer(state, f"layers.{number}")))
    last = _layer(state, f"layers.{depth - 1}")
    network.reconstruct(step, *last, share=1, skip=packed.options["residual"])


def _drcn(network: kernels.Network, packed: Packed) -> None:
    state, options = packed.state, packed.options
    inference, rebuilding = (
        network.pack(*_layer(state, name)) for name in ("inference", "reconstruction.0")
    )
    last = _layer(state, "reconstruction.1")
    shares = np.zeros(options["recursions"])
    shares[-1] = 1
    if options["ensemble"]:
        total = state["mixture"].sum()
        if total == 0:
            raise ValueError("the shares of its predictions add up to 0")
        # Recursions after the last that counts have no reader.
        shares = np.trim_zeros(state["mixture"] / total, "b")
    step = network.embed(*_layer(state, "embedding.0"))
    step = network.convolve(step, network.pack(*_layer(state, "embedding.1")))
    for share in shares:
        step = network.convolve(step, inference)
        if share:
            rebuilt = network.convolve(step, rebuilding)
            network.reconstruct(rebuilt, *last, share=float(share), skip=options["skip"])


_BUILDERS = {"vdsr": _vdsr, "drcn": _drcn}


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _layer(state: Mapping[str, Array], name: str) -> tuple[Array, Array]:
    return state[f"{name}.weight"], state[f"{name}.bias"]


def _halo(packed: Packed) -> int:
    if packed.architecture == "vdsr":
        return packed.options["depth"]
    return packed.options["recursions"] + 4
