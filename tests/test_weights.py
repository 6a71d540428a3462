import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from bigsharp import networks, weights
from bigsharp.benchmark.run import benchmark
from bigsharp.engines import open_engine
from bigsharp.errors import BigsharpError
from bigsharp.weights.file import SUFFIX

NETWORKS = [
    name for name in weights.names() if weights.card(name)["architecture"] in networks.ARCHITECTURES
]

#: What VDSR has reached on Set5 at ×2, ×3, ×4, in dB, and no later release falls below.
FLOOR = [37.5, 33.57, 31.27]


def test_names_and_files() -> None:
    assert "vdsr" in weights.names()
    with pytest.raises(BigsharpError, match="no released model is called 'x'"):
        weights.path("x", ".onnx")


@pytest.mark.parametrize("name", weights.names())
def test_the_card_describes_the_files_beside_it(name: str) -> None:
    card = weights.card(name)
    for extension, digest in card["sha256"].items():
        content = weights.path(name, extension).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
    for key in ("hardware", "date", "recipe", "measured", "protocol"):
        assert card[key]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_card_of_a_network_describes_it(name: str) -> None:
    card = weights.card(name)
    network = networks.load(weights.path(name, SUFFIX))
    assert network.parameter_count == card["parameters"]
    assert network.receptive_field == card["receptive_field"]
    assert network.options == card["options"] == card["recipe"]["options"]
    # What starts from other weights may be released as it starts.
    assert card["steps"] > 0 or card["curve"][0]["step"] == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_every_engine_runs_the_same_network(name: str) -> None:
    ilr = np.random.default_rng(0).random((40, 56), np.float32)
    opened = [open_engine(name, engine) for engine in ("onnx", "torch", "auto")]
    assert len({engine.halo for engine in opened}) == 1
    assert len({engine.parameters for engine in opened}) == 1
    assert np.ptp([engine.restore(ilr) for engine in opened], axis=0).max() < 1e-5


def test_drcn_is_as_good_as_vdsr() -> None:
    ours, theirs = (
        {(row["data"], row["scale"]): row["psnr"] for row in weights.card(name)["measured"]}
        for name in ("drcn", "vdsr")
    )
    assert {data for data, _ in ours} >= {"Set5", "Set14"}
    for cell, psnr in ours.items():
        assert psnr >= theirs[cell] - 0.005, cell


def test_vdsr_scores_on_set5_what_its_card_says(image_sets: Path) -> None:
    measured = [row for row in weights.card("vdsr")["measured"] if row["data"] == "Set5"]
    results = benchmark(["Set5"], [2, 3, 4], ["vdsr"], root=image_sets)
    for result, row, floor in zip(results, measured, FLOOR, strict=True):
        assert result.scale == row["scale"]
        assert result.mean.psnr == pytest.approx(row["psnr"], abs=0.002)
        assert result.mean.ssim == pytest.approx(row["ssim"], abs=1e-4)
        assert result.mean.psnr >= floor


@pytest.mark.slow
def test_no_scale_is_worse_than_bicubic(image_sets: Path) -> None:
    results = benchmark([str(image_sets / "Set5")], [1.2, 2.5, 5], ["vdsr", "bicubic"])
    for vdsr, bicubic in zip(results[::2], results[1::2], strict=True):
        assert vdsr.scale == bicubic.scale
        assert vdsr.mean.psnr > bicubic.mean.psnr + 0.5


def test_matlab_lr_files_upscaled_by_the_command_score_far_above_bicubic(
    image_sets: Path, command, tmp_path: Path
) -> None:
    """The main job as a user does it: an LR file in, a picture out, scored against its HR file."""
    from bigsharp.io.read import read
    from bigsharp.scoring import protocol

    gains = []
    for lr in sorted((image_sets / "matlab/Set5/x3").glob("*_LR.png")):
        hr = protocol.reference(read(lr.with_name(lr.name.replace("LR", "HR"))))
        scores = []
        for model in ("vdsr", "bicubic"):
            out = tmp_path / f"{model}-{lr.name}"
            done = command("upscale", lr, "-o", out, "--scale", 3, "--model", model)
            assert done.returncode == 0, done.stderr
            scores.append(protocol.score(protocol.reference(read(out)), hr, 3).psnr)
        gains.append(scores[0] - scores[1])
    assert len(gains) == 5
    assert np.mean(gains) > 1.8


def test_models_command_prints_valid_json(command) -> None:
    assert set(json.loads(command("models", "--json").stdout)) == set(weights.cards())


def test_models_command_tells_all_of_one(command) -> None:
    lines = command("models", "selfex").stdout.splitlines()
    assert lines[0] == f"selfex: {weights.card('selfex')['summary']}"
    assert "Huang, A. Singh, N. Ahuja" in lines[2]
    assert "Set5 ×2: 36.45 dB / 0.9534 (bicubic 33.66 dB / 0.9299)" in lines
    family = command("models", "aplus").stdout
    assert all(f"aplus-x{scale}: A+" in family for scale in (2, 3, 4))
    assert command("models", "bicubic").stdout.count("\n") == 1
    assert set(json.loads(command("models", "srcnn", "--json").stdout)) == {
        "srcnn-x2", "srcnn-x3", "srcnn-x4"
    }  # fmt: skip
    done = command("models", "selfx")
    assert done.returncode == 2
    assert done.stderr == "bigsharp: no model is called 'selfx'; did you mean 'selfex'?\n"
