"""The face of a video that features are made of: the largest one, followed over time."""

from collections.abc import Iterable, Iterator, Sequence

from mien.faces.track import TrackedFace, Tracker
from mien.predict.encode import Shown
from mien.predict.grid import is_paced
from mien.predict.sources import Video
from mien.predict.watch import Seen, VideoOptions, watch
from mien.schema.prediction import Face

FOLLOW_FPS = 10
"""So many frames a second are looked at; of each step the nearest one is read."""

STEADY = 2.0
"""The face that is followed gives way to one whose area is larger by this factor."""


def watch_main(
    video: Video, tracker: Tracker | None, start_s: float = 0.0, end_s: float | None = None
) -> Iterator[Shown]:
    """The frames of a video, or of a stretch of it, with its main face; seconds count from the start of the stretch.

    Args:
        video: what is watched.
        tracker: follows faces; ``None`` takes each frame for one face that is cut out already.
        start_s: where the stretch begins.
        end_s: where it ends; ``None`` is the end of the video.

    Raises:
        MediaError: if the video cannot be read; where it breaks off, after all that came.
    """
    fps = None if is_paced(video) else FOLLOW_FPS
    options = VideoOptions(fps=fps, start_s=start_s, end_s=end_s)
    return main_faces(watch(video, options, tracker), start_s)


def main_faces(seen: Iterable[Seen], start_s: float = 0.0) -> Iterator[Shown]:
    """Each frame with its main face."""
    followed: int | None = None
    for one in seen:
        face = _main(one.faces, followed)
        followed = followed if face is None else face.face_id
        yield Shown(one.frame.time_s - start_s, one.frame.image, face, one.frame.number, len(one.faces))


def largest(faces: Sequence[Face]) -> Face | None:
    """Of the faces of a picture the one with the largest box; ``None`` if there is none."""
    return max(faces, key=_area, default=None)


def _main(faces: Sequence[TrackedFace], followed: int | None) -> TrackedFace | None:
    return max(faces, key=lambda face: _area(face) * (STEADY if face.face_id == followed else 1.0), default=None)


def _area(face: Face) -> float:
    x1, y1, x2, y2 = face.box
    return max(0.0, x2 - x1) * max(0.0, y2 - y1)
