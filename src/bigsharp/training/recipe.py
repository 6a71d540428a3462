"""A recipe: everything that decides what a training run gives, as one TOML file."""

from __future__ import annotations

import math
import tomllib
from dataclasses import MISSING, asdict, dataclass, field, fields
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

from bigsharp.data import SETS
from bigsharp.errors import BigsharpError


@dataclass(frozen=True)
class Recipe:
    """The settings of one training run.

    Attributes
    ----------
    name : str
    architecture : str
        A key of `bigsharp.models.ARCHITECTURES`.
    options : dict
        The network's arguments.
    data : list of str
        Image sets by name, or folders.
    holdout : int
        Images taken out of `data` for validation.
    scales : list of float
        Each patch is degraded at one of them, drawn evenly; any real number > 1.
    patch, batch, steps : int
        Side of a patch in HR pixels, patches a step, steps in all.
    loss : {"l1", "mse"}
    optimizer : {"adam", "sgd"}
    lr : float
        The highest learning rate.
    momentum, weight_decay : float
        `momentum` is SGD's.
    warmup : int
        Steps over which the rate first rises from 0 to `lr`.
    schedule : {"cosine", "step", "constant"}
        "cosine" falls to 0 at the last step; "step" divides by 10 at every `step_every`.
    step_every : int
        Steps between two divisions under "step".
    clip : float
        θ: each gradient component is clipped to ±θ / learning rate (VDSR, section 3.2); 0: never.
    validate_every : int
        Steps between validations, each of which writes a checkpoint.
    validation_crop : int
        Side of the centre of a held-out image that is validated on.
    seed : int
    """

    name: str
    architecture: str
    options: dict[str, Any] = field(default_factory=dict)
    data: tuple[str, ...] = ("T91", "BSDS200")
    holdout: int = 16
    scales: tuple[float, ...] = (2, 3, 4)
    patch: int = 41
    batch: int = 64
    steps: int = 10_000
    loss: str = "l1"
    optimizer: str = "adam"
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    warmup: int = 0
    schedule: str = "cosine"
    step_every: int = 0
    clip: float = 0.0
    validate_every: int = 500
    validation_crop: int = 96
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {
            "loss": ("l1", "mse"),
            "optimizer": ("adam", "sgd"),
            "schedule": ("cosine", "step", "constant"),
        }
        for key, known in choices.items():
            if getattr(self, key) not in known:
                raise BigsharpError(
                    f"recipe {self.name}: {key} is {getattr(self, key)!r}, not one of "
                    + ", ".join(known)
                )
        for key in ("holdout", "patch", "batch", "steps", "validate_every", "validation_crop"):
            if getattr(self, key) < 1:
                raise BigsharpError(f"recipe {self.name}: {key} must be at least 1")
        if not self.scales or not all(_is_number(s) and 1 < s < math.inf for s in self.scales):
            raise BigsharpError(f"recipe {self.name}: scales must be numbers above 1")
        for key in ("lr", "momentum", "weight_decay", "clip", "warmup"):
            if not 0 <= getattr(self, key) < math.inf:
                raise BigsharpError(f"recipe {self.name}: {key} must be a number of at least 0")
        smallest = math.ceil(4 * max(self.scales))
        if self.validation_crop < smallest:
            raise BigsharpError(f"recipe {self.name}: validation_crop must be at least {smallest}")
        if not self.data or not all(isinstance(name, str) for name in self.data):
            raise BigsharpError(f"recipe {self.name}: data must name image sets or folders")
        if self.schedule == "step" and self.step_every < 1:
            raise BigsharpError(f"recipe {self.name}: schedule 'step' needs step_every ≥ 1")
        for name in (Path(entry).resolve().name for entry in self.data):
            if name in SETS and SETS[name].use == "test":
                raise BigsharpError(
                    f"recipe {self.name}: {name} is a test set; nothing is trained on it"
                )

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain values, fit for a checkpoint or a card."""
        return asdict(self)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def from_dict(values: dict[str, Any], name: str) -> Recipe:
    """Check the keys of a recipe and build it.

    Raises
    ------
    BigsharpError
        A key is unknown or missing, or a value is of the wrong type.
    """
    known = {entry.name: entry for entry in fields(Recipe)}
    for key in values:
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"keys are {', '.join(known)}"
            raise BigsharpError(f"recipe {name}: unknown key {key!r}; {hint}")
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    for key, value in values.items():
        default = known[key].default
        wanted = (int, float) if isinstance(default, float) else type(default)
        if default is not MISSING and not isinstance(value, wanted):
            raise BigsharpError(f"recipe {name}: {key} cannot be {value!r}; it is like {default!r}")
    try:
        return Recipe(**({"name": name} | values))
    except TypeError as error:
        raise BigsharpError(f"recipe {name}: {error}") from None


def shipped() -> list[str]:
    """The names of the recipes in the package."""
    folder = resources.files("bigsharp.training") / "recipes"
    return sorted(Path(e.name).stem for e in folder.iterdir() if e.name.endswith(".toml"))


def load_recipe(name: str) -> Recipe:
    """Load a recipe by its name in the package, or from a TOML file.

    Raises
    ------
    BigsharpError
        There is no such recipe, or it is not valid.
    """
    if name.endswith(".toml"):
        path: Any = Path(name)
    elif name in shipped():
        path = resources.files("bigsharp.training") / "recipes" / f"{name}.toml"
    else:
        near = get_close_matches(name, shipped(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(shipped())}"
        raise BigsharpError(f"no recipe is called {name!r}; {hint}, or give a .toml file")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BigsharpError(f"{name}: no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BigsharpError(f"{name}: not a readable TOML file ({error})") from None
    return from_dict(values, Path(name).stem)
