"""What a new run starts from: the same network's weights, a narrower one's, or another kind's."""

from __future__ import annotations

from bigsharp import networks
from bigsharp.errors import BigsharpError
from bigsharp.networks.drcn import DRCN
from bigsharp.networks.network import Network
from bigsharp.training.folding import folded
from bigsharp.training.widening import widened
from bigsharp.weights.file import Packed


def initial_weights(name: str, network: Network, seed: int) -> Packed:
    """A released model's weights, or a file's, made to fit the network that is to start from them.

    Parameters
    ----------
    name : str
    network : Network
        A DRCN takes a VDSR's, too, and those of a DRCN with a half, a quarter … of its filters.
    seed : int
        Decides how the copies of a filter differ.

    Raises
    ------
    BigsharpError
        There is no such model or file, it is damaged, or a VDSR has no room in the DRCN.
    """
    packed = networks.find(name)
    networks.unpack(packed, name)  # sees that its options, layers and weights agree
    if not isinstance(network, DRCN):
        return packed
    try:
        return (
            folded(packed, network)
            if packed.architecture == "vdsr"
            else widened(packed, network, seed)
        )
    except BigsharpError as error:
        raise BigsharpError(f"{name}: {error}") from None
