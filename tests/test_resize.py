from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bigsharp.image.resize import AxisMap, imresize, scaled_size

scales = st.floats(0.15, 6)
lengths = st.integers(1, 40)


def keys(x: float) -> float:
    """Keys' kernel, written down from the paper a second time."""
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    if x <= 2:
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return 0.0


def resize_line(line: np.ndarray, scale: float, border: str) -> np.ndarray:
    """MATLAB's documented formula for one line, pixel by pixel."""
    wide = np.pad(line, 60, mode="edge" if border == "clamp" else "symmetric")
    result = []
    for output in range(scaled_size(len(line), scale)):
        centre = (output + 0.5) / scale - 0.5
        stretch = max(1.0, 1 / scale)
        total = value = 0.0
        for index in range(-60, len(line) + 60):
            weight = keys((centre - index) / stretch)
            total += weight
            value += weight * wide[index + 60]
        result.append(value / total)
    return np.array(result)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_matlab_files_are_reproduced_without_one_differing_pixel(
    image_sets: Path, name: str, scale: int
) -> None:
    files = sorted((image_sets / "matlab" / name / f"x{scale}").glob("*_HR.png"))
    assert files
    for file in files:
        hr = np.asarray(Image.open(file))
        lr = np.asarray(Image.open(file.with_name(file.name.replace("HR", "LR"))))
        assert np.array_equal(imresize(hr, 1 / scale), lr), file


@pytest.mark.parametrize("border", ["clamp", "mirror"])
@given(scale=scales, length=st.integers(16, 40), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_float_input_follows_the_documented_formula(
    border: str, scale: float, length: int, seed: int
) -> None:
    line = np.random.default_rng(seed).uniform(-3, 300, length)
    expected = resize_line(line, scale, border)
    image = np.stack([line, 2 * line], axis=1)
    target = (len(expected), 2)
    axis = AxisMap.bicubic(length, len(expected), scale, border)  # type: ignore[arg-type]
    assert axis.apply(image, 0) == pytest.approx(np.stack([expected, 2 * expected], axis=1))
    whole = imresize(np.tile(line[:, None], (1, 5)), scale, border=border)  # type: ignore[arg-type]
    assert whole.shape[0] == target[0]
    assert whole[:, 0] == pytest.approx(expected)


@given(height=lengths, width=lengths, scale=scales, value=st.floats(-5, 5))
@settings(max_examples=60)
def test_a_constant_image_stays_constant(
    height: int, width: int, scale: float, value: float
) -> None:
    result = imresize(np.full((height, width), value), scale)
    assert result.shape == (scaled_size(height, scale), scaled_size(width, scale))
    assert result == pytest.approx(np.full(result.shape, value))


@given(lengths, st.floats(1, 6), st.data())
@settings(max_examples=60)
def test_a_window_equals_that_part_of_the_whole(
    length: int, scale: float, data: st.DataObject
) -> None:
    target = scaled_size(length, scale)
    start = data.draw(st.integers(0, target - 1))
    stop = data.draw(st.integers(start + 1, target))
    axis = AxisMap.bicubic(length, target, scale)
    image = np.random.default_rng(0).normal(size=(length, 3))
    inputs, part = axis.window(slice(start, stop))
    assert np.array_equal(part.apply(image[inputs], 0), axis.apply(image, 0)[start:stop])
    assert axis.matrix(length) @ image == pytest.approx(axis.apply(image, 0))


def test_bands_of_rows_do_not_show() -> None:
    image = np.random.default_rng(0).normal(size=(300, 700))
    result = imresize(image, 2)
    axis = AxisMap.bicubic(300, 600, 2).matrix(300)
    other = AxisMap.bicubic(700, 1400, 2).matrix(700)
    assert result == pytest.approx(axis @ image @ other.T)


def test_integers_are_rounded_half_up_and_clipped_after_each_pass() -> None:
    step = np.array([[0, 255, 0, 255]], np.uint8)
    result = imresize(step, size=(1, 8))
    exact = resize_line(step[0].astype(float), 2, "clamp")
    assert exact.min() < 0
    assert exact.max() > 255
    assert np.array_equal(result[0], np.clip(np.floor(exact + 0.5), 0, 255))
    deep = imresize(step.astype(np.uint16) * 257, size=(1, 8))
    assert deep.dtype == np.uint16
    assert deep.max() == 65535


def test_float_error_in_the_factor_adds_no_pixel() -> None:
    assert 100 * 1.1 > 110
    assert scaled_size(100, 1.1) == 110
    assert scaled_size(101, 2.5) == 253


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((4, 4), {}, "either"),
        ((4, 4), {"scale": 2, "size": (3, 3)}, "either"),
        ((4, 4), {"scale": 0}, "positive"),
        ((4, 4), {"scale": float("nan")}, "positive"),
        ((4, 4), {"size": (0, 3)}, "at least"),
        ((4, 4), {"scale": 2, "border": "wrap"}, "wrap"),
        ((0, 4), {"scale": 2}, "shape"),
        ((4,), {"scale": 2}, "shape"),
    ],
)
def test_bad_requests_are_named(shape: tuple[int, ...], options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        imresize(np.zeros(shape), **options)
