"""Models that see clips, on videos: one answer a window of frames of one face, and one for the whole time of the face.

video ─ decode ─ follow ─ cut each face ─ windows of N frames ─ session ─ task.decode ─ rows with start_s and end_s
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mien.faces.track import TrackedFace, Tracker
from mien.media.clip import clip_indices
from mien.media.crop import cut, face_matrix, transform_points
from mien.media.tensors import clip_tensor, landmark_tensor
from mien.media.video import VideoInfo
from mien.predict.ahead import ahead
from mien.predict.answer import Answer
from mien.predict.judged import Task, rows_of_answers
from mien.predict.sources import UNHEARD, Picture, SoundFile, Video, sources
from mien.predict.watch import AHEAD_FRAMES, Seen, VideoOptions, watch
from mien.runtime.session import Session
from mien.schema.errors import MienError
from mien.schema.inputs import ClipSpec, LandmarkSpec
from mien.schema.labels import LabelSet
from mien.schema.prediction import Face, Prediction, Result

MAX_GAP_S = 0.5
"""A face that was away for longer begins a new window."""

MAX_KEPT = 256
"""So many frames of a face are kept for the answer to its whole time; beyond, the mean of its windows is the answer."""


@dataclass(frozen=True, slots=True)
class _Shot:
    """One face in one frame, cut out."""

    crop: NDArray[np.uint8]
    points: NDArray[np.float32] | None
    face: Face
    frame: int
    time_s: float


@dataclass(slots=True)
class _Time:
    """All that is remembered of one face: the window that grows, what it began with, and how many there were."""

    window: deque[_Shot]
    kept: list[_Shot] = field(default_factory=list)
    seen: int = 0
    since: int = 0
    windows: int = 0
    total: NDArray[np.float64] | None = None
    first_s: float = 0.0
    last_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Window:
    """Frames that wait for an answer."""

    face_id: int
    shots: tuple[_Shot, ...]
    is_whole: bool
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class ClipPredictor:
    """A loaded model that reads clips: call it with videos.

    Attributes:
        session: the network.
        task: turns its outputs into labels and probabilities.
        clip: how the network wants the frames.
        landmarks: how it wants the landmarks, if it does.
        model: what the column ``model`` says.
        make_tracker: makes what follows the faces of one video.
        batch_size: most windows in one run of the network.
    """

    session: Session
    task: Task
    clip: ClipSpec
    landmarks: LandmarkSpec | None
    model: str
    make_tracker: Callable[[VideoOptions], Tracker | None]
    batch_size: int = 8
    hears: ClassVar[bool] = False

    @property
    def labels(self) -> LabelSet:
        """The classes, in the order of the probabilities."""
        return self.task.labels

    def __call__(self, source: Any, *, keep_images: bool = False, video: VideoOptions | None = None) -> Result:
        """Read the expressions in videos.

        Args:
            source: paths, folders, patterns or cameras; pictures become rows that say that they are no clips.
            keep_images: is of no use here.
            video: how videos are read.

        Returns:
            One row a window (``frame`` is its first) and one for the whole time of each face (without ``frame``).
        """
        answers = self.stream(sources(source), keep_images=keep_images, video=video)
        rows = tuple(row for answer in answers for row in answer.predictions)
        return Result(labels=self.labels, model=self.model, predictions=rows)

    def stream(
        self, given: Iterable[Picture | Video], *, keep_images: bool = False, video: VideoOptions | None = None
    ) -> Iterator[Answer]:
        """Answers one by one: the windows of a video as they are complete, at its end the whole time of each face."""
        del keep_images
        for source in given:
            if isinstance(source, Picture):
                detail = source.problem or "It is a picture; this model reads clips. Give a video."
                yield _said(source, Prediction(source=source.name, status="error", detail=detail))
            elif isinstance(source, SoundFile):
                yield _said(source, Prediction(source=source.name, status="error", detail=UNHEARD))
            else:
                yield from self._watched(source, video or VideoOptions())

    def _watched(self, video: Video, options: VideoOptions) -> Iterator[Answer]:
        batch: list[_Window] = []
        times: dict[int, _Time] = {}
        info: VideoInfo | None = None
        problem = ""
        try:
            for seen in self._seen(video, options):
                info = seen.info
                for face in seen.faces:
                    batch += self._grown(times, face, seen)
                if len(batch) >= (1 if video.is_live else self.batch_size):
                    yield from self._answers(video, batch, times, info)
                    batch = []
        except MienError as error:
            problem = str(error)
        yield from self._answers(video, batch, times, info)
        yield from self._whole(video, times, info)
        if problem:
            yield _said(video, Prediction(source=video.name, status="error", detail=problem))
        elif not times:
            yield _said(video, Prediction(source=video.name, status="no_face", detail="No face was found."))

    def _seen(self, video: Video, options: VideoOptions) -> Iterator[Seen]:
        seen = watch(video, options, self.make_tracker(options))
        return seen if video.is_live else ahead(seen, AHEAD_FRAMES)

    def _grown(self, times: dict[int, _Time], face: TrackedFace, seen: Seen) -> list[_Window]:
        """Add a frame to the window of a face; the window, if it is complete and due."""
        shot = self._shot(face, seen)
        time = times.get(face.face_id)
        if time is None:
            time = times[face.face_id] = _Time(deque(maxlen=self.clip.n_frames), first_s=shot.time_s)
        elif shot.time_s - time.last_s > MAX_GAP_S:
            time.window.clear()
            time.since = 0
        time.window.append(shot)
        time.last_s = shot.time_s
        time.seen += 1
        if time.seen <= MAX_KEPT:
            time.kept.append(shot)
        elif time.kept:
            time.kept.clear()
        time.since += 1
        if len(time.window) < self.clip.n_frames or (time.since - self.clip.n_frames) % self.clip.stride:
            return []
        shots = tuple(time.window)
        return [_Window(face.face_id, shots, False, shots[0].time_s, shots[-1].time_s)]

    def _shot(self, face: TrackedFace, seen: Seen) -> _Shot:
        image = seen.frame.image
        matrix = face_matrix(face, image.shape, self.clip.image)
        known = None if face.landmarks is None else transform_points(face.landmarks, matrix).astype(np.float32)
        return _Shot(cut(image, matrix, self.clip.crop_px), known, face, seen.frame.number, seen.frame.time_s)

    def _whole(self, video: Video, times: dict[int, _Time], info: VideoInfo | None) -> Iterator[Answer]:
        """One answer for the whole time of each face."""
        short = {face_id: time for face_id, time in times.items() if time.kept}
        for face_id, time in times.items():
            if face_id in short:
                chosen = clip_indices(len(time.kept), self.clip.segments, self.clip.per_segment)
                shots = tuple(time.kept[i] for i in chosen.tolist())
                window = _Window(face_id, shots, True, time.first_s, time.last_s)
                yield from self._answers(video, [window], times, info)
            else:
                assert time.total is not None
                mean = (time.total / time.windows).astype(np.float32)
                (row,) = rows_of_answers(self.task.judge(mean[None]), self.task)
                detail = row.detail or f"Mean of {time.windows} windows."
                yield _said(
                    video,
                    replace(
                        row,
                        source=video.name,
                        face_id=face_id,
                        start_s=time.first_s,
                        end_s=time.last_s,
                        detail=detail,
                    ),
                    info,
                )

    def _answers(
        self, video: Video, batch: Sequence[_Window], times: dict[int, _Time], info: VideoInfo | None
    ) -> Iterator[Answer]:
        for start in range(0, len(batch), self.batch_size):
            part = batch[start : start + self.batch_size]
            answers = self.task.decode(self.session(**self._inputs(part)))
            for window, row in zip(part, rows_of_answers(answers, self.task), strict=True):
                time, middle = times[window.face_id], window.shots[len(window.shots) // 2]
                if not window.is_whole and row.probabilities is not None:
                    time.windows += 1
                    added = row.probabilities.astype(np.float64)
                    time.total = added if time.total is None else time.total + added
                placed = replace(
                    row,
                    source=video.name,
                    face_id=window.face_id,
                    face=None if window.is_whole else middle.face,
                    frame=None if window.is_whole else window.shots[0].frame,
                    start_s=window.start_s,
                    end_s=window.end_s,
                )
                yield _said(video, placed, info)

    def _inputs(self, windows: Sequence[_Window]) -> dict[str, NDArray[np.float32]]:
        clips = [clip_tensor([shot.crop for shot in window.shots], self.clip) for window in windows]
        inputs = {"clip": np.stack(clips)}
        if self.landmarks is not None:
            points = [landmark_tensor([shot.points for shot in one.shots], self.landmarks) for one in windows]
            inputs["landmarks"] = np.stack(points)
        return inputs


def _said(source: Picture | Video, row: Prediction, info: VideoInfo | None = None) -> Answer:
    return Answer(source=source, predictions=(row,), info=info)
