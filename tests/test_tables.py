"""Numbers in the README and docs are those of the kept records and of the released weights."""

import runpy
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import pytest

from bigsharp import weights
from bigsharp.benchmark.methods import digest_of_model
from bigsharp.benchmark.records import RecordFile
from bigsharp.scoring.protocol import PROTOCOLS

ROOT = Path(__file__).parents[1]


def test_every_table_is_what_the_records_say() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "tables.py", "--check"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_table_of_other_weights_than_those_released_is_named() -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "tables.py"))
    kept = tool["kept"]()
    assert {model for table in kept.values() for model in table["weights"]} >= {"vdsr", "aplus"}
    assert tool["outdated"](kept) == []
    kept["upscale"]["weights"]["vdsr"] = "0123456789abcdef"
    assert tool["outdated"](kept) == [
        "docs/speed.json: upscale was measured with other weights of vdsr"
    ]


@pytest.mark.parametrize("name", weights.cards())
def test_a_card_s_scores_are_those_of_the_records(name: str) -> None:
    method = next((f for f, members in weights.families().items() if name in members), name)
    digest = digest_of_model(method)
    kept = RecordFile(ROOT / "docs" / "benchmark" / "records.jsonl").records.values()
    ours = [
        r for r in kept if (r.method, r.weights) == (method, digest) and r.protocol in PROTOCOLS
    ]
    rows = weights.card(name)["measured"]
    assert rows
    for row in rows:
        where = (row["data"], row["scale"])
        scores = [r.psnr for r in ours if (r.data, r.scale) == where]
        assert fmean(scores) == pytest.approx(row["psnr"], abs=0.001)


def test_a_card_s_summary_names_its_scores() -> None:
    for name in weights.cards():
        card = weights.card(name)
        first = [row for row in card["measured"] if row["data"] == card["measured"][0]["data"]]
        assert " ".join(f"{row['psnr']:.2f}" for row in first) in card["summary"]
