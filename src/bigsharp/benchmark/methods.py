"""What can be scored: a model, or a folder of pictures that others restored."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import bigsharp
from bigsharp import weights
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.io.formats import READ
from bigsharp.io.picture import Picture
from bigsharp.io.read import read
from bigsharp.restoration.cleaner import clean_by
from bigsharp.restoration.models import ENSEMBLE, UNTRAINED, available_models, open_model
from bigsharp.restoration.pipeline import upscale_picture
from bigsharp.restoration.target import Size
from bigsharp.scoring import protocol
from bigsharp.weights.file import SUFFIX

#: The method that does nothing.
INPUT = "input"

#: Between models of which each takes what the one before gives.
THEN = ">"


@dataclass(frozen=True)
class Case:
    """One image at one scale, or spoiled at its own size, to be restored.

    Attributes
    ----------
    data : str
    path : Path
        The HR image.
    scale : float
        Or what other strength its degradation has.
    lr : Picture
        Floats in [0, 1]; with noise, about.
    size : (int, int)
        Height and width to restore.
    colour : {"y", "rgb"}
    """

    data: str
    path: Path
    scale: float
    lr: Picture
    size: tuple[int, int]
    colour: str


class Method(Protocol):
    """Something that restores.

    Attributes
    ----------
    name : str
    weights : str
        The first 16 digits of the SHA-256 of what is run; empty where nothing is.
    engine : str
    parameters : int, optional
        Trained values, where their number is known.
    versions : dict of str to str
    """

    name: str
    weights: str
    engine: str
    parameters: int | None
    versions: dict[str, str]

    def digest(self, data: str, path: Path, scale: float) -> str:
        """Names what is run on this image, or the picture that others restored of it."""
        ...

    def restore(self, case: Case) -> Array:
        """The restored image in [0, 255], of the case's size, not rounded."""
        ...


class Model:
    """A model as `bigsharp.load` takes it.

    Parameters
    ----------
    name, model : str
        What to call it, and what it is.
    engine : str
    threads : int
        For the network; 0 for all.
    """

    def __init__(self, name: str, model: str, engine: str = "auto", threads: int = 0) -> None:
        self.name = name
        self.weights = digest_of_model(model)
        self.opened = [open_model(member, engine, threads) for member in model.split(THEN)]
        self.engine = self.opened[-1].engine
        self.task = self.opened[-1].task
        counts = [restorer.parameters for restorer in self.opened]
        self.parameters = None if None in counts else sum(n or 0 for n in counts)
        libraries = {"onnx": "onnxruntime", "torch": "torch", "numba": "numba"}
        library = libraries.get(self.engine.partition(":")[0])
        self.versions = _versions("numpy", *([library] if library else []))

    def digest(self, data: str, path: Path, scale: float) -> str:
        """That of the weights, whatever the image."""
        return self.weights

    def restore(self, case: Case) -> Array:
        """Clean, or enlarge, the spoiled image, by one model after another."""
        picture = case.lr
        for restorer in self.opened:
            if restorer.task != "upscale":
                picture = clean_by(restorer, picture)
                continue
            height, width = case.size
            target = Size(height=height, width=width, stretch=True).of(picture.size)
            picture = upscale_picture(picture, target, restorer)
        return picture.pixels * 255


class Input:
    """The spoiled picture as it is: what there is to gain on."""

    name = weights = engine = INPUT
    parameters: int | None = 0

    def __init__(self) -> None:
        self.versions = _versions("numpy")

    def digest(self, data: str, path: Path, scale: float) -> str:
        """Empty: nothing is run."""
        return ""

    def restore(self, case: Case) -> Array:
        """The input itself.

        Raises
        ------
        BigsharpError
            It has another size than the result.
        """
        if case.lr.size != case.size:
            raise BigsharpError("`input` is for pictures that keep their size; take bicubic")
        return case.lr.pixels * 255


class Restored:
    """A folder of pictures restored elsewhere.

    They lie in FOLDER/SET/xSCALE, FOLDER/xSCALE or FOLDER itself, each named as its HR image, with
    or without more behind it (baby.png, baby_SRCNN.png), as large as that or as its crop to a
    multiple of the scale.

    Parameters
    ----------
    name : str
    folder : Path
    """

    weights = ""
    engine = "files"
    parameters: int | None = None

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.versions = _versions("numpy", "pillow")

    def digest(self, data: str, path: Path, scale: float) -> str:
        """That of the restored picture."""
        return digest_of(self._find(data, path, scale))

    def restore(self, case: Case) -> Array:
        """Read the picture restored from this case."""
        path = self._find(case.data, case.path, case.scale)
        image = protocol.reference(read(path), case.colour)
        if image.shape[:2] != case.size:
            image = protocol.crop(image, case.scale)
        if image.shape[:2] != case.size:
            (height, width), (found_height, found_width) = case.size, image.shape[:2]
            raise BigsharpError(
                f"{path}: {found_width} × {found_height}; restored from {case.path.name} at "
                f"×{case.scale:g} it would be {width} × {height}"
            )
        return image

    def _find(self, data: str, hr: Path, scale: float) -> Path:
        factor = f"x{scale:g}"
        places = [self.folder / Path(data).name / factor, self.folder / factor, self.folder]
        stem = hr.stem
        for place in places:
            if not place.is_dir():
                continue
            pictures = [p for p in sorted(place.iterdir()) if p.suffix.lower() in READ]
            # The HR images of a set can begin alike (img_1, img_10): a sign must follow the name.
            found = [p for p in pictures if p.stem == stem] or [
                p for p in pictures if p.stem.startswith((f"{stem}_", f"{stem}-", f"{stem}."))
            ]
            if len(found) > 1:
                raise BigsharpError(
                    f"{place}: {found[0].name} and {found[1].name} could both be {hr.name}"
                )
            if found:
                return found[0]
        raise BigsharpError(
            f"{self.folder}: no picture restored from {hr.name} at ×{scale:g}, in "
            f"{' or '.join(map(str, places))}"
        )


def open_method(words: str, engine: str = "auto", threads: int = 0) -> Method:
    """A model, or the pictures in a folder; ``name=model`` and ``name=folder`` give it a name.

    Raises
    ------
    BigsharpError
        It is neither.
    """
    name, _, what = words.rpartition("=")
    name = name or what
    if what == INPUT:
        return Input()
    if Path(what).is_dir() and what not in available_models():
        return Restored(name, Path(what))
    return Model(name, what, engine, threads)


def open_methods(
    several: Sequence[str], engine: str = "auto", threads: int = 0
) -> dict[str, Method]:
    """Methods by their names.

    Raises
    ------
    BigsharpError
        One cannot be opened, or two have one name.
    """
    opened: dict[str, Method] = {}
    for words in several:
        method = open_method(words, engine, threads)
        if method.name in opened:
            raise BigsharpError(f"two methods are called {method.name!r}; name one, as in a=b.onnx")
        opened[method.name] = method
    return opened


def digest_of(*paths: Path) -> str:
    """The first 16 digits of the SHA-256 of files, one behind the other.

    Raises
    ------
    BigsharpError
        One cannot be read.
    """
    content = hashlib.sha256()
    for path in paths:
        try:
            content.update(path.read_bytes())
        except OSError as error:
            raise BigsharpError(f"{path}: cannot be read ({error.strerror})") from None
    return content.hexdigest()[:16]


def digest_of_model(words: str) -> str:
    """That of a model's weights, or of several one after another.

    Raises
    ------
    BigsharpError
        A file cannot be read.
    """
    return THEN.join(_digest_of_one(name) for name in words.split(THEN))


def _digest_of_one(name: str) -> str:
    if name.endswith(ENSEMBLE):
        return _digest_of_one(name.removesuffix(ENSEMBLE)) + ENSEMBLE
    if name in UNTRAINED:
        return ""
    if Path(name).is_file():
        return digest_of(Path(name))
    # Both files of a released model hold the same weights, so every engine has one digest.
    members = weights.families().get(name, [name])
    return digest_of(*(weights.path(m, SUFFIX) for m in members if m in weights.names()))


def _versions(*libraries: str) -> dict[str, str]:
    known = {"bigsharp": bigsharp.__version__, "python": platform.python_version()}
    return known | {library: version(library) for library in libraries}
