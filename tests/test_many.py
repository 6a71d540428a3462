"""Folders, lists, patterns and pipes through the command line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bigsharp
from bigsharp.errors import BigsharpError
from bigsharp.jobs.job import Order
from bigsharp.jobs.plan import plan
from bigsharp.restoration.target import Size


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder of pictures, with folders within it; no two pictures are alike."""
    names = ["a.png", "b.jpg", "in/a.png", "in/deep/c.webp", ".hidden/d.png", "in/.e.png"]
    for k, name in enumerate(names):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (10 + k, 8), (40 * k, 90, 30)).save(path)
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    return tmp_path


@pytest.fixture
def upscale(command, tree: Path):
    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return command("upscale", "-m", "bicubic", *words, cwd=tree)

    return run


def written(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): Image.open(path).size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_folder_and_its_tree(upscale, tree: Path) -> None:
    done = upscale("pictures", "-o", "big")
    assert (done.returncode, done.stderr) == (0, "")
    assert written(tree / "big") == {"a.png": (20, 16), "b.jpg": (22, 16)}
    assert len(done.stdout.splitlines()) == 2
    assert upscale("pictures", "-o", "all", "--recursive", "-s", "3x").returncode == 0
    assert written(tree / "all") == {
        "a.png": (30, 24),
        "b.jpg": (33, 24),
        "in/a.png": (36, 24),
        "in/deep/c.webp": (39, 24),
    }


def test_lists_that_are_none_and_outputs_that_take_one(upscale, tree: Path) -> None:
    (tree / "me.txt").write_text("@me.txt\n")
    (tree / "bom.txt").write_bytes(b"\xef\xbb\xbfpictures/a.png\r\n")
    assert upscale("@me.txt", "-o", "x").stderr == "bigsharp: me.txt: names itself\n"
    assert "longer than any list" in upscale("@/dev/zero", "-o", "x").stderr
    assert upscale("@bom.txt", "-o", "bom").returncode == 0
    assert written(tree / "bom") == {"a.png": (20, 16)}
    for words in (("pictures/a.png", "pictures/b.jpg"), ("pictures",)):
        done = upscale(*words, "-o", "-")
        assert (done.returncode, done.stdout) == (2, "")
        assert "standard output, which takes one picture" in done.stderr


def test_a_folder_that_cannot_be_looked_into_is_not_passed_over(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scandir(path: str) -> object:
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    real = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(BigsharpError, match=r"deep: cannot be read \(Permission denied\)"):
        plan([tree / "pictures"], tree / "out", Order(Size(scale=2)), recursive=True)


@pytest.mark.parametrize("extension", ["jfif", "jpe", "mpo"])
def test_a_jpeg_by_another_name(upscale, tree: Path, extension: str) -> None:
    (tree / "only").mkdir()
    (tree / "pictures" / "b.jpg").rename(tree / "only" / f"b.{extension}")
    assert upscale("only").returncode == 0
    (result,) = set((tree / "only").iterdir()) - {tree / "only" / f"b.{extension}"}
    assert result.suffix == (".png" if extension == "mpo" else f".{extension}")


def test_a_name_is_one_line_and_tells_a_terminal_nothing(upscale, tree: Path) -> None:
    (tree / "odd").mkdir()
    for name in ("a\nb.png", "\x1b[31mc.png"):
        Image.new("RGB", (4, 4)).save(tree / "odd" / name)
    (tree / "odd" / "\x1b[2Jd.png").write_bytes(b"junk")
    done = upscale("odd", "-o", "out")
    assert done.returncode == 1
    assert [line.split(" ")[0] for line in sorted(done.stdout.splitlines())] == [
        "out/\\x1b[31mc.png",
        "out/a\\x0ab.png",
    ]
    assert "\x1b" not in done.stderr
    assert (tree / "out" / "a\nb.png").is_file()


def test_the_folder_of_a_result_is_made(upscale, tree: Path) -> None:
    assert upscale("pictures/a.png", "-o", "new/deeper/big.png").returncode == 0
    assert written(tree / "new") == {"deeper/big.png": (20, 16)}
    (tree / "broken.png").write_bytes(b"junk")
    for words in (("missing.png",), ("broken.png",), ("pictures/a.png", "-s", "0.5")):
        assert upscale(*words, "-o", "none/big.png").returncode == 2
        assert not (tree / "none").exists()


def test_a_result_folder_within_the_folder_is_not_an_input(upscale, tree: Path) -> None:
    for _ in range(2):
        done = upscale("pictures", "-o", "pictures/big", "-r", "--overwrite")
        assert done.returncode == 0
        assert len(written(tree / "pictures" / "big")) == 4


def test_several_files_patterns_and_lists(upscale, tree: Path) -> None:
    assert upscale("pictures/a.png", "pictures/b.jpg").returncode == 0
    assert Image.open(tree / "pictures" / "b-x2.jpg").size == (22, 16)
    (tree / "list.txt").write_text("pictures/a.png\n\npictures/in/deep/c.webp\n")
    assert upscale("@list.txt", "-o", "listed", "--format", "png").returncode == 0
    assert written(tree / "listed") == {"a.png": (20, 16), "c.png": (26, 16)}
    assert upscale("pictures/?.png", "-o", "matched/").returncode == 0
    assert written(tree / "matched") == {"a.png": (20, 16)}
    assert "no picture fits" in upscale("pictures/*.tif", "-o", "x").stderr


def test_a_picture_that_is_named_twice_is_done_once(upscale, tree: Path) -> None:
    (tree / "list.txt").write_text("pictures/a.png\npictures/in/../a.png\n")
    (tree / "pictures" / "link.png").symlink_to("a.png")
    named = ("pictures/a.png", "./pictures/a.png", "pictures/?.png", "@list.txt", "pictures")
    done = upscale(*named, "-o", "big")
    assert (done.returncode, done.stderr) == (0, "")
    assert written(tree / "big") == {"a.png": (20, 16), "b.jpg": (22, 16), "link.png": (20, 16)}
    assert len(done.stdout.splitlines()) == 3
    assert upscale("pictures/a.png", "pictures/a.png", "-o", "one.png").returncode == 0
    assert (tree / "one.png").is_file()


def test_results_beside_their_originals_are_not_enlarged_again(upscale, tree: Path) -> None:
    first = {"a.png": (10, 8), "a-x2.png": (20, 16), "b.jpg": (11, 8), "b-x2.jpg": (22, 16)}
    assert upscale("pictures").returncode == 0
    (tree / "pictures" / "a-x2.png").unlink()
    again = upscale("pictures")
    assert again.returncode == 2
    assert again.stderr.startswith("bigsharp: pictures/b-x2.jpg: exists; give --overwrite")
    assert upscale("pictures", "--skip-existing").stdout.startswith("pictures/a-x2.png")
    (tree / "pictures" / "notes.txt").unlink()
    found = {n: s for n, s in written(tree / "pictures").items() if "/" not in n}
    assert found == first
    # One that is named is an original, and so are all where they would be replaced.
    for words in (["pictures/a.png", "pictures/a-x2.png"], ["pictures", "--overwrite"]):
        refused = upscale(*words)
        assert (refused.returncode, "is one of the pictures" in refused.stderr) == (2, True)


def test_names_are_made_of_a_template(upscale, tree: Path) -> None:
    words = ("--name", "{model}/{stem}-{size}{ext}")
    assert upscale("pictures", "-o", "big", *words, "--width", 40).returncode == 0
    assert written(tree / "big") == {"bicubic/a-40w.png": (40, 32), "bicubic/b-40w.jpg": (40, 29)}
    for template, said in {
        "{stme}{ext}": "{stem}",
        "../{stem}{ext}": "folder",
        "{": "made of",
        "{}": "made of",
        "{stem.__class__}{ext}": "made of",
        "{stem[0]}{ext}": "made of",
        "{stem!r}{ext}": "made of",
        "{stem:>99}{ext}": "made of",
    }.items():
        done = upscale("pictures", "-o", "other", "--name", template)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert said in done.stderr
    assert not (tree / "other").exists()
    assert upscale("pictures/a.png", "--scale", "3.333333333").returncode == 0
    assert (tree / "pictures" / "a-x3.333.png").exists()


def test_clashes_are_refused_before_anything_runs(upscale, tree: Path) -> None:
    for words, said in (
        (("pictures/a.png", "pictures/in/a.png", "-o", "big"), "would be the result of"),
        (
            ("pictures", "-o", "big", "--name", "same{ext}", "--format", "png"),
            "would be the result",
        ),
        (("pictures", "-o", "pictures"), "is the original"),
        (("pictures", "-o", "big", "--overwrite", "--skip-existing"), "exclude each other"),
        (("nothing", "-o", "big/"), "no such file"),
        (("pictures", "-o", "big", "--format", "xyz"), "xyz"),
        (("pictures/a.png", "-o", "big.png", "--format", "jpg"), "its extension says PNG"),
    ):
        done = upscale(*words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert said in done.stderr
        assert not any((tree / "big").glob("*"))


def test_what_exists_is_kept_skipped_or_replaced(upscale, tree: Path) -> None:
    assert upscale("pictures", "-o", "big").returncode == 0
    first = (tree / "big" / "a.png").stat().st_mtime_ns
    (tree / "big" / "b.jpg").unlink()
    done = upscale("pictures", "-o", "big")
    assert done.returncode == 2
    assert "a.png: exists; give --overwrite, --skip-existing, or another name" in done.stderr
    assert not (tree / "big" / "b.jpg").exists()
    assert upscale("pictures", "-o", "big", "--skip-existing").returncode == 0
    assert (tree / "big" / "b.jpg").exists()
    assert (tree / "big" / "a.png").stat().st_mtime_ns == first
    assert upscale("pictures", "-o", "big", "-y", "--scale", 3).returncode == 0
    assert Image.open(tree / "big" / "a.png").size == (30, 24)
    nothing = upscale("pictures", "-o", "big", "--skip-existing")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, "", "")


def test_one_broken_picture_does_not_stop_the_others(upscale, tree: Path) -> None:
    (tree / "pictures" / "aa.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (tree / "pictures" / "z.gif").write_bytes(b"no picture")
    done = upscale("pictures", "-o", "big", "--log", "json")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("bigsharp: ") for line in lines)
    assert "aa.png" in "".join(lines[:2])
    assert "z.gif" in "".join(lines[:2])
    assert lines[2] == "bigsharp: 2 of 4 pictures failed"
    assert set(written(tree / "big")) == {"a.png", "b.jpg"}
    events = {Path(e["source"]).name: e for e in map(json.loads, done.stdout.splitlines())}
    assert {name: event["error"] is None for name, event in events.items()} == {
        "a.png": True, "b.jpg": True, "aa.png": False, "z.gif": False,
    }  # fmt: skip


def test_pipes(tree: Path) -> None:
    content = (tree / "pictures" / "b.jpg").read_bytes()

    def run(*words: str, given: bytes = content) -> subprocess.CompletedProcess[bytes]:
        line = [sys.executable, "-m", "bigsharp", "upscale", "-m", "bicubic", *words]
        return subprocess.run(line, input=given, capture_output=True, cwd=tree)

    done = run("-")
    image = Image.open(io.BytesIO(done.stdout))
    assert (image.format, image.size, done.stderr) == ("JPEG", (22, 16), b"")
    assert Image.open(io.BytesIO(run("-", "-o", "-", "--format", "webp").stdout)).format == "WEBP"
    assert run("-", "-o", "piped.png").returncode == 0
    assert Image.open(tree / "piped.png").size == (22, 16)
    assert Image.open(io.BytesIO(run("pictures/a.png", "-o", "-").stdout)).size == (20, 16)
    broken = run("-", given=b"nothing")
    assert (broken.returncode, broken.stdout) == (2, b"")
    assert broken.stderr == b"bigsharp: the picture: not a picture that bigsharp can read\n"


def test_times_are_kept_on_request(upscale, tree: Path) -> None:
    os.utime(tree / "pictures" / "a.png", (1_000_000_000, 1_000_000_000))
    assert upscale("pictures/a.png", "--keep-times").returncode == 0
    assert (tree / "pictures" / "a-x2.png").stat().st_mtime == 1_000_000_000


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_end_in_the_middle_leaves_whole_files_alone(
    tree: Path, number: signal.Signals, status: int
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3)).astype(np.uint8)
    for k in range(12):
        Image.fromarray(noise).save(tree / "pictures" / f"large{k:02}.bmp")
    line = [sys.executable, "-m", "bigsharp", "upscale", "pictures", "-o", "big", "-s", "3"]
    process = subprocess.Popen(line, cwd=tree, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    while not list((tree / "big").glob("large00.bmp")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    word = "interrupted" if number == signal.SIGINT else "terminated"
    assert errors == f"bigsharp: {word}\n".encode()
    found = written(tree / "big")
    assert 0 < len(found) < 14
    assert not list((tree / "big").glob(".part-*"))


@pytest.mark.skipif(sys.platform != "linux", reason="files without a name are Linux's")
def test_a_kill_in_the_middle_leaves_nothing(tree: Path) -> None:
    from bigsharp.io.files import whole_file

    frames = [Image.new("L", (600, 600), k) for k in range(60)]
    frames[0].save(tree / "in.tif", save_all=True, append_images=frames[1:])
    line = [
        sys.executable,
        "-m",
        "bigsharp",
        "upscale",
        "in.tif",
        "-m",
        "bicubic",
        "-o",
        "big/a.tif",
    ]
    process = subprocess.Popen([*line, "-s", "4"], cwd=tree)
    open_files = Path(f"/proc/{process.pid}/fd")

    def writes() -> bool:
        with contextlib.suppress(FileNotFoundError):  # It was closed just now.
            return any("big/" in str(path.readlink()) for path in open_files.iterdir())
        return False

    while not writes():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert list((tree / "big").iterdir()) == []
    umask = os.umask(0o027)
    try:
        with whole_file(tree / "big" / "b") as file:
            file.write(b"all")
    finally:
        os.umask(umask)
    assert (tree / "big" / "b").read_bytes() == b"all"
    assert (tree / "big" / "b").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("place", ["no /proc", "no O_TMPFILE"])
def test_files_are_whole_where_all_have_names(
    tree: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    from bigsharp.io import files

    if place == "no O_TMPFILE":
        monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY | os.O_CREAT, raising=False)
    else:
        monkeypatch.setattr(files, "_DESCRIPTORS", tree / "none")
    with files.whole_file(tree / "b") as file:
        assert len(list(tree.glob(".part-*"))) == 1
        file.write(b"all")
    assert (tree / "b").read_bytes() == b"all"
    with pytest.raises(ValueError, match="halfway"), files.whole_file(tree / "b"):
        raise ValueError("halfway")
    assert (tree / "b").read_bytes() == b"all"
    assert not list(tree.glob(".part-*"))


def test_a_job_can_be_pickled_and_planned_from_python(tree: Path) -> None:
    import pickle

    planned = plan([tree / "pictures"], tree / "big", Order(bigsharp.Size(2)), recursive=True)
    assert pickle.loads(pickle.dumps(planned)) == planned
    assert [job.output.relative_to(tree / "big").as_posix() for job in planned] == [
        "a.png", "b.jpg", "in/a.png", "in/deep/c.webp",
    ]  # fmt: skip
    (tree / "empty").mkdir()
    with pytest.raises(BigsharpError, match="`recursive`"):
        plan([tree / "empty"], tree / "big", Order(bigsharp.Size(2)))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux alone")
def test_memory_is_bounded(upscale, tree: Path) -> None:
    large = Image.linear_gradient("L").resize((3000, 2000)).convert("RGB")
    large.save(tree / "pictures" / "large.tif", compression="tiff_deflate")
    done = upscale("pictures", "-o", "big", "--memory", "256M", "--scale", 3, "--jobs", 3)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "bigsharp: pictures/large.tif: not enough memory; use a smaller scale, or a smaller --tile",
        "bigsharp: 1 of 3 pictures failed",
    ]
    assert set(written(tree / "big")) == {"a.png", "b.jpg"}
    done = upscale("pictures/large.tif", "-o", "large.tif", "--memory", "1.5 GiB", "--scale", 3)
    assert (done.returncode, done.stderr) == (0, "")
    assert upscale("pictures/a.png", "-o", "any.png", "--memory", "1000000000000G").returncode == 0
    for words in ("255M", "2x", "-1G", "lots", "1e999G"):
        done = upscale("pictures/a.png", "--memory", words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "--memory" in done.stderr


def test_several_pictures_have_no_result_of_one_name(upscale, tree: Path) -> None:
    for words in (("pictures/a.png", "pictures/b.jpg"), ("pictures",), ("pictures/*.png",)):
        done = upscale(*words, "-o", "big.png")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "big.png: names one picture, and there may be several; a folder's" in done.stderr
    assert not (tree / "big.png").exists()
    assert upscale("pictures/a.png", "pictures/b.jpg", "-o", "big.png/").returncode == 0
    assert set(written(tree / "big.png")) == {"a.png", "b.jpg"}


def test_odd_names(upscale, tree: Path) -> None:
    odd = ["two\nlines.png", "-dash.png", "@at.png", "{stem}.png", "café ☕.png", "[a].png"]
    (tree / "odd").mkdir()
    for name in odd:
        Image.new("L", (4, 4)).save(tree / "odd" / name)
    raw = os.fsdecode(b"not-utf8-\xff.png")
    Image.new("L", (4, 4)).save(tree / "odd" / raw)
    done = upscale("odd", "-o", "big", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (tree / "big").iterdir()} == {*odd, raw}
    assert upscale("--", "odd/[a].png").returncode == 0
    assert upscale(f"odd/{raw}", "-q").returncode == 0


def test_devices_and_folders_without_permission(upscale, tree: Path) -> None:
    os.mkfifo(tree / "pipe.png")
    for words in (("pipe.png",), ("/dev/zero",), ("pictures/a.png", "-o", "pipe.png")):
        done = upscale(*words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "pipe" in done.stderr
    done = upscale("a.png")
    assert "a.png: no such file" in done.stderr


def test_whoever_leaves_the_verb_out_is_told(command, tree: Path) -> None:
    done = command("pictures/a.png", cwd=tree)
    assert done.returncode == 2
    assert "Did you mean: bigsharp upscale pictures/a.png" in done.stderr
    assert command("-h").stdout == command("--help").stdout
