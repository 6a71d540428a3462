import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.color import rgb2ycbcr

from bigsharp.image.color import luma, rgb_to_ycbcr, ycbcr_to_rgb

colours = arrays(np.float64, (5, 3), elements=st.floats(0, 1))


@given(colours)
def test_agrees_with_scikit_image(rgb: np.ndarray) -> None:
    assert rgb_to_ycbcr(rgb) * 255 == pytest.approx(rgb2ycbcr(rgb), abs=1e-9)


@given(colours)
def test_there_and_back_is_the_identity(rgb: np.ndarray) -> None:
    assert ycbcr_to_rgb(rgb_to_ycbcr(rgb)) == pytest.approx(rgb, abs=1e-12)
    single = ycbcr_to_rgb(rgb_to_ycbcr(rgb.astype(np.float32)))
    assert single.dtype == np.float32
    assert single == pytest.approx(rgb, abs=2e-6)


@given(colours)
def test_luma_is_the_first_channel(rgb: np.ndarray) -> None:
    assert luma(rgb) == pytest.approx(rgb_to_ycbcr(rgb)[..., 0], abs=1e-12)


@pytest.mark.parametrize(
    ("rgb", "ycbcr"),
    [
        ((255, 255, 255), (235, 128, 128)),
        ((0, 0, 0), (16, 128, 128)),
        ((255, 0, 0), (81, 90, 240)),
        ((0, 255, 0), (145, 54, 34)),
        ((0, 0, 255), (41, 240, 110)),
    ],
)
def test_whole_numbers_are_those_of_the_standard(
    rgb: tuple[int, ...], ycbcr: tuple[int, ...]
) -> None:
    assert rgb_to_ycbcr(np.array([rgb], np.uint8)).tolist() == [list(ycbcr)]
    back = ycbcr_to_rgb(np.array([ycbcr], np.uint8)).astype(int)
    assert np.abs(back - rgb).max() <= 1


def test_signed_integers_have_no_range_and_are_refused() -> None:
    with pytest.raises(TypeError, match="int64"):
        rgb_to_ycbcr(np.zeros((2, 3), np.int64))
