"""Drawn pictures and annotated videos, in a folder below which folders that were given keep their structure."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from mien.schema.errors import ConfigError

if TYPE_CHECKING:
    from mien.media.video import Frame, FrameReader
    from mien.media.video_writer import VideoWriter
    from mien.predict.answer import Answer
    from mien.predict.draw import Rgb
    from mien.predict.sources import Picture, Video
    from mien.predict.watch import VideoOptions
    from mien.schema.labels import LabelSet

DRAWN_SUFFIXES = {".jpg": ".jpg", ".jpeg": ".jpg"}
LIVE_NAME = "live"


@dataclass(slots=True, kw_only=True)
class Drawing(AbstractContextManager["Drawing"]):
    """Writes what was found onto pictures and frames.

    Attributes:
        folder: where to; made if it is not there.
        labels: the classes.
        style: further arguments of ``draw_predictions``.
        options: how videos are read. Frames that come without their pixels are read once more.
        by_moments: whether answers are those of moments, each drawn on the frame that is shown then.
    """

    folder: Path
    labels: "LabelSet"
    style: dict[str, Any]
    options: "VideoOptions"
    by_moments: bool = False
    _taken: set[Path] = field(default_factory=set)
    _video: "tuple[Video, VideoWriter] | None" = None
    _again: "FrameReader | None" = None
    _shown: "Frame | None" = None

    def __post_init__(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--draw {str(self.folder)!r} cannot be a folder ({error.strerror})") from error

    def write(self, answer: "Answer") -> None:
        """Draw one answer; what could not be read is left out."""
        from mien.media.image import write_image
        from mien.predict.draw import draw_predictions
        from mien.predict.sources import Video

        if self._video is not None and answer.source is not self._video[0]:
            self._finish()
        is_frame = isinstance(answer.source, Video)
        image = self._frame(answer) if is_frame and answer.frame is not None else answer.image
        if image is None:
            return
        drawn = draw_predictions(image, list(answer.predictions), self.labels, is_frame=is_frame, **self.style)
        if is_frame:
            self._add(answer, drawn)
            return
        path = self._free(answer.source)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, drawn)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if self._video is not None and kind is not None:
            self._video[1].abort()
            self._video = None
        self._finish()

    def _add(self, answer: "Answer", drawn: "Rgb") -> None:
        """A frame of a video. The first moment lies behind the beginning, and its frame is shown from there on."""
        assert answer.time_s is not None
        is_first = self._video is None
        writer = self._writer(answer, drawn)
        if is_first and self.by_moments and answer.time_s > self.options.start_s:
            writer.write(drawn, self.options.start_s)
        writer.write(drawn, answer.time_s)

    def _frame(self, answer: "Answer") -> "Rgb | None":
        """The pixels of a frame: those that came with it, else read in step with the answers."""
        assert answer.frame is not None
        if answer.image is not None:
            return answer.image
        if self._again is None:
            self._again = self._open(cast("Video", answer.source))
        while self._shown is None or self._shown.number < answer.frame:
            frame = next(self._again, None)
            if frame is None:
                break
            self._shown = frame
        return None if self._shown is None else self._shown.image

    def _open(self, video: "Video") -> "FrameReader":
        """The frames that were read, or, of moments, all those that may be shown."""
        from mien.predict.grid import around

        return (around(video, self.options) if self.by_moments else self.options).open(video)

    def _writer(self, answer: "Answer", drawn: "Rgb") -> "VideoWriter":
        """The file of the video that is being read; all its frames have the size of the first."""
        from mien.media.video_writer import VideoWriter
        from mien.predict.sources import Video

        if self._video is None:
            video, info = answer.source, answer.info
            assert isinstance(video, Video) and info is not None
            writer = VideoWriter(
                self._free(video, ".mp4"),
                replace(info, width=drawn.shape[1], height=drawn.shape[0]),
                sound_from=video.content if isinstance(video.content, Path) else None,
                start_s=self.options.start_s,
                end_s=self.options.end_s,
            )
            self._video = video, writer
        return self._video[1]

    def _finish(self) -> None:
        if self._again is not None:
            self._again.close()
            self._again = self._shown = None
        if self._video is not None:
            _, writer = self._video
            self._video = None
            writer.close()

    def _free(self, source: "Picture | Video", suffix: str = "") -> Path:
        """A name that nothing else of this run has; JPEG stays JPEG, other pictures become PNG."""
        inside = source.inside or Path(source.name if not suffix else LIVE_NAME)
        path = self.folder / inside.with_suffix(suffix or DRAWN_SUFFIXES.get(inside.suffix.lower(), ".png"))
        number = 2
        while path in self._taken:
            path = path.with_stem(f"{inside.stem}_{number}")
            number += 1
        self._taken.add(path)
        return path
