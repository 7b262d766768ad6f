"""One door to trained models, whatever they read: faces, whole pictures, clips, voices, or features of these."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.faces.quality import QualityLimits
from mien.faces.reader import FaceReader
from mien.faces.track import Tracker
from mien.predict import pipeline
from mien.predict.bundle_encoder import bundle_encoder
from mien.predict.detector import DetectorPredictor
from mien.predict.frames import FramePredictor
from mien.predict.moments import MomentPredictor
from mien.predict.pipeline import DEFAULT_MIN_FACE_PX, DEFAULT_MODEL, DEFAULT_QUALITY, Predictor
from mien.predict.reactions import FACE, SOUND, ReactionPredictor
from mien.predict.views import MIN_TILE_PX
from mien.predict.watch import VideoOptions
from mien.predict.windows import ClipPredictor
from mien.runtime.bundle import Bundle, find_bundle, read_bundle
from mien.runtime.session import Precision, open_session
from mien.schema.errors import BundleError, ConfigError
from mien.schema.inputs import ClipSpec, FeatureSpec, LandmarkSpec, SoundSpec
from mien.schema.prediction import Result
from mien.tasks import task_from_json

CLIP_BATCH = 8
PICTURE_BATCH = 8
MOMENT_BATCH = 16
WINDOW_BATCH = 1
"""A window of 64 frames is a large batch by itself."""

MOMENT_INPUTS = ({"clip"}, {"sound"}, {"clip", "sound", "has_sound", "has_face"})
"""Of networks that answer for moments: of the face, of the voice, of both, either of which may be missing."""


AnyPredictor = Predictor | DetectorPredictor | ClipPredictor | FramePredictor | MomentPredictor | ReactionPredictor


def load(name: str | Path = DEFAULT_MODEL, **options: Any) -> AnyPredictor:
    """Load a trained model.

    Args:
        name: of a model that is installed, or the folder of a bundle.
        options: as in :func:`mien.predict.pipeline.load`; a model of clips takes ``device``, ``runtime``,
            ``precision``, ``finder``, ``min_face_px``, ``min_score`` and ``batch_size``; one that finds the faces
            itself those of :func:`load_detector`; one that answers each frame of a window those of
            :func:`load_frames`; one of face and voice those of :func:`load_moments`; one of the intensity of reactions
            those of :func:`load_reactions`.

    Raises:
        BundleError: if there is no such model, it is damaged, or it answers with nothing that a table can hold.
        ConfigError: if a setting, or the device, cannot be used.
    """
    bundle = find_bundle(name)
    if bundle.task.get("name") == "detect":
        return load_detector(bundle, **options)
    if "tile_px" in options:
        raise ConfigError(
            f"Tiles are for models that find the faces themselves; {bundle.name!r} leaves that to a finder, which "
            "searches more finely the smaller min_face_px is"
        )
    if bundle.task.get("name") == "classify_frames":
        return load_frames(bundle, **options)
    specs = {name: spec for name, spec in bundle.inputs.items() if isinstance(spec, FeatureSpec)}
    if told := [name for name, spec in specs.items() if spec.around_moment]:
        raise BundleError(
            f"{bundle.name} does not look at faces: it is told of them by {told[0]} that were computed before. `mien "
            f"evaluate --features {told[0]}=DIR` measures it; to read videos take a gcsa_av with visual_net=rhcnn"
        )
    if specs:
        return load_reactions(bundle, **options)
    clip = bundle.inputs.get("clip")
    if "sound" in bundle.inputs or (isinstance(clip, ClipSpec) and clip.seconds is not None):
        return load_moments(bundle, **options)
    return pipeline.load(name, **options) if clip is None else load_clips(bundle, **options)


def load_detector(
    bundle: Bundle,
    *,
    device: str = "cpu",
    runtime: str | None = None,
    precision: Precision = "fp32",
    finder: Any = "default",
    min_face_px: int = DEFAULT_MIN_FACE_PX,
    min_score: float | None = None,
    batch_size: int = PICTURE_BATCH,
    threads: int | None = None,
    tile_px: int | None = None,
) -> DetectorPredictor:
    """Load a model that finds and reads faces in one pass; see :func:`load`.

    Args:
        bundle: read and verified.
        device: as in :func:`mien.predict.pipeline.load`.
        runtime: as there.
        precision: as there.
        finder: must be left out; the model is its own.
        min_face_px: smaller faces are reported as ``too_small``, by the shorter side of the box.
        min_score: what scores less is no face; by default the model's own threshold.
        batch_size: most pictures or tiles in one run of the network.
        threads: how many pictures are read at once.
        tile_px: also look at overlapping tiles of this side, in pixels of the picture, for small faces.

    Raises:
        BundleError: if the model is damaged or is not fed whole pictures.
        ConfigError: if a setting, or the device, cannot be used.
    """
    if finder != "default":
        raise ConfigError(f"{bundle.name!r} finds the faces itself, in whole pictures; leave out `finder` (--crops)")
    pipeline.check_counts(min_face_px=min_face_px, batch_size=batch_size, threads=threads or None)
    if tile_px is not None and tile_px < MIN_TILE_PX:
        raise ConfigError(f"tile_px is at least {MIN_TILE_PX}; given: {tile_px}")
    task = task_from_json(bundle.task, bundle.labels)
    return DetectorPredictor(
        session=open_session(bundle, runtime or pipeline.runtime_for(device), device, precision=precision),
        task=task if min_score is None else replace(task, min_score=min_score),
        spec=bundle.picture_spec(),
        model=f"{bundle.name}@{bundle.hash12}",
        min_face_px=min_face_px,
        batch_size=batch_size,
        tile_px=tile_px,
        **({} if threads is None else {"threads": threads}),
    )


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
    reader = _reader(finder, min_face_px)
    return ClipPredictor(
        session=open_session(bundle, runtime or pipeline.runtime_for(device), device, precision=precision),
        task=task if min_score is None else replace(task, min_score=min_score),
        clip=clip,
        landmarks=landmarks,
        model=f"{bundle.name}@{bundle.hash12}",
        make_tracker=_tracker_maker(reader),
        batch_size=min(batch_size, CLIP_BATCH),
    )


def load_frames(
    bundle: Bundle,
    *,
    device: str = "cpu",
    runtime: str | None = None,
    precision: Precision = "fp32",
    finder: Any = "default",
    min_face_px: int = DEFAULT_MIN_FACE_PX,
    min_score: float | None = None,
    batch_size: int = WINDOW_BATCH,
    threads: int | None = None,
    quality: QualityLimits | None = DEFAULT_QUALITY,
) -> FramePredictor:
    """Load a model that answers each frame of a window; see :func:`load`.

    Args:
        bundle: read and verified.
        device: as in :func:`mien.predict.pipeline.load`.
        runtime: as there.
        precision: as there.
        finder: as there; one that gives meshes.
        min_face_px: as there.
        min_score: as there.
        batch_size: most windows in one run of the network.
        threads: how many pictures are read and searched at once.
        quality: what a face in a video needs to be read; ``None`` reads every one that is large enough.

    Raises:
        BundleError: if the model is fed anything but windows of frames.
        ConfigError: if a setting, or the device, cannot be used.
    """
    pipeline.check_counts(min_face_px=min_face_px, batch_size=batch_size, threads=threads or None)
    clip = bundle.inputs.get("clip")
    if not isinstance(clip, ClipSpec) or len(bundle.inputs) != 1 or bundle.labels is None:
        raise BundleError(
            f"{bundle.name!r} answers each frame of a window from {', '.join(bundle.inputs)}; prediction needs a model "
            "that gives labels to the frames of clip alone, such as one of frame_ensemble"
        )
    task = task_from_json(bundle.task, bundle.labels)
    reader = _reader(finder, min_face_px)
    return FramePredictor(
        session=open_session(bundle, runtime or pipeline.runtime_for(device), device, precision=precision),
        task=task if min_score is None else replace(task, min_score=min_score),
        clip=clip,
        model=f"{bundle.name}@{bundle.hash12}",
        make_tracker=_tracker_maker(reader),
        finder=reader,
        min_face_px=min_face_px,
        batch_size=batch_size,
        quality=quality,
        **({} if threads is None else {"threads": threads}),
    )


def load_moments(
    bundle: Bundle,
    *,
    device: str = "cpu",
    runtime: str | None = None,
    precision: Precision = "fp32",
    finder: Any = "default",
    min_face_px: int = DEFAULT_MIN_FACE_PX,
    min_score: float | None = None,
    batch_size: int = MOMENT_BATCH,
    threads: int | None = None,
    quality: QualityLimits | None = DEFAULT_QUALITY,
) -> MomentPredictor:
    """Load a model that answers for moments, from face, voice or both; see :func:`load`.

    Args:
        bundle: read and verified.
        device: as in :func:`mien.predict.pipeline.load`.
        runtime: as there.
        precision: as there.
        finder: as there; one that gives meshes.
        min_face_px: as there.
        min_score: as there.
        batch_size: most faces and moments in one run of the network.
        threads: how many pictures are read and searched at once.
        quality: what a face in a video needs to be read; ``None`` reads every one that is large enough.

    Raises:
        BundleError: if the model needs more than face and voice, or cannot do without one of them.
        ConfigError: if a setting, or the device, cannot be used.
    """
    pipeline.check_counts(min_face_px=min_face_px, batch_size=batch_size, threads=threads or None)
    if set(bundle.inputs) not in MOMENT_INPUTS or bundle.labels is None:
        raise BundleError(
            f"{bundle.name!r} answers the task {bundle.task.get('name')!r} from {', '.join(bundle.inputs)}; prediction "
            "needs a label for a moment from clip, from sound, or from both with has_sound and has_face"
        )
    clip, sound = bundle.inputs.get("clip"), bundle.inputs.get("sound")
    assert isinstance(clip, ClipSpec | None) and isinstance(sound, SoundSpec | None)
    task = task_from_json(bundle.task, bundle.labels)
    reader = None if clip is None else _reader(finder, min_face_px)
    return MomentPredictor(
        session=open_session(bundle, runtime or pipeline.runtime_for(device), device, precision=precision),
        task=task if min_score is None else replace(task, min_score=min_score),
        clip=clip,
        sound=sound,
        window_s=_window_s(clip, sound),
        model=f"{bundle.name}@{bundle.hash12}",
        make_tracker=_tracker_maker(reader),
        finder=reader,
        min_face_px=min_face_px,
        batch_size=batch_size,
        quality=quality,
        **({} if threads is None else {"threads": threads}),
    )


def load_reactions(
    bundle: Bundle,
    *,
    device: str = "cpu",
    runtime: str | None = None,
    precision: Precision = "fp32",
    finder: Any = "default",
    min_face_px: int = DEFAULT_MIN_FACE_PX,
    threads: int | None = None,
) -> ReactionPredictor:
    """Load a model of the intensity of reactions, with the encoders that it carries along; see :func:`load`.

    Args:
        bundle: read and verified.
        device: as in :func:`mien.predict.pipeline.load`.
        runtime: as there, of the network; encoders choose their own by the device.
        precision: as there.
        finder: as there; one that gives meshes.
        min_face_px: smallest face that is searched for, by the shorter side of its box.
        threads: cores of an encoder; by default all.

    Raises:
        BundleError: if the model answers otherwise, or lacks an encoder.
        ConfigError: if a setting, or the device, cannot be used.
    """
    pipeline.check_counts(min_face_px=min_face_px, threads=threads or None)
    specs = _features(bundle)
    encoders = {
        name: bundle_encoder(
            read_bundle(bundle.encoder_path(name)), device=device, precision=precision, threads=threads
        )
        for name in specs
    }
    for name, encoder in encoders.items():
        if encoder.modality != {FACE: "face", SOUND: "sound"}[name] or encoder.width != specs[name].width:
            raise BundleError(
                f"{bundle.name!r} takes {specs[name].width} numbers a step as {name}, and its encoder {encoder.name!r} "
                f"makes {encoder.width} of the {encoder.modality}; attach the one with which it was trained"
            )
    return ReactionPredictor(
        session=open_session(bundle, runtime or pipeline.runtime_for(device), device, precision=precision),
        task=task_from_json(bundle.task, bundle.labels),
        inputs=specs,
        encoders=encoders,
        model=f"{bundle.name}@{bundle.hash12}",
        make_tracker=_tracker_maker(_reader(finder, min_face_px) if FACE in specs else None),
    )


def _features(bundle: Bundle) -> dict[str, FeatureSpec]:
    """The inputs of a model of reactions, which has an encoder for each."""
    specs = {name: spec for name, spec in bundle.inputs.items() if isinstance(spec, FeatureSpec)}
    steps = {(spec.n_steps, spec.step_s) for spec in specs.values()}
    if bundle.task.get("name") != "regress" or set(bundle.inputs) - {FACE, SOUND} or len(steps) != 1:
        raise BundleError(
            f"{bundle.name!r} answers the task {bundle.task.get('name')!r} from {', '.join(bundle.inputs)}; prediction "
            f"from features needs the task 'regress' and {FACE}, {SOUND} or both, of as many and as long steps"
        )
    missing = [name for name in specs if name not in bundle.encoders]
    if missing:
        raise BundleError(
            f"{bundle.name!r} is fed features and does not carry the encoder that makes {' and '.join(missing)}. "
            "Attach the one with which it was trained, in Python: mien.deploy.attach.attach_encoders(read_bundle("
            f"Path({str(bundle.path)!r})), {{{', '.join(f'{name!r}: Path(…)' for name in missing)}}})"
        )
    return specs


def _reader(finder: Any, min_face_px: int) -> FaceReader | None:
    reader = FaceReader(min_face_px=min_face_px) if finder == "default" else finder
    if not isinstance(reader, FaceReader | None):
        raise ConfigError("Clips need a finder that gives meshes; leave out `finder`, or give None for face crops")
    return reader


def _tracker_maker(reader: FaceReader | None) -> Callable[[VideoOptions], Tracker | None]:
    def make_tracker(options: VideoOptions) -> Tracker | None:
        return None if reader is None else Tracker(reader, reader.mesh, detect_every_s=options.detect_every_s)

    return make_tracker


def _window_s(clip: ClipSpec | None, sound: SoundSpec | None) -> float:
    """That of the sound; without it that of the clip, of as many seconds."""
    if sound is not None:
        return sound.seconds
    assert clip is not None and clip.seconds is not None
    return clip.seconds


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
