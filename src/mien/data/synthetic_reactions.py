"""Drawn reactions with known strengths: 15 seconds of a face that moves and a voice, which only together tell all.

150 frames of 128x128 pixels at 10 a second, and sound at 16 kHz. What happens in a clip, and what it means, stands in
:mod:`mien.data.reaction_course`: of seven reactions two are seen only, two are heard only, and three lie in whether the
voice cries out when the face starts, after it, or before. The names are those of Hume-Reaction, and nothing more: no
reaction of a person looks or sounds like this.

How large a burst shows is that of the course times a gain of the person, one for the face and one for the voice, of
which the label knows nothing. Everybody acts each burst a little differently. Pose, light, gaze, blinks, clothes and
background are drawn independently of all of it.

A person has seven clips, and is in one of train, valid and test. A clip is a function of ``(index, seed)`` alone,
whichever of its frames are drawn; each is drawn by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from mien.data.drawing.acting import moved_faces, moving_looks, points_of, random_place
from mien.data.drawing.look import random_look, random_units
from mien.data.drawing.motion import random_blinks, random_sway
from mien.data.drawing.paint import SIDE_PX, paint
from mien.data.drawing.shape import UNITS, Projected
from mien.data.reaction_course import SECONDS, Course, random_course
from mien.data.reaction_voice import Spoken, say
from mien.data.synthetic import part_of
from mien.data.synthetic_voices import write_wav
from mien.media.frames import VideoInfo
from mien.media.video_writer import VideoWriter
from mien.schema.errors import DatasetError
from mien.schema.labels import HUME_REACTION
from mien.schema.sample import RenderedClip, RenderedVoice, Sample, Targets

RENDERER = "mien.data.synthetic_reactions:render_clip"
VOICE_RENDERER = "mien.data.synthetic_reactions:render_voice"
DEFAULT_COUNT = 3500
RATE = Fraction(10)
FRAMES = 150
CLIPS = 7
"""Clips of one person."""

ACTED = ("happiness", "disgust", "surprise")
"""Expression that a burst of each kind of the face shows."""
GAIN = (0.65, 1.35)
"""Least and greatest gain of a person, of face and voice each."""

_CYCLES = (1.0, 6.0)
_BLINKS, _LID_FRAMES = 4.0, (0.8, 1.4)
_COURSE, _PERSON, _SHAPE, _ACTING, _PLACE, _CAMERA, _SPEAKER, _SOUND = range(31, 39)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionTruth:
    """What is known of the frames that were drawn.

    Attributes:
        frames: their numbers in the clip, ``int64 [N]``.
        landmarks: ``float32 [N, 68, 2]``, ``(x, y)`` in pixels.
        face: height of the bursts of each kind of the face in them, before the gain, ``float32 [N, 3]`` in [0, 1].
        gain: of the person's face.
        intensities: label of the clip, ``float64 [7]`` in the order of ``HUME_REACTION``.
        course: what happens in the clip.
    """

    frames: NDArray[np.int64]
    landmarks: NDArray[np.float32]
    face: NDArray[np.float32]
    gain: float
    intensities: NDArray[np.float64]
    course: Course


def render_clip(index: int, seed: int, frames: Sequence[int] | None = None) -> tuple[NDArray[np.uint8], ReactionTruth]:
    """Draw frames of one clip: ``uint8 [N, 128, 128, 3]`` RGB and their truth.

    Args:
        index: number of the clip; the person is ``index`` divided by seven.
        seed: seed of the set.
        frames: which frames, 0 to 149, in any order; ``None`` draws all. The others cost nothing.
    """
    numbers = np.arange(FRAMES) if frames is None else np.asarray(frames, np.int64).reshape(-1)
    assert ((numbers >= 0) & (numbers < FRAMES)).all(), f"a drawn clip has frames 0 to {FRAMES - 1}; asked: {numbers}"
    units = _units(index, seed, numbers)
    faces = _faces(index, seed, units, numbers)
    scene = _rng(seed, _PLACE, index, 2)
    looks = moving_looks(
        numbers, _rng(seed, _PERSON, index // CLIPS), random_look(scene), random_sway(scene, FRAMES, _CYCLES)
    )
    images = np.empty((len(numbers), SIDE_PX, SIDE_PX, 3), np.uint8)
    for i, (face, look, number) in enumerate(zip(faces, looks, numbers, strict=True)):
        named = dict(zip(UNITS, units[i].tolist(), strict=True))
        images[i] = paint(face, named, look, _rng(seed, _PLACE, index), camera=_rng(seed, _CAMERA, index, int(number)))
    return images, ReactionTruth(
        frames=numbers,
        landmarks=points_of(faces),
        face=_bursts(index, seed, numbers).T.astype(np.float32),
        gain=gains(index, seed)[0],
        intensities=course(index, seed).intensities(),
        course=course(index, seed),
    )


def render_clip_landmarks(index: int, seed: int) -> NDArray[np.float32]:
    """The landmarks of all frames, ``float32 [150, 68, 2]``, without drawing one: those of :func:`render_clip`."""
    numbers = np.arange(FRAMES)
    return points_of(_faces(index, seed, _units(index, seed, numbers), numbers))


def render_voice(index: int, seed: int) -> tuple[NDArray[np.float32], Spoken]:
    """Draw the voice of one clip: ``float32 [240000]`` in [-1, 1] at 16 kHz, and its truth.

    Args:
        index: number of the clip; the speaker is ``index`` divided by seven.
        seed: seed of the set.
    """
    return say(
        course(index, seed).voice,
        gains(index, seed)[1],
        speaker=_rng(seed, _SPEAKER, index // CLIPS),
        rng=_rng(seed, _SOUND, index),
    )


def course(index: int, seed: int) -> Course:
    """What happens in a clip, without a pixel or a sound."""
    return random_course(_rng(seed, _COURSE, index))


def gains(index: int, seed: int) -> tuple[float, float]:
    """How large the bursts of a person's face and voice show."""
    face, voice = np.clip(np.exp(_rng(seed, _PERSON, index // CLIPS, 1).normal(0, 0.2, 2)), *GAIN).tolist()
    return face, voice


def samples(n: int = DEFAULT_COUNT, seed: int = 0) -> list[Sample]:
    """The first ``n`` clips of a seed, drawn when they are read; 60 % of the persons train, 20 % valid, 20 % test.

    Raises:
        DatasetError: if ``n`` is below 1.
    """
    if n < 1:
        raise DatasetError(f"A set of drawn reactions has at least 1; given: {n}.")
    return [_sample(index, seed) for index in range(n)]


def read(root: Path | None = None) -> list[Sample]:
    """Faces with voices, drawn on demand.

    Raises:
        DatasetError: if a root is given: they lie nowhere.
    """
    if root is not None:
        raise DatasetError(f"Drawn reactions are made as they are read and lie nowhere, so leave out the root {root}.")
    return samples()


def write_clip(path: Path, index: int, seed: int) -> Path:
    """Write one clip with its voice as an MP4: 150 frames at 10 a second, AAC.

    Raises:
        ConfigError: if the name does not end in ``.mp4``.
        MediaError: if it cannot be written.
    """
    info = VideoInfo(
        width=SIDE_PX, height=SIDE_PX, rate=RATE, duration_s=SECONDS, frames=FRAMES, rotation_deg=0, codec="drawn",
        has_sound=True, time_base=1 / RATE,
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        sound = write_wav(Path(folder) / "voice.wav", render_voice(index, seed)[0])
        with VideoWriter(path, info, sound_from=sound) as writer:
            for number, image in enumerate(render_clip(index, seed)[0]):
                writer.write(image, float(number / RATE))
    return path


def _rng(seed: int, stream: int, *numbers: int) -> np.random.Generator:
    """Chance of its own for each purpose, and other than that of drawn clips and voices; always four numbers."""
    first, second = (*numbers, 0, 0)[:2]
    return np.random.default_rng([seed, stream, first, second])


def _bursts(index: int, seed: int, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Height of the bursts of the face, ``[3, N]``."""
    return course(index, seed).face.contour(numbers.astype(np.float64) * float(1 / RATE))


def _units(index: int, seed: int, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Activation of the action units, ``[N, units]``: from the face at rest towards what this person acts."""
    resting = random_units("neutral", 0.0, _rng(seed, _ACTING, index))
    rng, units = _rng(seed, _ACTING, index, 1), np.repeat(resting[None], len(numbers), axis=0)
    for label, height in zip(ACTED, gains(index, seed)[0] * _bursts(index, seed, numbers), strict=True):
        units += height[:, None] * (random_units(label, 1.0, rng) - resting)
    clipped: NDArray[np.float64] = np.clip(units, -0.15, 1.25)
    return clipped


def _faces(index: int, seed: int, units: NDArray[np.float64], numbers: NDArray[np.int64]) -> list[Projected]:
    rng = _rng(seed, _PLACE, index, 1)
    place, sway = random_place(rng), random_sway(rng, FRAMES, _CYCLES)
    closed = random_blinks(_rng(seed, _ACTING, index, 2), FRAMES, _BLINKS, _LID_FRAMES)
    return moved_faces(units, closed, numbers, place, sway, _rng(seed, _SHAPE, index // CLIPS))


@lru_cache(maxsize=20_000)
def _sample(index: int, seed: int) -> Sample:
    told = np.round(course(index, seed).intensities(), 4).tolist()
    return Sample(
        key=f"drawn-reaction-{seed}-{index:06d}",
        source=RenderedClip(RENDERER, index, seed, FRAMES, RATE),
        split=part_of(index),
        subject=f"drawn-{seed}-{index // CLIPS:05d}",
        targets=Targets(intensities=tuple(zip(HUME_REACTION.names, told, strict=True))),
        sound=RenderedVoice(VOICE_RENDERER, index, seed),
    )
