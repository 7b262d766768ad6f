"""Drawn voices as a dataset, alone or with the drawn face of the same person and class.

The clip and the voice of one number have one class, one person and one length (see :mod:`mien.data.synthetic_voices`).
"""

from functools import lru_cache
from pathlib import Path

from mien.data.drawing.motion import FRAMES, RATE
from mien.data.synthetic_clips import RENDERER as CLIP_RENDERER
from mien.data.synthetic_voices import DEFAULT_COUNT, RENDERER, Utterance, utterances
from mien.schema.errors import DatasetError
from mien.schema.sample import RenderedClip, RenderedVoice, Sample, Targets


def samples(n: int = DEFAULT_COUNT, seed: int = 0, *, faces: bool = True) -> list[Sample]:
    """The first ``n`` speakers of a seed; 60 % of the persons train, 20 % valid, 20 % test.

    Args:
        n: how many.
        seed: of the set.
        faces: whether they are seen, too.

    Raises:
        DatasetError: if ``n`` is below 1.
    """
    return [_sample(one, faces) for one in utterances(n, seed)]


def read(root: Path | None = None) -> list[Sample]:
    """Faces with voices, drawn on demand.

    Raises:
        DatasetError: if a root is given: they lie nowhere.
    """
    return _read(root, faces=True)


def read_voices(root: Path | None = None) -> list[Sample]:
    """Voices alone, drawn on demand.

    Raises:
        DatasetError: if a root is given: they lie nowhere.
    """
    return _read(root, faces=False)


def _read(root: Path | None, *, faces: bool) -> list[Sample]:
    if root is not None:
        raise DatasetError(f"Drawn voices are made as they are read and lie nowhere, so leave out the root {root}.")
    return samples(faces=faces)


@lru_cache(maxsize=20_000)
def _sample(one: Utterance, faces: bool) -> Sample:
    voice = RenderedVoice(RENDERER, one.index, one.seed)
    return Sample(
        key=one.key,
        source=RenderedClip(CLIP_RENDERER, one.index, one.seed, FRAMES, RATE) if faces else voice,
        split=one.split,
        subject=one.speaker,
        targets=Targets(label=one.label, intensity=one.intensity),
        sound=voice if faces else None,
    )
