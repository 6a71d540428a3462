"""`bigsharp restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bigsharp.cli.common import taking
from bigsharp.cli.pictures import Handling, Images, work_through
from bigsharp.options import CleanOptions

if TYPE_CHECKING:
    from bigsharp.restoration.cleaner import Cleaner
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
    from bigsharp.jobs.naming import RESTORED

    def open_models() -> tuple[Restorer, Cleaner]:
        from bigsharp.restoration.cleaner import Cleaner
        from bigsharp.restoration.restorer import Bicubic

        return Bicubic(), Cleaner.by(asked.model, asked.cleaning, handling.engine)

    work_through(images, output, asked, handling, "restoring", RESTORED, open_models)
