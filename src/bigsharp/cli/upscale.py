"""`bigsharp upscale`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bigsharp.cli.common import taking
from bigsharp.cli.pictures import Handling, Images, work_through
from bigsharp.options import Options

if TYPE_CHECKING:
    from bigsharp.restoration.cleaner import Cleaner
    from bigsharp.restoration.restorer import Restorer


@taking(asked=Options, handling=Handling)
def upscale(
    images: Images,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Result, or a folder for several, or - [default: beside IN, as IN-x3.png].",
        ),
    ] = None,
    *,
    asked: Options,
    handling: Handling,
) -> None:
    """Enlarge and sharpen pictures, with all their frames or pages."""
    from bigsharp.jobs.naming import BESIDE

    def open_models() -> tuple[Restorer, Cleaner]:
        from bigsharp.restoration.cleaner import Cleaner
        from bigsharp.restoration.models import open_restorer

        return open_restorer(asked.restorer, handling.engine), Cleaner(handling.engine)

    work_through(images, output, asked, handling, "upscaling", BESIDE, open_models)
