"""Write the tables of measured scores and speeds into README and docs, from what is kept.

    python tools/tables.py [--check]

A score is the mean over a set's images, of records that were taken with the weights released now; a
set that was not measured with them is a dash. Speeds are kept by `python speed/NAME.py --keep`.
`--check` writes nothing, and fails where text and data differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bigsharp.benchmark import table
from bigsharp.benchmark.methods import INPUT, digest_of_model
from bigsharp.benchmark.published import find, published
from bigsharp.benchmark.records import Record, RecordFile
from bigsharp.benchmark.run import Result
from bigsharp.scoring import protocol
from bigsharp.scoring.sets import SETS

ROOT = Path(__file__).parents[1]
BENCHMARK = ROOT / "docs" / "benchmark"

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
    "drcn-64": "DRCN, 64 filters",
    "vdsr": "VDSR",
}
PUBLISHED = {"srcnn": "SRCNN, published", "vdsr": "VDSR, published"}

#: Methods that are no networks, each before its published row: the table, and the name there.
CLASSIC = {
    "sparse": ("classic", "Zeyde et al."),
    "neighbours": ("classic", "NE+LLE"),
    "aplus": ("benchmark", "A+"),
    "rfl": ("benchmark", "RFL"),
}
SELF = {"glasner": None, "selfex": ("benchmark", "SelfEx")}

#: What a JPEG is enlarged by, in the order of a cell.
PHOTO = ("bicubic", "vdsr", "vdsr-deblock>vdsr")
QUALITIES = (30, 50, 70, 90)

#: What cleans, by its task.
CLEANERS = {"denoise": "vdsr-denoise", "deblock": "vdsr-deblock"}
STRENGTHS = {"denoise": (15, 25, 50), "deblock": (10, 20, 30, 40)}

#: The sets and scales of the slides' table.
TABLE = ("Set5", "Set14", "B100", "Urban100")
SCALES = (2, 3, 4)
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
            cells = [data, f"×{scale}"]
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
            row = [name, f"×{scale}"]
            for method, theirs in methods.items():
                result = measured.result("published", name, scale, method)
                row.append(f"{result.mean.psnr:.2f} / {result.mean.ssim:.4f}" if result else "–")
                if theirs:
                    entry = find(name, scale, theirs[1], theirs[0])
                    row.append(f"{entry.psnr:.2f}" if entry else "–")
            rows.append(row)
    return markdown(head, rows)


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
    return markdown(["Set5", *(f"×{scale}" for scale in SCALES)], rows)


def cleaned(measured: Measured, task: str, data: str) -> str:
    """PSNR of a spoiled set, of what was published of it, and of ours."""
    strengths = STRENGTHS[task]
    rules = protocol.PROTOCOLS[task]
    rows = [["as it comes", *(measured.psnr(task, data, s, INPUT) for s in strengths)]]
    for method in dict.fromkeys(e.method for e in published(task) if e.method != INPUT):
        entries = [find(data, s, method, task) for s in strengths]
        rows.append([f"{method}, published", *(f"{e.psnr:.2f}" if e else "–" for e in entries)])
    ours = CLEANERS[task]
    rows.append([f"`{ours}`", *(measured.psnr(task, data, s, ours) for s in strengths)])
    return markdown([data, *map(rules.label, strengths)], rows)


def photos(measured: Measured) -> str:
    """PSNR of LR images in JPEG, enlarged: by bicubic, by VDSR, and deblocked before."""
    rows = []
    for data in ("Set5", "Set14", "classic5", "B100"):
        for scale in SCALES:
            names = [f"published, LR in JPEG of quality {quality}" for quality in QUALITIES]
            if measured.result(names[0], data, scale, PHOTO[-1]) is None:
                continue
            cells = [measured.psnr(name, data, scale, *PHOTO) for name in names]
            plain = measured.psnr("published", data, scale, *PHOTO[:2])
            rows.append([data, f"×{scale}", *cells, plain])
    return markdown(["", "", *(f"q {quality}" for quality in QUALITIES), "no JPEG"], rows)


def in_rgb(measured: Measured) -> str:
    """PSNR in RGB of spoiled colour pictures, as they come and cleaned."""
    wanted = [(task, s) for task in ("deblock", "denoise") for s in STRENGTHS[task]]
    rows = [
        [data, *(measured.psnr(f"{t}, rgb", data, s, INPUT, CLEANERS[t]) for t, s in wanted)]
        for data in ("Set5", "Set14", "B100")
    ]
    return markdown(["", *(protocol.PROTOCOLS[task].label(s) for task, s in wanted)], rows)


def speeds() -> dict[str, str]:
    """The tables of docs/speed.json, with the machine that each was measured on."""
    kept = json.loads((ROOT / "docs" / "speed.json").read_text(encoding="utf-8"))
    return {
        f"speed of {name}": f"{markdown(t['head'], t['rows'])}\n\nOn {t['machine']}."
        for name, t in kept.items()
    }


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


def kept(name: str) -> str:
    """A table that a tool of this name keeps."""
    table = json.loads((ROOT / "docs" / f"{name}.json").read_text(encoding="utf-8"))
    return markdown(table["head"], table["rows"])


def written() -> dict[Path, str]:
    """What each file should hold."""
    measured = Measured(BENCHMARK / "records.jsonl")
    tables = speeds() | {
        "colours": kept("colours"),
        "passes": kept("passes"),
        "scores": scores(measured),
        "any scale": any_scale(measured),
        "ensemble": ensemble(measured),
        "noise": cleaned(measured, "denoise", "BSD68"),
        "jpeg": cleaned(measured, "deblock", "classic5"),
        "photos": photos(measured),
        "rgb": in_rgb(measured),
        "patches": beside_published(measured, CLASSIC, TABLE),
        "self-examples": beside_published(measured, SELF, TABLE),
    }
    texts = {ROOT / name: filled(ROOT / name, tables) for name in FILES}
    written = "".join(texts.values())
    lost = [name for name in tables if mark(name) not in written]
    assert not lost, f"no file has marks for {lost}"
    rules = protocol.PROTOCOLS["published"]
    results = [
        result
        for data in TABLE
        for scale in SCALES
        for method in MEASURED
        if (result := measured.result("published", data, scale, method))
    ]
    caption = f"protocol {rules.name}: {rules.description}"
    laid_out = table.texts(table.lay_out(results), BENCHMARK, caption)
    return texts | laid_out


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
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
