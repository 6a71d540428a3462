"""Models by name: what ``model`` takes, ready to restore."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bigsharp import classic, errors, limits, weights
from bigsharp.classic import selfex
from bigsharp.classic.patches import PatchMethod
from bigsharp.engines import FILES, open_engine
from bigsharp.errors import BigsharpError
from bigsharp.restoration.ensemble import Ensemble
from bigsharp.restoration.restorer import (
    BICUBIC,
    Bicubic,
    ByNetwork,
    ByPatches,
    BySelfExamples,
    Family,
    Restorer,
)
from bigsharp.weights import file
from bigsharp.weights.file import Task

#: Models that have no weights.
UNTRAINED = (*selfex.METHODS, BICUBIC)

#: The released models that restore a picture at its own size.
CLEANERS: Mapping[Task, str] = {"denoise": "vdsr-denoise", "deblock": "vdsr-deblock"}

#: Behind a model's name: the mean over the symmetries, as in "EDSR+".
ENSEMBLE = "+"


def available_models() -> list[str]:
    """The names that ``model=`` understands: the released models, and `UNTRAINED`."""
    released = {*weights.names(), *weights.families()} - {*CLEANERS.values()}
    return [*sorted(released), *UNTRAINED]


def summaries() -> dict[str, str]:
    """What each of `available_models`, and of `CLEANERS`, is, in one line."""
    said = {name: weights.card(name)["summary"] for name in weights.cards()}
    for family, members in weights.families().items():
        said[family] = f"one of {', '.join(members)}, by the scale"
    return said | {BICUBIC: "no network, plain interpolation"}


def open_restorer(model: str | Path, engine: str = "auto", threads: int = 0) -> Restorer:
    """Make a model that enlarges ready to restore.

    Parameters
    ----------
    model : str or path
        A name of `available_models`, or a file that `open_engine` takes; with a + behind it, the
        `Ensemble`.
    engine, threads
        As `open_engine` takes them; what is no network needs neither.

    Raises
    ------
    BigsharpError
        The model or the engine is unknown, or cannot run here, or it does not enlarge.
    """
    restorer = open_model(str(model), engine, threads)
    if restorer.task != "upscale":
        raise BigsharpError(
            f"{model}: trained to {restorer.task}, and does not enlarge; it goes with "
            "`bigsharp restore`"
        )
    return restorer


def open_model(model: str, engine: str = "auto", threads: int = 0) -> Restorer:
    """Make a model ready to restore, whatever its task; else as `open_restorer`."""
    if model.endswith(ENSEMBLE):
        return Ensemble(open_model(model.removesuffix(ENSEMBLE), engine, threads))
    if model == BICUBIC:
        return Bicubic()
    if model in selfex.METHODS:
        return BySelfExamples(selfex.METHODS[model], threads)
    members = weights.families().get(model, [model])
    known = (*available_models(), *CLEANERS.values())
    if model not in known and Path(model).suffix.lower() not in FILES:
        raise _made_by(model) or errors.unknown("model", model, known)
    paths = [_weights_file(member) for member in members]
    if all(path and file.architecture(path) in classic.METHODS for path in paths):
        return ByPatches([_open_method(path) for path in paths if path])
    networks = [open_engine(member, engine, threads) for member in members]
    return ByNetwork(networks[0]) if members == [model] else Family(networks)


def _made_by(model: str) -> BigsharpError | None:
    """Of a name that a command would make a model of: which one."""
    name, _, scale = model.rpartition("-x")
    if name not in classic.METHODS or scale not in map(str, range(2, limits.LARGEST_SCALE + 1)):
        return None
    return BigsharpError(
        f"{model} is not in the package; `bigsharp train {name} --scale {scale}` makes it, as "
        f"runs/{name}/{model}{file.SUFFIX}"
    )


def _weights_file(model: str) -> Path | None:
    """The weights file that a model is read from; None for another kind of file."""
    if model in weights.names():
        return weights.path(model, file.SUFFIX)
    return Path(model) if Path(model).suffix.lower() == file.SUFFIX else None


def _open_method(path: Path) -> PatchMethod:
    learned = file.read_learned(path)
    try:
        return classic.build(learned)
    except BigsharpError as error:
        raise BigsharpError(f"{path}: {error}") from None
