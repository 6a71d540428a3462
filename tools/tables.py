"""Write the tables of measured scores and speeds into README and docs, from what is kept.

    python tools/tables.py [--check]

A score is the mean over a set's images, of records that were taken with the weights released now; a
set that was not measured with them is a dash. The other tables are kept by `python speed/NAME.py
--keep`, with digests of the weights that they were measured with. `--check` writes nothing, and
fails where text and data differ, or such a table is of other weights than those released now.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bigsharp import weights
from bigsharp.benchmark import table
from bigsharp.benchmark.methods import INPUT, digest_of_model
from bigsharp.benchmark.published import find, published
from bigsharp.benchmark.records import Record, RecordFile
from bigsharp.benchmark.run import Result
from bigsharp.benchmark.tasks import BENCHMARKS, Benchmark
from bigsharp.restoration.restorer import BICUBIC
from bigsharp.scoring.sets import SETS

ROOT = Path(__file__).parents[1]
BENCHMARK = ROOT / "docs" / "benchmark"
WEIGHTS = ROOT / "src" / "bigsharp" / "weights"

#: What holds tables between marks.
FILES = (
    "README.md",
    "docs/classic.md",
    "docs/engine.md",
    "docs/experiments.md",
    "docs/training.md",
)

#: Columns: a method, and what heads it.
MEASURED = {
    "bicubic": "bicubic",
    "aplus": "A+",
    "rfl": "RFL",
    "selfex": "SelfEx",
    "srcnn": "SRCNN 9-5-5",
    "drcn": "DRCN",
    "vdsr": "VDSR",
}
PUBLISHED = {
    "srcnn": "SRCNN, published",
    "drcn": "DRCN, published",
    "vdsr": "VDSR, published",
}

#: Methods that are no networks, each before its published row: the table, and the name there.
CLASSIC = {
    "sparse": ("classic", "Zeyde et al."),
    "neighbours": ("classic", "NE+LLE"),
    "aplus": ("benchmark", "A+"),
    "rfl": ("benchmark", "RFL"),
}
SELF = {"glasner": None, "selfex": ("benchmark", "SelfEx")}

#: Sets and scales of the slides' table.
TABLE = tuple(dict.fromkeys(entry.dataset for entry in published()))
SCALES = BENCHMARKS["upscale"].strengths

#: The sets of colour pictures that are cleaned.
IN_RGB = ("Set5", "Set14", "B100")
ANY_SCALE = (1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 8)


class Measured:
    """The means over whole sets, measured with the weights released now."""

    def __init__(self, file: Path) -> None:
        self._groups: dict[tuple[str, str, float, str], list[Record]] = {}
        digests: dict[str, str] = {INPUT: ""}
        for record in RecordFile(file).records.values():
            if record.method not in digests:
                digests[record.method] = digest_of_model(record.method)
            if record.weights == digests[record.method]:
                key = (record.protocol, record.data, record.scale, record.method)
                self._groups.setdefault(key, []).append(record)

    def result(self, name: str, data: str, strength: float, method: str) -> Result | None:
        """Of a protocol's name, a set, a scale (or σ, or quality) and a method."""
        records = self._groups.get((name, data, float(strength), method), [])
        if len(records) != SETS[data].images:
            return None
        return Result(data, strength, method, name, f"×{strength:g}", tuple(records))

    def psnr(self, name: str, data: str, strength: float, *methods: str) -> str:
        """Of several methods, the best in bold; a dash where there is none."""
        found = [self.result(name, data, strength, method) for method in methods]
        rounded = [f"{result.mean.psnr:.2f}" if result else "–" for result in found]
        best = max(rounded, key=lambda text: -1.0 if text == "–" else float(text))
        several = len(methods) > 1
        return " / ".join(
            f"**{text}**" if several and text == best != "–" else text for text in rounded
        )


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; of cells alike in its first column, the first is named."""
    lines = [list(head), ["---"] * len(head)]
    for before, row in zip([[""], *rows], rows, strict=False):
        lines.append(["" if row[0] == before[0] else row[0], *row[1:]])
    return "\n".join(f"|{'|'.join(f' {c} ' if c else ' ' for c in line)}|" for line in lines)


def scores(measured: Measured) -> str:
    """PSNR and SSIM of every method, the best in bold, published PSNR beside."""
    rows = []
    for data in TABLE:
        for scale in SCALES:
            found = [measured.result("published", data, scale, method) for method in MEASURED]
            best = max(round(result.mean.psnr, 2) for result in found if result)
            cells = [data, f"×{scale:g}"]
            for result in found:
                text = f"{result.mean.psnr:.2f} / {result.mean.ssim:.4f}" if result else "–"
                wins = result and round(result.mean.psnr, 2) == best
                cells.append(f"**{text}**" if wins else text)
            entries = [find(data, scale, method) for method in PUBLISHED]
            rows.append([*cells, *(f"{entry.psnr:.2f}" if entry else "–" for entry in entries)])
    return markdown(["", "", *MEASURED.values(), *PUBLISHED.values()], rows)


def beside_published(
    measured: Measured, methods: Mapping[str, tuple[str, str] | None], data: Sequence[str]
) -> str:
    """PSNR and SSIM of methods, behind each the PSNR that is published of it."""
    head = ["", ""]
    for method, theirs in methods.items():
        head += [method, f"{theirs[1]}, published"] if theirs else [method]
    rows = []
    for name in data:
        for scale in SCALES:
            row = [name, f"×{scale:g}"]
            for method, theirs in methods.items():
                result = measured.result("published", name, scale, method)
                row.append(f"{result.mean.psnr:.2f} / {result.mean.ssim:.4f}" if result else "–")
                if theirs:
                    entry = find(name, scale, theirs[1], theirs[0])
                    row.append(f"{entry.psnr:.2f}" if entry else "–")
            rows.append(row)
    return markdown(head, rows)


def cards(measured: Measured) -> dict[Path, str]:
    """The cards of what enlarges, with what it scores on sets measured whole."""
    families = {name: family for family, names in weights.families().items() for name in names}
    texts = {}
    for name in weights.cards():
        card = weights.card(name)
        if card.get("task", "upscale") != "upscale":
            continue
        scales = [float(s) for s in SCALES if name not in families or name.endswith(f"-x{s}")]
        rows = [
            ours.beside(plain)
            for data in TABLE
            for scale in scales
            if (ours := measured.result("published", data, scale, families.get(name, name)))
            and (plain := measured.result("published", data, scale, BICUBIC))
        ]
        text = json.dumps(card | {"measured": rows}, indent=1, ensure_ascii=False)
        texts[WEIGHTS / f"{name}.json"] = text + "\n"
    return texts


def any_scale(measured: Measured) -> str:
    """PSNR of VDSR at whole and broken scales, beside bicubic."""
    rows = [
        [MEASURED[method], *(measured.psnr("published", "Set5", s, method) for s in ANY_SCALE)]
        for method in ("bicubic", "vdsr")
    ]
    return markdown(["Set5", *(f"×{scale:g}" for scale in ANY_SCALE)], rows)


def ensemble(measured: Measured) -> str:
    """PSNR of VDSR, and of the mean over turns and mirrorings."""
    rows = [
        [f"`{method}`", *(measured.psnr("published", "Set5", s, method) for s in SCALES)]
        for method in ("vdsr", "vdsr+")
    ]
    return markdown(["Set5", *(f"×{scale:g}" for scale in SCALES)], rows)


def cleaned(measured: Measured, task: Benchmark) -> str:
    """PSNR of a spoiled set, of what was published of it, and of ours."""
    (data,), (rules,), strengths, ours = task.data, task.rules, task.strengths, task.methods[-1]
    rows = [["as it comes", *(measured.psnr(rules.name, data, s, INPUT) for s in strengths)]]
    for method in dict.fromkeys(e.method for e in published(task.published) if e.method != INPUT):
        entries = [find(data, s, method, task.published) for s in strengths]
        rows.append([f"{method}, published", *(f"{e.psnr:.2f}" if e else "–" for e in entries)])
    rows.append([f"`{ours}`", *(measured.psnr(rules.name, data, s, ours) for s in strengths)])
    return markdown([data, *map(rules.label, strengths)], rows)


def photos(measured: Measured) -> str:
    """PSNR of LR images in JPEG, enlarged: by bicubic, by VDSR, and deblocked before."""
    task = BENCHMARKS["photo"]
    rows = []
    for data in task.data:
        for scale in task.strengths:
            if measured.result(task.rules[0].name, data, scale, task.methods[-1]) is None:
                continue
            cells = [measured.psnr(rules.name, data, scale, *task.methods) for rules in task.rules]
            plain = measured.psnr("published", data, scale, *BENCHMARKS["upscale"].methods)
            rows.append([data, f"×{scale:g}", *cells, plain])
    return markdown(["", "", *(f"q {quality}" for quality in task.qualities), "no JPEG"], rows)


def in_rgb(measured: Measured) -> str:
    """PSNR in RGB of spoiled colour pictures, as they come and cleaned."""
    tasks = [BENCHMARKS[name].changed(colour="rgb") for name in ("deblock", "denoise")]
    wanted = [(t.rules[0], s, t.methods) for t in tasks for s in t.strengths]
    rows = [
        [data, *(measured.psnr(rules.name, data, s, *methods) for rules, s, methods in wanted)]
        for data in IN_RGB
    ]
    return markdown(["", *(rules.label(strength) for rules, strength, _ in wanted)], rows)


def kept() -> dict[str, Any]:
    """The tables of docs/speed.json by name, each with what it was measured on and with."""
    return json.loads((ROOT / "docs" / "speed.json").read_text(encoding="utf-8"))


def outdated(tables: Mapping[str, Any]) -> list[str]:
    """A line for each of `kept` that was measured with other weights than those released now."""
    return [
        f"docs/speed.json: {name} was measured with other weights of {model}"
        for name, table in tables.items()
        for model, digest in table["weights"].items()
        if digest_of_model(model) != digest
    ]


def mark(name: str) -> str:
    """What stands before a table."""
    return f"<!-- {name}: made by tools/tables.py -->"


def filled(file: Path, tables: Mapping[str, str]) -> str:
    """A file's text with the tables that it has marks for between those."""
    content = file.read_text(encoding="utf-8")
    for name, text in tables.items():
        begin, end = mark(name), f"<!-- end of {name} -->"
        if begin not in content:
            continue
        before, rest = content.split(begin)
        _, after = rest.split(end)
        content = f"{before}{begin}\n{text}\n{end}{after}"
    return content


def written() -> dict[Path, str]:
    """What each file should hold."""
    measured = Measured(BENCHMARK / "records.jsonl")
    speeds = {
        name: f"{markdown(each['head'], each['rows'])}\n\nOn {each['machine']}."
        for name, each in kept().items()
    }
    tables = speeds | {
        "scores": scores(measured),
        "any scale": any_scale(measured),
        "ensemble": ensemble(measured),
        "noise": cleaned(measured, BENCHMARKS["denoise"]),
        "jpeg": cleaned(measured, BENCHMARKS["deblock"]),
        "photos": photos(measured),
        "rgb": in_rgb(measured),
        "patches": beside_published(measured, CLASSIC, TABLE),
        "self-examples": beside_published(measured, SELF, TABLE),
    }
    texts = {ROOT / name: filled(ROOT / name, tables) for name in FILES}
    written = "".join(texts.values())
    lost = [name for name in tables if mark(name) not in written]
    assert not lost, f"no file has marks for {lost}"
    results = [
        result
        for data in TABLE
        for scale in SCALES
        for method in MEASURED
        if (result := measured.result("published", data, scale, method))
    ]
    laid_out = table.texts(table.lay_out(results), BENCHMARK, BENCHMARKS["upscale"].note)
    return texts | cards(measured) | laid_out


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for file, text in written().items():
        if file.read_text(encoding="utf-8") != text:
            stale.append(file.relative_to(ROOT))
            if not check:
                file.write_text(text, encoding="utf-8")
    for file in stale:
        print(f"{file}: {'differs from the records' if check else 'written anew'}")
    old = outdated(kept())
    print(*old, sep="\n", end="\n" if old else "")
    return 1 if check and (stale or old) else 0


if __name__ == "__main__":
    sys.exit(main())
