"""How the bursts of a drawn reaction are heard: nonsense that goes on for 15 seconds, bent by them.

Where the voice is anxious it trembles, in pitch and in loudness, is breathy and hurries. Where it fears it is high and
halts after each syllable. Where it cries out it holds a loud open vowel. How high and how loud somebody speaks on the
whole is chance.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.data.drawing.voice import (
    RATE_HZ,
    STEP,
    VOWELS,
    Contour,
    Onset,
    Syllable,
    Voice,
    contour,
    random_manner,
    random_voice,
    speak,
)
from mien.data.reaction_course import SECONDS, Bursts
from mien.data.synthetic_voices import LOUDNESS_DB, PITCH_SHIFT

NOISE_DB = (-45.0, -28.0)
"""Least and greatest noise of the room, against the voice."""

_ONSETS: tuple[Onset, ...] = ("none", "stop", "stop", "fricative", "nasal")
_SYLLABLES_S = 4.6
_PAUSE = 0.06
_HALT_S = 0.16
_CRIES = 0.25
"""Height of a burst from which on the voice holds a vowel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What is known of the voice of a drawn reaction; ``T`` moments 5 ms apart.

    Attributes:
        times_s: ``float64 [T]``.
        bursts: height of the bursts of each kind of the voice, before the gain, ``float32 [T, 3]`` in [0, 1].
        gain: of the speaker.
        pitch_hz: ``float32 [T]``; 0 where there is none.
        loudness_db: of the whole; 0 is the power of a square wave of full height.
        syllables: what is said.
        speaker: who says it.
    """

    times_s: NDArray[np.float64]
    bursts: NDArray[np.float32]
    gain: float
    pitch_hz: NDArray[np.float32]
    loudness_db: float
    syllables: tuple[Syllable, ...]
    speaker: Voice


def say(
    bursts: Bursts, gain: float, *, speaker: np.random.Generator, rng: np.random.Generator
) -> tuple[NDArray[np.float32], Spoken]:
    """The sound of a voice, ``float32 [240000]`` in [-1, 1] at 16 kHz, and its truth.

    Args:
        bursts: of each kind of the voice, ``[3, K]``.
        gain: how large they show.
        speaker: chance from which the speaker comes.
        rng: all other chance.
    """
    times = np.arange(round(SECONDS * RATE_HZ) // STEP, dtype=np.float64) * (STEP / RATE_HZ)
    heights = bursts.contour(times)
    shown = np.clip(gain * heights, 0, 1.25)
    voice, manner = random_voice(speaker), random_manner("neutral", 0.0, rng)
    syllables = _syllables(shown, voice, rng)
    spoken = bent(contour(syllables, manner, SECONDS, rng), shown, rng)
    pitch_hz = voice.pitch_hz * 2 ** (rng.uniform(-PITCH_SHIFT, PITCH_SHIFT) / 12)
    loudness_db = float(rng.uniform(*LOUDNESS_DB))
    samples = _recorded(speak(spoken, syllables, voice, manner, pitch_hz, rng), loudness_db, rng)
    return samples, Spoken(
        times_s=times,
        bursts=heights.T.astype(np.float32),
        gain=gain,
        pitch_hz=np.where(spoken.voiced, pitch_hz * 2 ** (spoken.pitch / 12), 0).astype(np.float32),
        loudness_db=loudness_db,
        syllables=syllables,
        speaker=voice,
    )


def bent(spoken: Contour, shown: NDArray[np.float64], rng: np.random.Generator) -> Contour:
    """What is said, with the bursts in it.

    Args:
        spoken: without them.
        shown: height of each kind, ``[3, T]``.
        rng: source of chance.
    """
    anxious, afraid, cries = shown
    times = np.arange(len(spoken.pitch)) * (STEP / RATE_HZ)
    trembling = anxious * np.sin(2 * np.pi * (rng.uniform(5.5, 7.5) * times + rng.uniform()))
    speaks = spoken.loudness > -40
    return replace(
        spoken,
        pitch=spoken.pitch + 1.8 * trembling + 10 * afraid + 2.5 * cries,
        loudness=np.where(speaks, spoken.loudness + 4 * trembling - 2 * anxious + 2 * afraid + 9 * cries, -80),
        voicing=spoken.voicing * (1 - 0.35 * anxious),
        hiss=spoken.hiss + 0.35 * anxious,
    )


def _syllables(shown: NDArray[np.float64], voice: Voice, rng: np.random.Generator) -> tuple[Syllable, ...]:
    """Nonsense all the time: faster where it is anxious, halting where it fears, open vowels where it cries out."""
    found, now = list[Syllable](), float(rng.uniform(0, 0.25))
    while True:
        anxious, afraid, cries = shown[:, min(int(now * RATE_HZ / STEP), shown.shape[1] - 1)]
        rate = _SYLLABLES_S * voice.tempo * (1 + 0.5 * anxious) * (1 - 0.5 * min(cries, 1))
        length = float(np.exp(rng.normal(0, 0.12))) / rate
        wait = float(rng.uniform(0.15, 0.5)) * (rng.random() < _PAUSE) + _HALT_S * float(min(afraid, 1))
        onset, vowel = _ONSETS[rng.integers(len(_ONSETS))], tuple(VOWELS)[rng.integers(len(VOWELS))]
        share, stressed = float(rng.uniform(0.25, 0.4)), bool(rng.random() < 0.4)
        if cries > _CRIES:
            onset, vowel, wait, stressed = "none", "a", 0.0, False
        start = now + wait
        if start + length > SECONDS:
            return tuple(found)
        split = start + (0.0 if onset == "none" else share * length)
        found.append(
            Syllable(start_s=start, vowel_s=split, end_s=start + length, onset=onset, vowel=vowel, stressed=stressed)
        )
        now = start + length


def _recorded(voice: NDArray[np.float64], loudness_db: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """The voice in a room, at some loudness, ``float32`` in [-1, 1]."""
    noise = np.convolve(rng.standard_normal(len(voice) + 3), (0.4, 0.3, 0.2, 0.1), mode="valid")
    samples = voice + noise * (voice.std() / noise.std() * 10 ** (rng.uniform(*NOISE_DB) / 20))
    samples *= 10 ** (loudness_db / 20) / np.sqrt(np.mean(samples**2))
    recorded: NDArray[np.float32] = samples.clip(-1, 1).astype(np.float32)
    return recorded
