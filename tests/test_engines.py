"""Devices and numbers of 16 bits; those that are not here by stand-ins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bigsharp.engines import onnx, open_engine, survey
from bigsharp.errors import BigsharpError

ILR = np.random.default_rng(0).random((40, 56), np.float32)


def test_convolutions_of_16_bits() -> None:
    exact, short = (open_engine("vdsr", f"torch:cpu{more}") for more in ("", ":fp16"))
    assert (exact.name, short.name) == ("torch", "torch:cpu:fp16")
    difference = np.abs(exact.restore(ILR) - short.restore(ILR))
    assert 0 < difference.max() < 0.01
    assert short.restore(ILR).dtype == np.float32


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("torch:tpu", "PyTorch has no 'tpu' here; it has "),
        ("torch:cpu:fp8", "no precision is called 'fp8'; there are fp16"),
        ("onnx:abacus", "ONNX Runtime has no 'abacus' here; it has "),
        ("native:cpu", "no engine is called 'native:cpu'"),
        ("auto:cuda", "no engine is called 'auto:cuda'"),
    ],
)
def test_what_no_engine_is(engine: str, words: str) -> None:
    with pytest.raises(BigsharpError, match=words):
        open_engine("vdsr", engine)


class StandIn:
    """A session of another device, which runs the network on the CPU and bends the result."""

    def __init__(self, session: object, provider: str, bend) -> None:
        self.session, self.provider, self.bend = session, provider, bend

    def get_providers(self) -> list[str]:
        return [self.provider]

    def run(self, *arguments: object) -> list[np.ndarray]:
        return [self.bend(output) for output in self.session.run(*arguments)]  # type: ignore[attr-defined]


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch):
    """ONNX Runtime with a device that bends what it gives."""
    session = onnx._session

    def make(bend, provider: str = "CoreMLExecutionProvider") -> None:
        monkeypatch.setattr(onnx, "usable", lambda: ["coreml", "cpu"])

        def opened(content: bytes, options: object, name: str) -> object:
            inner = session(content, options, "cpu")
            return StandIn(inner, provider, bend) if name == "coreml" else inner

        monkeypatch.setattr(onnx, "_session", opened)

    return make


def test_a_device_that_rounds_a_little_is_used(device, checkpoint: Path) -> None:
    device(lambda output: output + np.float32(3e-4))
    engine = open_engine(checkpoint.with_suffix(".onnx"), "onnx:coreml")
    assert engine.name == "onnx:coreml"
    assert "coreml" in survey()["onnx"].partition(";")[0]
    exact = open_engine(checkpoint.with_suffix(".onnx"), "onnx")
    assert np.abs(engine.restore(ILR) - exact.restore(ILR)).max() == pytest.approx(3e-4, abs=1e-5)


@pytest.mark.parametrize(
    ("bend", "said"),
    [
        (lambda output: output * 0, "a PSNR of"),
        (lambda output: output * np.float32(np.nan), "no numbers"),
        (lambda output: np.round(output * 50) / 50, "a PSNR of"),
    ],
)
def test_a_device_that_gives_another_picture_is_not(device, checkpoint: Path, bend, said) -> None:
    device(bend)
    with pytest.raises(BigsharpError, match=said):
        open_engine(checkpoint.with_suffix(".onnx"), "onnx:coreml")


def test_a_device_that_is_not_taken_after_all(device, checkpoint: Path) -> None:
    device(lambda output: output, "CPUExecutionProvider")
    with pytest.raises(BigsharpError, match="cannot use coreml here"):
        open_engine(checkpoint.with_suffix(".onnx"), "onnx:coreml")
