"""From pictures and videos to predictions: read and find in threads, answer in batches, in the order that was given.

pictures ─ read ─ find ──────────────┐ a few threads, a bounded number of pictures ahead
videos ─ decode ─┆─ follow ──────────┤ one thread each, ``┆`` is a bounded queue
                                     ├─ cut ─ tensors ─┐
                                                       ▼
                 faces of several pictures or frames in one batch ─ session ─ task.decode ─ steady ─ rows
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mien.faces.quality import QualityLimits, judge, side_px
from mien.faces.reader import FaceReader
from mien.faces.track import TrackedFace, Tracker
from mien.media.crop import cut, face_matrix
from mien.media.image import read_image
from mien.media.tensors import image_tensor
from mien.media.video import VideoInfo
from mien.predict.ahead import ahead
from mien.predict.answer import Answer
from mien.predict.judged import Task, rows_of_answers
from mien.predict.sources import Picture, Video, sources
from mien.predict.steady import causally, centrally
from mien.predict.watch import AHEAD_FRAMES, Seen, VideoOptions, watch
from mien.runtime.bundle import find_bundle
from mien.runtime.session import Precision, Session, open_session
from mien.schema.errors import BundleError, ConfigError, MienError
from mien.schema.inputs import ImageSpec
from mien.schema.labels import LabelSet
from mien.schema.prediction import Face, Prediction, Result, Status
from mien.tasks import task_from_json

DEFAULT_MODEL = "product_cross_small"
DEFAULT_MIN_FACE_PX = 32
DEFAULT_QUALITY = QualityLimits()
MAX_KEPT_BYTES = 256 << 20

Rgb = NDArray[np.uint8]


class Finder(Protocol):
    """Finds faces; called from several threads at once."""

    def find_faces(self, image: Rgb, /) -> list[Face]:
        """The faces of ``uint8 [H, W, 3]`` RGB, in a stable order."""


@dataclass(slots=True)
class _Looked:
    """A picture or frame whose faces are cut out and wait for an answer; ``verdicts`` say which are fit to be read."""

    source: Picture | Video
    image: Rgb | None = None
    faces: Sequence[Face] = ()
    tensors: Sequence[NDArray[np.float32] | None] = ()
    verdicts: Sequence[tuple[Status, str]] = ()
    problem: str = ""
    frame: int | None = None
    time_s: float | None = None
    info: VideoInfo | None = None


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A loaded model: call it with pictures.

    Attributes:
        session: the network.
        task: turns its outputs into labels and probabilities.
        spec: how the network wants a face.
        model: what the column ``model`` says.
        finder: finds the faces; ``None`` takes each picture for one face, cut out already.
        min_face_px: faces whose box is smaller (shorter side) are reported as ``too_small`` and not answered.
        batch_size: most faces in one run of the network.
        threads: how many pictures are read and searched at once.
        quality: what a face in a video needs to be read; ``None`` reads every one that is large enough.
    """

    session: Session
    task: Task
    spec: ImageSpec
    model: str
    finder: Finder | None
    min_face_px: int = DEFAULT_MIN_FACE_PX
    batch_size: int = 32
    threads: int = field(default_factory=lambda: min((os.cpu_count() or 1) + 1, 8))
    quality: QualityLimits | None = field(default_factory=QualityLimits)

    @property
    def labels(self) -> LabelSet:
        """The classes, in the order of the probabilities."""
        return self.task.labels

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
        for answer in self.stream(sources(source), keep_images=keep_images, video=video):
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
                yield from self._watched(one, options, keep_images)

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

    def _answers(self, found: Iterable[_Looked], keep_images: bool, batch_size: int = 0) -> Iterator[Answer]:
        """Answers in batches of at most ``batch_size`` pictures or faces; 0 is the predictor's own."""
        size = batch_size or self.batch_size
        batch: list[_Looked] = []
        waiting = kept_bytes = 0
        for looked in found:
            if not keep_images and (isinstance(looked.source, Video) or isinstance(looked.source.content, Path)):
                looked.image = None
            batch.append(looked)
            waiting += sum(tensor is not None for tensor in looked.tensors)
            kept_bytes += 0 if looked.image is None else looked.image.nbytes
            if max(waiting, len(batch)) >= size or kept_bytes > MAX_KEPT_BYTES:
                yield from self._answer(batch)
                batch, waiting, kept_bytes = [], 0, 0
        yield from self._answer(batch)

    def _look_along(self, video: Video, options: VideoOptions) -> Iterator[_Looked]:
        """The frames of a video with their faces, made by a thread; what ends it early is its last row."""

        def looked() -> Iterator[_Looked]:
            for seen in watch(video, options, self._tracker(options)):
                yield self._frame(video, seen)

        try:
            yield from looked() if video.is_live else ahead(looked(), AHEAD_FRAMES)
        except MienError as error:
            yield _Looked(video, problem=str(error))

    def _tracker(self, options: VideoOptions) -> Tracker | None:
        if self.finder is None:
            return None
        if not isinstance(self.finder, FaceReader):
            raise ConfigError("Videos need a finder that gives meshes; leave out `finder`, or give None for face crops")
        return Tracker(self.finder, self.finder.mesh, detect_every_s=options.detect_every_s)

    def _frame(self, video: Video, seen: Seen) -> _Looked:
        image, faces = seen.frame.image, seen.faces
        limits = None if self.finder is None else self.quality
        return _Looked(
            video,
            image,
            faces,
            [self._tensor(image, face) for face in faces],
            [judge(image, face, limits) if limits else ("ok", "") for face in faces],
            frame=seen.frame.number,
            time_s=seen.frame.time_s,
            info=seen.info,
        )

    def _look_ahead(self, given: Iterable[Picture]) -> Iterator[_Looked]:
        """Read and search pictures in threads, a bounded number of them ahead of whoever takes the results."""
        queue: deque[Future[_Looked]] = deque()
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

    def _look(self, picture: Picture) -> _Looked:
        """Read one picture, find its faces and cut them out; whatever goes wrong becomes its row."""
        if picture.problem:
            return _Looked(picture, problem=picture.problem)
        try:
            image = read_image(picture.content)
            faces = [_whole(image)] if self.finder is None else self.finder.find_faces(image)
            tensors = [self._tensor(image, face) for face in faces]
            return _Looked(picture, image, faces, tensors, [("ok", "")] * len(faces))
        except MienError as error:
            return _Looked(picture, problem=str(error))
        except Exception as error:  # noqa: BLE001 - one picture must not end a run over a million
            return _Looked(picture, problem=f"Unexpected {type(error).__name__}: {error}")

    def _tensor(self, image: Rgb, face: Face) -> NDArray[np.float32] | None:
        if self.finder is not None and side_px(face) < self.min_face_px:
            return None
        matrix = face_matrix(face, image.shape[:2], self.spec)
        return image_tensor(cut(image, matrix, self.spec.crop_px), self.spec)

    def _answer(self, batch: list[_Looked]) -> Iterator[Answer]:
        decoded = self._decode([tensor for looked in batch for tensor in looked.tensors if tensor is not None])
        for looked in batch:
            if looked.problem:
                rows = [Prediction(source="", status="error", detail=looked.problem)]
            elif not looked.faces:
                rows = [Prediction(source="", status="no_face", detail="No face was found.")]
            else:
                found = zip(looked.faces, looked.tensors, looked.verdicts, strict=True)
                rows = [
                    replace(
                        self._too_small(face) if tensor is None else _kept_from(next(decoded), *verdict),
                        face_id=face.face_id if isinstance(face, TrackedFace) else number,
                        face=face,
                    )
                    for number, (face, tensor, verdict) in enumerate(found)
                ]
            name, frame, time_s = looked.source.name, looked.frame, looked.time_s
            yield Answer(
                source=looked.source,
                predictions=tuple(replace(row, source=name, frame=frame, time_s=time_s) for row in rows),
                image=looked.image,
                frame=looked.frame,
                time_s=looked.time_s,
                info=looked.info,
            )

    def _decode(self, tensors: list[NDArray[np.float32]]) -> Iterator[Prediction]:
        """Predictions, still without source and face, of any number of faces."""
        for start in range(0, len(tensors), self.batch_size):
            answers = self.task.decode(self.session(image=np.stack(tensors[start : start + self.batch_size])))
            yield from rows_of_answers(answers, self.task)

    def _too_small(self, face: Face) -> Prediction:
        detail = f"The face is {side_px(face):.0f} pixels wide; the smallest that is read is {self.min_face_px}."
        return Prediction(source="", status="too_small", detail=detail)


def _whole(image: Rgb) -> Face:
    height, width = image.shape[:2]
    return Face(box=(0.0, 0.0, float(width), float(height)), score=1.0)


def _kept_from(row: Prediction, status: Status, detail: str) -> Prediction:
    """The row without its label where the face is not fit to be read; probabilities stay."""
    return row if status == "ok" else replace(row, label=None, score=None, status=status, detail=detail)


def load(
    name: str | Path = DEFAULT_MODEL,
    *,
    device: str = "cpu",
    runtime: str | None = None,
    precision: Precision = "fp32",
    finder: Finder | Literal["default"] | None = "default",
    min_face_px: int = DEFAULT_MIN_FACE_PX,
    min_score: float | None = None,
    batch_size: int = 32,
    threads: int | None = None,
    quality: QualityLimits | None = DEFAULT_QUALITY,
) -> Predictor:
    """Load a trained model.

    Args:
        name: of a model that is installed, or the folder of a bundle.
        device: ``cpu``; ``cuda``, ``cuda:1`` or ``mps`` (through torch, extra ``train``); or a device of OpenVINO.
        runtime: ``openvino``, ``onnx`` or ``torch``; by default what fits the device.
        precision: ``bf16`` is faster where the processor has it and exact to about three digits.
        finder: finds the faces; ``None`` takes each picture for one face that is cut out already.
        min_face_px: smallest face that is looked for and read, by the shorter side of its box.
        min_score: abstain (``uncertain``) below this probability; by default the model's own threshold.
        batch_size: most faces in one run of the network.
        threads: how many pictures are read and searched at once; by default one more than cores, at most 8.
        quality: what a face in a video needs to be read; ``None`` reads every one that is large enough.

    Raises:
        BundleError: if there is no such model, it is damaged, or it does not answer with labels.
        ConfigError: if a setting, or the device, cannot be used.
    """
    for setting, value in (("min_face_px", min_face_px), ("batch_size", batch_size), ("threads", threads or 1)):
        if value < 1:
            raise ConfigError(f"{setting} is at least 1; given: {value}")
    bundle = find_bundle(name)
    if bundle.labels is None or set(bundle.inputs) != {"image"}:
        raise BundleError(
            f"{bundle.name!r} answers the task {bundle.task.get('name')!r} from {', '.join(bundle.inputs)}; "
            "prediction needs a model that gives a face image a label. `mien models list` shows what each one does."
        )
    task = task_from_json(bundle.task, bundle.labels)
    if isinstance(finder, str):
        finder = FaceReader(min_face_px=min_face_px)
    return Predictor(
        session=open_session(bundle, runtime or runtime_for(device), device, precision=precision),
        task=task if min_score is None else replace(task, min_score=min_score),
        spec=bundle.image_spec(),
        model=f"{bundle.name}@{bundle.hash12}",
        finder=finder,
        min_face_px=min_face_px,
        batch_size=batch_size,
        quality=quality,
        **({} if threads is None else {"threads": threads}),
    )


def runtime_for(device: str) -> str:
    """The runtime that fits a device."""
    return "torch" if device.split(":")[0].lower() in ("cuda", "mps", "xpu") else "openvino"
