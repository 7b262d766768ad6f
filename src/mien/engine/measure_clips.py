"""What a bundle answers for the clips of a dataset, by the same steps as in training."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.clip_input import ClipInput
from mien.data.prepare_clips import ClipFaces, prepare_clips
from mien.engine.measure import Answers, Crop, tracked
from mien.faces.graph import core_count
from mien.runtime.session import Session
from mien.schema.errors import DatasetError
from mien.schema.inputs import InputSpec
from mien.schema.sample import Clip, FrameFolder, RenderedClip, Sample


def answer_clips(
    session: Session,
    inputs: Mapping[str, InputSpec],
    samples: Sequence[Sample],
    *,
    dataset: str,
    crop: Crop = "face",
    batch_size: int = 16,
    progress: bool = True,
) -> Answers:
    """Feed the frames of every clip to the network.

    Args:
        session: the network.
        inputs: how it wants frames and landmarks.
        samples: clips, without repetition.
        dataset: name of the reader, which names the cache of prepared faces.
        crop: ``face`` aligns by eyes, ``whole`` takes frames as they are.
        batch_size: clips in one run of the network.
        progress: whether to show a bar.

    Raises:
        DatasetError: if a sample is a picture, or a clip cannot be read.
    """
    prepared = prepare_clips(samples, name=dataset, progress=progress)
    faces = [prepared[sample.key] for sample in samples]
    if unread := [(s.key, known.problem) for s, known in zip(samples, faces, strict=True) if not len(known)]:
        raise DatasetError(
            f"{len(unread)} of {len(samples)} clips cannot be read, e.g. {unread[0][0]}: {unread[0][1]} Repair them, "
            "or take them off the dataset's lists: a measure without them would not be comparable."
        )
    make = ClipInput(inputs, whole=crop == "whole")
    columns: dict[str, list[NDArray[Any]]] = {}
    with ThreadPoolExecutor(core_count()) as pool:
        for start in tracked(list(range(0, len(samples), batch_size)), progress):
            part = slice(start, start + batch_size)
            made = list(pool.map(lambda sample, known: _one(make, sample, known), samples[part], faces[part]))
            stacked = {name: np.stack([one[name] for one in made]) for name in inputs}
            for name, values in session(**stacked).items():
                columns.setdefault(name, []).append(values)
    return Answers(
        rows={sample.key: row for row, sample in enumerate(samples)},
        outputs={name: np.concatenate(values) for name, values in columns.items()},
        landmarks=np.full((len(samples), 136), np.nan, np.float32),
        alignment=tuple(known.counts().most_common(1)[0][0] for known in faces),
    )


def _one(make: ClipInput, sample: Sample, known: ClipFaces) -> dict[str, NDArray[np.float32]]:
    assert isinstance(sample.source, FrameFolder | Clip | RenderedClip), sample.source
    return make(sample.source, known)
