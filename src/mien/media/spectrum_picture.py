"""Pictures of sound as networks of photographs read them: mel bands over time in the colours of viridis.

The front end of S. Amiriparian et al., "Snore Sound Classification Using Image-based Deep Spectrum Features",
INTERSPEECH 2017 (DeepSpectrum): a second of sound every half second, each in decibels below its own loudest place.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mien.media.mel import filterbank
from mien.media.tensors import image_tensor
from mien.schema.errors import ConfigError
from mien.schema.inputs import ImageSpec, SoundSpec

WINDOW_S = 0.025
"""A Fourier transform takes at least so much; the number of its samples is the next power of two."""

LEAST_POWER = 1e-10
"""What is softer counts as this, before decibels are taken."""

_VIRIDIS = (
    (
        0.4087,
        0.2983,
        0.2551,
        0.0802,
        -0.0331,
        -0.0197,
        -0.0017,
        0.0065,
        0.0022,
        -0.0037,
        -0.0012,
        0.0017,
        0.0012,
        -0.0008,
    ),
    (
        0.5187,
        0.4547,
        -0.0574,
        -0.0049,
        -0.0085,
        0.0008,
        0.0021,
        0.0008,
        -0.0004,
        0.0001,
        0.0001,
        -0.0003,
        0.0002,
        -0.0002,
    ),
    (
        0.3759,
        -0.1467,
        -0.1706,
        0.0211,
        0.0149,
        0.0288,
        0.0148,
        0.0049,
        0.0042,
        0.0012,
        -0.0006,
        -0.0009,
        -0.0009,
        -0.0008,
    ),
)
"""Chebyshev series of red, green and blue over [-1, 1], fitted to the map of S. van der Walt and N. Smith (2015)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumSpec:
    """A second of sound as a coloured picture: ``float32 [3, size_px, size_px]``, RGB, ImageNet's mean and deviation.

    Attributes:
        sample_rate: samples a second, one channel.
        chunk_s: how much sound a picture shows.
        n_mels: bands, from 0 to half of ``sample_rate``.
        picture_px: side of the picture as it is drawn.
        size_px: side that the network sees.
    """

    sample_rate: int = 16_000
    chunk_s: float = 1.0
    n_mels: int = 128
    picture_px: int = 227
    size_px: int = 224

    def __post_init__(self) -> None:
        if min(self.sample_rate, self.n_mels, self.picture_px, self.size_px) < 1 or not self.chunk_s > 0:
            raise ConfigError(
                f"Rates, bands, sides and seconds are above 0; given: {self.sample_rate=}, {self.n_mels=}, "
                f"{self.picture_px=}, {self.size_px=}, {self.chunk_s=}"
            )

    @property
    def n_fft(self) -> int:
        """Samples of a Fourier transform; what is shorter has no picture."""
        return 1 << (int(np.ceil(WINDOW_S * self.sample_rate)) - 1).bit_length()

    @property
    def hop(self) -> int:
        """Samples from one transform to the next."""
        return self.n_fft // 2

    @property
    def n_samples(self) -> int:
        """Samples of a whole chunk."""
        return round(self.chunk_s * self.sample_rate)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input, without the batch."""
        return 3, self.size_px, self.size_px


def decibels(samples: NDArray[np.float32], spec: SpectrumSpec) -> NDArray[np.float32]:
    """Power in each mel band in decibels below the loudest place of the chunk; no floor but that of silence.

    Args:
        samples: ``float32 [N]`` in [-1, 1]; at least ``spec.n_fft`` of them. Beyond both ends nothing is added.

    Returns:
        ``float32 [n_mels, 1 + (N - n_fft) // hop]``, low bands first.
    """
    assert samples.ndim == 1 and len(samples) >= spec.n_fft, (samples.shape, spec.n_fft)
    windows = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), spec.n_fft)[:: spec.hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.n_fft) / spec.n_fft)
    power = np.abs(np.fft.rfft(windows * hann, axis=1)) ** 2
    bands = np.maximum(_bands(spec) @ power.T, LEAST_POWER)
    level: NDArray[np.float32] = (10 * np.log10(bands / bands.max())).astype(np.float32)
    return level


def spectrum_picture(samples: NDArray[np.float32], spec: SpectrumSpec) -> NDArray[np.uint8]:
    """The picture of one chunk, ``uint8 [picture_px, picture_px, 3]`` RGB: time to the right, low bands at the bottom.

    The softest place has the first colour, the loudest the last; a chunk of one level throughout the first. Each place
    is a rectangle of one colour.
    """
    level = decibels(samples, spec)[::-1]
    low, span = level.min(), np.ptp(level)
    share = (level - low) / span if span > 0 else np.zeros_like(level)
    colours = viridis()[np.minimum((share * 256).astype(np.int64), 255)]
    rows, columns = (((np.arange(spec.picture_px) + 0.5) * n / spec.picture_px).astype(np.int64) for n in level.shape)
    picture: NDArray[np.uint8] = colours[rows[:, None], columns]
    return picture


def spectrum_tensor(samples: NDArray[np.float32], spec: SpectrumSpec) -> NDArray[np.float32]:
    """The same as a network takes it, ``float32 [3, size_px, size_px]``."""
    return image_tensor(spectrum_picture(samples, spec), ImageSpec(size_px=spec.size_px))


@lru_cache(maxsize=1)
def viridis() -> NDArray[np.uint8]:
    """256 colours from dark violet over green to yellow, ``uint8 [256, 3]`` RGB. Nobody may write to it."""
    series = np.polynomial.chebyshev.chebval(np.linspace(-1, 1, 256), np.array(_VIRIDIS).T).T
    colours: NDArray[np.uint8] = np.rint(255 * series.clip(0, 1)).astype(np.uint8)
    colours.setflags(write=False)
    return colours


def _bands(spec: SpectrumSpec) -> NDArray[np.float64]:
    return filterbank(
        SoundSpec(
            sample_rate=spec.sample_rate,
            n_fft=spec.n_fft,
            hop=spec.hop,
            n_mels=spec.n_mels,
            f_min=0.0,
            f_max=spec.sample_rate / 2,
        )
    )
