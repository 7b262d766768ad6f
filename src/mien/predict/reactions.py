"""Models that tell how strongly somebody reacts, on clips: from what encoders see and hear at each step of a window.

video ─ decode ─ follow the largest face ─ encoder ─┐
                                                    ├─ steps ─ windows ─ session ─ task.decode ─ rows
sound ─ decode ─ stretches of minutes ─── encoder ──┘

A window is answered as a clip that consists of it alone would be. Each step is encoded once, and the steps of one
window are in memory, however long the clip is.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mien.faces.track import TrackedFace, Tracker
from mien.media.tensors import features_tensor
from mien.media.video import VideoInfo
from mien.predict.ahead import ahead
from mien.predict.answer import Answer, Sight
from mien.predict.encode import Encoder, FaceRows, Floats, Row, Shown, SoundRows, Steps, filled
from mien.predict.grid import is_paced
from mien.predict.listener import is_sound_alone
from mien.predict.main_face import FOLLOW_FPS, main_faces
from mien.predict.senses import Ear, hearing
from mien.predict.shares import MODALITIES
from mien.predict.slide import Window, slide
from mien.predict.sources import UNHEARD, Picture, SoundFile, Video, sources
from mien.predict.watch import AHEAD_FRAMES, Seen, VideoOptions, watch
from mien.runtime.session import Session
from mien.schema.errors import ConfigError, MediaError, MienError
from mien.schema.inputs import FeatureSpec
from mien.schema.labels import LabelSet
from mien.schema.prediction import Prediction, Result
from mien.schema.sample import Recording
from mien.tasks.regress import Regress

FACE, SOUND = "face_features", "sound_features"
"""Inputs of such networks; one of a single kind has one of them."""

UNMOVED = "It is a picture; this model reads clips. Give a video."
SEVERAL = "Several faces are seen; the answer is of the largest one, which is followed."

_NOTHING = {
    (True, True): "No face was found, and nothing is heard.",
    (True, False): "No face was found.",
    (False, True): "Nothing is heard.",
}
"""By whether a model reads faces, and voices."""


@dataclass(frozen=True, slots=True)
class Step:
    """What encoders saw and heard at one step."""

    face: Row
    sound: Row


@dataclass(frozen=True, kw_only=True)
class ReactionPredictor:
    """A loaded model of the intensity of reactions: call it with clips, or with sounds if it listens.

    Attributes:
        session: the network.
        task: turns its outputs into intensities.
        inputs: ``face_features``, ``sound_features`` or both, of as many and as long steps.
        encoders: what makes each input.
        model: what the column ``model`` says.
        make_tracker: makes what follows the faces of one video.
    """

    session: Session
    task: Regress
    inputs: Mapping[str, FeatureSpec]
    encoders: Mapping[str, Encoder]
    model: str
    make_tracker: Callable[[VideoOptions], Tracker | None]

    @property
    def labels(self) -> LabelSet:
        """The reactions, in the order of the intensities."""
        return self.task.labels

    @property
    def sees(self) -> bool:
        """Whether it reads faces."""
        return FACE in self.inputs

    @property
    def hears(self) -> bool:
        """Whether it reads sound."""
        return SOUND in self.inputs

    @property
    def window(self) -> FeatureSpec:
        """How many steps a window has, and how long they are."""
        return next(iter(self.inputs.values()))

    def __call__(self, source: Any, *, keep_images: bool = False, video: VideoOptions | None = None) -> Result:
        """Tell how strong each reaction is in clips.

        Args:
            source: paths, folders, patterns or cameras; pictures become rows that say that they are no clips.
            keep_images: is of no use here.
            video: how videos are read.

        Returns:
            One row a window. What cannot be read, and windows in which nothing is seen or heard, are rows with a
            ``status`` as well.

        Raises:
            ConfigError: if frames are chosen by ``every`` or ``fps``; those that are read are the ones of training.
        """
        answers = self.stream(sources(source, sounds=self.hears), keep_images=keep_images, video=video)
        rows = tuple(row for answer in answers for row in answer.predictions)
        return Result(labels=self.labels, model=self.model, predictions=rows, kind="intensities")

    def stream(
        self, given: Iterable[Picture | Video], *, keep_images: bool = False, video: VideoOptions | None = None
    ) -> Iterator[Answer]:
        """Answers one by one, each as soon as its window is over; with ``keep_images`` they say where the face was."""
        options = video or VideoOptions()
        for source in given:
            if isinstance(source, Picture):
                yield _said(source, _error(source.problem or UNMOVED))
            elif isinstance(source, SoundFile) and not self.hears:
                yield _said(source, _error(UNHEARD))
            else:
                _check(source, options)
                yield from self._watched(source, options, keep_images)

    def _watched(self, video: Video, options: VideoOptions, keep_images: bool) -> Iterator[Answer]:
        reading = _Reading(self, video, options)
        step_s = self.window.step_s
        every = max(1, round(options.window_every_s / step_s))
        problem, is_empty = "", True
        try:
            for window in slide(reading.steps(), self.window.n_steps, every, lambda: reading.end_s / step_s):
                row = self._row(window, reading.end_s if window.is_last else np.inf, options.start_s)
                yield _said(video, row, reading.info, reading.sights() if keep_images else ())
                is_empty = False
        except MienError as error:
            problem = str(error)
        problem = " ".join(filter(None, (reading.problem, problem)))
        if problem:
            yield _said(video, _error(problem), reading.info)
        elif is_empty:
            yield _said(video, self._nothing(), reading.info)

    def _row(self, window: Window[Step], end_s: float, origin_s: float) -> Prediction:
        """The answer to a window, still without its source; the clip ends at ``end_s`` of its own clock."""
        step_s = self.window.step_s
        first_s = window.first * step_s
        last_s = min(first_s + self.window.seconds, end_s)
        shown = window.steps[_step_at((last_s - first_s) / 2, len(window.steps), step_s)].face
        several = self.sees and any(step.face.n_faces > 1 for step in window.steps)
        answered = self._answered(window.steps)
        return replace(
            answered,
            detail=answered.detail or (SEVERAL if several else ""),
            frame=shown.frame,
            time_s=origin_s + (first_s + last_s) / 2,
            start_s=origin_s + first_s,
            end_s=origin_s + last_s,
            face=shown.face,
            face_id=shown.face.face_id if isinstance(shown.face, TrackedFace) else None,
        )

    def _answered(self, steps: tuple[Step, ...]) -> Prediction:
        """What the network says of the steps of a window; what was not there is zeros, as in training."""
        rows = {FACE: [step.face.feature for step in steps], SOUND: [step.sound.feature for step in steps]}
        there = {name: any(one is not None for one in rows[name]) for name in self.inputs}
        if not any(there.values()):
            return self._nothing()
        outputs = self.session(**{name: self._tensor(name, rows[name])[None] for name in self.inputs})
        (values,) = self.task.decode(outputs).values
        if not np.isfinite(values).all():
            return _error("The model answered with values that are not numbers.")
        modalities = MODALITIES[there.get(FACE, False), there.get(SOUND, False)]
        return Prediction(source="", intensities=values, modalities=modalities)

    def _tensor(self, name: str, rows: list[Floats | None]) -> Floats:
        spec = self.inputs[name]
        return features_tensor(filled(rows, spec.width, repeat=name == FACE), spec)

    def _nothing(self) -> Prediction:
        return Prediction(source="", status="no_face", detail=_NOTHING[self.sees, self.hears], modalities="")


class _Reading:
    """One walk through one source: its steps, and what becomes known of it on the way."""

    def __init__(self, predictor: ReactionPredictor, video: Video, options: VideoOptions) -> None:
        self._predictor, self._video, self._options = predictor, video, options
        self._steps = Steps(every_s=predictor.window.step_s)
        self._faces: FaceRows | None = None
        self._sounds: SoundRows | None = None
        self._sights: deque[Sight] = deque()
        self._unheard = ""
        self.info: VideoInfo | None = None

    @property
    def end_s(self) -> float:
        """Where the longer of pictures and sound ends, by the clock of the part that is read; known at the end."""
        return max((rows.end_s for rows in (self._faces, self._sounds) if rows is not None), default=0.0)

    @property
    def problem(self) -> str:
        """What is wrong with pictures and sound; complete after the last step."""
        found = [rows.problem for rows in (self._faces, self._sounds) if rows is not None]
        return " ".join(dict.fromkeys(filter(None, (*found, self._unheard))))

    def steps(self) -> Iterator[Step]:
        """All steps in order; where pictures or sound end early, nothing is there any more."""
        faces, sounds = self._look(), self._listen()
        while True:
            face, sound = next(faces, None), next(sounds, None)
            if face is None and sound is None:
                return
            yield Step(face or Row(), sound or Row())

    def sights(self) -> tuple[Sight, ...]:
        """Where the face was since this was last asked for."""
        return tuple(self._sights.popleft() for _ in range(len(self._sights)))

    def _look(self) -> Iterator[Row]:
        if not self._predictor.sees or (self._predictor.hears and is_sound_alone(self._video)):
            return
        self._faces = FaceRows(self._shown(), self._encoder(FACE), self._steps)
        yield from self._faces

    def _shown(self) -> Iterator[Shown]:
        frames = main_faces(self._seen(), self._options.start_s)
        for shown in frames if self._video.is_live else ahead(frames, AHEAD_FRAMES):
            box = None if shown.face is None else shown.face.box
            self._sights.append(Sight(self._options.start_s + shown.time_s, box))
            yield shown

    def _seen(self) -> Iterator[Seen]:
        fps = self._options.fps if is_paced(self._video) else FOLLOW_FPS
        options = replace(self._options, every=1, fps=fps)
        for seen in watch(self._video, options, self._predictor.make_tracker(options)):
            self.info = seen.info
            yield seen

    def _listen(self) -> Iterator[Row]:
        if not self._predictor.hears or self._video.is_live:
            return
        encoder = self._encoder(SOUND)
        ear, start_s = encoder.sense, self._options.start_s
        assert isinstance(ear, Ear), encoder.modality
        voice = Recording(self._video.content, start_s, self._options.end_s)
        self._sounds = SoundRows(hearing(voice, ear, start_s), encoder, self._steps)
        try:
            yield from self._sounds
        except MediaError as error:
            self._unheard = str(error)

    def _encoder(self, name: str) -> Encoder:
        """That of an input; of a camera each step is encoded at once."""
        encoder = self._predictor.encoders[name]
        return replace(encoder, batch_size=1) if self._video.is_live else encoder


def _check(video: Video, options: VideoOptions) -> None:
    if options.every != 1 or (options.fps is not None and not is_paced(video)):
        raise ConfigError(
            f"Faces are followed {FOLLOW_FPS} times a second, as in training; leave out `every` and `fps`. "
            "`window_every_s` (--every) says how many seconds lie between two answers"
        )


def _step_at(time_s: float, count: int, step_s: float) -> int:
    """The step of a window that is nearest to a second of it."""
    return min(max(round((time_s - Steps().centre_s(0)) / step_s), 0), count - 1)


def _error(detail: str) -> Prediction:
    return Prediction(source="", status="error", detail=detail)


def _said(
    source: Picture | Video, row: Prediction, info: VideoInfo | None = None, sights: tuple[Sight, ...] = ()
) -> Answer:
    named = replace(row, source=source.name, modalities=row.modalities or "")
    return Answer(source=source, predictions=(named,), info=info, sights=sights)
