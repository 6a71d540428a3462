import json
import os
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bigsharp.benchmark import perceptual
from bigsharp.benchmark.ifc import SMALLEST, ifc
from bigsharp.benchmark.records import RecordFile
from bigsharp.benchmark.run import benchmark
from bigsharp.errors import BigsharpError
from bigsharp.image.resize import imresize
from bigsharp.scoring import protocol


@pytest.fixture
def photos(tmp_path: Path, texture: np.ndarray) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(2):
        tiled = np.tile(np.roll(texture, 9 * k, axis=1), (2, 2, 1))
        Image.fromarray(tiled).save(folder / f"img_{k}.png")
    return folder


def grain(seed: int, height: int, width: int) -> np.ndarray:
    """Noise that is smooth over a few pixels, in [0, 255]."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (height // 3 + 1, width // 3 + 1))
    return np.clip(imresize(coarse, 3.0)[:height, :width], 0, 255)


def test_ifc_of_bicubic_is_the_published_one(image_sets: Path) -> None:
    # Set5 in table 2 of W.-S. Lai et al., "Deep Laplacian pyramid networks …", CVPR 2017.
    results = benchmark(["Set5"], [2, 3, 4], ["bicubic"], metrics=["ifc"], root=image_sets)
    assert [round(result.metrics["ifc"], 3) for result in results] == pytest.approx(
        [6.083, 3.580, 2.329], abs=0.0011
    )


@given(st.integers(0, 99), st.integers(SMALLEST, 120), st.integers(SMALLEST, 120))
@settings(max_examples=10)
def test_ifc_falls_with_blur_and_with_noise(seed: int, height: int, width: int) -> None:
    image = grain(seed, height, width)
    blurred = imresize(imresize(image, 0.5), size=image.shape)
    noise = np.random.default_rng(seed).normal(0, 1, image.shape)
    scores = [ifc(image + amount * noise, image) for amount in (0, 2, 20)]
    assert scores[0] > scores[1] > scores[2] >= 0
    assert scores[0] > ifc(blurred, image) > 0


def test_ifc_of_images_without_information() -> None:
    image, flat = grain(0, 90, 100), np.full((90, 100), 7.0)
    assert ifc(flat, image) == ifc(image, flat) == ifc(flat, flat) == 0
    assert ifc(255 - image, image) == pytest.approx(0, abs=1e-3)
    assert ifc(image, image) > ifc(image + 1e-3 * grain(1, 90, 100), image) > 10


def test_ifc_of_colour_is_the_channels_mean() -> None:
    reference = np.dstack([grain(seed, 80, 90) for seed in range(3)])
    image = imresize(imresize(reference, 0.5), size=reference.shape[:2])
    each = [ifc(image[..., c], reference[..., c]) for c in range(3)]
    assert ifc(image, reference) == pytest.approx(np.mean(each))


def test_an_image_too_small_for_a_metric_is_named(photos: Path) -> None:
    Image.new("L", (60, 60)).save(photos / "small.png")
    with pytest.raises(BigsharpError, match=r"small.png: IFC needs 72 × 72 pixels"):
        benchmark([str(photos)], [2], ["bicubic"], metrics=["ifc"])


def test_a_metric_asked_for_later_is_added_and_no_other_lost(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"

    def run(*metrics: str) -> list[tuple[int, int]]:
        calls: list[tuple[int, int]] = []
        benchmark([str(photos)], [2], ["bicubic"], metrics=metrics, kept=RecordFile(path),
                  progress=lambda done, total: calls.append((done, total)))  # fmt: skip
        return calls

    assert run() == [(0, 2), (1, 2), (2, 2)]
    assert run("ifc") == [(0, 2), (1, 2), (2, 2)]
    assert run("ifc") == run() == [(2, 2)]
    kept = RecordFile(path).records.values()
    assert [set(record.metrics) for record in kept] == [{"ifc"}] * 2
    other = {record.image: record for record in kept}
    perceptual._METRICS["zero"] = ("bench", lambda: lambda image, reference: 0.0)
    try:
        run("zero")
    finally:
        del perceptual._METRICS["zero"]
    for record in RecordFile(path).records.values():
        assert record.metrics == {**other[record.image].metrics, "zero": 0.0}


def test_several_processes_measure_them_too(photos: Path) -> None:
    alone, shared = (
        benchmark([str(photos)], [2], ["bicubic"], metrics=["ifc"], jobs=jobs)[0] for jobs in (1, 2)
    )
    assert shared.metrics["ifc"] == pytest.approx(alone.metrics["ifc"])
    assert alone.metrics["ifc"] > 1


def run_cli(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    from bigsharp import cli

    monkeypatch.setattr(sys, "argv", ["bigsharp", *map(str, words)])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    return int(exit.value.code or 0)


def test_the_column_is_in_every_form_of_the_table(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    line = ["benchmark", "--data", photos, "--scale", 2, "--methods", "bicubic", "-o", tmp_path]
    assert run_cli(monkeypatch, *line, "--metrics", "ifc", "--report") == 0
    (result,) = benchmark([str(photos)], [2], ["bicubic"], metrics=["ifc"])
    value = f"{result.metrics['ifc']:.3f}"
    assert f"/{value}" in capsys.readouterr().out
    assert f"/{value} |" in (tmp_path / "table.md").read_text()
    assert "PSNR (dB)/SSIM/IFC" in (tmp_path / "table.md").read_text()
    assert f"/{value} \\\\" in (tmp_path / "table.tex").read_text()
    head, row = (tmp_path / "table.csv").read_text().splitlines()
    assert head.endswith("bicubic PSNR,bicubic SSIM,bicubic IFC")
    assert row.endswith(f",{value}")
    page = (tmp_path / "report.html").read_text()
    assert "<th><button>IFC</button></th>" in page
    assert f"<td>{result.records[0].metrics['ifc']:.4f}</td>" in page


def test_without_its_library_a_column_is_left_out_in_one_line(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setitem(sys.modules, "pyrtools", None)
    perceptual.open_metric.cache_clear()
    line = ["benchmark", "--data", photos, "--scale", 2, "--methods", "bicubic", "-o", tmp_path]
    assert run_cli(monkeypatch, *line, "--metrics", "ifc") == 0
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert "ifc needs pyrtools, the extra 'bench': pip install 'bigsharp[bench]'" in err
    assert "PSNR (dB)/SSIM " in out
    assert "IFC" not in (tmp_path / "table.md").read_text()
    with pytest.raises(perceptual.MetricMissing, match="pyrtools"):
        benchmark([str(photos)], [2], ["bicubic"], metrics=["ifc"])


def test_an_unknown_metric(photos: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    assert run_cli(monkeypatch, "benchmark", "--data", photos, "--metrics", "ifcc") == 2
    assert capsys.readouterr().err == (
        "bigsharp: no metric is called 'ifcc'; there are ifc, lpips\n"
    )


@pytest.fixture
def torchvision(tmp_path: Path) -> dict[str, str]:
    """An environment whose torchvision has AlexNet's layers, with weights drawn by chance.

    The true weights are a download of 240 MB.
    """
    package = tmp_path / "site/torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from . import models\ntransforms = None\n")
    (package / "models.py").write_text(
        textwrap.dedent("""
        from types import SimpleNamespace
        from torch import manual_seed, nn

        AlexNet_Weights = SimpleNamespace(DEFAULT="ImageNet")
        resnet50 = vgg16 = VGG16_Weights = None

        def alexnet(weights):
            assert weights == "ImageNet"
            manual_seed(0)
            return SimpleNamespace(features=nn.Sequential(
                nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
                nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
                nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(), nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU(),
                nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(3, 2)))
        """)
    )
    about = tmp_path / "site/torchvision-0.28.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: torchvision\nVersion: 0.28.0\n")
    return {**os.environ, "PYTHONPATH": str(tmp_path / "site")}


@pytest.mark.parametrize("colour", protocol.COLOURS)
def test_lpips_runs_through_its_library(
    photos: Path, tmp_path: Path, torchvision: dict[str, str], command, colour: str
) -> None:
    out = tmp_path / "out"
    done = command("benchmark", "--data", photos, "--scale", "2,4", "--metrics", "lpips",
                   "--methods", f"bicubic,same={photos}", "--colour", colour, "-o", out,
                   env=torchvision)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "PSNR (dB)/SSIM/LPIPS" in done.stdout
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    values = {(r["method"], r["scale"], r["image"]): r["metrics"]["lpips"] for r in records}
    for image in ("img_0.png", "img_1.png"):
        assert values["same", 2, image] == values["same", 4, image] == 0
        assert 0 < values["bicubic", 2, image] < values["bicubic", 4, image]


def test_lpips_whose_weights_are_out_of_reach_is_left_out(
    photos: Path, tmp_path: Path, torchvision: dict[str, str], command
) -> None:
    models = tmp_path / "site/torchvision/models.py"
    models.write_text(models.read_text().replace("manual_seed(0)", "raise OSError('no network')"))
    done = command("benchmark", "--data", photos, "--scale", 2, "--metrics", "lpips",
                   "--methods", "bicubic", "-o", tmp_path / "out", env=torchvision)  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == "bigsharp: a column is left out: lpips cannot be used (no network)\n"
