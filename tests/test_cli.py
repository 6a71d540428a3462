import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import bigsharp
from bigsharp import cli, networks
from bigsharp.networks.network import Network
from bigsharp.weights import file


class Outcome:
    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run the command line in this process."""

    def run(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["bigsharp", *map(str, words)])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        out, err = capsys.readouterr()
        return Outcome(exit.value.code or 0, out, err)

    return run


def assert_one_line(outcome: Outcome, *words: str) -> None:
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("bigsharp: ")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err


@pytest.fixture
def model(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".onnx")


def test_version_and_help(command) -> None:
    version = command("--version")
    assert (version.returncode, version.stdout) == (0, f"bigsharp {bigsharp.__version__}\n")
    text = command("--help").stdout
    assert command().stdout == text
    for verb in ("upscale", "models", "benchmark", "train", "export", "data"):
        assert verb in text
        assert command(verb, "--help").returncode == 0


def test_upscale_writes_the_api_s_result(call, photo: Path, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "big.png"
    done = call("upscale", photo, "-o", out, "--scale", "2.5", "--model", model)
    assert (done.status, done.err) == (0, "")
    assert str(out) in done.out
    expected = bigsharp.upscale(np.asarray(Image.open(photo)), scale=2.5, model=model)
    assert np.array_equal(np.asarray(Image.open(out)), expected)


def test_upscale_defaults(call, photo: Path, tmp_path: Path) -> None:
    assert call("upscale", photo, "-q").out == ""
    assert Image.open(tmp_path / "photo-x2.png").size == (140, 120)
    call("upscale", photo, "--width", 100, "--height", 90, "-q")
    assert Image.open(tmp_path / "photo-100x90.png").size == (100, 86)
    call("upscale", photo, "--width", 100, "--height", 90, "--stretch", "-q", "-y")
    assert Image.open(tmp_path / "photo-100x90.png").size == (100, 90)


@pytest.mark.parametrize("extension", ["jpg", "JPEG", "webp", "tif", "tiff", "bmp", "png"])
def test_every_format_is_written(
    call, photo: Path, tmp_path: Path, model: Path, extension: str
) -> None:
    out = tmp_path / f"out.{extension}"
    assert call("upscale", photo, "-o", out, "-m", model).status == 0
    with Image.open(out) as image:
        image.load()
        assert image.size == (140, 120)


@pytest.fixture
def bad_inputs(tmp_path: Path, photo: Path) -> dict[str, Path]:
    names = ("missing", "empty", "text", "truncated", "folder", "animated", "float", "clear")
    paths = {name: tmp_path / f"{name}.png" for name in names}
    paths["empty"].write_bytes(b"")
    paths["text"].write_text("this is no picture")
    content = photo.read_bytes()
    paths["truncated"].write_bytes(content[: len(content) // 2])
    paths["folder"].mkdir()
    frames = [Image.new("L", (5, 5), k) for k in (0, 90)]
    paths["animated"] = tmp_path / "animated.gif"
    frames[0].save(paths["animated"], save_all=True, append_images=frames[1:])
    paths["float"] = tmp_path / "float.tiff"
    Image.fromarray(np.zeros((4, 4), np.float32)).save(paths["float"])
    Image.new("RGBA", (5, 5)).save(paths["clear"])
    return paths


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "no such file"),
        ("empty", "not a picture"),
        ("text", "not a picture"),
        ("truncated", "damaged or truncated"),
        ("folder", "names one picture, and there may be several"),
        ("animated", "out.jpg: JPEG cannot hold frames; use .png .webp .avif .gif"),
        ("float", "32-bit"),
    ],
)
def test_a_bad_picture_is_one_line(
    call, bad_inputs: dict[str, Path], tmp_path: Path, name: str, words: str
) -> None:
    before = sorted(tmp_path.iterdir())
    out = "out.jpg" if name == "animated" else "out.png"
    outcome = call("upscale", bad_inputs[name], "-o", tmp_path / out, "-m", "bicubic")
    assert_one_line(outcome, str(tmp_path), words)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scale", "0.5"], ["scale", "at least 1"]),
        (["--scale", "nan"], ["scale", "at least 1"]),
        (["--scale", "two"], ["--scale"]),
        (["--scale", "1e308"], ["scale", "at least 1"]),
        (["--width", "9" * 400], ["side"]),
        (["--quality", "50"], ["JPEG, WebP and AVIF alone"]),
        (["--scale", "-3"], ["scale", "at least 1"]),
        (["--scale", "2", "--width", "300"], ["one of"]),
        (["--width", "10"], ["70 × 60 already"]),
        (["--model", "vdsrr"], ["vdsrr", "did you mean 'vdsr'"]),
        (["--model", "bicubik"], ["did you mean 'bicubic'"]),
        (["--model", "no.onnx"], ["no.onnx", "no such file"]),
        (["--model", "no.pt"], ["no.pt", "no such file"]),
        (["--engine", "tpu"], ["tpu", "auto, native, onnx, torch"]),
        (["-o", "out.xyz"], ["out.xyz", ".png"]),
        (["-o", "out"], ["without extension"]),
        (["-o", "photo.png/out.png"], ["photo.png/out.png", "Not a directory"]),
        (["-o", "photo.png"], ["photo.png", "is the original"]),
        (["-o", "folder.png"], ["is a folder"]),
        (["--max-pixels", "100"], ["70 × 60", "--max-pixels"]),
        (["--max-pixels", "5000"], ["the result", "--max-pixels 16800"]),
        (["--scale", "1e9"], ["the result"]),
        (["--quality", "101"], ["quality"]),
        (["--tile", "0"], ["tile"]),
        (["--colour", "red"], ["no colour mode is called 'red'", "auto, luma, ycbcr, rgb"]),
        (
            ["-m", "bicubic", "--scale", "1000", "--max-pixels", "9999999999", "-o", "a.jpg"],
            ["JPEG can"],
        ),
    ],
)
def test_a_bad_option_is_one_line(
    call, photo: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(photo.parent)
    (photo.parent / "folder.png").mkdir()
    content = photo.read_bytes()
    before = sorted(photo.parent.iterdir())
    assert_one_line(call("upscale", "photo.png", *options), *words)
    assert sorted(photo.parent.iterdir()) == before
    assert photo.read_bytes() == content


def test_formats_that_would_lose_something(call, bad_inputs, tmp_path: Path) -> None:
    clear = bad_inputs["clear"]
    assert_one_line(call("upscale", clear, "-o", tmp_path / "a.jpg"), "transparency")
    deep = tmp_path / "deep.png"
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(deep)
    assert_one_line(call("upscale", deep, "-o", tmp_path / "a.jpg"), "16 bits")


def test_other_mistakes_are_one_line(call, tmp_path: Path) -> None:
    assert_one_line(call("upscale"), "IN")
    assert_one_line(call("upscal"), "upscal")
    (tmp_path / "fake.onnx").write_bytes(b"nothing")
    fake = tmp_path / "fake.onnx"
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    assert_one_line(call("upscale", tmp_path / "a.png", "-m", fake), "not a network exported")
    fake.rename(tmp_path / "fake.pt")
    assert_one_line(call("upscale", tmp_path / "a.png", "-m", tmp_path / "fake.pt"), "checkpoint")


def test_an_existing_result_survives_a_failure(call, bad_inputs, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    out.write_bytes(b"precious")
    assert_one_line(call("upscale", bad_inputs["truncated"], "-o", out, "-y"))
    assert out.read_bytes() == b"precious"
    again = call("upscale", bad_inputs["clear"], "-o", out)
    assert_one_line(again, "out.png: exists", "--overwrite")
    assert out.read_bytes() == b"precious"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_output_that_nobody_takes_is_one_line(photo: Path, tmp_path: Path) -> None:
    for words in (["-o", "-"], ["-o", tmp_path / "out.png"]):
        line = [sys.executable, "-m", "bigsharp", "upscale", "-m", "bicubic", photo, *words]
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 2
        assert done.stderr == "bigsharp: standard output: No space left on device\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["upscale -m bicubic in.bmp -s 4 -o -", "models", "--help"])
def test_a_pipe_that_is_closed_and_streams_that_are(
    tmp_path: Path, words: str, unbuffered: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "in.bmp")
    line = [sys.executable, "-m", "bigsharp", *words.split()]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}

    def run(**options: Any) -> tuple[int, str]:
        done = subprocess.run(line, cwd=tmp_path, env=environment, text=True,
                              stderr=subprocess.PIPE, **options)  # fmt: skip
        return done.returncode, done.stderr

    read, write = os.pipe()
    with subprocess.Popen(line, cwd=tmp_path, env=environment, stdout=write,
                          stderr=subprocess.PIPE, text=True) as process:  # fmt: skip
        os.close(write)
        os.read(read, 10 if "in.bmp" in line else 0)  # As `head` does, of more than a pipe holds.
        os.close(read)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (1, "")
    closed = run(preexec_fn=lambda: os.close(1))
    assert closed == (2, "bigsharp: standard output: Bad file descriptor\n")
    for number in (0, 2):
        alone = run(preexec_fn=lambda number=number: os.close(number), stdout=subprocess.DEVNULL)
        assert alone == (0, "")


def test_a_full_disk_leaves_nothing(command, photo: Path, tmp_path: Path) -> None:
    import resource

    before = sorted(tmp_path.iterdir())
    for name in ("a.png", "a.tif", "a.jpg"):
        outcome = command(
            *("upscale", photo, "-m", "bicubic", "-o", tmp_path / name),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
        )
        assert outcome.returncode == 2
        assert outcome.stderr.count("\n") == 1
        assert f"{name}: cannot be written (File too large)" in outcome.stderr
        assert sorted(tmp_path.iterdir()) == before


@pytest.fixture
def gallery(tmp_path: Path, texture: np.ndarray) -> Path:
    folder = tmp_path / "gallery"
    folder.mkdir()
    for k in range(3):
        Image.fromarray(np.roll(texture, 9 * k, axis=1)).save(folder / f"{k}.png")
    return folder


def test_scores_without_files(call, gallery: Path, model: Path) -> None:
    line = ["benchmark", "--no-files", "--data", gallery, "--scale", "2,2.5"]
    line += ["--methods", f"bicubic,{model}"]
    results = json.loads(call(*line, "--json").out)
    assert [(r["scale"], r["model"]) for r in results] == [
        (scale, name) for scale in (2, 2.5) for name in ("bicubic", str(model))
    ]
    for result in results:
        assert result["protocol"] == "published"
        scores = [image["psnr"] for image in result["images"].values()]
        assert len(scores) == 3
        assert result["mean"]["psnr"] == pytest.approx(np.mean(scores))
    table = call(*line).out
    assert f"{results[0]['mean']['psnr']:.2f}/{results[0]['mean']['ssim']:.4f}" in table
    assert "protocol published: " in table
    rounded = json.loads(call(*line, "--json", "--protocol", "8bit-lr").out)
    assert rounded[0]["protocol"] == "8bit-lr"
    assert rounded[0]["mean"]["psnr"] != results[0]["mean"]["psnr"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "Set55"], ["no image set is called 'Set55'; did you mean 'Set5'?", "none"]),
        (["--data", "qqq"], ["there are T91, BSDS200", "B100"]),
        (["--data", "Set5"], ["Set5 is not there", "Bevilacqua"]),
        (["--data", ","], ["empty list"]),
        (["--data", "gallery", "--scale", "1"], ["above 1"]),
        (["--data", "gallery", "--scale", "2,x"], ["--scale", "2,x"]),
        (["--data", "gallery", "--scale", "30"], ["0.png", "too small"]),
        (["--data", "gallery", "--methods", "vdsrr"], ["vdsrr"]),
        (["--data", "gallery", "--protocol", "mine"], ["mine", "published, 8bit-lr"]),
        (["--data", "gallery", "--root", "nowhere"], ["nowhere"]),
        (["--data", "empty"], ["no picture in this folder"]),
        (["--data", "broken"], ["bad.png", "not a picture"]),
    ],
)
def test_what_cannot_be_evaluated(
    call, gallery: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], words: list[str]
) -> None:
    root = gallery.parent
    monkeypatch.chdir(root)
    monkeypatch.setenv("BIGSHARP_DATA", str(root))
    (root / "empty").mkdir()
    (root / "broken").mkdir()
    (root / "broken" / "bad.png").write_text("no picture")
    if "--root" in options:
        options = ["--data", "Set5", *options[2:]]
    assert_one_line(call("benchmark", "--no-files", "--methods", "bicubic", *options), *words)


def test_a_perfect_score_and_an_odd_name_can_be_shown(call, tmp_path: Path) -> None:
    folder = tmp_path / "flat[" / "x]"
    folder.mkdir(parents=True)
    Image.new("L", (40, 40), 77).save(folder / "flat.png")
    line = ["benchmark", "--no-files", "--data", folder, "--scale", "2", "--methods", "bicubic"]
    (result,) = json.loads(call(*line, "--json").out, parse_constant=pytest.fail)
    assert result["mean"] == {"psnr": None, "ssim": pytest.approx(1)}
    assert "inf/1.0000" in call(*line).out


def test_an_incomplete_set_gives_no_mean(call, gallery: Path, tmp_path: Path) -> None:
    gallery.rename(tmp_path / "Set5")
    outcome = call("benchmark", "--data", "Set5", "--root", tmp_path, "-o", tmp_path / "out")
    assert_one_line(outcome, "Set5 has 5 images, here are 3")


def test_data_tells_what_is_there(call, gallery: Path, tmp_path: Path, monkeypatch) -> None:
    gallery.rename(tmp_path / "Set5")
    out = call("data", "--root", tmp_path).out
    (line,) = (line for line in out.splitlines() if line.startswith("Set5 "))
    assert "3 of 5" in line
    assert "T91             91 train  missing" in out
    monkeypatch.delenv("BIGSHARP_DATA", raising=False)
    assert "set BIGSHARP_DATA" in call("data").out
    assert_one_line(call("data", "--root", tmp_path / "none"), "not a folder")


def test_engines_says_what_runs_here(call) -> None:
    lines = call("engines").out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["native", "onnx", "torch"]
    for line in lines[1:]:
        runs, _, rest = line.partition(": runs on ")[2].partition(";")
        assert "cpu" in runs.split(" and ")
        for device in ("cuda", "mps" if line.startswith("torch") else "coreml"):
            assert (device in runs.split(" and ")) != (device in rest)


def test_models_lists_what_is_released(call) -> None:
    out = call("models").out
    assert "vdsr:" in out
    assert "bicubic" in out
    card = json.loads(call("models", "--json").out)["vdsr"]
    assert card["recipe"]["architecture"] == "vdsr"


def test_export(call, checkpoint: Path, tmp_path: Path, texture: np.ndarray) -> None:
    out = tmp_path / "network.onnx"
    assert call("export", checkpoint, "-o", out).out == f"{out}\n"
    first, second = (bigsharp.upscale(texture, scale=2, model=m) for m in (checkpoint, out))
    assert np.abs(first.astype(int) - second).max() <= 1
    assert_one_line(call("export", checkpoint, "-o", tmp_path / "a.bin"), "ends in .onnx")
    assert_one_line(call("export", tmp_path / "no.pt", "-o", out), "no such file")


@pytest.mark.parametrize(("model", "scale"), [("vdsr", 2), ("vdsr", 3), ("srcnn-x4", 4)])
def test_an_exported_model_of_pictures(
    call, tmp_path: Path, texture: np.ndarray, model: str, scale: int
) -> None:
    import onnxruntime

    out = tmp_path / "picture.onnx"
    assert call("export", model, "-o", out, "--rgb", "--scale", scale).out == f"{out}\n"
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    for picture in (texture, texture[:1, :3], texture[5:9, :1]):
        planes = picture.transpose(2, 0, 1)[None].astype(np.float32) / 255
        (result,) = session.run(None, {"picture": planes})
        rounded = np.floor(result[0].transpose(1, 2, 0) * 255 + 0.5)
        expected = bigsharp.upscale(picture, scale=scale, model=model, colour="luma")
        assert np.abs(rounded - expected).max() <= 1
        assert (rounded != expected).mean() < 1e-3


@pytest.mark.parametrize("task", ["denoise", "deblock"])
def test_an_exported_model_that_cleans_pictures(
    call, tmp_path: Path, texture: np.ndarray, task: str
) -> None:
    import onnxruntime

    from bigsharp.io.picture import Picture
    from bigsharp.restoration.models import open_model
    from bigsharp.restoration.pipeline import COLOUR_OF, upscale_picture
    from bigsharp.restoration.target import choose_target

    out = tmp_path / "picture.onnx"
    assert call("export", f"vdsr-{task}", "-o", out, "--rgb").out == f"{out}\n"
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    planes = texture.transpose(2, 0, 1)[None].astype(np.float32) / 255
    (result,) = session.run(None, {"picture": planes})
    rounded = np.floor(result[0].transpose(1, 2, 0) * 255 + 0.5)
    restorer, target = open_model(f"vdsr-{task}"), choose_target(texture.shape[:2], 1)
    colour = COLOUR_OF[restorer.task]
    expected = upscale_picture(Picture(texture), target, restorer, colour=colour).pixels
    assert np.abs(rounded - expected).max() <= 1
    assert (rounded != expected).mean() < 1e-3


def test_what_is_no_exported_model_of_pictures(call, tmp_path: Path, photo: Path) -> None:
    out = tmp_path / "picture.onnx"
    for words, told in (
        (["--rgb"], "--rgb: a network that enlarges needs a --scale"),
        (["--scale", 2], "--scale goes with --rgb"),
    ):
        assert_one_line(call("export", "vdsr", "-o", out, *words), told)
    line = call("export", "vdsr-denoise", "-o", out, "--rgb", "--scale", 2)
    assert_one_line(line, "--scale: the network was trained to denoise")
    for model, scale in (("vdsr", 5), ("srcnn-x3", 2)):
        line = call("export", model, "-o", out, "--rgb", "--scale", scale)
        assert_one_line(line, f"--scale {scale}: the network was trained on")
    line = call("export", "vdsr", "-o", out.with_suffix(".safetensors"), "--rgb", "--scale", 2)
    assert_one_line(line, "an .onnx file")
    assert not out.exists()
    call("export", "vdsr", "-o", out, "--rgb", "--scale", 2)
    assert_one_line(call("upscale", photo, "-m", out), "it enlarges pictures, for other programs")


@pytest.fixture
def recipe(tmp_path: Path, gallery: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(
        f"""architecture = "vdsr"
options = {{ depth = 3, features = 4 }}
data = ["{gallery.as_posix()}"]
holdout = 1
scales = [2, 3]
patch = 12
batch = 2
steps = 100000
validate_every = 20
validation_crop = 36
"""
    )
    return path


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_damaged_weights_are_one_line(
    call, photo: Path, tmp_path: Path, network: Network, engine: str
) -> None:
    whole = networks.pack("vdsr", network)
    name = "layers.1.weight"
    nan = whole.state | {name: np.full_like(whole.state[name], np.nan)}
    missing = {other: values for other, values in whole.state.items() if other != name}
    for state, words in (
        (nan, ("damaged",)),
        (missing, (f"{tmp_path}/damaged.safetensors: the weights",)),
    ):
        model = tmp_path / "damaged.safetensors"
        model.write_bytes(file.to_bytes(replace(whole, state=state)))
        output = tmp_path / "out.png"
        done = call("upscale", photo, "-o", output, "--model", model, "--engine", engine)
        assert_one_line(done, *words)
        assert not output.exists()


def test_train_and_use_the_checkpoint(call, recipe: Path, tmp_path: Path, photo: Path) -> None:
    run = tmp_path / "run"
    done = call("train", recipe, "-o", run, "--steps", 40, "--device", "cpu")
    assert (done.status, done.out) == (0, f"{run / 'best.pt'}\n")
    assert {"best.pt", "last.pt", "log.csv"} <= {p.name for p in run.iterdir()}
    again = call("train", recipe, "-o", run, "--steps", 40, "--device", "cpu")
    assert_one_line(again, "holds a run already", "--resume")
    used = call("upscale", photo, "-m", run / "best.pt", "-o", tmp_path / "b.png")
    assert used.status == 0


def test_anybody_s_pictures_and_any_scale(
    call, recipe: Path, gallery: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = shutil.copytree(gallery, tmp_path / "mine")
    (mine / "broken.jpg").write_bytes(b"not a picture")
    Image.new("L", (9, 9)).save(mine / "tiny.png")
    done = call(
        "train", recipe, "--data", mine, "--scale", 2.5, "--steps", 4, "--lr", 1e-4, "--seed", 3
    )
    best = Path("runs/tiny-x2.5/best.pt")
    assert (done.status, done.out) == (0, f"{best}\n")
    assert "bigsharp: skipped mine/broken.jpg" in done.err.replace(f"{tmp_path}/", "")
    assert "tiny.png: 9×9, smaller than a patch needs" in done.err
    assert "bigsharp: skipped 2 pictures" in done.err
    assert "step 4/4" in done.err
    content = networks.read_checkpoint(best)
    assert (content["scales"], content["recipe"]["data"]) == ((2.5,), (str(mine),))
    assert content["recipe"]["lr_adam"] == pytest.approx(5e-5)
    assert content["recipe"]["seed"] == 3

    tuned = call("train", recipe, "--data", mine, "--from", best, "-o", "tuned", "--steps", 4)
    assert tuned.status == 0
    assert Path("tuned/log.csv").read_text().splitlines()[1].startswith("0,")
    for picture in gallery.glob("*.png"):
        Image.new("L", (9, 9)).save(picture)
    none = call("train", recipe, "--data", gallery, "-o", "none")
    assert_one_line(none, "none of the 3 pictures can be trained on", "0.png: 9×9, smaller")
    both = call("train", recipe, "--from", best, "-o", "tuned", "--resume")
    assert_one_line(both, "give either")


def test_train_stops_politely_and_goes_on(recipe: Path, tmp_path: Path, command) -> None:
    run = tmp_path / "run"
    line = [sys.executable, "-m", "bigsharp", "train", str(recipe), "-o", str(run)]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (run / "last.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped at step" in err
    assert "Traceback" not in err
    resumed = command("train", recipe, "-o", run, "--resume", "--steps", 10)
    assert resumed.returncode == 2
    assert "other settings" in resumed.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["vdsr-papr"], ["did you mean 'vdsr-paper'"]),
        (["tiny.toml", "--device", "tpu"], ["tpu", "auto, cpu, cuda"]),
        (["tiny.toml", "--steps", "0"], ["steps"]),
        (["tiny.toml", "--resume"], ["last.pt", "no such file"]),
        (["tiny.toml", "-o", "photo.png"], ["photo.png"]),
        (["vdsr-paper", "--root", "."], ["T91 is not there"]),
        (
            ["tiny.toml", "--data", "nowhere"],
            ["no image set is called 'nowhere'", "a folder"],
        ),
        (["tiny.toml", "--data", "."], ["1 of 1 training images", "and another image"]),
        (["tiny.toml", "--data", "Set5"], ["Set5 is a test set"]),
        (["tiny.toml", "--from", "vdsr"], ["vdsr: the weights do not fit VDSR with", "'depth': 3"]),
        (["tiny.toml", "--from", "none.pt"], ["none.pt: no such file"]),
        (["tiny.toml", "--scale", "two"], ["--scale", "not a list of numbers"]),
        (["tiny.toml", "--lr", "0"], ["lr must be a number above 0"]),
    ],
)
def test_what_cannot_be_trained(
    call, recipe: Path, photo: Path, monkeypatch, options: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(recipe.parent)
    assert_one_line(call("train", *options), *words)
    assert not Path("runs").exists()


def test_a_missing_extra_is_named(call, photo: Path, checkpoint: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    checkpoint = shutil.copy(checkpoint, photo.parent / "fresh.pt")
    for line in (
        ["train", "vdsr"],
        ["upscale", photo, "-m", checkpoint],
        ["export", checkpoint, "-o", "b.onnx"],
    ):
        assert_one_line(call(*line), "pip install 'bigsharp[train]'")
