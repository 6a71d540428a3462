"""How results are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from bigsharp.errors import BigsharpError
from bigsharp.io.formats import Format, format_named, format_of, is_written
from bigsharp.jobs.job import STANDARD
from bigsharp.restoration.target import Size

#: The name of the result beside the original, of what is enlarged and of what is restored at its
#: own size; and in a folder of results.
BESIDE, RESTORED, IN_FOLDER = "{stem}-{size}{ext}", "{stem}-restored{ext}", "{stem}{ext}"


@dataclass(frozen=True)
class Naming:
    """How results are called, and what happens to those that exist.

    Attributes
    ----------
    template : str, optional
        Of the name: {stem}, {ext}, {size} (x2, 800w …), {scale} and {model} are replaced; it may
        hold folders. By default `BESIDE` or `IN_FOLDER`.
    format : str, optional
        A format's name or extension, instead of the original's.
    model : str, optional
        For the template.
    overwrite, skip_existing : bool
        Replace a result that exists, or leave it and its picture alone; else it is an error.
    beside : str
        The template for a result beside its original.
    """

    template: str | None = None
    format: str | None = None
    model: str | None = None
    overwrite: bool = False
    skip_existing: bool = False
    beside: str = BESIDE

    def kind(self, output: Path) -> Format | None:
        """The format of a result; None for the original's.

        Raises
        ------
        BigsharpError
            It is none that is written, or the name's extension says another.
        """
        named = format_named(self.format) if self.format else None
        if output == STANDARD:
            return named
        kind = format_of(output)
        if named not in (None, kind):
            raise BigsharpError(f"{output}: its extension says {kind}, and `format` {named}")
        return kind

    def name(self, source: Path, size: Size, default: str) -> Path:
        """The result's path, relative to the folder it goes into.

        Raises
        ------
        BigsharpError
            The template holds something else in braces, or its format is unknown.
        """
        extension = source.suffix if is_written(source) else ".png"
        if self.format:
            extension = format_named(self.format).extensions[0]
        scale = None if size.scale is None else f"{size.scale:.4g}"
        fields = {"stem": source.stem, "ext": extension, "size": str(size),
                  "scale": scale, "model": self.model and Path(self.model).stem}  # fmt: skip
        known = {key: value for key, value in fields.items() if value is not None}
        template = self.template or default
        try:
            # What else `str.format` takes would reach into objects, or make a name of gigabytes.
            for _, field_name, spec, conversion in Formatter().parse(template):
                if field_name is not None and (field_name not in known or spec or conversion):
                    raise ValueError
            name = template.format_map(known)
        except ValueError:
            made_of = ", ".join(f"{{{key}}}" for key in known)
            raise BigsharpError(f"{template!r}: a name is made of {made_of}") from None
        if not name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise BigsharpError(f"{template!r}: a name stays in its folder")
        return Path(name)
