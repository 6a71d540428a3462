"""The service, through its own client and on a socket."""

import asyncio
import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from resource import RLIMIT_FSIZE, RLIMIT_NOFILE, getrlimit, setrlimit
from typing import Any
from urllib.request import urlopen

import httpx2
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import bigsharp
import broken
from bigsharp.errors import BigsharpError
from bigsharp.options import Options
from bigsharp.server.app import build
from bigsharp.server.openapi import description
from bigsharp.server.settings import Settings

TOKEN = "a-token-nobody-can-guess"

COMMAND = (sys.executable, "-m", "bigsharp", "serve")


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


def workers(monkeypatch: pytest.MonkeyPatch, **more: Any) -> list[asyncio.subprocess.Process]:
    """The processes that services start from now on, with these options."""
    started, start = [], asyncio.create_subprocess_exec

    async def noted(*words: str, **options: Any) -> asyncio.subprocess.Process:
        started.append(await start(*words, **options, **more))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    return started


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
        assert client.get(place).json()["said"] == cleaned


def test_of_what_was_sent_and_deleted_nothing_is_left(client: TestClient, photo: Path) -> None:
    for ticket in list(client.app.service.tickets.values()):
        client.delete(f"/v1/jobs/{ticket.id}")
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
    same = {"content-type": "Multipart/Form-Data ; boundary=b"}
    assert "no picture" in refused(422, content=b"--b--\r\n", headers=same)
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
        ticket = client.app.service.ticket(name, file, Options(model="bicubic"))
    assert ticket.name == shown
    assert ticket.job.source.parent.parent == client.app.service._folder
    assert ticket.job.source.stem == "picture"
    assert ticket.job.output.parent == ticket.job.source.parent
    assert shlex.split(ticket.command)[2] == (f"./{shown}" if shown.startswith("-") else shown)


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
    metrics = client.get("/metrics").text
    assert "\nbigsharp_queued 1\n" in metrics
    assert "\nbigsharp_running 1\n" in metrics
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
    os.kill(client.app.service.tickets[job["id"]].process.pid, signal.SIGKILL)
    assert "slow.png: the process" in until(client, job["id"], "failed")["error"]
    assert client.get(f"/v1/jobs/{job['id']}/result").status_code == 500
    assert send(client, photo).status_code == 200


def test_a_worker_killed_while_idle_takes_no_job_with_it(
    serving, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = workers(monkeypatch)
    client = serving()
    assert send(client, photo).status_code == 200
    os.kill(processes[0].pid, signal.SIGKILL)
    while processes[0].returncode is None:
        time.sleep(0.02)
    assert send(client, photo).status_code == 200
    assert "bigsharp_workers_replaced_total 1\n" in client.get("/metrics").text


def test_a_full_disk_is_not_the_user_s_mistake(
    serving, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers(monkeypatch, preexec_fn=lambda: setrlimit(RLIMIT_FSIZE, (1000, 1000)))
    told = send(serving(), photo)
    assert (told.status_code, told.json()["error"]) == (
        503, "photo-x2.png: cannot be written (File too large)",
    )  # fmt: skip


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


def test_a_result_that_has_just_been_made_or_is_sent_makes_no_room(serving, photo: Path) -> None:
    client = serving(space=1)
    first = send(client, photo, "jobs", model="vdsr", scale="4").json()["id"]
    until(client, first, "running")
    client.app.service.incoming = 2_000_000  # Others need all the space.
    until(client, first, "done")
    assert client.get(f"/v1/jobs/{first}/result").status_code == 200
    with client.app.service.tickets[first].held():
        assert send(client, photo).status_code == 503
        assert client.get(f"/v1/jobs/{first}").status_code == 200
    assert send(client, photo).status_code == 503
    assert client.get(f"/v1/jobs/{first}").status_code == 404


def test_a_result_larger_than_the_space(serving, photo: Path) -> None:
    client = serving(space=1)
    kept = send(client, photo, "jobs").json()["id"]
    until(client, kept, "done")
    noise = np.random.default_rng(1).integers(0, 256, (500, 500, 3), np.uint8)
    Image.fromarray(noise).save(photo)
    told = send(client, photo, format="ppm", scale="2")
    assert (told.status_code, told.json()["error"]) == (
        413,
        "photo.png: the result has 3.0 MB, and there is space for 1 (--space)",
    )
    assert client.get(f"/v1/jobs/{kept}/result").status_code == 200
    assert client.app.service.bytes < 100_000


def test_the_metrics_are_typed_where_they_stand(client: TestClient) -> None:
    typed: list[str] = []
    for line in client.get("/metrics").text.splitlines():
        if line.startswith("# TYPE "):
            typed.append(line.split()[2])
        else:
            assert re.match(r"\w+", line)[0] == typed[-1]
    assert len(set(typed)) == len(typed) > 5


def test_too_many_requests_at_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigsharp.server.app._AT_ONCE", 0)
    told = client.get("/v1/models")
    assert (told.status_code, told.json()["error"]) == (503, "0 requests are open already")
    assert told.headers["retry-after"] == "1"
    assert told.headers["x-content-type-options"] == "nosniff"
    assert client.get("/healthz").status_code == 200


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
def on_a_socket(
    *words: str, entry: Sequence[str] = COMMAND, **options: Any
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The command itself; gives its process and its port."""
    line = [*entry, "--port", "0", "--workers", "1", *words]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, **options) as process:
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


def connected(port: int, sent: bytes) -> socket.socket:
    """A connection on which something was sent."""
    connection = socket.create_connection(("127.0.0.1", port), 20)
    connection.sendall(sent)
    return connection


def is_closed(connection: socket.socket) -> bool:
    """Whether nothing more comes of it, and no longer is waited for."""
    try:
        while connection.recv(1 << 20):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def test_half_open_heads_lock_nobody_out() -> None:
    files = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (min(2048, files[1]), files[1]))
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    try:
        with on_a_socket("--upload-seconds", "2") as (_, port), ExitStack() as stack:
            # More than there may be: the first ones make room.
            half = [stack.enter_context(connected(port, head + b"X: ")) for _ in range(520)]
            assert urlopen(f"http://127.0.0.1:{port}/healthz").read() == b"ok\n"
            # Nor does it help to send a body, never whole, to whoever does not read it.
            with connected(port, head + b"Content-Length: 99\r\n\r\n") as drip:
                assert b"200 OK" in drip.recv(1000)
                drip.sendall(b"a")
                assert all(map(is_closed, [*half, drip]))
    finally:
        setrlimit(RLIMIT_NOFILE, files)


def test_who_does_not_take_the_answer_is_left(photo: Path) -> None:
    with on_a_socket("--upload-seconds", "1") as (_, port):
        options = {"model": "bicubic", "scale": "40", "format": "ppm"}
        with posted(port, photo.read_bytes(), **options) as slow:
            address = f"http://127.0.0.1:{port}/metrics"
            while b'{state="done"} 1' not in urlopen(address).read():
                time.sleep(0.05)
            time.sleep(1.5)
            count = 0
            while part := slow.recv(1 << 20):
                count += len(part)
            assert 0 < count < 70 * 60 * 3 * 40**2
            assert b"disk_bytes 0" in urlopen(address).read()


def job_on(port: int, picture: Path, **options: str) -> str:
    """The address of a job that is being worked on."""
    told = httpx2.post(
        f"http://127.0.0.1:{port}/v1/jobs",
        files={"file": (picture.name, picture.read_bytes())},
        data=options,
    )
    address = f"http://127.0.0.1:{port}{told.headers['location']}"
    while httpx2.get(address).json()["state"] != "running":
        time.sleep(0.02)
    return address


def test_told_to_end_it_waits_for_who_fetches_the_result(photo: Path) -> None:
    with on_a_socket("--stop-seconds", "60") as (process, port):
        job = job_on(port, photo, model="vdsr", scale="2", ensemble="true")
        process.send_signal(signal.SIGTERM)
        with httpx2.stream("GET", f"{job}/events", timeout=60) as events:
            assert '"done"' in list(events.iter_lines())[-2]
        refused = httpx2.post(f"http://127.0.0.1:{port}/v1/jobs", files={"file": b"a"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        time.sleep(0.3)
        result = httpx2.get(f"{job}/result")
        assert Image.open(io.BytesIO(result.content)).size == (140, 120)
        assert process.wait(5) == 128 + signal.SIGTERM
        assert process.stderr.read() == "bigsharp: terminated\n"


def test_told_to_end_twice_it_ends_at_once(
    slow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "own"))
    with on_a_socket("--stop-seconds", "60") as (process, port):
        job = job_on(port, slow, **SLOW)
        half = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n"
        half += b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        with connected(port, half), httpx2.stream("GET", f"{job}/events"):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 128 + signal.SIGTERM
            assert time.monotonic() - began < 5
        assert process.stderr.read() == "bigsharp: terminated\n"
        assert not list((tmp_path / "own").iterdir())


def test_what_a_killed_service_left_is_deleted(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    (own / "bigsharp-of-mine").mkdir(0o700, parents=True)
    monkeypatch.setenv("TMPDIR", str(own))
    with on_a_socket() as (killed, port):
        assert urlopen(f"http://127.0.0.1:{port}/healthz").read() == b"ok\n"
        (left,) = {*own.iterdir()} - {own / "bigsharp-of-mine"}
        killed.kill()
    with on_a_socket() as (_, port):
        assert urlopen(f"http://127.0.0.1:{port}/healthz").read() == b"ok\n"
        assert not left.exists()
        running = {*own.iterdir()}
        with on_a_socket() as (_, other):
            assert urlopen(f"http://127.0.0.1:{other}/healthz").read() == b"ok\n"
            assert running < {*own.iterdir()}
        with posted(port, photo.read_bytes(), model="bicubic") as connection:
            assert b"200 OK" in connection.recv(100)
    assert (own / "bigsharp-of-mine").exists()


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


@pytest.mark.slow
def test_the_container_s_steps(photo: Path, tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    text = (root / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    left_out = (root / ".dockerignore").read_text().split()
    shutil.copytree(root, tmp_path / "source", ignore=shutil.ignore_patterns(*left_out))
    venv.create(tmp_path / "bare", with_pip=True)
    programs = tmp_path / "bare" / "bin"
    # Nothing of this process's own environment helps.
    environment = dict(re.findall(r"^ENV (\w+)=(\w+)$", text, re.MULTILINE))
    environment |= {"PATH": f"{programs}:/usr/bin:/bin", "TMPDIR": str(tmp_path / "tmp")}
    environment |= {"HOME": str(tmp_path / "home")}
    for name in ("tmp", "home"):
        (tmp_path / name).mkdir()
    place = {"env": environment, "cwd": tmp_path / "home"}
    for step in re.findall(r"pip (?:wheel|install) [^&\n]+", text):
        words = re.sub(r"/(source|wheels)\b", rf"{tmp_path}/\1", step)
        subprocess.run(shlex.split(words), check=True, **place)

    def kept() -> set[tuple[Path, int]]:
        return {
            (path, path.stat().st_mtime_ns)
            for name in ("bare", "home")
            for path in (tmp_path / name).rglob("*")
        }

    before = kept()
    entry = json.loads(re.search(r"^ENTRYPOINT (.+)$", text, re.MULTILINE)[1])
    check = json.loads(re.search(r"^HEALTHCHECK CMD (.+)$", text, re.MULTILINE)[1])
    with on_a_socket("--token", TOKEN, entry=entry, **place) as (process, port):
        words = [word.replace(":8000/", f":{port}/") for word in check]
        subprocess.run(words, check=True, **place)
        told = httpx2.post(
            f"http://127.0.0.1:{port}/v1/upscale",
            files={"file": ("photo.png", photo.read_bytes())},
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=60,
        )
        assert told.content == bigsharp.upscale(photo.read_bytes(), 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    # It runs on a read-only root, and leaves nothing on its tmpfs.
    assert kept() == before
    assert not list((tmp_path / "tmp").iterdir())


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from bigsharp.server import run

    monkeypatch.setattr(run, "find_spec", lambda name: None)
    with pytest.raises(BigsharpError, match=r"the service needs starlette, the extra 'server'"):
        run.require_libraries()
