"""A recipe: everything that decides what a training run gives, as one TOML file."""

from __future__ import annotations

import math
import operator
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from bigsharp import errors, limits
from bigsharp.errors import BigsharpError
from bigsharp.limits import shown
from bigsharp.networks import ARCHITECTURES
from bigsharp.scoring.degradations import TASK_OF
from bigsharp.training.images import refuse_test_sets
from bigsharp.weights.file import Task, check_options

_LOSSES = ("l1", "mse", "relative", "charbonnier", "euclidean")
_CHOICES = {
    "places": ("even", "residual"),
    "loss": _LOSSES,
    "final_loss": ("", *_LOSSES),
    "optimizer": ("muon", "adam", "sgd"),
    "schedule": ("cosine", "step", "plateau", "constant"),
    "autocast": ("none", "bf16", "fp16"),
    "degradation": tuple(TASK_OF),
}
_AT_LEAST_1 = (
    "holdout", "patch", "batch", "steps", "patience", "validate_every", "validation_crop",
)  # fmt: skip
_AT_LEAST_0 = (
    "lr_adam", "lr_end", "momentum", "weight_decay", "clip", "warmup", "alpha_steps", "ema",
    "clean", "exact", "recycle_every", "final_share", "rim", "seed", "step_every",
    "supervised", "narrow",
)  # fmt: skip
_AT_MOST = {
    "patch": limits.SIDE, "batch": limits.BATCH, "validation_crop": limits.SIDE, "exact": 0.9,
}  # fmt: skip

#: What values are like whose keys have no default.
_LIKE = {"name": "mine", "architecture": "vdsr", "options": {}}

#: The weakest and the strongest level of a degradation that leaves the size.
_LEVELS = {"noise": (0, 255), "jpeg": (1, 100), "photo": (1, 100)}

#: The side of JPEG's blocks: what a patch is cut from is larger by as much.
_GRID = 8

#: Between two scales of a range. A finer one would only hold more matrices.
_SCALE_STEP = 0.05


@dataclass(frozen=True)
class Recipe:
    """The settings of one training run.

    Attributes
    ----------
    name : str
    architecture : str
        A key of `bigsharp.networks.ARCHITECTURES`.
    options : dict
        The network's arguments.
    data : list of str
        Image sets by name, or folders.
    holdout : int
        Images taken out of `data` for validation.
    zooms : list of float
        Sizes, at most 1, at which each image is trained on.
    degradation : {"bicubic", "photo", "noise", "jpeg"}
        What spoils the patches: the blur of a scale, and "photo": JPEG of the small picture;
        Gaussian noise, or JPEG, at their own size.
    levels : list of float
        Standard deviations in grey levels, or qualities; but for "photo" in the place of scales.
        They are validated on.
    level_range : list of float
        [lowest, highest] that is trained on, drawn evenly; by default that of `levels`.
    clean : float
        Under "photo", the share of the patches without JPEG.
    scales : list of float
        Validated on, and trained on: each patch is degraded at one of them, drawn evenly; any real
        number > 1.
    scale_range : list of float
        [lowest, highest]: train on this range instead, in steps of about 0.05.
    exact : float
        Under a `scale_range`: the share, about, of the patches that are at one of `scales` all the
        same; below 1.
    patch, batch, steps : int
        Side of a patch in HR pixels, patches a step, steps in all.
    places : {"even", "residual"}
        Where in an image patches are cut: anywhere, or in proportion to the squares that bicubic
        loses there at ×3.
    loss : {"l1", "mse", "relative", "charbonnier", "euclidean"}
        The mean over all pixels, but for "relative", a patch's mean square error divided by the
        input's, and "euclidean", the papers': half the sum over a patch.
    narrow : int
        VDSR: filters that stay in each layer from the second to the last but two, the weakest of
        the start being made zero, so that a DRCN's recursion has room for them; 0: all.
    rim : int
        Pixels along the border of a patch that the loss leaves out: they see what pads the patch.
    final_loss, final_share : str, float
        Another loss, and the share of the steps, the last ones, that minimise it instead.
    teacher : str
        A released model, or a file, whose output takes the place of HR but in the `final_share`.
    supervised : int
        DRCN: how many recursions a step reconstructs, the last and others drawn by chance; 0: all.
    grow : list of int
        DRCN: steps at which the recursions double, until all are applied; first a fraction is.
    alpha_steps : int
        DRCN: steps over which α, the weight of the recursions' own losses, falls from 1 to 0.
    optimizer : {"muon", "adam", "sgd"}
    lr : float
        The highest learning rate.
    lr_adam : float
        Under "muon", that of the parameters left to Adam.
    momentum, weight_decay : float
        `momentum` is Muon's and SGD's. `weight_decay` is decoupled but under "sgd".
    centered : bool
        Under "muon": take the mean out of each filter's gradient.
    warmup : int
        Steps over which the rate first rises from 0 to `lr`.
    schedule : {"cosine", "step", "plateau", "constant"}
        "cosine" falls to 0 at the last step; "step" divides by 10 at every `step_every`; "plateau"
        divides by 10 when `patience` validations in a row brought no better PSNR.
    step_every, patience : int
    lr_end : float
        Under "plateau", training ends when the rate falls below it.
    clip : float
        θ: each gradient component is clipped to ±θ / learning rate (VDSR, section 3.2); 0: never.
    ema : float
        Decay of the exponential moving average of the weights, which is what is validated and
        released; 0: none.
    recycle_every : int
        Steps between two looks, in the first half of the run, for filters that pass nothing on
        of any held-out image; they start anew; 0: never.
    autocast : {"none", "bf16", "fp16"}
        Number type of the convolutions on a GPU. A CPU trains in float32: without matrix units for
        bf16 that type was 4 times slower.
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
    zooms: tuple[float, ...] = (1.0,)
    degradation: str = "bicubic"
    levels: tuple[float, ...] = ()
    level_range: tuple[float, ...] = ()
    clean: float = 0.0
    scales: tuple[float, ...] = (2, 3, 4)
    scale_range: tuple[float, ...] = ()
    exact: float = 0.0
    patch: int = 41
    batch: int = 64
    steps: int = 10_000
    places: str = "even"
    loss: str = "l1"
    rim: int = 0
    final_loss: str = ""
    final_share: float = 0.0
    teacher: str = ""
    supervised: int = 0
    grow: tuple[int, ...] = ()
    alpha_steps: int = 0
    narrow: int = 0
    optimizer: str = "adam"
    lr: float = 1e-3
    lr_adam: float = 5e-4
    momentum: float = 0.9
    weight_decay: float = 0.0
    centered: bool = False
    warmup: int = 0
    schedule: str = "cosine"
    step_every: int = 0
    patience: int = 5
    lr_end: float = 0.0
    clip: float = 0.0
    ema: float = 0.0
    recycle_every: int = 0
    autocast: str = "none"
    validate_every: int = 500
    validation_crop: int = 96
    seed: int = 0

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise BigsharpError(f"a recipe cannot be called {shown(self.name)}")
        if self.architecture not in ARCHITECTURES:
            raise errors.unknown("architecture", self.architecture[: limits.SAID], ARCHITECTURES)
        try:
            check_options(self.options)
        except ValueError as error:
            self._refuse(str(error))
        for key, known in _CHOICES.items():
            if getattr(self, key) not in known:
                self._refuse(f"{key} is {shown(getattr(self, key))}, not one of {', '.join(known)}")
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, tuple) and len(value) > limits.LENGTH:
                self._refuse(f"{entry.name} must have {limits.LENGTH} entries at most")
        self._check_numbers()
        if self.task == "upscale":
            self._check_scales()
        if self.degradation != "bicubic":
            self._check_levels()
        elif self.levels or self.level_range or self.clean:
            self._refuse("levels, level_range and clean go with degradation photo, noise or jpeg")
        self._check_steps()
        self._check_data()

    def _check_numbers(self) -> None:
        for key in _AT_LEAST_1:
            if getattr(self, key) < 1:
                self._refuse(f"{key} must be at least 1")
        if not 0 < self.lr < math.inf:
            self._refuse("lr must be a number above 0")
        for key in _AT_LEAST_0:
            if not 0 <= getattr(self, key) < math.inf:
                self._refuse(f"{key} must be a number of at least 0")
        for key in ("clean", "ema", "exact"):
            if not getattr(self, key) < 1:
                self._refuse(f"{key} must be below 1")
        for key in (*_AT_LEAST_1, *_AT_LEAST_0, "lr"):
            most = _AT_MOST.get(key, limits.NUMBER)
            if not getattr(self, key) <= most:
                self._refuse(f"{key} must be at most {most:,}")

    def _check_scales(self) -> None:
        if not self.scales or not all(_is_number(s) and 1 < s < math.inf for s in self.scales):
            self._refuse("scales must be numbers above 1")
        if self.scale_range:
            low, high = self._pair("scale_range")
            if not 1 < low < high < math.inf:
                self._refuse("scale_range must be two numbers above 1, the lower first")
        if not self.zooms or not all(_is_number(z) and 0 < z <= 1 for z in self.zooms):
            self._refuse("zooms must be numbers above 0 and at most 1")
        if min(self.zooms) < 1 / limits.LENGTH:
            self._refuse(f"zooms must be at least {1 / limits.LENGTH}")
        largest = max((*self.scales, *self.scale_range))
        if largest > limits.LARGEST_SCALE:
            self._refuse(f"scales must be at most {limits.LARGEST_SCALE}")
        smallest = math.ceil(4 * max(self.scales))
        if self.validation_crop < smallest:
            self._refuse(f"validation_crop must be at least {smallest}")
        # What a patch is cut from has a margin of two bicubic kernels, and a phase of the LR grid.
        around = 9 * largest + 2 + (_GRID * largest if self.degradation == "photo" else 0)
        self._check_memory(around, len(self.drawn_scales))

    def _check_levels(self) -> None:
        low, high = _LEVELS[self.degradation]
        for key in ("levels", "level_range"):
            if not all(_is_number(n) and low <= n <= high for n in getattr(self, key)):
                self._refuse(f"{key} must be numbers from {low} to {high}")
        if not self.levels:
            self._refuse(f"degradation {self.degradation} needs levels to validate on")
        if self.level_range and not operator.lt(*self._pair("level_range")):
            self._refuse("level_range must be two numbers, the lower first")
        if self.degradation != "photo":
            self._check_memory(_GRID, 1)

    def _check_memory(self, around: float, matrices: int) -> None:
        region = (self.patch + around) ** 2
        if max(self.batch, matrices) * region > limits.VALUES:
            self._refuse("patch, batch and scales would take gigabytes; one must be smaller")

    def _check_steps(self) -> None:
        if bool(self.final_loss) != bool(self.final_share) or self.final_share > 1:
            self._refuse("final_loss needs a final_share of the steps, above 0 and at most 1")
        if 2 * self.rim >= self.patch:
            self._refuse(f"a rim of {self.rim} leaves nothing of a patch of {self.patch}")
        if self.narrow and self.architecture != "vdsr":
            self._refuse("narrow goes with vdsr")
        rising = [0, *self.grow]
        whole = all(_is_number(step) and isinstance(step, int) for step in rising)
        if not whole or rising != sorted(set(rising)):
            self._refuse("grow must be rising steps, whole numbers above 0")
        if self.schedule == "step" and self.step_every < 1:
            self._refuse("schedule 'step' needs step_every ≥ 1")

    def _check_data(self) -> None:
        if not self.data or not all(isinstance(name, str) for name in self.data):
            self._refuse("data must name image sets or folders")
        try:
            for name in self.data:
                Path(name).is_dir()
            refuse_test_sets(self.data)
        except BigsharpError as error:
            self._refuse(str(error))
        except (OSError, ValueError):
            self._refuse(f"no image set or folder can be called {shown(name)}")

    def _pair(self, key: str) -> tuple[float, float]:
        values = getattr(self, key)
        if len(values) != 2 or not all(map(_is_number, values)):
            self._refuse(f"{key} must be two numbers")
        return values[0], values[1]

    def _refuse(self, why: str) -> NoReturn:
        raise BigsharpError(f"recipe {self.name}: {why}")

    @property
    def drawn_scales(self) -> tuple[float, ...]:
        """The scales that patches are degraded at, each as often as it stands here."""
        if not self.scale_range:
            return self.scales
        low, high = self.scale_range
        count = max(1, round((high - low) / _SCALE_STEP))
        between = tuple(low + (high - low) * k / count for k in range(count + 1))
        repeats = self.exact / (1 - self.exact) * len(between) / len(self.scales)
        return between + self.scales * round(repeats)

    @property
    def trained_scales(self) -> tuple[float, ...]:
        """What a checkpoint says of its scales: those drawn, or the ends of their range."""
        return self.scale_range or self.scales if self.task == "upscale" else (1.0,)

    @property
    def task(self) -> Task:
        """What the network is trained for."""
        return TASK_OF[self.degradation]

    @property
    def validated(self) -> tuple[tuple[float, float | None], ...]:
        """What is validated on: a scale (1 at the pictures' own size), and a level or none."""
        if self.task != "upscale":
            return tuple((1.0, level) for level in self.levels)
        return tuple((scale, level) for scale in self.scales for level in (None, *self.levels))

    @property
    def trained_levels(self) -> tuple[float, float]:
        """The lowest and the highest level that is trained on."""
        low, high = self.level_range or (min(self.levels), max(self.levels))
        return low, high

    def changed(
        self,
        *,
        data: Sequence[str] | None = None,
        scales: Sequence[float] | None = None,
        steps: int | None = None,
        lr: float | None = None,
        seed: int | None = None,
    ) -> Recipe:
        """The recipe with what is given in the place of its own; its name says at which scales.

        Parameters
        ----------
        data, steps, seed
        scales : sequence of float
            Trained on alone: no range goes beyond them.
        lr : float
            `lr_adam` follows in proportion.

        Raises
        ------
        BigsharpError
            A value is not valid.
        """
        given = {"data": data, "scales": scales, "steps": steps, "lr": lr, "seed": seed}
        given = {key: value for key, value in given.items() if value is not None}
        if scales is not None:
            if self.task != "upscale":
                self._refuse("trains at the picture's own size; it takes no scale")
            given |= {"scale_range": (), "exact": 0.0}
        recipe = from_dict(self.as_dict() | given, self.name)
        at = "" if scales is None else f"-x{','.join(f'{scale:g}' for scale in recipe.scales)}"
        return replace(recipe, name=self.name + at, lr_adam=self.lr_adam * recipe.lr / self.lr)

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain values, fit for a checkpoint or a card."""
        return asdict(self)


def _is_number(value: object) -> bool:
    """Whether it is one that PyTorch takes; an integer can have any number of digits."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (isinstance(value, float) or abs(value) <= limits.NUMBER)
    )


def _is_name(text: str) -> bool:
    """Whether a folder can be called so, in whatever folder it lies."""
    separated = Path(text).name != text or "\\" in text or ":" in text
    return 0 < len(text) <= limits.LENGTH and text.isprintable() and not separated and text != ".."


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
            raise errors.unknown(f"key of recipe {name}", key[: limits.SAID], known)
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    for key, value in values.items():
        like = _LIKE.get(key, known[key].default)
        wanted = (int, float) if isinstance(like, float) else type(like)
        if not isinstance(value, wanted) or isinstance(value, bool) != isinstance(like, bool):
            why = f"{key} cannot be {shown(value)}; it is like {like!r}"
            raise BigsharpError(f"recipe {name}: {why}")
    if "architecture" not in values:
        raise BigsharpError(f"recipe {name}: names no architecture")
    return Recipe(**({"name": name} | values))


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
        raise errors.unknown("recipe", name, shipped(), ", or give a .toml file")
    return from_dict(read_toml(path), Path(name).stem)


def read_toml(path: Any) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    BigsharpError
        It is missing, or not TOML, or too large or too deep to be a recipe.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limits.TEXT + 1)
        if len(content) > limits.TEXT:
            raise ValueError(f"it has more than {limits.TEXT:,} bytes")
        return tomllib.loads(content.decode())
    except FileNotFoundError:
        raise BigsharpError(f"{path}: no such file") from None
    except RecursionError:
        raise BigsharpError(f"{path}: not a readable TOML file (nested too deep)") from None
    except (OSError, ValueError) as error:
        why = str(error)[: limits.SAID]
        raise BigsharpError(f"{path}: not a readable TOML file ({why})") from None
