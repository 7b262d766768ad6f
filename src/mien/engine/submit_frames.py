"""Answers to a challenge of frames: what bundles say of every frame of its videos, in the form that it takes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mien.data.aff_wild2_writer import write_submission
from mien.data.moment_plan import pictured
from mien.data.readers import read_dataset
from mien.data.readers.clips import VIDEOS
from mien.engine.ensemble import answers_frames, answers_of, as_one, averaged, members_of
from mien.engine.measure import Crop, tracked
from mien.engine.pooling import check_smoothing
from mien.engine.telling import tellers_of
from mien.media.video import probe_video
from mien.runtime.bundle import Bundle
from mien.runtime.session import Precision, open_session
from mien.schema.errors import BundleError, DatasetError
from mien.schema.labels import AFF_WILD2, LabelSet
from mien.schema.sample import Recording, Sample, Targets
from mien.tasks import task_from_json


def submit_frames(
    model: Bundle | str | Path,
    dataset: str,
    out: Path,
    *,
    root: Path | None = None,
    split: str = "test",
    others: Sequence[Bundle | str | Path] = (),
    runtime: str = "openvino",
    device: str = "cpu",
    precision: Precision = "fp32",
    crop: Crop = "face",
    smooth: int = 1,
    features: Mapping[str, str] | None = None,
    progress: bool = True,
) -> Path:
    """Answer for every frame of every video of one part, labelled or not, and write the file of the challenge.

    A frame without a picture has the answer of the nearest one that has one, where the network looks.

    Args:
        model: a classifier that answers for moments or frames; its folder or its name.
        dataset: name in ``READERS``, of a dataset with the labels of Aff-Wild2.
        out: the file, as :func:`mien.data.aff_wild2_writer.write_submission` writes it.
        root: folder of the dataset; ``None`` takes ``$MIEN_DATA/<folder>``.
        split: ``train``, ``valid`` or ``test``.
        others: further models, whose probabilities are averaged with those of the first.
        runtime: ``openvino``, ``onnx`` or ``torch``.
        device: as in :func:`mien.runtime.session.open_session`.
        precision: as there.
        crop: ``face`` aligns the faces, ``whole`` takes the pictures of the dataset as they are.
        smooth: average the answers over so many frames of a video, an odd number; 1 is off.
        features: of a model that is told of a face at moments, their folder by name of the input; ``None`` takes that
            of the training.
        progress: whether to show a bar.

    Raises:
        ConfigError: if ``smooth`` is even, or features are given that no model reads.
        BundleError: if a model does not answer for moments or frames, has classes that the dataset lacks, or is given
            features of another encoder than those of its training.
        DatasetError: if the part has no videos, or one of them has nothing that the network can read.
    """
    check_smoothing(smooth)
    members = members_of(model, others)
    bundle = as_one(members)
    labels, tellers = _labels_of(bundle), tellers_of(members, features)
    videos = [sample for sample in read_dataset(dataset, root) if sample.split == split]
    if not videos:
        raise DatasetError(f"The part {split!r} of {dataset!r} has no videos; choose another --split.")
    sessions = [open_session(member, runtime, device, precision=precision) for member in members]
    task = task_from_json(bundle.task, labels)
    how: dict[str, Any] = {"dataset": dataset, "crop": crop, "smooth": smooth, "progress": False}
    told = [teller(videos) for teller in tellers]
    answers: dict[str, list[str]] = {}
    for number in tracked(list(range(len(videos))), progress):
        given = (
            answers_of(member, session, list(frames_of(own[number])), **how, **teller.how)
            for member, session, teller, own in zip(members, sessions, tellers, told, strict=True)
        )
        found = task.decode(averaged(members, given).outputs)
        answers[videos[number].key] = [labels.names[index] for index in found.index]
    return write_submission(out, answers)


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


def _labels_of(bundle: Bundle) -> LabelSet:
    """The classes of a bundle that can answer.

    Raises:
        BundleError: if it cannot.
    """
    if bundle.labels is None or not answers_frames(bundle):
        raise BundleError(
            f"The challenge asks for the expression in each frame, which a model of moments or of windows of frames "
            f"tells, such as one of gcsa_av or frame_ensemble; {bundle.name} is fed {', '.join(bundle.inputs)}"
        )
    if strange := [name for name in bundle.labels.names if name not in AFF_WILD2]:
        raise BundleError(
            f"{bundle.name} answers {', '.join(strange)}, which the challenge lacks; it has: "
            f"{', '.join(AFF_WILD2.names)}"
        )
    return bundle.labels
