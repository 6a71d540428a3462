"""`bigsharp restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bigsharp.cli.common import taking
from bigsharp.cli.pictures import Handling, Images, Wish, work_through
from bigsharp.options import CleanOptions

if TYPE_CHECKING:
    from bigsharp.restoration.cleaning import Cleaner
    from bigsharp.restoration.restorer import Restorer


@taking(asked=CleanOptions, handling=Handling)
def restore(
    images: Images,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Result, or a folder for several, or - [default: beside IN, as IN-restored.png].",
        ),
    ] = None,
    *,
    asked: CleanOptions,
    handling: Handling,
) -> None:
    """Take noise and JPEG's damage away from pictures, at their own size."""
    from bigsharp.jobs import RESTORED
    from bigsharp.restoration.target import Size

    def open_models() -> tuple[Restorer, Cleaner]:
        from bigsharp.restoration.cleaning import Cleaner
        from bigsharp.restoration.restorer import Bicubic

        return Bicubic(), Cleaner.by(asked.model, asked.cleaning, handling.engine)

    wish = Wish(
        "restoring",
        Size(1),
        asked.saving,
        asked.cleaning,
        "auto",
        asked.format,
        asked.model or "",
        RESTORED,
    )
    work_through(images, output, wish, handling, open_models)
