"""Write docs/cli.md: every verb of the command line with its options.

python tools/reference.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from bigsharp.cli import app

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"


def page() -> str:
    """The page as it should be."""
    root: Any = typer.main.get_command(app)
    parts = ["# The command line\n\nMade by `python tools/reference.py`.\n"]
    for name, verb in root.commands.items():
        arguments = [p for p in verb.params if p.param_type_name == "argument"]
        options = [p for p in verb.params if p.param_type_name == "option"]
        usage = " ".join([f"bigsharp {name}", *(_label(p) for p in arguments), "[OPTIONS]"])
        lines = [f"- `{_label(p)}` — {p.help}" for p in [*arguments, *options]]
        parts.append("\n".join([f"## {usage}\n", f"{verb.help}\n", *lines, ""]))
    return "\n".join(parts)


def _label(parameter: Any) -> str:
    """An option's names, or an argument's word."""
    if parameter.param_type_name == "argument":
        return f"{parameter.metavar or parameter.name.upper()}{'…' * (parameter.nargs == -1)}"
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    default = parameter.default
    said = isinstance(default, str | int | float | Path) and not isinstance(default, bool)
    return f"{names} (default {default})" if said else names


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
