"""Pictures of a test set that are in a training set, too."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from bigsharp.scoring.leaks import find_copies
from bigsharp.scoring.sets import usable_for_training

SCENES = 5


def scene(number: int) -> Image.Image:
    """A picture of many discs and bars, 300 × 220, like no other."""
    random = np.random.default_rng(number)
    y, x = np.mgrid[0:220, 0:300]
    image = np.full((220, 300), 120.0)
    for _ in range(40):
        cy, cx, radius, value = random.integers((0, 0, 6, 0), (220, 300, 40, 256))
        image[np.hypot(y - cy, x - cx) < radius] = value
    for _ in range(15):
        top, left, height, width, value = random.integers((0, 0, 3, 3, 0), (200, 280, 60, 60, 256))
        image[top : top + height, left : left + width] = value
    image += random.normal(0, 4, image.shape)
    clean = Image.fromarray(image.clip(0, 255).astype(np.uint8))
    return clean.filter(ImageFilter.GaussianBlur(0.7))


def reduced(image: Image.Image, factor: float) -> Image.Image:
    return image.resize([round(side * factor) for side in image.size], Image.Resampling.LANCZOS)


CHANGES = {
    "reduced": lambda image: reduced(image, 0.55),
    "reduced much": lambda image: reduced(image, 0.3),
    "the left half": lambda image: image.crop((0, 0, 150, 220)),
    "the middle, reduced": lambda image: reduced(image.crop((70, 50, 240, 180)), 0.7),
    "mirrored": ImageOps.mirror,
    "mirrored, cropped": lambda image: ImageOps.mirror(image.crop((60, 20, 280, 200))),
    "brighter": lambda image: image.point(lambda value: 40 + 0.7 * value),
}


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    for number in range(SCENES):
        scene(number).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_found_whatever_was_done_to_it(
    training: Path, tmp_path: Path, change: str
) -> None:
    for number in (3, 50):
        CHANGES[change](scene(number)).save(tmp_path / f"{number}.jpg", quality=50)
    tests = sorted(tmp_path.iterdir())
    (copy,) = find_copies(tests, sorted(training.iterdir()))
    assert {copy.part.stem, copy.whole.stem} == {"3"}
    assert copy.mirrored == ("mirrored" in change)
    assert copy.likeness > 0.75
    assert " shows " in str(copy)
    # The other way round it is the same.
    (other,) = find_copies(sorted(training.iterdir()), tests)
    assert {other.part, other.whole} == {copy.part, copy.whole}


def test_unrelated_and_featureless_pictures_are_no_copies(training: Path, tmp_path: Path) -> None:
    for number in range(60, 64):
        scene(number).save(tmp_path / f"{number}.png")
    Image.new("L", (80, 60), 90).save(tmp_path / "flat.png")
    Image.new("L", (80, 60), 90).save(tmp_path / "flat too.png")
    Image.linear_gradient("L").save(tmp_path / "ramp.png")
    assert find_copies(sorted(tmp_path.iterdir()), sorted(training.iterdir())) == []


def test_the_command_names_the_pairs(training: Path, tmp_path: Path, command) -> None:
    test = tmp_path / "test"
    test.mkdir()
    reduced(scene(2), 0.5).save(test / "two.png")
    scene(50).save(test / "new.png")
    found = command("data", "--check", "--data", test, "--against", training)
    assert found.returncode == 1
    assert found.stdout.startswith(f"{test / 'two.png'} shows {training / '2.png'} (likeness ")
    assert found.stdout.count("\n") == 1
    assert found.stderr == "1 found of 2 × 5 pairs\n"
    (test / "two.png").unlink()
    none = command("data", "--check", "--data", test, "--against", training, "-q")
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "")
    nowhere = command("data", "--check", "--root", tmp_path)
    assert nowhere.returncode == 2
    assert "no test set is there" in nowhere.stderr


def test_woman_lies_in_bsds200(image_sets: Path) -> None:
    """And nothing is trained on what shows her."""
    known = sorted((image_sets / "BSDS200").glob("30*"))
    (copy,) = find_copies(sorted((image_sets / "Set5").iterdir()), known)
    assert {copy.part.stem, copy.whole.stem} == {"woman", "302003"}
    paths, left_out = usable_for_training("BSDS200", image_sets)
    assert len(paths) == 199
    assert not any(path.stem == "302003" for path in paths)
    (line,) = left_out
    assert line.endswith("302003.jpg: Set5's woman is a reduced copy of it")
