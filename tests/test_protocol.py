import numpy as np
import pytest

from bigsharp.benchmark.run import benchmark
from bigsharp.scoring import protocol

#: The bicubic row as the slides and the papers print it: PSNR and SSIM at ×2, ×3, ×4.
PUBLISHED = {
    "Set5": [(33.66, 0.9299), (30.39, 0.8682), (28.42, 0.8104)],
    "Set14": [(30.24, 0.8688), (27.55, 0.7742), (26.00, 0.7027)],
    "B100": [(29.56, 0.8431), (27.21, 0.7385), (25.96, 0.6675)],
    "Urban100": [(26.88, 0.8403), (24.46, 0.7349), (23.14, 0.6577)],
}
SETS = ["Set5", "Set14", "B100", pytest.param("Urban100", marks=pytest.mark.slow)]


@pytest.mark.parametrize("name", SETS)
def test_bicubic_scores_as_published(image_sets, name: str) -> None:
    results = benchmark([name], [2, 3, 4], ["bicubic"], root=image_sets)
    for result, (psnr, ssim) in zip(results, PUBLISHED[name], strict=True):
        assert result.mean.psnr == pytest.approx(psnr, abs=0.01)
        assert result.mean.ssim == pytest.approx(ssim, abs=0.0009)


def test_8bit_lr_rounds_the_lr_image_alone() -> None:
    hr = np.random.default_rng(0).integers(0, 256, (24, 36)).astype(float)
    published, rounded = (
        protocol.degrade(hr, 3, protocol.PROTOCOLS[name]) for name in ("published", "8bit-lr")
    )
    assert published.shape == (8, 12)
    assert np.any(published % 1)
    assert np.array_equal(rounded, np.clip(np.floor(published + 0.5), 0, 255))


@pytest.mark.parametrize(
    ("scale", "shape"), [(2, (100, 100)), (3, (99, 99)), (4, (100, 100)), (2.5, (100, 100))]
)
def test_crop_keeps_whole_lr_pixels(scale: float, shape: tuple[int, int]) -> None:
    hr = np.zeros((101, 101))
    cropped = protocol.crop(hr, scale)
    assert cropped.shape == shape
    lr = protocol.degrade(cropped, scale, protocol.PROTOCOLS["published"])
    assert protocol.interpolate(lr, cropped.shape).shape == shape
    assert lr.shape[0] * scale == pytest.approx(shape[0])
