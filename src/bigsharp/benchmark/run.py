"""Score models on image sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import ceil, isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

from bigsharp import picture, protocol
from bigsharp.data import find_images
from bigsharp.engines import Engine, Family, open_engine
from bigsharp.errors import BigsharpError
from bigsharp.pipeline import choose_target, upscale_picture
from bigsharp.protocol import Protocol, Score

#: SSIM's window must fit inside the shaved border.
_SMALLEST = 11


@dataclass(frozen=True)
class Result:
    """One model on one image set at one scale.

    Attributes
    ----------
    data, model, protocol : str
    scale : float
    images : dict of str to Score
        By file name.
    """

    data: str
    scale: float
    model: str
    protocol: str
    images: dict[str, Score]

    @property
    def mean(self) -> Score:
        """The mean over the images."""
        scores = self.images.values()
        return Score(fmean(s.psnr for s in scores), fmean(s.ssim for s in scores))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON; the infinite PSNR of an equal image becomes null."""
        return {
            "data": self.data,
            "scale": self.scale,
            "model": self.model,
            "protocol": self.protocol,
            "mean": _plain(self.mean),
            "images": {name: _plain(score) for name, score in self.images.items()},
        }


def _plain(score: Score) -> dict[str, float | None]:
    return {key: value if isfinite(value) else None for key, value in asdict(score).items()}


def evaluate(
    data: Sequence[str],
    scales: Sequence[float],
    models: Sequence[str],
    *,
    protocol_name: str = "published",
    engine: str = "auto",
    root: str | Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Result]:
    """Score every model on every set at every scale.

    Parameters
    ----------
    data : sequence of str
        Image sets by name, or folders.
    scales : sequence of float
        Real numbers > 1.
    models : sequence of str
        As `bigsharp.load` takes them; "bicubic" is the ILR image itself.
    protocol_name : {"published", "8bit-lr"}
    engine : str
    root : path, optional
        The folder of the image sets.
    progress : callable
        Called with the number of pictures scored and of all of them.

    Returns
    -------
    list of Result
        In the order of `data`, then `scales`, then `models`.

    Raises
    ------
    BigsharpError
        A set, scale, model or protocol is unknown; a picture is broken or too small.
    """
    if protocol_name not in protocol.PROTOCOLS:
        known = ", ".join(protocol.PROTOCOLS)
        raise BigsharpError(f"no protocol is called {protocol_name!r}; there are {known}")
    for scale in scales:
        if not 1 < scale < float("inf"):
            raise BigsharpError(f"a scale to evaluate is a number above 1, not {scale:g}")
    rules = protocol.PROTOCOLS[protocol_name]
    engines = {name: open_engine(name, engine) for name in models}
    sets = {name: find_images(name, root) for name in data}
    total = len(scales) * len(models) * sum(map(len, sets.values()))
    done = 0
    results = []
    for name, paths in sets.items():
        for scale in scales:
            scores: dict[str, dict[str, Score]] = {model: {} for model in engines}
            for path in paths:
                for model, score in _score_image(path, scale, rules, engines).items():
                    scores[model][path.name] = score
                    done += 1
                    progress(done, total)
            results += [Result(name, scale, m, rules.name, s) for m, s in scores.items()]
    return results


def _score_image(
    path: Path, scale: float, rules: Protocol, engines: dict[str, Engine | Family]
) -> dict[str, Score]:
    """Every model's score on one image."""
    hr = protocol.crop(protocol.reference(picture.read(path)), scale)
    if min(hr.shape) < 2 * ceil(scale) + _SMALLEST:
        raise BigsharpError(f"{path}: too small to be scored at scale {scale:g}")
    lr = picture.Picture(protocol.degrade(hr, scale, rules) / 255)
    target = choose_target(lr.size, height=hr.shape[0], width=hr.shape[1])
    return {
        model: protocol.score(upscale_picture(lr, target, engine).pixels * 255, hr, scale)
        for model, engine in engines.items()
    }
