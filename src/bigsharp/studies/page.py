"""docs/studies.md, and one HTML page: every plot beside the slide's claim, and whether it held."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from statistics import fmean

from bigsharp.benchmark.report import embedded, rendered
from bigsharp.errors import BigsharpError
from bigsharp.io.files import write_bytes
from bigsharp.studies import NAMES, draw, load
from bigsharp.studies import results as kept
from bigsharp.studies.draw import circumstances
from bigsharp.studies.results import Results
from bigsharp.studies.run import kept_results
from bigsharp.studies.study import BUDGETS, LONGER, WIDER, Pair, Study, Verdict, by_scale

_HEAD = """# The slides' studies, made anew

Made by `bigsharp study --all --plot` from the results beside the figures. The small budget is for
a CPU: fewer filters, steps and patches than the papers', so its decibels are lower, and what is
compared is how they differ. `bigsharp study NAME --budget paper` trains as the papers do, on a GPU.
Scores are those on Set5, on luma, under the published protocol; a checkpoint is the best on
held-out training images. The recipes and curves of all runs are in the JSON file beside a figure.
Times of the small budget were taken beside other work.
"""


@dataclass(frozen=True)
class Section:
    """A study's results under one budget, as a page shows them."""

    name: str
    study: Study
    results: Results

    def figure(self, folder: Path) -> Path:
        """Where its figure lies, as PNG."""
        return kept.path_of(folder, self.name, self.results.budget).with_suffix(".png")

    @property
    def verdict(self) -> Verdict:
        """Whether the claim held."""
        return self.study.judge(self.results)

    @property
    def doubts(self) -> list[str]:
        """Whether it did not hold for lack of training, or of filters, where that was tried."""
        if self.verdict.held == "held":
            return []
        tried = [
            self._tried(self.study.longer, LONGER, "training", "Three times as long"),
            self._tried(self.study.wider, WIDER, "filters", "With twice as many"),
        ]
        return [sentence for sentence in tried if sentence]

    def _tried(self, pairs: tuple[Pair, ...], ending: str, lack: str, how: str) -> str:
        there = self.results.labels
        pairs = tuple(p for p in pairs if p.less + ending in there and p.more + ending in there)
        before = [pair.gains(self.results) for pair in pairs]
        after = [pair.gains(self.results, ending) for pair in pairs]
        told = "; ".join(
            f"{pair.more} against {pair.less}: {by_scale(now)} (before: {by_scale(then)})"
            for pair, then, now in zip(pairs, before, after, strict=True)
        )
        lacked = [
            (then[scale], now[scale])
            for then, now in zip(before, after, strict=True)
            for scale in then
            if not then[scale] > 0
        ]
        return f"Is it for lack of {lack}? {_answer(lacked)}. {how}, {told}." if lacked else ""

    @property
    def table(self) -> list[list[str]]:
        """The rows of a study's table, if it has one; the first is the head."""
        return [list(row) for row in self.study.table(self.results)] if self.study.table else []

    @property
    def origin(self) -> str:
        """How large the runs were, how long they took and on what."""
        seconds = sum(outcome.seconds for outcome in self.results.outcomes)
        trained = f", {seconds / 60:.0f} minutes of training on {self.results.machine}"
        return circumstances(self.study, self.results) + (trained if seconds else "")

    @property
    def scores(self) -> list[tuple[str, ...]]:
        """A row a label: PSNR at each scale."""
        return [
            (label, *(f"{self.results.psnr(label, s):.2f}" for s in self.study.scales))
            for label in self.results.labels
        ]


def _answer(lacked: list[tuple[float, float]]) -> str:
    """Whether longer training turns what was lacking before into a gain, or halves it."""
    if all(now > 0 for _, now in lacked):
        return "Yes"
    then, now = (fmean(several) for several in zip(*lacked, strict=True))
    return "In part" if now > then / 2 else "No"


def whole(name: str, study: Study, folder: Path) -> list[Results]:
    """The results of a study that compare all it names, with one seed at least; a budget each."""
    found = []
    for budget in BUDGETS:
        if kept.path_of(folder, name, budget).exists():
            results = kept_results(name, study, budget, folder)
            found += [results] if set(study.runs(budget)) <= set(results.labels) else []
    return found


def sections(folder: Path) -> list[Section]:
    """What the results in a folder show, in the order of the slides."""
    return [
        Section(name, study, results)
        for name in NAMES
        for study in [load(name)]
        for results in whole(name, study, folder)
    ]


def page(folder: Path) -> str:
    """The page in Markdown; it lies beside the folder of the results."""
    shown = sections(folder)
    rows = [f"| [{s.name}](#{s.name}) | {s.results.budget} | {s.verdict.held} |" for s in shown]
    missing = [name for name in NAMES if name not in {section.name for section in shown}]
    left = ", ".join(f"`bigsharp study {name}`" for name in missing)
    return "\n".join(
        [
            _HEAD,
            "| study | budget | the claim |",
            "|---|---|---|",
            *rows,
            f"\nNot run yet: {left}.\n" if missing else "",
            *(_markdown(section, folder) for section in shown),
        ]
    )


def _markdown(section: Section, folder: Path) -> str:
    study, results, verdict = section.study, section.results, section.verdict
    file = kept.path_of(Path(folder.name), section.name, results.budget)
    head, *rows = section.table or [[]]
    table = [head, ["---"] * len(head), *rows] if rows else []
    return "\n\n".join(
        [
            f"## {section.name}",
            f"The slides: “{study.claim}”",
            f"![{study.title}]({file.with_suffix('.png')})",
            f"**{verdict.held.capitalize()}.** {verdict.why}",
            *section.doubts,
            *filter(None, [study.note]),
            *filter(None, ["\n".join(f"| {' | '.join(row)} |" for row in table)]),
            f"`bigsharp study {section.name} --budget {results.budget}`: {section.origin} "
            f"([data]({file})).\n",
        ]
    )


def html(folder: Path) -> str:
    """The page in HTML, with the figures inside it; they must have been drawn."""
    shown = [(each, embedded(each.figure(folder).read_bytes())) for each in sections(folder)]
    return rendered(resources.files(__package__) / "page.html", sections=shown)


def publish(names: Collection[str], budget: str, folder: Path) -> tuple[list[Path], str]:
    """Draw the studies that have all their results, and write the pages of all that are there.

    Parameters
    ----------
    names : collection of str
        Of studies to draw.
    budget : str
        Under which they are meant; the pages show those of other budgets, too.
    folder : Path
        Of the results and the figures; the pages lie beside it.

    Returns
    -------
    files : list of Path
        The figures drawn, with their data, and the pages.
    lacking : str
        Which of the studies lack results, in a line; empty where none does.

    Raises
    ------
    BigsharpError
        All of them do.
    """
    shown = sections(folder)
    there = {section.name for section in shown if section.results.budget == budget}
    missing = [name for name in names if name not in there]
    option = "" if budget == "small" else f" --budget {budget}"
    lacking = (
        f"{folder}: no whole results of {', '.join(missing)}; `bigsharp study NAME{option}` makes "
        "them"
    )
    if len(missing) == len(names):
        raise BigsharpError(lacking)
    drawn = [
        file
        for section in shown
        # The pages show the others, too.
        if section.name in names or not section.figure(folder).exists()
        for file in draw.save(section.study, section.results, folder)
    ]
    for kind, text in (("md", page(folder)), ("html", html(folder))):
        drawn.append(folder.with_name(f"{folder.name}.{kind}"))
        write_bytes(drawn[-1], text.encode())
    return drawn, lacking if missing else ""
