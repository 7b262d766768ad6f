"""Pictures as videos: one is a video of one frame; a folder or a pattern of them is a video in natural order."""

import glob
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from mien.media.frames import Frame, Problems, VideoInfo, VideoLimits, check_frame
from mien.media.image import ImageLimits, read_image
from mien.media.selection import Picker
from mien.schema.errors import MediaError

PICTURE_SUFFIXES = frozenset(
    {".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Files of a folder that count as its pictures; a file that is named, and those of a pattern, are always tried."""

USUAL_RATE = Fraction(25)
"""Frames a second of a sequence that comes without a rate."""

_HEADS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_NUMBER = re.compile(r"%0?\d*d")
_PATTERN = re.compile(r"[*?\[]")


class PictureSequence:
    """Pictures in the order given, the first at second 0.

    Args:
        paths: at least one.
        rate: frames a second; ``None`` for a single picture, which has none.
        max_pixels: of the largest picture that is read.

    Raises:
        MediaError: if none of them can be read.
    """

    def __init__(self, paths: list[Path], rate: Fraction | None, max_pixels: int) -> None:
        self.problems = Problems()
        self._paths = paths
        self._step_s = 1 / rate if rate else Fraction(0)
        self._limits = ImageLimits(max_pixels=max_pixels)
        height, width = self._first_shape()
        self.info = VideoInfo(
            width=width,
            height=height,
            rate=rate,
            duration_s=float(len(paths) * self._step_s),
            frames=len(paths),
            rotation_deg=0,
            codec="pictures",
            has_sound=False,
            time_base=self._step_s or USUAL_RATE**-1,
        )

    def close(self) -> None:
        """Nothing is held open."""

    def frames(self, picker: Picker, limits: VideoLimits) -> Iterator[Frame]:
        """The pictures that ``picker`` takes; one that cannot be read is counted and left out."""
        for number, path in enumerate(self._paths):
            time = number * self._step_s
            if picker.is_over(time):
                return
            if not picker.takes(number, time):
                continue
            try:
                image = read_image(path, self._limits)
            except MediaError as error:
                self.problems.damaged += 1
                self._note(str(error))
                continue
            check_frame(number, float(time - picker.wanted.start), image.shape[:2], limits)
            yield Frame(number=number, time_s=float(time), image=image)

    def _first_shape(self) -> tuple[int, int]:
        """Of the first picture that can be read."""
        problem = None
        for path in self._paths:
            try:
                return read_image(path, self._limits).shape[:2]
            except MediaError as error:
                problem = problem or error
        assert problem is not None, "no pictures"
        raise problem

    def _note(self, text: str) -> None:
        """Keep the first reason only: a thousand would help nobody."""
        if not self.problems.notes:
            self.problems.notes.append(text)


def is_picture(path: Path) -> bool:
    """Whether a file holds a picture by its first bytes, whatever it is named; a stream of JPEGs is a video."""
    try:
        if path.suffix.lower() in (".mjpeg", ".mjpg") or not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(16)
    except (OSError, ValueError):
        return False
    return head.startswith(_HEADS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def is_sequence(text: str) -> bool:
    """Whether a text stands for several pictures: a folder, or a pattern such as ``a/*.png`` or ``a/%05d.png``."""
    path = Path(text)
    return path.is_dir() or (not path.exists() and bool(_PATTERN.search(text) or _NUMBER.search(text)))


def sequence_paths(text: str) -> list[Path]:
    """The pictures that a folder or a pattern stands for, ``2.png`` before ``10.png``.

    Raises:
        MediaError: if there are none.
    """
    folder = Path(text)
    if folder.is_dir():
        found = [path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()]
    else:
        matches = glob.glob(_NUMBER.sub("*", text))  # noqa: PTH207 - Path.glob takes no absolute pattern
        found = [Path(match) for match in matches if _fits(match, text)]
    shown = [path for path in found if not path.name.startswith(".")]
    if not shown:
        raise MediaError("no picture is in the folder" if folder.is_dir() else "no file matches the pattern")
    return sorted(shown, key=lambda path: natural_key(str(path)))


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sorting key by which ``face2`` stands before ``face10``."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts]


def _fits(match: str, pattern: str) -> bool:
    """Whether a file's numbers stand where the pattern says ``%d``."""
    if not Path(match).is_file():
        return False
    parts = [re.escape(part) for part in _NUMBER.split(pattern)]
    return _PATTERN.search(pattern) is not None or re.fullmatch(r"\d+".join(parts), match) is not None
