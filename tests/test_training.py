import csv
import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bigsharp import networks
from bigsharp.errors import BigsharpError
from bigsharp.training import checkpoint, log, loop
from bigsharp.training.loop import Status, Trainer, moving_average
from bigsharp.training.recipe import Recipe, load_recipe, shipped
from bigsharp.training.schedules import loss_name, recursions, supervised


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


def test_training_beats_bicubic_on_images_it_never_saw(recipe: Recipe, tmp_path: Path) -> None:
    recipe = replace(recipe, steps=800, validate_every=400, batch=16, optimizer="muon", lr=0.03)
    trainer = Trainer(recipe, tmp_path)
    bicubic = {held_out.name: held_out.psnr(held_out.spoiled) for held_out in trainer.validation}
    trainer.train()
    for name, before in bicubic.items():
        assert trainer.log.psnr[name] > before + 0.5
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["400", "800"]
    assert float(rows[-1]["psnr_x2"]) == trainer.log.psnr["x2"]
    best = networks.load(tmp_path / "best.pt")
    with torch.inference_mode():
        restored = best(trainer.validation[0].spoiled)
    assert trainer.validation[0].psnr(restored) == pytest.approx(trainer.log.psnr["x2"], abs=0.01)


@pytest.mark.parametrize(
    ("degradation", "levels", "task", "gain"),
    [("noise", (25.0,), "denoise", 4), ("jpeg", (10.0,), "deblock", 0.5)],
)
def test_noise_and_jpeg_are_learned_to_be_taken_away(
    degradation: str, levels: tuple[float], task: str, gain: float, recipe: Recipe, tmp_path: Path
) -> None:
    recipe = replace(recipe, degradation=degradation, levels=levels, steps=400, batch=16,
                     validate_every=200, optimizer="muon", lr=0.03)  # fmt: skip
    trainer = Trainer(recipe, tmp_path)
    (held_out,) = trainer.validation
    before = held_out.psnr(held_out.spoiled)
    trainer.train()
    assert trainer.log.psnr[held_out.name] > before + gain
    packed = networks.read(tmp_path / "best.pt")
    assert packed.task == task
    assert packed.scales == (1,)


def shipped_trainer(name: str, photos: Path, folder: Path) -> Trainer:
    """All as shipped, but for the pictures and how many.

    Started at the identity, all recursions of a DRCN give the same in float32 for two steps, and
    the weights of their mixture do not move; hence more.
    """
    small = {"holdout": 1, "patch": 20, "batch": 1, "steps": 4, "validation_crop": 24}
    return Trainer(replace(load_recipe(name), data=(str(photos),), **small), folder)


@pytest.mark.parametrize("name", sorted(set(shipped()) - {"drcn-basic"}))
def test_every_shipped_recipe_trains(name: str, photos: Path, tmp_path: Path) -> None:
    trainer = shipped_trainer(name, photos, tmp_path)
    before = [w.clone() for w in weights(trainer)]
    trainer.train()
    same = map(torch.equal, before, weights(trainer))
    stayed = {name for name, still in zip(trainer.network.state_dict(), same, strict=True) if still}
    # A prediction alone has all the weight.
    assert stayed == ({"mixture"} if trainer.recipe.supervised == 1 else set())
    assert networks.load(tmp_path / "last.pt").options == trainer.network.options


def test_the_basic_drcn_does_not_converge(photos: Path, tmp_path: Path) -> None:
    """As the slides say of it, and why its recipe is kept."""
    with pytest.raises(BigsharpError, match="training diverged before step 4"):
        shipped_trainer("drcn-basic", photos, tmp_path).train()


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return list(trainer.network.state_dict().values())


def untimed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


VARIANTS = {
    "adam": {"optimizer": "adam", "lr": 0.01, "clip": 0.001},
    "sgd": {"optimizer": "sgd", "lr": 0.01, "clip": 0.001},
    "muon": {"optimizer": "muon", "lr": 0.01, "ema": 0.9, "scale_range": (1.5, 3.5)},
    "centered": {
        "optimizer": "muon",
        "lr": 0.1,
        "weight_decay": 0.2,
        "centered": True,
        "recycle_every": 5,
    },
    "plateau": {"schedule": "plateau", "patience": 1, "lr": 0.03, "loss": "charbonnier"},
    "drcn": {
        "architecture": "drcn",
        "options": {"recursions": 3, "filters": 4},
        "optimizer": "muon",
        "alpha_steps": 25,
    },
    "growing": {
        "architecture": "drcn",
        "options": {"recursions": 4, "filters": 4},
        "optimizer": "muon",
        "ema": 0.9,
        "supervised": 2,
        "grow": (8, 14),
        "final_loss": "mse",
        "final_share": 0.2,
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_resumed_run_gives_the_weights_of_an_uninterrupted_one(
    recipe: Recipe, tmp_path: Path, variant: str
) -> None:
    recipe = replace(recipe, **VARIANTS[variant])
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
    for one, other in zip(whole.released.parameters(), resumed.released.parameters(), strict=True):
        assert torch.equal(one, other)
    assert untimed(resumed.log.rows) == untimed(whole.log.rows)

    stopped = Trainer(recipe, tmp_path / "stopped")
    stopped.train(lambda status: setattr(stopped, "stop", status.step == 20))
    assert stopped.step == 20
    resumed = Trainer(recipe, tmp_path / "stopped", resume=True)
    assert resumed.step == 20
    resumed.train()
    assert all(map(torch.equal, weights(whole), weights(resumed)))


def test_plateaus_lower_the_rate_until_training_ends(recipe: Recipe, tmp_path: Path) -> None:
    recipe = replace(
        recipe, schedule="plateau", patience=1, lr_end=1e-5, validate_every=2, steps=10**6, lr=1e-2
    )
    trainer = Trainer(recipe, tmp_path)
    trainer.train()
    rates = [row["lr"] for row in trainer.log.rows]
    assert rates[0] == 1e-2
    assert rates == sorted(rates, reverse=True)
    assert trainer.rate < 1e-5
    assert trainer.finished
    assert trainer.step < 10**6


def test_what_is_saved_is_the_moving_average(recipe: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(replace(recipe, ema=0.99, optimizer="muon", lr=0.02), tmp_path)
    trainer.train()
    saved = networks.load(tmp_path / "last.pt")
    for mean, kept, now in zip(
        trainer.released.parameters(), saved.parameters(), trainer.network.parameters(), strict=True
    ):
        assert torch.equal(mean, kept)
        assert not torch.equal(kept, now)


def test_the_moving_average_starts_short_and_grows_to_its_decay() -> None:
    network = networks.build("vdsr", depth=2, features=2)
    average = moving_average(network, 0.5)
    expected = 0.0
    for count in range(12):
        for parameter in network.parameters():
            torch.nn.init.constant_(parameter, count)
        average.update_parameters(network)
        keep = min(0.5, (1 + count) / (10 + count)) if count else 0.0
        expected = keep * expected + (1 - keep) * count
        assert float(next(average.parameters()).detach().flatten()[0]) == pytest.approx(expected)


def test_a_run_starts_from_given_weights_and_never_ends_below_them(
    recipe: Recipe, tmp_path: Path
) -> None:
    first = Trainer(recipe, tmp_path / "first")
    first.train()
    start = str(tmp_path / "first/best.pt")
    tuned = Trainer(replace(recipe, steps=12, lr=1e-5), tmp_path / "tuned", start=start)
    for one, other in zip(first.network.parameters(), tuned.network.parameters(), strict=True):
        assert torch.equal(one, other)
    tuned.train()
    assert tuned.log.rows[0]["step"] == 0
    assert tuned.log.rows[0]["psnr_x2"] == first.log.rows[-1]["psnr_x2"]
    best = networks.read_checkpoint(tmp_path / "tuned/best.pt")["log"][-1]
    assert best["psnr_x2"] + best["psnr_x3"] == max(
        r["psnr_x2"] + r["psnr_x3"] for r in tuned.log.rows
    )
    resumed = Trainer(replace(recipe, steps=12, lr=1e-5), tmp_path / "tuned", resume=True)
    assert resumed.start == start
    with pytest.raises(BigsharpError, match="the weights do not fit VDSR"):
        Trainer(replace(recipe, options={"depth": 4}), tmp_path / "other", start=start)
    with pytest.raises(BigsharpError, match="no released model is called 'nothing'"):
        Trainer(recipe, tmp_path / "other", start="nothing")


def test_a_teacher_takes_the_place_of_hr_until_the_last_steps(
    recipe: Recipe, tmp_path: Path
) -> None:
    Trainer(recipe, tmp_path / "first").train()
    start = str(tmp_path / "first/best.pt")
    taught = replace(
        recipe, teacher=start, steps=6, loss="mse", final_loss="mse", final_share=0.5,
        optimizer="sgd", lr=0.1, validate_every=3,
    )  # fmt: skip
    trainer = Trainer(taught, tmp_path / "taught", start=start)
    before = [w.clone() for w in weights(trainer)]
    moved = []

    def look(step: int) -> None:
        while trainer.step < step:
            trainer._one_step()
        moved.append(not all(map(torch.equal, before, weights(trainer))))

    look(3)  # its own output, a loss of 0
    look(6)
    assert moved == [False, True]


def test_a_teacher_does_what_is_taught(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(BigsharpError, match="its teacher, vdsr-denoise, does denoise, and the"):
        Trainer(replace(recipe, teacher="vdsr-denoise"), tmp_path / "other")
    with pytest.raises(BigsharpError, match="no released model is called 'nobody'"):
        Trainer(replace(recipe, teacher="nobody"), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_half_precision_is_for_gpus_alone(recipe: Recipe, tmp_path: Path) -> None:
    runs = [Trainer(replace(recipe, autocast=a), tmp_path / a) for a in ("none", "bf16", "fp16")]
    for run in runs:
        run.train()
    for run in runs[1:]:
        assert all(map(torch.equal, weights(runs[0]), weights(run)))


def test_tensorboard_holds_the_curves_and_sample_pictures(recipe: Recipe, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trainer = Trainer(recipe, tmp_path)
    trainer.train()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert {"loss", "lr", "psnr_x2", "psnr_x3"} <= set(events.Tags()["scalars"])
    curve = [(event.step, event.value) for event in events.Scalars("psnr_x2")]
    assert curve == [(r["step"], pytest.approx(r["psnr_x2"])) for r in trainer.log.rows]
    assert events.Tags()["images"] == ["x2", "x3"]
    picture = events.Images("x2")[-1]
    assert (picture.height, picture.width) == (36, 3 * 36)


def test_without_tensorboard_the_csv_is_there(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "find_spec", lambda name: None)
    Trainer(recipe, tmp_path).train()
    assert {path.name for path in tmp_path.iterdir()} - {"lock"} == {
        "best.pt", "last.pt", "last-network-30.pt", "last-optimizers-30.pt", "log.csv",
    }  # fmt: skip


def test_a_batch_that_memory_cannot_hold(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = networks.build(recipe.architecture, **recipe.options)
    channels = sum(layer.out_channels for layer in network.layers[:-1])
    needed = recipe.batch * recipe.patch**2 * channels * 4
    monkeypatch.setattr(loop, "memory_of", lambda device: needed - 1)
    with pytest.raises(BigsharpError, match=rf"batches of {recipe.batch} patches .* GB and more"):
        Trainer(recipe, tmp_path)
    monkeypatch.setattr(loop, "memory_of", lambda device: needed)
    Trainer(recipe, tmp_path)


def test_memory_that_ends_is_one_line(recipe: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(recipe, tmp_path)

    def allocate(status: Status) -> None:
        if status.step == 20:
            torch.empty(1 << 60, dtype=torch.uint8)

    with pytest.raises(BigsharpError, match="not enough memory; use smaller patches"):
        trainer.train(allocate)
    assert networks.read_checkpoint(tmp_path / "last.pt")["step"] == 12


def test_a_full_disk_loses_nothing(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(recipe, tmp_path)

    def fill(status: Status) -> None:
        def full(*args: object, **kwargs: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        if status.step == 20:
            monkeypatch.setattr("bigsharp.io.files.secrets.token_hex", full)

    with pytest.raises(BigsharpError, match=r"cannot be written.*No space left on device"):
        trainer.train(fill)
    monkeypatch.undo()
    resumed = Trainer(recipe, tmp_path, resume=True)
    assert resumed.step == 12
    resumed.train()
    assert resumed.finished


def test_a_full_disk_under_tensorboard_is_one_line_and_loses_nothing(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = pytest.importorskip("tensorboard.summary.writer.record_writer").RecordWriter

    def full(writer: object, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    trainer = Trainer(recipe, tmp_path)

    def fill(status: Status) -> None:
        monkeypatch.setattr(writer, "write", full)

    with pytest.raises(BigsharpError, match=r"tensorboard: cannot be written .No space left"):
        trainer.train(fill)
    assert networks.read_checkpoint(tmp_path / "last.pt")["step"] == 12


@pytest.mark.slow
def test_two_processes_share_one_run(
    recipe: Recipe, tmp_path: Path, command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same loss curve as one process with the joint batch."""
    lines = [f"{key} = {value!r}" for key, value in {
        "architecture": recipe.architecture, "data": list(recipe.data), "holdout": 2,
        "scales": [2, 3], "patch": 16, "batch": 4, "steps": 30, "validate_every": 10,
        "validation_crop": 36, "optimizer": "muon", "lr": 0.01, "ema": 0.9,
    }.items()]  # fmt: skip
    path = tmp_path / "shared.toml"
    path.write_text("\n".join([*lines, "options = { depth = 3, features = 8 }"]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    arguments = ["train", path, "--device", "cpu", "-o"]
    one = command(*arguments, tmp_path / "one")
    assert one.returncode == 0, one.stderr
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    two = command(*arguments, tmp_path / "two", launcher=launcher)
    assert two.returncode == 0, two.stderr
    curves = []
    for folder in ("one", "two"):
        with (tmp_path / folder / "log.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["step"] for row in rows] == ["10", "20", "30"]
        curves.append([[float(r[k]) for k in ("loss", "psnr_x2", "psnr_x3")] for r in rows])
    assert curves[1] == [pytest.approx(row, rel=1e-3) for row in curves[0]]
    uneven = command(*arguments, tmp_path / "odd", "--steps", 5, launcher=[*launcher[:-1], "3"])
    assert uneven.returncode != 0
    assert "a batch of 4 cannot be shared out evenly among 3 processes" in uneven.stderr


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

    with pytest.raises(BigsharpError, match=r"diverged before step 15; lower lr"):
        trainer.train(spoil)
    last = networks.read_checkpoint(tmp_path / "last.pt")
    assert last["step"] == 10
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
    assert networks.read_checkpoint(tmp_path / "last.pt")["step"] == 12


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


def test_the_files_of_a_checkpoint_are_those_of_its_step_alone(
    recipe: Recipe, tmp_path: Path
) -> None:
    trainer = Trainer(recipe, tmp_path)
    trainer.train()
    parts = sorted(path.name for path in tmp_path.glob("last-*"))
    assert parts == ["last-network-30.pt", "last-optimizers-30.pt"]
    assert "network" not in networks.read_checkpoint(tmp_path / "last.pt")
    (tmp_path / parts[1]).unlink()
    with pytest.raises(
        BigsharpError, match=r"optimizers-30.pt: missing or damaged.*can start from"
    ):
        Trainer(recipe, tmp_path, resume=True)


def test_a_run_killed_while_it_writes_a_checkpoint_goes_on_from_the_one_before(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Trainer(recipe, tmp_path / "whole")
    whole.train()
    write = checkpoint.write_bytes

    class Killed(BaseException):
        pass

    for victim in ("last-network-24.pt", "last-optimizers-24.pt", "last.pt"):
        folder = tmp_path / victim
        written: list[str] = []

        def kill(path: Path, content: bytes, victim: str = victim, seen: Any = written) -> None:
            seen.append(path.name)
            if path.name == victim and seen.count("last.pt") == (2 if victim == "last.pt" else 1):
                raise Killed
            write(path, content)

        monkeypatch.setattr(checkpoint, "write_bytes", kill)
        trainer = Trainer(recipe, folder)
        with pytest.raises(Killed):
            trainer.train()
        monkeypatch.undo()
        resumed = Trainer(recipe, folder, resume=True)
        assert resumed.step == 12
        resumed.train()
        assert all(map(torch.equal, weights(whole), weights(resumed)))


def test_a_run_goes_on_under_a_recipe_that_has_learned_a_new_key(
    recipe: Recipe, tmp_path: Path
) -> None:
    Trainer(recipe, tmp_path).train(seconds=0)
    content = networks.read_checkpoint(tmp_path / "last.pt")
    del content["recipe"]["supervised"]
    torch.save(content, tmp_path / "last.pt")
    assert Trainer(recipe, tmp_path, resume=True).step == 1
    content["recipe"]["ema"] = 0.5
    torch.save(content, tmp_path / "last.pt")
    with pytest.raises(BigsharpError, match=r"other settings than recipe tiny \(ema\)"):
        Trainer(recipe, tmp_path, resume=True)


def test_two_trainers_do_not_share_a_folder(recipe: Recipe, tmp_path: Path, command) -> None:
    trainer = Trainer(recipe, tmp_path)
    trainer.train(seconds=0)
    first = Trainer(recipe, tmp_path, resume=True)
    with pytest.raises(BigsharpError, match="another process trains in this folder"):
        Trainer(recipe, tmp_path, resume=True)
    first.train()
    with pytest.raises(BigsharpError, match="other settings"):
        Trainer(replace(recipe, seed=1), tmp_path, resume=True)
    assert Trainer(recipe, tmp_path, resume=True).finished


def test_a_time_may_be_given_and_the_run_goes_on_later(recipe: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(recipe, tmp_path)
    trainer.train(seconds=0)
    assert (trainer.step, trainer.finished) == (1, False)
    spent = networks.read_checkpoint(tmp_path / "last.pt")["seconds"]
    resumed = Trainer(recipe, tmp_path, resume=True)
    assert (resumed.step, resumed.seconds) == (1, spent)
    resumed.train(seconds=1000)
    assert resumed.finished


def test_a_trunk_goes_on_while_others_branch_off_its_average(
    recipe: Recipe, tmp_path: Path
) -> None:
    constant = replace(recipe, schedule="constant", ema=0.9)
    trunk = Trainer(constant, tmp_path / "trunk")
    trunk.train(lambda status: setattr(trunk, "stop", status.step == 20))
    before = {path: path.read_bytes() for path in (tmp_path / "trunk").glob("*.pt")}
    branch = Trainer(recipe, tmp_path / "branch", start=str(tmp_path / "trunk/last.pt"))
    for mean, begun in zip(trunk.released.parameters(), branch.network.parameters(), strict=True):
        assert torch.equal(mean, begun)
    branch.train()
    assert {path: path.read_bytes() for path in (tmp_path / "trunk").glob("*.pt")} == before
    assert Trainer(constant, tmp_path / "trunk", resume=True).step == 20


def test_recursions_grow_and_only_those_that_have_count(recipe: Recipe, tmp_path: Path) -> None:
    recipe = replace(recipe, **VARIANTS["growing"], steps=20)
    trainer = Trainer(recipe, tmp_path)
    counted = []
    trainer.train(lambda status: counted.append(int((trainer.network.mixture != 0).sum())))
    assert counted == [2, 4]  # after 10 and 20 steps
    assert [recursions(recipe, step, 4) for step in (0, 7, 8, 13, 14)] == [1, 1, 2, 2, 4]


def test_supervision_is_sampled_and_the_last_recursion_always_is(recipe: Recipe) -> None:
    recipe = replace(recipe, supervised=4)
    drawn = [supervised(recipe, step, 16) for step in range(2000)]
    assert all(d == sorted(set(d)) and len(d) == 4 and d[-1] == 15 for d in drawn)
    times = np.bincount(np.concatenate(drawn), minlength=16)
    assert times[:15] == pytest.approx(np.full(15, 2000 * 3 / 15), rel=0.2)
    assert supervised(recipe, 5, 16) == drawn[5]
    assert supervised(recipe, 5, 4) == [0, 1, 2, 3]
    assert supervised(replace(recipe, supervised=0), 5, 16) == list(range(16))


def test_the_last_steps_may_minimise_another_loss(recipe: Recipe) -> None:
    recipe = replace(recipe, steps=10, final_loss="mse", final_share=0.4)
    assert [loss_name(recipe, step) for step in range(10)] == ["l1"] * 6 + ["mse"] * 4
