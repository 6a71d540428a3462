"""A VDSR as the start of a DRCN: its middle layers, each another, written into the one that recurs.

A recursion of F filters has room for n × n convolutions of F / n: its state falls into n blocks of
channels, and a convolution leads from every block to every block. What was found so far lies in one
block, the others are empty; on a way that passes from each block to each just once, n² layers are
applied one after another. A clock sees to it that blocks which are not next stay empty: one channel
a recursion, of which one is 1. From there the DRCN trains as any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from bigsharp import networks
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.networks.drcn import DRCN
from bigsharp.weights.file import Packed

#: Layers of a VDSR that are outside the recursion: two embed, two reconstruct.
_OUTSIDE = 4

#: What the clock takes from all blocks but the next; more than a filter's answer is (some 10).
_CLOSED = 1000.0

#: The clock passes on 1 as 1, and what is below this, which is rounding, as 0.
_SILENT = 0.125


@dataclass(frozen=True)
class Layout:
    """Which channels of a recursion's state hold what.

    Attributes
    ----------
    recursions, filters : int
        Of the DRCN.
    """

    recursions: int
    filters: int

    @property
    def blocks(self) -> int:
        """As few as have a way of so many different steps."""
        return math.isqrt(self.recursions - 1) + 1

    @property
    def width(self) -> int:
        """Channels of a block."""
        return max(0, self.filters - self.recursions) // self.blocks

    @property
    def route(self) -> list[int]:
        """The block that holds what was found, before the first recursion and after each.

        A de Bruijn sequence of all pairs: no step from one block to another is made twice.

        References
        ----------
        H. Fredricksen, J. Maiorana, "Necklaces of beads in k colors and k-ary de Bruijn sequences",
        Discrete Mathematics 23, 1978: the Lyndon words of at most two letters, in their order.
        """
        letters = range(self.blocks)
        words = [(i,) if i == j else (i, j) for i in letters for j in letters[i:]]
        circuit = [block for word in words for block in word]
        return [*circuit, circuit[0]][: self.recursions + 1]

    def block(self, number: int, count: int) -> slice:
        """The first `count` channels of a block."""
        return slice(number * self.width, number * self.width + count)

    def clock(self, recursion: int) -> int:
        """The channel that is 1 when a recursion begins, and 0 otherwise."""
        return self.filters - self.recursions + recursion


def folded(packed: Packed, network: DRCN) -> Packed:
    """Write a VDSR's layers into the DRCN that is to be started, which then computes the same.

    Parameters
    ----------
    packed : Packed
        A VDSR of four layers more than the DRCN has recursions. Of its filters those that are not
        zero count (`bigsharp.training.narrowing`).
    network : DRCN

    Raises
    ------
    BigsharpError
        The VDSR has another depth, or more filters than the recursion has room for.
    """
    layout, living = Layout(network.recursions, network.options["filters"]), _living(packed)
    _check_room(packed, network, layout, living)
    layers = [
        _layer(packed.state, number, read, kept)
        for number, (read, kept) in enumerate(zip([[0], *living], [*living, [0]], strict=True))
    ]
    state = {
        name: np.zeros_like(values) for name, values in networks.pack("drcn", network).state.items()
    }
    route = layout.route
    _write(state, "embedding.0", layers[0], slice(len(living[0])), slice(1))
    first = layout.block(route[0], len(living[1]))
    _write(state, "embedding.1", layers[1], first, slice(len(living[0])))
    state["embedding.1.bias"][layout.clock(0)] = 1
    for recursion, (here, there) in enumerate(pairwise(route)):
        _write_step(state, layout, recursion, layers[recursion + 2], here, there)
    last = layout.block(route[-1], len(living[-2]))
    _write(state, "reconstruction.0", layers[-2], slice(len(living[-1])), last)
    _write(state, "reconstruction.1", layers[-1], slice(1), slice(len(living[-1])))
    if network.ensemble:
        state["mixture"][-1] = 1
    return replace(packed, architecture="drcn", options=network.options, state=state)


def _check_room(
    packed: Packed, network: DRCN, layout: Layout, living: Sequence[Sequence[int]]
) -> None:
    depth, widest = packed.options["depth"], max(map(len, living[1:-1]), default=0)
    if (
        depth != layout.recursions + _OUTSIDE
        or widest > layout.width
        or max(map(len, living)) > layout.filters
        or packed.options["residual"] != network.skip
    ):
        raise BigsharpError(
            f"a DRCN of {layout.recursions} recursions and {layout.filters} filters starts from a "
            f"VDSR of {layout.recursions + _OUTSIDE} layers with at most {layout.width} filters in "
            f"those from the second to the last but two (recipe key narrow), not from {depth} "
            f"with {widest}"
        )


def _living(packed: Packed) -> list[list[int]]:
    """The filters of every layer but the last that can pass anything on."""
    living = []
    for number in range(packed.options["depth"] - 1):
        weight = packed.state[f"layers.{number}.weight"].reshape(packed.options["features"], -1)
        can = weight.any(axis=1) | (packed.state[f"layers.{number}.bias"] > 0)
        living.append(np.flatnonzero(can).tolist())
    return living


def _layer(
    state: Mapping[str, Array], number: int, read: list[int], kept: list[int]
) -> tuple[Array, Array]:
    """A layer's weights and bias, of the filters `kept` and what they read."""
    weight, bias = state[f"layers.{number}.weight"], state[f"layers.{number}.bias"]
    return weight[np.ix_(kept, read)], bias[kept]


def _write(
    state: dict[str, Array], name: str, layer: tuple[Array, Array], to: slice, read: slice
) -> None:
    state[f"{name}.weight"][to, read], state[f"{name}.bias"][to] = layer


def _write_step(
    state: dict[str, Array],
    layout: Layout,
    recursion: int,
    layer: tuple[Array, Array],
    here: int,
    there: int,
) -> None:
    """What a recursion does: a layer from block `here` to block `there`, and the clock goes on.

    A block is entered by several layers, so the clock brings their biases, too.
    """
    weight, bias = layer
    inference = state["inference.weight"]
    to = layout.block(there, len(bias))
    inference[to, layout.block(here, weight.shape[1])] = weight
    now = layout.clock(recursion)
    inference[: layout.blocks * layout.width, now, 1, 1] = -_CLOSED
    inference[to, now, 1, 1] = bias
    if recursion + 1 < layout.recursions:
        inference[layout.clock(recursion + 1), now, 1, 1] = 1 + _SILENT
        state["inference.bias"][layout.clock(recursion + 1)] = -_SILENT
