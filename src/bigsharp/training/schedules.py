"""What changes along a run: the learning rate, the loss, and what of a DRCN is trained.

All are functions of the step and of the validations so far, so a resumed run needs no more state.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from bigsharp.training.recipe import Recipe


def rate_factor(recipe: Recipe, step: int, scores: Sequence[float] = ()) -> float:
    """What the recipe's learning rates are multiplied by at step `step`, counted from 0.

    Parameters
    ----------
    recipe : Recipe
    step : int
    scores : sequence of float
        Mean validation PSNR, one a validation so far; "plateau" looks at it.
    """
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    if recipe.schedule == "cosine":
        done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
        return 0.5 * (1 + math.cos(math.pi * done))
    if recipe.schedule == "step":
        return 0.1 ** (step // recipe.step_every)
    if recipe.schedule == "plateau":
        return 0.1 ** plateaus(scores, recipe.patience)
    return 1.0


def plateaus(scores: Sequence[float], patience: int) -> int:
    """How often `patience` validations in a row have brought no better one."""
    best, waited, found = -math.inf, 0, 0
    for score in scores:
        waited = 0 if score > best else waited + 1
        best = max(best, score)
        if waited == patience:
            waited, found = 0, found + 1
    return found


def alpha(recipe: Recipe, step: int) -> float:
    """α, the weight of the recursions' own losses: from 1 to 0 over `alpha_steps` (DRCN, 3.3)."""
    return max(0.0, 1 - step / recipe.alpha_steps) if recipe.alpha_steps else 0.0


def is_final(recipe: Recipe, step: int) -> bool:
    """Whether step `step` is of the last share."""
    return bool(recipe.final_share) and step >= recipe.steps * (1 - recipe.final_share)


def loss_name(recipe: Recipe, step: int) -> str:
    """The loss that step `step` minimises."""
    return recipe.final_loss if is_final(recipe, step) else recipe.loss


def recursions(recipe: Recipe, step: int, full: int) -> int:
    """How many of a network's `full` recursions are applied at step `step`."""
    missing = sum(step < grown for grown in recipe.grow)
    return max(1, full >> missing)


def supervised(recipe: Recipe, step: int, count: int) -> list[int]:
    """Which of `count` predictions step `step` reconstructs, in order: the last is one of them."""
    if not 0 < recipe.supervised < count:
        return list(range(count))
    drawn = random.Random(f"{recipe.seed} {step}").sample(range(count - 1), recipe.supervised - 1)
    return [*sorted(drawn), count - 1]
