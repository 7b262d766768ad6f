"""A parametric voice: who speaks, how an expression bends pitch, rate and loudness, and how it sounds.

Source and filter (G. Fant, "Acoustic Theory of Speech Production", 1960): pulses of a glottis and noise go through
resonances, whose places are those of vowels (G. Peterson and H. Barney, 1952, men's means, rounded). How expressions
differ follows the table of K. Scherer ("Vocal communication of emotion", 2003) in kind; all numbers are our own.

Contours are about 0: how high and how loud somebody speaks on the whole is no part of an expression here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]
Onset = Literal["none", "stop", "fricative", "nasal"]

RATE_HZ = 16_000
STEP = 80
"""Samples from one point of a contour to the next: 5 ms."""

PITCH_HZ = (85.0, 270.0)
"""Lowest and highest level of a voice."""

VOWELS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "i": (270, 2290, 3010),
        "e": (530, 1840, 2480),
        "a": (730, 1090, 2440),
        "o": (570, 840, 2410),
        "u": (300, 870, 2240),
        "er": (490, 1350, 1690),
    }
)
"""First three resonances, Hz."""

_UPPER_HZ = (3500, 4500, 5500, 6500)
_WIDTHS_HZ = (70, 90, 130, 180, 250, 300, 350)
_ONSETS: tuple[Onset, ...] = ("none", "stop", "stop", "fricative", "nasal")
_SYLLABLES_S = 4.6
_WINDOW, _BINS = 320, 512
_HZ = np.arange(_BINS // 2 + 1) * (RATE_HZ / _BINS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What stays the same whatever somebody says.

    Attributes:
        pitch_hz: how high the voice is.
        tract: factor of all resonances, above 1 for a short vocal tract.
        tempo: factor of the rate.
        breath: share of noise in the source.
        tilt_db: how much duller the voice is, dB for each octave above 500 Hz.
        jitter: standard deviation of the period, as a share.
    """

    pitch_hz: float
    tract: float
    tempo: float
    breath: float
    tilt_db: float
    jitter: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How something is said.

    Attributes:
        slope: rise of pitch from begin to end, semitones.
        arch: how far pitch is raised in the middle, semitones.
        accent: how far it is raised on stressed syllables, semitones.
        glide: how far it rises within each syllable, semitones.
        tremor: how far it trembles, six times a second, semitones.
        rate: factor of the rate of syllables.
        hurry: by how much the rate grows from begin to end, as a share.
        swell: rise of loudness from begin to end, dB.
        punch: how much louder stressed syllables are, dB.
        pauses: how many there are on average.
        breath: added to the share of noise.
        rough: added to the jitter.
    """

    slope: float = -1.5
    arch: float = 0.5
    accent: float = 1.2
    glide: float = -0.3
    tremor: float = 0.0
    rate: float = 1.0
    hurry: float = 0.0
    swell: float = -2.0
    punch: float = 2.5
    pauses: float = 0.3
    breath: float = 0.0
    rough: float = 0.0


MANNERS: Mapping[str, Manner] = MappingProxyType(
    {
        "neutral": Manner(),
        "happiness": Manner(slope=0, arch=3.5, accent=4, glide=1.2, rate=1.15, hurry=0.1, swell=0, punch=4.5),
        "sadness": Manner(slope=-4.5, arch=-0.5, accent=0.4, rate=0.72, hurry=-0.3, swell=-8, punch=1, pauses=1.2,
                          breath=0.12),
        "surprise": Manner(slope=7, arch=-2, accent=1.5, glide=1.5, rate=0.95, hurry=-0.4, swell=5, punch=3),
        "fear": Manner(slope=2.5, arch=0, accent=1, tremor=1, rate=1.3, hurry=0.4, swell=2, punch=1.5, pauses=0.8,
                       breath=0.08),
        "disgust": Manner(slope=-2.5, arch=-2, accent=2, glide=-2.5, rate=0.8, hurry=0.2, swell=-4, punch=6,
                          rough=0.02),
        "anger": Manner(slope=-1, arch=1.5, accent=4.5, glide=-2, rate=1.1, hurry=0.3, swell=3.5, punch=8, pauses=0.1,
                        rough=0.01),
    }
)  # fmt: skip
"""Each expression at full intensity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Syllable:
    """Times in seconds; ``vowel_s`` is where its consonant ends."""

    start_s: float
    vowel_s: float
    end_s: float
    onset: Onset
    vowel: str
    stressed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Contour:
    """What is said from moment to moment, ``[T]`` each.

    Attributes:
        pitch: semitones; the mean over all voiced moments is 0.
        loudness: dB; the mean power over all moments is 0 dB; -80 in silence.
        voicing: strength of the pulses, 0 to 1.
        hiss: strength of the noise of consonants, 0 to 1.
        nasal: 1 in nasal consonants.
    """

    pitch: Curve
    loudness: Curve
    voicing: Curve
    hiss: Curve
    nasal: Curve

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Where there is a pitch."""
        return (self.voicing > 0.2) & (self.loudness > -40)


def random_voice(rng: np.random.Generator) -> Voice:
    """Draw a speaker."""
    low, high = np.log(PITCH_HZ)
    return Voice(
        pitch_hz=float(np.exp(rng.uniform(low, high))),
        tract=float(rng.uniform(0.88, 1.18)),
        tempo=float(rng.uniform(0.85, 1.18)),
        breath=float(rng.uniform(0.02, 0.2)),
        tilt_db=float(rng.uniform(0, 6)),
        jitter=float(rng.uniform(0.002, 0.02)),
    )


def random_manner(label: str, intensity: float, rng: np.random.Generator) -> Manner:
    """How this person acts an expression now: each trait between none of it and a little too much.

    Args:
        label: a name in ``MANNERS``.
        intensity: 0 is as neutral as can be, 1 is full.
        rng: source of chance.
    """
    rest, full = Manner(), MANNERS[label]
    acted: dict[str, float] = {}
    for field in fields(Manner):
        base = float(getattr(rest, field.name))
        share = intensity * float(rng.uniform(0.5, 1.3)) * (0.2 if rng.random() < 0.1 else 1)
        acted[field.name] = base + share * (float(getattr(full, field.name)) - base)
    acted["slope"] += float(rng.normal(0, 0.8))
    acted["swell"] += float(rng.normal(0, 1.2))
    return Manner(**acted)


def random_syllables(manner: Manner, voice: Voice, seconds: float, rng: np.random.Generator) -> tuple[Syllable, ...]:
    """What is said in so many seconds, nonsense of some syllables; at least two."""
    now, end = rng.uniform((0.03, seconds - 0.17), (0.17, seconds - 0.03)).tolist()
    pause = manner.pauses / (_SYLLABLES_S * seconds)
    found: list[Syllable] = []
    while True:
        rate = _SYLLABLES_S * manner.rate * voice.tempo * (1 + manner.hurry * (now / seconds - 0.5))
        length = float(np.exp(rng.normal(0, 0.12))) / rate
        wait = float(rng.uniform(0.12, 0.28)) if found and rng.random() < pause else 0.0
        stressed, onset = bool(rng.random() < 0.4), _ONSETS[rng.integers(len(_ONSETS))]
        vowel, share = tuple(VOWELS)[rng.integers(len(VOWELS))], float(rng.uniform(0.25, 0.4))
        if now + wait + length > end and len(found) > 1:
            return tuple(found)
        now += wait
        split = now + (0.0 if onset == "none" else share * length)
        found.append(
            Syllable(start_s=now, vowel_s=split, end_s=now + length, onset=onset, vowel=vowel, stressed=stressed)
        )
        now += length


def contour(syllables: Sequence[Syllable], manner: Manner, seconds: float, rng: np.random.Generator) -> Contour:
    """Pitch, loudness and voicing of some syllables said in some manner."""
    t = np.arange(round(seconds * RATE_HZ) // STEP, dtype=np.float64) * (STEP / RATE_HZ)
    u = np.clip((t - syllables[0].start_s) / (syllables[-1].end_s - syllables[0].start_s), 0, 1) - 0.5
    pitch = manner.slope * u + manner.arch * (1 - 4 * u**2)
    pitch += manner.tremor * np.sin(2 * np.pi * (rng.uniform(5, 7) * t + rng.uniform())) + _wander(len(t), rng) * 0.25
    loudness = manner.swell * u + _wander(len(t), rng)
    gate, voicing, hiss, nasal = np.zeros((4, len(t)))
    for one in syllables:
        inside = (t >= one.start_s) & (t < one.end_s)
        place = (t[inside] - one.start_s) / (one.end_s - one.start_s)
        raised = manner.accent * np.sin(np.pi * place) if one.stressed else 0.0
        pitch[inside] += raised + manner.glide * (place - 0.5) + rng.normal(0, 0.5)
        loudness[inside] += manner.punch * one.stressed + rng.normal(0, 1.2)
        gate[inside] = voicing[inside] = 1
        _say_onset(one, t, voicing, hiss, nasal)
    gate, voicing, hiss = (_smooth(curve, 7) for curve in (gate, voicing, hiss))
    loudness = _smooth(loudness, 9) + 20 * np.log10(np.maximum(gate, 1e-4))
    loudness = np.maximum(loudness - 10 * np.log10(np.mean(10 ** (loudness / 10))), -80)
    spoken = Contour(pitch=_smooth(pitch, 5), loudness=loudness, voicing=voicing, hiss=hiss, nasal=_smooth(nasal, 7))
    spoken.pitch[:] -= spoken.pitch[spoken.voiced].mean()
    return spoken


def speak(
    spoken: Contour, syllables: Sequence[Syllable], voice: Voice, manner: Manner, pitch_hz: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:  # fmt: skip
    """The sound, ``float64 [T * STEP]``, at no particular level.

    Args:
        spoken: what is said from moment to moment.
        syllables: what is said.
        voice: who says it.
        manner: how it is said.
        pitch_hz: where the pitch of the contour is 0.
        rng: source of chance.
    """
    size = len(spoken.pitch) * STEP
    breath, jitter = voice.breath + manner.breath, voice.jitter + max(0.0, manner.rough)
    strength = _to_samples(10 ** (spoken.loudness / 20))
    pulses = _pulses(spoken, pitch_hz, jitter, rng) * (1 - breath) + rng.standard_normal(size) * breath
    source = _windows(pulses * strength * _to_samples(spoken.voicing))
    hiss = _windows(rng.standard_normal(size) * strength * _to_samples(spoken.hiss))
    band = np.exp(-0.5 * ((_HZ - rng.uniform(3200, 5800) * voice.tract) / 1300) ** 2)
    spectra = source * _resonances(spoken, syllables, voice) + 0.15 * hiss * band
    return _overlapped(spectra, size)


def _say_onset(one: Syllable, t: Curve, voicing: Curve, hiss: Curve, nasal: Curve) -> None:
    """Put a consonant before the vowel, in place."""
    inside = (t >= one.start_s) & (t < one.vowel_s)
    if one.onset == "nasal":
        voicing[inside], nasal[inside] = 0.5, 1
    elif one.onset == "fricative":
        voicing[inside], hiss[inside] = 0, 1
    elif one.onset == "stop":
        voicing[inside], hiss[inside & (t > one.vowel_s - 0.02)] = 0, 1


def _pulses(spoken: Contour, pitch_hz: float, jitter: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """The derivative of the flow through the glottis: it opens slowly and shuts fast (A. Rosenberg, 1971)."""
    uneven = np.exp(jitter * rng.standard_normal(len(spoken.pitch)))
    hz = _to_samples(pitch_hz * 2 ** (spoken.pitch / 12) * uneven)
    phase = (np.cumsum(hz) / RATE_HZ + rng.uniform()) % 1
    opening, shutting = 0.4, 0.2
    opens = np.sin(np.pi * phase / opening) / opening
    shuts = -np.sin(np.pi * (phase - opening) / (2 * shutting)) / shutting
    pulses: Curve = np.where(phase < opening, opens, np.where(phase < opening + shutting, shuts, 0.0)) / 2
    return pulses


def _resonances(spoken: Contour, syllables: Sequence[Syllable], voice: Voice) -> NDArray[np.float64]:
    """Amplification of each frequency at each moment, ``[T, bins]``, equally loud for all vowels."""
    t = np.arange(len(spoken.pitch)) * (STEP / RATE_HZ)
    number = np.clip(np.searchsorted([one.start_s for one in syllables], t, side="right") - 1, 0, None)
    places = np.array([VOWELS[one.vowel] for one in syllables], np.float64)[number]
    places[:, 0] += spoken.nasal * (260 - places[:, 0])
    moving = np.stack([_smooth(place, 11) for place in places.T], axis=1) * voice.tract
    damped = 1 + 1.5 * spoken.nasal[:, None, None]
    power = _resonance(moving[:, :, None], np.array(_WIDTHS_HZ[:3])[:, None] * damped).prod(axis=1)
    upper = np.array(_UPPER_HZ)[:, None] * voice.tract
    power = power * _resonance(upper, np.array(_WIDTHS_HZ[3:])[:, None]).prod(axis=0)
    power = power * 10 ** (-voice.tilt_db * np.log2(np.maximum(_HZ, 500) / 500) / 10)
    weight = 1 / (1 + (_HZ / 200) ** 2)
    gain: NDArray[np.float64] = np.sqrt(power / (power @ weight)[:, None])
    return gain


def _resonance(hz: NDArray[np.float64], width_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power of a resonance by frequency, 1 at 0 Hz."""
    power: NDArray[np.float64] = hz**4 / ((hz**2 - _HZ**2) ** 2 + (_HZ * width_hz) ** 2)
    return power


def _wander(size: int, rng: np.random.Generator) -> Curve:
    """Slow noise of deviation about 1."""
    return _smooth(rng.standard_normal(size), 41) * 5


def _smooth(curve: Curve, width: int) -> Curve:
    weights = np.hanning(width + 2)[1:-1]
    padded = np.pad(curve, width // 2, mode="edge")
    return np.convolve(padded, weights / weights.sum(), mode="valid")


def _to_samples(curve: Curve) -> Curve:
    places = np.arange(len(curve) * STEP) / STEP
    return np.interp(places, np.arange(len(curve)), curve)


def _windows(samples: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Spectra around each moment, ``[T, bins]``."""
    padded = np.pad(samples, _WINDOW // 2)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[: len(samples) : STEP] * hann
    margin = (_BINS - _WINDOW) // 2
    return np.fft.rfft(np.pad(pieces, ((0, 0), (margin, margin))), axis=1)


def _overlapped(spectra: NDArray[np.complex128], size: int) -> NDArray[np.float64]:
    """Inverse of :func:`_windows`."""
    pieces = np.fft.irfft(spectra, axis=1) * (2 * STEP / _WINDOW)
    whole = np.zeros(size + _BINS)
    for number, piece in enumerate(pieces):
        whole[number * STEP : number * STEP + _BINS] += piece
    return whole[_BINS // 2 : _BINS // 2 + size]
