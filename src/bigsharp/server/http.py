"""uvicorn's server and connections, with an end to what it would wait for longer or for ever."""

from __future__ import annotations

import asyncio
import socket
from types import FrameType
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from bigsharp.server.service import Service

#: Seconds at most from a connection's beginning to the end of its first request's head.
_HEAD = 10.0

#: Connections at once; for another one, that which has kept the service waiting longest is closed.
_MOST = 500

#: Seconds at the end for answers that are on their way.
_LAST = 2.0


class Server(uvicorn.Server):
    """Ends when what runs is finished and fetched; told twice, at once."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._enough = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Be told to end."""
        if self.should_exit:
            # A signal does not wake the loop up of itself.
            asyncio.get_running_loop().call_soon_threadsafe(self._enough.set)
        else:
            super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End."""
        enough = asyncio.create_task(self._enough.wait())
        await _first(enough, asyncio.create_task(self._service.drain()))
        closing = asyncio.create_task(super().shutdown(sockets))
        await _first(enough, closing, timeout=_LAST)
        # uvicorn would cancel their tasks, and print where each of them was.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await closing


class Connection(H11Protocol):
    """Ends where its client does not go on: with a request, or with taking the answer.

    Attributes
    ----------
    patience : float
        Seconds for that.
    """

    patience = 60.0
    #: Those whose client's turn it is, longest first, and what will end them.
    _waiting: ClassVar[dict[Connection, asyncio.TimerHandle]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > _MOST:
            next(iter(self._waiting)).end()

    def data_received(self, data: bytes) -> None:
        """Hear from the client."""
        super().data_received(data)
        self._watch()

    def pause_writing(self) -> None:
        """Let the client take what it was sent."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._stop()

    def end(self) -> None:
        """Close it, whatever is on its way."""
        self._stop()
        self.transport.abort()

    def _watch(self) -> None:
        """Limit the time while it is the client's turn; sending a little does not extend it."""
        begun = self.cycle is not None
        if begun and not self.cycle.response_complete and not self.flow.write_paused:
            self._stop()
        elif self not in self._waiting:
            seconds = self.patience if begun else min(_HEAD, self.patience)
            self._waiting[self] = self.loop.call_later(seconds, self.end)

    def _stop(self) -> None:
        if self in self._waiting:
            self._waiting.pop(self).cancel()


async def _first(*tasks: asyncio.Task[Any], timeout: float | None = None) -> None:
    await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
