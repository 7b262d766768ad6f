"""How a voice is drawn: what is heard is what the contours say."""

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest

from mien.data.drawing.voice import (
    MANNERS,
    PITCH_HZ,
    RATE_HZ,
    STEP,
    VOWELS,
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
from mien.schema.labels import BASIC_7

VOICE = Voice(pitch_hz=100, tract=1.0, tempo=1.0, breath=0.02, tilt_db=0.0, jitter=0.0)
SECONDS = 2.0


def steady(seconds=1.0):
    size = round(seconds * RATE_HZ) // STEP
    zeros, ones = np.zeros(size), np.ones(size)
    return Contour(pitch=zeros, loudness=zeros, voicing=ones, hiss=zeros, nasal=zeros)


def vowel(name, **changes):
    said = Syllable(start_s=0, vowel_s=0, end_s=1, onset="none", vowel=name, stressed=False)
    voice = replace(VOICE, **changes)
    return speak(steady(), [said], voice, Manner(), voice.pitch_hz, np.random.default_rng(0))


def drawn(label, number, intensity=1.0):
    rng = np.random.default_rng(number)
    manner = random_manner(label, intensity, rng)
    syllables = random_syllables(manner, random_voice(rng), SECONDS, rng)
    return manner, syllables, contour(syllables, manner, SECONDS, rng)


def fitted(spoken, syllables):
    """Rise of pitch and of loudness from begin to end, by least squares over the voiced moments."""
    t = np.arange(len(spoken.pitch)) * STEP / RATE_HZ
    u = (t - syllables[0].start_s) / (syllables[-1].end_s - syllables[0].start_s)
    at = spoken.voiced
    return np.polyfit(u[at], spoken.pitch[at], 1)[0], np.polyfit(u[at], spoken.loudness[at], 1)[0]


@pytest.mark.parametrize("pitch_hz", [90, 160, 270])
def test_the_pitch_is_as_asked(pitch_hz):
    samples = vowel("a", pitch_hz=pitch_hz)[4000:12_000]
    likeness = np.fft.irfft(np.abs(np.fft.rfft(samples, 1 << 15)) ** 2)[: RATE_HZ // 50]
    period = RATE_HZ / pitch_hz
    low, high = int(period / 1.7), int(period * 1.7)
    assert low + likeness[low:high].argmax() == pytest.approx(period, abs=1)
    assert likeness[low:high].max() > 0.9 * likeness[0]


@pytest.mark.parametrize("tract", [0.9, 1.15])
@pytest.mark.parametrize("name", ["i", "a", "o"])
def test_vowels_have_their_resonances(name, tract):
    """The envelope of a noisy voice, smoothed, is higher at the first two resonances than between and beside them."""
    samples = vowel(name, breath=1.0, tract=tract)[4000:12_000]
    power = np.abs(np.fft.rfft(samples.reshape(-1, 800) * np.hanning(800), axis=1)) ** 2
    hz, mean = np.arange(401) * RATE_HZ / 800, power.mean(axis=0)

    def at(place):
        return mean[np.abs(hz - place) < 60].mean()

    first, second, _ = (place * tract for place in VOWELS[name])
    assert at(second) > 1.5 * at((second + VOWELS[name][2] * tract) / 2)
    assert at(first) > 1.5 * at(first + (second - first) * (0.5 if second - first > 500 else 1.8))


def test_vowels_are_equally_loud():
    loudness = [20 * np.log10(vowel(name, breath=0.3)[4000:12_000].std()) for name in VOWELS]
    assert np.ptp(loudness) < 9


def test_contours_are_about_nothing():
    """Neither pitch nor loudness has a level, whatever is expressed."""
    for label in BASIC_7.names:
        for number in range(5):
            _, _, spoken = drawn(label, number)
            assert spoken.pitch[spoken.voiced].mean() == pytest.approx(0, abs=1e-9)
            assert np.mean(10 ** (spoken.loudness / 10)) == pytest.approx(1, abs=0.001)
            assert np.abs(spoken.pitch[spoken.voiced]).max() < 14
            assert spoken.voiced.mean() > 0.3
            assert spoken.loudness.min() >= -80
            for strength in (spoken.voicing, spoken.hiss, spoken.nasal):
                assert (strength.min(), strength.max()) >= (-1e-9, 0)
                assert strength.max() <= 1 + 1e-9


def test_expressions_move_as_their_manner_says():
    rises, swells = {}, {}
    for label in BASIC_7.names:
        found = [fitted(spoken, said) for _, said, spoken in (drawn(label, number) for number in range(40))]
        rises[label], swells[label] = np.median(found, axis=0)
    for label, manner in MANNERS.items():
        assert rises[label] == pytest.approx(0.9 * manner.slope, abs=1.6), label
        assert swells[label] == pytest.approx(0.9 * manner.swell, abs=2.5), label
    assert rises["surprise"] > 3 > rises["happiness"] > rises["sadness"]
    assert swells["surprise"] > 1 > swells["neutral"] > swells["sadness"]


def test_expressions_have_their_pace():
    def pace(label):
        """Syllables a second, without pauses."""
        said = [drawn(label, number)[1] for number in range(40)]
        return np.mean([len(one) / sum(s.end_s - s.start_s for s in one) for one in said])

    paces = {label: pace(label) for label in BASIC_7.names}
    assert paces["fear"] > paces["neutral"] > paces["sadness"]
    assert 3 < paces["sadness"] < 4.5 < paces["fear"] < 8


def test_syllables_follow_each_other():
    for number in range(60):
        _, said, _ = drawn(BASIC_7.names[number % 7], number)
        assert len(said) >= 2
        assert said[0].start_s >= 0.03
        for before, after in pairwise(said):
            assert before.end_s <= after.start_s + 1e-9
        for one in said:
            assert one.start_s <= one.vowel_s < one.end_s
            assert (one.vowel_s == one.start_s) == (one.onset == "none")
        assert len(said) == 2 or said[-1].end_s <= SECONDS


def test_no_intensity_is_neutral_and_half_is_less():
    rest = Manner()
    for label in BASIC_7.names:
        manner = random_manner(label, 0.0, np.random.default_rng(1))
        for field in fields(Manner):
            if field.name not in ("slope", "swell"):
                assert getattr(manner, field.name) == getattr(rest, field.name)
    half, full = (random_manner("anger", share, np.random.default_rng(3)) for share in (0.5, 1.0))
    assert rest.punch < half.punch < full.punch
    assert MANNERS["neutral"] == rest


def test_speakers_differ_within_their_ranges():
    voices = [random_voice(np.random.default_rng(number)) for number in range(300)]
    pitches = np.array([voice.pitch_hz for voice in voices])
    assert PITCH_HZ[0] <= pitches.min() < 95 < 250 < pitches.max() <= PITCH_HZ[1]
    assert np.median(pitches) == pytest.approx(np.sqrt(np.prod(PITCH_HZ)), rel=0.1)
    assert np.std([voice.tract for voice in voices]) > 0.07


def test_roughness_and_breath_are_heard():
    """What is left between the harmonics, against what is on them."""

    def noise_share(voice, manner):
        said = Syllable(start_s=0, vowel_s=0, end_s=1, onset="none", vowel="a", stressed=False)
        samples = speak(steady(), [said], voice, manner, 125.0, np.random.default_rng(0))[4000:12_000]
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(8000)))[: 4000 // 2]
        hz = np.arange(spectrum.size) * 2.0
        near = np.abs((hz + 62.5) % 125 - 62.5) < 12
        return np.square(spectrum[~near]).sum() / np.square(spectrum).sum()

    clean = noise_share(VOICE, Manner())
    assert clean < 0.05
    assert noise_share(VOICE, Manner(breath=0.3)) > 2 * clean
    assert noise_share(VOICE, Manner(rough=0.05)) > 2 * clean
