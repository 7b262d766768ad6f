"""One door to trained models, whatever they read: single faces or clips."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.faces.reader import FaceReader
from mien.faces.track import Tracker
from mien.predict import pipeline
from mien.predict.pipeline import DEFAULT_MIN_FACE_PX, DEFAULT_MODEL, Predictor
from mien.predict.watch import VideoOptions
from mien.predict.windows import ClipPredictor
from mien.runtime.bundle import Bundle, find_bundle
from mien.runtime.session import Precision, open_session
from mien.schema.errors import ConfigError
from mien.schema.inputs import ClipSpec, LandmarkSpec
from mien.schema.prediction import Result
from mien.tasks import task_from_json

CLIP_BATCH = 8


def load(name: str | Path = DEFAULT_MODEL, **options: Any) -> Predictor | ClipPredictor:
    """Load a trained model.

    Args:
        name: of a model that is installed, or the folder of a bundle.
        options: as in :func:`mien.predict.pipeline.load`; a model of clips takes ``device``, ``runtime``,
            ``precision``, ``finder``, ``min_face_px``, ``min_score`` and ``batch_size``.

    Raises:
        BundleError: if there is no such model, it is damaged, or it does not answer with labels.
        ConfigError: if a setting, or the device, cannot be used.
    """
    bundle = find_bundle(name)
    return load_clips(bundle, **options) if "clip" in bundle.inputs else pipeline.load(name, **options)


def load_clips(
    bundle: Bundle,
    *,
    device: str = "cpu",
    runtime: str | None = None,
    precision: Precision = "fp32",
    finder: Any = "default",
    min_face_px: int = DEFAULT_MIN_FACE_PX,
    min_score: float | None = None,
    batch_size: int = CLIP_BATCH,
) -> ClipPredictor:
    """Load a model that reads clips; see :func:`load`."""
    clip, landmarks = bundle.inputs["clip"], bundle.inputs.get("landmarks")
    assert isinstance(clip, ClipSpec) and isinstance(landmarks, LandmarkSpec | None) and bundle.labels is not None
    task = task_from_json(bundle.task, bundle.labels)
    reader = FaceReader(min_face_px=min_face_px) if finder == "default" else finder
    if not isinstance(reader, FaceReader | None):
        raise ConfigError("Clips need a finder that gives meshes; leave out `finder`, or give None for face crops")

    def make_tracker(options: VideoOptions) -> Tracker | None:
        return None if reader is None else Tracker(reader, reader.mesh, detect_every_s=options.detect_every_s)

    return ClipPredictor(
        session=open_session(bundle, runtime or pipeline.runtime_for(device), device, precision=precision),
        task=task if min_score is None else replace(task, min_score=min_score),
        clip=clip,
        landmarks=landmarks,
        model=f"{bundle.name}@{bundle.hash12}",
        make_tracker=make_tracker,
        batch_size=min(batch_size, CLIP_BATCH),
    )


def predict(
    source: Any,
    model: str | Path = DEFAULT_MODEL,
    *,
    keep_images: bool = False,
    video: VideoOptions | None = None,
    **options: Any,
) -> Result:
    """Read the expressions in pictures and videos with a model that is loaded for this call alone.

    Args:
        source: as in :meth:`Predictor.__call__`.
        model: as ``name`` in :func:`load`.
        keep_images: keep the pixels of every picture in the result.
        video: how videos are read.
        options: the other arguments of :func:`load`.
    """
    return load(model, **options)(source, keep_images=keep_images, video=video)
