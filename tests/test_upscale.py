import contextlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageCms

import bigsharp
from bigsharp import networks
from bigsharp.errors import BigsharpError
from bigsharp.image.resize import imresize

FORMATS = ["png", "jpg", "webp", "tiff", "bmp"]


def encoded(array: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.fixture
def model(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".onnx")


def test_path_in_path_out(photo: Path, tmp_path: Path, model: Path) -> None:
    result = bigsharp.upscale(photo, scale=2, model=model)
    assert result == tmp_path / "photo-x2.png"
    assert Image.open(result).size == (140, 120)
    text = bigsharp.upscale(str(photo), width=210, model=model, output=str(tmp_path / "b.png"))
    assert text == str(tmp_path / "b.png")
    assert Image.open(text).size == (210, 180)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_bytes_in_bytes_of_the_same_format_out(texture: np.ndarray, kind: str, model: Path) -> None:
    result = bigsharp.upscale(encoded(texture, kind), scale=1.5, model=model)
    image = Image.open(io.BytesIO(result))
    assert (image.format, image.size, image.mode) == (kind, (105, 90), "RGB")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_pil_image_in_pil_image_of_the_same_mode_out(
    texture: np.ndarray, mode: str, model: Path
) -> None:
    image = Image.fromarray(texture)
    if mode == "I;16":
        image = Image.fromarray(texture[..., 0].astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    result = bigsharp.upscale(image, scale=2, model=model)
    assert (result.mode, result.size) == (mode, (140, 120))


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "YCbCr", "HSV"])
def test_other_modes_become_grey_or_rgb(texture: np.ndarray, mode: str, model: Path) -> None:
    image = Image.fromarray(texture).convert(mode)
    result = bigsharp.upscale(image, scale=2, model=model)
    assert result.mode == ("L" if mode == "1" else "RGB")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_array_in_array_of_the_same_type_out(
    dtype: type, channels: int | None, model: Path
) -> None:
    shape = (9, 14) if channels is None else (9, 14, channels)
    peak = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    array = (np.random.default_rng(0).random(shape) * peak).astype(dtype)
    before = array.copy()
    result = bigsharp.upscale(array, scale=2, model=model)
    assert result.dtype == dtype
    assert result.shape == (18, 28, *shape[2:])
    assert np.array_equal(array, before)
    assert result.min() >= 0
    assert result.max() <= peak


def test_what_people_hand_over_is_taken(photo: Path, texture: np.ndarray) -> None:
    class Place:
        def __fspath__(self) -> str:
            return str(photo)

    def enlarge(image: object) -> object:
        return bigsharp.upscale(image, 2, model="bicubic")

    expected = enlarge(texture)
    written = enlarge(Place())
    assert np.array_equal(np.asarray(Image.open(written)), expected)
    buffer = io.BytesIO()
    Image.fromarray(texture).save(buffer, "PNG")  # and left where it ends
    assert np.array_equal(decoded(enlarge(buffer)), expected)
    deep = texture.astype(">u2") * 257
    assert np.array_equal(enlarge(deep), enlarge(deep.astype(np.uint16)))
    values = torch.from_numpy(texture / 255).to(torch.bfloat16)
    tensor = enlarge(values)
    assert tensor.dtype == torch.bfloat16
    assert np.allclose(tensor.float().numpy(), enlarge(values.float().numpy()), atol=4e-3)


def test_depths_differ_by_their_rounding_alone(texture: np.ndarray, model: Path) -> None:
    results = [
        bigsharp.upscale(texture, scale=2, model=model) / 255,
        bigsharp.upscale(texture.astype(np.uint16) * 257, scale=2, model=model) / 65535,
        bigsharp.upscale(texture / 255, scale=2, model=model),
    ]
    assert np.abs(results[0] - results[2]).max() <= 0.5 / 255 + 1e-5
    assert np.abs(results[1] - results[2]).max() <= 0.5 / 65535 + 1e-5


def test_bicubic_is_matlab_bicubic(texture: np.ndarray) -> None:
    grey = texture[..., 0]
    exact = np.clip(imresize(grey.astype(float), 2.3), 0, 255)
    result = bigsharp.upscale(grey, scale=2.3, model="bicubic")
    assert np.abs(result - exact).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("scale", [1, 1.01, 2, 3.7])
def test_a_flat_picture_keeps_its_colour_with_the_released_model(scale: float) -> None:
    flat = np.full((20, 30, 3), (200, 30, 90), np.uint8)
    result = bigsharp.upscale(flat, scale=scale)
    assert np.abs(result.astype(int) - flat[0, 0]).max() <= 4


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("size", [(16, 20), (1, 1)])
def test_srcnn_puts_no_frame_around_a_flat_picture(
    scale: float, value: int, size: tuple[int, int]
) -> None:
    result = bigsharp.upscale(np.full(size, value, np.uint8), scale=scale, model="srcnn")
    assert np.abs(result.astype(int) - value).max() <= 4


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P"])
def test_a_transparent_colour_becomes_alpha(texture: np.ndarray, mode: str, model: Path) -> None:
    buffer = io.BytesIO()
    key = (0, 0, 0) if mode == "RGB" else 0
    image = Image.fromarray(np.where(texture > 127, 200, 0).astype(np.uint8)).convert(mode)
    image.save(buffer, "PNG", transparency=key)
    result = Image.open(io.BytesIO(bigsharp.upscale(buffer.getvalue(), scale=2, model=model)))
    assert result.mode == ("LA" if mode in ("1", "L") else "RGBA")
    assert result.getchannel("A").getextrema() == (0, 255)


def test_scale_1_gives_the_picture_itself(texture: np.ndarray, model: Path) -> None:
    assert np.array_equal(bigsharp.upscale(texture, scale=1, model=model), texture)


def test_alpha_is_restored_as_a_plane_of_its_own(texture: np.ndarray, model: Path) -> None:
    alpha = texture[..., 2] // 2 + 100
    result = bigsharp.upscale(np.dstack([texture, alpha]), scale=2, model=model)
    assert np.abs(result[..., 3] - bigsharp.upscale(alpha, 2, model=model).astype(int)).max() <= 1
    assert np.array_equal(result[..., :3], bigsharp.upscale(texture, scale=2, model=model))
    flat = bigsharp.upscale(np.dstack([texture, np.full_like(alpha, 130)]), scale=2, model=model)
    assert np.all(flat[..., 3] == 130)


def test_a_silhouette_comes_out_sharper_than_by_bicubic_and_clear_stays_clear() -> None:
    y, x = np.mgrid[0:160, 0:160]
    true = np.where(np.hypot(y - 80, x - 75) < 50, 255, 0).astype(np.uint8)
    small = imresize(true, 0.25)
    image = np.dstack([np.full((40, 40, 3), 200, np.uint8), small])
    errors = {}
    for model in ("bicubic", "vdsr"):
        alpha = bigsharp.upscale(image, 4, model=model)[..., 3]
        errors[model] = np.mean((alpha - true.astype(float)) ** 2)
        assert np.all(alpha[:12] == 0)
        assert np.all(alpha[70:90, 65:85] == 255)
    assert errors["vdsr"] < errors["bicubic"] / 2


def test_drawings_are_restored_in_rgb_and_photographs_in_luma(texture: np.ndarray) -> None:
    line = np.full((40, 40, 3), 255, np.uint8)
    line[:, ::8] = (255, 0, 0)
    line[20] = (0, 0, 255)
    chosen = {c: bigsharp.upscale(line, 2, colour=c) for c in ("auto", "luma", "rgb")}
    assert np.array_equal(chosen["auto"], chosen["rgb"])
    each = np.dstack([bigsharp.upscale(line[..., k], 2) for k in range(3)])
    assert np.abs(chosen["rgb"].astype(int) - each).max() <= 1
    # The middle of a red line of one pixel on white.
    assert chosen["luma"][10, 32:34, 0].min() < 230
    assert chosen["rgb"][10, 32:34, 0].min() > 250
    smooth = np.dstack([imresize(texture[..., 0], 2)] * 3)
    assert np.array_equal(bigsharp.upscale(smooth, 2), bigsharp.upscale(smooth, 2, colour="luma"))
    grey = line[..., 0]
    assert np.array_equal(bigsharp.upscale(grey, 2, colour="rgb"), bigsharp.upscale(grey, 2))
    with pytest.raises(BigsharpError, match="colour mode"):
        bigsharp.upscale(line, 2, colour="red")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_profile_and_exif_are_kept(texture: np.ndarray, kind: str, model: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = encoded(texture, kind, exif=exif, icc_profile=profile)
    result = Image.open(io.BytesIO(bigsharp.upscale(content, scale=2, model=model)))
    assert result.info["icc_profile"] == profile
    assert result.getexif()[0x010E] == "a description"


@pytest.mark.parametrize("target", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("source", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_camera_s_exif_survives_every_change_of_format(
    texture: np.ndarray, tmp_path: Path, source: str, target: str
) -> None:
    exif = Image.Exif()
    exif[0x0110] = "a camera"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = 0.25
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    path, out = tmp_path / f"in.{source.lower()}", tmp_path / f"out.{target.lower()}"
    Image.fromarray(texture).save(path, source, exif=exif.tobytes())
    bigsharp.upscale(path, scale=2, model="bicubic", output=out)
    kept = Image.open(out).getexif()
    assert kept[0x0110] == "a camera"
    assert kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] == 0.25
    assert kept.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"


def test_a_picture_taken_sideways_is_turned_upright(texture: np.ndarray, model: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    content = encoded(np.rot90(texture), "PNG", exif=exif)
    result = bigsharp.upscale(content, width=140, model=model)
    assert np.array_equal(decoded(result), bigsharp.upscale(texture, scale=2, model=model))
    assert ExifTags.Base.Orientation not in Image.open(io.BytesIO(result)).getexif()


@pytest.mark.parametrize("model", ["bicubic", "vdsr"])
def test_hidden_colour_does_not_fringe_what_is_visible(model: str) -> None:
    y, x = np.mgrid[0:40, 0:41]
    visible = np.hypot(y - 20, x - 20) < 13
    image = np.zeros((40, 41, 4), np.uint8)
    image[visible] = 255
    result = bigsharp.upscale(image, scale=3, model=model)
    assert result[..., :3].min() >= 250
    assert result[..., 3].min() == 0


def test_16_bit_grey_png_stays_16_bit(texture: np.ndarray, model: Path) -> None:
    deep = texture[..., 0].astype(np.uint16) * 257
    result = decoded(bigsharp.upscale(encoded(deep, "PNG"), scale=2, model=model))
    assert result.dtype == np.uint16
    assert np.array_equal(result, bigsharp.upscale(deep, scale=2, model=model))


def test_a_phone_s_jpeg_with_a_second_picture_is_a_jpeg(texture: np.ndarray, model: Path) -> None:
    buffer = io.BytesIO()
    image = Image.fromarray(texture)
    image.save(buffer, "MPO", save_all=True, append_images=[image.resize((10, 10))])
    result = Image.open(io.BytesIO(bigsharp.upscale(buffer.getvalue(), scale=2, model=model)))
    assert (result.format, result.size) == ("JPEG", (140, 120))


def test_quality_chooses_the_size_of_the_file(texture: np.ndarray, model: Path) -> None:
    for kind in ("JPEG", "WEBP"):
        content = encoded(texture, kind)
        low, high = (
            len(bigsharp.upscale(content, scale=2, model=model, quality=quality))
            for quality in (20, 95)
        )
        assert low < high
    lossless = bigsharp.upscale(encoded(texture, "WEBP", lossless=True), scale=2, model=model)
    assert np.array_equal(decoded(lossless), bigsharp.upscale(texture, scale=2, model=model))


@pytest.mark.parametrize("engine", ["native", "onnx"])
def test_progress_is_told_from_none_to_all(
    texture: np.ndarray, checkpoint: Path, engine: str
) -> None:
    seen = []
    path = checkpoint if engine == "native" else checkpoint.with_suffix(".onnx")
    upscaler = bigsharp.load(path, engine)
    upscaler.upscale(texture, 2, tile=64, progress=lambda done, total: seen.append((done, total)))
    pixels = 4 * texture.shape[0] * texture.shape[1]
    assert {total for _, total in seen} == {pixels}
    assert [seen[0][0], seen[-1][0]] == [0, pixels]
    assert len(seen) > 2
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 3), np.int32), "not int32"),
        (np.zeros((3, 3, 5), np.uint8), "shape"),
        (np.zeros((3, 0), np.uint8), "none of them 0"),
        (np.zeros(3, np.uint8), "shape"),
        (np.full((3, 3), np.nan), "not a number"),
        (np.full((3, 3), -np.inf), "infinite"),
        (np.linspace(-255, 0, 9).reshape(3, 3), "go down to -255, and black is 0"),
        (np.full((3, 3, 4), -0.6, np.float16), "go down to -0.6"),
        (np.full((3, 3), 2.0), "go to 2, and white is 1"),
        ([[1, 2]], "not list"),
    ],
)
def test_arrays_that_are_no_picture(array: object, words: str) -> None:
    with pytest.raises(BigsharpError, match=words):
        bigsharp.upscale(array, scale=2, model="bicubic")  # type: ignore[type-var]


def test_floats_a_little_beyond_black_and_white_are_clipped() -> None:
    overshot = np.linspace(-0.3, 1.3, 256).reshape(16, 16)
    result = bigsharp.upscale(overshot, scale=2, model="bicubic")
    assert (result.min(), result.max()) == (0, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"quality": 0}, "quality"), ({"quality": 101}, "quality"), ({"width": 17_000}, "WEBP")],
)
def test_what_bytes_of_a_format_cannot_hold(texture: np.ndarray, options: dict, words: str) -> None:
    options = {"model": "bicubic"} | ({"scale": 2} if "width" not in options else {}) | options
    with pytest.raises(BigsharpError, match=words):
        bigsharp.upscale(encoded(texture, "WEBP"), **options)


def test_exif_too_long_for_a_jpeg_is_named(photo: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    Image.open(photo).save(tmp_path / "long.png", exif=exif)
    with pytest.raises(BigsharpError, match="JPEG cannot hold"):
        bigsharp.upscale(tmp_path / "long.png", 2, model="bicubic", output=tmp_path / "a.jpg")
    assert not (tmp_path / "a.jpg").exists()


def test_a_changed_checkpoint_is_loaded_anew(texture: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        network = networks.build("vdsr", depth=3, features=4, residual=False)
        path.write_bytes(networks.to_checkpoint(networks.pack("vdsr", network)))
        os.utime(path, ns=(seed, seed))
        results.append(bigsharp.upscale(texture, scale=2, model=path))
    assert not np.array_equal(*results)


def test_a_link_stays_a_link(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(b"old")
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    bigsharp.upscale(photo, 2, model="bicubic", output=tmp_path / "link.png", overwrite=True)
    assert (tmp_path / "link.png").is_symlink()
    assert Image.open(tmp_path / "real.png").size == (140, 120)


def test_damaged_bytes_never_end_in_a_traceback(texture: np.ndarray) -> None:
    random = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"):
        content = encoded(texture[:8, :8], kind)
        for _ in range(150):
            damaged = bytearray(content)
            for at in random.integers(0, len(damaged), 3):
                damaged[at] = random.integers(0, 256)
            with contextlib.suppress(BigsharpError):
                bigsharp.upscale(bytes(damaged), 2, model="bicubic", max_pixels=10_000)


def test_output_is_for_paths(texture: np.ndarray) -> None:
    with pytest.raises(BigsharpError, match="given as a path"):
        bigsharp.upscale(texture, scale=2, model="bicubic", output="a.png")


def test_the_public_names_are_there_and_nothing_heavy_is_imported() -> None:
    import subprocess
    import sys

    code = "import bigsharp, bigsharp.cli, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert not {"numpy", "PIL", "onnxruntime", "torch", "rich"} & set(loaded.split())
    assert bigsharp.available_models()[-1] == "bicubic"
    assert set(bigsharp.__all__) <= set(dir(bigsharp))
    with pytest.raises(AttributeError):
        bigsharp.nothing  # noqa: B018
