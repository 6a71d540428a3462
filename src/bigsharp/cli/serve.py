"""`bigsharp serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from bigsharp.cli.common import say, taking
from bigsharp.server.settings import Settings


@taking(settings=Settings)
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address that is listened on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any that is free.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(envvar="BIGSHARP_TOKEN", help="What requests must bring: for other hosts."),
    ] = None,
    visit: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    settings: Settings,
) -> None:
    """Serve a page and an HTTP service that upscale pictures; nothing leaves this machine."""
    import webbrowser

    from bigsharp.server.run import serve

    serve(host, port, token, settings, say, webbrowser.open if visit else str)
