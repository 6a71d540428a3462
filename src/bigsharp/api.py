"""The public API: a path, bytes, PIL image or array in, the same kind out."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TypeVar, cast

from bigsharp.defaults import MAX_PIXELS, MODEL, SCALE, TILE
from bigsharp.errors import BigsharpError
from bigsharp.io import kinds
from bigsharp.io.write import Saving
from bigsharp.jobs.job import Order
from bigsharp.jobs.naming import RESTORED, Naming
from bigsharp.jobs.plan import plan
from bigsharp.jobs.results import restore as restore_picture
from bigsharp.jobs.run import run, run_in_memory
from bigsharp.restoration.cleaner import Cleaner, cleaner_on
from bigsharp.restoration.cleaning import Clean, Cleaning, Strength
from bigsharp.restoration.models import open_restorer
from bigsharp.restoration.pipeline import Colour
from bigsharp.restoration.restorer import Bicubic, Progress, Restorer, silent
from bigsharp.restoration.target import Size

#: What comes in also goes out: a path, bytes, a PIL image, an array or a tensor.
Source = TypeVar("Source")


class Upscaler:
    """A model that is loaded once and used for many pictures.

    Parameters
    ----------
    model : str or path
        "vdsr", "bicubic" (see `available_models`), a checkpoint (.pt) or a network exported by
        `bigsharp export` (.safetensors, .onnx). With a + behind it ("vdsr+"), the mean over 8 turns
        and mirrorings of the picture, in 8 times the time.
    engine : str
        What runs the network: "auto", which takes PyTorch where it finds a CUDA GPU, else the
        native engine, or ONNX Runtime for what that does not run; or "native", "onnx", "torch"; the
        latter two on a device, as in "onnx:coreml" or "torch:cuda:fp16".

    Raises
    ------
    BigsharpError
        The model or engine is unknown, or its extra is not installed.
    """

    def __init__(self, model: str | Path = MODEL, engine: str = "auto") -> None:
        self.model = str(model)
        self.restorer = open_restorer(model, engine)
        self.cleaner = cleaner_on(engine)

    def __repr__(self) -> str:
        return f"Upscaler({self.model!r}, engine={self.restorer.engine!r})"

    def upscale(
        self,
        image: Source,
        scale: float | None = None,
        *,
        size: Size | None = None,
        width: int | None = None,
        height: int | None = None,
        output: str | Path | None = None,
        overwrite: bool = False,
        saving: Saving | None = None,
        quality: int | None = None,
        colour: Colour = "auto",
        clean: Clean = "auto",
        tile: int = TILE,
        max_pixels: int = MAX_PIXELS,
        progress: Progress = silent,
    ) -> Source:
        """Enlarge and sharpen a picture, with all its frames or pages.

        Parameters
        ----------
        image : path, bytes, open file, PIL image, ndarray or torch.Tensor
            An array has shape (H, W), (H, W, 2: grey and alpha), (H, W, 3) or (H, W, 4) and holds
            bool, uint8, uint16, or floats in [0, 1]; a tensor is laid out as an array.
        scale : float, optional
            Any factor ≥ 1; the result is ``ceil(size · scale)``. By default 2.
        size : Size, optional
            All that can be asked for instead of a scale.
        width, height : int, optional
            Size of the result in pixels instead; one alone keeps the proportions, and inside both
            the result is as large as fits.
        output : path, optional
            Where to write the result if `image` is a path; its extension chooses the format. By
            default beside the original: ``cat.png`` becomes ``cat-x3.png``.
        overwrite : bool
            Replace a file that exists; else that is an error.
        saving : Saving, optional
            How a file is written: quality, depth and more.
        quality : int, optional
            1 to 100, of a JPEG (default 95, or the original's if finer), a WebP (default lossless)
            or an AVIF (default 90); short for ``saving=Saving(quality=…)``.
        colour : {"auto", "luma", "ycbcr", "rgb"}
            Restore luma alone, with chroma by bicubic; or red, green and blue, in three times the
            time, which drawings and coloured text gain by; or that for those alone.
        clean : {"auto", "off", "0", "1", "2", "3"}
            Take JPEG's damage away first: where the file's tables say that there is some; never;
            or a quarter of it to all, whatever the picture was.
        tile : int
            Side of the tiles, in result pixels, for ONNX Runtime and PyTorch; it bounds the
            memory, and does not change the result.
        max_pixels : int
            Refuse pictures, or results, of more pixels than this.
        progress : callable, optional
            Called with the number of pixels done and of all pixels.

        Returns
        -------
        path, bytes, PIL image or ndarray
            Of the kind that `image` is: the path written, a file of the same format (for an open
            file too), an image, or an array or tensor of the same type.

        Raises
        ------
        BigsharpError
            The picture cannot be read or written, or the scale or size is not valid; nothing is
            written then.
        """
        if size is None:
            scale = SCALE if scale is None and width is None and height is None else scale
            size = Size(scale, width, height)
        elif scale is not None or width is not None or height is not None:
            raise BigsharpError("give either a size, or a scale, or a width, a height or both")
        order = Order(
            size,
            saving or Saving(quality=quality),
            colour,
            Cleaning.before_enlarging(clean, self.model),
            tile,
            max_pixels,
        )
        naming = Naming(overwrite=overwrite)
        return _apply(image, output, order, naming, self.restorer, self.cleaner, progress)


def _apply(
    image: Source,
    output: str | Path | None,
    order: Order,
    naming: Naming,
    restorer: Restorer,
    cleaner: Cleaner,
    progress: Progress,
) -> Source:
    """What an order asks for, of a picture of any kind."""
    if isinstance(image, str | os.PathLike):
        (job,) = plan([os.fspath(cast(str, image))], output, order, naming)
        written = run(job, restorer, cleaner, progress)
        return cast(Source, str(written) if isinstance(image, str) else written)
    if output is not None:
        raise BigsharpError("output is for pictures given as a path")
    if (content := kinds.as_bytes(image)) is not None:
        return cast(Source, run_in_memory(content, order, restorer, cleaner, progress))
    restored = restore_picture(kinds.to_picture(image), order, restorer, cleaner, progress)
    return cast(Source, kinds.like(image, restored))


def load(model: str | Path = MODEL, engine: str = "auto") -> Upscaler:
    """Load a model; see `Upscaler`.

    The last few are kept, so that asking again costs nothing; a file that has changed since is
    loaded anew.
    """
    try:
        changed = Path(model).stat().st_mtime_ns
    except (OSError, ValueError):
        changed = 0  # a name, or no path that the system takes
    return _load(str(model), engine, changed)


@lru_cache(maxsize=4)
def _load(model: str, engine: str, changed: int) -> Upscaler:
    return Upscaler(model, engine)


def upscale(
    image: Source,
    scale: float | None = None,
    *,
    model: str | Path = MODEL,
    engine: str = "auto",
    size: Size | None = None,
    width: int | None = None,
    height: int | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    saving: Saving | None = None,
    quality: int | None = None,
    colour: Colour = "auto",
    clean: Clean = "auto",
    tile: int = TILE,
    max_pixels: int = MAX_PIXELS,
    progress: Progress = silent,
) -> Source:
    """Enlarge and sharpen a picture in one call.

    Parameters
    ----------
    model, engine
        See `Upscaler`.
    image, scale, size, width, height, output, overwrite, saving
    quality, colour, clean, tile, max_pixels, progress
        See `Upscaler.upscale`, which also says what is returned and raised.

    Examples
    --------
    >>> import bigsharp, numpy as np
    >>> bigsharp.upscale(np.zeros((20, 30, 3), np.uint8), scale=2.5).shape
    (50, 75, 3)
    """
    return load(model, engine).upscale(
        image,
        scale,
        size=size,
        width=width,
        height=height,
        output=output,
        overwrite=overwrite,
        saving=saving,
        quality=quality,
        colour=colour,
        clean=clean,
        tile=tile,
        max_pixels=max_pixels,
        progress=progress,
    )


def restore(
    image: Source,
    *,
    denoise: Strength = None,
    deblock: Strength = None,
    model: str | Path | None = None,
    engine: str = "auto",
    output: str | Path | None = None,
    overwrite: bool = False,
    saving: Saving | None = None,
    tile: int = TILE,
    max_pixels: int = MAX_PIXELS,
    progress: Progress = silent,
) -> Source:
    """Take noise and JPEG's damage away from a picture, at its own size.

    Where neither is asked for, both are "auto".

    Parameters
    ----------
    denoise : float or "auto", optional
        Noise of this standard deviation at most, in grey levels of 255; or as much as there is.
    deblock : float or "auto", optional
        What JPEG of this quality, 1 to 100, does at most; or what the file's own tables say.
    model : str or path, optional
        A file trained for either, in the place of the released model.
    output : path, optional
        Where to write the result if `image` is a path; by default ``cat.png`` becomes
        ``cat-restored.png``.
    image, engine, overwrite, saving, tile, max_pixels, progress
        See `Upscaler`, and `Upscaler.upscale`, which also says what is returned and raised.

    Examples
    --------
    >>> import bigsharp, numpy as np
    >>> bigsharp.restore(np.zeros((20, 30, 3), np.uint8)).shape
    (20, 30, 3)
    """
    order = Order(
        Size(1),
        saving or Saving(),
        cleaning=Cleaning.asked(denoise, deblock),
        tile=tile,
        max_pixels=max_pixels,
    )
    cleaner = cleaner_on(engine) if model is None else Cleaner.by(model, order.cleaning, engine)
    naming = Naming(overwrite=overwrite, beside=RESTORED)
    return _apply(image, output, order, naming, Bicubic(), cleaner, progress)
