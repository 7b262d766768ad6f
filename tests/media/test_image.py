import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from mien.media.image import ImageLimits, read_image, read_source, write_image
from mien.schema.errors import MediaError
from mien.schema.sample import CsvRow, File, Rendered, ZipMember

Y, X = np.mgrid[:30, :44]
PHOTO = np.stack([4 * X + Y, 255 - 5 * X, 3 * Y + 2 * X], axis=-1).astype(np.uint8)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def rendered(index: int, seed: int) -> tuple[np.ndarray, None]:
    return np.full((8, 8, 3), index + seed, np.uint8), None


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_lossless_kinds_come_back_exactly(kind: str, options: dict[str, object]) -> None:
    assert (read_image(encoded(Image.fromarray(PHOTO), kind, **options)) == PHOTO).all()


@pytest.mark.parametrize("options", [{"quality": 95, "subsampling": 0}, {"quality": 90, "progressive": True}])
def test_jpeg_is_decoded_as_pillow_decodes_it(options: dict[str, object]) -> None:
    content = encoded(Image.fromarray(PHOTO), "JPEG", **options)
    assert (read_image(content) == np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))).all()
    assert (read_image(content + b"camera notes") == read_image(content)).all()


def test_grey_pictures_get_three_channels() -> None:
    grey = PHOTO[..., 0]
    for kind in ("PNG", "TIFF", "BMP"):
        assert (read_image(encoded(Image.fromarray(grey), kind)) == grey[..., None]).all()


def test_cmyk() -> None:
    content = encoded(Image.fromarray(PHOTO).convert("CMYK"), "JPEG", quality=98)
    assert np.abs(read_image(content).astype(int) - PHOTO).mean() < 3


def test_palettes_and_single_bits() -> None:
    flat = Image.fromarray(np.repeat(np.array([[[10, 20, 30]], [[200, 100, 50]]], np.uint8), 9, axis=1))
    for kind in ("PNG", "GIF"):
        assert (read_image(encoded(flat.convert("P", palette=Image.Palette.ADAPTIVE), kind)) == np.asarray(flat)).all()
    bits = Image.fromarray(PHOTO[..., 0] > 100)
    assert (read_image(encoded(bits, "PNG"))[..., 0] == 255 * (PHOTO[..., 0] > 100)).all()


def test_transparency_lies_on_white() -> None:
    alpha = np.zeros((30, 44), np.uint8)
    alpha[:, 10:], alpha[:, 30:] = 128, 255
    expected = (PHOTO * (alpha[..., None] / 255) + 255 * (1 - alpha[..., None] / 255)).round()
    content = encoded(Image.fromarray(np.dstack([PHOTO, alpha])), "PNG")
    assert np.abs(read_image(content) - expected).max() <= 1
    clear = Image.new("P", (4, 4), 0)
    clear.putpalette([9, 9, 9, 200, 0, 0])
    clear.putpixel((1, 2), 1)
    read = read_image(encoded(clear, "PNG", transparency=0))
    assert read[2, 1].tolist() == [200, 0, 0]
    assert (read[0] == 255).all()


def test_sixteen_bits_are_scaled() -> None:
    deep = np.linspace(0, 65535, 30 * 44).reshape(30, 44).astype(np.uint16)
    expected = (deep / 257).round()
    for kind in ("PNG", "TIFF"):
        assert (read_image(encoded(Image.fromarray(deep), kind)) == expected[..., None]).all()
    colours = np.dstack([deep, deep[::-1], deep // 2])
    content = cv2.imencode(".png", cv2.cvtColor(colours, cv2.COLOR_RGB2BGR))[1].tobytes()
    assert (read_image(content) == (colours / 257).round()).all()
    content = cv2.imencode(".tiff", cv2.cvtColor(colours, cv2.COLOR_RGB2BGR))[1].tobytes()
    assert np.abs(read_image(content) - colours / 257).max() <= 1
    see_through = np.dstack([colours[..., ::-1], np.full_like(deep, 65535)])
    content = cv2.imencode(".png", see_through)[1].tobytes()
    assert (read_image(content) == (colours / 257).round()).all()


def test_the_first_frame_and_the_first_page() -> None:
    frames = [Image.fromarray(np.full((6, 6, 3), value, np.uint8)) for value in (40, 90, 200)]
    for kind, options in (("GIF", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert (read_image(content) == 40).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pictures_are_turned_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    content = encoded(Image.fromarray(PHOTO), kind, exif=exif, **options)
    plain = Image.open(io.BytesIO(encoded(Image.fromarray(PHOTO), kind, **options))).convert("RGB")
    plain.getexif()[0x0112] = orientation
    assert (read_image(content) == np.asarray(ImageOps.exif_transpose(plain))).all()


def test_damaged_exif_counts_as_upright() -> None:
    content = encoded(Image.fromarray(PHOTO), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05garbage")
    assert read_image(content).shape == PHOTO.shape


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_truncated_files_are_refused(kind: str, share: float) -> None:
    content = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)), kind)
    with pytest.raises(MediaError):
        read_image(content[: int(len(content) * share)])


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=100)
@given(st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"]), st.integers(0, 2**32 - 1))
def test_damaged_bytes_give_pixels_or_an_error_that_says_so(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    content = np.frombuffer(encoded(Image.fromarray(PHOTO), kind), np.uint8).copy()
    places = rng.integers(0, len(content), rng.integers(1, 12))
    content[places] = rng.integers(0, 256, len(places))
    try:
        image = read_image(content.tobytes(), ImageLimits(max_pixels=10_000_000))
    except MediaError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3


def test_paths_and_their_errors(tmp_path: Path) -> None:
    good = tmp_path / "ein Gesicht ä.jpg"
    good.write_bytes(encoded(Image.fromarray(PHOTO), "PNG"))  # the content decides
    assert (read_image(good) == PHOTO).all()
    assert (read_image(str(good)) == PHOTO).all()
    cases = {"text.jpg": b"not a picture at all", "empty.png": b"", "page.png": b"%PDF-1.4 ..."}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MediaError, match=name):
            read_image(tmp_path / name)
    with pytest.raises(MediaError, match="no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(MediaError, match="folder"):
        read_image(tmp_path)
    with pytest.raises(MediaError, match="cannot be read"):
        read_image("bad\0name.png")


@pytest.mark.parametrize("kind", ["ICO", "PPM", "TGA"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(MediaError, match="JPEG, PNG, WEBP, BMP, GIF, TIFF"):
        read_image(encoded(Image.fromarray(PHOTO), kind))


def test_limits_are_checked_before_decoding(tmp_path: Path) -> None:
    content = encoded(Image.fromarray(PHOTO), "PNG")
    with pytest.raises(MediaError, match="44x30 pixels; the limit is 1,319"):
        read_image(content, ImageLimits(max_pixels=30 * 44 - 1))
    assert read_image(content, ImageLimits(max_pixels=30 * 44)).shape == (30, 44, 3)
    (tmp_path / "a.png").write_bytes(content)
    for source in (content, tmp_path / "a.png"):
        with pytest.raises(MediaError, match="bytes; the limit is 100"):
            read_image(source, ImageLimits(max_bytes=100))


def test_a_bomb_is_refused_without_a_warning_or_memory() -> None:
    header = encoded(Image.new("1", (8, 8)), "PNG")
    for side in (11_000, 12_000, 60_000):  # below Pillow's own warning, between its warning and its error, above
        bomb = header[:16] + side.to_bytes(4, "big") * 2 + header[24:]
        with pytest.raises(MediaError):
            read_image(bomb)


def test_arrays() -> None:
    assert read_image(PHOTO) is PHOTO
    assert (read_image(PHOTO[..., 0]) == PHOTO[..., :1]).all()
    assert (read_image(PHOTO / np.float32(255)) == PHOTO).all()
    assert (read_image(PHOTO.astype(np.uint16) * 257) == PHOTO).all()
    assert (read_image(PHOTO[..., :1] > 90)[..., 2] == 255 * (PHOTO[..., 0] > 90)).all()
    assert (read_image(np.dstack([PHOTO, np.zeros((30, 44), np.uint8)])) == 255).all()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 30, 44), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros(4, np.uint8),
        np.full((4, 4, 3), 200.0),
        np.full((4, 4, 3), np.nan),
        np.zeros((4, 4, 3), np.int32),
    ],
)
def test_arrays_that_are_no_pictures(array: np.ndarray) -> None:
    with pytest.raises(MediaError, match="The array cannot be read"):
        read_image(array)


def test_pil_images() -> None:
    assert (read_image(Image.fromarray(PHOTO)) == PHOTO).all()
    exif = Image.Exif()
    exif[0x0112] = 6
    opened = Image.open(io.BytesIO(encoded(Image.fromarray(PHOTO), "PNG", exif=exif)))
    assert (read_image(opened) == np.rot90(PHOTO, -1)).all()
    with pytest.raises(MediaError, match="The PIL image"):
        read_image(Image.new("RGB", (50, 50)), ImageLimits(max_pixels=100))


def test_sources(tmp_path: Path) -> None:
    path, archive, table = tmp_path / "a.png", tmp_path / "a.zip", tmp_path / "a.csv"
    path.write_bytes(encoded(Image.fromarray(PHOTO), "PNG"))
    with zipfile.ZipFile(archive, "w") as file:
        file.write(path, "x/a.png")
    table.write_text("0," + " ".join(["7"] * 2304) + ",Training\n")
    assert (read_source(File(path)) == PHOTO).all()
    assert (read_source(ZipMember(archive, "x/a.png")) == PHOTO).all()
    assert (read_source(CsvRow(table, 0)) == np.full((48, 48, 3), 7)).all()
    with pytest.raises(MediaError, match=r"x/b.png in .*a.zip cannot be read"):
        read_source(ZipMember(archive, "x/b.png"))
    with pytest.raises(MediaError, match=r"row at byte 6912 of .*a.csv"):
        read_source(CsvRow(table, 3 * 2304))


def test_drawn_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.image.resolve", lambda name: {"here:rendered": rendered}[name])
    assert (read_source(Rendered("here:rendered", 5, 2)) == 7).all()


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    write_image(tmp_path / "new" / "a.png", PHOTO)
    assert (read_image(tmp_path / "new" / "a.png") == PHOTO).all()
    write_image(tmp_path / "a.jpg", PHOTO)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - PHOTO).mean() < 4
    with pytest.raises(MediaError, match="cannot be written"):
        write_image(tmp_path / "a.nothing", PHOTO)
