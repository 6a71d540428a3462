"""The slides' studies through the command line: tiny networks, and the results that are kept."""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from bigsharp import cli, networks, studies
from bigsharp.benchmark.run import benchmark
from bigsharp.networks.network import Network
from bigsharp.studies import draw, measure
from bigsharp.studies.page import Section, html, page, whole
from bigsharp.studies.results import Outcome, Results, path_of, read
from bigsharp.studies.run import missing_runs
from bigsharp.studies.study import LONGER, WIDER, Pair, Study, named
from bigsharp.training import queue
from bigsharp.training.losses import LOSSES
from bigsharp.training.recipe import Recipe

DOCS = Path(__file__).parents[1] / "docs"
KEPT = DOCS / "studies"


class Done(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Run the command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["bigsharp", *map(str, words)])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        out, err = capsys.readouterr()
        return Done(int(exit.value.code or 0), out, err)

    return run


@pytest.fixture
def root(tmp_path: Path, texture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of image sets, all of one texture, where the command line finds it."""
    folder = tmp_path / "sets"
    for name, count in (("Set5", 5), ("T91", 91), ("B100", 100), ("photos", 4)):
        (folder / name).mkdir(parents=True)
        for k in range(count):
            Image.fromarray(np.roll(texture, k, axis=1)).save(folder / name / f"{k:02}.png")
    monkeypatch.setenv("BIGSHARP_DATA", str(folder))
    return folder


TINY: dict[str, Any] = {
    "holdout": 1, "patch": 16, "batch": 2, "steps": 4, "validate_every": 2,
    "validation_crop": 24,
}  # fmt: skip


@pytest.fixture
def tiny(root: Path, monkeypatch: pytest.MonkeyPatch):
    """Give a study runs of four steps, one seed each."""

    def shrink(name: str, seeds: int = 1, longer: tuple[Pair, ...] = (), **changes: Any) -> Study:
        study = studies.load(name)
        photos = {"data": (str(root / "photos"),), "alpha_steps": 0}

        def runs(budget: str) -> dict[str, Recipe | str]:
            return {
                label: replace(run, **TINY | photos | changes) if isinstance(run, Recipe) else run
                for label, run in study.runs(budget).items()
            }

        small = replace(study, runs=runs, seeds={"small": seeds}, longer=longer, wider=())
        monkeypatch.setattr(sys.modules[f"bigsharp.studies.{name}"], "STUDY", small)
        return small

    return shrink


def test_studies_are_listed_and_an_unknown_one_is_said(call) -> None:
    listed = call("study")
    assert [line.split()[0] for line in listed.out.splitlines()] == list(studies.NAMES)
    assert len(studies.NAMES) == 9
    wrong = call("study", "weights")
    assert (wrong.status, wrong.out) == (2, "")
    assert wrong.err == f"bigsharp: no study is called 'weights'; there are {NAMES}\n"
    assert "did you mean 'depth'?" in call("study", "dept").err
    assert "no budget is called 'large'" in call("study", "depth", "--budget", "large").err
    assert call("study", "depth", "--all").status == 2
    assert "--plot and --background are of a study" in call("study", "--plot").err


NAMES = ", ".join(studies.NAMES)


def test_a_study_trains_measures_draws_and_does_nothing_twice(call, tiny) -> None:
    study = tiny("recursion", seeds=2)
    first = call("study", "recursion")
    assert first.status == 0, first.err
    assert "recursion: 0 of 8 runs are there, the others take about " in first.err
    assert "recursion: recursions 16, seed 1 (8 of 8): step 4/4" in first.err
    files = [f"docs/studies/recursion-small.{kind}" for kind in ("pdf", "png", "csv")]
    assert first.out.split() == [*files, "docs/studies.md", "docs/studies.html"]
    results = read(Path("docs/studies/recursion-small.json"))
    assert results.labels == list(study.runs("small"))
    assert [outcome.seed for outcome in results.outcomes] == [0] * 4 + [1] * 4
    assert [o.receptive_field for o in results.outcomes] == [11, 21, 31, 41] * 2
    for outcome in results.outcomes:
        assert outcome.steps == 4
        assert [point["step"] for point in outcome.curve] == [2, 4]
        assert set(outcome.psnr) == {"3"}
        assert sum(outcome.weights) == pytest.approx(1, abs=1e-5)
    assert [len(o.weights) for o in results.outcomes[:4]] == [1, 6, 11, 16]
    assert [len(o.predictions["3"]) for o in results.outcomes[1:4]] == [6, 11, 16]
    page_text = Path("docs/studies.md").read_text(encoding="utf-8")
    assert "More recursions yielding larger receptive fields" in page_text
    assert "](studies/recursion-small.png)" in page_text
    data = Path(files[2]).read_text().splitlines()
    assert data[0] == "run,seed,what,step,seconds,scale,value"
    assert sum(line.startswith("recursions 6,1,psnr,4") for line in data) == 1
    assert sum(line.startswith("recursions 6,1,psnr of recursion") for line in data) == 6

    kept = Path("docs/studies/recursion-small.json").read_bytes()
    shutil.rmtree("runs")
    again = call("study", "recursion", "-q")
    assert again == (0, "", "")
    assert not Path("runs").exists()
    assert Path("docs/studies/recursion-small.json").read_bytes() == kept


def test_a_study_goes_on_where_it_stopped(call, tiny) -> None:
    tiny("data")
    assert call("study", "data", "-q").status == 0
    path = Path("docs/studies/data-small.json")
    content = json.loads(path.read_text())
    lost = content["outcomes"].pop()
    path.write_text(json.dumps(content))
    assert "no whole results of data" in call("study", "data", "--plot").err
    checkpoints = {file: file.read_bytes() for file in Path("runs").rglob("*.pt")}
    done = call("study", "data")
    assert "data: 2 of 3 runs are there, the others take about 0 s" in done.err
    assert {file: file.read_bytes() for file in Path("runs").rglob("*.pt")} == checkpoints
    assert json.loads(path.read_text())["outcomes"][-1] == lost


def test_what_did_not_hold_is_trained_for_longer(call, tiny) -> None:
    tiny("data", longer=(Pair("91 images", "291 images"),))
    assert call("study", "data", "-q").status == 0
    results = read(Path("docs/studies/data-small.json"))
    assert results.labels[-2:] == ["91 images, longer", "291 images, longer"]
    assert [outcome.steps for outcome in results.outcomes] == [4, 4, 4, 12, 12]
    more, few = (results.psnr(f"{n} images, longer", 3) for n in (291, 91))
    text = Path("docs/studies.md").read_text(encoding="utf-8")
    assert "Three times as long, 291 images against 91 images: " in text
    assert f" {more - few:+.2f} dB at ×3" in text.split("Three times")[1]
    assert set(results.first("91 images").elsewhere) == {"B100"}
    assert "· 4 steps · 2 patches a step · one seed ·" in text


def test_a_run_that_diverges_is_an_outcome(call, tiny) -> None:
    tiny("supervision", lr=1e9)
    done = call("study", "supervision", "-q")
    assert done.status == 0, done.err
    results = read(Path("docs/studies/supervision-small.json"))
    basic = results.first("basic")
    assert basic.diverged.startswith("training diverged before step")
    assert basic.psnr == {}
    assert len(basic.gradients["start"]) == 16
    assert basic.gradients["start"][0] > 0


def test_results_of_another_version_are_named_and_left_alone(call, tiny) -> None:
    tiny("depth")
    path = Path("docs/studies/depth-small.json")
    path.parent.mkdir(parents=True)
    for text, why in (
        ('{"version": 0}', "results of version 0, where this bigsharp knows 1"),
        ("[]", "results of version None"),
        ("{", "holds no results of a study"),
        ('{"version": 1, "study": "depth"}', "holds no results of a study"),
        ('{"version": true, "study": "depth", "budget": "small", "outcomes": []}', "results of"),
        (
            '{"version": 1, "study": "depth", "budget": "small", "outcomes": [{"label": "a", '
            '"seed": 0, "recipe": {}, "curve": [5]}]}',
            "holds no results of a study",
        ),
        (
            '{"version": 1, "study": "scales", "budget": "small", "outcomes": []}',
            "holds results of scales, budget small",
        ),
    ):
        path.write_text(text)
        for words in (["depth"], ["--all", "--plot"]):
            done = call("study", *words)
            assert done.status == 2
            last = done.err.splitlines()[-1]
            assert last.startswith(f"bigsharp: {path}: {why}")
        assert path.read_text() == text


@pytest.mark.slow
def test_results_of_another_recipe_are_not_taken(call, tiny) -> None:
    tiny("data")
    assert call("study", "data", "-q").status == 0
    tiny("data", steps=6)
    done = call("study", "data")
    assert "data: 0 of 3 runs are there" in done.err
    assert {o.steps for o in read(Path("docs/studies/data-small.json")).outcomes} == {6}


def test_what_is_missing_is_said_in_one_line(call, root: Path, monkeypatch) -> None:
    assert call("study", "depth", "--plot") == (
        2,
        "",
        "bigsharp: docs/studies: no whole results of depth; `bigsharp study NAME` makes them\n",
    )
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "torch", None)
        done = call("study", "depth")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "pip install 'bigsharp[train]'" in done.err
    monkeypatch.delenv("BIGSHARP_DATA", raising=False)
    for words in ([], ["--background"]):
        done = call("study", "depth", *words)
        assert (done.status, done.err.count("\n")) == (2, 1)
        assert "no image sets" in done.err
    monkeypatch.setenv("BIGSHARP_DATA", str(root))
    (root / "T91" / "00.png").unlink()
    assert "T91" in call("study", "depth").err  # before BSDS200, which is not there at all
    monkeypatch.setattr("bigsharp.benchmark.report.find_spec", lambda name: None)
    done = call("study", "depth")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "pip install 'bigsharp[bench]'" in done.err


def test_in_the_background_the_queue_trains_what_the_study_then_measures(
    call, root: Path, tiny, monkeypatch
) -> None:
    study = tiny("context")
    started = []
    monkeypatch.setattr(queue, "start", lambda *words: started.append(words) or 7)
    done = call("study", "context", "--background")
    file = Path("runs/studies/context-small.toml")
    assert done.out.startswith("process 7 works, for about ")
    assert f"; see {file}.log" in done.out
    assert started == [(file, "auto", root)]
    entries, faults = queue.read_queue(file)
    assert faults == []
    assert [entry.recipe for entry in entries] == list(study.all_runs("small").values())
    assert queue.Worker(root, "cpu", lambda line: None)._train(entries[0]) is None
    assert entries[0].reached()["step"] == 4
    assert entries[0].folder == Path("runs/studies") / entries[0].recipe.name
    monkeypatch.setattr("bigsharp.studies.run.missing_runs", lambda study, found: {})
    assert "nothing is left to train" in call("study", "context", "--background").out
    assert len(started) == 1


def test_studies_share_the_runs_that_are_the_same() -> None:
    depth, data, scales = (studies.load(n).all_runs("small") for n in ("depth", "data", "scales"))
    run = depth["depth 20", 0]
    assert run == data["291 images", 0] == scales["×2,3,4", 0]
    assert run != depth["depth 20", 1]
    assert isinstance(run, Recipe)
    assert run.name == named(replace(run, name="other")).name


@pytest.mark.parametrize("budget", ["small", "paper"])
@pytest.mark.parametrize("name", studies.NAMES)
def test_every_study_names_networks_that_can_be_built(name: str, budget: str) -> None:
    runs = studies.load(name).all_runs(budget)
    assert runs
    for run in runs.values():
        if isinstance(run, Recipe):
            assert networks.build(run.architecture, **run.options)


def test_context_compares_equal_sizes() -> None:
    runs = studies.load("context").runs("small").values()
    counts = [networks.build(r.architecture, **r.options).weight_count for r in runs]
    assert max(counts) < 1.06 * min(counts)


def test_a_score_is_the_benchmark_s(root: Path, checkpoint: Path, network: Network) -> None:
    (result,) = benchmark(["Set5"], [3], [f"a={checkpoint}"], engine="torch")
    assert measure.score(network, 3, root) == pytest.approx([result.mean.psnr], abs=1e-3)


def test_a_drcn_s_recursions_are_scored_one_by_one(root: Path) -> None:
    torch.manual_seed(0)
    drcn = networks.build("drcn", recursions=3, filters=8)
    output, *single = measure.score(drcn, 2, root)
    assert single == [output] * 3  # it starts from bicubic, at every recursion
    assert output == pytest.approx(measure.bicubic([2], root)["2"], abs=1e-3)
    assert measure.gradients(drcn, root) == [0.0, 0.0, 0.0]  # and its last layer at zero
    torch.nn.init.ones_(drcn.reconstruction[1].weight)
    assert min(measure.gradients(drcn, root)) > 0


def test_the_euclidean_loss_is_half_the_sum_over_a_patch() -> None:
    assert LOSSES["euclidean"](torch.full((4, 1, 3, 3), 2.0), torch.zeros(1)) == 18
    assert LOSSES["euclidean"](torch.full((2, 4, 1, 3, 3), 2.0), torch.zeros(1)) == 18


def kept() -> list[Results]:
    return [results for n in studies.NAMES for results in whole(n, studies.load(n), KEPT)]


def test_the_page_and_the_figures_are_what_the_kept_results_say() -> None:
    text = (DOCS / "studies.md").read_text(encoding="utf-8")
    assert text == page(KEPT)
    assert [results.study for results in kept()] == list(studies.NAMES)
    for results in kept():
        assert missing_runs(studies.load(results.study), results) == {}
        figure = Image.open(KEPT / f"{results.study}-{results.budget}.png")
        assert figure.text["Source"] == draw.digest(results)


def scored(name: str, psnr: dict[str, list[float]], seeds: int = 1) -> Results:
    """Results of a study with these scores at its scales, the same for every seed."""
    scales = [f"{scale:g}" for scale in studies.load(name).scales]
    bicubic = dict(zip(scales, [33.66, 30.39, 28.42][-len(scales) :], strict=True))
    outcomes = [
        Outcome(label, seed, {}, psnr=dict(zip(scales, values, strict=True)))
        for label, values in psnr.items()
        for seed in range(seeds)
    ]
    return Results(name, "small", bicubic, outcomes=outcomes)


def test_a_verdict_is_on_the_claim_alone() -> None:
    judge = studies.load("scales").judge
    alone = {"×2": [36.7, 30.4, 28.4], "×3": [30, 32.6, 29], "×4": [27, 29, 30.3]}
    for several, held in (([36, 32.2, 30.1], "did not hold"), ([36, 32.7, 30.1], "held in part"),
                          ([36, 32.7, 30.4], "held")):  # fmt: skip
        assert judge(scored("scales", alone | {"×2,3,4": several})).held == held
    wider = {label + WIDER: [37, 33, 31] for label in ("×3", "×4")} | {
        "×2,3,4" + WIDER: [0, 34, 32]
    }
    results = scored("scales", alone | wider | {"×2,3,4": [36, 32.2, 30.1]})
    (doubt,) = Section("scales", studies.load("scales"), results).doubts
    assert doubt.startswith(
        "Is it for lack of filters? Yes. With twice as many, ×2,3,4 against ×3:"
    )
    depths = {f"depth {d}": [30 + d / 10, 31, 32 + d / 10] for d in (5, 8, 11, 14, 17, 20)}
    assert studies.load("depth").judge(scored("depth", depths)).held == "held in part"
    depths |= {f"depth {d}": [30 + d / 10] * 3 for d in (5, 8, 11, 14, 17, 20)}
    assert studies.load("depth").judge(scored("depth", depths)).held == "held"


def test_whether_it_was_for_lack_of_training() -> None:
    study = studies.load("recursion")
    short = {f"recursions {n}": [psnr] for n, psnr in ((1, 31.0), (6, 32), (11, 31.9), (16, 31.6))}
    for longer, answer in ((32.6, "Yes"), (32.4, "In part"), (32.0, "No")):
        psnr = short | {"recursions 6" + LONGER: [32.5], "recursions 16" + LONGER: [longer]}
        told = Section("recursion", study, scored("recursion", psnr)).doubts[0]
        assert f"lack of training? {answer}. Three times as long, recursions 16 against" in told
        assert f"{longer - 32.5:+.2f} dB at ×3 (before: -0.40 dB at ×3)" in told
    psnr = {"VDSR-6": [36, 32, 30], "VDSR-20": [35.9, 32.5, 30.5], "SRCNN 9-1-5": [35, 31, 29]}
    psnr |= {"VDSR-6" + LONGER: [36.5, 32.5, 30.5], "VDSR-20" + LONGER: [36.4, 33, 31]}
    section = Section("context", studies.load("context"), scored("context", psnr))
    assert "lack of training? No. Three" in section.doubts[0]  # what lacked at ×2 still does


@pytest.mark.parametrize("name", studies.NAMES)
def test_a_study_is_told_and_drawn_whichever_run_diverged(name: str, tmp_path: Path) -> None:
    study = studies.load(name)
    (results,) = (found for found in kept() if found.study == name)
    for label in results.labels if name != "ensemble" else ():
        outcomes = [
            replace(outcome, psnr={}, elsewhere={}, curve=[]) if outcome.label == label else outcome
            for outcome in results.outcomes
        ]
        section = Section(name, study, replace(results, outcomes=outcomes))
        assert "nan" not in " ".join([section.verdict.why, *section.doubts])
        draw.save(study, section.results, tmp_path)


def test_the_kept_results_are_drawn_without_training(call, tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()
    for results in kept():
        shutil.copy(path_of(KEPT, results.study, results.budget), folder)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delenv("BIGSHARP_DATA", raising=False)
    done = call("study", "--all", "--plot", "-o", folder)
    assert done.status == 0, done.err
    for results in kept():
        for kind in ("pdf", "png", "csv"):
            assert (folder / f"{results.study}-{results.budget}.{kind}").stat().st_size > 100
    assert (tmp_path / "studies.md").read_text(encoding="utf-8") == page(KEPT)


def test_the_html_page_holds_every_figure_and_works_in_a_browser(browser, tmp_path: Path) -> None:
    shutil.copytree(KEPT, tmp_path / "studies")
    text = html(tmp_path / "studies")
    links = re.findall(r'(?:src|href)="([^"]{0,22})', text)
    assert links
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in links)
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    view = browser.new_page(viewport={"width": 400, "height": 800})
    view.goto((tmp_path / "page.html").as_uri())
    widths = view.eval_on_selector_all("img", "all => all.map(i => [i.naturalWidth, i.width])")
    assert len(widths) == len(kept())
    assert all(natural > 1000 and shown <= 400 for natural, shown in widths)
    view.click("ul a >> nth=0")
    assert view.evaluate("location.hash").startswith("#")
    assert not view.is_visible("table >> nth=0")
    view.click("summary >> nth=0")
    assert view.is_visible("table >> nth=0")
