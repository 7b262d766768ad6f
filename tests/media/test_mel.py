from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from mien.media.mel import filterbank, log_mel, sound_tensor
from mien.schema.inputs import SoundSpec

SPEC = SoundSpec()
SPECS = [
    SPEC,
    SoundSpec(mel_scale="htk"),
    SoundSpec(n_mels=40, n_fft=512, hop=200, f_min=0.0, f_max=7600.0, floor=1e-10),
    SoundSpec(sample_rate=22_050, n_fft=1024, hop=256, n_mels=128, f_min=0.0, f_max=11_025.0),
]


@cache
def sweep():
    """A voice-like sweep that swells, with noise, after a silence."""
    rng, t = np.random.default_rng(0), np.arange(SPEC.n_samples) / SPEC.sample_rate
    tone = 0.3 * np.sin(2 * np.pi * (300 * t + 400 * t * t)) * np.exp(-(((t - 0.6) / 0.3) ** 2))
    samples = (tone + 0.01 * rng.standard_normal(t.size)).astype(np.float32)
    samples[:3000] = 0
    return samples


def plainly(samples, spec):
    """The same by a Fourier matrix, one window and one triangle at a time, from the published mel formulas."""
    n, rate = spec.n_fft, spec.sample_rate
    if spec.mel_scale == "htk":
        edges = 700 * (
            10
            ** (np.linspace(*(2595 * np.log10(1 + np.array([spec.f_min, spec.f_max]) / 700)), spec.n_mels + 2) / 2595)
            - 1
        )
    else:
        fine = np.linspace(0, rate / 2, 200_001)
        mel = np.where(fine < 1000, 3 * fine / 200, 15 + 27 * np.log(np.maximum(fine, 1) / 1000) / np.log(6.4))
        low, high = np.interp([spec.f_min, spec.f_max], fine, mel)
        edges = np.interp(np.linspace(low, high, spec.n_mels + 2), mel, fine)
    bins = np.arange(n // 2 + 1) * rate / n
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(n // 2 + 1), np.arange(n)) / n)
    hann = np.sin(np.pi * np.arange(n) / n) ** 2
    sound = np.concatenate([np.zeros(n // 2), samples, np.zeros(n // 2)])
    columns = []
    for start in range(0, len(sound) - n + 1, spec.hop):
        power = np.abs(fourier @ (sound[start : start + n] * hann)) ** 2
        bands = [
            np.interp(bins, edges[i : i + 3], [0, 2 / (edges[i + 2] - edges[i]), 0]) @ power for i in range(spec.n_mels)
        ]
        columns.append(np.log(np.array(bands) + spec.floor))
    return np.array(columns).T


@pytest.mark.parametrize("spec", SPECS, ids=["usual", "htk", "forty", "music"])
def test_log_mel_against_a_plain_computation(spec):
    piece = sweep()[2500:7000]
    found = log_mel(piece, spec)
    assert found.dtype == np.float32
    assert found.shape == (spec.n_mels, 1 + len(piece) // spec.hop)
    np.testing.assert_allclose(found, plainly(piece, spec), rtol=0, atol=1e-5)


def test_log_mel_as_librosa_has_it():
    """Numbers that librosa 0.11.0 gave, once, for this sound."""
    samples = (np.sin(np.arange(3200) * 0.05) * np.linspace(0, 0.5, 3200)).astype(np.float32)
    found = log_mel(samples, SPEC)
    kept = {(2, 0): -5.4167499, (2, 10): 2.0178024, (3, 15): -0.67582313, (20, 20): -5.7475796, (63, 5): -13.815511}
    assert found.shape == (64, 21)
    assert [found[at] for at in kept] == pytest.approx(list(kept.values()), abs=1e-5)


@pytest.mark.parametrize("spec", SPECS, ids=["usual", "htk", "forty", "music"])
def test_log_mel_is_equal_to_librosa(spec):
    librosa = pytest.importorskip("librosa")
    power = librosa.feature.melspectrogram(
        y=sweep(),
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        hop_length=spec.hop,
        n_mels=spec.n_mels,
        fmin=spec.f_min,
        fmax=spec.f_max,
        htk=spec.mel_scale == "htk",
    )
    np.testing.assert_allclose(log_mel(sweep(), spec), np.log(power + spec.floor), rtol=0, atol=1e-5)


@pytest.mark.parametrize("spec", SPECS, ids=["usual", "htk", "forty", "music"])
def test_every_band_hears_something_and_has_area_one(spec):
    bands = filterbank(spec)
    assert bands.shape == (spec.n_mels, 1 + spec.n_fft // 2)
    assert (bands.max(axis=1) > 0).all()
    if spec.n_fft == 1024:
        assert bands[80:].sum(axis=1) * spec.sample_rate / spec.n_fft == pytest.approx(1, abs=0.05)
    assert filterbank(replace(spec)) is bands
    with pytest.raises(ValueError, match="read-only"):
        bands[0, 0] = 1


@pytest.mark.parametrize("size", [0, 1, 159, 160, 399, 1600])
def test_any_length_has_its_columns(size):
    assert log_mel(sweep()[8000 : 8000 + size], SPEC).shape == (64, 1 + size // 160)


def test_a_long_sound_is_computed_in_parts():
    spec = replace(SPEC, hop=20, n_frames=4500)
    samples = np.tile(sweep(), 5)[: spec.n_samples]
    found = log_mel(samples, spec)
    assert found.shape == (64, 4501)
    np.testing.assert_allclose(found[:, 4090:4105], log_mel(samples[4000 * 20 :], spec)[:, 90:105], atol=2e-6)


# What a network is given


def test_a_tensor_has_mean_0_and_deviation_1():
    tensor = sound_tensor(sweep(), SPEC)
    assert tensor.shape == SPEC.shape == (1, 64, 128)
    assert tensor.dtype == np.float32
    assert tensor.mean() == pytest.approx(0, abs=1e-5)
    assert tensor.std() == pytest.approx(1, abs=1e-5)
    raw = plainly(sweep(), SPEC)[:, :128]
    np.testing.assert_allclose(tensor[0], (raw - raw.mean()) / raw.std(), rtol=0, atol=1e-5)


def test_silence_is_zero_whatever_its_noise():
    rng = np.random.default_rng(1)
    last_bit = rng.integers(-1, 2, SPEC.n_samples) / 32768
    for samples in (np.zeros(SPEC.n_samples), last_bit):
        assert not sound_tensor(samples.astype(np.float32), SPEC).any()
    assert sound_tensor((100 * last_bit).astype(np.float32), SPEC).std() == pytest.approx(1, abs=1e-5)


def test_loudness_is_taken_out_and_time_is_kept():
    """Ten times as loud adds a constant where the floor is far below; a click in the middle is in the middle."""
    quiet = (0.1 * np.random.default_rng(2).standard_normal(SPEC.n_samples)).astype(np.float32)
    np.testing.assert_allclose(sound_tensor(quiet, SPEC), sound_tensor(quiet * 10, SPEC), atol=1e-2)
    click = np.zeros(SPEC.n_samples, np.float32)
    click[SPEC.n_samples // 2] = 1
    assert sound_tensor(click, SPEC)[0].sum(axis=0).argmax() == 64


def test_only_whole_windows_are_taken():
    with pytest.raises(AssertionError):
        sound_tensor(sweep()[:-1], SPEC)
