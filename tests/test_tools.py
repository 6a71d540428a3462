"""Pictures made by others' programs, and results that those programs read back.

ImageMagick, libvips, FFmpeg and ExifTool share no code with what reads and writes here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bigsharp
from bigsharp.errors import BigsharpError
from programs import program

#: Version 7, or what Debian calls version 6.
MAGICK = "magick" if shutil.which("magick") else "convert-im6.q16"

#: What is told of a result's picture, to be that of the original's.
SIZE = 61, 47


def tool(*words: object) -> bytes:
    """Run a program and give what it writes to standard output."""
    line = [program(str(words[0])), *map(str, words[1:])]
    done = subprocess.run(line, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def seen_by_magick(path: Path) -> np.ndarray:
    """A picture as ImageMagick reads it: uint16, (H, W, 4), red, green, blue and alpha."""
    # The first: a PSD is told with its layers.
    first = f"{path}[0]"
    width, height = map(int, tool(MAGICK, first, "-format", "%w %h", "info:").split())
    words = ["-auto-orient", "-depth", "16", "-endian", "LSB", "-colorspace", "sRGB", "rgba:-"]
    content = tool(MAGICK, first, *words)
    return np.frombuffer(content, "<u2").reshape(height, width, 4).astype(int)


def seen_by_vips(path: Path, folder: Path) -> np.ndarray:
    """A picture as libvips reads it: uint16, (H, W, 3); of 8 bits, those are the upper ones."""
    tool("vips", "colourspace", path, folder / "seen.ppm", "rgb16")
    content = (folder / "seen.ppm").read_bytes()
    head = content.split(b"\n65535\n", 1)
    width, height = map(int, head[0].split()[-2:])
    return np.frombuffer(head[1], ">u2").reshape(height, width, 3).astype(int)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A colour picture of 16 bits as the simplest file there is."""
    width, height = SIZE
    y, x = np.mgrid[:height, :width]
    rings = 32767 + 32000 * np.sin(np.hypot(y - 20, x - 30) ** 2 / 60)
    planes = [rings, 65535 * x / (width - 1), 65535.0 * ((x // 5 + y // 7) % 2)]
    pixels = np.stack(planes, axis=-1).astype(">u2")
    path = tmp_path / "source.ppm"
    path.write_bytes(b"P6\n%d %d\n65535\n" % (width, height) + pixels.tobytes())
    return path


TRANSPARENT = "-alpha set -channel A -evaluate multiply 0.4 +channel"

#: ImageMagick's words for a kind of picture, and its name.
KINDS = [
    ("-depth 8", "8.png"),
    ("-depth 16", "16.png"),
    ("-depth 8 -interlace PNG", "interlaced.png"),
    ("-depth 16 -interlace PNG", "interlaced16.png"),
    ("-colors 13 -type Palette", "palette.png"),
    ("-colorspace Gray -depth 1", "grey1.png"),
    ("-colorspace Gray -depth 2", "grey2.png"),
    ("-colorspace Gray -depth 4", "grey4.png"),
    ("-colorspace Gray -depth 16", "grey16.png"),
    (f"-depth 8 {TRANSPARENT}", "alpha.png"),
    (f"-depth 16 {TRANSPARENT}", "alpha16.png"),
    ("-depth 8 -compress none", "plain.tif"),
    ("-depth 16 -compress none", "plain16.tif"),
    ("-depth 16 -endian MSB -compress lzw", "big16.tif"),
    ("-depth 8 -compress zip -interlace plane", "planes.tif"),
    ("-depth 16 -compress zip -interlace plane", "planes16.tif"),
    ("-depth 8 -define tiff:tile-geometry=16x16", "tiles.tif"),
    ("-depth 16 -define tiff:tile-geometry=32x16", "tiles16.tif"),
    ("-depth 8 -compress RLE", "packbits.tif"),
    ("-colors 13 -type Palette -compress none", "palette.tif"),
    ("-monochrome -compress Group4", "fax.tif"),
    ("-depth 8 -compress WebP -define webp:lossless=true", "webp.tif"),
    ("-depth 8 -compress ZSTD", "zstd.tif"),
    ("-colorspace Gray -depth 16 -compress ZSTD", "zstd16.tif"),
    ("-colorspace Gray -depth 16 -compress LZMA", "lzma16.tif"),
    ("-colorspace Gray -depth 16 -define quantum:polarity=min-is-white", "negative.tif"),
    (f"-depth 16 {TRANSPARENT}", "alpha16.tif"),
    ("-quality 92 -sampling-factor 4:2:0", "photo.jpg"),
    ("-quality 92 -sampling-factor 4:4:4 -interlace JPEG", "progressive.jpg"),
    ("-colorspace Gray -quality 90", "grey.jpg"),
    ("-quality 92 -sampling-factor 2x1", "422.jpg"),
    ("-depth 8 -define webp:lossless=true", "exact.webp"),
    ("-quality 80", "photo.webp"),
    ("-depth 8", "true.bmp"),
    ("-colors 13 -type Palette", "palette.bmp"),
    (f"-depth 8 {TRANSPARENT}", "alpha.bmp"),
    ("-colors 13", "still.gif"),
    ("-depth 8", "plain.tga"),
    ("-depth 8 -compress RLE", "packed.tga"),
    ("-depth 8", "plain.pcx"),
    ("-depth 8", "plain.sgi"),
    ("-depth 8", "plain.psd"),
    ("-depth 8", "plain.ppm"),
    ("-depth 16", "deep.ppm"),
    ("-colorspace Gray -depth 16", "deep.pgm"),
    ("-depth 8 -compress none", "words.ppm"),
    ("-depth 16 -compress none", "words16.ppm"),
    ("-depth 16", "deep.sgi"),
    (f"-depth 16 {TRANSPARENT}", "alpha16.sgi"),
    (f"-depth 16 {TRANSPARENT} -quality 0", "alpha16.jp2"),
    ("-depth 8 -quality 0", "exact.jp2"),
    ("-depth 16 -quality 0", "deep.jp2"),
    ("-colorspace Gray -depth 16 -quality 0", "grey16.jp2"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "name"), KINDS, ids=[name for _, name in KINDS])
def test_what_imagemagick_makes_is_read_as_it_reads_it(
    source: Path, tmp_path: Path, words: str, name: str
) -> None:
    made = tmp_path / name
    tool(MAGICK, source, *words.split(), made)
    bigsharp.upscale(made, 1, output=tmp_path / "out.png")
    expected, found = seen_by_magick(made), seen_by_magick(tmp_path / "out.png")
    assert found.shape == expected.shape == (SIZE[1], SIZE[0], 4)
    # Decoders of what is lossy differ by some steps of 8 bits; others not at all. The colours of a
    # TIFF's palette have 16 bits, of which 8 are read.
    lossy = name.endswith("jpg") or name == "photo.webp"
    limit = 4 * 257 if lossy else 256 if name == "palette.tif" else 0
    assert np.abs(found - expected).max() <= limit


#: Sound files that are not read, by ImageMagick's words.
REFUSED = [
    (f"-colorspace CMYK -depth 8 {TRANSPARENT}", "cmyk.tif", "5 channels"),
    (f"{TRANSPARENT} -colors 13 -type PaletteMatte -define tiff:alpha=associated", "palette.tif",
     "2 channels"),
    (f"-colorspace Gray -depth 16 {TRANSPARENT} -quality 0", "grey.jp2", "components"),
    (f"-depth 8 {TRANSPARENT}", "alpha.pcx", "PCX mode"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "name", "said"), REFUSED, ids=[name for _, name, _ in REFUSED])
def test_what_is_sound_and_not_read_is_not_called_damaged(
    source: Path, tmp_path: Path, words: str, name: str, said: str
) -> None:
    tool(MAGICK, source, *words.split(), tmp_path / name)
    with pytest.raises(BigsharpError, match=rf"{name}: .*({said}.*not supp|not supp.*{said})"):
        bigsharp.upscale(tmp_path / name, 1, output=tmp_path / "out.png")


#: libvips' options for a kind of picture.
VIPS = [
    "16.png[interlace]", "8.png[palette]", "1.png[bitdepth=1]", "plain.tif[compression=deflate]",
    "pyramid.tif[tile,pyramid,compression=lzw]", "large.tif[bigtiff]",
    "predicted.tif[compression=lzw,predictor=horizontal]",
    "photo.jpg[Q=90,subsample_mode=off]", "photo.webp[Q=90]", "exact.webp[lossless]", "still.gif",
    "exact.jp2[lossless]",
]  # fmt: skip


@pytest.mark.parametrize("name", VIPS)
def test_what_libvips_makes_is_read_as_it_reads_it(source: Path, tmp_path: Path, name: str) -> None:
    made = tmp_path / name.partition("[")[0]
    deep = name.startswith("16") or made.suffix == ".tif"
    given = source
    if not deep:
        given = tmp_path / "given.v"
        tool("vips", "colourspace", source, given, "b-w" if name.startswith("1.") else "srgb")
    tool("vips", "copy", given, tmp_path / name)
    bigsharp.upscale(made, 1, output=tmp_path / "out.png")
    expected = seen_by_vips(made, tmp_path)
    found = seen_by_vips(tmp_path / "out.png", tmp_path)
    assert np.abs(found - expected).max() <= (4 * 257 if name.startswith("photo") else 0)


CHANNELS = {"grey": "-colorspace Gray", "colour": "", "alpha": TRANSPARENT}

#: What is written of each: its bits, and whether it has alpha.
WRITTEN = [
    (kind, depth, channels)
    for kind, depths, alpha in [
        ("png", (8, 16), True), ("tif", (8, 16), True), ("ppm", (8, 16), False),
        ("webp", (8,), True), ("bmp", (8,), True), ("jpg", (8,), False), ("avif", (8,), False),
    ]
    for depth in depths
    for channels in CHANNELS
    if alpha or channels != "alpha"
]  # fmt: skip


@pytest.mark.parametrize(("kind", "depth", "channels"), WRITTEN)
def test_what_is_written_is_read_by_others(
    source: Path, tmp_path: Path, kind: str, depth: int, channels: str
) -> None:
    made = tmp_path / "made.png"
    tool(MAGICK, source, *CHANNELS[channels].split(), "-depth", depth, made)
    exact, out = tmp_path / "exact.png", tmp_path / f"out.{kind}"
    lossy = kind in ("jpg", "avif")
    bigsharp.upscale(made, 2, model="bicubic", output=exact)
    bigsharp.upscale(made, 2, model="bicubic", output=out, quality=98 if lossy else None)
    # ImageMagick reads the colours of any AVIF as if there were one for four pixels.
    if kind != "avif":
        difference = np.abs(seen_by_magick(out) - seen_by_magick(exact))
        assert difference.max() <= (8 * 257 if lossy else 0)
    if channels != "alpha" and kind != "bmp":
        difference = np.abs(seen_by_vips(out, tmp_path) - seen_by_vips(exact, tmp_path))
        assert difference.mean() <= (2 * 257 if lossy else 0)


TAGS = {
    "EXIF:Artist": "Ada", "EXIF:Model": "Box 1", "EXIF:DateTimeOriginal": "2020:01:02 03:04:05",
    "EXIF:GPSLatitude": 47.5, "EXIF:GPSLatitudeRef": "N", "EXIF:ExposureTime": 0.004,
    "EXIF:ISO": 200, "XMP:Creator": "Ada", "XMP:Rating": 4,
}  # fmt: skip


def told_by_exiftool(path: Path) -> dict[str, Any]:
    (found,) = json.loads(tool("exiftool", "-json", "-G", "-n", path))
    return found


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
def test_exiftool_finds_the_tags_that_it_wrote(source: Path, tmp_path: Path, kind: str) -> None:
    made, out = tmp_path / f"made.{kind}", tmp_path / f"out.{kind}"
    tool(MAGICK, source, "-depth", 8, made)
    written = [f"-{name}={value}" for name, value in TAGS.items()]
    tool("exiftool", "-q", "-n", "-overwrite_original", *written, "-EXIF:Orientation=6", made)
    assert {name: told_by_exiftool(made)[name] for name in TAGS} == TAGS
    bigsharp.upscale(made, 2, model="bicubic", output=out)
    found = told_by_exiftool(out)
    assert {name: found.get(name) for name in TAGS} == TAGS
    assert found.get("EXIF:Orientation", 1) == 1
    assert not [name for name in found if name.endswith(("Warning", "Error"))]
    widths = {v for name, v in found.items() if name.endswith((":ImageWidth", ":ExifImageWidth"))}
    assert widths == {2 * SIZE[1]}


def frames(path: Path) -> tuple[list[str], tuple[int, int]]:
    """Each frame's time, and the size, as FFmpeg's probe reads them."""
    words = ["-v", "error", "-of", "json", "-show_entries", "frame=pts_time,width,height"]
    found = json.loads(tool("ffprobe", *words, path))["frames"]
    return [frame["pts_time"] for frame in found], (found[0]["width"], found[0]["height"])


@pytest.mark.parametrize(("name", "loop"), [("made.gif", "-loop"), ("made.apng", "-plays")])
def test_ffmpeg_counts_the_frames_that_it_made(tmp_path: Path, name: str, loop: str) -> None:
    made = tmp_path / name
    scene = ["-v", "error", "-f", "lavfi", "-i", "testsrc=size=40x30:rate=5:duration=1.4"]
    tool("ffmpeg", *scene, loop, 3, made)
    out = tmp_path / f"out{made.suffix}"
    bigsharp.upscale(made, 2, model="bicubic", output=out)
    times, size = frames(made)
    assert (len(times), size) == (7, (40, 30))
    assert frames(out) == (times, (80, 60))
