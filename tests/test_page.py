"""The page of the service, in a browser."""

import io
import shutil
import time
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


def test_two_fingers_zoom(browser, address: str, texture: np.ndarray, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(np.tile(texture, (4, 4, 1))).save(photo)
    page = browser.new_page(viewport={"width": 360, "height": 740}, has_touch=True)
    page.goto(address)
    page.locator("#model").select_option(MODEL)
    page.locator("#files").set_input_files(photo)
    page.get_by_text("done, 560 × 480").wait_for()
    page.locator(".viewer").scroll_into_view_if_needed()
    box, after = page.locator(".viewer").bounding_box(), page.locator(".after")
    devtools = page.context.new_cdp_session(page)

    def touch(kind: str, *places: float) -> None:
        y = box["y"] + box["height"] / 2
        points = [{"x": box["x"] + x, "y": y, "id": id} for id, x in enumerate(places)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 100)
    touch("touchStart", 100, 140)
    for right in range(150, 190, 10):
        touch("touchMove", 100, right)
    touch("touchEnd")
    assert after.bounding_box()["width"] == pytest.approx(2 * box["width"], rel=0.02)
    # What was under the finger that stayed is there still.
    assert after.bounding_box()["x"] == pytest.approx(box["x"] - 100, abs=4)
    touch("touchStart", 100)
    touch("touchMove", 120)
    touch("touchEnd")
    assert after.bounding_box()["x"] == pytest.approx(box["x"] - 80, abs=4)
    page.close()


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
    view.route("**/v1/jobs", lambda route: None)  # No answer comes.
    for number in range(3):
        assert view.locator("#all").is_enabled()
        view.locator(".again").nth(number).click()
    assert view.locator("#all").is_disabled()
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


def test_what_is_no_number_is_not_passed_over(view, photo: Path) -> None:
    view.locator("#scale").clear()
    view.locator("#scale").press_sequentially("e")
    assert view.locator("#slider").input_value() == "2"
    view.locator("#files").set_input_files(photo)
    view.locator(".error", has_text="--scale: that is no number").wait_for()
    view.locator("#scale").fill("3")
    view.locator(".again").click()
    view.get_by_text("done, 210 × 180").wait_for()
    assert not view.failures


def test_a_file_that_cannot_be_read_any_more(view, photo: Path, tmp_path: Path) -> None:
    view.locator("#files").set_input_files(photo)
    view.get_by_text("done, 140 × 120").wait_for()
    photo.write_bytes(photo.read_bytes() + b"more")
    view.locator(".again").click()
    sentence = "photo.png: cannot be read; it is a folder, or was changed or removed"
    view.locator(".error", has_text=sentence).wait_for()
    (tmp_path / "holiday").mkdir()
    devtools = view.context.new_cdp_session(view)
    dropped = {"items": [], "files": [str(tmp_path / "holiday")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        place = {"type": kind, "x": 200, "y": 200, "data": dropped}
        devtools.send("Input.dispatchDragEvent", place)
    view.locator(".error", has_text="holiday: cannot be read; it is a folder").wait_for()
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
    assert [label for _, label in met[2:]] == [
        "Download photo-x8.png", "Whole photo.png", "1:1 photo.png", "Again photo.png",
        "Remove photo.png", "Copy the command line for photo.png",
    ]  # fmt: skip
    view.locator(".again").press("Enter")
    assert view.evaluate("document.activeElement.textContent") == "photo.png"
    view.get_by_text("done, 560 × 480").wait_for()
    view.locator(".remove").press("Enter")
    assert view.locator(".picture").count() == 0
    assert view.get_by_role("status").inner_text() == "photo.png is removed"
    assert not view.failures


@pytest.mark.parametrize(
    "token", ["a+b&c=d/e?f#g%h%41", "a%2Bb%26c%2541-and-more", "100%-guess-proof!"]
)
def test_any_token_quoted_or_not(
    browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    visited = tmp_path / "visited"
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" > {visited}.part && mv {visited}.part {visited}\n')
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(program))
    with on_a_socket("--open", "--token", token) as (_, port):
        while not visited.exists():
            time.sleep(0.05)
        for address in (visited.read_text().strip(), f"http://127.0.0.1:{port}/#token={token}"):
            page = browser.new_page()
            page.goto(address)
            page.locator("#model option", has_text=MODEL).wait_for(state="attached")
            page.close()


def test_without_the_token_it_says_so(browser, address: str) -> None:
    page = browser.new_page()
    page.goto(address.partition("#")[0])
    page.get_by_text("This service wants its token").wait_for()
    page.close()
