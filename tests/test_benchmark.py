import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bigsharp import weights, workers
from bigsharp.benchmark import published, table
from bigsharp.benchmark.measure import measure
from bigsharp.benchmark.records import Record, RecordFile
from bigsharp.benchmark.run import benchmark, check
from bigsharp.benchmark.tasks import BENCHMARKS
from bigsharp.errors import BigsharpError
from bigsharp.io.read import read
from bigsharp.restoration.models import available_models
from bigsharp.scoring import metrics, protocol
from bigsharp.scoring.sets import SETS, find_images

PUBLISHED = protocol.PROTOCOLS["published"]


@pytest.fixture
def photos(tmp_path: Path, texture: np.ndarray) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(4):
        Image.fromarray(np.roll(texture, 9 * k, axis=1)).save(folder / f"img_{k}.png")
    Image.fromarray(np.roll(texture, 50, axis=1)).save(folder / "img_10.png")
    return folder


@pytest.fixture
def model(checkpoint: Path) -> str:
    return str(checkpoint.with_suffix(".onnx"))


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def untimed(records: list[dict]) -> list[dict]:
    return sorted(({**r, "seconds": 0} for r in records), key=lambda r: (r["image"], r["method"]))


def test_every_score_is_kept_and_none_is_computed_twice(
    photos: Path, model: str, tmp_path: Path
) -> None:
    path = tmp_path / "out/records.jsonl"
    first = benchmark([str(photos)], [2, 2.5], ["bicubic", model], kept=RecordFile(path))
    before = path.read_bytes()
    assert len(lines(path)) == 5 * 2 * 2
    record = lines(path)[0]
    assert record["protocol"] == "published"
    assert {"bigsharp", "python", "numpy"} <= set(record["versions"])
    assert record["seconds"] > 0
    calls = []
    again = benchmark([str(photos)], [2, 2.5], ["bicubic", model], kept=RecordFile(path),
                      progress=lambda done, total: calls.append((done, total)))  # fmt: skip
    assert calls == [(20, 20)]
    assert path.read_bytes() == before
    assert again == first
    benchmark([str(photos)], [2], [model], kept=RecordFile(path),
              rules=protocol.choose("8bit-lr"))  # fmt: skip
    assert len(lines(path)) == 25


def test_other_weights_under_the_same_name_are_scored_anew(
    photos: Path, model: str, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(Path(model).read_bytes())
    path = tmp_path / "records.jsonl"
    benchmark([str(photos)], [2], [str(mine)], kept=RecordFile(path))
    mine.write_bytes(weights.path("vdsr", ".onnx").read_bytes())
    benchmark([str(photos)], [2], [str(mine)], kept=RecordFile(path))
    assert len({record["weights"] for record in lines(path)}) == 2
    assert len(lines(path)) == 10


def test_several_processes_give_the_same_scores(photos: Path, model: str, tmp_path: Path) -> None:
    alone, shared = (RecordFile(tmp_path / name) for name in ("alone", "shared"))
    benchmark([str(photos)], [2], ["bicubic", model], kept=alone)
    benchmark([str(photos)], [2], ["bicubic", model], kept=shared, jobs=2)
    one, other = untimed(lines(alone.path)), untimed(lines(shared.path))
    for mine, theirs in zip(one, other, strict=True):
        assert theirs["psnr"] == pytest.approx(mine["psnr"], abs=1e-3)
        assert {**theirs, "psnr": 0, "ssim": 0} == {**mine, "psnr": 0, "ssim": 0}


def test_a_run_killed_and_resumed_gives_the_same_table(
    photos: Path, model: str, tmp_path: Path, command
) -> None:
    line = ["benchmark", "--data", photos, "--methods", f"bicubic,{model}", "--scale", "2,3"]
    whole = command(*line, "-o", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    cut = tmp_path / "cut"
    process = subprocess.Popen(
        [sys.executable, "-m", "bigsharp", *map(str, line), "-o", str(cut)],
        stdout=subprocess.DEVNULL,
    )
    records = cut / "records.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if records.exists() and records.read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = records.read_text().splitlines()
    assert 3 <= len(before) < 20
    with records.open("a") as file:
        file.write('{"data": "torn')
    resumed = command(*line, "-o", cut)
    assert resumed.returncode == 0, resumed.stderr
    assert records.read_text().splitlines()[: len(before)] == before
    assert len(lines(records)) == 20
    for name in ("table.md", "table.tex", "table.csv"):
        assert (cut / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def restored_elsewhere(photos: Path, folder: Path, suffix: str = "") -> Path:
    """What other people's method would leave: bicubic at ×2, as 8-bit pictures."""
    folder.mkdir(parents=True)
    rules = protocol.PROTOCOLS["published"]
    for path in sorted(photos.iterdir()):
        hr = protocol.crop(protocol.reference(read(path)), 2)
        ilr = protocol.interpolate(protocol.degrade(hr, 2, rules), hr.shape)
        image = Image.fromarray(protocol.round_to_8bit(ilr).astype(np.uint8))
        image.save(folder / f"{path.stem}{suffix}.png")
    return folder


@pytest.mark.parametrize("place", ["theirs", "theirs/x2", "theirs/photos/x2"])
@pytest.mark.parametrize("suffix", ["", "_SRCNN"])
def test_a_folder_of_restored_pictures_is_scored_under_the_same_protocol(
    photos: Path, tmp_path: Path, place: str, suffix: str
) -> None:
    restored_elsewhere(photos, tmp_path / place, suffix)
    ours, theirs = benchmark([str(photos)], [2], ["bicubic", str(tmp_path / "theirs")])
    for one, other in zip(ours.records, theirs.records, strict=True):
        assert (one.image, one.psnr, one.ssim) == (other.image, other.psnr, other.ssim)


def test_what_has_been_replaced_is_scored_anew(photos: Path, tmp_path: Path) -> None:
    hr = Path(shutil.copytree(photos, tmp_path / "hr"))
    theirs = restored_elsewhere(hr, tmp_path / "theirs")

    def score() -> list[float]:
        kept = RecordFile(tmp_path / "records.jsonl")
        (result,) = benchmark([str(hr)], [2], [str(theirs)], kept=kept)
        return [record.psnr for record in result.records]

    first = score()
    assert score() == first
    one, other, *_ = sorted(theirs.iterdir())
    Image.new("L", Image.open(one).size).save(one)
    again = score()
    assert again[0] < 10 < first[0]
    assert again[1:] == first[1:]
    Image.new("L", Image.open(hr / other.name).size, 99).save(hr / other.name)
    last = score()
    assert (last[0], last[2:]) == (again[0], again[2:])
    assert last[1] != first[1]


def test_restored_pictures_that_cannot_be_scored_are_named(photos: Path, tmp_path: Path) -> None:
    folder = restored_elsewhere(photos, tmp_path / "theirs")
    (folder / "img_2.png").rename(folder / "img_2_a.png")
    (folder / "img_2_b.png").write_bytes((folder / "img_2_a.png").read_bytes())
    with pytest.raises(BigsharpError, match=r"img_2_a.png and img_2_b.png could both be img_2"):
        benchmark([str(photos)], [2], [str(folder)])
    (folder / "img_2_b.png").unlink()
    Image.new("L", (30, 30)).save(folder / "img_2_a.png")
    with pytest.raises(BigsharpError, match=r"img_2_a.png: 30 × 30; .*it would be 70 × 60"):
        benchmark([str(photos)], [2], [str(folder)])
    (folder / "img_2_a.png").unlink()
    with pytest.raises(BigsharpError, match=r"no picture restored from img_2.png at ×2"):
        benchmark([str(photos)], [2], [str(folder)])


def test_a_record_keeps_an_infinite_psnr(tmp_path: Path) -> None:
    record = Record("a", "b", "h", 2.0, "c", "", "d", "e", float("inf"), 1.0, 0.1)
    RecordFile(tmp_path / "r").append(record)
    assert "Infinity" not in (tmp_path / "r").read_text()
    assert list(RecordFile(tmp_path / "r").records.values()) == [record]


@pytest.mark.parametrize("line", ['{"data": 1}', "[]", "junk", "null", '"text"'])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r"
    path.write_text(f"{line}\n")
    with pytest.raises(BigsharpError, match="line 1 is no score"):
        RecordFile(path)
    assert path.read_text() == f"{line}\n"


def test_switches_change_the_score_and_its_protocol_s_name(photos: Path) -> None:
    def score(**switches: object) -> tuple[str, float, float]:
        rules = protocol.choose(**switches)
        (result,) = benchmark([str(photos)], [2], ["bicubic"], rules=rules)
        return result.protocol, result.mean.psnr, result.mean.ssim

    switches = [{}, {"border": 0}, {"colour": "rgb"}, {"rounded": False}, {"name": "8bit-lr"}]
    scores = [score(**each) for each in switches]
    assert [name for name, _, _ in scores] == [
        "published", "published, border 0", "published, rgb", "published, output not rounded",
        "8bit-lr",
    ]  # fmt: skip
    assert len({psnr for _, psnr, _ in scores}) == 5
    for wrong, words in (
        ({"name": "mine"}, "published, 8bit-lr"),
        ({"border": -1}, "at least 0"),
        ({"colour": "cmyk"}, "y or rgb"),
    ):
        with pytest.raises(BigsharpError, match=words):
            protocol.choose(**wrong)


def test_rgb_scores_the_colour_picture(photos: Path) -> None:
    path = photos / "img_0.png"
    hr = np.asarray(Image.open(path)).astype(float)
    from bigsharp.image.resize import imresize

    ilr = protocol.round_to_8bit(imresize(imresize(hr, 0.5), 2))
    rules = protocol.choose(colour="rgb", border=3)
    (result,) = benchmark([str(photos)], [2], ["bicubic"], rules=rules)
    (record,) = (r for r in result.records if r.image == path.name)
    assert record.psnr == pytest.approx(metrics.psnr(ilr, hr, border=3), abs=0.02)
    each = [metrics.ssim(ilr[..., c], hr[..., c], border=3) for c in range(3)]
    assert record.ssim == pytest.approx(np.mean(each), abs=1e-3)


def results(**psnr: float):
    """Results on Set5 at ×2, one image each, of these PSNR."""
    from bigsharp.benchmark.run import Result

    record = Record("Set5", "a.png", "", 2.0, "", "", "", "published", 0, 0.9, 0.1)
    return [
        Result("Set5", 2.0, name, "published", "×2", (replace(record, method=name, psnr=value),))
        for name, value in psnr.items()
    ]


def test_the_table_lays_published_scores_beside_measured_ones() -> None:
    grid = table.lay_out(results(bicubic=33.664, vdsr=37.0, mine_1=37.004))
    assert grid.methods[:3] == ("bicubic", "vdsr", "mine_1")
    assert set(grid.methods[3:]) == {"A+", "SRCNN", "RFL", "SelfEx", "DRCN"}
    measured, theirs, difference = grid.rows
    assert measured.cells[:3] == ("33.66/0.9000", "37.00/0.9000", "37.00/0.9000")
    assert measured.best == {1, 2}  # equal as printed
    assert theirs.cells[0] == "33.66/0.9299"
    assert theirs.cells[1] == "37.53/0.9587"
    assert theirs.best == {grid.methods.index("DRCN")}
    assert difference.cells[:3] == ("+0.00/-0.0299", "-0.53/-0.0587", "")
    text = table.markdown(grid)
    assert "| Set5 | ×2 | measured | 33.66/0.9000 | **37.00/0.9000** | **37.00/0.9000** |" in text
    assert all(line.count("|") == 3 + len(grid.methods) + 1 for line in text.splitlines())
    tex = table.latex(grid)
    assert "Set5 & $\\times$2 & measured & 33.66/0.9000 & \\textbf{37.00/0.9000}" in tex
    assert "mine\\_1" in tex
    rows = list(csv.reader(table.comma_separated(grid).splitlines()))
    assert {len(row) for row in rows} == {3 + 2 * len(grid.methods)}
    assert rows[1][:7] == ["Set5", "2", "measured", "33.66", "0.9000", "37.00", "0.9000"]


def test_a_set_that_nothing_is_published_of_has_measured_rows_alone() -> None:
    other = [replace(result, data="mine") for result in results(bicubic=30.0, vdsr=31.0)]
    grid = table.lay_out(other)
    assert grid.methods == ("bicubic", "vdsr")
    assert [row.kind for row in grid.rows] == ["measured"]


def test_published_holds_the_slides_two_tables() -> None:
    entries = published.published()
    assert len(entries) == 4 * 3 * 7
    drcn = published.find("Urban100", 4, "drcn")
    assert drcn is not None
    assert (drcn.psnr, drcn.ssim) == (25.14, 0.7510)
    assert published.find("Set5", 5, "drcn") is None
    scales = published.published("scales")
    assert len(scales) == 3 * 8
    (entry,) = (e for e in scales if (e.scale, e.trained_on) == (3.0, (2.0, 4.0)))
    assert entry.psnr == 31.20
    assert all(entry.source for entry in (*entries, *scales))


def images(data: list[str], root: Path | None = None) -> dict[str, list[Path]]:
    return {name: find_images(name, root) for name in data}


def test_a_model_of_another_task_is_refused(photos: Path) -> None:
    rules = protocol.PROTOCOLS
    for model, task in (("vdsr-denoise", "published"), ("vdsr", "denoise"), ("bicubic", "deblock")):
        with pytest.raises(BigsharpError, match=f"{model}: its task is "):
            benchmark([str(photos)], [2], [model], rules=rules[task])


def test_nothing_is_published_of_what_went_through_jpeg(photos: Path) -> None:
    with pytest.raises(BigsharpError, match="nothing is published of what went through JPEG"):
        check(images([str(photos)]), [2], rules=protocol.choose(quality=50))


def test_check_refuses_other_images(texture: np.ndarray, tmp_path: Path) -> None:
    folder = tmp_path / "Set5"
    folder.mkdir()
    for k in range(5):
        Image.fromarray(texture).save(folder / f"{k}.png")
    with pytest.raises(BigsharpError, match=r"bicubic scores .* 33.66 is published"):
        check(images(["Set5"], tmp_path), [2], rules=PUBLISHED)
    with pytest.raises(BigsharpError, match="no bicubic score is published"):
        check(images([str(folder)]), [2], rules=PUBLISHED)


def test_check_passes_on_the_published_images(image_sets: Path) -> None:
    check(images(["Set5"], image_sets), [2, 3, 4], rules=PUBLISHED)
    with pytest.raises(BigsharpError, match="published, rgb"):
        check(images(["Set5"], image_sets), [2], rules=protocol.choose(colour="rgb"))


def test_check_passes_on_noise_and_jpeg_as_published(image_sets: Path) -> None:
    rules = protocol.PROTOCOLS
    check(images(["classic5"], image_sets), [10, 20, 30, 40], rules=rules["deblock"])
    check(images(["BSD68"], image_sets), [15, 25, 50], rules=rules["denoise"])
    with pytest.raises(BigsharpError, match="no input score is published"):
        check(images(["BSD68"], image_sets), [16], rules=rules["denoise"])


def test_jpeg_and_noise_are_scored_at_the_pictures_own_size(photos: Path) -> None:
    (deblocked,) = benchmark([str(photos)], [20], ["input"], rules=protocol.PROTOCOLS["deblock"])
    assert (deblocked.label, deblocked.protocol) == ("q 20", "deblock")
    for record in deblocked.records:
        hr = protocol.reference(read(photos / record.image))
        buffer = io.BytesIO()
        Image.fromarray(hr.astype(np.uint8)).save(buffer, "JPEG", quality=20)
        stored = np.asarray(Image.open(buffer), float)
        assert record.psnr == pytest.approx(metrics.psnr(stored, hr))
    rules = protocol.PROTOCOLS["denoise"]
    results = benchmark([str(photos)], [25, 50], ["input", "vdsr-denoise"], rules=rules)
    assert [result.label for result in results] == ["σ 25"] * 2 + ["σ 50"] * 2
    assert results[0].mean.psnr == pytest.approx(20.4, abs=0.3)
    assert results[1].mean.psnr > results[0].mean.psnr + 3
    # Each image has noise of its own, and always the same.
    assert len({record.psnr for record in results[0].records}) == 5
    assert benchmark([str(photos)], [25], ["input"], rules=rules)[0].mean == results[0].mean


def test_photos_are_enlarged_after_jpeg_by_one_model_or_two(photos: Path) -> None:
    methods = ["bicubic", "vdsr-deblock>bicubic", "vdsr"]
    rules = protocol.choose(quality=15)
    plain, cleaned, _ = benchmark([str(photos)], [2], methods, rules=rules)
    assert plain.label == "×2, q 15"
    assert plain.protocol == "published, LR in JPEG of quality 15"
    (clean,) = benchmark([str(photos)], [2], ["bicubic"])
    assert plain.mean.psnr < clean.mean.psnr - 0.2
    assert cleaned.records[0].weights.endswith(">")
    assert cleaned.mean.psnr != plain.mean.psnr


def test_a_task_is_measured_in_one_call(photos: Path) -> None:
    found = {str(photos): sorted(photos.iterdir())}
    task = BENCHMARKS["photo"].changed(scales=[3, 2], levels=[90, 30], methods=["bicubic"])
    measured = measure(task, found)
    assert [result.label for result in measured.results] == [
        "×3, q 90", "×3, q 30", "×2, q 90", "×2, q 30",
    ]  # fmt: skip
    assert [row.scale for row in measured.grid.rows] == [r.label for r in measured.results]
    assert list(measured.methods) == ["bicubic"]
    rules = protocol.choose(quality=30)
    assert measured.results[3].mean == benchmark(found, [2], ["bicubic"], rules=rules)[0].mean


def test_every_task_is_scored_by_models_that_are_there(photos: Path) -> None:
    released = {*available_models(), *weights.names(), "input"}
    for name, task in BENCHMARKS.items():
        assert task.name == name
        assert set(task.data) <= set(SETS)
        assert {model for words in task.methods for model in words.split(">")} <= released
        assert task.changed() == task
        for rules in task.rules:
            for strength in task.strengths:
                rules.check(strength)


def test_the_command_scores_every_task(photos: Path, tmp_path: Path, command) -> None:
    done = command("benchmark", "--task", "photo", "--data", photos, "--scale", "2",
                   "--level", "30,90", "--methods", "bicubic", "--report", "-o",
                   tmp_path / "photo")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "photo" / "report.html").read_text()
    for quality in (30, 90):
        assert f"<b>published, LR in JPEG of quality {quality}</b>" in page
        assert page.count(f"<td>×2, q {quality}</td>") == 1 + 5
        assert (tmp_path / "photo" / "figures" / f"photos-x2-q{quality}-img_0.png").exists()
    text = (tmp_path / "photo" / "table.md").read_text()
    assert "×2, q 30" in text
    assert "×2, q 90" in text
    assert "LR by antialiased bicubic, in JPEG of quality 90" in text
    done = command("benchmark", "--task", "denoise", "--data", photos, "--level", "15", "--methods",
                   "input,vdsr-denoise", "--report", "-o", tmp_path / "noise")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "σ 15" in (tmp_path / "noise" / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--task", "dance"], "no task is called 'dance'"),
        (["--task", "denoise", "--level", "0"], "σ is a number above 0, at most 255, not 0"),
        (
            ["--task", "deblock", "--level", "101"],
            "JPEG has whole qualities from 1 to 100, not",
        ),
        (["--task", "photo", "--level", "9.5"], "JPEG has whole qualities"),
        (["--task", "photo", "--level", "30,9.5"], "JPEG has whole qualities"),
        (["--task", "deblock", "--scale", "3"], "--scale: deblock keeps a picture's size; give --"),
        (["--task", "deblock", "--protocol", "8bit-lr"], "--protocol is for upscaling"),
        (["--task", "upscale", "--methods", "input"], "keep their size; take bicubic"),
    ],
)
def test_tasks_that_cannot_be_are_one_line(
    options: list[str], told: str, photos: Path, tmp_path: Path, command
) -> None:
    done = command("benchmark", "--data", photos, "--no-files", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--data", "Set6"],
            ["no image set is called 'Set6'; did you", "here are Set5"],
        ),
        (["--data", "Set14"], ["Set14 is not there"]),
        (["--data", ".", "--level", "15"], ["--level is of noise and JPEG"]),
        (["--data", ".", "--task", "denoise", "--scale", "3"], ["denoise keeps a picture's size"]),
        (["--data", "Set5"], ["Set5 has 5 images, here are 3"]),
        (["--data", "photos", "--scale", "30"], ["img_0.png: too small to be scored at ×30"]),
        (["--data", "photos", "--methods", "vdsrr"], ["no model is called 'vdsrr'"]),
        (["--data", "photos", "--methods", "bicubic,bicubic"], ["two methods are called"]),
        (["--data", "photos", "--methods", "a=photos"], ["would be 70 × 60", "img_0.png"]),
        (["--data", "photos", "--protocol", "mine"], ["published, 8bit-lr"]),
        (["--data", "photos", "--colour", "cmyk"], ["y or rgb"]),
        (["--data", "photos", "--border", "-1"], ["at least 0"]),
        (["--data", "photos", "--jobs", "0"], ["jobs"]),
        (["--data", "photos", "--check"], ["no bicubic score is published"]),
        (["--data", "photos", "--crop", "a:b"], ["IMAGE:LEFT,TOP,WIDTH,HEIGHT"]),
        (["--data", "photos", "--report", "--crop", "none.png"], ["no image is called 'none.png'"]),
        (["--data", "photos", "-o", "photos/img_0.png"], ["photos/img_0.png", "cannot be used"]),
    ],
)
def test_what_cannot_be_benchmarked(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys, options: list[str], words: list[str]
) -> None:
    from bigsharp import cli

    root = photos.parent
    monkeypatch.chdir(root)
    monkeypatch.setenv("BIGSHARP_DATA", str(root))
    (root / "Set5").mkdir()
    for k in range(3):
        Image.new("L", (40, 40)).save(root / f"Set5/{k}.png")
    if "a=photos" in options:
        Image.new("L", (30, 30)).save(photos / "img_0_small.png")
        (root / "hr").mkdir()
        Image.new("L", (70, 60)).save(root / "hr/img_0.png")
        (photos / "img_0.png").unlink()
        options = ["--data", "hr", *options[2:]]
    defaults = [] if "--scale" in options else ["--scale", "2"]
    methods = [] if "--methods" in options else ["--methods", "bicubic"]
    line = ["bigsharp", "benchmark", *options, *defaults, *methods, "-q"]
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(SystemExit) as exit:
        cli.main()
    out, err = capsys.readouterr()
    assert (exit.value.code, out, err.count("\n")) == (2, "", 1)
    for word in words:
        assert word in err


def test_a_broken_image_is_named_and_no_mean_is_taken(photos: Path, tmp_path: Path) -> None:
    (photos / "img_2.png").write_bytes((photos / "img_2.png").read_bytes()[:200])
    kept = RecordFile(tmp_path / "records.jsonl")
    with pytest.raises(BigsharpError, match=r"img_2.png"):
        benchmark([str(photos)], [2], ["bicubic"], kept=kept)


def test_a_process_that_is_ended_is_one_sentence() -> None:
    pool = workers.processes(1, int)
    with pytest.raises(BigsharpError, match="a process that shared the work was ended"):
        list(workers.spread(os._exit, [1], pool))
