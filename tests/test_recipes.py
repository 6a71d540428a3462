from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigsharp import networks
from bigsharp.errors import BigsharpError
from bigsharp.training.recipe import Recipe, from_dict, load_recipe, shipped

#: What the issue of a paper or a release names.
NAMES = {
    "drcn", "drcn-64", "drcn-basic", "drcn-paper", "srcnn-915", "srcnn-955",
    "srcnn-955-distil", "srcnn-955-tune", "vdsr", "vdsr-gpu", "vdsr-paper", "vdsr-anneal",
    "vdsr-trunk", "vdsr-tune",
    "vdsr-60", "drcn-tune",
    "vdsr-denoise", "vdsr-deblock", "vdsr-photo",
}  # fmt: skip


def test_the_shipped_recipes_are_these() -> None:
    assert set(shipped()) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_shipped_recipe_is_valid(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert networks.build(recipe.architecture, **recipe.options)


def test_the_papers_recipes_are_the_papers() -> None:
    vdsr = load_recipe("vdsr-paper")
    assert (vdsr.data, vdsr.batch, vdsr.patch) == (("T91", "BSDS200"), 64, 41)
    assert vdsr.loss == "euclidean"
    assert (vdsr.lr, vdsr.momentum, vdsr.weight_decay, vdsr.steps) == (0.1, 0.9, 1e-4, 9960)
    assert vdsr.step_every * 4 == vdsr.steps
    assert vdsr.clip > 0
    drcn = load_recipe("drcn-paper")
    assert (drcn.lr, drcn.schedule, drcn.patience, drcn.lr_end) == (0.01, "plateau", 5, 1e-6)
    assert drcn.alpha_steps > 0
    assert networks.build("drcn", **drcn.options).weight_count == 1_774_080
    basic = load_recipe("drcn-basic")
    assert not basic.options["ensemble"]
    assert not basic.options["skip"]


def test_a_range_of_scales_is_drawn_from_finely_and_evenly() -> None:
    recipe = Recipe("a", "vdsr", scale_range=(1.5, 4.5))
    scales = recipe.drawn_scales
    assert (scales[0], scales[-1]) == (1.5, 4.5)
    assert len(scales) == 61
    assert max(b - a for a, b in pairwise(scales)) < 0.051
    assert recipe.trained_scales == (1.5, 4.5)
    assert Recipe("a", "vdsr").drawn_scales == (2, 3, 4)


def test_a_range_may_favour_the_exact_scales() -> None:
    recipe = Recipe("a", "vdsr", scale_range=(1.5, 4.5), exact=0.6)
    scales = np.array(recipe.drawn_scales)
    assert np.isin(scales, recipe.scales).mean() == pytest.approx(0.6, abs=0.02)
    assert len(set(scales.round(6))) == 61
    assert recipe.trained_scales == (1.5, 4.5)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"architecture": "vdsr", "lrr": 1},
            "key of recipe mine is called 'lrr'; did you mean 'lr'",
        ),
        ({}, "architecture"),
        ({"architecture": "vdsr", "loss": "huber"}, "loss is 'huber', not one of l1, mse"),
        ({"architecture": "vdsr", "autocast": "int8"}, "autocast is 'int8', not one of none, bf16"),
        ({"architecture": "vdsr", "exact": 1.0}, "exact must be below 1"),
        ({"architecture": "vdsr", "data": ["Set5"]}, "Set5 is a test set"),
        ({"architecture": "vdsr", "steps": 0}, "steps must be at least 1"),
        ({"architecture": "vdsr", "scales": [0.5]}, "scales must be numbers above 1"),
        ({"architecture": "vdsr", "scales": [float("nan")]}, "scales must be numbers above 1"),
        ({"architecture": "vdsr", "scales": ["2"]}, "scales must be numbers above 1"),
        ({"architecture": "vdsr", "scale_range": [2]}, "scale_range must be two numbers"),
        ({"architecture": "vdsr", "scale_range": [4, 2]}, "the lower first"),
        ({"architecture": "vdsr", "zooms": [1.0, 1.5]}, "zooms must be numbers above 0"),
        ({"architecture": "vdsr", "lr": -1.0}, "lr must be a number above 0"),
        ({"architecture": "vdsr", "lr": 0.0}, "lr must be a number above 0"),
        ({"architecture": "vdsr", "lr_adam": -1.0}, "lr_adam must be a number of at least 0"),
        ({"architecture": "vdsr", "ema": 1.0}, "ema must be below 1"),
        ({"architecture": "vdsr", "data": [1]}, "data must name image sets"),
        ({"architecture": "vdsr", "data": ["/sets/Set5"]}, "Set5 is a test set"),
        ({"architecture": "vdsr", "validation_crop": 10}, "validation_crop must be at least 16"),
        ({"architecture": "vdsr", "schedule": "step"}, "step_every"),
        ({"architecture": "vdsr", "steps": "many"}, "steps cannot be 'many'"),
        ({"architecture": "vdsr", "lr": "0.1"}, "lr cannot be '0.1'"),
        ({"architecture": "vdsr", "data": "T91"}, "data cannot be 'T91'"),
    ],
)
def test_a_recipe_that_cannot_be(values: dict, words: str) -> None:
    with pytest.raises(BigsharpError, match=words):
        from_dict(values, "mine")


def test_a_recipe_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("steps = = 3")
    with pytest.raises(BigsharpError, match="not a readable TOML file"):
        load_recipe(str(tmp_path / "bad.toml"))
    with pytest.raises(BigsharpError, match="no such file"):
        load_recipe(str(tmp_path / "none.toml"))
    with pytest.raises(BigsharpError, match="did you mean 'vdsr-paper'"):
        load_recipe("vdsr-papr")


def test_a_recipe_may_take_noise_or_jpeg_in_the_place_of_scales() -> None:
    recipe = Recipe("a", "vdsr", degradation="noise", levels=(15, 50))
    assert (recipe.task, recipe.trained_scales) == ("denoise", (1,))
    assert recipe.trained_levels == (15, 50)
    recipe = Recipe("a", "vdsr", degradation="jpeg", levels=(10,), level_range=(5, 95))
    assert (recipe.task, recipe.trained_levels) == ("deblock", (5, 95))
    assert recipe.validated == ((1, 10),)
    with pytest.raises(BigsharpError, match="takes no scale"):
        recipe.changed(scales=[2])
    photo = Recipe("a", "vdsr", degradation="photo", scales=(2, 3), levels=(30,))
    assert photo.validated == ((2, None), (2, 30), (3, None), (3, 30))
    assert (photo.task, photo.trained_scales) == ("upscale", (2, 3))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"degradation": "fog"}, "degradation is 'fog', not one of bicubic, photo, noise, jpeg"),
        ({"degradation": "noise"}, "needs levels to validate on"),
        ({"levels": (15,)}, "go with degradation photo, noise or jpeg"),
        ({"degradation": "noise", "levels": (-1,)}, "levels must be numbers from 0 to 255"),
        ({"degradation": "jpeg", "levels": (0,)}, "levels must be numbers from 1 to 100"),
        ({"degradation": "jpeg", "levels": (9,), "level_range": (9, 200)}, "level_range must be"),
        ({"degradation": "jpeg", "levels": (9,), "level_range": (9, 5)}, "the lower first"),
    ],
)
def test_levels_that_are_none_are_refused(values: dict[str, Any], why: str) -> None:
    with pytest.raises(BigsharpError, match=why):
        Recipe("a", "vdsr", **values)
