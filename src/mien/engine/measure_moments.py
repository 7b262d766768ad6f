"""What a bundle answers for moments of a dataset, by the same steps as in training; utterances are pooled."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.feature_tables import FeatureStore
from mien.data.moment_faces import Known, locate
from mien.data.moment_features import FaceFeatures, face_features
from mien.data.moment_input import MomentInput, is_answerable
from mien.data.moment_plan import Plan, plan
from mien.data.prepare_clips import ClipFaces
from mien.engine.measure import Answers, Crop, tracked
from mien.engine.pooling import check_smoothing, pooled
from mien.engine.video_frames import asked_of, filled_rows, steady, videos_of
from mien.faces.graph import core_count
from mien.runtime.session import Session
from mien.schema.errors import DatasetError
from mien.schema.inputs import InputSpec
from mien.schema.labels import BASIC_7
from mien.schema.sample import Recording, RenderedVoice, Sample

CACHE_MB = 1024

UNKEPT = ("feature", "voice_feature")
"""Outputs that no task decodes; of millions of frames they would not fit into memory."""


def answer_moments(
    session: Session,
    inputs: Mapping[str, InputSpec],
    samples: Sequence[Sample],
    *,
    dataset: str,
    crop: Crop = "face",
    batch_size: int = 16,
    smooth: int = 1,
    store: FeatureStore | None = None,
    progress: bool = True,
) -> Answers:
    """Feed the moments of every sample to the network; one answer a sample.

    An utterance has the mean of the probabilities of its moments. A labelled frame without a picture, or without
    features of a face, has the answer of the nearest frame of its video that has one, where the network looks.

    Args:
        session: the network.
        inputs: how it wants frames and sound.
        samples: utterances, clips, pictures, or frames of clips; without repetition.
        dataset: name of the reader, which names the cache of prepared faces.
        crop: ``face`` aligns by eyes, ``whole`` takes pictures as they are.
        batch_size: moments in one run of the network.
        smooth: average the answers for frames over so many frames of their video; 1 is off.
        store: reads the features of a network that is told of a face; the samples have them by the name of the input.
        progress: whether to show a bar.

    Raises:
        ConfigError: if ``smooth`` is even or below 1.
        DatasetError: if a sample has nothing that the network can read, or features cannot be used.
        MediaError: if a picture or a sound cannot be read.
    """
    check_smoothing(smooth)
    known: list[Known] = [None] * len(samples)
    if "clip" in inputs:
        known = locate(samples, name=dataset, whole=crop == "whole", progress=progress)
    faces = face_features(inputs, store) if store is not None else None
    _check(samples, known, inputs, faces)
    videos = videos_of(samples)
    make = MomentInput(inputs, faces=faces, whole=crop == "whole", cache_mb=CACHE_MB)
    asked = np.arange(len(samples)) if make.frames is None else asked_of(samples, videos, make.frames)
    chosen = [samples[i] for i in asked]
    moments = plan(chosen, BASIC_7, make.span, seconds=make.seconds, training=False, seen=make.frames)
    outputs = _run(session, make, chosen, [known[i] for i in asked], moments, batch_size, progress)
    outputs = pooled(outputs, moments.unit)
    rows = filled_rows(len(samples), videos, asked)
    outputs = {name: values[rows] for name, values in outputs.items()}
    if smooth > 1:
        outputs["logits"] = steady(outputs["logits"], videos, smooth)
    return Answers(
        rows={sample.key: row for row, sample in enumerate(samples)},
        outputs=outputs,
        landmarks=np.full((len(samples), 136), np.nan, np.float32),
        alignment=tuple(alignment_of(sample, faces) for sample, faces in zip(samples, known, strict=True)),
    )


def _check(
    samples: Sequence[Sample], known: Sequence[Known], inputs: Mapping[str, InputSpec], faces: FaceFeatures | None
) -> None:
    """Frames of a video are judged whatever there is, as the rest must be measurable by all networks alike."""
    unread = [
        sample.key
        for sample, found in zip(samples, known, strict=True)
        if sample.frame is None and not is_answerable(sample, found, inputs, faces)
    ]
    if unread:
        raise DatasetError(
            f"{len(unread)} of {len(samples)} samples have nothing that a network of {' and '.join(inputs)} can read, "
            f"e.g. {unread[0]}. Repair them, or measure on another dataset: without them it would not be comparable."
        )


def _run(
    session: Session,
    make: MomentInput,
    samples: Sequence[Sample],
    known: Sequence[Known],
    moments: Plan,
    batch_size: int,
    progress: bool,
) -> dict[str, NDArray[Any]]:
    columns: dict[str, list[NDArray[Any]]] = {}

    def one(moment: int) -> dict[str, NDArray[np.float32]]:
        owner = int(moments.owner[moment])
        return make(samples[owner], known[owner], float(moments.second[moment]))

    with ThreadPoolExecutor(core_count()) as pool:
        for start in tracked(list(range(0, len(moments), batch_size)), progress):
            made = list(pool.map(one, range(start, min(start + batch_size, len(moments)))))
            stacked = {name: np.stack([inputs[name] for inputs in made]) for name in make.inputs}
            for name, values in session(**stacked).items():
                if name not in UNKEPT:
                    columns.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in columns.items()}


def alignment_of(sample: Sample, known: Known) -> str:
    """What the faces of a sample were aligned by, of several the most frequent."""
    if isinstance(sample.source, Recording | RenderedVoice):
        return "voice alone"
    if isinstance(known, ClipFaces):
        return known.counts().most_common(1)[0][0] if len(known) else "none"
    return str(known.alignment) if known is not None else "none"
