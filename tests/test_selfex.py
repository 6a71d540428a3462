"""Self-examples: SelfEx, and Glasner et al."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pytest
from PIL import Image

import bigsharp
from bigsharp.benchmark.published import find
from bigsharp.benchmark.run import benchmark
from bigsharp.classic import _matching, _planes, selfex
from bigsharp.classic.selfex import METHODS, back_projected, restored
from bigsharp.image.resize import imresize
from bigsharp.restoration.models import available_models
from bigsharp.scoring import metrics

Command = Callable[..., subprocess.CompletedProcess[str]]


def shapes(height: int, width: int) -> np.ndarray:
    """Rings and bars, which look alike at every size; float32 in [0, 1]."""
    y, x = np.mgrid[0:height, 0:width]
    rings = np.sign(np.sin(6 * np.log(np.hypot(y - height / 2, x - width / 2) + 1)))
    return (0.5 + 0.3 * rings).astype(np.float32)


def last(lr: np.ndarray, size: tuple[int, int], name: str, threads: int = 0) -> np.ndarray:
    return list(restored(lr, size, METHODS[name], threads))[-1][1]


@pytest.mark.parametrize("name", METHODS)
def test_a_picture_restores_itself(name: str) -> None:
    hr = imresize(shapes(240, 240), 0.4)
    lr = imresize(hr, 0.5)
    result = last(lr, hr.shape, name)
    better, bicubic = (
        metrics.psnr(image, hr, border=4, peak=1) for image in (result, imresize(lr, 2.0))
    )
    assert better > bicubic + 1
    # What is restored shrinks to what was given.
    assert np.abs(imresize(result, 0.5) - lr).max() < 0.03


def test_back_projection_comes_to_shrink_to_the_picture() -> None:
    lr = imresize(shapes(64, 80), 0.5)
    blurred = imresize(imresize(lr, 0.5), size=(64, 80))
    errors = [np.abs(imresize(back_projected(blurred, lr, n), 0.5) - lr).mean() for n in (0, 4, 32)]
    assert errors[1] < errors[0] / 2
    assert errors[2] < errors[1] / 2


@pytest.mark.parametrize("name", METHODS)
def test_threads_do_not_change_the_result(name: str) -> None:
    lr = imresize(shapes(100, 90), 0.5)
    one, all_of_them = (last(lr, (100, 90), name, threads) for threads in (1, 0))
    assert np.array_equal(one, all_of_them)


def test_it_reports_within_an_iteration_and_the_result_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lr = imresize(shapes(300, 40), 0.5)
    whole = list(restored(lr, (300, 40), METHODS["selfex"]))
    monkeypatch.setattr(selfex, "_TOGETHER", 1)
    parts = list(restored(lr, (300, 40), METHODS["selfex"]))
    # As many strips at a time as there are threads.
    assert numba.get_num_threads() > 4 or len(parts) > 2 * len(whole)
    assert np.array_equal(parts[-1][1], whole[-1][1])


#: From a floor to the picture that shows it in perspective: (y, x, 1).
FLOOR = np.array([[40.0, 4.0, 20.0], [2.0, 36.0, 90.0], [0.08, 0.03, 1.0]])


def floor(height: int, width: int) -> np.ndarray:
    """A chequerboard in perspective."""
    y, x = np.mgrid[0 : 4 * height, 0 : 4 * width] / 4
    points = np.linalg.inv(FLOOR) @ np.stack([y.ravel(), x.ravel(), np.ones(y.size)])
    down, across = np.floor(points[:2] / points[2])
    fine = (0.3 + 0.4 * ((down + across) % 2)).reshape(y.shape).astype(np.float32)
    return imresize(fine, 0.25)


def test_the_vanishing_line_of_a_floor_is_found() -> None:
    surfaces = _planes.find_surfaces(floor(180, 220), 1.0)
    truth = np.cross(FLOOR[:, 0], FLOOR[:, 1])
    truth /= np.linalg.norm(truth)
    assert np.abs(surfaces.lines @ truth).max() > 1 - 1e-4
    assert surfaces.lines[-1].tolist() == [0, 0, 1]
    assert surfaces.sums[-1] == pytest.approx(1, abs=1e-5)
    # There it is likelier than the plane that faces us.
    found = int(np.abs(surfaces.lines @ truth).argmax())
    assert (surfaces.penalties[found] < surfaces.penalties[-1]).mean() > 0.9


@pytest.mark.parametrize("kind", ["flat", "noise", "one pixel"])
def test_a_picture_without_planes(kind: str) -> None:
    size = (8, 8) if kind == "one pixel" else (40, 50)
    picture = np.full(size, 0.5, np.float32)
    if kind == "noise":
        picture = np.random.default_rng(0).random(size, np.float32)
    picture[4, 4] = 1
    with warnings.catch_warnings(action="error"):
        surfaces = _planes.find_surfaces(picture, 1.0)
    assert surfaces.lines[-1].tolist() == [0, 0, 1]
    assert np.isfinite(surfaces.penalties).all()


def test_an_example_on_a_plane_is_seen_in_perspective() -> None:
    line = np.cross(FLOOR[:, 0], FLOOR[:, 1])
    lines = np.array([line / np.linalg.norm(line)], np.float32)
    surfaces = _matching.Surfaces(lines, *np.zeros((2, 1, 1, 1), np.float32))
    there, here = np.array([70.0, 90.0]), np.array([60.0, 40.0])

    def on_floor(p: np.ndarray) -> np.ndarray:
        q = np.linalg.inv(FLOOR) @ np.append(p, 1)
        return q[:2] / q[2]

    def moved(p: np.ndarray) -> np.ndarray:
        q = FLOOR @ np.append(on_floor(p) + on_floor(there) - on_floor(here), 1)
        return q[:2] / q[2]

    slopes = [(moved(here + step) - moved(here - step)) / 2e-3 for step in np.eye(2) * 1e-3]
    place = tuple(np.float32(n) for n in (*there, 1, 0, 0, 1))
    matrix = _matching._seen(surfaces, 0, *here.astype(np.float32), place)
    assert np.reshape(matrix, (2, 2)) == pytest.approx(np.transpose(slopes), rel=1e-3)


def test_progress_rises_to_all_of_it() -> None:
    shares = [share for share, _ in restored(shapes(20, 24), (40, 48), METHODS["glasner"])]
    assert shares == sorted(shares)
    assert len(shares) > 3
    assert shares[-1] == 1


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 3), (8, 8), (9, 30)])
def test_a_picture_of_few_pixels(name: str, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    with warnings.catch_warnings(action="error"):
        for scale in (1.1, 2, 2.5, 9):
            result = bigsharp.upscale(picture, scale, model=name)
            assert result.shape == (*(-(-round(n * scale * 10) // 10) for n in size), 3)
            assert np.abs(result.mean() - picture.mean()) < 40


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("value", [0, 77, 255])
def test_a_constant_picture_stays_constant(name: str, value: int) -> None:
    flat = np.full((14, 9), value, np.uint8)
    with warnings.catch_warnings(action="error"), np.errstate(all="raise"):
        for scale in (1.5, 3):
            assert (bigsharp.upscale(flat, scale, model=name) == value).all()


def test_one_side_may_grow_more_than_the_other(texture: np.ndarray) -> None:
    result = bigsharp.upscale(
        texture, size=bigsharp.Size(width=70, height=150, stretch=True), model="selfex"
    )
    assert result.shape == (150, 70, 3)
    assert np.abs(imresize(result, size=(60, 70)).astype(int) - texture).mean() < 8


def test_both_are_models(tmp_path: Path, command: Command, texture: np.ndarray) -> None:
    assert set(METHODS) <= set(available_models())
    Image.fromarray(texture).save(tmp_path / "a.png")
    done = command("upscale", "a.png", "-m", "glasner", "-o", "b.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "b.png").size == (140, 120)


def upscaled_after(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`bigsharp upscale -m selfex` of a small picture, in a process that does something first."""
    Image.fromarray(np.zeros((12, 12), np.uint8)).save(folder / "a.png")
    script += (
        "\nimport sys; from bigsharp.cli import main\n"
        "sys.argv = ['bigsharp', 'upscale', 'a.png', '-m', 'selfex', '-o', 'b.png']\n"
        "main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )


def test_without_numba_one_line_says_what_to_install(tmp_path: Path) -> None:
    done = upscaled_after("import sys; sys.modules['numba'] = None", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "need Numba, the extra 'selfex': pip install 'bigsharp[selfex]'" in done.stderr
    assert not (tmp_path / "b.png").exists()


def test_where_nothing_compiled_can_be_kept_one_line_says_what_to_set(tmp_path: Path) -> None:
    # As where the package lies in a folder that is only read, and there is no home.
    done = upscaled_after(
        "from numba.core.caching import CacheImpl; CacheImpl._locator_classes = []", tmp_path
    )
    assert done.returncode == 2
    assert done.stderr == (
        "bigsharp: Numba has no folder to keep what it compiles in; set NUMBA_CACHE_DIR to one\n"
    )


def test_the_search_is_compiled_where_it_is_used_alone() -> None:
    script = (
        "import sys; sys.modules['numba'] = None\n"
        "import bigsharp.classic.selfex, bigsharp.restoration.models\n"
        "assert 'selfex' in bigsharp.available_models()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert selfex.check() is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scale", "measured", "below"), [(2, 36.450, 0.05), (3, 32.547, 0.05), (4, 30.108, 0.21)]
)
def test_selfex_scores_on_set5_what_was_measured(
    scale: int, measured: float, below: float, image_sets: Path
) -> None:
    (result,) = benchmark(["Set5"], [scale], ["selfex"], root=image_sets)
    entry = find("Set5", scale, "selfex")
    assert entry is not None
    assert result.mean.psnr == pytest.approx(measured, abs=0.005)
    assert result.mean.psnr > entry.psnr - below
