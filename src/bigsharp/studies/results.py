"""What studies have measured, kept as one JSON file a study and budget."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from math import nan
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from bigsharp.errors import BigsharpError
from bigsharp.io.files import write_bytes

#: Of the file's layout and of what is measured: results of two versions are not comparable.
VERSION = 1


@dataclass(frozen=True)
class Outcome:
    """One run: what was trained, how that went, and what it scores.

    Attributes
    ----------
    label : str
        What is compared: the study's name for it.
    seed : int
    recipe : dict
        All keys of the recipe; of a released model, its digest.
    parameters, receptive_field : int
    steps : int
        Trained.
    seconds : float
        That took so long.
    curve : list of dict
        The validations on held-out images, as in ``log.csv``.
    psnr : dict of str to float
        In dB on the test set, by scale; empty where no checkpoint was good.
    elsewhere : dict of str to dict of str to float
        The same on further sets, by their names.
    predictions : dict of str to list of float
        The same of each recursion's own prediction, of a DRCN that supervises them.
    weights : list of float
        What the recursions' predictions count in the output; they add up to 1.
    gradients : dict of str to list of float
        Norm of the loss's gradient at each recursion's state, at the "start" and at the "best"
        checkpoint.
    diverged : str
        Why training ended early; empty where it did not.
    """

    label: str
    seed: int
    recipe: dict[str, Any]
    parameters: int = 0
    receptive_field: int = 0
    steps: int = 0
    seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)
    psnr: dict[str, float] = field(default_factory=dict)
    elsewhere: dict[str, dict[str, float]] = field(default_factory=dict)
    predictions: dict[str, list[float]] = field(default_factory=dict)
    weights: list[float] = field(default_factory=list)
    gradients: dict[str, list[float]] = field(default_factory=dict)
    diverged: str = ""


@dataclass(frozen=True)
class Results:
    """A study's outcomes under one budget.

    Attributes
    ----------
    study, budget : str
    bicubic : dict of str to float
        PSNR of the ILR images of the test set, by scale.
    machine : str
        That trained; `machine` and `versions` are of the latest run.
    versions : dict of str to str
    outcomes : list of Outcome
    """

    study: str
    budget: str
    bicubic: dict[str, float] = field(default_factory=dict)
    machine: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)

    def of(self, label: str) -> list[Outcome]:
        """The outcomes of one label, a seed each."""
        return [outcome for outcome in self.outcomes if outcome.label == label]

    def first(self, label: str) -> Outcome:
        """The outcome of one label with the first seed."""
        return self.of(label)[0]

    def psnr(self, label: str, scale: float, data: str = "") -> float:
        """Mean over the seeds, in dB, on the test set or another that was tested on, too.

        Of a network that never gave a checkpoint it is not a number.
        """
        scores = [o.elsewhere.get(data, {}) if data else o.psnr for o in self.of(label)]
        found = [psnr[f"{scale:g}"] for psnr in scores if psnr]
        return fmean(found) if found else nan

    def spread(self, label: str, scale: float) -> float:
        """Standard deviation over the seeds, in dB; of one seed, 0."""
        found = [o.psnr[f"{scale:g}"] for o in self.of(label) if o.psnr]
        return stdev(found) if len(found) > 1 else 0.0

    def noise(self, scales: Iterable[float]) -> float:
        """The largest such spread of all labels."""
        return max(self.spread(label, scale) for label in self.labels for scale in scales)

    @property
    def labels(self) -> list[str]:
        """What is compared, in order."""
        return list(dict.fromkeys(outcome.label for outcome in self.outcomes))


def path_of(folder: Path, study: str, budget: str) -> Path:
    """Where the results of a study lie; its figures have the same name."""
    return folder / f"{study}-{budget}.json"


def read(path: Path) -> Results:
    """Read results.

    Raises
    ------
    BigsharpError
        The file cannot be read, holds something else, or is of another version.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BigsharpError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise BigsharpError(f"{path}: holds no results of a study") from None
    version = values.pop("version", None) if isinstance(values, dict) else None
    if version is True or version != VERSION:
        raise BigsharpError(
            f"{path}: results of version {version}, where this bigsharp knows {VERSION}; they "
            "cannot be mixed: move the file away"
        )
    try:
        outcomes = [Outcome(**outcome) for outcome in values.pop("outcomes")]
        results = Results(**values, outcomes=outcomes)
        # Whatever is drawn or judged is in it: what that cannot take is found here.
        table(results)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BigsharpError(f"{path}: holds no results of a study") from None
    return results


def write(results: Results, folder: Path) -> None:
    """Write results whole or not at all; an outcome is a line."""
    head = {k.name: getattr(results, k.name) for k in fields(Results) if k.name != "outcomes"}
    lines = ",\n".join(json.dumps(_short(asdict(o)), ensure_ascii=False) for o in results.outcomes)
    top = json.dumps({"version": VERSION} | head, ensure_ascii=False)
    text = f'{top[:-1]}, "outcomes": [\n{lines}\n]}}\n'
    path = path_of(folder, results.study, results.budget)
    write_bytes(path, text.encode())


def _short(value: Any) -> Any:
    """The same with numbers of six digits, which is more than their noise."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _short(v) for key, v in value.items()}
    return [_short(v) for v in value] if isinstance(value, list | tuple) else value


def table(results: Results) -> str:
    """All that is drawn, as CSV: a PSNR (or another value) a row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "seed", "what", "step", "seconds", "scale", "value"])
    for scale, psnr in results.bicubic.items():
        writer.writerow(["bicubic", "", "psnr", "", "", scale, psnr])
    for outcome in results.outcomes:
        for row in _rows(outcome):
            writer.writerow([outcome.label, outcome.seed, *row])
    return text.getvalue()


def _rows(outcome: Outcome) -> Iterator[tuple[Any, ...]]:
    yield "parameters", "", "", "", outcome.parameters
    yield "receptive field", "", "", "", outcome.receptive_field
    for scale, psnr in outcome.psnr.items():
        yield "psnr", outcome.steps, outcome.seconds, scale, psnr
    for data, several in outcome.elsewhere.items():
        for scale, psnr in several.items():
            yield f"psnr on {data}", outcome.steps, outcome.seconds, scale, psnr
    for point in outcome.curve:
        for key, value in point.items():
            if key.startswith("psnr_x"):
                at = point["step"], point["seconds"]
                yield "held-out psnr", *at, key.removeprefix("psnr_x"), value
    for scale, recursions in outcome.predictions.items():
        for number, value in enumerate(recursions, 1):
            yield f"psnr of recursion {number}", outcome.steps, outcome.seconds, scale, value
    for number, value in enumerate(outcome.weights, 1):
        yield f"weight of recursion {number}", outcome.steps, outcome.seconds, "", value
    for when, norms in outcome.gradients.items():
        for number, value in enumerate(norms, 1):
            yield f"gradient at recursion {number}, {when}", "", "", "", value
