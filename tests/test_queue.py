"""A file of training runs, worked through by the command line and picked up where it stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bigsharp import networks
from bigsharp.errors import BigsharpError
from bigsharp.training.checkpoint import LAST
from bigsharp.training.loop import Trainer
from bigsharp.training.queue import Entry, parse_duration, read_queue

RECIPE = """
architecture = "vdsr"
options = { depth = 3, features = 8 }
data = ["PHOTOS"]
holdout = 1
scales = [2]
patch = 16
batch = 2
steps = 20
validate_every = 10
validation_crop = 24
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder with pictures and a recipe that trains on them."""
    photos = tmp_path / "photos"
    photos.mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
        values = random.integers(0, 256, (40, 44), dtype=np.uint8)
        Image.fromarray(values).save(photos / f"{number}.png")
    (tmp_path / "tiny.toml").write_text(RECIPE.replace("PHOTOS", str(photos)))
    return tmp_path


def queue(lab: Path, text: str) -> Path:
    path = lab / "queue.toml"
    path.write_text(text)
    return path


TWO = """
[[run]]
recipe = "tiny.toml"
folder = "trunk"
steps = 1000000
for = "1s"
[[run]]
recipe = "tiny.toml"
folder = "anneal"
from = "trunk/last.pt"
lr = 1e-4
seed = 3
"""


def test_the_runs_are_trained_in_order_and_passed_over_once_done(lab: Path, command) -> None:
    path = queue(lab, TWO)
    waiting = command("queue", path, "--show")
    assert (waiting.returncode, waiting.stdout) == (0, "trunk: waits\nanneal: waits\n")
    done = command("queue", path)
    assert (done.returncode, done.stderr) == (0, "")
    trunk, anneal = (
        networks.read_checkpoint(lab / name / "last.pt") for name in ("trunk", "anneal")
    )
    assert 1 <= trunk["seconds"] < 10
    assert (anneal["step"], anneal["recipe"]["seed"]) == (20, 3)
    assert anneal["start"] == str(lab / "trunk/last.pt")
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("anneal: done, step 20 of 20, 0.0 h, x2 ")
    assert any(line.startswith("anneal: step 10 ") for line in lines)
    before = {file: file.read_bytes() for file in lab.glob("*/*.pt")}
    again = command("queue", path)
    assert [line.split(",")[0] for line in again.stdout.splitlines()] == [
        "trunk: done", "anneal: done",
    ]  # fmt: skip
    assert {file: file.read_bytes() for file in lab.glob("*/*.pt")} == before
    path.write_text(TWO.replace("1s", "2s"))
    assert command("queue", path).returncode == 0
    assert networks.read_checkpoint(lab / "trunk/last.pt")["seconds"] >= 2


def test_a_run_that_cannot_be_does_not_keep_the_others(lab: Path, command) -> None:
    path = queue(
        lab,
        """
        [[run]]
        recipe = "vdsr-papr"
        [[run]]
        recipe = "tiny.toml"
        folder = "other"
        data = ["nowhere"]
        [[run]]
        recipe = "tiny.toml"
        [[run]]
        recipe = "tiny.toml"
        folder = "./tiny"
        """,
    )
    done = command("queue", path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"bigsharp: {path}: run 1: no recipe is called 'vdsr-papr'; did you mean 'vdsr-paper'?, "
        "or give a .toml file",
        f"bigsharp: {path}: run 4: {lab}/tiny is the folder of a run before it",
    ]
    assert "other: no image set is called 'nowhere'" in done.stdout
    assert networks.read_checkpoint(lab / "tiny/last.pt")["step"] == 20


def test_images_that_changed_fail_their_run_alone(lab: Path, command) -> None:
    path = queue(lab, TWO)
    assert command("queue", path).returncode == 0
    Image.new("L", (44, 40), 7).save(lab / "photos/0.png")
    path.write_text(TWO.replace("1s", "1h") + '[[run]]\nrecipe = "tiny.toml"\n')
    done = command("queue", path)
    assert done.returncode == 1
    assert "trunk: " in done.stdout
    assert "the images trained on then and now differ" in done.stdout
    assert networks.read_checkpoint(lab / "tiny/last.pt")["step"] == 20


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert path.exists()


def test_it_works_in_the_background_until_it_is_stopped(lab: Path, command) -> None:
    path = queue(lab, TWO.replace("1s", "1h"))
    begun = command("queue", path, "--background")
    assert begun.returncode == 0, begun.stderr
    number = int(begun.stdout.split()[1])
    wait_for(lab / "trunk/last.pt")
    assert os.getpriority(os.PRIO_PROCESS, number) == 19
    for words in ((), ("--background",)):
        second = command("queue", path, *words)
        assert second.returncode == 2
        assert "another process works through this queue" in second.stderr
    locked = command("train", lab / "tiny.toml", "-o", lab / "trunk", "--resume")
    assert locked.returncode == 2
    assert "trunk: another process trains in this folder" in locked.stderr
    ended = command("queue", path, "--stop")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("trunk: goes on, step ")
    assert "stopped; the same command goes on" in (lab / "queue.toml.log").read_text()
    assert command("queue", path, "--stop").returncode == 2


def test_a_kill_at_any_moment_loses_no_checkpoint(lab: Path, command) -> None:
    # Long enough that a crowded machine has not used it up with its first checkpoint.
    path = queue(lab, TWO.replace("1s", "5s"))
    line = [sys.executable, "-m", "bigsharp", "queue", str(path)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    wait_for(lab / "trunk/last.pt")
    process.send_signal(signal.SIGKILL)
    process.wait()
    reached = networks.read_checkpoint(lab / "trunk/last.pt")["step"]
    assert command("queue", path).returncode == 0
    assert networks.read_checkpoint(lab / "trunk/last.pt")["step"] > reached
    assert networks.read_checkpoint(lab / "anneal/last.pt")["step"] == 20


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("run = 3", "holds no runs"),
        ("[[run]", "not a readable TOML file"),
        ("", "holds no runs"),
        ("a = " + "[" * 5000, "nested too deep"),
    ],
)
def test_a_file_that_is_no_queue_is_one_line(lab: Path, text: str, words: str) -> None:
    with pytest.raises(BigsharpError, match=words):
        read_queue(queue(lab, text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("folder = 'a'", "it names no recipe"),
        (
            "recipe = 'vdsr'\nresume = true",
            "no key of a run is called 'resume'; did you mean 'recipe'",
        ),
        ("recipe = 3", "recipe cannot be 3; it is a text"),
        ("recipe = 'vdsr'\nfor = 'ever'", "'ever' is no duration such as 90s"),
        ("recipe = 'vdsr'\nscale = 2", "scale cannot be 2; it is a list"),
        ("recipe = 'vdsr'\nsteps = 0", "steps must be at least 1"),
        ("recipe = 'vdsr'\nsteps = 'many'", "steps cannot be 'many'"),
        ("recipe = 'vdsr'\nlr = 'high'", "lr cannot be 'high'"),
        ("recipe = 'vdsr'\nfolder = '../x'", "lies outside the folder of the queue"),
        ("recipe = 'vdsr'\nfolder = '/x'", "lies outside the folder of the queue"),
        ('recipe = "a\\u0000.toml"', "no file is called so"),
        ("recipe = 'vdsr'\nfor = '" + "9h" * 9999 + "!'", "is no duration"),
        (f"recipe = 'vdsr'\nseed = {10**22}", "seed must be at most 1,000,000,000"),
    ],
)
def test_a_run_that_is_not_valid_says_why(lab: Path, text: str, words: str) -> None:
    entries, faults = read_queue(queue(lab, f"[[run]]\n{text}"))
    assert entries == []
    assert words in faults[0]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"step": "many", "seconds": 1.0, "log": []},
        {"step": 3, "seconds": 1.0, "log": [[]]},
        {"step": 3, "seconds": 1.0, "log": [{"step": 3}]},
        {"step": 3, "seconds": 1.0, "log": [], "parts": {"network": "../../x.pt"}},
    ],
)
def test_a_checkpoint_that_says_nothing_of_its_run(lab: Path, said: dict, network) -> None:
    (lab / "tiny").mkdir()
    packed = networks.pack("vdsr", network)
    (lab / "tiny" / LAST).write_bytes(networks.to_checkpoint(packed, **said))
    entry = Entry.from_dict({"recipe": "tiny.toml"}, lab)
    assert entry.status() == f"tiny: {lab}/tiny/last.pt: not a checkpoint of a run of bigsharp"
    with pytest.raises(BigsharpError, match="not a checkpoint of a run"):
        Trainer(entry.recipe, entry.folder, resume=True)


def test_what_an_entry_names_lies_where_the_file_does(lab: Path) -> None:
    entry = Entry.from_dict({"recipe": "tiny.toml", "from": "a/last.pt", "for": "1h30m"}, lab)
    assert (entry.folder, entry.start) == (lab / "tiny", str(lab / "a/last.pt"))
    assert entry.seconds == 5400
    assert Entry.from_dict({"recipe": "vdsr", "from": "vdsr"}, lab).start == "vdsr"


def test_runs_at_other_scales_have_folders_of_their_own(lab: Path) -> None:
    runs = "".join(f'[[run]]\nrecipe = "tiny.toml"\nscale = {scales}\n' for scales in ([2], [3, 4]))
    entries, faults = read_queue(queue(lab, runs + '[[run]]\nrecipe = "tiny.toml"\n'))
    assert not faults
    assert [entry.name for entry in entries] == ["tiny-x2", "tiny-x3,4", "tiny"]


def test_durations() -> None:
    assert [parse_duration(text) for text in ("90s", "45m", "2h", "1h30m", "1.5d")] == [
        90, 2700, 7200, 5400, 129600,
    ]  # fmt: skip
    for text in ("", "2", "h", "2h!", "0s", "-1h", "1 h"):
        with pytest.raises(BigsharpError, match="is no duration"):
            parse_duration(text)
