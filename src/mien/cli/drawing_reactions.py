"""Charts and annotated videos of intensities, in a folder below which folders that were given keep their structure."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

import numpy as np

from mien.schema.errors import ConfigError, MediaError

if TYPE_CHECKING:
    from mien.media.video import Frame, VideoInfo
    from mien.media.video_writer import VideoWriter
    from mien.predict.answer import Answer, Sight
    from mien.predict.draw import Rgb
    from mien.predict.sources import Picture, Video
    from mien.predict.watch import VideoOptions
    from mien.schema.labels import LabelSet
    from mien.schema.prediction import Prediction
    from mien.schema.sample import Box

SIGHT_S = 0.35
"""Between two looks at a face that lie further apart its place is not known."""

SAME_S = 0.005
"""A frame that is so near to a look is the one that was looked at."""

FACE_SIDE_PX = 176
SOUND_BARS = 260


@dataclass(slots=True)
class _Told:
    """All that was said of one source."""

    source: "Picture | Video"
    rows: list["Prediction"] = field(default_factory=list)
    sights: list["Sight"] = field(default_factory=list)
    info: "VideoInfo | None" = None


@dataclass(slots=True, kw_only=True)
class ReactionDrawing(AbstractContextManager["ReactionDrawing"]):
    """Writes a chart of each clip, and the clip with its intensities beside it; clips are read once more for this.

    Attributes:
        folder: where to; made if it is not there.
        labels: the reactions.
        model: what made the answers.
        options: how videos are read.
        hears: whether the model reads sound.
    """

    folder: Path
    labels: "LabelSet"
    model: str
    options: "VideoOptions"
    hears: bool = True
    _taken: set[Path] = field(default_factory=set)
    _told: _Told | None = None

    def __post_init__(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--draw {str(self.folder)!r} cannot be a folder ({error.strerror})") from error

    def write(self, answer: "Answer") -> None:
        """Take an answer; a clip is drawn when the next source begins."""
        if self._told is None or answer.source is not self._told.source:
            self._finish()
            self._told = _Told(answer.source)
        self._told.rows += [row for row in answer.predictions if row.start_s is not None]
        self._told.sights += answer.sights
        self._told.info = answer.info or self._told.info

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if kind is None:
            self._finish()

    def _finish(self) -> None:
        """Draw what was told of a source; what could not be read is left out."""
        told, self._told = self._told, None
        if told is None or not told.rows:
            return
        from mien.media.image import write_image
        from mien.predict.chart import Clip, chart
        from mien.predict.loudness import loudness

        video = cast("Video", told.source)
        path = self._free(video)
        path.parent.mkdir(parents=True, exist_ok=True)
        start_s, end_s = told.rows[0].start_s or 0.0, max(row.end_s or 0.0 for row in told.rows)
        faces = self._filmed(told, path, start_s, end_s) if told.info is not None else []
        loud = loudness(video.content, start_s, end_s, SOUND_BARS) if self.hears else None
        clip = Clip(
            title=Path(video.name).name, start_s=start_s, end_s=end_s, faces=faces, loudness=loud, hears=self.hears
        )
        write_image(path.with_suffix(".png"), chart(told.rows, self.labels, self.model, clip))

    def _filmed(self, told: _Told, path: Path, start_s: float, end_s: float) -> "list[Rgb | None]":
        """Write the annotated video; the faces at equal distances for the chart."""
        from mien.predict.chart import slots
        from mien.predict.gauges import draw_gauges

        places = _Places(told.sights)
        thumbs = _Thumbnails(slots(self.labels), start_s, end_s)
        writer: VideoWriter | None = None
        try:
            for frame in self._frames(told):
                box = places.at(frame.time_s)
                thumbs.see(frame, box)
                drawn = draw_gauges(frame.image, told.rows, frame.time_s, self.labels, box)
                writer = writer or self._writer(told, path, drawn)
                writer.write(drawn, frame.time_s)
            if writer is not None:
                writer.close()
        finally:
            if writer is not None:
                writer.abort()
        return thumbs.faces

    def _frames(self, told: _Told) -> "Iterator[Frame]":
        """All frames of the part that is read; as far as they go."""
        from mien.predict.ahead import ahead
        from mien.predict.grid import is_paced
        from mien.predict.watch import AHEAD_FRAMES

        video = cast("Video", told.source)
        options = replace(self.options, every=1, fps=self.options.fps if is_paced(video) else None)
        with suppress(MediaError), options.open(video) as reader:
            yield from ahead(reader, AHEAD_FRAMES)

    def _writer(self, told: _Told, path: Path, drawn: "Rgb") -> "VideoWriter":
        from mien.media.video_writer import VideoWriter

        assert told.info is not None
        content = cast("Video", told.source).content
        return VideoWriter(
            path.with_suffix(".mp4"),
            replace(told.info, width=drawn.shape[1], height=drawn.shape[0]),
            sound_from=content if isinstance(content, Path) else None,
            start_s=self.options.start_s,
            end_s=self.options.end_s,
        )

    def _free(self, source: "Picture | Video") -> Path:
        """A name without suffix that nothing else of this run has."""
        inside = source.inside or Path(source.name)
        path = self.folder / inside.with_suffix(".png")
        number = 2
        while path in self._taken:
            path = path.with_stem(f"{inside.stem}_{number}")
            number += 1
        self._taken.add(path)
        return path


class _Places:
    """Where the face was at any time, between the looks at it.

    Args:
        sights: in order of time.
    """

    def __init__(self, sights: "Sequence[Sight]") -> None:
        self._boxes = [sight.box for sight in sights]
        self._times = np.array([sight.time_s for sight in sights], np.float64)

    def at(self, time_s: float) -> "Box | None":
        """Its box, ``None`` beside a look that did not see it; where another face took its place, the nearer one's."""
        after = int(np.searchsorted(self._times, time_s))
        known = [number for number in (after - 1, after) if 0 <= number < len(self._boxes)]
        near = [number for number in known if abs(self._times[number] - time_s) <= SIGHT_S]
        if not near:
            return None
        nearest = min(near, key=lambda number: abs(self._times[number] - time_s))
        boxes = [self._boxes[number] for number in near]
        if len(near) < 2 or abs(self._times[nearest] - time_s) <= SAME_S:
            return self._boxes[nearest]
        if boxes[0] is None or boxes[1] is None:
            return None
        if not _touch(boxes[0], boxes[1]):
            return self._boxes[nearest]
        share = (time_s - self._times[near[0]]) / max(self._times[near[1]] - self._times[near[0]], 1e-9)
        x1, y1, x2, y2 = (np.array(boxes[0]) + share * (np.array(boxes[1]) - np.array(boxes[0]))).tolist()
        return x1, y1, x2, y2


class _Thumbnails:
    """The face in the middle of equal parts of a clip."""

    def __init__(self, count: int, start_s: float, end_s: float) -> None:
        self.faces: list[Rgb | None] = [None] * count
        part_s = (end_s - start_s) / count
        self._times = [start_s + (number + 0.5) * part_s for number in range(count)]
        self._reach_s = part_s / 2
        self._next = 0

    def see(self, frame: "Frame", box: "Box | None") -> None:
        """The next frame. The first one of a part that is not before its middle and shows the face is taken."""
        while self._next < len(self._times) and frame.time_s > self._times[self._next] + self._reach_s:
            self._next += 1
        if self._next < len(self._times) and frame.time_s >= self._times[self._next] - 1e-6 and box is not None:
            self.faces[self._next] = _cut_out(frame.image, box)
            self._next += 1


def _cut_out(image: "Rgb", box: "Box") -> "Rgb":
    """The face and a little around it."""
    from mien.media.crop import box_matrix, cut

    x1, y1, x2, y2 = box
    half = 0.72 * max(x2 - x1, y2 - y1)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2 - 0.08 * (y2 - y1)
    return cut(image, box_matrix((x - half, y - half, x + half, y + half), FACE_SIDE_PX), FACE_SIDE_PX)


def _touch(one: "Box", other: "Box") -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
