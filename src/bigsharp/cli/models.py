"""`bigsharp models`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer


def models(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="One alone: what it is, and all that it scores."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every card whole.")] = False,
) -> None:
    """List the released models and what they score."""
    from bigsharp import errors, weights
    from bigsharp.restoration.models import summaries

    said = summaries()
    if name is not None and name not in said:
        raise errors.unknown("model", name, said)
    chosen = [*said] if name is None else weights.families().get(name, [name])
    cards = {each: weights.card(each) for each in chosen if each in weights.cards()}
    if as_json:
        print(json.dumps(cards, indent=2))
        return
    for each in chosen:
        print(f"{each}: {said[each]}")
        if name is not None and each in cards:
            print(*_scores(cards[each]), sep="\n")


def _scores(card: dict[str, Any]) -> Iterator[str]:
    """What a card says beside its summary, line by line."""
    from bigsharp.scoring.protocol import PROTOCOLS

    yield from (card[key] for key in ("note", "source") if card.get(key))
    rules = PROTOCOLS[card["protocol"]]
    for row in card["measured"]:
        other = next(key.removesuffix("psnr") for key in row if key.endswith("_psnr"))
        ours, theirs = (
            f"{row[f'{whose}psnr']:.2f} dB / {row[f'{whose}ssim']:.4f}" for whose in ("", other)
        )
        yield f"{row['data']} {rules.label(row['scale'])}: {ours} ({other[:-1]} {theirs})"
    yield f"PSNR / SSIM under the protocol {rules.name}: {rules.description}"
