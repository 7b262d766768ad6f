"""Log-mel pictures of sound, equal to librosa's: the one preprocessing of every network that listens.

Power of a short-time Fourier transform with a periodic Hann window, triangles on a mel scale whose areas are equal
(M. Slaney, "Auditory Toolbox", 1998), and a logarithm above a floor.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mien.schema.inputs import SoundSpec

_HZ_PER_MEL = 200 / 3
_BEND_HZ = 1000.0
_STEPS_PER_E = 27 / np.log(6.4)
"""Above the bend, 27 mel are a factor of 6.4."""

_WINDOWS_AT_ONCE = 4096


def log_mel(samples: NDArray[np.float32], spec: SoundSpec) -> NDArray[np.float32]:
    """``log(power + spec.floor)`` in each band around each moment, natural logarithm.

    Column ``k`` is centred at sample ``k * spec.hop``; beyond both ends is silence. It equals the logarithm of
    ``librosa.feature.melspectrogram`` of the same numbers with ``htk`` as ``spec.mel_scale`` says and the rest of its
    options as they are (centred, padded with zeros, power 2, areas normalised).

    Args:
        samples: ``float32 [N]`` in [-1, 1], at ``spec.sample_rate``.

    Returns:
        ``float32 [n_mels, 1 + N // hop]``, low bands first.
    """
    assert samples.ndim == 1, samples.shape
    padded = np.pad(samples.astype(np.float64), spec.n_fft // 2)
    padded = np.pad(padded, (0, max(0, spec.n_fft - len(padded))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, spec.n_fft)[:: spec.hop]
    windows = windows[: 1 + len(samples) // spec.hop]
    bands, hann = filterbank(spec), 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.n_fft) / spec.n_fft)
    picture = np.empty((spec.n_mels, len(windows)), np.float32)
    for start in range(0, len(windows), _WINDOWS_AT_ONCE):
        part = slice(start, start + _WINDOWS_AT_ONCE)
        power = np.abs(np.fft.rfft(windows[part] * hann, axis=1)) ** 2
        picture[:, part] = np.log(bands @ power.T + spec.floor)
    return picture


def sound_tensor(samples: NDArray[np.float32], spec: SoundSpec) -> NDArray[np.float32]:
    """One network input: the first ``n_frames`` columns of :func:`log_mel` with mean 0 and standard deviation 1.

    A silent piece, in which no band rises above the floor, is all zeros: its mean and deviation would be those of
    rounding errors.

    Args:
        samples: ``float32 [spec.n_samples]``, the window around a moment, as :meth:`~mien.media.audio.Sound.window`
            cuts it.

    Returns:
        ``float32 [1, n_mels, n_frames]``.
    """
    assert samples.shape == (spec.n_samples,), (samples.shape, spec.n_samples)
    picture = log_mel(samples, spec)[:, : spec.n_frames].astype(np.float64)
    if picture.max() < np.log(2 * spec.floor):
        return np.zeros(spec.shape, np.float32)
    picture -= picture.mean()
    tensor: NDArray[np.float32] = (picture / picture.std()).astype(np.float32)[None]
    return tensor


@lru_cache(maxsize=16)
def filterbank(spec: SoundSpec) -> NDArray[np.float64]:
    """Triangles over the bins of the Fourier transform, ``float64 [n_mels, 1 + n_fft // 2]``, each of area 1 in Hz.

    ``n_mels + 2`` edges lie evenly on the mel scale from ``f_min`` to ``f_max``; band ``i`` rises from edge ``i`` to
    edge ``i + 1`` and falls to edge ``i + 2``. Nobody may write to it.
    """
    low, high = _to_mel(np.array([spec.f_min, spec.f_max]), spec.mel_scale)
    edges = _to_hz(np.linspace(low, high, spec.n_mels + 2), spec.mel_scale)
    hz = np.arange(1 + spec.n_fft // 2) * (spec.sample_rate / spec.n_fft)
    widths = np.diff(edges)[:, None]
    rising, falling = (hz - edges[:-2, None]) / widths[:-1], (edges[2:, None] - hz) / widths[1:]
    bands: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    bands.setflags(write=False)
    return bands


def _to_mel(hz: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    if scale == "htk":
        return 2595 * np.log10(1 + hz / 700)
    above = _BEND_HZ / _HZ_PER_MEL + np.log(np.maximum(hz, _BEND_HZ) / _BEND_HZ) * _STEPS_PER_E
    return np.where(hz < _BEND_HZ, hz / _HZ_PER_MEL, above)


def _to_hz(mel: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    bend = _BEND_HZ / _HZ_PER_MEL
    return np.where(mel < bend, mel * _HZ_PER_MEL, _BEND_HZ * np.exp((mel - bend) / _STEPS_PER_E))
