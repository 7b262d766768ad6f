"""Models of face and voice: one answer a face and moment, from what is seen and heard around it.

video ─ decode ─ follow ─ cut ─ gallery ─┐
                                         ├─ moments ─ clip, sound, flags ─ session ─ task.decode ─ steady ─ rows
sound ─ decode ─ stretches ─ log-mel ────┘

Where one of the two is not there, the other one answers alone. Nobody is told apart by the voice: of several faces each
is answered with the same one, and the rows say so.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mien.faces.quality import QualityLimits, judge, side_px
from mien.faces.track import Tracker
from mien.media.crop import cut, face_matrix
from mien.media.tensors import clip_tensor
from mien.predict.answer import Answer
from mien.predict.flow import Flow, Looked, too_small
from mien.predict.gallery import Present, Rgb, Shot
from mien.predict.grid import around, grid_of
from mien.predict.judged import rows_of_answers
from mien.predict.listener import Listener, is_sound_alone
from mien.predict.pipeline import DEFAULT_MIN_FACE_PX, Finder
from mien.predict.shares import based, completed
from mien.predict.sources import Picture, Video
from mien.predict.walk import Look, Walk
from mien.predict.watch import VideoOptions, watch
from mien.schema.errors import ConfigError, MediaError
from mien.schema.inputs import ClipSpec, SoundSpec
from mien.schema.prediction import Face, Prediction, Status

UNSEEN = "It is a picture, and this model listens to voices. Give a video or a file of sound."
MUTE = Prediction(source="", status="no_face", detail="There is no sound, or none in the part that is read.")

_NOTHING = {
    (True, True): "No face was found, and nothing is heard.",
    (True, False): "No face was found.",
    (False, True): "Nothing is heard.",
}
"""By whether a model reads faces, and voices."""

Asked = tuple[tuple[Rgb, ...], NDArray[np.float32] | None]
"""Frames of a face, or none, and the sound, if any is heard."""


@dataclass(slots=True)
class _Around(Looked):
    """A moment of a video, or a picture, with what is seen and heard around it."""

    start_s: float | None = None
    end_s: float | None = None
    faces: tuple[Present, ...] = ()
    sound: NDArray[np.float32] | None = None
    is_mute: bool = False

    @property
    def asked(self) -> list[Asked]:
        """What is put to the network: each face that is fit to be read; without any the voice alone."""
        faces: list[Asked] = [(face.crops, self.sound) for face in self.faces if face.crops]
        return faces or ([] if self.sound is None else [((), self.sound)])

    @property
    def waiting(self) -> int:
        return len(self.asked)


@dataclass(frozen=True, kw_only=True)
class MomentPredictor(Flow):
    """A loaded model that answers for moments: call it with videos and sounds, or with pictures if it reads faces.

    Attributes:
        clip: how the network wants the frames; ``None`` if it only listens.
        sound: how it wants the sound; ``None`` if it is deaf.
        window_s: seconds around a moment on which its answer rests.
        make_tracker: makes what follows the faces of one video.
        finder: finds the faces of pictures; ``None`` takes each picture for one face, cut out already.
        min_face_px: faces whose box is smaller (shorter side) are reported as ``too_small`` and not read.
        quality: what a face in a video needs to be read; ``None`` reads every one that is large enough.
    """

    clip: ClipSpec | None
    sound: SoundSpec | None
    window_s: float
    make_tracker: Callable[[VideoOptions], Tracker | None]
    finder: Finder | None
    min_face_px: int = DEFAULT_MIN_FACE_PX
    quality: QualityLimits | None = field(default_factory=QualityLimits)

    @property
    def hears(self) -> bool:
        return self.sound is not None

    def stream(
        self, given: Iterable[Picture | Video], *, keep_images: bool = False, video: VideoOptions | None = None
    ) -> Iterator[Answer]:
        """As :meth:`Flow.stream`. Frames of videos come without their pixels: those of a window would wait."""
        for answer in super().stream(given, keep_images=keep_images, video=video):
            yield replace(answer, predictions=completed(answer.predictions))

    def _look_at(self, picture: Picture, image: Rgb) -> Looked:
        if self.clip is None:
            raise ConfigError(UNSEEN)
        whole = Face(box=(0.0, 0.0, float(image.shape[1]), float(image.shape[0])), score=1.0)
        faces = [whole] if self.finder is None else self.finder.find_faces(image)
        shots = [self._shot(image, face, 0, 0.0, None) for face in faces]
        times = self.clip.n_frames
        found = (Present(face_id=n, shot=shot, crops=_repeated(shot.crop, times)) for n, shot in enumerate(shots))
        return _Around(picture, image, faces=tuple(found))

    def _frames(self, video: Video, options: VideoOptions) -> Iterator[Looked]:
        listener = None if self.sound is None else Listener(video.content, self.sound)
        walk = Walk(grid_of(video, options, self.window_s), listener, self._offsets_s)
        is_empty = True
        for one in walk.moments(self._looks(video, options)):
            is_empty = False
            yield _Around(
                video, frame=one.frame, time_s=one.time_s, info=one.info, start_s=one.start_s, end_s=one.end_s,
                faces=one.faces, sound=one.sound,
            )  # fmt: skip
        if walk.problem:
            raise MediaError(walk.problem)
        if is_empty:
            yield _Around(video, is_mute=True)

    @property
    def _offsets_s(self) -> list[float]:
        """From a moment to the centres of equal parts of its window, one for each frame."""
        parts = 0 if self.clip is None else self.clip.n_frames
        return [((number + 0.5) / parts - 0.5) * self.window_s for number in range(parts)]

    def _looks(self, video: Video, options: VideoOptions) -> Iterator[Look]:
        """The frames of a video with its faces; none of a sound, and where only the voice is read."""
        if self.clip is None or (self.hears and is_sound_alone(video)):
            return
        for seen in watch(video, around(video, options, self.window_s), self.make_tracker(options)):
            frame = seen.frame
            yield (
                seen,
                {
                    face.face_id: self._shot(frame.image, face, frame.number, frame.time_s, self.quality)
                    for face in seen.faces
                },
            )

    def _shot(self, image: Rgb, face: Face, number: int, time_s: float, limits: QualityLimits | None) -> Shot:
        assert self.clip is not None
        status, detail = self._verdict(image, face, limits)
        crop = None
        if status == "ok":
            crop = cut(image, face_matrix(face, image.shape[:2], self.clip.image), self.clip.crop_px)
        return Shot(face=face, frame=number, time_s=time_s, crop=crop, status=status, detail=detail)

    def _verdict(self, image: Rgb, face: Face, limits: QualityLimits | None) -> tuple[Status, str]:
        if self.finder is None:
            return "ok", ""
        if side_px(face) < self.min_face_px:
            small = too_small(face, self.min_face_px)
            return small.status, small.detail
        return judge(image, face, limits) if limits else ("ok", "")

    def _rows(self, batch: Sequence[Looked]) -> Iterator[list[Prediction]]:
        moments = [looked for looked in batch if isinstance(looked, _Around)]
        assert len(moments) == len(batch), batch
        answers = self._answered([asked for moment in moments for asked in moment.asked])
        for moment in moments:
            rows = list(self._rows_of(moment, answers)) or [MUTE if moment.is_mute else self._nothing()]
            yield [replace(row, start_s=moment.start_s, end_s=moment.end_s) for row in rows]

    def _rows_of(self, moment: _Around, answers: Iterator[Prediction]) -> Iterator[Prediction]:
        for face in moment.faces:
            row = Prediction(source="", status=face.shot.status, detail=face.shot.detail)
            yield replace(next(answers) if face.crops else row, face_id=face.face_id, face=face.shot.face)
        if moment.sound is not None and not any(face.crops for face in moment.faces):
            yield next(answers)

    def _nothing(self) -> Prediction:
        detail = _NOTHING[self.clip is not None, self.sound is not None]
        return Prediction(source="", status="no_face", detail=detail)

    def _answered(self, asked: Sequence[Asked]) -> Iterator[Prediction]:
        """Predictions, still without source, face and time."""
        for start in range(0, len(asked), self.batch_size):
            part = asked[start : start + self.batch_size]
            outputs = self.session(**self._inputs(part))
            shares = np.asarray(outputs.get("voice_share", np.full(len(part), np.nan))).tolist()
            rows = rows_of_answers(self.task.decode(outputs), self.task)
            for (crops, sound), row, share in zip(part, rows, shares, strict=True):
                yield based(row, is_seen=bool(crops), is_heard=sound is not None, voice_share=share)

    def _inputs(self, asked: Sequence[Asked]) -> dict[str, NDArray[np.float32]]:
        inputs: dict[str, NDArray[np.float32]] = {}
        if self.clip is not None:
            nothing = np.zeros(self.clip.shape, np.float32)
            inputs["clip"] = np.stack([clip_tensor(crops, self.clip) if crops else nothing for crops, _ in asked])
        if self.sound is not None:
            nothing = np.zeros(self.sound.shape, np.float32)
            inputs["sound"] = np.stack([nothing if sound is None else sound for _, sound in asked])
        if self.clip is not None and self.sound is not None:
            inputs["has_sound"] = np.array([sound is not None for _, sound in asked], np.float32)
            inputs["has_face"] = np.array([bool(crops) for crops, _ in asked], np.float32)
        return inputs


def _repeated(crop: Rgb | None, times: int) -> tuple[Rgb, ...]:
    return () if crop is None else (crop,) * times
