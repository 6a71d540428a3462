"""Weights and recipes from strangers end in one line: no traceback, hang, file or gigabyte."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bigsharp
import strangers
from bigsharp.errors import BigsharpError
from bigsharp.weights import file

Told = list[tuple[dict, dict]]

#: What a recipe that turns out to be wrong may leave: its claim of the folder.
CLAIM = {"run", "run/lock"}


def tell(folder: Path, which: str, seconds: int) -> Told:
    """What came of each file, in a process of their own."""
    line = [sys.executable, strangers.__file__, str(folder), which]
    with (folder / "told").open("w") as out:
        done = subprocess.run(line, stdout=out, stderr=subprocess.PIPE, timeout=seconds, text=True)
    rows = [json.loads(row) for row in (folder / "told").read_text().splitlines()]
    assert done.returncode == 0, (rows[-1:], done.stderr[-2000:])
    return list(zip(rows[::2], rows[1::2], strict=True))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return tell(tmp_path_factory.mktemp("strangers"), "some", 300)


def check(told: Told, kind: str, least: int) -> None:
    results = [(file["name"], result) for file, result in told if file["kind"] == kind]
    assert len(results) >= least
    for about in results:
        result = about[1]
        said, new = result["said"], set(result["new"])
        assert result["seconds"] < 60, about
        if result["status"] == 0:
            assert not result["refused"], about
            assert said == "", about
            assert not any(path.startswith("..") for path in new), about
            continue
        assert result["status"] == 2, about
        assert said.startswith("bigsharp: "), about
        assert said.count("\n") == 1, about
        assert len(said) < 1000, about
        assert "memory" not in said, about
        assert new <= CLAIM, about
    assert sum(result["status"] == 2 for _, result in results) > 0.9 * len(results)


@pytest.mark.parametrize("kind", strangers.KINDS)
def test_a_file_from_a_stranger_is_used_or_refused_in_one_line(told: Told, kind: str) -> None:
    check(told, kind, 60)


def test_they_are_many(told: Told) -> None:
    assert len(told) >= 300


LONG = "a" * 5000
DIGITS = "9" * 23


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return strangers.prepare(tmp_path_factory.mktemp("options"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "tiny.toml", "--steps", "9" * 20], "steps must be at most 1,000,000,000"),
        (["train", "tiny.toml", "--seed", DIGITS], "seed must be at most"),
        (["train", "tiny.toml", "--lr", "1e400"], "lr must be a number above 0"),
        (["train", "tiny.toml", "--scale", "1e9"], "scales must be at most 16"),
        (["train", "tiny.toml", "--scale", "inf"], "scales must be numbers above 1"),
        (["train", "tiny.toml", "--scale", "2," * 200], "scales must have 100 entries at most"),
        (["train", "tiny.toml", "--data", LONG], "no image set or folder can be called"),
        (["train", "tiny.toml", "--for", DIGITS + "y"], "is no duration"),
        (["train", "aplus", "--data", "photos", "--scale", "inf"], "learns whole scales"),
        (["train", "aplus", "--data", "photos", "--scale", "1e9"], "learns whole scales"),
        (["train", f"{LONG}.toml"], "not a readable TOML file"),
        (["upscale", "picture.png", "--model", f"{LONG}.pt"], "not a checkpoint"),
        (["upscale", "picture.png", "--model", f"{LONG}.onnx"], "not a network exported"),
        (["upscale", "picture.png", "--model", LONG], "no model is called"),
        (["upscale", "picture.png", "--scale", DIGITS], "scale"),
        (["upscale", "picture.png", "--width", DIGITS], "side"),
        (["benchmark", "--data", LONG, "--methods", "bicubic", "--no-files"], "name too long"),
        (["benchmark", "--data", "photos", "--no-files", "--scale", DIGITS], "too small"),
        (["benchmark", "--data", "photos", "--no-files", "--scale", "nan"], "above 1"),
        (["data", "--root", LONG], "name too long"),
    ],
)
def test_options_of_many_digits_or_letters(
    work: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.chdir(work)
    before = sorted(work.rglob("*"))
    status, said = strangers.outcome(strangers.by_command, words)
    assert status == 2, said[-2000:]
    assert said.startswith("bigsharp: ")
    assert said.count("\n") == 1
    assert says in said
    assert sorted(work.rglob("*")) == before


def test_no_more_processes_than_images(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(work)
    words = ["benchmark", "--data", "photos", "--scale", "2", "--methods", "bicubic", "--no-files"]
    assert strangers.outcome(strangers.by_command, [*words, "--jobs", DIGITS]) == (0, "")


def test_a_model_of_large_scales_restores_no_more_than_is_bounded(work: Path) -> None:
    packed = replace(strangers.VDSR, scales=(16.0,))
    (work / "large.safetensors").write_bytes(file.to_bytes(packed))
    opened = bigsharp.load(work / "large.safetensors")
    plane = np.zeros((30, 40), np.uint8)
    assert opened.upscale(plane, 2, max_pixels=16 * 16 * 300).shape == (60, 80)
    with pytest.raises(BigsharpError, match="what the model restores: 640 × 480"):
        opened.upscale(plane, 2, max_pixels=16 * 16 * 299)


@pytest.mark.slow
def test_by_the_command_line_alone(tmp_path: Path) -> None:
    told = tell(tmp_path, "all", 1200)
    for kind in strangers.KINDS:
        check(told, kind, 150)
