"""The HTTP service: routes, and what guards them."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, Headers, MutableHeaders, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bigsharp.errors import BigsharpError, as_line
from bigsharp.io.formats import format_of
from bigsharp.options import Options, types_of
from bigsharp.restoration.models import summaries
from bigsharp.server.openapi import description
from bigsharp.server.service import Service, Ticket
from bigsharp.server.settings import MEGABYTE, Settings
from bigsharp.server.worker import status_of

#: Of the page and of every answer.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

#: The page, and what it is made of.
_PAGE = {"/": "page.html", "/page.css": "page.css", "/page.js": "page.js", "/icon.svg": "icon.svg"}

#: What anybody may see who has no token.
_OPEN = (*_PAGE, "/healthz", "/openapi.json")

#: Requests that are answered at once; further ones are answered 503.
_AT_ONCE = 400

#: Bytes of an option's word; seconds between signs of life where there is no progress.
_WORD, _SILENCE = 1024, 15.0

#: Of a client that has gone.
_GONE = 499


def build(settings: Settings, token: str | None = None, names: tuple[str, ...] = ()) -> Guard:
    """The service as an ASGI application; its `Service` is its attribute ``service``.

    Parameters
    ----------
    settings : Settings
    token : str, optional
        What a request must bring as ``Authorization: Bearer …``.
    names : tuple of str
        By which alone it is called (the header ``Host``); any where there is none.
    """
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with service:
            yield

    app = Starlette(
        routes=[
            Route("/v1/upscale", upscale, methods=["POST"]),
            Route("/v1/jobs", submit, methods=["POST"]),
            Route("/v1/jobs/{id}", job, methods=["GET", "DELETE"]),
            Route("/v1/jobs/{id}/events", events),
            Route("/v1/jobs/{id}/result", result),
            Route("/v1/models", models),
            Route("/healthz", health),
            Route("/metrics", metrics),
            Route("/openapi.json", openapi),
            *(Route(path, partial(page, file=file)) for path, file in _PAGE.items()),
        ],
        exception_handlers=dict.fromkeys(
            (HTTPException, BigsharpError, ClientDisconnect, OSError, Exception), _failed
        ),
        lifespan=lifespan,
    )
    app.state.service = service
    return Guard(app, service, token, names)


class Guard:
    """What lets a request through to the application, and adds the headers of every answer."""

    def __init__(
        self, app: ASGIApp, service: Service, token: str | None, names: tuple[str, ...]
    ) -> None:
        self.app = app
        self.service = service
        self.token = token
        self.names = names
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refused = self._refusal(scope["path"], Headers(scope=scope))
        self._open += 1
        try:
            await (refused or self.app)(scope, receive, guarded)
        finally:
            self._open -= 1

    def _refusal(self, path: str, headers: Headers) -> Response | None:
        if self._open >= _AT_ONCE and path != "/healthz":
            return _error(503, f"{_AT_ONCE} requests are open already", {"Retry-After": "1"})
        host = headers.get("host", "")
        # Another site's page, or a name that was made to lead here, may not make a browser ask.
        if self.names and _host_of(f"//{host}") not in self.names:
            return _error(403, f"this service is called {' or '.join(self.names)}")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return _error(403, "the service answers no page but its own")
        if self.token is None or path in _OPEN:
            return None
        kind, _, given = headers.get("authorization", "").partition(" ")
        # What is no ASCII cannot be compared as text.
        same = secrets.compare_digest(given.encode(), self.token.encode())
        if kind.lower() == "bearer" and same:
            return None
        wanted = {"WWW-Authenticate": "Bearer"}
        return _error(401, "the service wants its token: Authorization: Bearer TOKEN", wanted)


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


async def page(request: Request, file: str) -> Response:
    """The page, or a file that it wants."""
    return FileResponse(Path(__file__).parent / "static" / file)


async def upscale(request: Request) -> Response:
    """A picture in, the result out; or 202 and the job, where that takes long."""
    service = _service(request)
    ticket = await _received(request)
    waits = {asyncio.create_task(ticket.end()), asyncio.create_task(_gone(request))}
    with ticket.held():
        done, pending = await asyncio.wait(
            waits, timeout=service.settings.wait_seconds, return_when=asyncio.FIRST_COMPLETED
        )
    for wait in pending:
        wait.cancel()
    if not ticket.ended and done:
        service.forget(ticket)
        return Response(status_code=_GONE)
    if not ticket.ended:
        return _accepted(ticket)
    answer = _result(ticket)
    answer.background = BackgroundTask(_forget, service, ticket)
    return answer


async def submit(request: Request) -> Response:
    """A picture in, the job out."""
    return _accepted(await _received(request))


async def job(request: Request) -> Response:
    """How it stands; or its end, and that of its result."""
    ticket = _ticket(request)
    if request.method == "DELETE":
        _service(request).forget(ticket)
        return Response(status_code=204)
    return JSONResponse(ticket.as_json(), headers={"Cache-Control": "no-store"})


async def events(request: Request) -> Response:
    """How it goes: the job at each change, as server-sent events, until it has ended."""
    ticket = _ticket(request)

    async def stream() -> AsyncIterator[str]:
        ended = False
        while not ended:
            changed, ended = ticket.changed, ticket.ended
            yield f"data: {json.dumps(ticket.as_json())}\n\n"
            while not ended and not await _within(_SILENCE, changed):
                yield ": still here\n\n"

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


async def result(request: Request) -> Response:
    """The picture that was made."""
    ticket = _ticket(request)
    if not ticket.ended:
        return _error(409, f"{ticket.name}: is not done yet")
    return _result(ticket)


async def models(request: Request) -> Response:
    """What `model` takes."""
    listed = [{"name": name, "summary": text} for name, text in summaries().items()]
    return JSONResponse(listed)


async def health(request: Request) -> Response:
    """That it is there."""
    return PlainTextResponse("ok\n")


async def openapi(request: Request) -> Response:
    """What is described here."""
    return JSONResponse(description())


async def metrics(request: Request) -> Response:
    """Numbers in the text format of Prometheus (version 0.0.4)."""
    service = _service(request)
    numbers = {
        **{f'jobs_total{{state="{s}"}}': service.counts[s] for s in ("done", "failed", "deleted")},
        "job_seconds_total": round(service.seconds, 3),
        "workers_replaced_total": service.counts["replaced"],
        "queued": len(service.of("queued")),
        "running": len(service.of("running")),
        "disk_bytes": service.bytes,
    }
    lines: dict[str, None] = {}
    for name, value in numbers.items():
        metric = name.partition("{")[0]
        kind = "counter" if metric.endswith("_total") else "gauge"
        lines |= {f"# TYPE bigsharp_{metric} {kind}\n": None, f"bigsharp_{name} {value}\n": None}
    return Response("".join(lines), media_type="text/plain; version=0.0.4")


def _service(request: Request) -> Service:
    return request.app.state.service


def _ticket(request: Request) -> Ticket:
    ticket = _service(request).tickets.get(request.path_params["id"])
    if ticket is None:
        raise HTTPException(404, "there is no such job; its time may be up")
    return ticket


async def _received(request: Request) -> Ticket:
    """The ticket that a form asks for, in the queue."""
    service = _service(request)
    service.check()
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind.strip().lower() != "multipart/form-data":
        raise HTTPException(415, "a picture comes as the part 'file' of multipart/form-data")
    arriving = _Arriving(request, service)
    try:
        async with asyncio.timeout(service.settings.upload_seconds):
            count = len(types_of(Options))
            form: FormData = await arriving.form(max_files=1, max_fields=count, max_part_size=_WORD)
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise HTTPException(422, "there is no picture; send it as the part 'file'")
        asked = Options.read({key: word for key, word in form.items() if isinstance(word, str)})
        ticket = await run_in_threadpool(service.ticket, file.filename or "", file.file, asked)
    except TimeoutError:
        raise HTTPException(408, "the request did not arrive in time") from None
    finally:
        await arriving.close()
        arriving.done()
    service.enqueue(ticket)
    return ticket


class _Arriving(Request):
    """A request whose body is measured as it comes."""

    def __init__(self, request: Request, service: Service) -> None:
        super().__init__(request.scope, self._measured)
        self._from = request.receive
        self._service = service
        self._bytes = 0
        self._check(int(request.headers.get("content-length", 0)))

    async def _measured(self) -> Message:
        message = await self._from()
        count = len(message.get("body", b""))
        self._bytes += count
        self._service.incoming += count
        self._check(self._bytes)
        return message

    def _check(self, count: int) -> None:
        most = self._service.settings.max_upload
        if count > most * MEGABYTE:
            raise HTTPException(413, f"a request has at most {most} MB (--max-upload)")
        if self._service.bytes > self._service.settings.space * MEGABYTE:
            self._service.check()

    def done(self) -> None:
        """It has arrived, or will not."""
        self._service.incoming -= self._bytes


async def _forget(service: Service, ticket: Ticket) -> None:
    # In the event loop, where Starlette would call a plain function in another thread.
    service.forget(ticket)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Whether something happens in that time."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _accepted(ticket: Ticket) -> Response:
    return JSONResponse(ticket.as_json(), 202, {"Location": f"/v1/jobs/{ticket.id}"})


def _result(ticket: Ticket) -> Response:
    if ticket.error is not None:
        return _error(ticket.status, ticket.error)
    return _Result(ticket)


class _Result(FileResponse):
    """The picture that was made, which nothing deletes to make room while it is sent."""

    def __init__(self, ticket: Ticket) -> None:
        path, headers = ticket.job.output, {"Cache-Control": "no-store"}
        kind = _types()[format_of(path).name]
        super().__init__(path, headers=headers, media_type=kind, filename=ticket.result)
        self._ticket = ticket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""

        async def noted(message: Message) -> None:
            await send(message)
            if scope["method"] != "HEAD" and message.get("more_body") is False:
                self._ticket.set(fetched=True)

        with self._ticket.held():
            await super().__call__(scope, receive, noted)


@cache
def _types() -> Mapping[str, str]:
    from PIL import Image

    Image.init()
    return Image.MIME


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": message}, status, headers)


def _failed(request: Request, error: Exception) -> Response:
    match error:
        case HTTPException():
            return _error(error.status_code, error.detail, error.headers)
        case BigsharpError():
            return _error(status_of(error), as_line(str(error)))
        case ClientDisconnect():
            return Response(status_code=_GONE)
        case OSError():
            return _error(503, f"the service cannot keep the picture ({error.strerror})")
    return _error(500, "the service failed")
