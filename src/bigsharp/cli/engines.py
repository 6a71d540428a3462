"""`bigsharp engines`."""

from __future__ import annotations


def engines() -> None:
    """List what can run networks here, and why the rest cannot."""
    from bigsharp.engines import survey

    for name, said in survey().items():
        print(f"{name}: {said}")
