"""Pictures in and out: every kind becomes ``uint8 [H, W, 3]`` RGB, upright; what cannot be read is a MediaError."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.media.archive import read_member, read_row
from mien.media.decode import FORMATS, ImageLimits, Rgb, decode, from_array, from_pil
from mien.schema.errors import MediaError
from mien.schema.sample import (
    Clip,
    Composed,
    CsvRow,
    FeatureCsv,
    FeatureTable,
    File,
    FrameFolder,
    Recording,
    Rendered,
    RenderedClip,
    RenderedVoice,
    Source,
    ZipMember,
)
from mien.schema.tables import resolve

__all__ = ["DEFAULT_LIMITS", "FORMATS", "ImageLimits", "read_image", "read_source", "write_image"]

DEFAULT_LIMITS = ImageLimits()


def read_image(source: Path | str | bytes | NDArray[Any] | Image.Image, limits: ImageLimits = DEFAULT_LIMITS) -> Rgb:
    """Read one picture: the first page or frame, turned upright, transparency on white.

    Args:
        source: a path, the content of a file, an array (``[H, W]`` or ``[H, W, 1|3|4]``, RGB or RGBA, not BGR;
            ``uint8``, ``uint16``, ``bool``, or floats from 0 to 1) or a PIL image.
        limits: largest size of what is decoded.

    Returns:
        ``uint8 [H, W, 3]`` RGB. An array of that kind is returned as it is, not copied.

    Raises:
        MediaError: if the picture is missing, empty, damaged, too large or of no known format.
    """
    if isinstance(source, np.ndarray):
        with _about("The array"):
            return from_array(source)
    if isinstance(source, Image.Image):
        with _about("The PIL image"):
            return from_pil(source, limits)
    if isinstance(source, bytes):
        with _about("The picture"):
            return decode(source, limits)
    with _about(str(source)):
        return decode(_content(Path(source), limits), limits)


def read_source(source: Source, limits: ImageLimits = DEFAULT_LIMITS) -> Rgb:
    """The picture of a sample, ``uint8 [H, W, 3]`` RGB.

    Raises:
        MediaError: if it is missing, damaged or too large, or a clip, a sound or features.
    """
    match source:
        case File(path):
            return read_image(path, limits)
        case ZipMember(archive, member):
            with _about(f"{member} in {archive}"):
                return decode(read_member(archive, member, limits.max_bytes), limits)
        case CsvRow(path, offset):
            with _about(f"The row at byte {offset} of {path}"):
                return from_array(read_row(path, offset))
        case Rendered(renderer, index, seed):
            image, _ = resolve(renderer)(index, seed)
            return from_array(image)
        case Composed(renderer):
            return from_array(resolve(renderer)(source))
        case FrameFolder() | Clip() | RenderedClip():
            raise MediaError(f"A clip is no picture, and a picture is expected here; given: {str(source)[:200]}")
        case Recording() | RenderedVoice():
            raise MediaError(f"A sound is no picture, and a picture is expected here; given: {str(source)[:200]}")
        case FeatureTable() | FeatureCsv():
            raise MediaError(f"Features are no picture, and a picture is expected here; given: {str(source)[:200]}")


def write_image(path: Path | str, image: Rgb) -> None:
    """Write ``uint8 [H, W, 3]`` RGB to a file, whose suffix names the format.

    Raises:
        MediaError: if the format is unknown or the file cannot be written.
    """
    path = Path(path)
    options: dict[str, Any] = {"quality": 95} if path.suffix.lower() in (".jpg", ".jpeg", ".webp") else {}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, **options)
    except (OSError, ValueError) as error:
        raise MediaError(f"{path} cannot be written ({error}); formats: .png, .jpg, .webp, .bmp, .tiff") from error


@contextmanager
def _about(name: str) -> Iterator[None]:
    """Say which picture it is that cannot be read."""
    try:
        yield
    except MediaError as error:
        raise MediaError(f"{name} cannot be read: {error}") from error


def _content(path: Path, limits: ImageLimits) -> bytes:
    try:
        if not path.exists():
            raise MediaError("there is no such file")
        if not path.is_file():
            raise MediaError("it is a folder, not a picture" if path.is_dir() else "it is not a regular file")
        size = path.stat().st_size
        if size > limits.max_bytes:
            raise MediaError(f"it has {size:,} bytes; the limit is {limits.max_bytes:,}")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise MediaError(str(error)) from error
