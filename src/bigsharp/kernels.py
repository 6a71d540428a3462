"""The one door to the native extension (``native/``): what runs here, and its kernels.

Where it was not built, or cannot be loaded, `instructions` is None and `why_not` says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array

if TYPE_CHECKING:
    from bigsharp._native import Chain as Chain
    from bigsharp._native import Layers as Layers
    from bigsharp._native import Stream as Stream

_missing = "this bigsharp was built without its native engine"
try:
    import bigsharp._native as _native
except ModuleNotFoundError:
    _native = None  # type: ignore[assignment]
except ImportError as error:
    _native = None  # type: ignore[assignment]
    _missing = f"the native engine cannot be loaded ({error})"


@cache
def instructions() -> str | None:
    """The instruction set that the engine would run on; None where it cannot run."""
    return _native.instructions() if _native is not None else None


def why_not() -> str:
    """Why the engine cannot run, where it cannot."""
    return _missing if _native is None else "this machine has no instruction set for our engine"


def can_train(channels: int) -> bool:
    """Whether `convolve` takes features of so many channels."""
    return _native is not None and instructions() is not None and channels % _native.lanes() == 0


def convolve(x: Array, taps: Sequence[Array], biases: Sequence[Array], threads: int) -> Chain:
    """Convolve a batch by 3 × 3 filters with ReLU, one after another, for training.

    Parameters
    ----------
    x : ndarray of float32, shape (N, H, W, C)
        Zero-padded.
    taps : sequence of ndarray of float32, shape (3, 3, C, C)
        The filters of each: row, column, input, output.
    biases : sequence of ndarray of float32, shape (C,)
    threads : int
        In another number of threads the gradients' sums come in another order, and round otherwise.

    Returns
    -------
    Chain
        Its `output` is like `x`. `differentiate(gradient, taps, threads)` makes of the output's
        gradient those of `x`, of the filters and of the biases.
    """
    return _native.Chain(x, taps, biases, threads)


def new_layers(instructions: str = "") -> Layers:
    """An empty network, to be filled layer by layer, for an instruction set or the best.

    Raises
    ------
    BigsharpError
        There is no native engine here, or the machine has no such instructions.
    """
    if _native is None:
        raise BigsharpError(f"{why_not()}; use `engine` onnx")
    try:
        return _native.Layers(instructions)
    except RuntimeError as error:
        raise BigsharpError(f"the native engine cannot run here: {error}") from None


def new_stream(layers: Layers, width: int, threads: int) -> Stream:
    """A picture of `width` columns on its way through a network, rows in and rows out."""
    return _native.Stream(layers, width, threads)


def peak(instructions: str = "", threads: int = 1, seconds: float = 1.0) -> float:
    """Multiply-adds that the cores give, in GFLOP/s, measured for so long."""
    return _native.peak(instructions, threads, seconds)
