"""From pictures to predictions: read and find in threads, answer in batches, in the order that was given.

pictures ─ read ─ find ─ cut ─ tensors ─┐ a few threads, at most ``ahead`` pictures waiting
                                        ▼
             faces of several pictures in one batch ─ session ─ task.decode ─ rows
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.media.crop import cut, face_matrix
from mien.media.image import read_image
from mien.media.tensors import image_tensor
from mien.predict.sources import Picture, pictures
from mien.runtime.bundle import find_bundle
from mien.runtime.session import Precision, Session, open_session
from mien.schema.errors import BundleError, ConfigError, MienError
from mien.schema.inputs import ImageSpec
from mien.schema.labels import LabelSet
from mien.schema.prediction import Face, Prediction, Result
from mien.tasks import task_from_json

DEFAULT_MODEL = "product_cross_small"
DEFAULT_MIN_FACE_PX = 32
MAX_KEPT_BYTES = 256 << 20

Rgb = NDArray[np.uint8]


class Finder(Protocol):
    """Finds faces; called from several threads at once."""

    def find_faces(self, image: Rgb, /) -> list[Face]:
        """The faces of ``uint8 [H, W, 3]`` RGB, in a stable order."""


class Task(Protocol):
    """What a classification task offers."""

    labels: LabelSet
    min_score: float

    def decode(self, outputs: Mapping[str, NDArray[Any]], /) -> Any:
        """Probabilities, labels, scores and status of a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All rows of one picture.

    Attributes:
        picture: what was read.
        predictions: one a face; a single one if there is no face or the picture could not be read.
        image: the pixels, if asked for and readable.
    """

    picture: Picture
    predictions: tuple[Prediction, ...]
    image: Rgb | None = None


@dataclass(slots=True)
class _Looked:
    """A picture whose faces are cut out and wait for an answer."""

    picture: Picture
    image: Rgb | None = None
    faces: list[Face] = field(default_factory=list)
    tensors: list[NDArray[np.float32] | None] = field(default_factory=list)
    problem: str = ""


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
    """

    session: Session
    task: Task
    spec: ImageSpec
    model: str
    finder: Finder | None
    min_face_px: int = DEFAULT_MIN_FACE_PX
    batch_size: int = 32
    threads: int = field(default_factory=lambda: min((os.cpu_count() or 1) + 1, 8))

    @property
    def labels(self) -> LabelSet:
        """The classes, in the order of the probabilities."""
        return self.task.labels

    def __call__(self, source: Any, *, keep_images: bool = False) -> Result:
        """Read the expressions in pictures.

        Args:
            source: a path, folder, pattern, array ``uint8 [H, W, 3]`` RGB, PIL image, or a list of these.
            keep_images: keep the pixels of every picture in the result. Pixels that were given, not read from
                a file, are kept in any case.

        Returns:
            One row a face. What cannot be read, and pictures without a face, are rows with a ``status`` as well.

        Raises:
            ConfigError: if ``source`` is of a type that cannot be a picture.
        """
        predictions: list[Prediction] = []
        images: dict[str, Rgb] = {}
        for answer in self.stream(pictures(source), keep_images=keep_images):
            predictions += answer.predictions
            if answer.image is not None:
                images[answer.picture.name] = answer.image
        return Result(labels=self.labels, model=self.model, predictions=tuple(predictions), images=images)

    def stream(self, given: Iterable[Picture], *, keep_images: bool = False) -> Iterator[Answer]:
        """Answers one by one, in order, whatever the number of pictures: those of one batch are in memory.

        Args:
            given: the pictures.
            keep_images: hand out the pixels with each answer; pixels that were given are handed out in any case.
        """
        batch: list[_Looked] = []
        waiting = kept_bytes = 0
        for looked in self._look_ahead(given):
            if not keep_images and isinstance(looked.picture.content, Path):
                looked.image = None
            batch.append(looked)
            waiting += sum(tensor is not None for tensor in looked.tensors)
            kept_bytes += 0 if looked.image is None else looked.image.nbytes
            if max(waiting, len(batch)) >= self.batch_size or kept_bytes > MAX_KEPT_BYTES:
                yield from self._answer(batch)
                batch, waiting, kept_bytes = [], 0, 0
        yield from self._answer(batch)

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
            return _Looked(picture, image, faces, [self._tensor(image, face) for face in faces])
        except MienError as error:
            return _Looked(picture, problem=str(error))
        except Exception as error:  # noqa: BLE001 - one picture must not end a run over a million
            return _Looked(picture, problem=f"Unexpected {type(error).__name__}: {error}")

    def _tensor(self, image: Rgb, face: Face) -> NDArray[np.float32] | None:
        if self.finder is not None and _side_px(face) < self.min_face_px:
            return None
        matrix = face_matrix(face, image.shape[:2], self.spec)
        return image_tensor(cut(image, matrix, self.spec.crop_px), self.spec)

    def _answer(self, batch: list[_Looked]) -> Iterator[Answer]:
        decoded = self._decode([tensor for looked in batch for tensor in looked.tensors if tensor is not None])
        for looked in batch:
            if looked.problem:
                rows = [Prediction(source=looked.picture.name, status="error", detail=looked.problem)]
            elif not looked.faces:
                rows = [Prediction(source=looked.picture.name, status="no_face", detail="No face was found.")]
            else:
                found = zip(looked.faces, looked.tensors, strict=True)
                rows = [
                    replace(
                        self._too_small(face) if tensor is None else next(decoded),
                        source=looked.picture.name,
                        face_id=number,
                        face=face,
                    )
                    for number, (face, tensor) in enumerate(found)
                ]
            yield Answer(picture=looked.picture, predictions=tuple(rows), image=looked.image)

    def _decode(self, tensors: list[NDArray[np.float32]]) -> Iterator[Prediction]:
        """Predictions, still without source and face, of any number of faces."""
        for start in range(0, len(tensors), self.batch_size):
            answers = self.task.decode(self.session(image=np.stack(tensors[start : start + self.batch_size])))
            columns = zip(answers.label, answers.score.tolist(), answers.status, answers.probabilities, strict=True)
            for label, score, status, probabilities in columns:
                yield self._prediction(label, score, str(status), probabilities)

    def _prediction(
        self, label: str | None, score: float, status: str, probabilities: NDArray[np.float32]
    ) -> Prediction:
        if not np.isfinite(probabilities).all():
            return Prediction(source="", status="error", detail="The model answered with values that are not numbers.")
        if status == "ok":
            return Prediction(source="", label=label, score=score, probabilities=probabilities)
        detail = f"No expression reaches the threshold of {self.task.min_score:.0%}."
        return Prediction(source="", status="uncertain", detail=detail, probabilities=probabilities)

    def _too_small(self, face: Face) -> Prediction:
        detail = f"The face is {_side_px(face):.0f} pixels wide; the smallest that is read is {self.min_face_px}."
        return Prediction(source="", status="too_small", detail=detail)


def _whole(image: Rgb) -> Face:
    height, width = image.shape[:2]
    return Face(box=(0.0, 0.0, float(width), float(height)), score=1.0)


def _side_px(face: Face) -> float:
    x1, y1, x2, y2 = face.box
    return min(x2 - x1, y2 - y1)


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
        from mien.faces import FaceReader

        finder = FaceReader(min_face_px=min_face_px)
    return Predictor(
        session=open_session(bundle, runtime or _runtime_for(device), device, precision=precision),
        task=task if min_score is None else replace(task, min_score=min_score),
        spec=bundle.image_spec(),
        model=f"{bundle.name}@{bundle.hash12}",
        finder=finder,
        min_face_px=min_face_px,
        batch_size=batch_size,
        **({} if threads is None else {"threads": threads}),
    )


def predict(source: Any, model: str | Path = DEFAULT_MODEL, *, keep_images: bool = False, **options: Any) -> Result:
    """Read the expressions in pictures with a model that is loaded for this call alone.

    Args:
        source: as in :meth:`Predictor.__call__`.
        model: as ``name`` in :func:`load`.
        keep_images: keep the pixels of every picture in the result.
        options: the other arguments of :func:`load`.
    """
    return load(model, **options)(source, keep_images=keep_images)


def _runtime_for(device: str) -> str:
    return "torch" if device.split(":")[0].lower() in ("cuda", "mps", "xpu") else "openvino"
