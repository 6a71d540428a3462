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

    cards = {name: weights.card(name) for name in weights.names()}
    if as_json:
        print(json.dumps(cards, indent=2))
        return
    for name, card in cards.items():
        print(f"{name}: {card['summary']}")
    for family, members in weights.families().items():
        print(f"{family}: one of {', '.join(members)}, by the scale")
    print("bicubic: no network, plain interpolation")
