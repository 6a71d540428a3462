import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bigsharp import models, protocol
from bigsharp.errors import BigsharpError
from bigsharp.resize import imresize
from bigsharp.training.loop import Status, Trainer, learning_rate
from bigsharp.training.patches import PatchSampler, ValidationSet, load_images
from bigsharp.training.recipe import Recipe, from_dict, load_recipe, shipped

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small pictures of sharp discs."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:72, 0:80]
    for number in range(12):
        image = np.full((72, 80), 128)
        for _ in range(12):
            cy, cx, r, value = random.integers((0, 0, 4, 0), (72, 80, 20, 256))
            image[np.hypot(y - cy, x - cx) < r] = value
        Image.fromarray(image.astype(np.uint8)).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture
def recipe(photos: Path) -> Recipe:
    return Recipe(
        name="tiny",
        architecture="vdsr",
        options={"depth": 3, "features": 8},
        data=(str(photos),),
        holdout=2,
        scales=(2, 3),
        patch=16,
        batch=4,
        steps=30,
        lr=2e-3,
        validate_every=12,
        validation_crop=36,
    )


def eight_ways(image: np.ndarray) -> list[np.ndarray]:
    turned = [np.rot90(image, k) for k in range(4)]
    return turned + [view.T for view in turned]


@pytest.mark.parametrize("scale", [2, 3, 4, 2.5, 3.7])
def test_a_patch_is_what_the_whole_image_s_ilr_shows_there(scale: float) -> None:
    probe = PatchSampler([np.zeros((9, 9), np.uint8)], [scale], 16, CPU, 0)
    image = np.random.default_rng(0).integers(0, 256, (probe.side, probe.side), dtype=np.uint8)
    sampler = PatchSampler([image], [scale], 16, CPU, 0)
    ilr, hr = sampler.batch(12)
    assert ilr.shape == hr.shape == (12, 1, 16, 16)
    starts = range(sampler.margin, sampler.margin + sampler.phases)
    seen = set()
    for got_ilr, got_hr in zip(ilr[:, 0].numpy(), hr[:, 0].numpy(), strict=True):
        found = 0
        for way, view in enumerate(eight_ways(image / 255)):
            small = imresize(view, 1 / scale)
            large = imresize(small, scale)
            for top in starts:
                for left in starts:
                    part = (slice(top, top + 16), slice(left, left + 16))
                    if np.allclose(view[part], got_hr, atol=1e-6):
                        found += 1
                        seen.add((way, top, left))
                        assert got_ilr == pytest.approx(large[part], abs=1e-5)
        assert found == 1
    assert len({way for way, _, _ in seen}) >= 4
    assert len({(top, left) for _, top, left in seen}) >= 3


def test_patches_come_from_every_image_at_every_scale() -> None:
    images = [np.full((90 + 10 * k, 80), 40 * k, np.uint8) for k in range(5)]
    _, hr = PatchSampler(images, [2, 4], 20, CPU, 3).batch(400)
    values = (hr[:, 0, 0, 0] * 255).round().int().tolist()
    counts = [values.count(40 * k) for k in range(5)]
    assert min(counts) > 40
    noise = np.random.default_rng(0).integers(0, 256, (90, 90), dtype=np.uint8)
    ilr, _ = PatchSampler([noise], [2, 4], 20, CPU, 3).batch(100)
    spread = ilr.std(dim=(1, 2, 3))
    assert 20 < int((spread > spread.mean()).sum()) < 80


def test_the_seed_decides_the_patches() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 90), dtype=np.uint8)
    first, same, other = (PatchSampler([image], [2], 8, CPU, s).batch(3)[1] for s in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_held_out_images_are_never_trained_on(photos: Path) -> None:
    training, held_out = load_images([str(photos)], 3, 36)
    assert (len(training), len(held_out)) == (9, 3)
    for image in held_out:
        assert not any(np.array_equal(image, other) for other in training)
    with pytest.raises(BigsharpError, match="too few to hold out 3"):
        load_images([str(photos)], 3, 500)


def test_validation_is_the_published_protocol(photos: Path) -> None:
    _, (image, *_) = load_images([str(photos)], 1, 36)
    held_out = ValidationSet.make([image], 3, 36, CPU)
    assert held_out.hr.shape == (1, 1, 36, 36)
    hr = image[18:54, 22:58].astype(float)
    ilr = imresize(imresize(hr, 1 / 3), 3)
    expected = protocol.score(ilr, hr, 3).psnr
    assert held_out.psnr(held_out.ilr) == pytest.approx(expected, abs=1e-3)


def test_training_beats_bicubic_on_images_it_never_saw(recipe: Recipe, tmp_path: Path) -> None:
    recipe = replace(recipe, steps=800, validate_every=400, batch=16, loss="mse", lr=5e-3)
    trainer = Trainer(recipe, tmp_path)
    bicubic = {held_out.scale: held_out.psnr(held_out.ilr) for held_out in trainer.validation}
    trainer.train()
    for scale, before in bicubic.items():
        assert trainer.psnr[scale] > before + 0.5
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["400", "800"]
    assert float(rows[-1]["psnr_x2"]) == trainer.psnr[2]
    best = models.load(tmp_path / "best.pt")
    with torch.inference_mode():
        restored = best(trainer.validation[0].ilr)
    assert trainer.validation[0].psnr(restored) == pytest.approx(trainer.psnr[2], abs=0.01)


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return list(trainer.network.state_dict().values())


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_resumed_run_gives_the_weights_of_an_uninterrupted_one(
    recipe: Recipe, tmp_path: Path, optimizer: str
) -> None:
    recipe = replace(recipe, optimizer=optimizer, lr=0.01, clip=0.001)
    whole = Trainer(recipe, tmp_path / "whole")
    whole.train()

    class Killed(Exception):
        pass

    def kill(status: Status) -> None:
        if status.step == 20:
            raise Killed

    with pytest.raises(Killed):
        Trainer(recipe, tmp_path / "cut").train(kill)
    resumed = Trainer(recipe, tmp_path / "cut", resume=True)
    assert resumed.step == 12
    resumed.train()
    assert all(map(torch.equal, weights(whole), weights(resumed)))
    assert resumed.log == whole.log

    stopped = Trainer(recipe, tmp_path / "stopped")
    stopped.train(lambda status: setattr(stopped, "stop", status.step == 20))
    assert stopped.step == 20
    resumed = Trainer(recipe, tmp_path / "stopped", resume=True)
    assert resumed.step == 20
    resumed.train()
    assert all(map(torch.equal, weights(whole), weights(resumed)))


def test_a_run_is_neither_overwritten_nor_mixed_up(recipe: Recipe, tmp_path: Path) -> None:
    Trainer(recipe, tmp_path).train()
    with pytest.raises(BigsharpError, match="holds a run already"):
        Trainer(recipe, tmp_path)
    with pytest.raises(BigsharpError, match="other settings"):
        Trainer(replace(recipe, lr=1e-5), tmp_path, resume=True)
    with pytest.raises(BigsharpError, match="no such file"):
        Trainer(recipe, tmp_path / "none", resume=True)
    photo = next(Path(recipe.data[0]).glob("00.png"))
    content = photo.read_bytes()
    Image.new("L", (80, 72)).save(photo)
    try:
        with pytest.raises(BigsharpError, match="images trained on then and now differ"):
            Trainer(recipe, tmp_path, resume=True)
    finally:
        photo.write_bytes(content)


def test_divergence_stops_and_keeps_the_last_checkpoint(recipe: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(replace(recipe, validate_every=5), tmp_path)

    def spoil(status: Status) -> None:
        with torch.no_grad():
            trainer.network.layers[0].weight.fill_(float("nan"))

    with pytest.raises(BigsharpError, match=r"diverged before step 10; lower lr"):
        trainer.train(spoil)
    last = models.read_checkpoint(tmp_path / "last.pt")
    assert last["step"] == 5
    assert all(torch.isfinite(tensor).all() for tensor in last["state"].values())


def test_a_stop_after_divergence_keeps_the_last_checkpoint(recipe: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(recipe, tmp_path)

    def spoil_and_stop(status: Status) -> None:
        if status.step == 20:
            with torch.no_grad():
                trainer.network.layers[0].weight[0] = float("nan")
            trainer.stop = True

    with pytest.raises(BigsharpError, match="diverged before step 20"):
        trainer.train(spoil_and_stop)
    assert models.read_checkpoint(tmp_path / "last.pt")["step"] == 12


def test_clipping_is_the_paper_s(recipe: Recipe, tmp_path: Path) -> None:
    """VDSR, section 3.2: each component of the gradient within ±θ/γ, so a step is within ±θ."""
    theta = 1e-4
    recipe = replace(recipe, optimizer="sgd", momentum=0.0, lr=50.0, schedule="constant")
    steps = {}
    for clip in (0.0, theta):
        trainer = Trainer(replace(recipe, clip=clip, steps=1), tmp_path / str(clip))
        before = [w.clone() for w in weights(trainer)]
        trainer.train()
        moved = zip(before, weights(trainer), strict=True)
        steps[clip] = max(float((a - b).abs().max()) for a, b in moved)
    assert steps[0.0] > 2 * theta
    assert steps[theta] == pytest.approx(theta, rel=0.01)


def test_schedules() -> None:
    cosine = Recipe("a", "vdsr", steps=110, warmup=10, lr=1.0)
    assert learning_rate(cosine, 0) == pytest.approx(0.1)
    assert learning_rate(cosine, 10) == pytest.approx(1)
    assert learning_rate(cosine, 60) == pytest.approx(0.5)
    assert learning_rate(cosine, 109) < 0.001
    step = Recipe("a", "vdsr", steps=9960, lr=0.1, schedule="step", step_every=2490)
    rates = [learning_rate(step, k) for k in (0, 2489, 2490, 4980, 9959)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.001, 0.0001])
    constant = Recipe("a", "vdsr", lr=0.3, schedule="constant")
    assert learning_rate(constant, 9999) == 0.3


def test_every_shipped_recipe_is_valid_and_tests_on_nothing_it_trains_on() -> None:
    assert {"vdsr-cpu", "vdsr-paper"} <= set(shipped())
    for name in shipped():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert models.build(recipe.architecture, **recipe.options)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"architecture": "vdsr", "lrr": 1}, "unknown key 'lrr'; did you mean 'lr'"),
        ({}, "architecture"),
        ({"architecture": "vdsr", "loss": "huber"}, "loss is 'huber', not one of l1, mse"),
        ({"architecture": "vdsr", "data": ["Set5"]}, "Set5 is a test set"),
        ({"architecture": "vdsr", "steps": 0}, "steps must be at least 1"),
        ({"architecture": "vdsr", "scales": [0.5]}, "scales must be numbers above 1"),
        ({"architecture": "vdsr", "scales": [float("nan")]}, "scales must be numbers above 1"),
        ({"architecture": "vdsr", "scales": ["2"]}, "scales must be numbers above 1"),
        ({"architecture": "vdsr", "lr": -1.0}, "lr must be a number of at least 0"),
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
