import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bigsharp.errors import BigsharpError
from bigsharp.image.resize import imresize
from bigsharp.scoring import degradations, protocol
from bigsharp.training.images import hold_out, load_images, zoom_out
from bigsharp.training.patches import PatchSampler
from bigsharp.training.spoiling import Blur, Jpeg, Noise, Photo
from bigsharp.training.validation import ValidationSet

CPU = torch.device("cpu")


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)


def sampling(
    images: list[np.ndarray], scales: list[float], patch: int, seed: int, part: slice = slice(None)
) -> PatchSampler:
    return PatchSampler(images, Blur(scales, patch, CPU), patch, CPU, seed, part)


def eight_ways(image: np.ndarray) -> list[np.ndarray]:
    turned = [np.rot90(image, k) for k in range(4)]
    return turned + [view.T for view in turned]


@pytest.mark.parametrize("scale", [2, 3, 4, 2.5, 3.7])
def test_a_patch_is_what_the_whole_image_s_ilr_shows_there(scale: float) -> None:
    side = 16 + int(np.ceil(scale)) - 1
    image = noise(side, side)
    sampler = sampling([image], [scale], 16, 0)
    ilr, hr = sampler.batch(12)
    assert ilr.shape == hr.shape == (12, 1, 16, 16)
    padded = np.pad(image, sampler.spoiling.margin, mode="edge") / 255
    starts = range(sampler.spoiling.margin, sampler.spoiling.margin + sampler.spoiling.phases)
    seen = set()
    for got_ilr, got_hr in zip(ilr[:, 0].numpy(), hr[:, 0].numpy(), strict=True):
        found = 0
        for way, view in enumerate(eight_ways(padded)):
            large = imresize(imresize(view, 1 / scale), scale)
            for top in starts:
                for left in starts:
                    part = (slice(top, top + 16), slice(left, left + 16))
                    if np.allclose(view[part], got_hr, atol=1e-6):
                        found += 1
                        seen.add((way, top, left))
                        assert got_ilr == pytest.approx(large[part], abs=1e-5)
        assert found == 1
    assert len({way for way, _, _ in seen}) >= 4
    assert len({(top, left) for _, top, left in seen}) >= 3


def test_every_pixel_is_met_those_in_the_corners_too() -> None:
    image = np.arange(400).reshape(20, 20)
    parts = (image // 256, image % 256)
    upper, lower = (
        sampling([part.astype(np.uint8)], [2, 3], 16, 0).batch(1500)[1] for part in parts
    )
    values = ((upper * 255).round() * 256 + (lower * 255).round()).int()
    assert set(values.unique().tolist()) == set(range(400))


def test_patches_come_from_every_image_at_every_scale() -> None:
    images = [np.full((90 + 10 * k, 80), 40 * k, np.uint8) for k in range(5)]
    _, hr = sampling(images, [2, 4], 20, 3).batch(400)
    values = (hr[:, 0, 0, 0] * 255).round().int().tolist()
    counts = [values.count(40 * k) for k in range(5)]
    assert min(counts) > 40
    ilr, _ = sampling([noise(90, 90)], [2, 4], 20, 3).batch(100)
    spread = ilr.std(dim=(1, 2, 3))
    assert 20 < int((spread > spread.mean()).sum()) < 80


def test_the_seed_decides_the_patches() -> None:
    first, same, other = (sampling([noise(90, 90)], [2], 8, s).batch(3)[1] for s in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_parts_of_a_batch_make_up_the_whole() -> None:
    whole = sampling([noise(90, 90)], [2, 3], 8, 1)
    parts = [sampling([noise(90, 90)], [2, 3], 8, 1, slice(k, None, 2)) for k in range(2)]
    for _ in range(2):
        ilr, hr = whole.batch(6)
        for k, part in enumerate(parts):
            got_ilr, got_hr = part.batch(6)
            assert torch.equal(got_hr, hr[k::2])
            assert torch.allclose(got_ilr, ilr[k::2], atol=1e-6)


def test_held_out_images_are_apart_and_never_more_than_a_fifth() -> None:
    images = [np.full((72, 80), k, np.uint8) for k in range(12)]
    training, held_out = hold_out(images, 3, 36)
    assert (len(training), len(held_out)) == (10, 2)
    assert {int(image[0, 0]) for image in training + held_out} == set(range(12))
    training, held_out = hold_out(images, 1, 36)
    assert (len(training), len(held_out)) == (11, 1)
    training, held_out = hold_out(images[:2], 16, 36)
    assert (len(training), len(held_out)) == (1, 1)
    with pytest.raises(BigsharpError, match="0 of 12 training images are 500 pixels or more"):
        hold_out(images, 3, 500)
    with pytest.raises(BigsharpError, match="and another image"):
        hold_out(images[:1], 1, 36)


def test_zoomed_images_join_the_others_where_they_are_large_enough() -> None:
    zoomed = zoom_out([noise(60, 60), noise(30, 60)], [1, 0.6], 30)
    assert [image.shape for image in zoomed] == [(60, 60), (30, 60), (36, 36)]
    assert np.array_equal(zoomed[2], imresize(noise(60, 60), 0.6))


def test_what_cannot_be_trained_on_is_named(tmp_path: Path) -> None:
    Image.fromarray(noise(50, 60)).save(tmp_path / "good.png")
    Image.fromarray(noise(50, 20)).save(tmp_path / "small.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing more")
    images, skipped = load_images([str(tmp_path)], 30)
    assert [image.shape for image in images] == [(50, 60)]
    broken, small = skipped
    assert "broken.png" in broken
    assert small.endswith("small.png: 20×50, smaller than a patch needs (30)")


@pytest.mark.parametrize("scale", [3, 2.5])
def test_validation_is_the_published_protocol(scale: float) -> None:
    smooth = imresize(imresize(noise(80, 72), 0.25), 4)
    held_out = ValidationSet.make([smooth], "bicubic", scale, None, 37, CPU)
    hr = protocol.crop(smooth[21:58, 17:54].astype(float), scale)
    assert held_out.hr.shape == (1, 1, *hr.shape)
    ilr = imresize(imresize(hr, 1 / scale), scale)
    expected = protocol.score(ilr[: len(hr), : len(hr)], hr, scale).psnr
    assert held_out.psnr(held_out.spoiled) == pytest.approx(expected, abs=1e-3)


def test_noise_has_the_strengths_asked_for() -> None:
    image = np.full((64, 64), 100, np.uint8)
    sampler = PatchSampler([image], Noise(5, 45), 32, CPU, 0)
    spoiled, hr = sampler.batch(400)
    assert (hr == 100 / 255).all()
    added = (spoiled - hr)[:, 0] * 255
    spread = added.std(dim=(1, 2))
    assert 4.5 < spread.min() < 6
    assert 43 < spread.max() < 48
    assert abs(float(spread.mean()) - 25) < 1.5
    assert abs(float(added.mean())) < 0.2
    held_out = ValidationSet.make([image], "noise", 1, 25, 64, CPU)
    assert held_out.name == "sigma25"
    assert float((held_out.spoiled - held_out.hr).std() * 255) == pytest.approx(25, abs=1)
    assert held_out.psnr(held_out.hr) == np.inf


def test_noise_of_a_shared_batch_is_that_of_the_whole() -> None:
    images = [noise(60, 60)]
    whole = PatchSampler(images, Noise(0, 55), 16, CPU, 1).batch(6)[0]
    for k in range(2):
        part = PatchSampler(images, Noise(0, 55), 16, CPU, 1, slice(k, None, 2)).batch(6)[0]
        assert torch.equal(part, whole[k::2])


def test_jpeg_patches_lie_anywhere_on_the_grid_of_what_pillow_makes() -> None:
    image = imresize(noise(8, 8), 2.875)
    spoiled, hr = PatchSampler([image], Jpeg(10, 10), 16, CPU, 0).batch(60)
    seen = set()
    for got, clean in zip(spoiled[:, 0].numpy(), hr[:, 0].numpy(), strict=True):
        found = 0
        for way, view in enumerate(eight_ways(image)):
            buffer = io.BytesIO()
            Image.fromarray(np.ascontiguousarray(view)).save(buffer, "JPEG", quality=10)
            compressed = np.asarray(Image.open(buffer))
            for top in range(8):
                for left in range(8):
                    part = (slice(top, top + 16), slice(left, left + 16))
                    if np.allclose(view[part] / 255, clean, atol=1e-6):
                        found += 1
                        seen.add((way, top, left))
                        assert got * 255 == pytest.approx(compressed[part], abs=1e-3)
        assert found == 1
    assert len({place[1:] for place in seen}) > 20


@pytest.mark.parametrize("scale", [2, 2.5])
def test_a_photo_s_patch_is_the_ilr_of_what_jpeg_left_of_the_lr_image(scale: float) -> None:
    spoiling = Photo([scale], 40, 40, 0, 16)
    image = imresize(noise(12, 12), (16 + spoiling.phases - 1) / 12)
    sampler = PatchSampler([image], spoiling, 16, CPU, 0)
    spoiled, hr = sampler.batch(6)
    padded = np.pad(image, spoiling.margin, mode="edge")
    for got, clean in zip(spoiled[:, 0].numpy(), hr[:, 0].numpy(), strict=True):
        found = 0
        for view in eight_ways(padded):
            lr = degradations.jpeg(imresize(view.astype(float), 1 / scale), 40)
            large = imresize(lr, scale)
            places = range(spoiling.margin, spoiling.margin + spoiling.phases)
            for top in places:
                for left in places:
                    part = (slice(top, top + 16), slice(left, left + 16))
                    if np.allclose(view[part] / 255, clean, atol=1e-6):
                        found += 1
                        assert got * 255 == pytest.approx(large[part], abs=1e-2)
        assert found == 1


def test_a_share_of_photos_is_clean() -> None:
    image = imresize(noise(12, 12), 8.0)
    images = [image] * 2
    whole = PatchSampler(images, Photo([2], 20, 100, 0.25, 16), 16, CPU, 0).batch(400)
    clean = PatchSampler(images, Photo([2], 20, 100, 0.9999, 16), 16, CPU, 0).batch(400)
    same = (whole[0] - clean[0]).abs().amax(dim=(1, 2, 3)) < 1e-6
    assert float(same.float().mean()) == pytest.approx(0.25, abs=0.06)
