"""Some frames of an annotated clip, whatever it is stored as: pictures, a stretch of a video, or drawn on demand."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.media.image import read_image
from mien.media.video import read_video
from mien.schema.errors import MediaError
from mien.schema.sample import Clip, ClipSource, FrameFolder, RenderedClip
from mien.schema.tables import resolve

Rgb = NDArray[np.uint8]


def count_frames(source: ClipSource) -> int:
    """How many frames a clip has; a stretch of a video is decoded for it.

    Raises:
        MediaError: if there is none.
    """
    match source:
        case FrameFolder(paths):
            return 0 if len(paths) == 1 and paths[0].is_dir() else len(paths)
        case RenderedClip():
            return source.n_frames
        case Clip():
            return sum(1 for _ in all_frames(source))


def all_frames(source: ClipSource) -> Iterator[Rgb]:
    """Every frame of a clip in order, one at a time, ``uint8 [H, W, 3]`` RGB.

    Raises:
        MediaError: if a frame cannot be read.
    """
    match source:
        case FrameFolder(paths):
            yield from (read_image(path) for path in paths)
        case RenderedClip():
            yield from _drawn(source, range(source.n_frames))
        case Clip(path, start_s, end_s):
            with read_video(path, start_s=start_s, end_s=end_s) as reader:
                yield from (frame.image for frame in reader)


def read_frames(source: ClipSource, numbers: Sequence[int]) -> list[Rgb]:
    """The frames of these numbers, counted from 0; a number may occur more than once.

    Raises:
        MediaError: if a frame is not there or cannot be read.
    """
    wanted = sorted(set(numbers))
    match source:
        case FrameFolder(paths):
            found = {number: read_image(paths[number]) for number in wanted if number < len(paths)}
        case RenderedClip():
            found = dict(zip(wanted, _drawn(source, wanted), strict=True))
        case Clip():
            found = _decoded(source, wanted)
    if missing := [number for number in wanted if number not in found]:
        raise MediaError(f"{_named(source)} has no frame {missing[0]}; it was longer when its faces were found.")
    return [found[number] for number in numbers]


def _decoded(source: Clip, wanted: Sequence[int]) -> dict[int, Rgb]:
    found: dict[int, Rgb] = {}
    for number, image in enumerate(all_frames(source)):
        if number in wanted:
            found[number] = image
        if number >= wanted[-1]:
            break
    return found


def _drawn(source: RenderedClip, numbers: Sequence[int]) -> Sequence[Rgb]:
    frames: NDArray[np.uint8] = resolve(source.renderer)(source.index, source.seed, list(numbers))[0]
    return list(frames)


def _named(source: ClipSource) -> str:
    match source:
        case FrameFolder(paths):
            return str(paths[0].parent)
        case Clip(path):
            return str(path)
        case RenderedClip():
            return f"The drawn clip {source.index}"
