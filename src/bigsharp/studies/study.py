"""A study: which networks it trains, how their scores are drawn, and what the slides say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from bigsharp.training.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bigsharp.studies.results import Results

#: Behind the label of a run that is trained three times as long, or has twice as many filters.
LONGER, WIDER = ", longer", ", wider"

#: What "small" is for a CPU and "paper" for a GPU.
BUDGETS = ("small", "paper")

#: θ of the clipping of gradients to ±θ / rate, which the VDSR paper does not give. With 16 filters,
#: 120 steps at 0.1 gave 30.02 dB at ×3 on held-out images with 0.0003, 29.64 with 0.001; with 0.01,
#: which moves weights by a tenth of their spread in a step, it fell to 6 dB.
CLIP = 3e-4

#: What is compared by: the set of the slides' plots, which nothing is trained or chosen on.
TESTED = "Set5"


@dataclass(frozen=True)
class Verdict:
    """Whether a claim held.

    Attributes
    ----------
    held : {"held", "held in part", "did not hold"}
    why : str
        The numbers that say so, in sentences.
    """

    held: str
    why: str


@dataclass(frozen=True)
class Pair:
    """Two labels of which the second should win, by the claim, at these scales."""

    less: str
    more: str
    scales: tuple[float, ...] = (2, 3, 4)

    def gains(self, results: Results, ending: str = "") -> dict[float, float]:
        """What the second has over the first, in dB by scale; of runs whose label ends so."""
        return {
            scale: results.psnr(self.more + ending, scale) - results.psnr(self.less + ending, scale)
            for scale in self.scales
        }


@dataclass(frozen=True)
class Study:
    """One plot of the slides.

    Attributes
    ----------
    title : str
    claim : str
        The slides' words.
    runs : callable
        Of a budget: what is compared, by label. A recipe is trained; a name is a released model's.
    draw : callable
        Draws the results.
    judge : callable
        Says what they say of the claim.
    seeds : dict of str to int
        How often each recipe is trained, by budget; more than once where the effect is small.
    longer, wider : tuple of Pair
        Trained once more under the small budget, for three times as long, or with twice as many
        filters: whether what did not hold is for lack of training, or of filters.
    scales : tuple of float
        Tested at.
    also : tuple of str
        Further sets that are tested on.
    scored : str
        What the plot shows, for its foot.
    table : callable, optional
        Of the results: the rows of a table, the first its head.
    gradients : bool
        Measure the gradients of a DRCN's recursions as well.
    note : str
        What one must know to read the plot.
    """

    title: str
    claim: str
    runs: Callable[[str], Mapping[str, Recipe | str]]
    draw: Callable[[Results], Figure]
    judge: Callable[[Results], Verdict]
    seeds: Mapping[str, int] = field(default_factory=dict)
    longer: tuple[Pair, ...] = ()
    wider: tuple[Pair, ...] = ()
    scales: tuple[float, ...] = (2, 3, 4)
    also: tuple[str, ...] = ()
    scored: str = f"PSNR on {TESTED}"
    table: Callable[[Results], Sequence[Sequence[str]]] | None = None
    gradients: bool = False
    note: str = ""

    def all_runs(self, budget: str) -> dict[tuple[str, int], Recipe | str]:
        """Every label with every seed, seed by seed: a study cut short has compared something."""
        runs = self.runs(budget)
        every = {
            (label, seed): run if isinstance(run, str) else named(replace(run, seed=seed))
            for seed in range(self.seeds.get(budget, 1))
            for label, run in runs.items()
        }
        again = [(self.longer, LONGER, _trained_longer), (self.wider, WIDER, _made_wider)]
        for pairs, ending, change in again if budget == "small" else ():
            for label in dict.fromkeys(label for pair in pairs for label in (pair.less, pair.more)):
                if isinstance(run := runs[label], Recipe):
                    every[label + ending, 0] = named(change(run))
        return every


def _trained_longer(recipe: Recipe) -> Recipe:
    return replace(recipe, steps=3 * recipe.steps)


def _made_wider(recipe: Recipe) -> Recipe:
    features = 2 * recipe.options["features"]
    return replace(recipe, options=recipe.options | {"features": features})


def named(recipe: Recipe) -> Recipe:
    """The recipe called by what it does: studies that need the same run then share its folder."""
    defaults = {entry.name: entry.default for entry in fields(Recipe)}
    told = {key: value for key, value in recipe.as_dict().items() if value != defaults[key]}
    told.pop("name")
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]
    return replace(recipe, name=f"{recipe.architecture}-{digest}")


#: Small studies have an eighth of a paper's batch, a quarter of its filters (DRCN: a sixteenth) and
#: a quarter of its steps or less, in which Muon learns more than what the papers used.
_SMALL: dict[str, Any] = {
    "data": ("T91", "BSDS200"),
    "batch": 8,
    "optimizer": "muon",
    "lr": 0.01,
    "momentum": 0.95,
    "centered": True,
    "warmup": 50,
}
#: Steps, and of how many a validation is made: where what comes of training is compared, and where
#: it is how training begins.
_WHOLE, _BEGINNING = {"steps": 2400, "validate_every": 200}, {"steps": 600, "validate_every": 100}
_NETWORKS = {
    "vdsr": {"depth": 20, "features": 16},
    "drcn": {"recursions": 16, "filters": 16},
}


def base(architecture: str, budget: str, *, beginning: bool = False, **options: Any) -> Recipe:
    """The recipe that a study changes: the paper's, or a small one.

    Parameters
    ----------
    architecture, budget : str
    beginning : bool
        How training begins is compared: a small one ends sooner.
    options
        The network's.
    """
    if budget == "paper":
        recipe = load_recipe(f"{architecture}-paper")
    else:
        length = _BEGINNING if beginning else _WHOLE
        settings = _SMALL | length | {"options": _NETWORKS[architecture]}
        recipe = Recipe(architecture, architecture, **settings)
        if architecture == "drcn":
            recipe = replace(recipe, alpha_steps=recipe.steps // 2)
    return replace(recipe, options=recipe.options | options)


def by_sgd(budget: str, recipe: Recipe, rate: float, clip: float = 0.0) -> Recipe:
    """The recipe under the papers' optimizer: SGD with momentum on the sum of squares.

    In the small budget at a constant rate, which the papers lower every 20 epochs.
    """
    if budget == "paper":
        return replace(recipe, loss="euclidean", lr=rate, clip=clip)
    return replace(
        recipe, loss="euclidean", optimizer="sgd", lr=rate, momentum=0.9, weight_decay=1e-4,
        clip=clip, centered=False, warmup=0, schedule="constant",
    )  # fmt: skip


def in_db(value: float, form: str = ".2f") -> str:
    """A PSNR or a gain in words; that of a network that gave no checkpoint is none."""
    return "none" if value != value else f"{value:{form}} dB"


def by_scale(gains: Mapping[int, float] | Mapping[float, float]) -> str:
    """Gains in words."""
    return ", ".join(f"{in_db(gain, '+.2f')} at ×{scale:g}" for scale, gain in gains.items())


def verdict(checks: Sequence[bool], why: str) -> Verdict:
    """What a claim's parts come to: all of them held, some, or none."""
    held = "held" if all(checks) else "held in part" if any(checks) else "did not hold"
    return Verdict(held, why)
