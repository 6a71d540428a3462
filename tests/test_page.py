"""The page of the service, in a browser."""

import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bigsharp
from test_server import TOKEN, on_a_socket

MODEL = "bicubic"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with on_a_socket("--token", TOKEN, "--max-pixels", "1000000") as (_, port):
        yield f"http://127.0.0.1:{port}/#token={TOKEN}"


@pytest.fixture
def view(browser, address: str):
    """The page; nothing may go wrong in it."""
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda line: failures.append(line.text) if line.type == "error" else None)
    page.goto(address)
    page.locator("#model").select_option(MODEL)
    page.failures = failures
    yield page
    page.close()


def saved(view, press: str) -> bytes:
    with view.expect_download() as download:
        view.locator(press).click()
    return Path(download.value.path()).read_bytes()


def test_a_picture_is_dropped_and_taken_home(view, texture: np.ndarray, tmp_path: Path) -> None:
    # Large enough for its progress to be seen.
    photo = tmp_path / "photo.png"
    Image.fromarray(np.tile(texture, (6, 6, 1))).save(photo)
    data = view.evaluate_handle(
        """bytes => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "photo.png"));
        return data; }""",
        list(photo.read_bytes()),
    )
    view.locator("#scale").fill("2.5")
    assert view.locator("#slider").input_value() == "2.5"
    view.evaluate(
        """() => { window.states = [];
        new MutationObserver(() => states.push(document.querySelector(".state").textContent))
            .observe(document.querySelector("#pictures"), { subtree: true, childList: true }); }"""
    )
    view.locator("#drop").dispatch_event("drop", {"dataTransfer": data})
    view.get_by_text("done, 1050 × 900").wait_for()
    states = view.evaluate("states")
    shares = [int(state[:-2]) for state in states if state.endswith(" %")]
    assert len(shares) > 1
    assert shares == sorted(shares)
    assert saved(view, ".download") == bigsharp.upscale(photo.read_bytes(), 2.5, model=MODEL)
    line = view.locator(".command code").inner_text()
    assert line == f"bigsharp upscale photo.png --scale 2.5 --model {MODEL}"
    assert "invents no detail" in view.locator("header").inner_text().replace("\n", " ")
    assert not view.failures


def test_the_slider_and_the_zoom(view, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (90, 900), np.uint8)).save(path)
    view.locator("#files").set_input_files(path)
    view.get_by_text("done, 1800 × 180").wait_for()
    viewer, after = view.locator(".viewer"), view.locator(".after")
    box = viewer.bounding_box()
    seen = viewer.screenshot()
    for share in (20, 80):
        view.locator(".split").fill(str(share))
        at = view.locator(".bar").bounding_box()["x"] - box["x"]
        assert at == pytest.approx(share / 100 * box["width"], abs=2)
        assert seen != (seen := viewer.screenshot())
    assert after.bounding_box()["width"] == pytest.approx(box["width"], abs=1)
    view.locator(".exact").click()
    assert after.bounding_box()["width"] == 1800
    left = after.bounding_box()["x"]
    viewer.hover()
    view.mouse.down()
    view.mouse.move(box["x"] + box["width"] / 2 - 100, box["y"] + 20, steps=4)
    view.mouse.up()
    assert after.bounding_box()["x"] == pytest.approx(left - 100, abs=2)
    viewer.press("ArrowLeft")
    assert after.bounding_box()["x"] == pytest.approx(left - 40, abs=2)
    viewer.press("+")
    assert after.bounding_box()["width"] == pytest.approx(2250)
    viewer.press("0")
    assert after.bounding_box()["width"] == pytest.approx(box["width"], abs=1)
    assert not view.failures


def test_several_pictures_as_a_zip(view, photo: Path, tmp_path: Path) -> None:
    Image.open(photo).save(tmp_path / "ähnlich.jpg")
    (tmp_path / "again").mkdir()
    again = shutil.copy(photo, tmp_path / "again" / "photo.png")
    view.locator("#format").select_option("webp")
    view.locator("#files").set_input_files([photo, again, tmp_path / "ähnlich.jpg"])
    view.locator(".download >> visible=true").nth(2).wait_for()
    with zipfile.ZipFile(io.BytesIO(saved(view, "#all"))) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["photo-x2-2.webp", "photo-x2.webp", "ähnlich-x2.webp"]
        for name in archive.namelist():
            with Image.open(archive.open(name)) as image:
                assert (image.format, image.size) == ("WEBP", (140, 120))
    assert not view.failures


def test_mistakes_are_shown_as_the_command_line_says_them(view, tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("no picture")
    view.locator("#files").set_input_files(path)
    sentence = "notes.png: not a picture that bigsharp can read"
    view.locator(".error", has_text=sentence).wait_for()
    assert view.get_by_role("status").inner_text() == sentence
    Image.new("L", (30, 20)).save(path)
    view.get_by_text("More options").click()
    view.get_by_label("width", exact=True).fill("10")
    assert view.locator("#scale").is_disabled()
    view.locator("#files").set_input_files(path)
    view.locator(".error", has_text="notes.png: the picture is 30 × 20 already").wait_for()
    view.get_by_label("width", exact=True).fill("60")
    view.locator(".picture").first.get_by_role("button", name="Again").click()
    view.get_by_text("done, 60 × 40").wait_for()
    assert not view.failures


def test_by_keyboard_alone(view, photo: Path) -> None:
    def names() -> list[str]:
        return view.evaluate(
            """() => { const e = document.activeElement;
            return [e.id || e.className.split(" ").pop(), e.getAttribute("aria-label") ?? ""]; }"""
        )

    view.locator("#files").focus()
    met = []
    for _ in range(5):
        view.keyboard.press("Tab")
        met.append(names()[0])
    assert met[:4] == ["slider", "scale", "model", "format"]
    view.locator("#slider").focus()
    view.keyboard.press("End")
    assert view.locator("#scale").input_value() == "8"
    view.locator("#files").set_input_files(photo)
    view.get_by_text("done, 560 × 480").wait_for()
    view.locator("#all").focus()
    met = []
    for _ in range(8):
        view.keyboard.press("Tab")
        met.append(tuple(names()))
    assert [name for name, _ in met[:7]] == [
        "viewer", "split", "download", "whole", "exact", "again", "remove",
    ]  # fmt: skip
    assert met[0][1].startswith("photo.png, before and after")
    view.locator(".remove").press("Enter")
    assert view.locator(".picture").count() == 0
    assert view.get_by_role("status").inner_text() == "photo.png is removed"
    assert not view.failures


def test_without_the_token_it_says_so(browser, address: str) -> None:
    page = browser.new_page()
    page.goto(address.partition("#")[0])
    page.get_by_text("This service wants its token").wait_for()
    page.close()
