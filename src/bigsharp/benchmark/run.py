"""Score methods on image sets, each image once."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from bigsharp import workers
from bigsharp.benchmark.methods import INPUT, Case, Method, Model, digest_of, open_methods
from bigsharp.benchmark.perceptual import open_metric
from bigsharp.benchmark.published import find
from bigsharp.benchmark.records import Key, Record, RecordFile
from bigsharp.errors import BigsharpError
from bigsharp.io.picture import Picture
from bigsharp.io.read import read
from bigsharp.restoration.restorer import BICUBIC, Progress, silent
from bigsharp.scoring import degradations, protocol
from bigsharp.scoring.metrics import psnr
from bigsharp.scoring.protocol import Rules, Score
from bigsharp.scoring.sets import find_images

#: In dB, between bicubic as measured and as published, rounded to 0.01 there.
_TOLERANCE = 0.0101

#: SSIM's window must fit inside the shaved border.
_SMALLEST = 11


@dataclass(frozen=True)
class Result:
    """One method on one image set at one scale.

    Attributes
    ----------
    data, method, protocol : str
    scale : float
        Or what other strength the degradation has.
    label : str
        That as a table has it.
    records : tuple of Record
        One an image, in the set's order.
    """

    data: str
    scale: float
    method: str
    protocol: str
    label: str
    records: tuple[Record, ...]

    @property
    def mean(self) -> Score:
        """The mean over the images."""
        return Score(fmean(r.psnr for r in self.records), fmean(r.ssim for r in self.records))

    @property
    def metrics(self) -> dict[str, float]:
        """The means of the further metrics that every image was measured by."""
        common = [n for n in self.records[0].metrics if all(n in r.metrics for r in self.records)]
        return {name: fmean(r.metrics[name] for r in self.records) for name in common}

    @property
    def seconds(self) -> float:
        """Mean time for an image."""
        return fmean(r.seconds for r in self.records)

    def beside(self, before: Result) -> dict[str, str | float]:
        """What a card says of it, and of what restores nothing."""
        row: dict[str, str | float] = {"data": self.data, "scale": float(self.scale)}
        for name, result in (("", self), (f"{before.method}_", before)):
            row |= {
                f"{name}psnr": round(result.mean.psnr, 4),
                f"{name}ssim": round(result.mean.ssim, 5),
            }
        return row

    def as_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON; the infinite PSNR of an equal image becomes null."""
        return {
            "data": self.data,
            "scale": self.scale,
            "model": self.method,
            "protocol": self.protocol,
            "mean": _plain(self.mean),
            "images": {r.image: _plain(Score(r.psnr, r.ssim)) for r in self.records},
        }


def _plain(score: Score) -> dict[str, float | None]:
    return {key: value if isfinite(value) else None for key, value in asdict(score).items()}


@dataclass(frozen=True)
class Missing:
    """One image at one scale, and the keys of the scores that are missing, by method."""

    data: str
    path: Path
    scale: float
    keys: dict[str, Key]


@dataclass(frozen=True)
class Setting:
    """What every process that scores is told."""

    methods: Sequence[str]
    rules: Rules
    metrics: tuple[str, ...]
    engine: str


def benchmark(
    data: Sequence[str] | Mapping[str, Sequence[Path]],
    scales: Sequence[float],
    methods: Sequence[str],
    *,
    opened: Mapping[str, Method] | None = None,
    rules: Rules = protocol.PROTOCOLS["published"],
    metrics: Sequence[str] = (),
    engine: str = "auto",
    root: str | Path | None = None,
    kept: RecordFile | None = None,
    jobs: int = 1,
    progress: Progress = silent,
) -> list[Result]:
    """Score every method on every set at every scale.

    Parameters
    ----------
    data : sequence of str, or mapping of str to sequence of path
        Image sets by name, or folders; or these with their images, where they are found already.
    scales : sequence of float
        Real numbers > 1; of noise and JPEG, if `rules` are theirs, σ or qualities.
    methods : sequence of str
        Models as `bigsharp.load` takes them ("bicubic" is the ILR image itself), or folders of
        restored pictures; ``name=model`` gives one a name.
    opened : mapping of str to Method, optional
        These, as `open_methods` gives them, where they are open already.
    rules : Rules
    metrics : sequence of {"ifc", "lpips"}
        To measure beyond PSNR and SSIM.
    engine : str
    root : path, optional
        The folder of the image sets.
    kept : RecordFile, optional
        Scores to go on from and to add to; what is in it is not computed again.
    jobs : int
        Processes, among which the cores are shared out.
    progress : callable
        Called with the number of pictures scored and of all of them.

    Returns
    -------
    list of Result
        In the order of `data`, then `scales`, then `methods`.

    Raises
    ------
    BigsharpError
        A set, scale, method or metric is unknown; a metric's library is missing; a picture is
        broken or too small.
    """
    for scale in scales:
        rules.check(scale)
    if jobs < 1:
        raise BigsharpError(f"jobs are at least 1, not {jobs}")
    for name in metrics:
        open_metric(name)
    opened = opened or open_methods(methods, engine)
    _check_tasks(opened, rules)
    sets = data if isinstance(data, Mapping) else {name: find_images(name, root) for name in data}
    keys = _keys(sets, scales, opened, rules)
    scored = dict(kept.records) if kept else {}
    whole = {key for key, record in scored.items() if set(metrics) <= set(record.metrics)}
    missing = [
        Missing(name, path, scale, lacking)
        for (name, path, scale), by_method in keys.items()
        if (lacking := {m: key for m, key in by_method.items() if key not in whole})
    ]
    total = len(keys) * len(opened)
    done = total - sum(len(each.keys) for each in missing)
    progress(done, total)
    for record in _run(missing, Setting(methods, rules, tuple(metrics), engine), opened, jobs):
        if record.key in scored:  # by fewer metrics
            record = replace(record, metrics=scored[record.key].metrics | record.metrics)
        scored[record.key] = record
        if kept is not None:
            kept.append(record)
        done += 1
        progress(done, total)
    return [
        Result(name, scale, method, rules.name, rules.label(scale),
               tuple(scored[keys[name, path, scale][method]] for path in paths))
        for name, paths in sets.items()
        for scale in scales
        for method in opened
    ]  # fmt: skip


def _check_tasks(opened: Mapping[str, Method], rules: Rules) -> None:
    """See that every model was trained for what is scored."""
    task = degradations.TASK_OF[rules.degradation]
    for method in opened.values():
        if isinstance(method, Model) and method.task != task:
            raise BigsharpError(f"{method.name}: its task is {method.task}, and here it is {task}")


def _keys(
    sets: Mapping[str, Sequence[Path]],
    scales: Sequence[float],
    opened: Mapping[str, Method],
    rules: Rules,
) -> dict[tuple[str, Path, float], dict[str, Key]]:
    """What names each score, by method, of every image at every scale; of a set scale by scale."""
    digests = {path: digest_of(path) for paths in sets.values() for path in paths}
    return {
        (data, path, scale): {
            name: (
                data, path.name, digests[path], float(scale), name,
                method.digest(data, path, scale), method.engine, rules.name,
            )
            for name, method in opened.items()
        }
        for data, paths in sets.items()
        for scale in scales
        for path in paths
    }  # fmt: skip


def check(
    data: Mapping[str, Sequence[Path]], strengths: Sequence[float], *, rules: Rules, **settings: Any
) -> None:
    """See that what nothing restored scores what is published: else nothing here can be compared.

    That is bicubic; of noise and JPEG the spoiled pictures themselves, before anything is clipped.

    Parameters
    ----------
    data : mapping of str to sequence of path
        Image sets with their images; what nothing is published of is passed over.
    strengths, rules, settings
        As `benchmark` takes them.

    Raises
    ------
    BigsharpError
        It does not, or nothing is published of these.
    """
    if rules.quality is not None:
        raise BigsharpError("`check`: nothing is published of what went through JPEG")
    if rules.degradation == "bicubic":
        table, name = "benchmark", BICUBIC
        found = benchmark(data, strengths, [name], rules=rules, **settings)
        measured = {(r.data, r.scale): r.mean.psnr for r in found}
    else:
        table, name = degradations.TASK_OF[rules.degradation], INPUT
        measured = {
            (each, strength): _spoiled(each, paths, strength, rules)
            for each, paths in data.items()
            for strength in strengths
            if find(each, strength, name, table)
        }
    entries = {key: find(*key, name, table) for key in measured}
    for (each, strength), value in measured.items():
        entry = entries[each, strength]
        if entry and abs(value - entry.psnr) > _TOLERANCE:
            raise BigsharpError(
                f"{name} scores {value:.2f} dB on {each} at {rules.label(strength)}, and "
                f"{entry.psnr:.2f} is published: images or protocol ({rules.name}) differ"
            )
    if not any(entries.values()):
        raise BigsharpError(f"`check`: no {name} score is published of these")


def _spoiled(data: str, paths: Sequence[Path], strength: float, rules: Rules) -> float:
    """Mean PSNR of the spoiled pictures of a set."""
    cases = (make_case(data, path, strength, rules) for path in paths)
    return fmean(psnr(case.lr.pixels * 255, hr) for case, hr in cases)


def _run(
    missing: list[Missing], setting: Setting, opened: Mapping[str, Method], jobs: int
) -> Iterator[Record]:
    """Records as they come, from this process or from several."""
    jobs = min(jobs, len(missing))
    if jobs <= 1:
        for each in missing:
            yield from _score_image(each, opened, setting)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool = workers.processes(jobs, _open_worker, setting, threads)
    for records in workers.spread(_work, missing, pool):
        yield from records


_worker: dict[str, Any] = {}


def _open_worker(setting: Setting, threads: int) -> None:
    _worker["setting"] = setting
    _worker["opened"] = open_methods(setting.methods, setting.engine, threads)


def _work(missing: Missing) -> list[Record]:
    return list(_score_image(missing, _worker["opened"], _worker["setting"]))


def _score_image(
    missing: Missing, opened: Mapping[str, Method], setting: Setting
) -> Iterator[Record]:
    """Every missing method's score on one image."""
    rules, scale = setting.rules, missing.scale
    case, hr = make_case(missing.data, missing.path, scale, rules)
    for name, key in missing.keys.items():
        method = opened[name]
        began = time.perf_counter()
        restored = method.restore(case)
        seconds = time.perf_counter() - began
        score = protocol.score(restored, hr, scale, rules)
        pair = protocol.comparable(restored, hr, scale, rules)
        try:
            metrics = {name: open_metric(name)(*pair) for name in setting.metrics}
        except ValueError as error:
            raise BigsharpError(f"{missing.path}: {error}") from None
        yield Record(
            *key,
            psnr=score.psnr,
            ssim=score.ssim,
            seconds=round(seconds, 4),
            versions=method.versions,
            metrics=metrics,
        )


def make_case(data: str, path: Path, scale: float, rules: Rules) -> tuple[Case, Any]:
    """One image to restore, and the HR image, float64 in [0, 255], to score against.

    Raises
    ------
    BigsharpError
        The picture is broken, or too small.
    """
    hr = protocol.reference(read(path), rules.colour)
    # Of its own for each image: one for all would shift every score the same way.
    random = np.random.default_rng(zlib.crc32(hr.astype(np.uint8).tobytes()))
    if rules.degradation == "bicubic":
        hr = protocol.crop(hr, scale)
    if min(hr.shape[:2]) < 2 * rules.shaved(scale) + _SMALLEST:
        raise BigsharpError(f"{path}: too small to be scored at {rules.label(scale)}")
    if rules.degradation != "bicubic":
        lr = degradations.DEGRADATIONS[rules.degradation](hr, scale, random)
    else:
        lr = protocol.degrade(hr, scale, rules)
    if rules.quality is not None:
        lr = degradations.jpeg(lr, rules.quality)
    return Case(data, path, scale, Picture(lr / 255), (hr.shape[0], hr.shape[1]), rules.colour), hr
