"""Write the tables of measured scores into the README and docs/benchmark, from the kept records.

    python tools/tables.py [--check]

A cell is the mean over a set's images, of records that were taken with the weights released now; a
set that was not measured with them is a dash. `--check` writes nothing, and fails where text and
data differ.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
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


def any_scale(measured: Measured) -> str:
    """PSNR of VDSR at whole and broken scales, beside bicubic."""
    rows = [
        [MEASURED[method], *(measured.psnr("published", "Set5", s, method) for s in ANY_SCALE)]
        for method in ("bicubic", "vdsr")
    ]
    return markdown(["Set5", *(f"×{scale:g}" for scale in ANY_SCALE)], rows)


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


def written() -> dict[Path, str]:
    """What each file should hold."""
    measured = Measured(BENCHMARK / "records.jsonl")
    tables = {
        "scores": scores(measured),
        "any scale": any_scale(measured),
        "noise": cleaned(measured, "denoise", "BSD68"),
        "jpeg": cleaned(measured, "deblock", "classic5"),
        "photos": photos(measured),
        "rgb": in_rgb(measured),
    }
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, text in tables.items():
        begin, end = f"<!-- {name}: made by tools/tables.py -->", f"<!-- end of {name} -->"
        before, rest = readme.split(begin)
        _, after = rest.split(end)
        readme = f"{before}{begin}\n{text}\n{end}{after}"
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
    return {ROOT / "README.md": readme} | laid_out


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
