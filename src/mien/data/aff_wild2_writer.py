"""Answers for every frame of Aff-Wild2 in the form in which its challenges take them, and back.

``image_location,Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other``, then a line a frame: the picture,
counted from 1, and the number of the class, as ``video1/00001.jpg,4``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from mien.data.readers.text import at, lines
from mien.schema.errors import DatasetError
from mien.schema.labels import AFF_WILD2

HEADER = ",".join(("image_location", *(name.capitalize() for name in AFF_WILD2.names)))


def write_submission(path: Path, answers: Mapping[str, Sequence[str]]) -> Path:
    """Write the label of each frame of each video.

    Args:
        path: of the text file.
        answers: by name of the video the label of each frame, from the first on.

    Raises:
        DatasetError: if the file cannot be written or there is no video.
        ConfigError: if a label is none of Aff-Wild2.
    """
    if not answers:
        raise DatasetError(f"{path} is not written: there is no answer for any video.")
    rows = [
        f"{video}/{number:05d}.jpg,{AFF_WILD2.index(label)}"
        for video, labels in answers.items()
        for number, label in enumerate(labels, start=1)
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def read_submission(path: Path) -> dict[str, tuple[str, ...]]:
    """Inverse of :func:`write_submission`.

    Raises:
        DatasetError: if the file has another form, or leaves a frame out (names the line).
    """
    rows = lines(path)
    line, header = next(rows, (1, ""))
    if header != HEADER:
        raise at(path, line, f"the header is {HEADER}; found {header[:80]!r}")
    answers = defaultdict[str, list[str]](list)
    for line, text in rows:
        place, _, number = text.rpartition(",")
        video, _, name = place.rpartition("/")
        if not video or not number.isascii() or not number.isdigit() or int(number) >= len(AFF_WILD2):
            raise at(path, line, f"expected video/00001.jpg and a number below {len(AFF_WILD2)}; found {text[:80]!r}")
        wanted = f"{len(answers[video]) + 1:05d}.jpg"
        if name != wanted:
            raise at(path, line, f"the next frame of {video} is {wanted}; found {name[:40]!r}")
        answers[video].append(AFF_WILD2.names[int(number)])
    return {video: tuple(labels) for video, labels in answers.items()}
