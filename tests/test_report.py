import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bigsharp.benchmark import figures
from bigsharp.benchmark.comparison import (
    Box,
    Comparison,
    choose_images,
    compare,
    parse_crop,
    telling_box,
)
from bigsharp.benchmark.methods import open_methods
from bigsharp.benchmark.run import benchmark
from bigsharp.errors import BigsharpError
from bigsharp.scoring import protocol
from bigsharp.scoring.protocol import Score
from bigsharp.scoring.sets import find_images


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, texture: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("set") / "photos"
    folder.mkdir()
    for k in range(3):
        Image.fromarray(np.roll(texture, 9 * k, axis=1)).save(folder / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def page(photos: Path, checkpoint: Path, command) -> Path:
    """A report on two methods."""
    out = photos.parent / "out"
    methods = f"bicubic,mine={checkpoint.with_suffix('.onnx')}"
    done = command(
        "benchmark", "--data", photos, "--methods", methods, "--scale", "2,3", "-o", out,
        "--report", "--crop", "1.png", "--crop", "2:4,6,20,10", "-q",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out / "report.html"


def test_the_report_needs_nothing_outside_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r'(?:src|href)="([^"]{0,40})', text)
    assert len(links) > 8
    assert all(link.startswith("data:image/png;base64,") for link in links)
    assert "bigsharp benchmark --data" in text
    assert "cores, " in text
    for name in ("bicubic", "mine"):
        assert text.count(f'<td class="text">{name}</td>') == 2 * 3


def test_the_figures_are_kept_as_pdf_and_png(page: Path) -> None:
    names = {path.name for path in (page.parent / "figures").iterdir()}
    expected = {f"photos-x{s}-{k}" for s in (2, 3) for k in ("1", "2", "images", "cost")}
    assert names == {f"{name}.{kind}" for name in expected for kind in ("pdf", "png")}
    with Image.open(page.parent / "figures/photos-x2-1.png") as image:
        assert min(image.size) > 600


def test_what_a_report_shows(image_sets: Path, photos: Path) -> None:
    images = {name: find_images(name, image_sets) for name in ("Set5", "B100", str(photos))}
    names = [[path.stem for path, _ in shown] for shown in choose_images([], images).values()]
    assert names == [["bird", "butterfly"], ["253027", "86000"], ["0"]]
    chosen = choose_images(["baby", "2:1,2,3,4"], images)
    assert [len(shown) for shown in chosen.values()] == [1, 0, 1]
    assert chosen[str(photos)][0][1] == Box(1, 2, 3, 4)
    for name, told in (
        ("253072.png", r"'253072.png'; did you mean '253027.\w+'\? \(`crop`, of Set5, B100, "),
        ("cat", r"'cat'; there are baby.png, .* …"),
    ):
        with pytest.raises(BigsharpError, match=f"no image is called {told}"):
            choose_images([name], images)


def test_in_a_browser_the_slider_moves_and_the_tables_sort(browser, page: Path) -> None:
    view = browser.new_page(viewport={"width": 1000, "height": 900})
    failures: list[str] = []
    view.on("pageerror", lambda error: failures.append(str(error)))
    view.goto(page.as_uri())

    slider = view.locator(".slider").first
    bar, box = slider.locator(".bar"), slider.bounding_box()
    assert box is not None
    before = slider.screenshot()
    for share in (0.2, 0.8):
        slider.locator("input").click(position={"x": share * box["width"], "y": box["height"] / 2})
        at = bar.bounding_box()["x"] - box["x"]
        assert at == pytest.approx(share * box["width"], abs=0.05 * box["width"])
        assert slider.screenshot() != before

    def column(number: int) -> list[str]:
        return view.locator(f"#images tbody td:nth-child({number})").all_inner_texts()

    head = view.locator("#images th button", has_text="PSNR")
    head.click()
    values = [float(text) for text in column(5)]
    assert values == sorted(values)
    assert len(set(values)) > 3
    head.click()
    assert [float(text) for text in column(5)] == sorted(values, reverse=True)
    view.locator("#images th button", has_text="method").click()
    assert column(4) == sorted(column(4))
    assert not failures


def test_crops_and_scores_in_the_figure_are_those_of_the_table(photos: Path) -> None:
    rules = protocol.choose()
    results = benchmark([str(photos)], [2], ["bicubic"], rules=rules)
    path = photos / "1.png"
    comparison = compare(results, path, rules, open_methods(["bicubic"]))
    assert np.array_equal(comparison.truth, np.asarray(Image.open(path)))
    (record,) = (r for r in results[0].records if r.image == "1.png")
    figure = figures.crops(comparison, Box(4, 6, 20, 10))
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == [
        "1.png, ×2",
        "Ground truth\n(PSNR, SSIM)",
        f"bicubic\n({record.psnr:.2f}, {record.ssim:.4f})",
    ]
    shown = figure.axes[2].images[0].get_array()
    assert np.array_equal(shown, comparison.restored["bicubic"][6:16, 4:24])
    for box in (Box(-1, 0, 5, 5), Box(60, 0, 20, 5), Box(0, 0, 0, 5)):
        with pytest.raises(BigsharpError, match=r"not inside 1.png, which is 70 × 60"):
            figures.crops(comparison, box)


def test_the_telling_box_is_where_the_methods_differ_most() -> None:
    one, other = np.zeros((2, 240, 300, 3), np.uint8)
    other[100:130, 200:220] = 255
    scores = {"one": Score(1, 1), "other": Score(2, 1)}
    comparison = Comparison("a", 2, one, {"one": one, "other": other}, scores)
    box = telling_box(comparison)
    assert (box.width, box.height) == (40, 40)
    assert box.cut(other).sum() == other.sum()


def test_cost_is_drawn_for_what_is_known(photos: Path, checkpoint: Path) -> None:
    methods = ["bicubic", f"a={checkpoint}", f"b={checkpoint.with_suffix('.onnx')}"]
    results = benchmark([str(photos)], [2], methods)
    opened = open_methods(methods)
    assert opened["a"].parameters == opened["b"].parameters == 1321
    figure = figures.cost(results, opened)
    by_time, by_size = ([text.get_text() for text in axes.texts] for axes in figure.axes)
    assert by_time == ["bicubic", "a", "b"]
    assert by_size == ["a", "b"]


def test_a_figure_is_the_same_bytes_each_time(photos: Path, tmp_path: Path) -> None:
    results = benchmark([str(photos)], [2], ["bicubic"])
    for name in ("first", "second"):
        figures.save(figures.distribution(results), tmp_path / name)
    for kind in ("pdf", "png"):
        assert (tmp_path / f"first.{kind}").read_bytes() == (
            tmp_path / f"second.{kind}"
        ).read_bytes()


def test_crop_words() -> None:
    assert parse_crop("a.png") == ("a.png", None)
    assert parse_crop("a.png:1,2,3,4") == ("a.png", Box(1, 2, 3, 4))
    for words in ("a:1,2,3", "a:b", "a:1,2,3,x"):
        with pytest.raises(BigsharpError, match="is not IMAGE:LEFT,TOP,WIDTH,HEIGHT"):
            parse_crop(words)


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_a_missing_extra_is_named_before_anything_is_scored(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, missing: str
) -> None:
    from bigsharp import cli
    from bigsharp.benchmark import report

    found = report.find_spec
    monkeypatch.setattr(report, "find_spec", lambda name: None if name == missing else found(name))
    line = ["bigsharp", "benchmark", "--data", str(photos), "--report", "-o", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == 2
    assert f"need {missing}, the extra 'bench': pip install" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
