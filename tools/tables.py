"""Write the tables of measured scores into the README and docs/benchmark, from the kept records.

    python tools/tables.py [--check]

A cell is the mean over a set's images, of records that were taken with the weights released now; a
set that was not measured with them is a dash. `--check` writes nothing, and fails where text and
data differ.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bigsharp.benchmark import table
from bigsharp.benchmark.methods import digest_of
from bigsharp.benchmark.published import find
from bigsharp.benchmark.records import Record, RecordFile
from bigsharp.benchmark.run import Result
from bigsharp.restoration.models import UNTRAINED
from bigsharp.scoring import protocol
from bigsharp.scoring.sets import SETS
from bigsharp.weights import families, path
from bigsharp.weights.file import SUFFIX

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

BEGIN, END = "<!-- scores: made by tools/tables.py -->", "<!-- end of scores -->"


def released(method: str) -> str:
    """The digest that records of the weights released now carry."""
    if method in UNTRAINED:
        return ""
    return digest_of(*(path(name, SUFFIX) for name in families().get(method, [method])))


def results() -> list[Result]:
    """Every set and scale that is measured whole with the weights released now."""
    digests = {method: released(method) for method in MEASURED}
    groups: dict[tuple[str, float, str], list[Record]] = {}
    for record in RecordFile(BENCHMARK / "records.jsonl").records.values():
        if digests.get(record.method) == record.weights:
            groups.setdefault((record.data, record.scale, record.method), []).append(record)
    return [
        Result(data, scale, method, "published", f"×{scale:g}", tuple(groups[data, scale, method]))
        for data in ("Set5", "Set14", "B100", "Urban100")
        for scale in (2.0, 3.0, 4.0)
        for method in MEASURED
        if len(groups.get((data, scale, method), ())) == SETS[data].images
    ]


def markdown(measured: list[Result]) -> str:
    """The README's table: PSNR and SSIM, the best in bold, published PSNR beside."""
    means = {(r.data, r.scale, r.method): r.mean for r in measured}
    heads = [*MEASURED.values(), *PUBLISHED.values()]
    lines = [f"| | | {' | '.join(heads)} |", "|---" * (2 + len(heads)) + "|"]
    for data, scale in dict.fromkeys((r.data, r.scale) for r in measured):
        scores = {m: means.get((data, scale, m)) for m in MEASURED}
        best = max(round(score.psnr, 2) for score in scores.values() if score)
        cells = [data if scale == 2 else "", f"×{scale:g}"]
        for score in scores.values():
            text = f"{score.psnr:.2f} / {score.ssim:.4f}" if score else "–"
            cells.append(f"**{text}**" if score and round(score.psnr, 2) == best else text)
        entries = [find(data, scale, method) for method in PUBLISHED]
        cells += [f"{entry.psnr:.2f}" if entry else "–" for entry in entries]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines).replace("|  |", "| |")


def written(measured: list[Result]) -> dict[Path, str]:
    """What each file should hold."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    files = {ROOT / "README.md": f"{before}{BEGIN}\n{markdown(measured)}\n{END}{after}"}
    rules = protocol.PROTOCOLS["published"]
    caption = f"protocol {rules.name}: {rules.description}"
    return files | table.texts(table.lay_out(measured), BENCHMARK, caption)


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for file, text in written(results()).items():
        if file.read_text(encoding="utf-8") != text:
            stale.append(file.relative_to(ROOT))
            if not check:
                file.write_text(text, encoding="utf-8")
    for file in stale:
        print(f"{file}: {'differs from the records' if check else 'written anew'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
