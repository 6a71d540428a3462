"""Noise and JPEG's damage: what is taken away, how much of it, and what is said."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import bigsharp
from bigsharp import restore, upscale
from bigsharp.errors import BigsharpError
from bigsharp.image.noise import noise_of
from bigsharp.io.jpeg import quality_of
from bigsharp.io.picture import Picture
from bigsharp.io.read import read
from bigsharp.restoration.cleaner import Cleaner
from bigsharp.restoration.cleaning import Cleaning, choose_steps
from bigsharp.restoration.models import open_model, open_restorer
from bigsharp.scoring import degradations
from bigsharp.scoring.metrics import psnr


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """Soft shapes of many colours, uint8 RGB."""
    y, x = np.mgrid[0:120, 0:160]
    waves = [np.sin(x / 9 + c) + np.cos(y / 13 - c) + 2 * (np.hypot(x - 80, y - 60) < 35)
             for c in range(3)]  # fmt: skip
    return np.clip(np.dstack(waves) * 35 + 110, 0, 255).astype(np.uint8)


def jpeg(pixels: np.ndarray, quality: int, **settings: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, **settings)
    return buffer.getvalue()


def noisy(pixels: np.ndarray, sigma: float) -> np.ndarray:
    added = np.random.default_rng(1).normal(0, sigma, pixels.shape)
    return np.clip(pixels + added + 0.5, 0, 255).astype(np.uint8)


def opened(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("sigma", [15, 30, 50])
@pytest.mark.parametrize("colour", [True, False])
def test_noise_goes_and_the_picture_stays(scene: np.ndarray, sigma: int, colour: bool) -> None:
    clean = scene if colour else scene[..., 0]
    spoiled = noisy(clean, sigma)
    restored = restore(spoiled)
    assert (restored.shape, restored.dtype) == (spoiled.shape, np.uint8)
    assert psnr(restored, clean) > psnr(spoiled, clean) + 6


@pytest.mark.parametrize("quality", [10, 30])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_the_damage_of_jpeg_goes(scene: np.ndarray, quality: int, subsampling: str) -> None:
    content = jpeg(scene, quality, subsampling=subsampling)
    before = psnr(opened(content), scene)
    picture = read(content)
    steps, said = choose_steps(picture, Cleaning(deblock="auto"))
    restored = Cleaner().clean(picture, steps)
    assert said == [f"JPEG of quality {quality}: deblocked"]
    assert restored.pixels.dtype == np.uint16
    assert psnr(restored.as_type(np.uint8).pixels, scene) > before + 0.7


def test_chroma_is_restored_too(scene: np.ndarray) -> None:
    content = jpeg(scene, 10, subsampling="4:2:0")
    picture = read(content)
    restored = restore(picture.pixels, deblock=10)
    opponent = np.array([1.0, -2.0, 1.0]) / 4
    before, after = (np.abs((p - scene.astype(float)) @ opponent).mean()
                     for p in (picture.pixels, restored))  # fmt: skip
    assert after < 0.9 * before


@pytest.mark.parametrize("quality", [1, 5, 20, 50, 75, 90, 95, 100])
def test_a_file_s_tables_tell_its_quality(scene: np.ndarray, quality: int) -> None:
    stored = read(jpeg(scene, quality)).info.jpeg
    assert stored
    assert quality_of(stored) == quality


def test_noise_is_measured_and_texture_is_hardly_taken_for_it(scene: np.ndarray) -> None:
    assert noise_of(scene) < 1
    for sigma in (5, 15, 40):
        assert noise_of(noisy(scene, sigma)) == pytest.approx(sigma, rel=0.12)
    assert noise_of(scene[:10]) == 0


@pytest.mark.parametrize("size", [8, 12, 20])
def test_text_is_not_taken_for_noise(size: int) -> None:
    page = Image.new("L", (480, 320), 255)
    drawing, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    for number, top in enumerate(range(2, 320, size + 1)):
        words = "the quick brown fox jumps over the lazy dog 0123456789 " * 4
        drawing.text((2, top), words[7 * number % 50 :], 0, font)
    assert noise_of(np.asarray(page)) == 0


@pytest.mark.parametrize(
    ("cleaning", "said", "steps"),
    [
        (Cleaning("auto", "auto"), "no JPEG: nothing to deblock; noise of about σ 0: nothing", 0),
        (Cleaning(deblock=40), "deblocked", 1),
        (Cleaning(denoise=10), "denoised", 1),
        (Cleaning(), "", 0),
    ],
)
def test_what_is_there_decides_and_is_said(
    scene: np.ndarray, cleaning: Cleaning, said: str, steps: int
) -> None:
    chosen, words = choose_steps(Picture(scene), cleaning)
    assert len(chosen) == steps
    assert "; ".join(words).startswith(said)


def test_a_number_bounds_what_is_taken_away(scene: np.ndarray) -> None:
    picture = Picture(noisy(scene, 40))
    (step,), _ = choose_steps(picture, Cleaning(denoise=10))
    assert step.share == pytest.approx(0.25, abs=0.04)
    taken = [np.abs(restore(picture.pixels, denoise=sigma) - picture.pixels.astype(float)).mean()
             for sigma in (10, 40)]  # fmt: skip
    assert taken[0] / taken[1] == pytest.approx(0.25, abs=0.05)
    (step,), _ = choose_steps(read(jpeg(scene, 20)), Cleaning(deblock=60))
    assert step.share == pytest.approx(0.5, abs=0.02)
    steps, words = choose_steps(read(jpeg(scene, 20)), Cleaning(deblock=100))
    assert (steps, words) == ([], ["JPEG of quality 20: nothing to deblock"])


def test_a_jpeg_that_needs_nothing_is_not_written_anew(scene: np.ndarray, tmp_path: Path) -> None:
    fine, exif = tmp_path / "fine.jpg", Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(scene).save(fine, quality=97, exif=exif)
    assert bigsharp.restore(fine, output=tmp_path / "same.jpg") == tmp_path / "same.jpg"
    assert (tmp_path / "same.jpg").read_bytes() == fine.read_bytes()
    other = bigsharp.Saving(quality=90)
    bigsharp.restore(fine, output=tmp_path / "other.jpg", saving=other)
    assert Image.open(tmp_path / "other.jpg").size == scene.shape[:2]  # turned upright
    assert bigsharp.restore(fine.read_bytes()) == fine.read_bytes()
    bigsharp.restore(fine, output=tmp_path / "cleaned.jpg", deblock=20)
    assert (tmp_path / "cleaned.jpg").read_bytes() != fine.read_bytes()


@pytest.mark.parametrize("quality", [30, 85])
def test_what_is_gained_is_not_lost_to_the_next_jpeg(scene: np.ndarray, quality: int) -> None:
    content = jpeg(scene, quality)
    again = restore(content, deblock="auto")
    stored = read(again).info.jpeg
    assert stored
    assert (quality_of(stored), stored.subsampling) == (98, 0)
    gain = psnr(restore(opened(content), deblock=quality), scene) - psnr(opened(content), scene)
    assert psnr(opened(again), scene) > psnr(opened(content), scene) + 0.7 * gain
    stored = read(restore(content, saving=bigsharp.Saving(quality=60))).info.jpeg
    assert stored
    assert quality_of(stored) == 60


def test_strengths_are_numbers(scene: np.ndarray) -> None:
    assert np.array_equal(restore(scene, denoise=np.float32(15)), restore(scene, denoise=15))
    for wrong in (True, "15", np.nan, -1):
        with pytest.raises(BigsharpError, match="`denoise`: a number above 0, at most 255"):
            restore(scene, denoise=wrong)


def test_frames_are_all_cleaned_or_none_and_pages_each_for_itself(
    scene: np.ndarray, tmp_path: Path, command: Callable
) -> None:
    quiet, loud = (Image.fromarray(noisy(scene, sigma)) for sigma in (3, 30))
    for extension, first, second, expected in (
        ("webp", quiet, loud, [False, False]),
        ("webp", loud, quiet, [True, True]),
        ("tif", quiet, loud, [False, True]),
    ):
        path, output = tmp_path / f"in.{extension}", tmp_path / f"out.{extension}"
        first.save(path, save_all=True, append_images=[second], lossless=True)
        assert command("restore", path, "-o", output, "--overwrite").returncode == 0
        results, changed = Image.open(output), []
        for number, before in enumerate((first, second)):
            results.seek(number)
            after = np.asarray(results.convert("RGB"), float)
            changed.append(np.abs(after - np.asarray(before)).mean() > 1)
        assert changed == expected


def test_a_name_with_no_model_in_it_is_no_template(
    scene: np.ndarray, tmp_path: Path, command: Callable
) -> None:
    Image.fromarray(scene).save(tmp_path / "a.png")
    done = command("restore", tmp_path / "a.png", "--name", "{stem}-{model}{ext}")
    assert done.returncode == 2
    assert "a name is made of {stem}, {ext}, {size}, {scale}\n" in done.stderr


def test_an_unknown_engine_is_refused_before_anything_is_cleaned(scene: np.ndarray) -> None:
    with pytest.raises(BigsharpError, match="no engine is called 'foo'"):
        restore(scene, engine="foo")
    with pytest.raises(BigsharpError, match="did you mean 'vdsr-denoise'"):
        restore(scene, denoise=15, model="vdsr-denois")


def test_alpha_and_16_bits_stay_what_they_are(scene: np.ndarray) -> None:
    alpha = noisy(np.full(scene.shape[:2], 128, np.uint8), 30)
    spoiled = np.dstack([noisy(scene, 25), alpha])
    restored = restore(spoiled)
    assert np.array_equal(restored[..., 3], alpha)
    assert psnr(restored[..., :3], scene) > psnr(spoiled[..., :3], scene) + 5
    deep = spoiled[..., :3].astype(np.uint16) * 257
    restored = restore(deep)
    assert restored.dtype == np.uint16
    assert len(np.unique(restored)) > 1000


def test_a_jpeg_is_cleaned_before_it_is_enlarged_and_a_clean_picture_is_not(
    scene: np.ndarray, tmp_path: Path
) -> None:
    small = scene[::2, ::2]
    content = jpeg(small, 15)
    enlarged = {clean: opened(upscale(content, 2, clean=clean)) for clean in ("auto", "off")}
    scores = {clean: psnr(picture, scene) for clean, picture in enlarged.items()}
    assert scores["auto"] > scores["off"] + 0.3
    one = upscale(small, 2)
    assert np.array_equal(one, upscale(small, 2, clean="off"))
    levels = [np.abs(upscale(small, 2, clean=str(k)) - one.astype(float)).mean() for k in range(4)]
    assert levels == sorted(levels)
    assert upscale(content, 1) == upscale(content, 1, clean="off") != upscale(content, 1, clean="3")


def test_the_command_restores_as_the_library_does(
    scene: np.ndarray, tmp_path: Path, command: Callable
) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(scene, 20))
    Image.fromarray(noisy(scene, 30)).save(tmp_path / "b.png")
    done = command("restore", tmp_path / "a.jpg", tmp_path / "b.png", "-o", tmp_path / "out",
                   "--format", "png", "--log", "json")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    lines = map(json.loads, done.stdout.splitlines())
    first, second = sorted(lines, key=lambda line: line["source"])
    assert first["said"].startswith("JPEG of quality 20: deblocked; noise of about σ")
    assert second["said"].startswith("no JPEG: nothing to deblock; noise of about σ")
    assert second["said"].endswith("denoised")
    for name in ("a", "b"):
        assert Image.open(tmp_path / "out" / f"{name}.png").size == (160, 120)
    written = restore(tmp_path / "b.png", denoise="auto")
    assert written == tmp_path / "b-restored.png"
    assert np.array_equal(read(written).pixels, read(tmp_path / "out" / "b.png").pixels)
    done = command("upscale", tmp_path / "a.jpg")
    assert "JPEG of quality 20: deblocked" in done.stdout
    done = command("upscale", tmp_path / "b.png")
    assert "deblock" not in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("restore", "--denoise", "300"), "--denoise: a number above 0, at most 255, or auto"),
        (("restore", "--denoise", "much"), "--denoise: 'much' is no number, nor auto"),
        (("restore", "--deblock", "0"), "--deblock: a number above 0, at most 100, or auto"),
        (("restore", "--deblock", "nan"), "--deblock: a number above 0"),
        (
            ("restore", "--model", "vdsr"),
            "vdsr: enlarges pictures; it goes with `bigsharp upscale`",
        ),
        (("restore", "--model", "vdsr-denoise", "--deblock", "9"), "trained to denoise; ask for"),
        (
            ("upscale", "--model", "vdsr-denoise"),
            "does not enlarge; it goes with `bigsharp restore`",
        ),
        (("upscale", "--clean", "4"), "--clean: off, auto, 0, 1, 2, 3; not '4'"),
        (("restore", "--tile", "0"), "--tile: at least 1"),
        (("restore", "--jobs", "0"), "--jobs: at least 1"),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(
    words: tuple[str, ...], told: str, scene: np.ndarray, tmp_path: Path, command: Callable
) -> None:
    Image.fromarray(scene).save(tmp_path / "a.png")
    verb, *others = words
    done = command(verb, tmp_path / "a.png", *others)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert told in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_no_model_does_another_s_task() -> None:
    assert {open_model(f"vdsr-{task}").task for task in ("denoise", "deblock")} == {
        "denoise", "deblock",
    }  # fmt: skip
    assert not {"vdsr-denoise", "vdsr-deblock"} & set(bigsharp.available_models())
    with pytest.raises(BigsharpError, match="does not enlarge"):
        open_restorer("vdsr-deblock+")


def test_progress_goes_from_none_to_all_over_every_pass(scene: np.ndarray) -> None:
    progress: list[tuple[int, int]] = []
    upscale(jpeg(scene, 15), 2, progress=lambda done, total: progress.append((done, total)))
    totals = {total for _, total in progress}
    assert totals == {120 * 160 * 5}
    done = [part for part, _ in progress]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 120 * 160 * 5)


def test_degradations_are_what_they_say(scene: np.ndarray) -> None:
    random = np.random.default_rng(0)
    luma = scene[..., 0].astype(float)
    assert np.std(degradations.noise(luma, 25, random) - luma) == pytest.approx(25, rel=0.03)
    compressed = degradations.jpeg(luma, 30)
    assert np.array_equal(compressed, opened(jpeg(scene[..., 0], 30)))
    assert np.array_equal(
        degradations.jpeg(scene.astype(float), 30),
        opened(jpeg(scene, 30, subsampling="4:2:0")),
    )
