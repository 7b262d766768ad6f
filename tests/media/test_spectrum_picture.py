import numpy as np
import pytest

from mien.media.spectrum_picture import SpectrumSpec, decibels, spectrum_picture, spectrum_tensor, viridis
from mien.schema.errors import ConfigError
from mien.schema.inputs import IMAGENET_MEAN, IMAGENET_STD

SPEC = SpectrumSpec()


def sweep(seconds: float = 1.0) -> np.ndarray:
    """A tone that rises from 200 to 2200 Hz, with a little noise."""
    t = np.arange(round(seconds * SPEC.sample_rate)) / SPEC.sample_rate
    noise = np.random.default_rng(0).standard_normal(t.size)
    return (0.3 * np.sin(2 * np.pi * (200 * t + 1000 * t * t)) + 0.01 * noise).astype(np.float32)


def plainly(samples: np.ndarray, n_fft: int, n_mels: int, rate: int) -> np.ndarray:
    """Decibels by a Fourier matrix, one window and one triangle at a time, from the published mel formulas."""
    fine = np.linspace(0, rate / 2, 200_001)
    mel = np.where(fine < 1000, 3 * fine / 200, 15 + 27 * np.log(np.maximum(fine, 1) / 1000) / np.log(6.4))
    edges = np.interp(np.linspace(0, mel[-1], n_mels + 2), mel, fine)
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(n_fft // 2 + 1), np.arange(n_fft)) / n_fft)
    hann = np.sin(np.pi * np.arange(n_fft) / n_fft) ** 2
    triangles = [np.interp(bins, edges[i : i + 3], [0, 2 / (edges[i + 2] - edges[i]), 0]) for i in range(n_mels)]
    columns = []
    for start in range(0, len(samples) - n_fft + 1, n_fft // 2):
        power = np.abs(fourier @ (samples[start : start + n_fft].astype(float) * hann)) ** 2
        columns.append([triangle @ power for triangle in triangles])
    bands = np.maximum(np.array(columns).T, 1e-10)
    return 10 * np.log10(bands) - 10 * np.log10(bands.max())


def test_the_colours_agree_with_matplotlib():
    matplotlib = pytest.importorskip("matplotlib")
    theirs = np.rint(255 * matplotlib.colormaps["viridis"](np.arange(256))[:, :3])
    assert viridis().shape == (256, 3)
    assert np.abs(viridis() - theirs).max() <= 1
    with pytest.raises(ValueError, match="read-only"):
        viridis()[0] = 0


@pytest.mark.parametrize(
    ("rate", "n_fft"), [(8000, 256), (16_000, 512), (22_050, 1024), (44_100, 2048), (48_000, 2048)]
)
def test_a_transform_is_the_next_power_of_two_of_25_milliseconds(rate, n_fft):
    spec = SpectrumSpec(sample_rate=rate)
    assert (spec.n_fft, spec.hop, spec.n_samples) == (n_fft, n_fft // 2, rate)


@pytest.mark.parametrize("spec", [SPEC, SpectrumSpec(sample_rate=8000, n_mels=40)])
def test_decibels_against_a_plain_computation(spec):
    samples = sweep()[: spec.n_samples]
    found = decibels(samples, spec)
    assert found.shape == (spec.n_mels, 1 + (len(samples) - spec.n_fft) // spec.hop)
    assert found.max() == 0
    np.testing.assert_allclose(found, plainly(samples, spec.n_fft, spec.n_mels, spec.sample_rate), atol=1e-3)


def test_decibels_as_librosa_has_them():
    librosa = pytest.importorskip("librosa")
    power = librosa.feature.melspectrogram(
        y=sweep(), sr=16_000, n_fft=512, hop_length=256, n_mels=128, center=False, power=2.0
    )
    expected = librosa.power_to_db(power, ref=np.max, top_db=None)
    np.testing.assert_allclose(decibels(sweep(), SPEC), expected, atol=1e-3)


def test_the_picture_is_drawn_by_rectangles_with_low_bands_at_the_bottom():
    picture, level = spectrum_picture(sweep(), SPEC), decibels(sweep(), SPEC)
    assert picture.shape == (227, 227, 3)
    assert picture.dtype == np.uint8
    share = (level - level.min()) / -level.min()
    for row, column in ((0, 0), (226, 0), (100, 226), (57, 113)):
        band = 127 - int((row + 0.5) * 128 / 227)
        time = int((column + 0.5) * level.shape[1] / 227)
        assert picture[row, column].tolist() == viridis()[min(int(share[band, time] * 256), 255)].tolist()
    brightness = picture.astype(int).sum(axis=2)
    loudest = brightness.argmax(axis=0)
    assert loudest[5] > loudest[220], "the tone rises"


def test_a_tensor_is_what_an_image_network_takes():
    tensor, picture = spectrum_tensor(sweep(), SPEC), spectrum_picture(sweep(), SPEC)
    assert tensor.shape == SPEC.shape
    assert tensor.dtype == np.float32
    back = tensor.transpose(1, 2, 0) * IMAGENET_STD + IMAGENET_MEAN
    np.testing.assert_allclose(back.mean((0, 1)), picture.mean((0, 1)) / 255, atol=0.003)


def test_silence_has_the_first_colour_and_short_chunks_fill_the_picture():
    silent = spectrum_picture(np.zeros(16_000, np.float32), SPEC)
    assert (silent == viridis()[0]).all()
    assert spectrum_picture(sweep()[: SPEC.n_fft], SPEC).shape == (227, 227, 3)
    with pytest.raises(AssertionError):
        decibels(sweep()[: SPEC.n_fft - 1], SPEC)


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match=r"above 0; given: .*n_mels=0"):
        SpectrumSpec(n_mels=0)
