"""The content of a picture file as pixels: one table of formats, limits before decoding, upright, without alpha."""

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from mien.schema.errors import MediaError

Rgb = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""What is decoded; the content decides, not the name of the file."""

_ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")
_WIDE_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_PNG_DEPTH_AT = 24
_warnings_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """How large a picture may be; checked before it is decoded.

    Attributes:
        max_pixels: width times height.
        max_bytes: of the file.
    """

    max_pixels: int = 120_000_000
    max_bytes: int = 200 << 20


def decode(content: bytes, limits: ImageLimits) -> Rgb:
    """The first page or frame of a picture file, ``uint8 [H, W, 3]`` RGB, upright.

    Raises:
        MediaError: if it is empty, damaged, too large or of no known format.
    """
    if not content:
        raise MediaError("it is empty")
    if len(content) > limits.max_bytes:
        raise MediaError(f"it has {len(content):,} bytes; the limit is {limits.max_bytes:,}")
    try:
        with _opened(content) as picture:
            _check_pixels(picture.size, limits)
            return _by_opencv(content, picture) if _is_plain(content, picture) else _by_pillow(picture)
    except MediaError:
        raise
    except UnidentifiedImageError:
        raise MediaError(f"its content is none of: {', '.join(FORMATS)}") from None
    except Exception as error:  # a decoder fed with damaged data raises anything
        raise MediaError(f"its content is damaged ({_reason(error)})") from error


def from_pil(picture: Image.Image, limits: ImageLimits) -> Rgb:
    """A PIL image as ``uint8 [H, W, 3]`` RGB, upright, transparency on white."""
    _check_pixels(picture.size, limits)
    try:
        return _by_pillow(picture)
    except (OSError, ValueError, SyntaxError) as error:
        raise MediaError(f"it cannot be decoded ({_reason(error)})") from error


def from_array(array: NDArray[Any]) -> Rgb:
    """An array as ``uint8 [H, W, 3]`` RGB; one that is of this kind already is not copied.

    Raises:
        MediaError: if the shape or the range of the values is none of a picture's.
    """
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise MediaError(f"an array is [H, W], [H, W, 1], [H, W, 3] RGB or [H, W, 4] RGBA; given: {list(array.shape)}")
    pixels = _to_8_bits(array)
    if pixels.shape[2] == 4:
        return _on_white(Image.fromarray(np.ascontiguousarray(pixels)))
    return pixels.repeat(3, axis=2) if pixels.shape[2] == 1 else pixels


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Pillow's warnings: of sizes, which are for ``ImageLimits``, and of damaged notes beside the pixels.

    Filters of warnings belong to the whole process, hence the lock.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _opened(content: bytes) -> Image.Image:
    """Only the header is read."""
    with _quietly():
        return Image.open(io.BytesIO(content), formats=FORMATS)


def _check_pixels(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise MediaError(f"it has {width}x{height} pixels; the limit is {limits.max_pixels:,} in all")


def _is_plain(content: bytes, picture: Image.Image) -> bool:
    """Whether OpenCV, which is faster, decodes it to the same pixels; it also keeps all 16 bits of a PNG."""
    if picture.format == "PNG":
        complete = b"IEND" in content[-16:]
        return complete and (
            content[_PNG_DEPTH_AT] == 16 or (picture.mode in ("L", "RGB") and not picture.info.get("transparency"))
        )
    complete = content.rstrip(b"\0").endswith(b"\xff\xd9")
    return complete and picture.format in ("JPEG", "MPO") and picture.mode in ("L", "RGB")


def _by_opencv(content: bytes, picture: Image.Image) -> Rgb:
    is_deep = picture.format == "PNG" and content[_PNG_DEPTH_AT] == 16
    flags = cv2.IMREAD_UNCHANGED if is_deep else cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if decoded is None:
        return _by_pillow(picture)
    if is_deep and decoded.ndim == 3:
        order = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}[decoded.shape[2]]
        decoded = cv2.cvtColor(decoded, order)
    return _upright(from_array(np.asarray(decoded)), _orientation(picture))


def _by_pillow(picture: Image.Image) -> Rgb:
    picture.load()
    orientation = _orientation(picture)
    if picture.mode in _WIDE_MODES:
        return _upright(from_array(_wide(picture)), orientation)
    if picture.mode in _ALPHA_MODES or "transparency" in picture.info:
        return _upright(_on_white(picture), orientation)
    return _upright(np.asarray(picture.convert("RGB")), orientation)


def _wide(picture: Image.Image) -> NDArray[Any]:
    """More than eight bits a pixel; whole numbers are taken for 16 bits."""
    values = np.asarray(picture)
    if values.dtype.kind == "f" or values.dtype.itemsize == 2:
        return values.astype(values.dtype.newbyteorder("="))
    if values.min() < 0 or values.max() > 0xFFFF:
        raise MediaError(f"its values reach from {values.min()} to {values.max()}; at most 16 bits are read")
    return values.astype(np.uint16)


def _on_white(picture: Image.Image) -> Rgb:
    picture = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(white, picture).convert("RGB"))


def _to_8_bits(array: NDArray[Any]) -> Rgb:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind == "f":
        low, high = float(np.min(array)), float(np.max(array))
        if low >= 0 and high <= 1:
            return np.asarray(np.rint(array * 255), np.uint8)
        raise MediaError(f"floats are read as 0 to 1; these reach from {low:g} to {high:g}")
    raise MediaError(f"pixels are uint8, uint16, bool or floats from 0 to 1; given: {array.dtype}")


def _orientation(picture: Image.Image) -> int:
    """The EXIF tag, 1 (upright) to 8; damaged EXIF data count as upright."""
    try:
        with _quietly():
            return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - the pixels are good all the same
        return 1


def _upright(image: Rgb, orientation: int) -> Rgb:
    """Undo a camera's rotation and mirroring, as numbered by EXIF."""
    if orientation not in range(2, 9):
        return image
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
