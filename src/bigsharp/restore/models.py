"""Models by name: what `--model` takes, ready to restore."""

from __future__ import annotations

from pathlib import Path

from bigsharp import errors, weights
from bigsharp.engines import FILES, open_engine
from bigsharp.restore.restorer import BICUBIC, Bicubic, ByNetwork, Family, Restorer


def available_models() -> list[str]:
    """The names that ``model=`` understands: the released networks, and bicubic."""
    return [*sorted([*weights.names(), *weights.families()]), BICUBIC]


def open_restorer(model: str | Path, engine: str = "auto", threads: int = 0) -> Restorer:
    """Make a model ready to restore.

    Parameters
    ----------
    model : str or path
        A name of `available_models`, or a file that `open_engine` takes.
    engine, threads
        As `open_engine` takes them.

    Raises
    ------
    BigsharpError
        The model or the engine is unknown, or cannot run here.
    """
    model = str(model)
    if model == BICUBIC:
        return Bicubic()
    if members := weights.families().get(model):
        return Family([open_engine(member, engine, threads) for member in members])
    if model not in weights.names() and Path(model).suffix.lower() not in FILES:
        raise errors.unknown("model", model, available_models())
    return ByNetwork(open_engine(model, engine, threads))
