"""The service on a socket, until it is told to end."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from importlib.util import find_spec
from urllib.parse import quote

from bigsharp import errors
from bigsharp.errors import BigsharpError
from bigsharp.server.settings import Settings, check_token

#: What this machine is called by itself.
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def require_libraries() -> None:
    """Say in one line how to install what the service needs."""
    for library in ("starlette", "uvicorn", "python_multipart"):
        if find_spec(library) is None:
            raise BigsharpError(errors.install("the service needs", library, "server"))


def serve(
    host: str,
    port: int,
    token: str | None,
    settings: Settings,
    say: Callable[[str], None],
    visit: Callable[[str], object] = str,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Parameters
    ----------
    host, port
        An address of this machine; port 0 for any that is free.
    token : str, optional
    settings : Settings
    say : callable
        Is told the page's address, and what to mind.
    visit : callable
        Is given the page's address with the token.

    Raises
    ------
    BigsharpError
        A library is missing, the token is short, or the address is not to be had.
    """
    require_libraries()
    if token is not None:
        check_token(token)
    import uvicorn

    from bigsharp.server.app import build
    from bigsharp.server.http import Connection, Server

    class Patient(Connection):
        patience = settings.upload_seconds

    alone = _is_loopback(host)
    app = build(settings, token, tuple({*_LOOPBACK, host}) if alone else ())
    with _bound(host, port) as bound:
        name = f"[{host}]" if ":" in host else host
        address = f"http://{name}:{bound.getsockname()[1]}/"
        say(f"{address} (Ctrl-C ends it)")
        if not alone and token is None:
            say(f"anybody who reaches {host} can use it; `token` keeps others out")
        # In the fragment, which no browser sends.
        visit(address + (f"#token={quote(token, safe='')}" if token else ""))
        config = uvicorn.Config(
            app,
            http=Patient,
            ws="none",
            log_level="warning",
            server_header=False,
        )
        Server(config, app.service).run([bound])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        sentence = f"{host}, port {port}: cannot be listened on ({reason}); give another `port`"
        raise BigsharpError(sentence) from None
