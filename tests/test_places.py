"""Where patches are cut."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bigsharp.image.resize import imresize
from bigsharp.training.patches import PatchSampler
from bigsharp.training.places import LEAST, STRIDE, ByResidual, Evenly, residual
from bigsharp.training.spoiling import Blur

CPU = torch.device("cpu")


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def draws(count: int) -> torch.Tensor:
    return torch.rand((count, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@given(
    st.lists(st.tuples(st.integers(8, 40), st.integers(8, 40)), min_size=1, max_size=4),
    st.booleans(),
)
def test_every_square_lies_within_its_image(sizes: list[tuple[int, int]], evenly: bool) -> None:
    images = [noise(*size) for size in sizes]
    ends = torch.tensor([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]).double()
    places = (Evenly if evenly else ByResidual)(images, 8, CPU)
    drawn = torch.cat([draws(50), ends.clamp(max=np.nextafter(1, 0))])
    for image, top, left in zip(*(found.tolist() for found in places(drawn)), strict=True):
        height, width = images[image].shape
        assert 0 <= top <= height - 8
        assert 0 <= left <= width - 8


@pytest.mark.parametrize("kind", [Evenly, ByResidual])
def test_every_place_is_drawn_and_images_by_their_area(kind: type) -> None:
    images = [noise(20, 30), noise(20, 30, 1), noise(40, 60)]
    image, top, left = kind(images, 8, CPU)(draws(60_000))
    shares = torch.bincount(image, minlength=3) / 60_000
    assert shares.tolist() == pytest.approx([1 / 6, 1 / 6, 4 / 6], abs=0.01)
    for number, found in enumerate(images):
        here = image == number
        seen = set(zip(top[here].tolist(), left[here].tolist(), strict=True))
        assert len(seen) == (found.shape[0] - 7) * (found.shape[1] - 7)


def test_the_residual_is_what_bicubic_loses() -> None:
    image = noise(45, 52)
    lost = (image - imresize(imresize(image.astype(float), 1 / 3), size=image.shape)) ** 2
    got = residual(image, 16)
    assert got.shape == (4, 5)
    for row in range(4):
        for column in range(5):
            top, left = row * STRIDE, column * STRIDE
            expected = lost[top : top + 16, left : left + 16].mean() + LEAST
            assert got[row, column] == pytest.approx(expected, rel=1e-3)


def test_places_are_drawn_in_proportion_to_it() -> None:
    image = np.full((64, 200), 90, np.uint8)
    image[:, 100:] = noise(64, 100) // 4
    weights = residual(image, 16)
    _, top, left = ByResidual([image], 16, CPU)(draws(200_000))
    rows, columns = weights.shape
    # The last row and column of places take in what is left of the image.
    cells = torch.minimum(top // STRIDE, torch.tensor(rows - 1)) * columns + left // STRIDE
    counts = torch.bincount(cells, minlength=weights.size).numpy() / 200_000
    assert counts == pytest.approx(weights.ravel() / weights.sum(), abs=0.002)
    assert (left >= 80).float().mean() > 0.99


def test_draws_by_residual_weighed_down_again_say_what_even_ones_do() -> None:
    """The mean over all places of anything, here of the luma of a corner."""
    image = (imresize(noise(12, 18), size=(104, 152)) // 2) + noise(104, 152) // 8
    side = 16
    weights = residual(image, side)
    _, top, left = ByResidual([image], side, CPU)(draws(400_000))
    inside = (top < 88) & (left < 136)  # whole cells
    top, left = top[inside].numpy(), left[inside].numpy()
    weighed = 1 / weights[top // STRIDE, left // STRIDE]
    mean = (image[top, left] * weighed).sum() / weighed.sum()
    assert mean == pytest.approx(image[:88, :136].mean(), rel=0.01)


def test_patches_are_cut_there() -> None:
    image = np.full((120, 240), 90, np.uint8)
    image[:, 180:] = noise(120, 60)
    blur = Blur([2, 3], 16, CPU)
    textured = []
    for by_residual in (False, True):
        _, hr = PatchSampler([image], blur, 16, CPU, 0, by_residual=by_residual).batch(3000)
        textured.append(float((hr.std(dim=(1, 2, 3)) > 0).double().mean()))
    assert textured[0] == pytest.approx(0.26, abs=0.04)
    assert textured[1] > 0.95
