"""What a video is to the rest of the package: frames with seconds, facts about the whole, limits, and one reader."""

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mien.media.selection import Picker, Selection
from mien.schema.errors import MediaError, MienError

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLimits:
    """How much of a video is read at most; more is a MediaError, not a silent end.

    Attributes:
        max_duration_s: of the part that is read.
        max_pixels: width times height.
        max_frames: number of the last frame that may be decoded.
    """

    max_duration_s: float = 12 * 3600.0
    max_pixels: int = 36_000_000
    max_frames: int = 3_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What is known of a video before it is read to its end.

    Attributes:
        width: pixels of a frame as it is handed out, upright.
        height: likewise.
        rate: frames a second on average; ``None`` where nothing tells.
        duration_s: length of the pictures; ``None`` where nothing tells.
        frames: how many there are by the file's own account; ``None`` where it keeps none.
        rotation_deg: 0, 90, 180 or 270: how far clockwise the stored pictures are turned to be upright.
        codec: of the pictures, as ``h264``.
        has_sound: whether there is a sound track as well.
        time_base: unit in which the file counts time, seconds; times of frames are whole multiples of it
            (counted from ``start_s``).
        start_s: what the file's own clock shows at 0 seconds; sound of the same file is placed by it.
    """

    width: int
    height: int
    rate: Fraction | None
    duration_s: float | None
    frames: int | None
    rotation_deg: int
    codec: str
    has_sound: bool
    time_base: Fraction
    start_s: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture of a video.

    Attributes:
        number: position among all frames that the video decodes to, from 0, whatever part of them is read.
        time_s: seconds at which players show it, from the start of the video.
        image: ``uint8 [H, W, 3]`` RGB, upright; nobody else holds it. Pixels that are not square stay as stored.
    """

    number: int
    time_s: float
    image: Rgb


@dataclass(slots=True)
class Problems:
    """What went wrong on the way without ending it.

    Attributes:
        damaged: frames that were left out because they could not be decoded whole.
        notes: sentences about anything else.
    """

    damaged: int = 0
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        many = "frames are" if self.damaged > 1 else "frame is"
        count = [f"{self.damaged} {many} damaged and left out."] if self.damaged else []
        return " ".join(count + self.notes)


class Footage(Protocol):
    """An opened source of frames; it is read once."""

    info: VideoInfo
    problems: Problems

    def frames(self, picker: Picker, limits: VideoLimits) -> Iterator[Frame]:
        """The frames that ``picker`` takes, in order of time."""

    def close(self) -> None:
        """Let go of files and devices."""


class FrameReader(Iterator[Frame], AbstractContextManager["FrameReader"]):
    """The chosen frames of one source, decoded as they are asked for; few are in memory at any time.

    Attributes:
        name: of the source, for messages.
        info: facts about the whole source.
    """

    def __init__(self, name: str, footage: Footage, selection: Selection, limits: VideoLimits) -> None:
        self.name = name
        self.info = footage.info
        self._footage = footage
        self._frames = self._read(selection, limits)

    @property
    def damaged(self) -> int:
        """How many frames were left out so far because they could not be decoded whole."""
        return self._footage.problems.damaged

    @property
    def problem(self) -> str:
        """What went wrong so far although frames came; empty if nothing did. Complete after the last frame."""
        return str(self._footage.problems)

    def close(self) -> None:
        """Let go of the source; a reader that is read to its end does so by itself."""
        self._frames.close()
        self._footage.close()

    def __next__(self) -> Frame:
        return next(self._frames)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _read(self, selection: Selection, limits: VideoLimits) -> Generator[Frame]:
        is_empty = True
        with named(self.name):
            check_length(self.info, selection, limits)
            for frame in self._footage.frames(Picker(selection, self.info.time_base), limits):
                is_empty = False
                yield frame
            if is_empty:
                raise MediaError(f"no frame could be read {selection}. {self.problem}".rstrip())
            self._footage.close()


def check_length(info: VideoInfo, selection: Selection, limits: VideoLimits) -> None:
    """Refuse at once what is known to be too long.

    Raises:
        MediaError: if the part to be read lasts longer than ``limits`` allow.
    """
    if info.duration_s is None:
        return
    end_s = info.duration_s if selection.end is None else min(info.duration_s, float(selection.end))
    if end_s - float(selection.start) > limits.max_duration_s:
        raise MediaError(
            f"{end_s - float(selection.start):,.0f} s are to be read; the limit is {limits.max_duration_s:,.0f} s. "
            "Choose a part by start_s and end_s, or raise max_duration_s"
        )


def check_frame(number: int, seconds: float, shape: tuple[int, int], limits: VideoLimits) -> None:
    """Refuse what turns out to be too much on the way.

    Args:
        number: of the frame, from 0.
        seconds: since the first that was asked for.
        shape: height and width.
        limits: what is allowed.

    Raises:
        MediaError: if it is beyond ``limits``.
    """
    height, width = shape
    if width * height > limits.max_pixels:
        raise MediaError(f"its frames have {width}x{height} pixels; the limit is {limits.max_pixels:,} in all")
    if number >= limits.max_frames:
        raise MediaError(f"it has more than {limits.max_frames:,} frames; raise max_frames to read on")
    if seconds > limits.max_duration_s:
        raise MediaError(f"it lasts longer than {limits.max_duration_s:,.0f} s; raise max_duration_s to read on")


@contextmanager
def named(name: str) -> Iterator[None]:
    """Say which source it is that cannot be read."""
    try:
        yield
    except MediaError as error:
        raise MediaError(f"{name} cannot be read: {error}") from error
    except MienError:
        raise
    except Exception as error:  # a decoder fed with damaged data raises anything
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise MediaError(f"{name} cannot be read: its content is damaged ({reason[0]})") from error
