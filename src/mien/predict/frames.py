"""Models that answer each frame of a window, on videos: one row a face and frame, as of models of single faces.

video ─ decode ─ follow ─ cut ─┆─ windows of each face ─ session ─ task.decode ─ frames in order ─ steady ─ rows

A frame leaves when all its faces are answered, so at the latest when their windows are over. Of each face the pixels
of one window are in memory, of the frames that wait only their rows.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mien.faces.quality import QualityLimits, judge, side_px
from mien.faces.track import Tracker
from mien.media.crop import cut, face_matrix
from mien.media.tensors import clip_tensor
from mien.predict.face_windows import FaceWindows, Shown, Window
from mien.predict.flow import NO_FACE, Flow, Looked, too_small
from mien.predict.judged import rows_of_answers
from mien.predict.pipeline import DEFAULT_MIN_FACE_PX, Finder
from mien.predict.sources import Picture, Video
from mien.predict.watch import VideoOptions, watch
from mien.schema.inputs import ClipSpec
from mien.schema.prediction import Face, Prediction

Rgb = NDArray[np.uint8]


@dataclass(slots=True)
class _Frame(Looked):
    """A frame of a video, or a picture, with its faces."""

    faces: Sequence[Shown] = ()

    @property
    def waiting(self) -> int:
        return sum(face.is_waiting for face in self.faces)


@dataclass(frozen=True, kw_only=True)
class FramePredictor(Flow):
    """A loaded model that answers each frame of a window: call it with videos, or with pictures.

    A picture is a window in which one frame is repeated, and so is what a window lacks at its end.

    Attributes:
        clip: how the network wants the frames of a window.
        make_tracker: makes what follows the faces of one video.
        finder: finds the faces of pictures; ``None`` takes each picture for one face, cut out already.
        min_face_px: faces whose box is smaller (shorter side) are reported as ``too_small`` and not answered.
        quality: what a face in a video needs to be read; ``None`` reads every one that is large enough.
    """

    clip: ClipSpec
    make_tracker: Callable[[VideoOptions], Tracker | None]
    finder: Finder | None
    min_face_px: int = DEFAULT_MIN_FACE_PX
    quality: QualityLimits | None = field(default_factory=QualityLimits)

    def _look_at(self, picture: Picture, image: Rgb) -> Looked:
        whole = Face(box=(0.0, 0.0, float(image.shape[1]), float(image.shape[0])), score=1.0)
        faces = [whole] if self.finder is None else self.finder.find_faces(image)
        return _Frame(picture, image, faces=[self._shown(image, face, n, None) for n, face in enumerate(faces)])

    def _frames(self, video: Video, options: VideoOptions) -> Iterator[Looked]:
        """The frames without their pixels, since those of a window would wait."""
        limits = None if self.finder is None else self.quality
        for seen in watch(video, options, self.make_tracker(options)):
            frame = seen.frame
            faces = [self._shown(frame.image, face, face.face_id, limits) for face in seen.faces]
            yield _Frame(video, frame=frame.number, time_s=frame.time_s, info=seen.info, faces=faces)

    def _look_along(self, video: Video, options: VideoOptions) -> Iterator[Looked]:
        """The frames of a video in order, answered."""
        windows, waiting = FaceWindows(self.clip.n_frames), deque[Looked]()
        for looked in super()._look_along(video, options):
            waiting.append(looked)
            if isinstance(looked, _Frame):
                assert looked.time_s is not None, "pictures have no time"
                self._tell(windows.add(looked.faces, looked.time_s))
            while waiting and not waiting[0].waiting:
                yield waiting.popleft()
        self._tell(windows.rest())
        yield from waiting

    def _shown(self, image: Rgb, face: Face, face_id: int, limits: QualityLimits | None) -> Shown:
        if self.finder is not None and side_px(face) < self.min_face_px:
            small = too_small(face, self.min_face_px)
            return Shown(face_id=face_id, face=face, crop=None, status=small.status, detail=small.detail)
        status, detail = judge(image, face, limits) if limits else ("ok", "")
        crop = cut(image, face_matrix(face, image.shape, self.clip.image), self.clip.crop_px)
        return Shown(face_id=face_id, face=face, crop=crop, status=status, detail=detail)

    def _rows(self, batch: Sequence[Looked]) -> Iterator[list[Prediction]]:
        frames = [looked for looked in batch if isinstance(looked, _Frame)]
        assert len(frames) == len(batch), batch
        self._tell([[face] for frame in frames for face in frame.faces if face.is_waiting])
        for frame in frames:
            yield [face.row() for face in frame.faces] or [NO_FACE]

    def _tell(self, windows: Sequence[Window]) -> None:
        """Answer all frames of some windows."""
        for start in range(0, len(windows), self.batch_size):
            part = windows[start : start + self.batch_size]
            outputs = self.session(clip=np.stack([self._tensor(window) for window in part]))
            rows = rows_of_answers(self.task.decode(outputs), self.task)
            for window in part:
                for face, row in zip(window, list(islice(rows, self.clip.n_frames)), strict=False):
                    face.take(row)

    def _tensor(self, window: Window) -> NDArray[np.float32]:
        """The input of the network: a frame without a crop is a copy of the nearest one, so of the last."""
        crops = [face.crop for face in window]
        return clip_tensor([*crops, *[None] * (self.clip.n_frames - len(crops))], self.clip)
