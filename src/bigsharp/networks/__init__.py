"""The networks, and the one place that knows them all: building, saving and loading."""

from __future__ import annotations

import importlib
import io
import pickletools
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigsharp import errors, limits, weights
from bigsharp.errors import BigsharpError
from bigsharp.limits import shown
from bigsharp.weights import file
from bigsharp.weights.file import Packed, Task

if TYPE_CHECKING:
    from bigsharp.networks.network import Network

ARCHITECTURES = {
    "srcnn": ("bigsharp.networks.srcnn", "SRCNN"),
    "vdsr": ("bigsharp.networks.vdsr", "VDSR"),
    "drcn": ("bigsharp.networks.drcn", "DRCN"),
}


# What the pickle of a checkpoint calls: tensors, of weights and of generators of random numbers.
_PLAIN = {
    "torch._utils _rebuild_tensor_v2", "torch FloatStorage", "torch ByteStorage",
    "collections OrderedDict",
}  # fmt: skip

_KEYS = {"architecture", "options", "scales", "graph", "state"}


def build(architecture: str, /, **options: Any) -> Network:
    """Build a network by the name of its architecture.

    Parameters
    ----------
    architecture : {"srcnn", "vdsr", "drcn"}
    **options
        The arguments of that network's class.

    Raises
    ------
    BigsharpError
        PyTorch is not installed, or the name or an option is unknown.
    """
    if architecture not in ARCHITECTURES:
        raise errors.unknown("architecture", architecture, ARCHITECTURES)
    require_torch()
    module, name = ARCHITECTURES[architecture]
    try:
        return getattr(importlib.import_module(module), name)(**options)
    except (TypeError, ValueError) as error:
        raise BigsharpError(f"{architecture} cannot be built with {options}: {error}") from None


def pack(
    architecture: str, network: Network, scales: Sequence[float] = (), task: Task = "upscale"
) -> Packed:
    """Everything that `unpack` needs to build `network` again, and what it was trained for."""
    state = {name: values.cpu().numpy() for name, values in network.state_dict().items()}
    return Packed(architecture, network.options, tuple(scales), network.graph, state, task)


def unpack(packed: Packed, name: str | Path) -> Network:
    """Build the network that `pack` described, with its weights, in evaluation mode."""
    try:
        network = build(packed.architecture, **packed.options)
    except BigsharpError as error:
        raise BigsharpError(f"{name}: {error}") from None
    copy_weights(packed, network, name)
    return network.eval()


def copy_weights(packed: Packed, network: Network, name: str | Path) -> None:
    """Load weights, from what is called `name`, into a network built already.

    Raises
    ------
    BigsharpError
        They are another network's.
    """
    import torch

    try:
        network.load_state_dict({k: torch.from_numpy(v) for k, v in packed.state.items()})
    except RuntimeError:
        raise BigsharpError(
            f"{name}: the weights do not fit {type(network).__name__} with {network.options}; "
            f"they are of {packed.architecture} with {dict(packed.options)}"
        ) from None


def load(path: str | Path) -> Network:
    """Load a network from a checkpoint of `bigsharp train` (.pt) or from a .safetensors file.

    Raises
    ------
    BigsharpError
        The file is missing, or is no such checkpoint.
    """
    return unpack(read(path), path)


def read(path: str | Path) -> Packed:
    """Read a network from a checkpoint (.pt), for which PyTorch must be there, or .safetensors.

    Raises
    ------
    BigsharpError
        The file is missing, or is no such checkpoint.
    """
    if Path(path).suffix.lower() == file.SUFFIX:
        return file.read(path)
    content = read_checkpoint(path)
    try:
        state = {name: values.detach().numpy() for name, values in content["state"].items()}
        if sum(values.nbytes for values in state.values()) > Path(path).stat().st_size:
            raise ValueError("many arrays share their values")
        return Packed.from_about(content, state)
    except BigsharpError as error:
        raise BigsharpError(f"{path}: {error}") from None
    except (OSError, RuntimeError, *file.MALFORMED):
        raise BigsharpError(f"{path}: not a checkpoint written by bigsharp") from None


def find(model: str | Path) -> Packed:
    """Read a released network by its name, or what `read` takes.

    Raises
    ------
    BigsharpError
        There is no such network or file, or it is damaged.
    """
    is_file = Path(model).suffix.lower() in (".pt", file.SUFFIX)
    return read(model if is_file else weights.path(str(model), file.SUFFIX))


def to_checkpoint(packed: Packed, **run: Any) -> bytes:
    """The content of a checkpoint: a network, and what a run says of itself."""
    import torch

    state = {name: torch.from_numpy(values) for name, values in packed.state.items()}
    buffer = io.BytesIO()
    torch.save(file.about(packed) | {"state": state} | run, buffer)
    return buffer.getvalue()


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read all that a checkpoint (.pt) holds; see `to_checkpoint`, and `bigsharp.training`.

    Raises
    ------
    BigsharpError
        The file is missing, or is no such checkpoint.
    """
    require_torch()
    try:
        content = load_tensors(path)
    except FileNotFoundError:
        raise BigsharpError(f"{path}: no such file") from None
    except Exception:
        content = None
    if not isinstance(content, dict) or not set(content) >= _KEYS:
        raise BigsharpError(f"{path}: not a checkpoint written by bigsharp")
    return content


def load_tensors(path: str | Path) -> Any:
    """Read what `torch.save` wrote of plain values and tensors, in no more memory than the file's.

    PyTorch makes much else of a pickle, however careful it is: sparse, quantised and nested
    tensors, whole arrays of one value. Some of it comes with warnings.

    Raises
    ------
    Exception
        Of many kinds: it is anything else.
    """
    import torch

    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > Path(path).stat().st_size:
            raise ValueError("it is compressed")
        for entry in entries:
            # PyTorch does not tell capitals from small letters.
            if not entry.filename.lower().endswith(".pkl"):
                continue
            if entry.file_size > limits.PICKLE:
                raise ValueError("it says too much")
            for operation, what, _ in pickletools.genops(archive.read(entry)):
                if operation.name == "GLOBAL" and what not in _PLAIN:
                    raise ValueError(f"it holds {shown(what)}")
    return torch.load(path, map_location="cpu", weights_only=True)


def require_torch() -> None:
    """Say in one line how to install PyTorch where it is missing."""
    try:
        import torch  # noqa: F401
    except ImportError:
        raise BigsharpError(errors.install("this needs", "PyTorch", "train")) from None
