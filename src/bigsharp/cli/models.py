"""`bigsharp models`."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print every card whole.")] = False,
) -> None:
    """List the released models and what they score."""
    from bigsharp import weights
    from bigsharp.restoration.models import summaries

    if as_json:
        print(json.dumps({name: weights.card(name) for name in weights.names()}, indent=2))
        return
    for name, summary in summaries().items():
        print(f"{name}: {summary}")
