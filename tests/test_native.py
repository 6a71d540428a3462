import _thread
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bigsharp import engines, kernels, networks, weights
from bigsharp.benchmark.run import benchmark
from bigsharp.engines import open_engine
from bigsharp.engines.native import NativeEngine
from bigsharp.errors import BigsharpError
from bigsharp.io.picture import Picture
from bigsharp.networks.network import Network
from bigsharp.restoration.models import open_restorer
from bigsharp.restoration.pipeline import upscale_picture
from bigsharp.restoration.target import choose_target
from bigsharp.weights import file
from bigsharp.weights.file import Packed
from conftest import Run

#: Those of this machine.
INSTRUCTIONS = {
    "x86-64-v4": ["x86-64-v3", "x86-64-v4"],
    "x86-64-v3": ["x86-64-v3"],
    "neon": ["neon"],
}[kernels.instructions() or ""]


def draw(architecture: str, seed: int = 0, **options: object) -> Network:
    """A network of random weights, none of them zero."""
    torch.manual_seed(seed)
    network = networks.build(architecture, **options)
    for name, values in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(values, std=0.05)
        elif values.abs().sum() == 0:
            torch.nn.init.normal_(values, std=0.02)
    return network.eval()


def packed(architecture: str, network: Network) -> Packed:
    return networks.pack(architecture, network, [2, 3])


def exactly(network: Network, ilr: np.ndarray) -> np.ndarray:
    """In float64, by PyTorch."""
    with torch.inference_mode():
        result = network.double()(torch.from_numpy(ilr).double()[None, None])[0, 0].numpy()
    network.float()
    return result


def picture(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width), np.float32)


@pytest.fixture(scope="module")
def released() -> Packed:
    return file.read(weights.path("vdsr", file.SUFFIX))


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@given(st.integers(1, 90), st.integers(1, 300), st.integers(1, 8), st.integers(0, 99))
@settings(max_examples=6)
def test_trained_vdsr_against_float64(
    instructions: str, height: int, width: int, threads: int, seed: int
) -> None:
    compare_with_float64("vdsr", instructions, threads, picture(seed, height, width))


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@given(st.integers(1, 90), st.integers(1, 300), st.integers(1, 8), st.integers(0, 99))
@settings(max_examples=4)
def test_trained_drcn_against_float64(
    instructions: str, height: int, width: int, threads: int, seed: int
) -> None:
    compare_with_float64("drcn-64", instructions, threads, picture(seed, height, width))


def compare_with_float64(model: str, instructions: str, threads: int, ilr: np.ndarray) -> None:
    path = weights.path(model, file.SUFFIX)
    network = networks.load(path)
    engine = NativeEngine(file.read(path), threads, instructions)
    assert engine.instructions == instructions
    assert np.abs(engine.restore(ilr) - exactly(network, ilr)).max() < 1e-5


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@given(
    st.integers(2, 30), st.integers(1, 70), st.booleans(), st.integers(1, 40), st.integers(1, 40),
    st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40)
def test_every_depth_and_width_of_vdsr(
    instructions: str, depth: int, features: int, residual: bool, height: int, width: int, seed: int
) -> None:
    network = draw("vdsr", seed, depth=depth, features=features, residual=residual)
    engine = NativeEngine(packed("vdsr", network), 2, instructions)
    ilr = picture(seed, height, width)
    assert np.abs(engine.restore(ilr) - exactly(network, ilr)).max() < 1e-5
    assert engine.halo == network.halo
    assert engine.parameters == network.parameter_count


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@given(
    st.integers(1, 5), st.integers(1, 40), st.booleans(), st.booleans(), st.integers(1, 40),
    st.integers(1, 40), st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40)
def test_every_kind_of_drcn(
    instructions: str, recursions: int, filters: int, ensemble: bool, skip: bool, height: int,
    width: int, seed: int,
) -> None:  # fmt: skip
    options = {"recursions": recursions, "filters": filters, "ensemble": ensemble, "skip": skip}
    network = draw("drcn", seed, **options)
    engine = NativeEngine(packed("drcn", network), 3, instructions)
    ilr = picture(seed, height, width)
    assert np.abs(engine.restore(ilr) - exactly(network, ilr)).max() < 1e-5
    assert engine.halo == network.halo
    assert engine.parameters == network.parameter_count


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_drcn_of_256_filters(instructions: str) -> None:
    network = draw("drcn", recursions=16, filters=256)
    engine = NativeEngine(packed("drcn", network), 2, instructions)
    ilr = picture(0, 37, 50)
    expected = exactly(network, ilr)
    assert np.abs(expected).max() > 0.5
    assert np.abs(engine.restore(ilr) - expected).max() < 2e-5


@pytest.mark.parametrize("model", ["vdsr", "drcn-64"])
@given(st.integers(1, 90), st.integers(1, 90), st.integers(2, 8))
@settings(max_examples=20)
def test_any_number_of_threads_gives_the_same_bits(
    model: str, height: int, width: int, threads: int
) -> None:
    ilr = picture(height, height, width)
    network = file.read(weights.path(model, file.SUFFIX))
    one, several = (NativeEngine(network, count).restore(ilr) for count in (1, threads))
    assert np.array_equal(one, several)


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 30))
@settings(max_examples=30)
def test_rows_come_however_they_are_given(checkpoint: Path, heights: list[int], width: int) -> None:
    engine = open_engine(checkpoint, "native")
    whole = picture(0, sum(heights), width)
    bands = np.split(whole, np.cumsum(heights)[:-1]) if heights else []
    restored = list(engine.rows(bands))
    assert sum(len(rows) for rows in restored) == len(whole)
    if len(whole):
        assert np.array_equal(np.concatenate(restored), engine.restore(whole))


def test_rows_come_before_all_are_given(checkpoint: Path) -> None:
    engine = open_engine(checkpoint, "native")
    given_rows = 0

    def bands() -> Iterator[np.ndarray]:
        nonlocal given_rows
        for band in np.split(picture(0, 60, 20), 15):
            given_rows += len(band)
            yield band

    finished = 0
    for rows in engine.rows(bands()):
        finished += len(rows)
        assert finished >= given_rows - engine.halo - 16
    assert finished == 60


def test_strips_of_a_wide_picture_do_not_change_a_bit(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(checkpoint, "native")
    ilr = picture(0, 13, 301)
    whole = engine.restore(ilr)
    for more in (0, 5, 40):
        monkeypatch.setattr(engine, "widest", 16 * engine.halo + more)
        assert engine.widest < 301
        assert np.array_equal(engine.restore(ilr), whole)
    with pytest.raises(ValueError, match=f"{engine.widest} columns at most, not 301"):
        list(engine.rows([ilr]))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="how to bound a process's memory differs")
def test_memory_is_bounded_however_wide_the_picture(command: Run, tmp_path: Path) -> None:
    import resource

    def modest() -> None:
        """Allow 3 GB of addresses: all columns at once would need 4."""
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, resource.RLIM_INFINITY))

    small = (np.arange(160_000) % 251).astype(np.uint8)[None]
    Image.fromarray(small).save(tmp_path / "wide.png")
    found = command("upscale", tmp_path / "wide.png", "--scale", 2, preexec_fn=modest)
    assert found.returncode == 0, found.stderr
    with Image.open(tmp_path / "wide-x2.png") as image:
        assert image.size == (320_000, 2)


def test_a_picture_a_million_pixels_wide(checkpoint: Path) -> None:
    engine = open_engine(checkpoint, "native")
    ilr = np.tile(picture(0, 2, 1000), (1, 1000))
    restored = engine.restore(ilr)
    assert restored.shape == ilr.shape
    assert np.array_equal(restored[:, 500_000:500_500], restored[:, 600_000:600_500])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "model", "scales"),
    [
        ("Set5", "vdsr", [2, 3, 4]),
        ("Set14", "vdsr", [2, 3, 4]),
        ("Set5", "drcn-64", [2, 3, 4]),
        # Its networks are the same at each scale, and take minutes of ONNX Runtime's time.
        ("Set14", "drcn-64", [3]),
    ],
)
def test_scores_are_the_reference_engine_s(
    image_sets: Path, data: str, model: str, scales: list[float]
) -> None:
    ours, theirs = (
        benchmark([data], scales, [model], engine=engine, root=image_sets)
        for engine in ("native", "onnx")
    )
    for one, other in zip(ours, theirs, strict=True):
        for mine, reference in zip(one.records, other.records, strict=True):
            assert mine.psnr == pytest.approx(reference.psnr, abs=5e-4)


def test_the_default_on_a_cpu(monkeypatch: pytest.MonkeyPatch, checkpoint: Path) -> None:
    monkeypatch.setattr(engines, "has_cuda", lambda: False)
    assert open_engine("vdsr").name == "native"
    assert open_engine(checkpoint).name == "native"
    assert open_engine(checkpoint.with_suffix(".onnx")).name == "onnx"


def test_where_it_cannot_run_another_does_and_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engines, "has_cuda", lambda: False)
    monkeypatch.setattr(kernels, "_native", None)
    kernels.instructions.cache_clear()
    engines._tell_once.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            opened = [open_engine("vdsr"), open_engine("vdsr"), open_engine(checkpoint)]
        assert [engine.name for engine in opened] == ["onnx", "onnx", "torch"]
        assert len(caplog.records) == 1
        assert "native engine" in caplog.text
        with pytest.raises(BigsharpError, match="built without its native engine"):
            open_engine("vdsr", "native")
    finally:
        kernels.instructions.cache_clear()


@pytest.mark.skipif(sys.platform != "linux", reason="how to run out of threads differs")
def test_too_few_threads_are_one_line(command: Run, photo: Path) -> None:
    import resource

    def greedy() -> None:
        """Ask for more stack in every thread than there are addresses."""
        resource.setrlimit(resource.RLIMIT_STACK, (2**60, resource.RLIM_INFINITY))

    alone = os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    found = command("upscale", photo, "--scale", 2, preexec_fn=greedy, env=alone)
    assert found.returncode == 2
    assert "bigsharp: the native engine cannot start its threads" in found.stderr
    assert not list(photo.parent.glob("*-x2.png"))


def test_a_coloured_picture_by_rows_is_the_one_by_tiles(
    checkpoint: Path, texture: np.ndarray
) -> None:
    alpha = np.random.default_rng(0).random(texture.shape[:2])
    image = Picture(texture / 255, alpha=alpha)
    target = choose_target(image.size, 2.7)
    rows, tiles = (
        upscale_picture(image, target, open_restorer(checkpoint, engine))
        for engine in ("native", "torch")
    )
    assert np.abs(rows.pixels - tiles.pixels).max() < 1e-5
    assert np.abs(rows.alpha - tiles.alpha).max() < 1e-5


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_refused(checkpoint: Path, value: float) -> None:
    ilr = picture(0, 20, 20)
    ilr[7, 11] = value
    with pytest.raises(ValueError, match="NaN or infinite"):
        open_engine(checkpoint, "native").restore(ilr)


def test_arrays_of_other_kinds(checkpoint: Path) -> None:
    engine = open_engine(checkpoint, "native")
    ilr = picture(0, 24, 30)
    expected = engine.restore(ilr)
    assert np.array_equal(engine.restore(ilr.astype(np.float64)), expected)
    assert np.array_equal(engine.restore(np.asfortranarray(ilr)), expected)
    assert np.array_equal(engine.restore(np.repeat(ilr, 2, axis=1)[:, ::2]), expected)
    for shape in ((4, 0), (4,), (4, 4, 1)):
        with pytest.raises(ValueError, match="shape"):
            list(engine.rows([np.zeros(shape, np.float32)]))
    with pytest.raises(ValueError, match="5 wide, those before 4"):
        list(engine.rows([np.zeros((4, 4)), np.zeros((4, 5))]))
    for shape in ((0, 9), (9, 0), (0, 0)):
        with pytest.raises(ValueError, match="no pixels"):
            engine.restore(np.zeros(shape, np.float32))
    for kind in (np.uint8, bool, complex):
        with pytest.raises(ValueError, match="floating-point"):
            engine.restore(np.zeros((4, 4), kind))


def test_predictions_without_a_share() -> None:
    network = draw("drcn", recursions=3, filters=8)
    with torch.no_grad():
        network.mixture[-1] = 0
    packed_ = packed("drcn", network)
    assert len(packed_.graph.outputs) == 2
    ilr = picture(0, 30, 40)
    assert np.abs(NativeEngine(packed_).restore(ilr) - exactly(network, ilr)).max() < 1e-5
    none = replace(packed_.graph, outputs=(("reconstruction.1", 6, 0.0),))
    with pytest.raises(BigsharpError, match="none of its predictions has a share"):
        NativeEngine(replace(packed_, graph=none))
    with torch.no_grad():
        network.mixture[:] = 0
    with pytest.raises(BigsharpError, match="add up to 0"):
        packed("drcn", network)


def test_damaged_weights() -> None:
    whole = packed("vdsr", draw("vdsr", depth=4, features=8))
    name = "layers.1.weight"
    for damage, words in (
        (lambda values: values[:, :4], "the weights are no vdsr's"),
        (lambda values: values * np.nan, "NaN or infinite"),
    ):
        broken = replace(whole, state=whole.state | {name: damage(whole.state[name])})
        with pytest.raises(BigsharpError, match=words):
            NativeEngine(broken)
    del whole.state[name]
    with pytest.raises(BigsharpError, match=r"layers\.1\.weight"):
        NativeEngine(whole)


def test_weights_of_the_wrong_shape() -> None:
    layers = kernels._native.Layers()
    square, bias = np.zeros((8, 8, 3, 3), np.float32), np.zeros(8, np.float32)
    for wrong in (square[:, :4].copy(), square[..., :1].copy(), square[:0]):
        with pytest.raises(ValueError, match="3×3"):
            layers.pack(wrong, bias)
    with pytest.raises(ValueError, match="no such weights"):
        layers.convolve(0, 0)
    weight = layers.pack(square, bias)
    with pytest.raises(ValueError, match="a step that gives features"):
        layers.convolve(0, weight)
    layers.embed(np.zeros((64, 1, 3, 3), np.float32), np.zeros(64, np.float32))
    with pytest.raises(ValueError, match="differ"):
        layers.convolve(0, weight)
    with pytest.raises(ValueError, match="no image"):
        kernels._native.Stream(layers, 10, 1)
    layers.reconstruct(0, np.zeros((1, 64, 3, 3), np.float32), np.zeros(1, np.float32), 1, False)
    for width, threads in ((0, 1), (-1, 1), (2**62, 1), (10, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            kernels._native.Stream(layers, width, threads)
    with pytest.raises(ValueError, match="width of the stream"):
        kernels._native.Stream(layers, 10, 1).push(np.zeros((3, 11), np.float32))


def test_a_stream_is_of_the_network_that_it_was_opened_on() -> None:
    layers = kernels._native.Layers()
    weight, bias = np.ones((1, 8, 3, 3), np.float32), np.ones(1, np.float32)
    layers.embed(weight.reshape(8, 1, 3, 3), np.zeros(8, np.float32))
    layers.reconstruct(0, weight, bias, 1, False)
    rows = picture(0, 9, 20)
    before = kernels._native.Stream(layers, 20, 2)
    alone = np.concatenate([before.push(rows), before.finish()])
    with pytest.raises(RuntimeError, match="at its end"):
        before.push(rows)
    stream = kernels._native.Stream(layers, 20, 2)
    for _ in range(100):
        layers.reconstruct(0, weight, bias, 1, False)
    assert np.array_equal(np.concatenate([stream.push(rows), stream.finish()]), alone)


def test_networks_that_it_does_not_run(tmp_path: Path) -> None:
    srcnn = packed("srcnn", draw("srcnn"))
    path = tmp_path / "srcnn.safetensors"
    path.write_bytes(file.to_bytes(srcnn))
    assert open_engine(path).name == "torch"
    with pytest.raises(BigsharpError, match=r"3 × 3 convolutions, .* and not srcnn"):
        open_engine(path, "native")
    with pytest.raises(BigsharpError, match="instruction set"):
        NativeEngine(packed("vdsr", draw("vdsr", depth=3, features=8)), 1, "mmx")


def test_two_pictures_at_once(released: Packed) -> None:
    engine = NativeEngine(released, 2)
    pictures = [picture(seed, 60, 50 + seed) for seed in range(4)]
    expected = [engine.restore(ilr) for ilr in pictures]
    results: list[np.ndarray | None] = [None] * 4

    def restore(number: int) -> None:
        results[number] = engine.restore(pictures[number])

    workers = [threading.Thread(target=restore, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(a, b) for a, b in zip(results, expected, strict=True))


def test_others_run_meanwhile_and_ctrl_c_stops_it_within_a_second(released: Packed) -> None:
    engine = NativeEngine(released, 2)
    # Narrow enough for a slow and busy machine: it looks for Ctrl-C once a band of rows.
    ilr = picture(0, 4000, 1000)
    stopped_at = 0.0
    began = time.monotonic()

    def interrupt() -> None:
        nonlocal stopped_at
        time.sleep(0.5)
        stopped_at = time.monotonic()
        _thread.interrupt_main()

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        engine.restore(ilr)
    assert stopped_at - began < 2  # the other thread was not kept waiting
    assert time.monotonic() - stopped_at < 1


def test_a_weights_file_keeps_the_network(tmp_path: Path, network: Network) -> None:
    path = tmp_path / "a.safetensors"
    before = packed("vdsr", network)
    path.write_bytes(file.to_bytes(before))
    after = file.read(path)
    assert (after.architecture, after.options, after.scales) == ("vdsr", network.options, (2, 3))
    assert all(np.array_equal(after.state[name], before.state[name]) for name in before.state)
    again = networks.load(path)
    assert torch.equal(again.layers[0].weight, network.layers[0].weight)


@pytest.mark.parametrize("content", [b"", b"junk" * 9, b"\x02\0\0\0\0\0\0\0{}"])
def test_something_else_than_a_weights_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(BigsharpError, match=r"a.safetensors: not a weights file"):
        open_engine(path)
    with pytest.raises(BigsharpError, match=r"b.safetensors: no such file"):
        open_engine(tmp_path / "b.safetensors")
