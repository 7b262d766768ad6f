"""Drawn voices with known truth: nonsense said with an expression, which lies in how pitch, rate and loudness move.

Seven classes, 1.92 s at 16 kHz, one channel: as long as a clip of :mod:`mien.data.synthetic_clips`, and of the same
class, person and part under the same number. How high the voice is on the whole, and how loud, is drawn without regard
to the class, so both together tell nothing of it (:func:`level_cap`); nor does one moment tell much.

A speaker says each of the seven classes once, and is in one of train, valid and test. A voice is a function of
``(index, seed)`` alone.
"""

import wave
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from mien.data.drawing.motion import FRAMES, RATE
from mien.data.drawing.voice import (
    RATE_HZ,
    STEP,
    Contour,
    Manner,
    Syllable,
    Voice,
    contour,
    random_manner,
    random_syllables,
    random_voice,
    speak,
)
from mien.data.synthetic import part_of
from mien.data.synthetic_clips import render_clip
from mien.media.frames import VideoInfo
from mien.media.video_writer import VideoWriter
from mien.schema.errors import DatasetError
from mien.schema.labels import BASIC_7

RENDERER = "mien.data.synthetic_voices:render_voice"
DEFAULT_COUNT = 2800
SECONDS = float(FRAMES / RATE)

PITCH_SHIFT = 1.5
"""Semitones by which a recording lies above or below the level of the voice, at most."""
LOUDNESS_DB = (-38.0, -20.0)
"""Least and greatest loudness of a recording: its mean power, against that of a square wave of full height."""
NOISE_DB = (-42.0, -18.0)
"""Least and greatest noise of the room, against the voice."""
INTENSITY = (0.4, 1.0)

_SPEAKER, _SPEECH, _LEVEL, _SOUND = range(11, 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceTruth:
    """What is known of a drawn voice.

    Attributes:
        label: canonical name of the class.
        intensity: of the expression, in (0, 1]; 0 for neutral.
        mean_pitch_hz: mean over the voiced moments, on a scale of semitones.
        loudness_db: of the whole; 0 is the power of a square wave of full height.
        times_s: moments 5 ms apart, ``float64 [T]``.
        pitch_hz: at each of them, ``float32 [T]``; 0 where there is none.
        moment_db: loudness at each of them, ``float32 [T]``; that of the vowel, consonants are softer.
        syllables: what is said.
        speaker: who says it.
    """

    label: str
    intensity: float
    mean_pitch_hz: float
    loudness_db: float
    times_s: NDArray[np.float64]
    pitch_hz: NDArray[np.float32]
    moment_db: NDArray[np.float32]
    syllables: tuple[Syllable, ...]
    speaker: Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One drawn voice of a set, without its sound.

    Attributes:
        key: unique and stable name.
        index: number of the voice.
        seed: seed of the set.
        label: canonical name of the class.
        intensity: of the expression.
        split: ``train``, ``valid`` or ``test``.
        speaker: name of the speaker; the person of the clip with the same number has the same.
    """

    key: str
    index: int
    seed: int
    label: str
    intensity: float
    split: str
    speaker: str


def render_voice(index: int, seed: int) -> tuple[NDArray[np.float32], VoiceTruth]:
    """Draw one voice: ``float32 [30720]`` in [-1, 1] at 16 kHz, and its truth.

    Args:
        index: number of the voice; its class is ``index`` modulo seven, the speaker ``index`` divided by seven.
        seed: seed of the set.
    """
    truth, manner, spoken = _speech(index, seed)
    rng = _rng(seed, _SOUND, index)
    voice = speak(spoken, truth.syllables, truth.speaker, manner, truth.mean_pitch_hz, rng)
    noise = np.convolve(rng.standard_normal(len(voice) + 3), (0.4, 0.3, 0.2, 0.1), mode="valid")
    noise *= voice.std() / noise.std() * 10 ** (rng.uniform(*NOISE_DB) / 20)
    samples = voice + noise
    samples *= 10 ** (truth.loudness_db / 20) / np.sqrt(np.mean(samples**2))
    return samples.clip(-1, 1).astype(np.float32), truth


def voice_truth(index: int, seed: int) -> VoiceTruth:
    """The truth of :func:`render_voice` without its sound, which is some thirty times as fast."""
    return _speech(index, seed)[0]


def utterances(n: int = DEFAULT_COUNT, seed: int = 0) -> list[Utterance]:
    """The first ``n`` voices of a seed; 60 % of the speakers train, 20 % valid, 20 % test.

    Raises:
        DatasetError: if ``n`` is below 1.
    """
    if n < 1:
        raise DatasetError(f"A set of drawn voices has at least 1; given: {n}.")
    return [_utterance(index, seed) for index in range(n)]


def level_cap() -> float:
    """Expected accuracy, and mean recall, of an oracle that knows mean pitch and mean loudness exactly: one in seven.

    Every speaker says each class once; the level of pitch is that of the speaker plus a shift, the loudness is drawn
    for itself, and neither looks at the class. So given both, all classes remain equally likely.
    """
    return 1 / len(BASIC_7)


def write_clip(path: Path, index: int, seed: int) -> Path:
    """Write the drawn clip and the drawn voice of one number as an MP4: 48 frames at 25 a second, AAC.

    Raises:
        ConfigError: if the name does not end in ``.mp4``.
        MediaError: if it cannot be written.
    """
    images, samples = render_clip(index, seed)[0], render_voice(index, seed)[0]
    height, width = images.shape[1:3]
    info = VideoInfo(
        width=width, height=height, rate=RATE, duration_s=SECONDS, frames=FRAMES, rotation_deg=0, codec="drawn",
        has_sound=True, time_base=1 / RATE,
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        sound = write_wav(Path(folder) / "voice.wav", samples)
        with VideoWriter(path, info, sound_from=sound) as writer:
            for number, image in enumerate(images):
                writer.write(image, float(number / RATE))
    return path


def write_wav(path: Path, samples: NDArray[np.float32]) -> Path:
    """Write a drawn voice as a WAV file of 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.rint(samples * 32_767).astype("<i2").tobytes())
    return path


def _rng(seed: int, stream: int, number: int) -> np.random.Generator:
    """Chance of its own for each purpose, and other than that of the drawn clips."""
    return np.random.default_rng([seed, stream, number, 0])


def _speech(index: int, seed: int) -> tuple[VoiceTruth, Manner, Contour]:
    """Everything but the sound. The levels come from a chance of their own, which knows nothing of the class."""
    label, level = BASIC_7.names[index % len(BASIC_7)], _rng(seed, _LEVEL, index)
    voice, rng = random_voice(_rng(seed, _SPEAKER, index // len(BASIC_7))), _rng(seed, _SPEECH, index)
    intensity = float(rng.uniform(*INTENSITY)) if label != "neutral" else 0.0
    manner = random_manner(label, intensity, rng)
    syllables = random_syllables(manner, voice, SECONDS, rng)
    spoken = contour(syllables, manner, SECONDS, rng)
    mean_hz = voice.pitch_hz * 2 ** (level.uniform(-PITCH_SHIFT, PITCH_SHIFT) / 12)
    loudness_db = float(level.uniform(*LOUDNESS_DB))
    truth = VoiceTruth(
        label=label,
        intensity=intensity,
        mean_pitch_hz=float(mean_hz),
        loudness_db=loudness_db,
        times_s=np.arange(len(spoken.pitch), dtype=np.float64) * (STEP / RATE_HZ),
        pitch_hz=np.where(spoken.voiced, mean_hz * 2 ** (spoken.pitch / 12), 0).astype(np.float32),
        moment_db=(spoken.loudness + loudness_db).astype(np.float32),
        syllables=syllables,
        speaker=voice,
    )
    return truth, manner, spoken


@lru_cache(maxsize=20_000)
def _utterance(index: int, seed: int) -> Utterance:
    truth = voice_truth(index, seed)
    return Utterance(
        key=f"drawn-voice-{seed}-{index:06d}",
        index=index,
        seed=seed,
        label=truth.label,
        intensity=round(truth.intensity, 4),
        split=part_of(index),
        speaker=f"drawn-{seed}-{index // len(BASIC_7):05d}",
    )
