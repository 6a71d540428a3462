from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigsharp import models
from bigsharp.engines import open_engine
from bigsharp.engines.torch import TorchEngine
from bigsharp.errors import BigsharpError
from bigsharp.picture import Picture
from bigsharp.pipeline import choose_target, count_tiles, restore_luma, tiles, upscale_picture

sizes = st.integers(1, 60)


@given(sizes, sizes, st.integers(1, 70), st.integers(0, 12))
def test_tiles_cover_every_pixel_once(height: int, width: int, side: int, halo: int) -> None:
    covered = np.zeros((height, width), int)
    parts = list(tiles(height, width, side, halo))
    for part in parts:
        covered[part.core] += 1
        inside = np.zeros((height, width), bool)
        inside[part.seen][part.core_in_seen] = True
        alone = np.zeros((height, width), bool)
        alone[part.core] = True
        assert np.array_equal(inside, alone)
        for core, seen, length in zip(part.core, part.seen, (height, width), strict=True):
            assert 1 <= core.stop - core.start <= side
            assert seen == slice(max(0, core.start - halo), min(length, core.stop + halo))
    assert np.all(covered == 1)
    assert len(parts) == count_tiles(height, width, side)


@pytest.mark.parametrize("kind", [".pt", ".onnx"])
@given(sizes, sizes, st.integers(5, 70), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_tiles_do_not_change_the_result(
    checkpoint: Path, kind: str, height: int, width: int, side: int, seed: int
) -> None:
    engine = open_engine(checkpoint.with_suffix(kind))
    ilr = np.random.default_rng(seed).random((height, width), np.float32)
    whole = engine.restore(ilr)
    assert not np.array_equal(whole, ilr)
    assert np.abs(restore_luma(ilr, engine, side) - whole).max() < 1e-5


def test_a_halo_smaller_than_the_receptive_field_would_show(checkpoint: Path) -> None:
    engine = open_engine(checkpoint)
    ilr = np.random.default_rng(0).random((40, 40), np.float32)
    whole = engine.restore(ilr)
    engine.halo -= 1
    assert np.abs(restore_luma(ilr, engine, 20) - whole).max() > 1e-5


@given(st.integers(4, 24), st.integers(4, 24), st.floats(1, 4.5), st.integers(7, 50), st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_tiled_picture_is_the_untiled_one(
    checkpoint: Path, height: int, width: int, scale: float, side: int, colour: bool
) -> None:
    shape = (height, width, 3) if colour else (height, width)
    random = np.random.default_rng(height * width)
    picture = Picture(random.random(shape), alpha=random.random(shape[:2]))
    target = choose_target(picture.size, scale)
    engine = open_engine(checkpoint)
    whole = upscale_picture(picture, target, engine, tile=1000)
    tiled = upscale_picture(picture, target, engine, tile=side)
    assert whole.size == (target.height, target.width)
    assert np.abs(whole.pixels - tiled.pixels).max() < 1e-5
    assert np.abs(whole.alpha - tiled.alpha).max() < 1e-5


def test_engines_agree(checkpoint: Path) -> None:
    ilr = np.random.default_rng(0).random((37, 51), np.float32)
    first, second = (open_engine(checkpoint.with_suffix(s)) for s in (".pt", ".onnx"))
    assert (first.name, second.name) == ("torch", "onnx")
    assert first.halo == second.halo == 4
    assert np.abs(first.restore(ilr) - second.restore(ilr)).max() < 1e-5


@pytest.mark.parametrize("architecture", ["srcnn", "vdsr", "drcn"])
def test_every_architecture_can_be_exported(architecture: str, tmp_path: Path) -> None:
    import torch

    from bigsharp.models.export import export

    options = {"recursions": 3, "filters": 4} if architecture == "drcn" else {}
    network = models.build(architecture, **options)
    path = tmp_path / "network.pt"
    torch.save(models.pack(architecture, network), path)
    export(path, path.with_suffix(".onnx"))
    ilr = np.random.default_rng(0).random((17, 23), np.float32)
    exported = open_engine(path.with_suffix(".onnx"))
    assert exported.halo == network.halo
    assert np.abs(exported.restore(ilr) - TorchEngine(path).restore(ilr)).max() < 1e-5
    content = path.with_suffix(".onnx").read_bytes()
    assert str(Path(__file__).parents[1]).encode() not in content


def test_only_luma_is_restored(checkpoint: Path, texture: np.ndarray) -> None:
    from bigsharp.color import rgb_to_ycbcr

    picture = Picture(texture / 255 * 0.5 + 0.25)
    target = choose_target(picture.size, 2)
    plain = upscale_picture(picture, target, open_engine("bicubic")).pixels
    restored = upscale_picture(picture, target, open_engine(checkpoint)).pixels
    inside = np.all((restored > 0) & (restored < 1) & (plain > 0) & (plain < 1), axis=-1)
    assert inside.mean() > 0.5
    before, after = rgb_to_ycbcr(plain)[inside], rgb_to_ycbcr(restored)[inside]
    assert np.abs(after[:, 1:] - before[:, 1:]).max() < 1e-5
    assert np.abs(after[:, 0] - before[:, 0]).max() > 1e-2


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"scale": 1}, (60, 71)),
        ({"scale": 2.5}, (150, 178)),
        ({"width": 142}, (120, 142)),
        ({"height": 100}, (100, 118)),
        ({"width": 100, "height": 90}, (90, 100)),
    ],
)
def test_the_size_asked_for(options: dict, size: tuple[int, int]) -> None:
    target = choose_target((60, 71), **options)
    assert (target.height, target.width) == size


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either"),
        ({"scale": 2, "width": 300}, "either"),
        ({"scale": 0.5}, "at least 1"),
        ({"scale": float("nan")}, "at least 1"),
        ({"scale": float("inf")}, "at least 1"),
        ({"width": 40}, "71 × 60 already"),
        ({"width": 300, "height": 10}, "71 × 60 already"),
        ({"height": 0}, "71 × 60 already"),
    ],
)
def test_a_size_that_cannot_be(options: dict, words: str) -> None:
    with pytest.raises(BigsharpError, match=words):
        choose_target((60, 71), **options)
