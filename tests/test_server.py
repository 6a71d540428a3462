"""The service, through its own client and on a socket."""

import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import broken
from bigsharp.errors import BigsharpError
from bigsharp.options import Options
from bigsharp.server.app import build
from bigsharp.server.openapi import description
from bigsharp.server.settings import Settings

TOKEN = "a-token-nobody-can-guess"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """A service with one worker, which many tests share."""
    with TestClient(build(Settings(workers=1, max_pixels=1_000_000))) as client:
        yield client


@pytest.fixture
def serving() -> Iterator[Callable[..., TestClient]]:
    """Services of other settings."""
    with ExitStack() as stack:

        def start(token: str | None = None, names: tuple[str, ...] = (), **limits: Any):
            settings = Settings(**{"workers": 1, **limits})
            return stack.enter_context(TestClient(build(settings, token, names)))

        yield start


def send(client: TestClient, picture: Path | bytes, to: str = "upscale", **options: Any) -> Any:
    name, content = ("cat.png", picture) if isinstance(picture, bytes) else (picture.name, None)
    files = {"file": (name, content or picture.read_bytes())}
    return client.post(f"/v1/{to}", files=files, data={"model": "bicubic"} | options)


def until(client: TestClient, id: str, state: str) -> dict[str, Any]:
    for _ in range(600):
        job = client.get(f"/v1/jobs/{id}").json()
        if job["state"] == state:
            return job
        time.sleep(0.02)
    raise AssertionError(job)


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A picture that takes a while to restore."""
    path = tmp_path / "slow.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (400, 400), np.uint8)).save(path)
    return path


SLOW = {"model": "vdsr", "ensemble": "true", "scale": "2"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("photo.png", {}),
        ("photo.png", {"scale": "1.5", "model": "vdsr", "colour": "luma"}),
        ("photo.png", {"width": "100", "format": "jpg", "quality": "60", "progressive": "true"}),
        ("photo.jpg", {"fit": "300x200", "progressive": "false"}),
        ("photo.tif", {"scale": "x3", "compress": "false", "depth": "16"}),
        ("photo.tga", {"min-side": "90", "ensemble": "true"}),
    ],
)
def test_the_result_is_the_command_line_s(
    client: TestClient, command, photo: Path, tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    source = tmp_path / name
    Image.open(photo).save(source)
    told = send(client, source, **options)
    assert told.status_code == 200, told.text
    result = re.search('filename="(.+)"', told.headers["content-disposition"])[1]
    said = send(client, source, "jobs", **options).json()
    assert said["result"] == result
    program, *words = shlex.split(said["command"])
    assert program == "bigsharp"
    assert command(*words, cwd=tmp_path).returncode == 0
    assert (tmp_path / result).read_bytes() == told.content
    with Image.open(tmp_path / result) as image:
        assert told.headers["content-type"] == Image.MIME[image.format]


def test_a_job_is_followed_to_its_end(client: TestClient, photo: Path) -> None:
    accepted = send(client, photo, "jobs", model="vdsr", scale="2")
    assert accepted.status_code == 202
    place = accepted.headers["location"]
    with client.stream("GET", f"{place}/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        seen = [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data: ")]
    assert seen[-1]["state"] == "done"
    shares = [job["progress"] for job in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert client.get(place).json() == seen[-1]
    again = send(client, photo, model="vdsr", scale="2")
    assert client.get(f"{place}/result").content == again.content
    assert client.delete(place).status_code == 204
    for path in (place, f"{place}/result", f"{place}/events"):
        assert client.get(path).status_code == 404


def test_a_job_says_what_was_cleaned(client: TestClient, texture: np.ndarray) -> None:
    for quality, cleaned in ((20, "JPEG of quality 20: deblocked"), (99, None)):
        buffer = io.BytesIO()
        Image.fromarray(texture).save(buffer, "JPEG", quality=quality)
        place = send(client, buffer.getvalue(), "jobs", model="vdsr", scale="2").headers["location"]
        with client.stream("GET", f"{place}/events") as events:
            assert '"done"' in list(events.iter_lines())[-2]
        assert client.get(place).json()["cleaned"] == cleaned


def test_of_what_was_sent_and_deleted_nothing_is_left(client: TestClient, photo: Path) -> None:
    for task in list(client.app.service.tasks.values()):
        client.delete(f"/v1/jobs/{task.id}")
    assert send(client, photo).status_code == 200
    assert send(client, b"no picture").status_code == 415
    assert list(client.app.service._folder.iterdir()) == []
    assert client.app.service.bytes == 0


@pytest.mark.parametrize(
    ("status", "options", "words"),
    [
        (422, {"scale": "0.5"}, "the scale must be a number of at least 1"),
        (422, {"scale": "two"}, "--scale: 'two' is no number"),
        (422, {"width": "x"}, "--width: 'x' is no whole number"),
        (422, {"width": "10"}, "photo.png: the picture is 70 × 60 already"),
        (422, {"ensemble": "perhaps"}, "--ensemble: 'perhaps' is no choice of true and false"),
        (422, {"scal": "2"}, "no option is called 'scal'; did you mean 'scale'?"),
        (422, {"depth": "12"}, "--depth: 8 or 16, not 12"),
        (422, {"fit": "20x", "width": "9"}, "--fit is --width and --height"),
        (422, {"colour": "red"}, "no colour mode is called 'red'"),
        (422, {"format": "xyz"}, "no format is called 'xyz'"),
        (422, {"quality": "50"}, "photo-x2.png: quality is"),
        (422, {"model": "vdsrr"}, "did you mean 'vdsr'"),
        (422, {"output": "/etc/passwd"}, "no option is called 'output'"),
        (422, {"model": "/etc/passwd.onnx"}, "no model is called '/etc/passwd.onnx'"),
        (413, {"scale": "100"}, "raise it with --max-pixels 42000000"),
        (400, {"scale": "2" * 5000}, "Part exceeded maximum size"),
    ],
)
def test_mistakes_are_the_command_line_s_sentences(
    client: TestClient, photo: Path, status: int, options: dict[str, str], words: str
) -> None:
    told = send(client, photo, **options)
    assert told.status_code == status, told.text
    assert words in told.json()["error"]
    assert str(client.app.service._folder) not in told.text


def test_what_is_no_picture(client: TestClient, photo: Path) -> None:
    def refused(status: int, **request: Any) -> str:
        told = client.post("/v1/upscale", **request)
        assert told.status_code == status
        return told.json()["error"]

    assert refused(415, files={"file": ("a.png", b"text")}) == (
        "a.png: not a picture that bigsharp can read"
    )
    assert "PDF is not supported" in refused(415, files={"file": ("a.pdf", b"%PDF-1.4 ...")})
    half = photo.read_bytes()[:2000]
    assert "damaged or truncated" in refused(422, files={"file": ("a.png", half)})
    assert "multipart/form-data" in refused(415, json={"file": "a"})
    assert "no picture" in refused(422, files={"picture": b"a"})
    assert "boundary" in refused(400, content=b"a", headers={"content-type": "multipart/form-data"})
    assert "Too many files" in refused(400, files=[("file", b"a"), ("file", b"b")])
    assert client.get("/v1/upscale").status_code == 405
    assert client.get("/v1/jobs/../../etc/passwd").status_code == 404


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/cron.d/x.png", "x.png"),
        ("C:\\pictures\\x.png", "x.png"),
        ("..", ".."),
        ("", "picture"),
        ("-rf.png", "-rf.png"),
        ("{model}.png", "{model}.png"),
        ("<b>\x1b[31m.png", "<b>[31m.png"),
        ("x" * 300 + ".jpeg", "x" * 95 + ".jpeg"),
        (".png", ".png"),
    ],
)
def test_names_are_for_people_alone(client: TestClient, photo: Path, name: str, shown: str) -> None:
    with photo.open("rb") as file:
        task = client.app.service.task(name, file, Options(model="bicubic"))
    assert task.name == shown
    assert task.job.source.parent.parent == client.app.service._folder
    assert task.job.source.stem == "picture"
    assert task.job.output.parent == task.job.source.parent
    assert shlex.split(task.command)[2] == (f"./{shown}" if shown.startswith("-") else shown)


def test_some_hundred_damaged_pictures(client: TestClient, tmp_path: Path) -> None:
    assert broken.write_all(tmp_path, each=13) > 300
    for path in sorted(tmp_path.iterdir()):
        told = send(client, path)
        assert told.status_code in (200, 413, 415, 422), told.text
        if told.status_code != 200:
            assert "\n" not in told.json()["error"]
    assert client.app.service.counts["replaced"] == 0


def test_too_large_a_request(serving, photo: Path) -> None:
    client = serving(max_upload=1)
    told = send(client, b"\0" * 1_100_000)
    assert (told.status_code, told.json()["error"]) == (
        413, "a request has at most 1 MB (--max-upload)",
    )  # fmt: skip

    def chunks() -> Iterator[bytes]:  # Nothing says before how many they are.
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(20):
            yield b"\0" * 100_000

    kind = {"content-type": "multipart/form-data; boundary=b"}
    assert client.post("/v1/upscale", content=chunks(), headers=kind).status_code == 413
    assert client.app.service.incoming == 0
    assert send(client, photo).status_code == 200


def test_a_full_queue(serving, slow: Path, photo: Path) -> None:
    client = serving(queue=1)
    first = send(client, slow, "jobs", **SLOW).json()
    until(client, first["id"], "running")
    second = send(client, photo, "jobs").json()
    told = send(client, photo)
    assert told.status_code == 429
    assert 1 <= int(told.headers["retry-after"]) <= 60
    assert "1 pictures are waiting already" in told.json()["error"]
    assert client.get(f"/v1/jobs/{second['id']}/result").status_code == 409
    assert "bigsharp_queued 1\nbigsharp_running 1\n" in client.get("/metrics").text
    # Whoever ends the one that runs lets the next one go on, in another process.
    assert client.delete(f"/v1/jobs/{first['id']}").status_code == 204
    until(client, second["id"], "done")
    metrics = client.get("/metrics").text
    assert 'bigsharp_jobs_total{state="deleted"} 1\n' in metrics
    assert "bigsharp_workers_replaced_total 1\n" in metrics


def test_a_killed_worker_takes_one_job_with_it(serving, slow: Path, photo: Path) -> None:
    client = serving()
    job = send(client, slow, "jobs", **SLOW).json()
    until(client, job["id"], "running")
    os.kill(client.app.service.tasks[job["id"]].process.pid, signal.SIGKILL)
    assert "slow.png: the process" in until(client, job["id"], "failed")["error"]
    assert client.get(f"/v1/jobs/{job['id']}/result").status_code == 500
    assert send(client, photo).status_code == 200


def test_a_worker_is_started_once_that_is_possible(
    serving, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/no/such/program")
        client = serving()
        id = send(client, photo, "jobs").json()["id"]
        time.sleep(0.2)
    until(client, id, "done")


def test_a_job_that_takes_too_long(serving, slow: Path, photo: Path) -> None:
    client = serving(job_seconds=1.5)
    told = send(client, slow, **SLOW)
    assert (told.status_code, told.json()["error"]) == (
        503, "slow.png: not done in 1.5 s; ask for a smaller result",
    )  # fmt: skip
    while send(client, photo).status_code != 200:  # Once the next process has started.
        assert client.app.service.counts["replaced"] < 9


def test_who_does_not_wait_is_given_the_job(serving, slow: Path) -> None:
    client = serving(wait_seconds=0.1)
    told = send(client, slow, **SLOW)
    assert told.status_code == 202
    assert client.get(told.headers["location"]).json()["name"] == "slow.png"


def test_results_are_kept_for_a_time_and_a_space(serving, photo: Path) -> None:
    client = serving(keep_seconds=0.3)
    id = send(client, photo, "jobs").json()["id"]
    until(client, id, "done")
    time.sleep(0.4)
    assert client.get(f"/v1/jobs/{id}").status_code == 404
    assert not list(client.app.service._folder.iterdir())

    client = serving(space=1)
    noise = np.random.default_rng(1).integers(0, 256, (350, 350, 3), np.uint8)
    Image.fromarray(noise).save(photo)
    ids = []
    for _ in range(4):
        ids.append(send(client, photo, "jobs", scale="1").json()["id"])
        until(client, ids[-1], "done")
    kept = [client.get(f"/v1/jobs/{id}").status_code for id in ids]
    assert kept == [404, 404, 200, 200]
    assert client.app.service.bytes < 1_000_000
    client.app.service.incoming = 2_000_000
    assert send(client, photo).status_code == 503
    assert "disk is full" in send(client, photo).json()["error"]


def test_the_token(serving, photo: Path) -> None:
    client = serving(token=TOKEN)
    for path in ("/", "/healthz", "/openapi.json"):
        assert client.get(path).status_code == 200
    for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": f"Basic {TOKEN}"}):
        for path in ("/v1/models", "/metrics", "/v1/jobs/x"):
            told = client.get(path, headers=headers)
            assert (told.status_code, told.headers["www-authenticate"]) == (401, "Bearer")
    assert client.post("/v1/jobs", files={"file": b"a"}).status_code == 401
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    assert send(client, photo).status_code == 200


def test_no_other_site_s_page_is_answered(serving) -> None:
    client = serving(names=("localhost", "::1"))
    for host, status in {
        "localhost": 200, "LOCALHOST:80": 200, "[::1]:80": 200, "evil.example": 403, "[::": 403,
    }.items():  # fmt: skip
        assert client.get("/healthz", headers={"Host": host}).status_code == status
    for origin, status in {
        "http://localhost": 200,
        "http://evil.example": 403,
        "null": 403,
    }.items():
        headers = {"Host": "localhost", "Origin": origin}
        assert client.get("/healthz", headers=headers).status_code == status


def test_the_headers_of_every_answer(client: TestClient) -> None:
    for path in ("/", "/page.js", "/v1/models", "/nothing", "/v1/jobs/x"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert not {"set-cookie", "access-control-allow-origin"} & set(headers)


def test_the_models_are_those_of_the_command_line(client: TestClient, command) -> None:
    listed = client.get("/v1/models").json()
    lines = "".join(f"{entry['name']}: {entry['summary']}\n" for entry in listed)
    assert command("models").stdout == lines


def test_the_description_names_every_option() -> None:
    form = description()["paths"]["/v1/upscale"]["post"]["requestBody"]["content"]
    properties = form["multipart/form-data"]["schema"]["properties"]
    assert properties["scale"]["type"] == "string"
    assert properties["depth"] == {
        "type": "integer", "description": "Bits a sample, 8 or 16 [default: as IN].",
        "enum": [8, 16],
    }  # fmt: skip
    del properties["file"]
    words = {"string": "x", "integer": "8", "number": "2.5", "boolean": "true"}
    told = {name: words[entry["type"]] for name, entry in properties.items() if name != "fit"}
    read = Options.read(told)
    assert (read.scale, read.depth, read.megapixels, read.progressive) == ("x", 8, 2.5, True)


@contextmanager
def on_a_socket(*words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The command itself; gives its process and its port."""
    line = [sys.executable, "-m", "bigsharp", "serve", "--port", "0", "--workers", "1", *words]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        try:
            first = process.stderr.readline()
            yield process, int(re.search(r":(\d+)/", first)[1])
        finally:
            process.terminate()


def posted(port: int, file: bytes, **options: str) -> socket.socket:
    """A connection on which a picture is on its way."""
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in options.items()
    ]
    head = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    body = "".join([*parts, head]).encode() + file + b"\r\n--b--\r\n"
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(
        b"POST /v1/upscale HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; "
        b"boundary=b\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    return connection


def test_told_to_end_it_finishes_what_runs(photo: Path) -> None:
    with on_a_socket("--stop-seconds", "60") as (process, port):
        first = posted(port, photo.read_bytes(), model="vdsr", scale="4")
        metrics = f"http://127.0.0.1:{port}/metrics"
        while b"running 1" not in urlopen(metrics).read():
            time.sleep(0.05)
        second = posted(port, photo.read_bytes(), model="bicubic")
        while b"queued 1" not in urlopen(metrics).read():
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert b"503 Service Unavailable" in second.recv(100)
        assert b"200 OK" in first.recv(100)
        assert process.wait(30) == 128 + signal.SIGTERM
        assert process.stderr.read() == "bigsharp: terminated\n"


def test_half_open_clients_hold_nobody_up(photo: Path) -> None:
    with on_a_socket("--upload-seconds", "2", "--queue", "2") as (_, port):
        idle = []
        for _ in range(20):
            idle.append(socket.create_connection(("127.0.0.1", port)))
            idle[-1].sendall(
                b"POST /v1/upscale HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n"
                b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
            )
        with posted(port, photo.read_bytes(), model="bicubic") as connection:
            assert b"200 OK" in connection.recv(100)
        assert all(b"408 Request Timeout" in connection.recv(100) for connection in idle)


def test_what_cannot_be_served_is_one_line(command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for words, sentence in {
            ("--port", port): f"127.0.0.1, port {port}: cannot be listened on (Address already",
            ("--port", 99999): "127.0.0.1, port 99999: cannot be listened on",
            ("--host", "no.such.host.invalid"): "no.such.host.invalid, port 8000: cannot",
            ("--token", "short"): "--token: at least 16 letters",
            ("--queue", 0): "--queue: more than 0, not 0",
        }.items():
            done = command("serve", *words)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.startswith(f"bigsharp: {sentence}")
            assert done.stderr.count("\n") == 1


def test_the_container_starts_what_is_there() -> None:
    text = (Path(__file__).parents[1] / "Dockerfile").read_text(encoding="utf-8")
    steps = re.findall(r"^([A-Z]+) (.+)$", text.rpartition("\nFROM ")[2], re.MULTILINE)
    assert ("USER", "bigsharp") in steps
    program, verb, *words = json.loads(dict(steps)["ENTRYPOINT"])
    assert (program, verb) == ("bigsharp", "serve")
    with on_a_socket(*words, "--token", TOKEN) as (process, port):
        assert urlopen(f"http://127.0.0.1:{port}/healthz").read() == b"ok\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from bigsharp.server import run

    monkeypatch.setattr(run, "find_spec", lambda name: None)
    with pytest.raises(BigsharpError, match=r"the service needs starlette, the extra 'server'"):
        run.require_libraries()
