"""What predictors of pictures do alike: look in threads, answer in batches, in the order that was given."""

import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mien.faces.quality import side_px
from mien.media.image import read_image
from mien.media.video import VideoInfo
from mien.predict.ahead import ahead
from mien.predict.answer import Answer
from mien.predict.judged import Task
from mien.predict.sources import UNHEARD, Picture, SoundFile, Video, sources
from mien.predict.steady import causally, centrally
from mien.predict.watch import AHEAD_FRAMES, VideoOptions
from mien.runtime.session import Session
from mien.schema.errors import MienError
from mien.schema.labels import LabelSet
from mien.schema.prediction import Face, Prediction, Result, Status

MAX_KEPT_BYTES = 256 << 20
NO_FACE = Prediction(source="", status="no_face", detail="No face was found.")

Rgb = NDArray[np.uint8]


@dataclass(slots=True)
class Looked:
    """A picture or frame that waits for an answer, or the problem with it."""

    source: Picture | Video
    image: Rgb | None = None
    problem: str = ""
    frame: int | None = None
    time_s: float | None = None
    info: VideoInfo | None = None

    @property
    def waiting(self) -> int:
        """How many inputs of the network it has."""
        return 0


@dataclass(frozen=True, kw_only=True)
class Flow(ABC):
    """A loaded model: call it with pictures and videos.

    Attributes:
        session: the network.
        task: turns its outputs into labels and probabilities.
        model: what the column ``model`` says.
        batch_size: most inputs in one run of the network.
        threads: how many pictures are read and looked at at once.
    """

    session: Session
    task: Task
    model: str
    batch_size: int = 32
    threads: int = field(default_factory=lambda: min((os.cpu_count() or 1) + 1, 8))

    @property
    def labels(self) -> LabelSet:
        """The classes, in the order of the probabilities."""
        return self.task.labels

    @property
    def hears(self) -> bool:
        """Whether it reads sound."""
        return False

    def __call__(self, source: Any, *, keep_images: bool = False, video: VideoOptions | None = None) -> Result:
        """Read the expressions in pictures and videos.

        Args:
            source: a path, folder, pattern, camera, array ``uint8 [H, W, 3]`` RGB, PIL image, or a list of these.
            keep_images: keep the pixels of every picture in the result. Pixels that were given, not read from
                a file, are kept in any case; those of videos never.
            video: how videos are read.

        Returns:
            One row a face and frame. What cannot be read, and pictures and frames without a face, are rows with a
            ``status`` as well.

        Raises:
            ConfigError: if ``source`` is of a type that cannot be a picture.
        """
        predictions: list[Prediction] = []
        images: dict[str, Rgb] = {}
        for answer in self.stream(sources(source, sounds=self.hears), keep_images=keep_images, video=video):
            predictions += answer.predictions
            if answer.image is not None and isinstance(answer.source, Picture):
                images[answer.source.name] = answer.image
        return Result(labels=self.labels, model=self.model, predictions=tuple(predictions), images=images)

    def stream(
        self, given: Iterable[Picture | Video], *, keep_images: bool = False, video: VideoOptions | None = None
    ) -> Iterator[Answer]:
        """Answers one by one, in order, whatever their number: those of one batch are in memory.

        Args:
            given: pictures and videos.
            keep_images: hand out the pixels with each answer; pixels that were given are handed out in any case, those
                of video files that are smoothed both ways never, since seconds of them would wait.
            video: how videos are read.
        """
        options = video or VideoOptions()
        for is_video, group in groupby(given, lambda source: isinstance(source, Video)):
            if not is_video:
                yield from self._answers(self._look_ahead(cast("Iterator[Picture]", group)), keep_images)
                continue
            for one in cast("Iterator[Video]", group):
                if isinstance(one, SoundFile) and not self.hears:
                    yield from self._answer([Looked(one, problem=UNHEARD)])
                else:
                    yield from self._watched(one, options, keep_images)

    @abstractmethod
    def _look_at(self, picture: Picture, image: Rgb) -> Looked:
        """Make ready what the network needs of a picture; called from several threads at once."""

    @abstractmethod
    def _frames(self, video: Video, options: VideoOptions) -> Iterator[Looked]:
        """The same of each frame of a video, in one thread."""

    @abstractmethod
    def _rows(self, batch: Sequence[Looked]) -> Iterator[list[Prediction]]:
        """The rows of each picture or frame of a batch, still without its name and time; at least one."""

    def _watched(self, video: Video, options: VideoOptions, keep_images: bool) -> Iterator[Answer]:
        """The answers of one video, smoothed as ``options`` say."""
        smoothing = options.smoothing_of(video)
        keep_images = keep_images and (video.is_live or smoothing != "centred")
        answers = self._answers(self._look_along(video, options), keep_images, batch_size=1 if video.is_live else 0)
        match smoothing:
            case "causal":
                return causally(answers, self.task)
            case "centred":
                return centrally(answers, self.task)
        return answers

    def _answers(self, found: Iterable[Looked], keep_images: bool, batch_size: int = 0) -> Iterator[Answer]:
        """Answers in batches of at most ``batch_size`` pictures or faces; 0 is the predictor's own."""
        size = batch_size or self.batch_size
        batch: list[Looked] = []
        waiting = kept_bytes = 0
        for looked in found:
            if not keep_images and (isinstance(looked.source, Video) or isinstance(looked.source.content, Path)):
                looked.image = None
            batch.append(looked)
            waiting += looked.waiting
            kept_bytes += 0 if looked.image is None else looked.image.nbytes
            if max(waiting, len(batch)) >= size or kept_bytes > MAX_KEPT_BYTES:
                yield from self._answer(batch)
                batch, waiting, kept_bytes = [], 0, 0
        yield from self._answer(batch)

    def _answer(self, batch: list[Looked]) -> Iterator[Answer]:
        answered = self._rows([looked for looked in batch if not looked.problem])
        for looked in batch:
            problem = Prediction(source="", status="error", detail=looked.problem)
            rows = [problem] if looked.problem else next(answered)
            name, frame, time_s = looked.source.name, looked.frame, looked.time_s
            yield Answer(
                source=looked.source,
                predictions=tuple(replace(row, source=name, frame=frame, time_s=time_s) for row in rows),
                image=looked.image,
                frame=looked.frame,
                time_s=looked.time_s,
                info=looked.info,
            )

    def _look_along(self, video: Video, options: VideoOptions) -> Iterator[Looked]:
        """The frames of a video, made ready by a thread; what ends it early is its last row."""
        frames = self._frames(video, options)
        try:
            yield from frames if video.is_live else ahead(frames, AHEAD_FRAMES)
        except MienError as error:
            yield Looked(video, problem=str(error))

    def _look_ahead(self, given: Iterable[Picture]) -> Iterator[Looked]:
        """Read and look at pictures in threads, a bounded number of them ahead of whoever takes the results."""
        queue: deque[Future[Looked]] = deque()
        source = iter(given)
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="mien")
        try:
            queue.extend(pool.submit(self._look, picture) for picture in islice(source, 2 * self.threads))
            while queue:
                looked = queue.popleft().result()
                queue.extend(pool.submit(self._look, picture) for picture in islice(source, 1))
                yield looked
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _look(self, picture: Picture) -> Looked:
        """Read one picture and look at it; whatever goes wrong becomes its row."""
        if picture.problem:
            return Looked(picture, problem=picture.problem)
        try:
            return self._look_at(picture, read_image(picture.content))
        except MienError as error:
            return Looked(picture, problem=str(error))
        except Exception as error:  # noqa: BLE001 - one picture must not end a run over a million
            return Looked(picture, problem=f"Unexpected {type(error).__name__}: {error}")


def too_small(face: Face, min_face_px: int) -> Prediction:
    """The row of a face that is smaller than what is read."""
    detail = f"The face is {side_px(face):.0f} pixels wide; the smallest that is read is {min_face_px}."
    return Prediction(source="", status="too_small", detail=detail)


def kept_from(row: Prediction, status: Status, detail: str) -> Prediction:
    """The row without its label where the face is not fit to be read; probabilities stay."""
    return row if status == "ok" else replace(row, label=None, score=None, status=status, detail=detail)
