from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigsharp import networks
from bigsharp.engines import open_engine
from bigsharp.engines.torch import TorchEngine
from bigsharp.errors import BigsharpError
from bigsharp.image.tiles import tiles
from bigsharp.io.picture import Picture
from bigsharp.networks.export import export
from bigsharp.networks.network import Network
from bigsharp.restoration.models import open_restorer
from bigsharp.restoration.pipeline import upscale_picture
from bigsharp.restoration.restorer import ByNetwork, Family
from bigsharp.restoration.target import Size, choose_target

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
    assert len(parts) == -(-height // side) * -(-width // side)


@pytest.mark.parametrize("kind", [".pt", ".onnx"])
@given(st.integers(1, 30), st.integers(1, 30), st.integers(5, 70), st.integers(0, 99))
@settings(max_examples=40)
def test_tiles_do_not_change_the_result(
    checkpoint: Path, kind: str, height: int, width: int, side: int, seed: int
) -> None:
    engine = open_restorer(checkpoint.with_suffix(kind), "torch" if kind == ".pt" else "onnx")
    picture = Picture(np.random.default_rng(seed).random((height, width)))
    target = choose_target(picture.size, 2)
    whole, tiled, plain = (
        upscale_picture(picture, target, how, tile=tile).pixels
        for how, tile in ((engine, 1000), (engine, side), (open_restorer("bicubic"), 1000))
    )
    assert not np.array_equal(whole, plain)
    assert np.abs(tiled - whole).max() < 1e-5


def test_a_halo_smaller_than_the_receptive_field_would_show(checkpoint: Path) -> None:
    engine = open_engine(checkpoint, "torch")
    picture = Picture(np.random.default_rng(0).random((20, 20)) / 2 + 0.25)
    target = choose_target(picture.size, 2)
    whole = upscale_picture(picture, target, ByNetwork(engine)).pixels
    engine.halo -= 1
    assert (
        np.abs(upscale_picture(picture, target, ByNetwork(engine), tile=20).pixels - whole).max()
        > 1e-5
    )


class Stub:
    """An engine that notes what it is given and makes it brighter."""

    name, halo, parameters, task = "stub", 3, None, "upscale"

    def __init__(self, *scales: float) -> None:
        self.scales = scales
        self.seen: list[tuple[int, int]] = []

    def restore(self, ilr: np.ndarray) -> np.ndarray:
        self.seen.append(ilr.shape)
        return ilr + np.float32(0.1)


@pytest.mark.parametrize(
    ("options", "restored_at"),
    [
        ({"scale": 1.5}, (80, 100)),
        ({"scale": 2}, (80, 100)),
        ({"scale": 3}, (120, 150)),
        ({"width": 60, "height": 120, "stretch": True}, (120, 100)),
    ],
)
def test_below_the_scales_trained_on_the_smallest_of_them_serves(
    options: dict, restored_at: tuple[int, int]
) -> None:
    picture = Picture(np.linspace(0.2, 0.6, 2000).reshape(40, 50))
    target = Size(**options).of(picture.size)
    engine = Stub(3, 2, 4)
    result = upscale_picture(picture, target, ByNetwork(engine))
    assert engine.seen == [restored_at]
    assert result.size == (target.height, target.width)
    plain = upscale_picture(picture, target, open_restorer("bicubic")).pixels
    inside = (slice(3, -3), slice(3, -3))
    assert result.pixels[inside] == pytest.approx(plain[inside] + 0.1, abs=2e-3)


@pytest.mark.parametrize(
    ("scale", "chosen"), [(1.2, 2), (2, 2), (2.4, 2), (2.5, 3), (4, 4), (9, 3)]
)
def test_of_a_family_the_member_nearest_in_scale_serves(scale: float, chosen: float) -> None:
    members = {s: Stub(s) for s in (4, 2, 3)}
    picture = Picture(np.zeros((20, 30)))
    upscale_picture(picture, choose_target(picture.size, scale), Family(list(members.values())))
    assert [s for s, member in members.items() if member.seen] == [chosen]


def test_where_the_scales_trained_on_are_unknown_it_is_restored_directly() -> None:
    engine = Stub()
    upscale_picture(Picture(np.zeros((40, 50))), choose_target((40, 50), 1.5), ByNetwork(engine))
    assert engine.seen == [(60, 75)]


def test_two_steps_round_8_bits_once() -> None:
    ramp = np.tile(np.arange(20, 220, dtype=np.uint8), (9, 1))
    target = choose_target(ramp.shape, 1.5)
    exact = upscale_picture(Picture(ramp / 255), target, ByNetwork(Stub(2))).pixels * 255
    rounded = upscale_picture(Picture(ramp), target, ByNetwork(Stub(2))).pixels
    assert np.abs(rounded - exact).max() < 0.51


def test_engines_know_the_scales_trained_on(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    path.write_bytes(networks.to_checkpoint(networks.pack("vdsr", network, (2, 3.5))))
    export(path, path.with_suffix(".onnx"))
    for engine in (open_engine(path), open_engine(path.with_suffix(".onnx"))):
        assert list(engine.scales) == [2, 3.5]


@given(st.integers(4, 24), st.integers(4, 24), st.floats(1, 4.5), st.integers(7, 50), st.booleans())
@settings(max_examples=30)
def test_a_tiled_picture_is_the_untiled_one(
    checkpoint: Path, height: int, width: int, scale: float, side: int, colour: bool
) -> None:
    shape = (height, width, 3) if colour else (height, width)
    random = np.random.default_rng(height * width)
    picture = Picture(random.random(shape), alpha=random.random(shape[:2]))
    target = choose_target(picture.size, scale)
    engine = open_restorer(checkpoint, "torch")
    whole = upscale_picture(picture, target, engine, tile=1000)
    tiled = upscale_picture(picture, target, engine, tile=side)
    assert whole.size == (target.height, target.width)
    assert np.abs(whole.pixels - tiled.pixels).max() < 1e-5
    assert np.abs(whole.alpha - tiled.alpha).max() < 1e-5


def test_engines_agree(checkpoint: Path) -> None:
    ilr = np.random.default_rng(0).random((37, 51), np.float32)
    engines = [
        open_engine(checkpoint, "torch"),
        open_engine(checkpoint, "native"),
        open_engine(checkpoint.with_suffix(".onnx")),
    ]
    assert [engine.name for engine in engines] == ["torch", "native", "onnx"]
    assert [engine.halo for engine in engines] == [4, 4, 4]
    results = [engine.restore(ilr) for engine in engines]
    assert np.ptp(results, axis=0).max() < 1e-5


@pytest.mark.parametrize("architecture", ["srcnn", "vdsr", "drcn"])
def test_every_architecture_can_be_exported(architecture: str, tmp_path: Path) -> None:
    options = {"recursions": 3, "filters": 4} if architecture == "drcn" else {}
    network = networks.build(architecture, **options)
    path = tmp_path / "network.pt"
    path.write_bytes(networks.to_checkpoint(networks.pack(architecture, network)))
    export(path, path.with_suffix(".onnx"))
    ilr = np.random.default_rng(0).random((17, 23), np.float32)
    exported = open_engine(path.with_suffix(".onnx"))
    assert exported.halo == network.halo
    assert np.abs(exported.restore(ilr) - TorchEngine(path).restore(ilr)).max() < 1e-5
    content = path.with_suffix(".onnx").read_bytes()
    assert str(Path(__file__).parents[1]).encode() not in content


def test_only_luma_is_restored(checkpoint: Path, texture: np.ndarray) -> None:
    from bigsharp.image.color import rgb_to_ycbcr

    picture = Picture(texture / 255 * 0.5 + 0.25)
    target = choose_target(picture.size, 2)
    plain = upscale_picture(picture, target, open_restorer("bicubic")).pixels
    restored = upscale_picture(picture, target, open_restorer(checkpoint)).pixels
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
        ({"width": 100, "height": 90}, (85, 100)),
        ({"width": 1000, "height": 90}, (90, 106)),
        ({"width": 100, "height": 90, "stretch": True}, (90, 100)),
        ({"min_side": 90}, (90, 107)),
        ({"min_side": 50}, (60, 71)),
        ({"megapixels": 0.01704}, (120, 142)),
        ({"megapixels": 0.001}, (60, 71)),
    ],
)
def test_the_size_asked_for(options: dict, size: tuple[int, int]) -> None:
    target = Size(**options).of((60, 71))
    assert (target.height, target.width) == size


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "one of"),
        ({"scale": 2, "width": 300}, "one of"),
        ({"min_side": 300, "megapixels": 3}, "one of"),
        ({"width": 300, "stretch": True}, "a width and a height"),
        ({"megapixels": 0}, "1 to 1,000,000,000"),
        ({"scale": 0.5}, "at least 1"),
        ({"scale": float("nan")}, "at least 1"),
        ({"scale": float("inf")}, "at least 1"),
        ({"width": 40}, "71 × 60 already"),
        ({"width": 300, "height": 10}, "71 × 60 already"),
        ({"height": 0}, "1 to 1,000,000,000"),
    ],
)
def test_a_size_that_cannot_be(options: dict, words: str) -> None:
    with pytest.raises(BigsharpError, match=words):
        Size(**options).of((60, 71))


def test_an_ensemble_is_the_mean_over_the_symmetries(checkpoint: Path) -> None:
    plane = np.random.default_rng(0).random((13, 17)).astype(np.float32)
    target = choose_target(plane.shape, 2.5)
    one, eight = (open_restorer(f"{checkpoint}{end}") for end in ("", "+"))

    def restored(restorer: object, seen: np.ndarray) -> np.ndarray:
        aim = choose_target(seen.shape, 2.5)
        result = np.full(aim.size, np.nan, np.float32)
        for window, values in restorer.restore(np.ascontiguousarray(seen), aim):
            result[window] = values
        return result

    ways = [(k, flip) for k in range(4) for flip in (False, True)]
    expected = np.mean(
        [
            (lambda r: np.rot90(r[:, ::-1] if flip else r, -k))(
                restored(one, np.rot90(plane, k)[:, ::-1] if flip else np.rot90(plane, k))
            )
            for k, flip in ways
        ],
        axis=0,
    )
    result = restored(eight, plane)
    assert result.shape == target.size
    assert result == pytest.approx(expected, abs=1e-5)
    assert np.abs(result - restored(one, plane)).max() > 1e-4


def test_beyond_the_scales_trained_on_equal_passes_lead_there() -> None:
    picture = Picture(np.linspace(0.2, 0.6, 600).reshape(20, 30))
    engine = Stub(2, 3, 4)
    result = upscale_picture(picture, choose_target(picture.size, 9), ByNetwork(engine))
    assert engine.seen == [(60, 90), (180, 270)]
    assert result.size == (180, 270)
    engine = Stub(2, 4)
    upscale_picture(picture, choose_target(picture.size, 27), ByNetwork(engine), tile=1000)
    assert engine.seen == [(60, 90), (180, 270), (540, 810)]
    engine = Stub(4)
    upscale_picture(picture, choose_target(picture.size, 5), ByNetwork(engine))
    assert engine.seen == [(100, 150)]
