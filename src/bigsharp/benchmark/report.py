"""One web page with everything that a benchmark measured, and nothing outside it."""

from __future__ import annotations

import base64
import datetime
import io
import os
import platform
from importlib import resources
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from bigsharp import errors
from bigsharp.benchmark import figures
from bigsharp.benchmark.comparison import Comparison, Images, compare, telling_box
from bigsharp.benchmark.measure import Measured
from bigsharp.benchmark.run import Result
from bigsharp.errors import BigsharpError
from bigsharp.image.arrays import Array
from bigsharp.io.files import write_bytes
from bigsharp.restoration.restorer import BICUBIC

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: A label of a table in a file's name.
_PLAIN = {ord("×"): "x", ord("σ"): "sigma", ord(" "): "", ord(","): "-"}


def require_libraries() -> None:
    """Say in one line how to install what figures and report need."""
    for library in ("matplotlib", "jinja2"):
        if find_spec(library) is None:
            raise BigsharpError(errors.install("figures and report need", library, "bench"))


def write_report(measured: Measured, folder: Path, *, images: Images, command: str = "") -> Path:
    """Draw the figures, into FOLDER/figures, and write FOLDER/report.html.

    Parameters
    ----------
    measured : Measured
    folder : Path
    images : dict
        What `choose_images` gives: those to show.
    command : str
        What the user typed.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    BigsharpError
        A crop is not inside its image, or something cannot be written.
    """
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in measured.results:
        groups.setdefault((result.data, result.label), []).append(result)
    protocols = {rules.name: rules for rules in measured.task.rules}
    crops, sliders, distributions, costs = [], [], [], []
    for (data, label), group in groups.items():
        place = folder / "figures" / f"{Path(data).name}-{label.translate(_PLAIN)}"
        caption = f"{Path(data).name}, {label}"
        for path, box in images[data]:
            comparison = compare(group, path, protocols[group[0].protocol], measured.methods)
            figure = figures.crops(comparison, box or telling_box(comparison))
            crops.append(_keep(figure, f"{place}-{path.stem}", f"{path.name}, {caption}"))
            sliders += _slider(comparison)
        distributions.append(_keep(figures.distribution(group), f"{place}-images", caption))
        costs.append(_keep(figures.cost(group, measured.methods), f"{place}-cost", caption))
    text = rendered(
        resources.files(__package__) / "report.html",
        title="bigsharp benchmark",
        **vars(measured),
        sliders=sliders,
        sections=[
            ("Crops", crops),
            ("Image by image", distributions),
            ("What a decibel costs", costs),
        ],
        command=command,
        date=datetime.datetime.now().astimezone().isoformat(" ", "minutes"),
        machine=machine(),
    )
    write_bytes(folder / "report.html", text.encode())
    return folder / "report.html"


def _keep(figure: Figure, file: str, caption: str) -> dict[str, str]:
    """Save a figure, and return it as the page shows it."""
    figures.save(figure, Path(file))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return {"image": embedded(buffer.getvalue()), "caption": caption}


def _slider(comparison: Comparison) -> list[dict[str, Any]]:
    """Bicubic, or the worst method, beside the best; nothing where there is one method."""
    ordered = sorted(comparison.scores, key=lambda name: comparison.scores[name].psnr)
    if len(ordered) < 2:
        return []
    left = BICUBIC if BICUBIC in ordered[:-1] else ordered[0]
    before, after = (_png(comparison.restored[name]) for name in (left, ordered[-1]))
    return [
        {
            "name": comparison.name,
            "label": comparison.label,
            "width": comparison.truth.shape[1],
            "left": left,
            "right": ordered[-1],
            "before": before,
            "after": after,
        }
    ]


def _png(image: Array) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return embedded(buffer.getvalue())


def rendered(template: Traversable, **values: Any) -> str:
    """A page of HTML: every value is escaped, and one that is missing is an error."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(template.read_text(encoding="utf-8")).render(**values)


def embedded(png: bytes) -> str:
    """A picture as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def machine() -> str:
    """The processor, its cores and the system, in words."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":", 1)[1].strip() if names else processor
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}"
