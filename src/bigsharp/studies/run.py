"""Train what a study compares, and measure it; what is there already is not done again."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bigsharp
from bigsharp.benchmark.report import machine
from bigsharp.errors import BigsharpError
from bigsharp.io.files import write_bytes
from bigsharp.scoring.sets import find_images
from bigsharp.studies import measure
from bigsharp.studies import results as kept
from bigsharp.studies.results import Outcome, Results
from bigsharp.studies.study import TESTED, Study
from bigsharp.training.recipe import Recipe, from_dict

if TYPE_CHECKING:
    from bigsharp.training.loop import Status, Trainer

#: Takes a run's label, its seed and how far it is.
Tell = Callable[[str, int, "Status"], None]


def kept_results(name: str, study: Study, budget: str, folder: Path) -> Results:
    """The outcomes that are kept of the runs that a study names now, in its order.

    Raises
    ------
    BigsharpError
        The file holds something else, or results of another version, study or budget.
    """
    path = kept.path_of(folder, name, budget)
    found = kept.read(path) if path.exists() else Results(name, budget)
    if (found.study, found.budget) != (name, budget):
        raise BigsharpError(f"{path}: holds results of {found.study}, budget {found.budget}")
    by_run = {(outcome.label, outcome.seed): outcome for outcome in found.outcomes}
    there = [
        by_run[key]
        for key, run in study.all_runs(budget).items()
        if key in by_run and _is_of(by_run[key], run, study)
    ]
    return replace(found, outcomes=there)


def _is_of(outcome: Outcome, run: Recipe | str, study: Study) -> bool:
    """Whether an outcome is that of a run as it is meant now; an older recipe lacks newer keys."""
    if outcome.psnr and not set(study.also) <= set(outcome.elsewhere):
        return False
    if isinstance(run, str):
        return outcome.recipe == measure.released(run)
    try:
        return from_dict(outcome.recipe, run.name) == run
    except BigsharpError:
        return False


def missing_runs(study: Study, found: Results) -> dict[tuple[str, int], Recipe | str]:
    """The runs without an outcome."""
    there = {(outcome.label, outcome.seed) for outcome in found.outcomes}
    return {k: run for k, run in study.all_runs(found.budget).items() if k not in there}


def lacking(chosen: Mapping[str, Study], budget: str, folder: Path) -> dict[str, list[Recipe]]:
    """What each of several studies, by name, still has to train."""
    found = {
        name: missing_runs(study, kept_results(name, study, budget, folder))
        for name, study in chosen.items()
    }
    return {
        name: [run for run in runs.values() if isinstance(run, Recipe)]
        for name, runs in found.items()
    }


def find_sets(
    chosen: Mapping[str, Study], budget: str, folder: Path, root: str | Path | None
) -> None:
    """See that the image sets are there of all that is missing.

    Raises
    ------
    BigsharpError
        One is not.
    """
    needed = {TESTED: None}
    for name, recipes in lacking(chosen, budget, folder).items():
        sets = [data for recipe in recipes for data in recipe.data]
        needed |= dict.fromkeys([*sets, *(chosen[name].also if recipes else ())])
    for data in needed:
        find_images(data, root)


class Runner:
    """Trains and measures what a study lacks; each outcome is written when it is there.

    Parameters
    ----------
    runs : Path
        The folder of the runs, a folder each.
    folder : Path
        Of the results.
    device : str
        "cpu", "cuda" …
    root : path, optional
        The folder of the image sets.

    Attributes
    ----------
    stopped : bool
        Whether `stop` was called.
    """

    def __init__(self, runs: Path, folder: Path, device: str, root: str | Path | None) -> None:
        self.runs, self.folder, self.device, self.root = runs, folder, device, root
        self.stopped = False
        self._trainer: Trainer | None = None

    def stop(self) -> None:
        """End after the current step, with a checkpoint."""
        self.stopped = True
        if self._trainer is not None:
            self._trainer.stop = True

    def run(self, study: Study, found: Results, tell: Tell) -> Results:
        """The results with what was missing, or, once stopped, with what there is."""
        order = list(study.all_runs(found.budget))
        found = replace(
            found,
            bicubic=measure.bicubic(study.scales, self.root),
            machine=machine(),
            versions={
                "bigsharp": bigsharp.__version__,
                "torch": version("torch"),
                "python": platform.python_version(),
            },
        )
        for (label, seed), run in missing_runs(study, found).items():
            if isinstance(run, str):
                outcome = Outcome(label, seed, measure.released(run))
            else:
                state = self._train(run, partial(tell, label, seed))
                if self.stopped:
                    break
                outcome = Outcome(label, seed, run.as_dict(), **state)
            outcome = measure.measured(outcome, self.runs, study, self.root)
            outcomes = sorted(
                [*found.outcomes, outcome], key=lambda o: order.index((o.label, o.seed))
            )
            found = replace(found, outcomes=outcomes)
            kept.write(found, self.folder)
        return found

    def _train(self, recipe: Recipe, tell: Callable[[Status], None]) -> dict[str, Any]:
        """Train a run to its end, and say how that went: that it diverged is an outcome, too."""
        from bigsharp.training.loop import Diverged
        from bigsharp.training.queue import Entry, open_run

        entry = Entry(recipe, self.runs / recipe.name, None, math.inf)
        self._trainer = open_run(entry, self.root, self.device)
        if self._trainer is not None:
            self._trainer.stop = self.stopped
            try:
                self._trainer.train(tell)
            except Diverged as error:
                return _state(vars(self._trainer) | {"log": self._trainer.log.rows}, str(error))
            finally:
                self._trainer = None
        return _state(entry.reached() or {})


def _state(reached: dict[str, Any], diverged: str = "") -> dict[str, Any]:
    """What an outcome says of how training went."""
    return {
        "steps": reached.get("step", 0),
        "seconds": reached.get("seconds", 0.0),
        "curve": reached.get("log", []),
        "diverged": diverged,
    }


def estimate(runs: Iterable[Recipe | str], folder: Path, device: str) -> float:
    """Seconds that runs will take here, by a few steps of each kind of network, without images."""
    from bigsharp.training.queue import Entry

    seconds = 0.0
    known: dict[str, float] = {}
    for run in runs:
        if isinstance(run, str):
            continue
        reached = Entry(run, folder / run.name, None, math.inf).reached() or {"step": 0}
        kind = json.dumps([run.architecture, run.options, run.batch, run.patch, run.optimizer])
        if kind not in known:
            known[kind] = measure.seconds_a_step(run, device)
        seconds += known[kind] * max(0, run.steps - reached["step"])
    return seconds


def leave_to_queue(
    chosen: Mapping[str, Study],
    budget: str,
    folder: Path,
    runs: Path,
    device: str,
    root: str | Path | None,
) -> tuple[Path, int, float] | None:
    """Have a process of its own train all that is missing of several studies, by `bigsharp queue`.

    Parameters
    ----------
    chosen : mapping of str to Study
    budget : str
    folder : Path
        Of the results.
    runs : Path
        The folder of the runs, in which the queue's file lies, too.
    device, root
        As `bigsharp.training.queue.start` takes them.

    Returns
    -------
    (Path, int, float), optional
        The queue's file, the process's number, and about how many seconds it will take; None where
        nothing is missing.

    Raises
    ------
    BigsharpError
        One works through that queue already.
    """
    from bigsharp.training import queue
    from bigsharp.training.loop import choose_device

    missing = [run for several in lacking(chosen, budget, folder).values() for run in several]
    if not missing:
        return None
    file = runs / f"{'all' if len(chosen) > 1 else next(iter(chosen))}-{budget}.toml"
    write_queue(missing, file)
    seconds = estimate(missing, runs, choose_device(device))
    return file, queue.start(file, device, root), seconds


def write_queue(runs: Iterable[Recipe | str], file: Path) -> None:
    """Write runs as a file for `bigsharp queue`, beside it their recipes."""
    defaults = {entry.name: entry.default for entry in fields(Recipe)}
    lines = []
    # Several studies may need the same run.
    for run in {run.name: run for run in runs if isinstance(run, Recipe)}.values():
        told = {key: v for key, v in run.as_dict().items() if v != defaults[key]}
        text = "".join(f"{key} = {_toml(value)}\n" for key, value in told.items())
        write_bytes(file.with_name(f"{run.name}.toml"), text.encode())
        lines += ["[[run]]", f'recipe = "{run.name}.toml"']
    write_bytes(file, ("\n".join(lines) + "\n").encode())


def _toml(value: Any) -> str:
    """A recipe's value as TOML, which writes all but tables as JSON does."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(v)}' for key, v in value.items())} }}"
    return json.dumps(value)
