"""Drawn clips with known truth: expressions with onset, apex and offset, and 68 exact landmarks in every frame.

Seven classes, 48 frames of 128x128 pixels at 25 a second. Except in the class neutral, two expressions follow each
other, and the clip is labelled by the second: surprise that turns into happiness is ``happiness``, happiness that turns
into surprise is ``surprise``. The two share all their frames, so no frame tells which of them it is, nor do all frames
without their order; :func:`single_frame_cap` and :func:`unordered_cap` say how far one gets without time.

A person acts each of the seven classes once, and is in one of train, valid and test. A clip is a function of
``(index, seed)`` alone, whichever of its frames are drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.drawing.acting import moved_faces, moving_looks, points_of, random_place
from mien.data.drawing.look import Look, random_look, random_units
from mien.data.drawing.motion import (
    FRAMES,
    RATE,
    Bump,
    expressive_share,
    random_blinks,
    random_course,
    random_sway,
)
from mien.data.drawing.paint import SIDE_PX, paint
from mien.data.drawing.shape import UNITS, Projected
from mien.data.synthetic import part_of
from mien.schema.errors import DatasetError
from mien.schema.labels import BASIC_7
from mien.schema.sample import RenderedClip, Sample, Targets

RENDERER = "mien.data.synthetic_clips:render_clip"
DEFAULT_COUNT = 2800

BEFORE = {
    "happiness": "surprise",
    "surprise": "happiness",
    "sadness": "fear",
    "fear": "sadness",
    "disgust": "anger",
    "anger": "disgust",
}
"""Which expression turns into that of the class."""

_PERSON, _SHAPE, _COURSE, _ACTING, _PLACE, _CAMERA = range(1, 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One expression of a clip, in seconds from its first frame; before 0 or after the last where it is cut off.

    Attributes:
        label: canonical name of the expression.
        intensity: at the apex, in (0, 1].
        onset_s: when it begins to show.
        apex_s: the middle of its apex.
        offset_s: when it has gone.
    """

    label: str
    intensity: float
    onset_s: float
    apex_s: float
    offset_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipTruth:
    """What is known of the frames that were drawn.

    Attributes:
        label: canonical name of the clip's class.
        frames: their numbers in the clip, ``int64 [N]``.
        landmarks: ``float32 [N, 68, 2]``, ``(x, y)`` in pixels.
        intensity: of each expression, ``float32 [N, 7]`` in [0, 1], in the order of ``BASIC_7``; neutral is always 0.
        eyes_closed: how far the lids are closed, ``float32 [N]`` in [0, 1].
        episodes: the expressions of the whole clip in the order of time.
    """

    label: str
    frames: NDArray[np.int64]
    landmarks: NDArray[np.float32]
    intensity: NDArray[np.float32]
    eyes_closed: NDArray[np.float32]
    episodes: tuple[Episode, ...]


def render_clip(index: int, seed: int, frames: Sequence[int] | None = None) -> tuple[NDArray[np.uint8], ClipTruth]:
    """Draw frames of one clip: ``uint8 [N, 128, 128, 3]`` RGB and their truth.

    Args:
        index: number of the clip; its class is ``index`` modulo seven, the person ``index`` divided by seven.
        seed: seed of the set.
        frames: which frames, 0 to 47, in any order; ``None`` draws all. The others cost nothing.
    """
    numbers = np.arange(FRAMES) if frames is None else np.asarray(frames, np.int64).reshape(-1)
    assert ((numbers >= 0) & (numbers < FRAMES)).all(), f"a drawn clip has frames 0 to {FRAMES - 1}; asked: {numbers}"
    bumps, closed = course(index, seed), _blinks(index, seed)
    units = _units(index, seed, bumps, numbers)
    faces = _faces(index, seed, units, closed, numbers)
    looks = _looks(index, seed, numbers)
    images = np.empty((len(numbers), SIDE_PX, SIDE_PX, 3), np.uint8)
    for i, (face, look, number) in enumerate(zip(faces, looks, numbers, strict=True)):
        named = dict(zip(UNITS, units[i].tolist(), strict=True))
        images[i] = paint(face, named, look, _rng(seed, _PLACE, index), camera=_rng(seed, _CAMERA, index, int(number)))
    return images, ClipTruth(
        label=_label(index),
        frames=numbers,
        landmarks=points_of(faces),
        intensity=_intensities(bumps, numbers),
        eyes_closed=closed[numbers].astype(np.float32),
        episodes=_episodes(bumps),
    )


def render_clip_landmarks(index: int, seed: int) -> NDArray[np.float32]:
    """The landmarks of all frames, ``float32 [48, 68, 2]``, without drawing one: those of :func:`render_clip`."""
    numbers = np.arange(FRAMES)
    units = _units(index, seed, course(index, seed), numbers)
    return points_of(_faces(index, seed, units, _blinks(index, seed), numbers))


def course(index: int, seed: int) -> tuple[Bump, ...]:
    """The expressions of a clip in time, without a pixel: none for neutral, else the earlier and the later one."""
    label = _label(index)
    return () if label == "neutral" else random_course(BEFORE[label], label, _rng(seed, _COURSE, index))


def samples(n: int = DEFAULT_COUNT, seed: int = 0) -> list[Sample]:
    """The first ``n`` clips of a seed, drawn when they are read; 60 % of the persons train, 20 % valid, 20 % test.

    Raises:
        DatasetError: if ``n`` is below 1.
    """
    if n < 1:
        raise DatasetError(f"A set of drawn clips has at least 1; given: {n}.")
    return [_sample(index, seed) for index in range(n)]


def read(root: Path | None = None) -> list[Sample]:
    """Clips drawn on demand.

    Raises:
        DatasetError: if a root is given: they lie nowhere.
    """
    if root is not None:
        raise DatasetError(f"Drawn clips are made as they are read and lie nowhere, so leave out the root {root}.")
    return samples()


def single_frame_cap() -> float:
    """Expected accuracy, and mean recall, of an oracle that knows everything about one frame, its number included.

    With ``C = 7`` classes and ``q`` the share of a clip in which an expression shows: a face at rest is best called
    neutral, which is always right in that class (``1 / C``) and never in the others. A face that shows an expression
    tells the pair of classes but not which of the two (``(C - 1) / C * q / 2``). Whatever else is in the picture is
    drawn independently of the class. A network that sees one frame can do no better on average.
    """
    classes = len(BASIC_7)
    return 1 / classes + (classes - 1) / classes * expressive_share() / 2


def unordered_cap() -> float:
    """Expected accuracy, and mean recall, of an oracle that knows everything about all frames except their order.

    It tells neutral and the three pairs apart, and has to guess within a pair.
    """
    classes = len(BASIC_7)
    return 1 / classes + (classes - 1) / classes / 2


def _rng(seed: int, stream: int, *numbers: int) -> np.random.Generator:
    """Chance of its own for each purpose; always four numbers, because leading ones with zeros behind are equal."""
    first, second = (*numbers, 0, 0)[:2]
    return np.random.default_rng([seed, stream, first, second])


def _label(index: int) -> str:
    return BASIC_7.names[index % len(BASIC_7)]


def _blinks(index: int, seed: int) -> NDArray[np.float64]:
    return random_blinks(_rng(seed, _ACTING, index, 2))


def _intensities(bumps: Sequence[Bump], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    intensity = np.zeros((len(numbers), len(BASIC_7)), np.float32)
    for bump in bumps:
        intensity[:, BASIC_7.index(bump.label)] = bump.intensity(numbers)
    return intensity


def _units(index: int, seed: int, bumps: Sequence[Bump], numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Activation of the action units, ``[N, units]``: from the face at rest towards what this person acts."""
    resting = random_units("neutral", 0.0, _rng(seed, _ACTING, index))
    units = np.repeat(resting[None], len(numbers), axis=0)
    rng = _rng(seed, _ACTING, index, 1)
    for bump in sorted(bumps, key=lambda bump: bump.label):
        units += bump.intensity(numbers)[:, None] * (random_units(bump.label, 1.0, rng) - resting)
    clipped: NDArray[np.float64] = np.clip(units, -0.15, 1.25)
    return clipped


def _faces(
    index: int, seed: int, units: NDArray[np.float64], closed: NDArray[np.float64], numbers: NDArray[np.int64]
) -> list[Projected]:
    """One face a frame: the same person, moved."""
    rng = _rng(seed, _PLACE, index, 1)
    place, sway = random_place(rng), random_sway(rng)
    return moved_faces(units, closed, numbers, place, sway, _rng(seed, _SHAPE, index // len(BASIC_7)))


def _looks(index: int, seed: int, numbers: NDArray[np.int64]) -> list[Look]:
    """The looks of the person, in the clothes and the light of the clip, at each frame."""
    rng = _rng(seed, _PLACE, index, 2)
    scene, sway = random_look(rng), random_sway(rng)
    return moving_looks(numbers, _rng(seed, _PERSON, index // len(BASIC_7)), scene, sway)


def _episodes(bumps: Sequence[Bump]) -> tuple[Episode, ...]:
    """Each bump where it overlaps the clip, which may be at both ends."""
    found = []
    for bump in bumps:
        for onset in (bump.onset - FRAMES, bump.onset):
            if onset + bump.length > 0:
                apex = onset + bump.rise + bump.hold / 2
                onset_s, apex_s, offset_s = (float(f / RATE) for f in (onset, apex, onset + bump.length))
                found.append(
                    Episode(label=bump.label, intensity=bump.peak, onset_s=onset_s, apex_s=apex_s, offset_s=offset_s)
                )
    return tuple(sorted(found, key=lambda episode: episode.onset_s))


@lru_cache(maxsize=20_000)
def _sample(index: int, seed: int) -> Sample:
    bumps = course(index, seed)
    return Sample(
        key=f"drawn-clip-{seed}-{index:06d}",
        source=RenderedClip(RENDERER, index, seed, FRAMES, RATE),
        split=part_of(index),
        subject=f"drawn-{seed}-{index // len(BASIC_7):05d}",
        targets=Targets(label=_label(index), intensity=round(bumps[-1].peak, 4) if bumps else 0.0),
    )
