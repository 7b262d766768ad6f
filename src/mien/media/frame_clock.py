"""When the frames of an annotated clip are shown, and which of them are shown nearest to given seconds.

Seconds are those of the clip's own clock, by which its sound is placed too: of a folder of pictures and of a drawn clip
they count from frame 0, of a video from where players start it.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.media.sequence import USUAL_RATE
from mien.media.video import probe_video, read_video
from mien.schema.errors import MediaError
from mien.schema.sample import Clip, ClipSource, FrameFolder, Recording, RenderedClip, SoundSource

Rgb = NDArray[np.uint8]

_REACH_S = 0.5
"""So far beside what is wanted a video is decoded; a longer gap costs decoding all of it."""


def frame_rate(source: ClipSource, sound: SoundSource | None = None) -> Fraction:
    """Frames a second: as known, else as the video tells, whose sound it is; pictures without either have 25.

    Raises:
        MediaError: if the video cannot be read.
    """
    match source:
        case RenderedClip():
            return source.rate
        case FrameFolder(_, _, rate) if rate is not None:
            return rate
        case Clip(path):
            return _video(path)[0]
        case _:
            return _video(sound.path)[0] if isinstance(sound, Recording) else USUAL_RATE


def frame_times(source: FrameFolder | RenderedClip, rate: Fraction) -> NDArray[np.float64]:
    """Second of each picture that is there, ``float64 [N]``, rising."""
    if isinstance(source, RenderedClip):
        numbers = np.arange(source.n_frames)
    else:
        numbers = np.arange(len(source.paths)) if source.numbers is None else np.array(source.numbers)
    return np.asarray(numbers, np.float64) * float(1 / rate)


def clip_span(source: ClipSource, sound: SoundSource | None = None) -> tuple[float, float]:
    """First and last second of a clip.

    Raises:
        MediaError: if a video cannot be read, or does not tell how long it is.
    """
    if isinstance(source, Clip):
        end = source.end_s if source.end_s is not None else _video(source.path)[1]
        return source.start_s, end
    rate = frame_rate(source, sound)
    times = frame_times(source, rate)
    return float(times[0]), float(times[-1] + 1 / rate)


def nearest(times: NDArray[np.float64], seconds: Sequence[float] | NDArray[np.float64]) -> NDArray[np.int64]:
    """For each second the place of the time nearest to it, of two equally near the earlier.

    Args:
        times: rising, at least one.
        seconds: any.
    """
    wanted = np.asarray(seconds, np.float64)
    after = np.searchsorted(times, wanted).clip(1, max(len(times) - 1, 1))
    before = after - 1
    last = np.minimum(after, len(times) - 1)
    found: NDArray[np.int64] = np.where(times[last] - wanted < wanted - times[before], last, before).astype(np.int64)
    return found


def frames_near(source: Clip, seconds: Sequence[float]) -> list[tuple[int, Rgb]]:
    """The frames of a video that are shown nearest to some seconds: number in the clip, and ``uint8 [H, W, 3]`` RGB.

    Raises:
        MediaError: if none can be read.
    """
    start, end = clip_span(source)
    inside = [min(max(second, start), end) for second in seconds]
    try:
        found = _read_near(source.path, inside, max(min(inside) - _REACH_S, start), min(max(inside) + _REACH_S, end))
    except MediaError:
        found = _read_near(source.path, inside, source.start_s, source.end_s)
    first = _first_number(source.path, source.start_s)
    return [(number - first, image) for number, image in found]


def _read_near(path: Path, seconds: Sequence[float], start_s: float, end_s: float | None) -> list[tuple[int, Rgb]]:
    best: dict[int, tuple[float, int, Rgb]] = {}
    with read_video(path, start_s=start_s, end_s=end_s) as reader:
        for frame in reader:
            for place, second in enumerate(seconds):
                distance = abs(frame.time_s - second)
                if place not in best or distance < best[place][0]:
                    best[place] = distance, frame.number, frame.image
    return [best[place][1:] for place in sorted(best)]


@lru_cache(maxsize=4096)
def _first_number(path: Path, start_s: float) -> int:
    if not start_s:
        return 0
    with read_video(path, start_s=start_s) as reader:
        return next(frame.number for frame in reader)


@lru_cache(maxsize=4096)
def _video(path: Path) -> tuple[Fraction, float]:
    """Frames a second and seconds of a video."""
    info = probe_video(path)
    if info.rate is None or info.duration_s is None:
        raise MediaError(f"{path} does not tell its frame rate and its length; convert it to MP4")
    return info.rate, info.duration_s
