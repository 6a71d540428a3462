import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bigsharp.scoring.metrics import psnr, ssim


def pair(seed: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    reference = random.uniform(0, 255, (height, width))
    return np.clip(reference + random.normal(0, 20, reference.shape), 0, 255), reference


@given(st.integers(0, 99), st.integers(19, 40), st.integers(19, 40), st.integers(0, 4))
@settings(max_examples=25)
def test_agree_with_scikit_image(seed: int, height: int, width: int, border: int) -> None:
    image, reference = pair(seed, height, width)
    inner = slice(border, -border or None)
    ours, theirs = image[inner, inner], reference[inner, inner]
    expected = peak_signal_noise_ratio(theirs, ours, data_range=255)
    assert psnr(image, reference, border=border) == pytest.approx(expected, abs=1e-6)
    _, values = structural_similarity(
        theirs,
        ours,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    expected = values[5:-5, 5:-5].mean()
    assert ssim(image, reference, border=border) == pytest.approx(expected, abs=1e-6)


def test_equal_images() -> None:
    image, _ = pair(0, 20, 20)
    assert psnr(image, image) == math.inf
    assert ssim(image, image) == pytest.approx(1)


def test_whole_numbers_do_not_wrap_around() -> None:
    dark, light = np.zeros((12, 12), np.uint8), np.full((12, 12), 255, np.uint8)
    assert psnr(dark, light) == pytest.approx(0)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_what_cannot_be_measured_is_refused(measure) -> None:
    image = np.zeros((20, 20))
    with pytest.raises(ValueError, match="differ"):
        measure(image, image[:-1])
    with pytest.raises(ValueError, match="border"):
        measure(image, image, border=10)


def test_ssim_needs_a_whole_window() -> None:
    with pytest.raises(ValueError, match="11 × 11"):
        ssim(np.zeros((10, 30)), np.zeros((10, 30)))
