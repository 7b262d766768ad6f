"""Answers to a challenge: what a bundle says of every frame of its videos, in the form in which it takes them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from mien.data.moment_input import is_momentary
from mien.data.moment_plan import pictured
from mien.data.readers import READERS, read_dataset
from mien.data.readers.clips import VIDEOS
from mien.engine.measure import Crop, tracked
from mien.engine.measure_moments import answer_moments
from mien.engine.pooling import check_smoothing
from mien.media.video import probe_video
from mien.runtime.bundle import Bundle, find_bundle
from mien.runtime.session import Precision, open_session
from mien.schema.errors import BundleError, DatasetError
from mien.schema.labels import LABEL_SETS
from mien.schema.sample import Recording, Sample, Targets
from mien.schema.tables import look_up
from mien.tasks import task_from_json

WRITERS: Mapping[str, str] = MappingProxyType({"aff_wild2": "mien.data.aff_wild2_writer:write_submission"})
"""By name of the dataset what writes the answers, given a path and the label of each frame by name of the video."""


def submit(
    model: Bundle | str | Path,
    dataset: str,
    out: Path,
    *,
    root: Path | None = None,
    split: str = "test",
    runtime: str = "openvino",
    device: str = "cpu",
    precision: Precision = "fp32",
    crop: Crop = "whole",
    smooth: int = 1,
    progress: bool = True,
) -> Path:
    """Answer for every frame of every video of one part, labelled or not, and write the file of the challenge.

    A frame without a picture has the answer of the nearest one that has one, where the network looks.

    Args:
        model: a classifier that answers for moments; its folder or its name.
        dataset: one of ``WRITERS``.
        out: the file.
        root: folder of the dataset; ``None`` takes ``$MIEN_DATA/<folder>``.
        split: ``train``, ``valid`` or ``test``.
        runtime: ``openvino``, ``onnx`` or ``torch``.
        device: as in :func:`mien.runtime.session.open_session`.
        precision: as there.
        crop: ``whole`` takes the pictures of the dataset as they are, ``face`` aligns them.
        smooth: average the answers over so many frames of a video, an odd number; 1 is off.
        progress: whether to show a bar.

    Raises:
        ConfigError: if no challenge of the dataset is known, or ``smooth`` is even.
        BundleError: if the model does not answer for moments, or has classes that the dataset lacks.
        DatasetError: if the part has no videos, or one of them has nothing that the network can read.
    """
    write: Callable[[Path, Mapping[str, Sequence[str]]], Path] = look_up(WRITERS, dataset, "challenge")
    check_smoothing(smooth)
    bundle = model if isinstance(model, Bundle) else find_bundle(model)
    if bundle.labels is None or not is_momentary(bundle.inputs):
        raise BundleError(
            f"A submission needs a classifier that answers for moments, such as one of gcsa_av; {bundle.name} is fed "
            f"{', '.join(bundle.inputs)}"
        )
    videos = [sample for sample in read_dataset(dataset, root) if sample.split == split]
    if not videos:
        raise DatasetError(f"The part {split!r} of {dataset!r} has no videos; choose another --split.")
    _check_labels(bundle, dataset)
    session = open_session(bundle, runtime, device, precision=precision)
    task = task_from_json(bundle.task, bundle.labels)
    answers: dict[str, list[str]] = {}
    for number in tracked(list(range(len(videos))), progress):
        video = videos[number]
        outputs = answer_moments(
            session, bundle.inputs, list(frames_of(video)), dataset=dataset, crop=crop, smooth=smooth, progress=False
        ).outputs
        answers[video.key] = [bundle.labels.names[index] for index in np.asarray(task.decode(outputs).index)]
    return write(out, answers)


def frames_of(video: Sample) -> Iterator[Sample]:
    """Every frame of a video as a sample of its own, without a label.

    Raises:
        DatasetError: if nothing tells how many there are.
    """
    for number in range(_length(video)):
        yield replace(video, key=f"{video.key}#{number + 1:05d}", frame=number, targets=Targets())


def _length(video: Sample) -> int:
    """Frames of a video: those that are annotated, else as many as it has by its own account or by its pictures."""
    if video.targets.frames is not None:
        return len(video.targets.frames)
    counted = int(pictured(video).max(initial=-1)) + 1
    match video.voice:
        case Recording(path) if path.suffix.lower() in VIDEOS:
            info = probe_video(path)
            told = info.frames or round((info.duration_s or 0) * (info.rate or 0))
            counted = max(counted, told)
    if not counted:
        raise DatasetError(f"How many frames {video.key} has is unknown: it has neither pictures nor a video.")
    return counted


def _check_labels(bundle: Bundle, dataset: str) -> None:
    names = bundle.labels.names if bundle.labels else ()
    allowed = LABEL_SETS[READERS[dataset].labels or ""].names
    if strange := [name for name in names if name not in allowed]:
        raise BundleError(
            f"{bundle.name} answers {', '.join(strange)}, which the challenge lacks; it has: {', '.join(allowed)}"
        )
