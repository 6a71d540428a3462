"""Damaged files end in one line each, and leave nothing behind."""

from __future__ import annotations

import resource
from pathlib import Path

from PIL import Image

from broken import write_all

#: Of address space, most of which is the libraries' own.
_BYTES = 4 << 30


def test_damaged_files(command, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    count = write_all(tmp_path / "in")
    assert count >= 500
    done = command(
        *("upscale", "in", "-o", "out", "-m", "bicubic", "--max-pixels", 1_000_000),
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES)),
    )
    lines = done.stderr.splitlines()
    assert done.returncode == 1, lines[-1]
    assert all(line.startswith("bigsharp: ") for line in lines)
    assert "Traceback" not in done.stderr
    results = sorted((tmp_path / "out").iterdir())
    assert lines[-1] == f"bigsharp: {len(lines) - 1} of {count} pictures failed"
    # Of an input whose extension is not written, the result is a PNG.
    assert len(results) == count - (len(lines) - 1)
    for path in results:
        with Image.open(path) as image:
            image.load()
