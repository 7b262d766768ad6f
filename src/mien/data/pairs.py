"""Faces and voices of the same expression, paired but not recorded together: a FERPlus face and a RAVDESS utterance.

A stand-in for recordings with both. The two know nothing of each other but the expression, so what a network gains here
from using both tells that its fusion works, and nothing of how faces and voices go together in life.

Faces of a part are paired with voices of that part: training faces with actors 1 to 16, validation faces with 17 to 20,
test faces with 21 to 24. A face occurs once, and not at all if its pixels stand in another part too; voices take turns.
Pairs are named ``<voice>#<face>``, so all pairs of one voice stay together where a part is halved.
A face has the label that has more than half of the votes; contempt, which no actor says, and calm, which no annotator
could answer, are left out.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np

from mien.data.readers import ferplus, ravdess
from mien.data.rules import distribution_of
from mien.schema.errors import DatasetError
from mien.schema.labels import BASIC_7
from mien.schema.sample import Recording, Sample, Targets

FACES = "fer2013"
VOICES = ("speech", "ravdess")
MOST = {"train": 1000, "valid": 150, "test": 150}
"""Pairs of each class; as many as there are faces where these are fewer."""

SEED = 0


def read(root: Path) -> list[Sample]:
    """Every pair, a function of the faces and voices that are there.

    Args:
        root: of FERPlus in ``fer2013`` and of RAVDESS in ``speech`` or ``ravdess``.

    Raises:
        DatasetError: if one of the two is not there, or they have no part in common.
    """
    faces, voices = _faces(root), _voices(root)
    pairs = [pair for split in MOST for label in BASIC_7.names for pair in _pairs(split, label, faces, voices)]
    if not pairs:
        raise DatasetError(f"{root} has faces and voices, but no part with both; there are: {_parts(faces, voices)}.")
    return pairs


_Grouped = dict[tuple[str, str], list[Sample]]
"""By part and label, sorted by key."""


def _faces(root: Path) -> _Grouped:
    found = ferplus.read(root / FACES)
    parts = defaultdict[str | None, set[str]](set)
    for face in found:
        parts[face.pixel_hash].update([face.split, *face.also_in])
    seen, grouped = Counter[str | None](), _Grouped()
    for face in sorted(found, key=lambda face: face.key):
        shares = distribution_of(face.targets, BASIC_7, "majority")
        known = face.pixel_hash is not None
        if isinstance(shares, str) or (known and len(parts[face.pixel_hash]) > 1) or (known and seen[face.pixel_hash]):
            continue
        seen[face.pixel_hash] += 1
        grouped.setdefault((face.split, BASIC_7.names[int(shares.argmax())]), []).append(face)
    return grouped


def _voices(root: Path) -> _Grouped:
    folder = next((root / name for name in VOICES if (root / name).is_dir()), None)
    if folder is None:
        raise DatasetError(f"{root} has no RAVDESS; expected it in {' or '.join(VOICES)}.")
    grouped = _Grouped()
    for voice in sorted(ravdess.read(folder), key=lambda voice: voice.key):
        label = voice.targets.label or ""
        if voice.voice is not None and label in BASIC_7:
            grouped.setdefault((voice.split, label), []).append(voice)
    return grouped


def _pairs(split: str, label: str, faces: _Grouped, voices: _Grouped) -> Iterator[Sample]:
    seen, heard = faces.get((split, label), []), voices.get((split, label), [])
    if not heard:
        return
    rng = np.random.default_rng((SEED, tuple(MOST).index(split), BASIC_7.index(label)))
    chosen = sorted(rng.permutation(len(seen))[: MOST[split]].tolist())
    turns = cycle(rng.permutation(len(heard)).tolist())
    for number in chosen:
        face, voice = seen[number], heard[next(turns)]
        assert isinstance(voice.voice, Recording)
        yield Sample(
            key=f"{voice.key}#{face.key}",
            source=face.source,
            split=split,
            subject=voice.subject,
            pixel_hash=face.pixel_hash,
            targets=Targets(label=label),
            sound=voice.voice,
        )


def _parts(*kinds: _Grouped) -> str:
    return " and ".join(", ".join(sorted({split for split, _ in kind})) or "none" for kind in kinds)
