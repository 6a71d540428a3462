"""Pictures as people have them: made here byte by byte, enlarged through the command line."""

from __future__ import annotations

import io
import os
import struct
import sys
import weakref
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

import bigsharp
from bigsharp.errors import BigsharpError
from bigsharp.io import write
from bigsharp.io.formats import format_named
from bigsharp.io.picture import Picture

RAMP = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (16, 1))


@pytest.fixture
def enlarge(tmp_path: Path):
    """Enlarge a file of the current folder by bicubic, and open the result."""

    def run(name: str, output: str = "out.png", scale: float = 2, **options: object) -> Image.Image:
        options = {"model": "bicubic", "overwrite": True} | options
        bigsharp.upscale(tmp_path / name, scale, output=tmp_path / output, **options)
        image = Image.open(tmp_path / output)
        image.load()
        return image

    return run


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, depth: int, kind: int, rows: bytes, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + body


def tiff(pixels: bytes, **tags: object) -> bytes:
    """A little-endian TIFF of one strip; tags are (number, type, values) by name."""
    entries, extra = [], b""
    count = len(tags) + 2
    after = 8 + 2 + 12 * count + 4
    items = {273: (4, [0]), 279: (4, [len(pixels)])}
    items |= {int(name[1:]): value for name, value in tags.items()}
    size = {1: 1, 3: 2, 4: 4}
    heap = {t: k for t, (k, v) in items.items() if size[k] * len(v) > 4}
    length = sum(size[k] * len(items[t][1]) for t, k in heap.items())
    items[273] = (4, [after + length])
    for tag in sorted(items):
        kind, values = items[tag]
        packed = struct.pack(f"<{len(values)}{ {1: 'B', 3: 'H', 4: 'I'}[kind] }", *values)
        if len(packed) > 4:
            entries.append(struct.pack("<HHII", tag, kind, len(values), after + len(extra)))
            extra += packed
        else:
            entries.append(struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0"))
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", count)
    return head + b"".join(entries) + bytes(4) + extra + pixels


def is_a_rising_ramp(image: Image.Image) -> None:
    values = np.asarray(image)
    assert image.mode == "I;16"
    assert image.size == (128, 32)
    assert values[:, 0].max() <= 100
    assert values[:, -1].min() >= 65400
    assert abs(values.mean() - 32767) <= 100


def test_16_bits_of_the_other_byte_order(enlarge, tmp_path: Path) -> None:
    big = Image.frombytes("I;16B", (64, 16), RAMP.astype(">u2").tobytes())
    big.save(tmp_path / "be16.tif")
    is_a_rising_ramp(enlarge("be16.tif"))
    is_a_rising_ramp(bigsharp.upscale(big, 2, model="bicubic"))


def test_16_bits_with_white_as_zero(enlarge, tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[262] = 0
    Image.fromarray(RAMP[:, ::-1].copy()).save(tmp_path / "wiz16.tif", tiffinfo=tags)
    is_a_rising_ramp(enlarge("wiz16.tif"))


def test_12_bits_are_scaled_to_16(enlarge, tmp_path: Path) -> None:
    values = np.linspace(0, 4095, 64).astype(np.uint16)
    bits = "".join(f"{v:012b}" for v in values) * 16
    packed = int(bits, 2).to_bytes(len(bits) // 8, "big")
    (tmp_path / "deep.tif").write_bytes(tiff(
        packed, t256=(4, [64]), t257=(4, [16]), t258=(3, [12]), t259=(3, [1]), t262=(3, [1]),
        t277=(3, [1]), t278=(4, [16]),
    ))  # fmt: skip
    is_a_rising_ramp(enlarge("deep.tif"))


@pytest.mark.parametrize(("peak", "kind"), [(65535, ">u2"), (4095, ">u2"), (1023, ">u2")])
def test_pgm_of_more_than_8_bits(enlarge, tmp_path: Path, peak: int, kind: str) -> None:
    values = (RAMP * (peak / 65535)).round().astype(kind)
    (tmp_path / "deep.pgm").write_bytes(b"P5 # grey\n64 16 %d\n" % peak + values.tobytes())
    is_a_rising_ramp(enlarge("deep.pgm"))
    enlarge("out.png", "again.ppm")
    assert np.array_equal(
        read_deep(tmp_path / "again.ppm")[..., 0],
        bigsharp.upscale(np.asarray(Image.open(tmp_path / "out.png")), 2, model="bicubic"),
    )


def test_a_palette_with_transparency(enlarge, tmp_path: Path) -> None:
    index = np.ones((16, 16), np.uint8)
    index[4:12, 4:12] = 0
    head = struct.pack("<BBBHHBHHHHBB", 0, 1, 1, 0, 2, 32, 0, 0, 16, 16, 8, 0x20)
    palette = bytes([30, 30, 200, 255, 0, 0, 0, 0])
    (tmp_path / "sprite.tga").write_bytes(head + palette + index.tobytes())
    result = enlarge("sprite.tga")
    alpha = np.asarray(result)[..., 3]
    assert (result.mode, alpha[0, 0], alpha[16, 16]) == ("RGBA", 0, 255)
    assert alpha.mean() == pytest.approx(64, abs=4)


def test_planes_of_16_bits(enlarge, tmp_path: Path) -> None:
    planes = b"".join(np.full(16, v, "<u2").tobytes() for v in (0x8000, 0, 0x4000))
    tags = [(256, 3, 1, 4), (257, 3, 1, 4), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2),
            (273, 4, 3, 140), (277, 3, 1, 3), (278, 3, 1, 4), (279, 4, 3, 152),
            (284, 3, 1, 2)]  # fmt: skip
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    head += b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    extra = struct.pack("<3H3I3I", 16, 16, 16, 164, 196, 228, 32, 32, 32)
    (tmp_path / "planar.tif").write_bytes(head + extra + planes)
    enlarge("planar.tif")
    values = read_deep(tmp_path / "out.png")
    assert np.abs(values.astype(int) - (0x8000, 0, 0x4000)).max() <= 1


def read_deep(path: Path) -> np.ndarray:
    """Samples of a PNG of 16 bits, by a decoder that is not Pillow."""
    import OpenImageIO as oiio

    config = oiio.ImageSpec()
    config["oiio:UnassociatedAlpha"] = 1
    file = oiio.ImageInput.open(str(path), config)
    values = file.read_image(oiio.UINT16)
    file.close()
    return values


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_transparent_grey_of_few_bits(enlarge, tmp_path: Path, depth: int) -> None:
    dark, light = 1 if depth > 1 else 0, (1 << depth) - 1
    bits = "".join(f"{v:0{depth}b}" for v in [dark] * 8 + [light] * 8)
    row = b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    key = chunk(b"tRNS", struct.pack(">H", dark))
    (tmp_path / "grey.png").write_bytes(png(16, 8, depth, 0, row * 8, key))
    alpha = np.asarray(enlarge("grey.png"))[..., -1]
    assert (alpha[:, :12].max(), alpha[:, 20:].min()) == (0, 255)


def test_16_bits_with_a_transparent_grey(enlarge, tmp_path: Path) -> None:
    rows = b"".join(b"\0" + np.repeat([500, 40000], 8).astype(">u2").tobytes() for _ in range(8))
    key = chunk(b"tRNS", struct.pack(">H", 500))
    (tmp_path / "grey.png").write_bytes(png(16, 8, 16, 0, rows, key))
    enlarge("grey.png")
    values = read_deep(tmp_path / "out.png")
    assert values.shape == (16, 32, 2)
    assert (values[:, :12, 1].max(), values[:, 20:, 1].min()) == (0, 65535)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["png", "tif"])
def test_16_bits_in_every_kind_of_colour(enlarge, tmp_path: Path, channels: int, kind: str) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 65536, (20, 30, channels), dtype=np.uint16)
    pixels[..., -1] |= 0xFF00 if channels in (2, 4) else 0
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    (tmp_path / "in.png").write_bytes(png(30, 20, 16, colour, rows))
    enlarge("in.png", "out.png")
    bigsharp.upscale(tmp_path / "in.png", 1, output=tmp_path / f"same.{kind}", model="bicubic")
    assert np.array_equal(read_deep(tmp_path / f"same.{kind}").reshape(pixels.shape), pixels)
    expected = bigsharp.upscale(pixels, 2, model="bicubic")
    values = read_deep(tmp_path / "out.png").reshape(40, 60, channels)
    assert np.array_equal(values, expected)
    shallow = enlarge("in.png", f"out8.{kind}", saving=bigsharp.Saving(depth=8))
    rounded = np.floor(expected / 257 + 0.5).reshape(np.asarray(shallow).shape)
    assert np.abs(np.asarray(shallow) - rounded).max() <= 1


def test_without_openimageio_deep_pictures_alone_are_refused(
    enlarge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "OpenImageIO", None)
    (tmp_path / "deep.png").write_bytes(png(2, 1, 16, 0, b"\0abcd"))
    with pytest.raises(BigsharpError, match=r"deep\.png: such pictures need OpenImageIO"):
        enlarge("deep.png")
    (tmp_path / "plain.png").write_bytes(png(2, 1, 8, 0, b"\0ab"))
    assert enlarge("plain.png").size == (4, 2)


def test_a_tiff_describes_no_other_layout(enlarge, tmp_path: Path) -> None:
    import tifffile

    tifffile.imwrite(tmp_path / "in.tif", np.zeros((6, 5), np.uint8), metadata={"a": 1})
    assert "shape" in Image.open(tmp_path / "in.tif").tag_v2[270]
    enlarge("in.tif", "out.tif")
    assert 270 not in Image.open(tmp_path / "out.tif").tag_v2
    assert tifffile.imread(tmp_path / "out.tif").shape == (12, 10)


def test_lab_of_16_bits_is_refused_and_not_mistaken(enlarge, tmp_path: Path) -> None:
    import tifffile

    pixels = np.full((8, 8, 3), (34948, 0, 0), np.uint16)
    tifffile.imwrite(tmp_path / "lab.tif", pixels, photometric="cielab")
    with pytest.raises(BigsharpError, match="LAB of 16 bits is not supported"):
        enlarge("lab.tif")
    grey = np.full((8, 8, 3), (136, 0, 0), np.uint8)
    tifffile.imwrite(tmp_path / "lab8.tif", grey, photometric="cielab")
    red, green, blue = np.asarray(enlarge("lab8.tif"))[4, 4].astype(int)
    assert abs(red - 127) <= 1
    assert abs(green - 127) <= 1
    assert abs(blue - 127) <= 1


@pytest.mark.parametrize("kind", ["tif", "jpg", "png"])
def test_text_in_any_language_stays_what_it_is(enlarge, tmp_path: Path, kind: str) -> None:
    told = {
        0x010E: "Größe 日本".encode(),
        0x013B: "Jürgen".encode(),
        0x9C9B: "tü".encode("utf-16-le"),
    }
    exif = Image.Exif()
    exif.update(told)
    Image.new("RGB", (9, 9)).save(tmp_path / "in.jpg", exif=exif)
    enlarge("in.jpg", "out.tif")
    found = enlarge("out.tif", f"again.{kind}").getexif()
    for tag, value in told.items():
        kept = found[tag]
        assert (kept.encode("latin-1") if isinstance(kept, str) else bytes(kept)) == value


def test_a_deep_picture_of_any_name(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.png")
    (tmp_path / name).write_bytes(png(2, 1, 16, 0, b"\0\x12\x34\xab\xcd"))
    bigsharp.upscale(tmp_path / name, 1, output=tmp_path / "out.png", model="bicubic")
    assert read_deep(tmp_path / "out.png").ravel().tolist() == [0x1234, 0xABCD]


def test_the_gamma_of_a_png_is_kept(enlarge, tmp_path: Path) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"gAMA", struct.pack(">I", 100_000))
    Image.new("RGB", (16, 16), (128, 128, 128)).save(tmp_path / "linear.png", pnginfo=chunks)
    assert enlarge("linear.png").info["gamma"] == 1.0
    with pytest.raises(BigsharpError, match="only PNG"):
        enlarge("linear.png", "out.jpg")


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif", "avif", "bmp", "gif", "ppm"])
def test_damaged_exif_is_dropped(enlarge, tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (12, 9), (100, 50, 20)).save(tmp_path / "junk.jpg", exif=b"Exif\0\0junkjunk")
    result = enlarge("junk.jpg", f"out.{kind}")
    assert result.size == (24, 18)
    assert not set(result.getexif()) & {0x010E, 0x0112, 0x8769}
    assert enlarge(f"out.{kind}", "again.png").size == (48, 36)


@pytest.mark.parametrize("value", [0, 1, 9, 65535])
@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
def test_an_orientation_that_is_none(enlarge, tmp_path: Path, value: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    exif[0x010E] = "kept"
    Image.new("RGB", (12, 9), (100, 50, 20)).save(tmp_path / "zero.jpg", exif=exif)
    result = enlarge("zero.jpg", f"out.{kind}")
    assert result.size == (24, 18)
    assert result.getexif().get(0x0112, 1) == 1
    assert result.getexif()[0x010E].rstrip("\0") == "kept"


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "tif", "png"])
def test_every_orientation_is_made_upright(
    enlarge, tmp_path: Path, texture: np.ndarray, value: int, kind: str
) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = value
    inner = exif.get_ifd(0x8769)
    inner[0xA002], inner[0xA003] = 70, 60
    source = Image.fromarray(texture)
    source.save(tmp_path / f"in.{kind}", exif=exif.tobytes())
    result = enlarge(f"in.{kind}")
    upright = ImageOps.exif_transpose(Image.open(tmp_path / f"in.{kind}")).convert("RGB")
    expected = bigsharp.upscale(np.asarray(upright), 2, model="bicubic")
    assert np.array_equal(np.asarray(result), expected)
    kept = result.getexif()
    assert 0x0112 not in kept
    assert (kept.get_ifd(0x8769)[0xA002], kept.get_ifd(0x8769)[0xA003]) == result.size


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif", "avif"])
def test_xmp_dpi_and_text_are_kept(enlarge, tmp_path: Path, kind: str) -> None:
    xmp = b'<x:xmpmeta><a tiff:Orientation="6" exif:PixelXDimension="12" dc:title="t"/></x:xmpmeta>'
    Image.new("RGB", (12, 9)).save(tmp_path / "in.jpg", xmp=xmp, dpi=(300, 300), comment=b"a note")
    result = enlarge("in.jpg", f"out.{kind}")
    kept = result.info.get("xmp")
    assert b'tiff:Orientation="1"' in kept
    assert b'PixelXDimension="%d"' % result.width in kept
    assert b'dc:title="t"' in kept
    if kind in ("jpg", "png", "tif"):
        assert result.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    if kind == "jpg":
        assert result.info["comment"] == b"a note"
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Title", "a picture")
    chunks.add_itxt("Author", "Жанна")
    Image.new("L", (12, 9)).save(tmp_path / "said.png", pnginfo=chunks)
    assert enlarge("said.png").text == {"Title": "a picture", "Author": "Жанна"}


def test_cmyk_goes_through_its_profile(enlarge, tmp_path: Path) -> None:
    lab = [[255 * (100 - 60 * c) / 100, 128, 128] for c in (0, 1) for _ in range(8)]
    ramp = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    lut += struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut += ramp * 4 + np.array(lab).round().astype(np.uint8).tobytes() + ramp * 3
    words = (144 + len(lut), 0x02400000, b"prtr", b"CMYK", b"Lab ", b"acsp", 0xF6D6, 0x10000)
    head = struct.pack(">I4xI4s4s4s12x4s28x3I48x", *words, 0xD32D)
    icc = head + struct.pack(">I4sII", 1, b"A2B0", 144, len(lut)) + lut
    for kind, options in (("jpg", {"quality": 95}), ("tif", {"compression": "tiff_lzw"})):
        image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
        image.save(tmp_path / f"press.{kind}", icc_profile=icc, **options)
        result = enlarge(f"press.{kind}")
        assert np.abs(np.asarray(result).astype(int) - 94).max() <= 4
        assert "icc_profile" not in result.info


@cache
def srgb() -> bytes:
    """A profile; it holds the time at which it was made."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_a_profile_of_other_colours_is_dropped(enlarge, tmp_path: Path) -> None:
    Image.new("L", (16, 16), 90).save(tmp_path / "grey.jpg", icc_profile=srgb())
    Image.new("RGB", (16, 16), 90).save(tmp_path / "colour.jpg", icc_profile=srgb())
    for kind in ("png", "tif", "webp", "jpg"):
        assert "icc_profile" not in enlarge("grey.jpg", f"out.{kind}").info
        assert enlarge("colour.jpg", f"out.{kind}").info["icc_profile"] == srgb()


def test_a_picture_and_its_thumbnail(enlarge, tmp_path: Path) -> None:
    page, thumb = Image.new("RGB", (40, 30), (200, 90, 30)), Image.new("RGB", (8, 6))
    thumb.encoderinfo = {"tiffinfo": {254: 1}}
    page.save(tmp_path / "camera.tif", save_all=True, append_images=[thumb])
    result = enlarge("camera.tif")
    assert result.size == (80, 60)
    assert np.asarray(result).mean(axis=(0, 1)) == pytest.approx((200, 90, 30), abs=1)


def test_every_page_of_a_tiff(enlarge, tmp_path: Path) -> None:
    pages = [Image.new("RGB", (20 + k, 10), (k * 50, 90, 30)) for k in range(3)]
    pages.append(Image.fromarray(RAMP))
    pages[0].save(tmp_path / "book.tif", save_all=True, append_images=pages[1:])
    result = enlarge("book.tif", "out.tif")
    assert result.n_frames == 4
    for k, page in enumerate(pages):
        result.seek(k)
        assert result.size == (page.width * 2, page.height * 2)
        expected = bigsharp.upscale(page, 2, model="bicubic")
        assert np.array_equal(np.asarray(result), np.asarray(expected))
    with pytest.raises(BigsharpError, match=r"PNG cannot hold pages; use \.tif"):
        enlarge("book.tif", "out.png")


@pytest.mark.parametrize("kind", ["gif", "png", "webp"])
def test_every_frame_of_an_animation(enlarge, tmp_path: Path, kind: str) -> None:
    frames = []
    for k in range(4):
        values = np.zeros((12, 16, 4), np.uint8)
        values[2 + k : 8, 3:12] = (255, 40 * k, 0, 255)
        frames.append(Image.fromarray(values))
    durations, options = [50, 100, 150, 200], {"disposal": 2} if kind == "gif" else {}
    options |= {"lossless": True} if kind == "webp" else {}
    frames[0].save(
        tmp_path / f"in.{kind}",
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=3,
        **options,
    )
    for target in ("gif", "png", "webp"):
        result = enlarge(f"in.{kind}", f"out.{target}")
        assert result.n_frames == 4
        assert result.info["loop"] == 3
        for k, frame in enumerate(frames):
            result.seek(k)
            result.load()
            assert result.info["duration"] == durations[k]
            seen = np.asarray(result.convert("RGBA"))
            assert seen.shape == (24, 32, 4)
            clear = np.asarray(frame)[..., 3].repeat(2, 0).repeat(2, 1) == 0
            assert (seen[..., 3] > 127)[10:14, 8:22].all() == (not clear[10:14, 8:22].any())
            assert seen[0, 0, 3] == 0
    with pytest.raises(BigsharpError, match="JPEG cannot hold frames"):
        enlarge(f"in.{kind}", "out.jpg")
    assert enlarge(f"in.{kind}", f"out.{kind}", max_pixels=24 * 32).n_frames == 4
    # AVIF's are all in memory before the first is written.
    assert enlarge(f"in.{kind}", "out.avif", max_pixels=4 * 24 * 32).n_frames == 4
    with pytest.raises(BigsharpError, match="its 4 frames together: 32 × 96"):
        enlarge(f"in.{kind}", "out.avif", max_pixels=4 * 24 * 32 - 1)


def test_frames_come_back_exactly_and_equal_ones_once(enlarge, tmp_path: Path) -> None:
    values = np.random.default_rng(5).integers(0, 256, (6, 20, 30, 4), np.uint8)
    values[1:, 5:, :20] = values[0, 5:, :20]
    values[..., 3] |= 1  # Colour under what is clear is lost.
    values[2] = values[1]
    frames = [Image.fromarray(frame) for frame in values]
    durations = [33, 40, 50, 60, 70_000, 80]
    frames[0].save(tmp_path / "in.png", save_all=True, append_images=frames[1:], duration=durations)
    for target in ("png", "webp"):
        result = enlarge("in.png", f"out.{target}", scale=1)
        assert result.n_frames == 5
        for place, frame in enumerate([0, 1, 3, 4, 5]):
            result.seek(place)
            assert np.array_equal(np.asarray(result.convert("RGBA")), values[frame])
            shown = 90 if place == 1 else durations[frame]
            assert result.info["duration"] == pytest.approx(shown)


def test_a_gif_s_frames_can_become_clear_again(enlarge, tmp_path: Path) -> None:
    opaque = np.full((10, 12, 4), (200, 30, 60, 255), np.uint8)
    holed, less = opaque.copy(), opaque.copy()
    holed[2:5, 3:9, 3] = 0
    less[2:5, 3:4] = (0, 0, 0, 0)
    frames = [Image.fromarray(frame) for frame in (opaque, holed, less, opaque)]
    frames[0].save(tmp_path / "in.png", save_all=True, append_images=frames[1:], duration=50)
    result = enlarge("in.png", "out.gif", scale=1)
    assert result.n_frames == 4
    for place, frame in enumerate((opaque, holed, less, opaque)):
        result.seek(place)
        seen = np.asarray(result.convert("RGBA"))
        assert np.array_equal(seen[..., 3], frame[..., 3])
        assert np.abs(seen[frame[..., 3] > 0].astype(int) - frame[frame[..., 3] > 0]).max() <= 3


def test_a_gif_s_frames_are_cleared_without_a_transparent_colour(enlarge, tmp_path: Path) -> None:
    palettes = [(255, 0, 0), (0, 0, 255), (0, 255, 0)]
    parts = []
    for k, (left, width) in enumerate([(0, 6), (0, 2), (4, 2)]):
        image = Image.new("P", (width, 2))
        image.putpalette(palettes[k])
        buffer = io.BytesIO()
        image.save(buffer, "GIF")
        content = buffer.getvalue()
        at = content.index(b",", 13)
        table = bytes(palettes[k]) + bytes(3)
        control = b"!\xf9\x04\x08\x05\0\0\0"  # To be cleared after 50 ms.
        place = b"," + struct.pack("<HHHHB", left, 0, width, 2, 0x80)
        parts.append(control + place + table + content[at + 10 :].rstrip(b";"))
    head = b"GIF89a" + struct.pack("<HHBBB", 6, 2, 0x80, 0, 0) + bytes(palettes[0]) + bytes(3)
    (tmp_path / "in.gif").write_bytes(head + b"".join(parts) + b";")
    result = enlarge("in.gif", "out.png", 1)
    found = []
    for k in range(3):
        result.seek(k)
        found.append(np.asarray(result.convert("RGBA"))[0, [0, 2, 5]].tolist())
    clear = [0, 0, 0, 0]
    assert found[0] == [[255, 0, 0, 255]] * 3
    assert found[1] == [[0, 0, 255, 255], clear, clear]
    assert found[2] == [clear, clear, [0, 255, 0, 255]]


@pytest.mark.parametrize("name", ["PNG", "GIF", "WEBP"])
def test_an_animation_is_not_in_memory_whole(tmp_path: Path, name: str) -> None:
    made: list[weakref.ref[np.ndarray]] = []

    def frames() -> Iterator[Picture]:
        for k in range(20):
            pixels = np.full((30, 40, 3), 12 * k, np.uint8)
            made.append(weakref.ref(pixels))
            yield Picture(pixels, duration=50)
            del pixels
            assert sum(frame() is not None for frame in made) <= 6

    path = tmp_path / f"out.{name.lower()}"
    write.write(path, format_named(name), frames(), bigsharp.Saving())
    assert Image.open(path).n_frames == len(made) == 20


@pytest.mark.parametrize("name", ["PNG", "TIFF", "WEBP"])
def test_what_fails_in_restoring_is_not_the_format_s_fault(tmp_path: Path, name: str) -> None:
    def frames() -> Iterator[Picture]:
        yield Picture(np.zeros((4, 4), np.uint8), duration=50)
        raise RuntimeError("the engine broke")

    path = tmp_path / "out"
    with pytest.raises(RuntimeError, match="the engine broke"):
        write.write(path, format_named(name), frames(), bigsharp.Saving())
    assert not path.exists()


def test_equal_frames_are_restored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bigsharp.jobs import results

    seen = []
    real = results.upscale_picture
    monkeypatch.setattr(results, "upscale_picture", lambda *a, **k: seen.append(1) or real(*a, **k))
    values = (10, 10, 10, 200, 90, 200, 10)
    pages = [Image.new("L", (9, 9), value) for value in values]
    pages[0].save(tmp_path / "in.tif", save_all=True, append_images=pages[1:])
    for bound, count in ((1 << 20, 3), (0, 5)):
        seen.clear()
        monkeypatch.setattr(results, "_RECENT", bound)
        bigsharp.upscale(tmp_path / "in.tif", 2, output=tmp_path / f"{bound}.tif", model="bicubic")
        assert len(seen) == count
        result = Image.open(tmp_path / f"{bound}.tif")
        assert result.n_frames == len(values)
        for number, value in enumerate(values):
            result.seek(number)
            assert result.getextrema() == (value, value)


def test_a_jpeg_is_stored_as_it_came(enlarge, tmp_path: Path, texture: np.ndarray) -> None:
    from PIL import JpegImagePlugin

    image = Image.fromarray(texture)
    for progressive, subsampling, quality in [(True, 2, 98), (False, 1, 30), (True, 0, 75)]:
        image.save(tmp_path / "in.jpg", progressive=progressive, subsampling=subsampling,
                   quality=quality)  # fmt: skip
        tables = Image.open(tmp_path / "in.jpg").quantization
        result = enlarge("in.jpg", "out.jpg")
        assert JpegImagePlugin.get_sampling(result) == subsampling
        assert bool(result.info.get("progressive")) == progressive
        image.save(tmp_path / "plain.jpg", quality=95)
        usual = Image.open(tmp_path / "plain.jpg").quantization
        assert result.quantization == (tables if quality == 98 else usual)
    chosen = bigsharp.Saving(subsampling="4:2:0", progressive=False, quality=50)
    result = enlarge("in.jpg", "out.jpg", saving=chosen)
    assert JpegImagePlugin.get_sampling(result) == 2
    assert "progressive" not in result.info


def test_formats_that_are_only_recognised(enlarge, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (9, 90, 200)).save(tmp_path / "art.eps")
    (tmp_path / "art.eps").rename(tmp_path / "art.png")
    contents = {
        "art.png": ((tmp_path / "art.png").read_bytes(), "EPS is not supported"),
        "a.pdf": (b"%PDF-1.7 ...", "PDF is not supported"),
        "a.heic": (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC is not supported"),
        "a.jxl": (b"\xff\x0a" + bytes(40), "JPEG XL is not supported"),
        "deep.psd": (
            struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 8, 8, 16, 3) + bytes(40),
            "PSD of 16 bits is not supported",
        ),
        "a.pam": (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 4\n", "PAM is not supported"),
        "a.pfm": (b"PF\n1 1\n-1.0\n" + bytes(12), "PFM is not supported"),
        "a.mng": (b"\x8aMNG\r\n\x1a\n" + bytes(40), "MNG is not supported"),
        "a.wmf": (b"\xd7\xcd\xc6\x9a" + bytes(60), "WMF is not supported"),
    }
    for name, (content, words) in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BigsharpError, match=words):
            enlarge(name)


@pytest.mark.parametrize(
    ("number", "name"), [(34712, "JPEG 2000"), (34887, "LERC"), (50002, "JPEG XL"), (999, "number")]
)
@pytest.mark.parametrize("depth", [8, 16])
def test_a_tiff_s_compression_that_nothing_reads(
    enlarge, tmp_path: Path, number: int, name: str, depth: int
) -> None:
    content = tiff(
        bytes(2 * depth), _256=(3, [4]), _257=(3, [4]), _258=(3, [depth]), _259=(3, [number]),
        _262=(3, [1]), _277=(3, [1]), _278=(3, [4]),
    )  # fmt: skip
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(BigsharpError, match=f"a.tif: TIFF's compression by {name}.* not supported"):
        enlarge("a.tif")


def test_a_name_too_long_and_a_link_to_itself(tmp_path: Path, command) -> None:
    Image.new("RGB", (12, 9)).save(tmp_path / ("n" * 250 + ".png"))
    (tmp_path / "loop.png").symlink_to("loop.png")
    small = "n" * 250 + ".png"
    for words in ([small], [small, "-o", "m" * 300 + ".png"], [small, "-o", "loop.png"],
                  ["loop.png", "-o", "out.png"]):  # fmt: skip
        done = command("upscale", *words, "-m", "bicubic", cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("bigsharp: ")
        assert done.stderr.count("\n") == 1
        assert "too long" in done.stderr or "symbolic links" in done.stderr
        assert "damaged" not in done.stderr
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_picture_is_one_line(tmp_path: Path, command) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "TIFF", compression="tiff_lzw")
    content = bytearray(buffer.getvalue())
    content[200:400] = b"\xff" * 200
    (tmp_path / "bad.tif").write_bytes(content)
    done = command("upscale", "bad.tif", "-o", "out.png", "-m", "bicubic", cwd=tmp_path)
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("bigsharp: bad.tif: damaged or truncated")
    assert not (tmp_path / "out.png").exists()


def test_a_chain_without_end_and_a_long_head_end_soon(
    tmp_path: Path, enlarge, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bigsharp.io import read

    page = io.BytesIO()
    Image.new("L", (4, 4)).save(page, "TIFF")
    content = bytearray(page.getvalue())
    start = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, start)[0]
    struct.pack_into("<I", content, start + 2 + 12 * count, start)
    (tmp_path / "circle.tif").write_bytes(content)
    with pytest.raises(BigsharpError, match="no end"):
        enlarge("circle.tif")
    Image.new("L", (4, 4)).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "filled.jpg").write_bytes(content[:2] + b"\xff" * 50_000_000 + content[2:])
    monkeypatch.setattr(read, "_PATIENCE", 0.2)
    with pytest.raises(BigsharpError, match="not understood in"):
        enlarge("filled.jpg")


def test_a_picture_that_takes_long_to_decode(
    tmp_path: Path, enlarge, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bigsharp.io import read

    flat = io.BytesIO()
    Image.new("L", (2000, 2000), 90).save(flat, "JPEG", progressive=True)
    content = flat.getvalue()
    scan = content[content.rfind(b"\xff\xda") : -2]
    (tmp_path / "scans.jpg").write_bytes(content[:-2] + scan * 2000 + content[-2:])
    monkeypatch.setattr(read, "_PATIENCE", 0.2)
    monkeypatch.setattr(read, "_PER_PIXEL", 0.0)
    with pytest.raises(BigsharpError, match=r"scans\.jpg: .*not understood in"):
        enlarge("scans.jpg")


def test_a_chunk_longer_than_any_picture_needs(tmp_path: Path, enlarge) -> None:
    long = chunk(b"tEXt", b"Title\0" + b"x" * (65 << 20))
    before = png(4, 4, 8, 0, b"\0abcd" * 4, long)
    plain = png(4, 4, 8, 0, b"\0abcd" * 4)
    for content in (before, plain[:-12] + long + plain[-12:]):
        (tmp_path / "long.png").write_bytes(content)
        with pytest.raises(BigsharpError, match="tEXt chunk"):
            enlarge("long.png")


@pytest.mark.parametrize(("alpha", "darkest"), [(1, 250), (3, 245)])
@pytest.mark.parametrize("model", ["bicubic", "vdsr"])
def test_nearly_clear_colour_does_not_fringe(model: str, alpha: int, darkest: int) -> None:
    y, x = np.mgrid[0:40, 0:40]
    disc = np.full((40, 40, 4), (0, 0, 0, alpha), np.uint8)
    disc[np.hypot(y - 20, x - 20) < 13] = 255
    result = bigsharp.upscale(disc, 2, model=model)
    share = result[..., 3:] / 255
    over_white = result[..., :3] * share + 255 * (1 - share)
    assert over_white.min() >= darkest


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_bmp_keeps_transparency(enlarge, tmp_path: Path, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, len(mode)), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", dpi=(300, 150))
    exact, bmp = (np.asarray(enlarge("a.png", f"out.{k}").convert("RGBA")) for k in ("png", "bmp"))
    assert np.array_equal(exact, bmp)
    assert enlarge("out.bmp", "again.bmp").mode == "RGBA"


def test_opaque_alpha_is_no_reason_to_refuse_a_jpeg(enlarge, tmp_path: Path) -> None:
    Image.new("RGBA", (9, 9), (200, 90, 30, 255)).save(tmp_path / "opaque.png")
    assert enlarge("opaque.png", "out.jpg").mode == "RGB"
    Image.new("RGBA", (9, 9), (200, 90, 30, 254)).save(tmp_path / "clear.png")
    with pytest.raises(BigsharpError, match="transparency"):
        enlarge("clear.png", "out.jpg")


def test_what_people_have_in_memory(texture: np.ndarray, tmp_path: Path) -> None:
    import torch

    Image.fromarray(texture).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    expected = bigsharp.upscale(texture, model="bicubic")
    with (tmp_path / "a.png").open("rb") as file:
        for source in (content, bytearray(content), io.BytesIO(content), file):
            result = bigsharp.upscale(source, model="bicubic")
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(result))), expected)
    tensor = bigsharp.upscale(torch.from_numpy(texture), model="bicubic")
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(tensor.numpy(), expected)
    half = bigsharp.upscale((texture / 255).astype(np.float16), model="bicubic")
    assert half.dtype == np.float16
    assert np.abs(half * 255 - expected).max() <= 1
    mask = bigsharp.upscale(texture[..., 0] > 127, model="bicubic")
    assert mask.dtype == np.bool_
    with pytest.raises(BigsharpError, match="divide by 255"):
        bigsharp.upscale(texture.astype(float), model="bicubic")
    assert repr(bigsharp.Upscaler("bicubic")) == "Upscaler('bicubic', engine='bicubic')"
