"""Where the face is in the pictures and clips of samples, which may also be heard only; found once and kept."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mien.data.prepare import prepare
from mien.data.prepare_clips import ClipFaces, prepare_clips
from mien.media.frame_clock import nearest
from mien.schema.prediction import Face
from mien.schema.sample import (
    Clip,
    FeatureCsv,
    FeatureTable,
    FrameFolder,
    Recording,
    RenderedClip,
    RenderedVoice,
    Sample,
)

Known = ClipFaces | Face | None
"""The faces of a clip, the face of a picture, or ``None`` where pictures are taken whole, or there are none."""


def locate(samples: Sequence[Sample], *, name: str, whole: bool = False, progress: bool = True) -> list[Known]:
    """The faces of each sample; frames of one clip share them.

    Args:
        samples: pictures, clips, utterances, frames of clips.
        name: of the reader, which names the cache.
        whole: take pictures as they are; nothing is searched.
        progress: whether to show a bar.

    Raises:
        MediaError: if a picture cannot be read.
        BundleError: if the graphs that find faces are not on this machine.
    """
    if whole:
        return [None] * len(samples)
    clips = {
        clip_key(sample): sample for sample in samples if isinstance(sample.source, FrameFolder | Clip | RenderedClip)
    }
    no_picture = FrameFolder | Clip | RenderedClip | Recording | RenderedVoice | FeatureTable | FeatureCsv
    pictures = [sample for sample in samples if not isinstance(sample.source, no_picture)]
    named = [replace(sample, key=key) for key, sample in clips.items()]
    of_clips = prepare_clips(named, name=name, progress=progress) if named else {}
    of_pictures = prepare(pictures, name=name, progress=progress).faces if pictures else {}
    return [of_clips.get(clip_key(sample), of_pictures.get(sample.key)) for sample in samples]


def faces_at(known: Known, places: Sequence[int]) -> list[Face | None]:
    """The face in each picture; where none was found that of the nearest one of the clip with a face, if any.

    Args:
        known: of the clip.
        places: of the pictures among those of the clip.
    """
    if not isinstance(known, ClipFaces):
        return [known] * len(places)
    present = np.flatnonzero(~np.isnan(known.eyes).any(axis=(1, 2)))
    if not present.size:
        return [None] * len(places)
    return [known.face(int(place)) for place in present[nearest(present.astype(np.float64), list(places))]]


def clip_key(sample: Sample) -> str:
    """Key of the whole clip."""
    return sample.key if sample.frame is None else sample.key.partition("#")[0]
