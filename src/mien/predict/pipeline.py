"""From pictures and videos to predictions: read and find in threads, answer in batches, in the order that was given.

pictures ─ read ─ find ──────────────┐ a few threads, a bounded number of pictures ahead
videos ─ decode ─┆─ follow ──────────┤ one thread each, ``┆`` is a bounded queue
                                     ├─ cut ─ tensors ─┐
                                                       ▼
                 faces of several pictures or frames in one batch ─ session ─ task.decode ─ steady ─ rows
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.faces.quality import QualityLimits, judge, side_px
from mien.faces.reader import FaceReader
from mien.faces.track import TrackedFace, Tracker
from mien.media.crop import cut, face_matrix
from mien.media.tensors import image_tensor
from mien.predict.flow import NO_FACE, Flow, Looked, kept_from, too_small
from mien.predict.judged import rows_of_answers
from mien.predict.sources import Picture, Video
from mien.predict.watch import Seen, VideoOptions, watch
from mien.runtime.bundle import find_bundle
from mien.runtime.session import Precision, open_session
from mien.schema.errors import BundleError, ConfigError
from mien.schema.inputs import ImageSpec
from mien.schema.prediction import Face, Prediction, Status
from mien.tasks import task_from_json

DEFAULT_MODEL = "product_cross_small"
DEFAULT_MIN_FACE_PX = 32
DEFAULT_QUALITY = QualityLimits()

Rgb = NDArray[np.uint8]


class Finder(Protocol):
    """Finds faces; called from several threads at once."""

    def find_faces(self, image: Rgb, /) -> list[Face]:
        """The faces of ``uint8 [H, W, 3]`` RGB, in a stable order."""


@dataclass(slots=True)
class _Faces(Looked):
    """A picture or frame whose faces are cut out and wait for an answer; ``verdicts`` say which are fit to be read."""

    faces: Sequence[Face] = ()
    tensors: Sequence[NDArray[np.float32] | None] = ()
    verdicts: Sequence[tuple[Status, str]] = ()

    @property
    def waiting(self) -> int:
        return sum(tensor is not None for tensor in self.tensors)


@dataclass(frozen=True, kw_only=True)
class Predictor(Flow):
    """A loaded model of single faces: call it with pictures.

    Attributes:
        spec: how the network wants a face.
        finder: finds the faces; ``None`` takes each picture for one face, cut out already.
        min_face_px: faces whose box is smaller (shorter side) are reported as ``too_small`` and not answered.
        quality: what a face in a video needs to be read; ``None`` reads every one that is large enough.
    """

    spec: ImageSpec
    finder: Finder | None
    min_face_px: int = DEFAULT_MIN_FACE_PX
    quality: QualityLimits | None = field(default_factory=QualityLimits)

    def _look_at(self, picture: Picture, image: Rgb) -> Looked:
        faces = [_whole(image)] if self.finder is None else self.finder.find_faces(image)
        tensors = [self._tensor(image, face) for face in faces]
        verdicts: list[tuple[Status, str]] = [("ok", "")] * len(faces)
        return _Faces(picture, image, faces=faces, tensors=tensors, verdicts=verdicts)

    def _frames(self, video: Video, options: VideoOptions) -> Iterator[Looked]:
        for seen in watch(video, options, self._tracker(options)):
            yield self._frame(video, seen)

    def _tracker(self, options: VideoOptions) -> Tracker | None:
        if self.finder is None:
            return None
        if not isinstance(self.finder, FaceReader):
            raise ConfigError("Videos need a finder that gives meshes; leave out `finder`, or give None for face crops")
        return Tracker(self.finder, self.finder.mesh, detect_every_s=options.detect_every_s)

    def _frame(self, video: Video, seen: Seen) -> Looked:
        image, faces = seen.frame.image, seen.faces
        limits = None if self.finder is None else self.quality
        return _Faces(
            video,
            image,
            faces=faces,
            tensors=[self._tensor(image, face) for face in faces],
            verdicts=[judge(image, face, limits) if limits else ("ok", "") for face in faces],
            frame=seen.frame.number,
            time_s=seen.frame.time_s,
            info=seen.info,
        )

    def _tensor(self, image: Rgb, face: Face) -> NDArray[np.float32] | None:
        if self.finder is not None and side_px(face) < self.min_face_px:
            return None
        matrix = face_matrix(face, image.shape[:2], self.spec)
        return image_tensor(cut(image, matrix, self.spec.crop_px), self.spec)

    def _rows(self, batch: Sequence[Looked]) -> Iterator[list[Prediction]]:
        all_faces = [looked for looked in batch if isinstance(looked, _Faces)]
        assert len(all_faces) == len(batch), batch
        decoded = self._decode([tensor for looked in all_faces for tensor in looked.tensors if tensor is not None])
        for looked in all_faces:
            found = zip(looked.faces, looked.tensors, looked.verdicts, strict=True)
            yield [
                replace(
                    too_small(face, self.min_face_px) if tensor is None else kept_from(next(decoded), *verdict),
                    face_id=face.face_id if isinstance(face, TrackedFace) else number,
                    face=face,
                )
                for number, (face, tensor, verdict) in enumerate(found)
            ] or [NO_FACE]

    def _decode(self, tensors: list[NDArray[np.float32]]) -> Iterator[Prediction]:
        """Predictions, still without source and face, of any number of faces."""
        for start in range(0, len(tensors), self.batch_size):
            answers = self.task.decode(self.session(image=np.stack(tensors[start : start + self.batch_size])))
            yield from rows_of_answers(answers, self.task)


def _whole(image: Rgb) -> Face:
    height, width = image.shape[:2]
    return Face(box=(0.0, 0.0, float(width), float(height)), score=1.0)


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
    check_counts(min_face_px=min_face_px, batch_size=batch_size, threads=threads or None)
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


def check_counts(**settings: int | None) -> None:
    """Refuse settings below 1; ``None`` leaves one to its default.

    Raises:
        ConfigError: naming the setting.
    """
    for name, value in settings.items():
        if value is not None and value < 1:
            raise ConfigError(f"{name} is at least 1; given: {value}")
