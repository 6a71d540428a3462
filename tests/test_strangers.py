"""Weights and recipes from strangers end in one line: no traceback, hang, file or gigabyte."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import strangers

Told = list[tuple[dict, dict]]

#: What a recipe that turns out to be wrong may leave: its claim of the folder.
CLAIM = {"run", "run/lock"}


def tell(folder: Path, which: str, seconds: int) -> Told:
    """What came of each file, in a process of their own."""
    line = [sys.executable, strangers.__file__, str(folder), which]
    with (folder / "told").open("w") as out:
        done = subprocess.run(line, stdout=out, stderr=subprocess.PIPE, timeout=seconds, text=True)
    rows = [json.loads(row) for row in (folder / "told").read_text().splitlines()]
    assert done.returncode == 0, (rows[-1:], done.stderr[-2000:])
    return list(zip(rows[::2], rows[1::2], strict=True))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return tell(tmp_path_factory.mktemp("strangers"), "some", 300)


def check(told: Told, kind: str, least: int) -> None:
    results = [(file["name"], result) for file, result in told if file["kind"] == kind]
    assert len(results) >= least
    for about in results:
        result = about[1]
        said, new = result["said"], set(result["new"])
        assert result["seconds"] < 60, about
        if result["status"] == 0:
            assert not result["refused"], about
            assert said == "", about
            assert not any(path.startswith("..") for path in new), about
            continue
        assert result["status"] == 2, about
        assert said.startswith("bigsharp: "), about
        assert said.count("\n") == 1, about
        assert len(said) < 1000, about
        assert "memory" not in said, about
        assert new <= CLAIM, about
    assert sum(result["status"] == 2 for _, result in results) > 0.9 * len(results)


@pytest.mark.parametrize("kind", strangers.KINDS)
def test_a_file_from_a_stranger_is_used_or_refused_in_one_line(told: Told, kind: str) -> None:
    check(told, kind, 60)


def test_they_are_many(told: Told) -> None:
    assert len(told) >= 300


@pytest.mark.slow
def test_by_the_command_line_alone(tmp_path: Path) -> None:
    told = tell(tmp_path, "all", 1200)
    for kind in strangers.KINDS:
        check(told, kind, 150)
