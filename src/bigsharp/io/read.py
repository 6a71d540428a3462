"""Picture files, read one picture after another."""

from __future__ import annotations

import importlib
import io
import math
import re
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.GifImagePlugin import GifImageFile

from bigsharp.defaults import MAX_PIXELS
from bigsharp.errors import BigsharpError, NoPicture
from bigsharp.image.arrays import Array
from bigsharp.io import deep, metadata, png, tiff
from bigsharp.io.picture import Info, Picture, check_pixels
from bigsharp.io.pil import from_pil, info_of

# Only these are opened: some of Pillow's others start a program.
_DECODERS = (
    *("PNG", "JPEG", "WEBP", "TIFF", "AVIF", "BMP", "GIF", "PPM", "JPEG2000", "PSD", "ICO"),
    *("HEIF", "JXL", "QOI", "DDS", "PCX", "SGI", "ICNS", "DIB", "TGA"),
)

#: Libraries that teach Pillow further formats, where they are installed, and what each reads.
_PLUGINS = {"pillow_heif": "HEIC", "pillow_jxl": "JPEG XL"}

#: What they are installed by.
_PACKAGES = {"pillow_heif": "pillow-heif", "pillow_jxl": "pillow-jxl-plugin"}

#: What is recognised by its first bytes, to say that it is not read.
_MARKS = {
    b"%PDF": "PDF",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"/* XPM": "XPM",
    b"<svg": "SVG",
    b"<?xml": "SVG",
    b"\x1aE\xdf\xa3": "video",
    b"\x8aMNG": "MNG",
    b"P7\n": "PAM",
    b"PF\n": "PFM",
}
_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"isom": "video", b"mp42": "video"}

#: What Pillow says of a sound file that it does not read.
_NOT_SUPPORTED = re.compile("(?i)unsupported|not supported|unimplemented|unknown pcx mode")

#: Formats whose further pictures are frames. Those of others are layers, previews or sizes.
_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")

#: What a GIF's frame says that is to be cleared before the next (GIF89a, section 23).
_GOES = 2

#: Bytes of a file in which its samples' depth is looked for.
_HEAD = 1 << 16

#: Seconds that it may take to follow a file's structure, or to decode a picture, and more for each
#: of its pixels; sound files take milliseconds, and a tenth of that for a pixel.
_PATIENCE, _PER_PIXEL = 20.0, 0.25e-6

#: Bytes of a JPEG between two looks at the clock: each can ask for a megapixel's work.
_BLOCK = 1 << 12


class _Timed:
    """A file that stops answering when its time is up."""

    deadline = allowed = math.inf

    def allow(self, pixels: int = 0) -> None:
        """Begin to count the time that so many pixels may take."""
        self.allowed = _PATIENCE + _PER_PIXEL * pixels
        self.deadline = time.monotonic() + self.allowed

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as the class beside does."""
        if time.monotonic() > self.deadline:
            raise TimeoutError(f"not understood in {self.allowed:.0f} s")
        content: bytes = super().read(size)  # type: ignore[misc]
        return content


class _TimedFile(_Timed, io.BufferedReader):
    pass


class _TimedBytes(_Timed, io.BytesIO):
    pass


class Reader:
    """A picture file, and its pictures one after another, each decoded when it is asked for.

    A context manager, and an iterable of `Picture`: turned upright as EXIF says.

    Parameters
    ----------
    source : path or bytes
    max_pixels : int
        Refuse a picture of more pixels than this, before it is decoded.

    Attributes
    ----------
    name : str
        For messages.
    format : str
        Pillow's name.
    count : int
        Of pictures.
    several : {"frames", "pages"}, optional
        What they are, where there are more than one.

    Raises
    ------
    BigsharpError
        The file is missing, unreadable, truncated, too large, or no picture.
    """

    def __init__(self, source: str | Path | bytes, max_pixels: int = MAX_PIXELS) -> None:
        self.name = "the picture" if isinstance(source, bytes) else str(source)
        self.several: Literal["frames", "pages"] | None = None
        self._source = source
        self._max_pixels = max_pixels
        with ExitStack() as stack, _one_sentence(self.name):
            self._stack = stack
            self._file = stack.enter_context(_opened(source))
            self._file.allow()
            self._look()
            self._stack = stack.pop_all()

    def _look(self) -> None:
        """Find out what is in the file."""
        prefix = self._file.read(32)
        self._chain = []
        if prefix[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            self._chain = tiff.directories(self._file)
        self._colour = png.colour_chunks(self._file) if prefix[:4] == b"\x89PNG" else {}
        self._image = _decoder(self._file, prefix, bool(self._chain))
        self.format = _common(self._image.format or "") if self._image else "TIFF"
        self._places = list(range(_frames_of(self._image)))
        if self._chain:
            self._places = tiff.pages(self._chain)
        elif self._image and self._image.info.get("default_image"):
            self._places = self._places[1:]  # It is shown where animations are not.
        self.count = len(self._places)
        if self.count > 1:
            self.several = "pages" if self._chain else "frames"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._stack.close()

    def __iter__(self) -> Iterator[Picture]:
        for place in self._places:
            with _one_sentence(self.name):
                picture = self._page(place) if self._chain else self._frame(place)
            yield picture

    def _frame(self, place: int) -> Picture:
        image = self._image
        assert image is not None
        self._file.allow()
        if place:
            image.seek(place)
        check_pixels(self.name, image.height, image.width, self._max_pixels)
        self._file.allow(image.height * image.width)
        if self.count == 1 and _is_deep(image, self._file):
            pixels, alpha = deep.read(self._path())
            image.load()
            picture = Picture(pixels, alpha, info_of(image))
        else:
            image.load()
            picture = from_pil(image, self.name)
            if isinstance(image, GifImageFile):
                _see_to_disposal(image)
        info = replace(picture.info, format=self.format, colour=self._colour)
        orientation = metadata.orientation_of(image.getexif())
        if self.count == 1:
            image.close()  # Else its pixels are in memory twice, until the result is written.
        return _upright(replace(picture, info=info), orientation)

    def _page(self, place: int) -> Picture:
        tags = self._chain[place]
        height, width = int(tags[tiff.LENGTH]), int(tags[tiff.WIDTH])
        check_pixels(self.name, height, width, self._max_pixels)
        self._file.allow(height * width)
        bits = max(tags.get(tiff.BITS, (1,)))
        if bits > 16 or not {1, 4} >= set(tags.get(tiff.FORMAT, (1,))):
            raise BigsharpError(
                f"{self.name}: 32-bit, signed and floating-point pixels are not supported; "
                "save it with 8 or 16 bits"
            )
        exif = Image.Exif()
        exif.endian, exif.bigtiff = tags._endian, tags._bigtiff
        exif.load_from_fp(self._file, tags._offset)
        photometric = tags.get(tiff.PHOTOMETRIC, 1)
        if bits > 8 and photometric in tiff.LABS:
            raise BigsharpError(f"{self.name}: LAB of 16 bits is not supported; save it as RGB")
        planar = tags.get(tiff.PLANAR, 1) == 2 and tags.get(tiff.SAMPLES, 1) > 1
        if (
            self._image is None
            or ((bits > 8 or planar) and photometric in (0, 1, 2))
            or tags.get(tiff.COMPRESSION) == tiff.WEBP  # Pillow's wheels have it not.
        ):
            picture, turned = self._by_openimageio(place, tags)
        else:
            picture, turned = self._by_pillow(place), True
        info = _info_of_tags(tags, exif, picture)
        orientation = 1 if turned else metadata.orientation_of(exif)
        return _upright(replace(picture, info=info), orientation)

    def _by_pillow(self, place: int) -> Picture:
        """A page of a TIFF, which Pillow turns upright itself."""
        assert self._image is not None
        self._image.seek(place)
        self._image.load()
        return from_pil(self._image, self.name)

    def _by_openimageio(self, place: int, tags: Any) -> tuple[Picture, bool]:
        """A page of a TIFF, and whether it is upright already."""
        photometric, samples = tags.get(tiff.PHOTOMETRIC, 1), tags.get(tiff.SAMPLES, 1)
        if photometric not in tiff.PLAIN or (photometric == tiff.PALETTE and samples > 1):
            raise BigsharpError(
                f"{self.name}: TIFF of {samples} channels of this kind (photometric "
                f"interpretation {photometric}) is not supported; save it as RGB"
            )
        try:
            return Picture(*deep.read(self._path(), place, photometric == 0)), False
        except NotImplementedError:
            # Of 16 bits, Pillow holds grey alone.
            if self._image is not None and self._image.mode == "I;16" and photometric == 1:
                return self._by_pillow(place), True
            compression = tags.get(tiff.COMPRESSION, 1)
            called = tiff.COMPRESSIONS.get(compression, f"number {compression}")
            raise BigsharpError(
                f"{self.name}: TIFF's compression by {called} is not supported; save it with "
                "another, such as LZW"
            ) from None

    def _path(self) -> Path:
        """The file as one with a name that OpenImageIO takes."""
        if not isinstance(self._source, bytes) and _is_text(str(self._source)):
            return Path(self._source)
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        path = Path(folder) / f"picture.{self.format.lower()}"
        if isinstance(self._source, bytes):
            path.write_bytes(self._source)
        else:
            path.symlink_to(Path(self._source).resolve())
        self._source = str(path)
        return path


def _is_text(name: str) -> bool:
    """Whether a name is more than bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def read(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a still picture from a file or from the bytes of one, turned upright.

    Parameters
    ----------
    source : path or bytes
    max_pixels : int
        Refuse a picture of more pixels than this, before it is decoded.

    Raises
    ------
    BigsharpError
        The file is missing, unreadable, truncated, too large, no picture, or more than one.
    """
    with Reader(source, max_pixels) as reader:
        if reader.count != 1:
            raise BigsharpError(
                f"{reader.name}: holds {reader.count} {reader.several}; a still picture is wanted"
            )
        return next(iter(reader))


@contextmanager
def _one_sentence(name: str) -> Iterator[None]:
    """Say what is wrong with a file in the words of its user."""
    try:
        yield
    except MemoryError:
        raise
    except BigsharpError as error:
        message = str(error)
        raise type(error)(message if name in message else f"{name}: {message}") from None
    except FileNotFoundError:
        raise BigsharpError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise BigsharpError(f"{name}: is a folder, not a picture") from None
    except PermissionError:
        raise BigsharpError(f"{name}: no permission to read it") from None
    except UnidentifiedImageError:
        raise NoPicture(f"{name}: not a picture that bigsharp can read") from None
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise BigsharpError(f"{name}: cannot be read ({error.strerror})") from None
        raise BigsharpError(f"{name}: {_fault(error)}") from None


def _fault(error: Exception) -> str:
    """What a decoder's exception says to a user; they are of a dozen types."""
    words = str(error)
    if isinstance(error, NotImplementedError) or _NOT_SUPPORTED.search(words):
        return f"not supported ({words}); save it as PNG"
    silent = isinstance(error, KeyError | IndexError | struct.error) or not words
    return "damaged or truncated" + ("" if silent else f" ({words})")


def _opened(source: str | Path | bytes) -> Any:
    if isinstance(source, bytes):
        return _TimedBytes(source)
    path = Path(source)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise BigsharpError(f"{path}: is a device or a pipe; give the picture through -")
    return _TimedFile(io.FileIO(path))


def _decoder(file: IO[bytes], prefix: bytes, is_tiff: bool) -> Image.Image | None:
    """Pillow's image of a file; None for a TIFF that Pillow has no mode for.

    Not `Image.open`: it asks every decoder, and has a limit of size for the whole process.
    """
    _load_plugins()
    for name in ["TIFF"] if is_tiff else _DECODERS:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is None or not _accepts(accept, prefix):
            continue
        file.seek(0)
        if name == "PSD" and prefix[22:24] == b"\0\x10":
            raise BigsharpError("PSD of 16 bits is not supported; save it as TIFF or PNG")
        try:
            image = factory(file, "")
            if name == "JPEG":
                image.decodermaxblock = _BLOCK
            return image
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            # All but TGA are known by their first bytes.
            if accept and not is_tiff:
                raise BigsharpError(_fault(error)) from None
    if is_tiff:
        return None
    raise NoPicture(_refusal(prefix))


def _accepts(accept: Any, prefix: bytes) -> bool:
    """Whether a decoder knows a file by its first bytes, if it looks at them."""
    try:
        return accept is None or accept(prefix) is True
    except struct.error:  # There are too few.
        return False


def _load_plugins() -> None:
    Image.init()
    for module in _PLUGINS:
        try:
            plugin = importlib.import_module(module)
        except ImportError:
            continue
        if "HEIF" not in Image.OPEN and hasattr(plugin, "register_heif_opener"):
            plugin.register_heif_opener()


def _refusal(prefix: bytes) -> str:
    """What to say of a file that is opened by none of `_DECODERS`."""
    kind = next((name for mark, name in _MARKS.items() if prefix.startswith(mark)), None)
    if prefix[4:8] == b"ftyp":
        kind = _BRANDS.get(prefix[8:12])
    for name, (_, accept) in Image.OPEN.items():
        if kind is None and name not in _DECODERS and accept and _accepts(accept, prefix):
            kind = name
    if kind is None:
        return "not a picture that bigsharp can read"
    plugin = next((module for module, name in _PLUGINS.items() if name == kind), None)
    hint = f"install {_PACKAGES[plugin]}, or " if plugin else ""
    return f"{kind} is not supported; {hint}save it as PNG"


def _frames_of(image: Image.Image | None) -> int:
    return getattr(image, "n_frames", 1) if image and image.format in _ANIMATED else 1


def _see_to_disposal(image: GifImageFile) -> None:
    """See that the rectangle of a GIF's frame becomes clear, if the frame is to go.

    Where the file has no transparent colour, Pillow would fill it with some palette's first.
    """
    if image.disposal_method != _GOES or "transparency" in image.info:
        return
    if image.dispose is not None and image.dispose.mode != "RGBA":
        image.im, image._mode = image.convert("RGBA").im, "RGBA"
        image.dispose = Image.new("RGBA", image.dispose.size).im


def _common(name: str) -> str:
    # MPO is what phones call a JPEG with a preview or a depth map behind the picture.
    return "JPEG" if name == "MPO" else name


def _is_deep(image: Image.Image, file: IO[bytes]) -> bool:
    """Whether Pillow would lose or mistake something of a picture that OpenImageIO reads."""
    if image.format not in ("PNG", "PPM", "JPEG2000", "SGI"):
        return False
    at = file.tell()
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(at)
    if image.format == "PPM":
        return image.mode in ("I", "I;16") or _largest_value(head) > 255
    if image.format == "JPEG2000":
        return _depth_of_jpeg_2000(head) > 8
    if image.format == "SGI":
        return head[3] == 2  # Bytes a sample.
    depth = head[24]
    return depth == 16 or (depth < 8 and image.mode != "P" and "transparency" in image.info)


def _largest_value(head: bytes) -> int:
    """PNM's maxval, the last number of the head (netpbm's pgm(5), ppm(5))."""
    words = re.sub(rb"#[^\n]*", b"", head[:512]).split()
    known = words[0] in (b"P2", b"P3", b"P5", b"P6") and len(words) > 3 and words[3].isdigit()
    return int(words[3]) if known else 0


def _depth_of_jpeg_2000(head: bytes) -> int:
    """Bits of the first component (ISO/IEC 15444-1, section A.5.1); 8 where that is not found."""
    at = head.find(b"\xff\x4f\xff\x51")
    return (head[at + 42] & 0x7F) + 1 if 0 <= at < len(head) - 42 else 8


def _info_of_tags(tags: Any, exif: Image.Exif, picture: Picture) -> Info:
    """What a TIFF's directory says of the picture that was read from it."""
    icc, xmp = tags.get(tiff.ICC), tags.get(tiff.XMP)
    per_inch = {2: 1.0, 3: 2.54}.get(tags.get(tiff.UNIT, 2))
    try:
        block = metadata.exif_of_tiff(exif)
    except Exception:  # As in `metadata`.
        block = None
    dpi = None
    if per_inch and tags.get(tiff.X_DPI) and tags.get(tiff.Y_DPI):
        dpi = (float(tags[tiff.X_DPI]) * per_inch, float(tags[tiff.Y_DPI]) * per_inch)
    # The profile of CMYK or LAB has done its work, or does not fit RGB.
    kept = icc if tags.get(tiff.PHOTOMETRIC, 1) in (0, 1, 2, 3) else None
    return Info(
        format="TIFF",
        icc=metadata.fitting_profile(kept, picture.pixels.ndim == 2),
        exif=block,
        xmp=xmp if isinstance(xmp, bytes) else None,
        dpi=dpi,
    )


def _upright(picture: Picture, orientation: int) -> Picture:
    """Turn a picture as EXIF says (EXIF 2.32, section 4.6.4.A), and let EXIF say so no more."""
    info = picture.info
    turned: Any = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
        8: lambda a: np.rot90(a),
    }[orientation]
    if orientation >= 5 and info.dpi:
        info = replace(info, dpi=info.dpi[::-1])
    info = replace(info, exif=metadata.upright_exif(info.exif))
    pixels: Array = np.ascontiguousarray(turned(picture.pixels))
    alpha = None if picture.alpha is None else np.ascontiguousarray(turned(picture.alpha))
    return replace(picture, pixels=pixels, alpha=alpha, info=info)
