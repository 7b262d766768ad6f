"""What is found and read in whole pictures with marked faces, by a detector or by a finder and a classifier.

Both go the way that a user's pictures go, so they stand in one table. A detector is run without its threshold: average
precision wants the unsure boxes too, and what a user would see is told by the threshold afterwards.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.coco_writer import Found
from mien.data.pictures import MarkedPicture, mark
from mien.data.splits import Labelled
from mien.media.image import read_source
from mien.metrics.detection import MAX_ANSWERS, PADDING, UNKNOWN, padded
from mien.predict.answer import Answer
from mien.predict.detector import DetectorPredictor
from mien.predict.flow import Flow
from mien.predict.loading import load
from mien.predict.sources import Picture
from mien.runtime.bundle import Bundle
from mien.runtime.session import Precision
from mien.schema.errors import ConfigError, DatasetError
from mien.schema.labels import LabelSet
from mien.schema.prediction import Prediction
from mien.schema.sample import File, Sample, Source

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPicture:
    """What was found in one picture, in its pixels; F faces, each once.

    Attributes:
        shape: height and width.
        boxes: ``float64 [F, 4]``.
        scores: of the boxes, ``float64 [F]``.
        class_scores: of box and class together, ``float64 [F, C]``; 0 where the face was not read.
        answers: class that a user is told, held back or not, ``int64 [F]``; ``UNKNOWN`` where it was not read.
        alignment: what each face was aligned by.
    """

    shape: tuple[int, int]
    boxes: Floats
    scores: Floats
    class_scores: Floats
    answers: NDArray[np.int64]
    alignment: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureColumns:
    """Truth and answers of N pictures as :mod:`mien.metrics.detection` takes them.

    Attributes:
        labels: the model's classes.
        settings: of the predictor, as far as they decide what a user gets.
        pictures: the marked faces.
        seen: what was found in each.
        truth: ``[N, M, 5]``; faces of the same pictures whose expression is not known, or which stand in another part,
            are ``UNKNOWN``.
        pairs: ``[N, K, 6]``, every box with every class, the best of each picture.
        faces: ``[N, F, 6]``, every box once, with the class that a user is told.
        shown: the same without the boxes below the threshold.
        seconds: how long all of it took.
    """

    labels: LabelSet
    settings: Mapping[str, Any]
    pictures: tuple[MarkedPicture, ...]
    seen: tuple[SeenPicture, ...]
    truth: Floats
    pairs: Floats
    faces: Floats
    shown: Floats
    seconds: float

    @property
    def alignment(self) -> dict[str, int]:
        """How many of the faces that are shown were aligned by what, the most frequent first."""
        counts: Counter[str] = Counter()
        for picture, rows in zip(self.seen, self.shown, strict=True):
            counts.update(picture.alignment[: int((rows[:, 5] != PADDING).sum())])
        return dict(counts.most_common())

    def found(self) -> list[Found]:
        """The pairs of each picture, for a results file of COCO."""
        kept = [rows[rows[:, 5] != PADDING] for rows in self.pairs]
        return [Found(boxes=rows[:, :4], scores=rows[:, 4], labels=rows[:, 5].astype(np.int64)) for rows in kept]


def measure_bundle(
    bundle: Bundle,
    samples: Sequence[Sample],
    truth: NDArray[np.int64],
    *,
    among: Iterable[Sample] = (),
    name: str = "openvino",
    device: str = "cpu",
    precision: Precision = "fp32",
    progress: bool = True,
) -> PictureColumns:
    """Load a model as it is used, a classifier with mien's finder, and measure it; see :func:`measure_pictures`.

    Args:
        bundle: of a detector, or of a classifier of single faces.
        samples: marked faces with a known expression.
        truth: class of each in the order of the model's labels, ``[N]``.
        among: all faces of the dataset.
        name: of the runtime.
        device: as in :func:`mien.runtime.session.open_session`.
        precision: as there.
        progress: whether to show a bar.

    Raises:
        ConfigError: if the model reads clips.
        BundleError: if it does not answer with labels, or cannot be run.
        DatasetError: if a picture cannot be read.
    """
    predictor = load(bundle.path, device=device, runtime=name, precision=precision)
    if not isinstance(predictor, Flow):
        raise ConfigError(f"{bundle.name!r} reads clips; faces in pictures are for models of pictures or single faces")
    return measure_pictures(predictor, samples, truth, among=among, progress=progress)


def measure_pictures(
    predictor: Flow,
    samples: Sequence[Sample],
    truth: NDArray[np.int64],
    *,
    among: Iterable[Sample] = (),
    progress: bool = True,
) -> PictureColumns:
    """Find and read the faces of all pictures that the samples stand in.

    Args:
        predictor: a detector, or a classifier with a finder.
        samples: marked faces with a known expression.
        truth: class of each in the order of the predictor's labels, ``[N]``.
        among: all faces of the dataset, of which those in the same pictures are known to be faces.
        progress: whether to show a bar.

    Raises:
        DatasetError: if a picture cannot be read.
    """
    pictures = tuple(mark(labelled(samples, truth, len(predictor.labels))))
    started = time.perf_counter()
    seen = tuple(read_pictures(predictor, pictures, progress=progress))
    seconds = time.perf_counter() - started
    others = _others(samples, among)
    min_score = _threshold(predictor)
    marked = [_truth(picture, one.shape, others[picture.source]) for picture, one in zip(pictures, seen, strict=True)]
    return PictureColumns(
        labels=predictor.labels,
        settings=_settings(predictor),
        pictures=pictures,
        seen=seen,
        truth=padded(marked, 5),
        pairs=padded([_pairs(one) for one in seen], 6),
        faces=padded([_faces(one) for one in seen], 6),
        shown=padded([_faces(one)[one.scores >= min_score] for one in seen], 6),
        seconds=seconds,
    )


def read_pictures(
    predictor: Flow, pictures: Sequence[MarkedPicture], *, progress: bool = True
) -> Iterator[SeenPicture]:
    """What is found in each picture, a detector's unsure boxes too.

    Raises:
        DatasetError: if a picture cannot be read.
    """
    if isinstance(predictor, DetectorPredictor):
        task: Any = predictor.task
        predictor = replace(predictor, task=replace(task, min_score=0.0))
    given = (Picture(name=picture.key, content=_content(picture.source)) for picture in pictures)
    answers = predictor.stream(given, keep_images=True)
    for answer, picture in zip(_tracked(answers, len(pictures), progress), pictures, strict=True):
        yield _seen(answer, picture, predictor)


def labelled(samples: Sequence[Sample], truth: NDArray[np.int64], classes: int) -> list[Labelled]:
    """Samples with their class in the order of a model's labels."""
    shares = np.eye(classes, dtype=np.float32)
    return [
        Labelled(sample=sample, index=index, distribution=shares[index])
        for sample, index in zip(samples, truth.tolist(), strict=True)
    ]


def _content(source: Source) -> Any:
    """A path, which is read in threads, or the pixels."""
    return source.path if isinstance(source, File) else read_source(source)


def _seen(answer: Answer, picture: MarkedPicture, predictor: Flow) -> SeenPicture:
    if answer.image is None:
        raise DatasetError(
            f"The picture {picture.key} cannot be read: {answer.predictions[0].detail} Repair it, or take it off the "
            "dataset's list: a measure without it would not be comparable."
        )
    rows = sorted(
        (row for row in answer.predictions if row.face is not None), key=lambda row: -row.face.score if row.face else 0
    )
    faces = [row.face for row in rows if row.face is not None]
    is_detector = isinstance(predictor, DetectorPredictor)
    classes = len(predictor.labels)
    height, width = answer.image.shape[:2]
    return SeenPicture(
        shape=(height, width),
        boxes=np.array([face.box for face in faces], np.float64).reshape(-1, 4),
        scores=np.array([face.score for face in faces], np.float64),
        class_scores=np.array([_class_scores(row, classes, is_detector) for row in rows]).reshape(-1, classes),
        answers=np.array([_answer(row) for row in rows], np.int64),
        alignment=tuple(face.alignment for face in faces),
    )


def _class_scores(row: Prediction, classes: int, is_detector: bool) -> Floats:
    """Of a detector as its network gave them; of a finder and a classifier the product of both."""
    if row.face is None or row.probabilities is None:
        return np.zeros(classes)
    shares = row.probabilities.astype(np.float64)
    best = shares.max() if is_detector else 1.0
    return shares * (row.face.score / best) if best > 0 else np.zeros(classes)


def _answer(row: Prediction) -> int:
    """The most probable class, also where the model abstains."""
    if row.probabilities is None or row.status not in ("ok", "uncertain"):
        return UNKNOWN
    return int(row.probabilities.argmax())


def _threshold(predictor: Flow) -> float:
    return predictor.task.min_score if isinstance(predictor, DetectorPredictor) else 0.0


def _settings(predictor: Flow) -> dict[str, Any]:
    is_detector = isinstance(predictor, DetectorPredictor)
    return {
        "finder": "the model itself" if is_detector else "mien's finder of faces",
        "min_face_px": getattr(predictor, "min_face_px", None),
        "min_score": _threshold(predictor) if is_detector else None,
        "tile_px": getattr(predictor, "tile_px", None),
    }


def _others(samples: Sequence[Sample], among: Iterable[Sample]) -> Mapping[Source, list[Sample]]:
    """Faces of the same pictures that are not measured, by picture."""
    measured, sources = {sample.key for sample in samples}, {sample.source for sample in samples}
    others = defaultdict[Source, list[Sample]](list)
    for sample in among:
        if sample.key not in measured and sample.source in sources:
            others[sample.source].append(sample)
    return others


def _truth(picture: MarkedPicture, shape: tuple[int, int], others: Sequence[Sample]) -> Floats:
    known = np.column_stack([picture.boxes(shape).astype(np.float64), picture.labels])
    unknown = [(*sample.box, float(UNKNOWN)) for sample in others if sample.box is not None]
    return np.concatenate([known, np.array(unknown, np.float64).reshape(-1, 5)])


def _pairs(seen: SeenPicture) -> Floats:
    """The best pairs of box and class, the surest first, ``[K, 6]``."""
    flat = seen.class_scores.ravel()
    best = np.argsort(-flat, kind="stable")[:MAX_ANSWERS]
    best = best[flat[best] > 0]
    rows, classes = np.divmod(best, max(seen.class_scores.shape[1], 1))
    return np.column_stack([seen.boxes[rows], flat[best], classes])


def _faces(seen: SeenPicture) -> Floats:
    return np.column_stack([seen.boxes, seen.scores, seen.answers])


def _tracked(answers: Iterator[Answer], count: int, progress: bool) -> Iterator[Answer]:
    if not progress:
        return answers
    from rich.console import Console
    from rich.progress import track

    return iter(track(answers, "Reading pictures", total=count, console=Console(stderr=True), transient=True))
