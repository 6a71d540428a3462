"""docs/studies.md: every study's plot beside the slide's claim, and whether it held."""

from __future__ import annotations

from pathlib import Path

from bigsharp.studies import NAMES, load
from bigsharp.studies import results as kept
from bigsharp.studies.draw import circumstances
from bigsharp.studies.results import Results
from bigsharp.studies.run import kept_results, missing_runs
from bigsharp.studies.study import BUDGETS, Study

_HEAD = """# The slides' studies, made anew

Made by `bigsharp study --all --plot` from the results beside the figures. The small budget is for
a CPU: fewer filters, steps and patches than the papers', so its decibels are lower, and what is
compared is how they differ. `bigsharp study NAME --budget paper` trains as the papers do, on a GPU.
Everything is scored on Set5, on luma, under the published protocol; a checkpoint is the best on
held-out training images. The recipes and curves of all runs are in the JSON file beside a figure.
"""


def whole(name: str, study: Study, folder: Path) -> list[Results]:
    """The results of a study that are there, a budget each; budgets begun and not ended are not."""
    found = []
    for budget in BUDGETS:
        if kept.path_of(folder, name, budget).exists():
            results = kept_results(name, study, budget, folder)
            found += [] if missing_runs(study, results) else [results]
    return found


def page(folder: Path) -> str:
    """The page for the results in a folder, which lies beside it."""
    table = ["| study | budget | the claim |", "|---|---|---|"]
    sections, missing = [], []
    for name in NAMES:
        study = load(name)
        found = whole(name, study, folder)
        if not found:
            missing.append(name)
        for results in found:
            row = f"| [{name}](#{name}) | {results.budget} | {study.judge(results).held} |"
            table.append(row)
        if found:
            sections.append(_section(name, study, found, folder))
    left = ""
    if missing:
        left = f"\nNot run yet: {', '.join(f'`bigsharp study {name}`' for name in missing)}.\n"
    return "\n".join([_HEAD, *table, left, *sections])


def _section(name: str, study: Study, several: list[Results], folder: Path) -> str:
    lines = [f"## {name}\n", f"The slides: “{study.claim}”\n"]
    for results in several:
        verdict = study.judge(results)
        file = kept.path_of(Path(folder.name), name, results.budget)
        lines += [
            f"![{study.title}]({file.with_suffix('.png')})\n",
            f"**{verdict.held.capitalize()}.** {verdict.why}\n",
        ]
        lines += [f"{study.note}\n"] if study.note else []
        lines.append(_origin(name, results, file))
    return "\n".join(lines)


def _origin(name: str, results: Results, file: Path) -> str:
    """The command, how long it took and on what."""
    seconds = sum(outcome.seconds for outcome in results.outcomes)
    trained = f", {seconds / 60:.0f} minutes of training on {results.machine}" if seconds else ""
    return (
        f"`bigsharp study {name} --budget {results.budget}`: {circumstances(results)}{trained} "
        f"([data]({file})).\n"
    )
