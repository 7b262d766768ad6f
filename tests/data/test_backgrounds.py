"""Backgrounds: drawn ones fill the scene, photographs are divided between training and the rest."""

import numpy as np
import pytest

from mien.data import backgrounds
from mien.data.backgrounds import BACKGROUNDS, drawn, installed, leaves, photographed
from mien.schema.errors import MediaError

FACE = np.random.default_rng(0).integers(0, 256, (48, 48, 3)).astype(np.uint8)


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("shape", [(240, 320), (320, 256)])
def test_a_drawn_background_fills_the_scene_and_the_seed_decides(background, shape):
    first, again, other = (background(FACE, shape, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (*shape, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert 0 < first.mean() < 255
    assert first.std() > 2
    assert drawn(FACE, shape, np.random.default_rng(3)).dtype == np.float32


def test_leaves_hide_each_other_at_all_sizes():
    scene = leaves(FACE, (320, 320), np.random.default_rng(5)).mean(2)
    power = np.abs(np.fft.fft2(scene - scene.mean())) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(320), np.fft.fftfreq(320)))
    bands = [power[(frequency >= low) & (frequency < 2 * low)].mean() for low in (0.01, 0.02, 0.04, 0.08)]
    slopes = np.diff(np.log2(bands))
    assert (slopes < -1).all()  # natural pictures fall by about 2 to 3 for each doubling


class Plain:
    """Random numbers that change no colour."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __getattr__(self, name):
        return getattr(self.rng, name)

    def uniform(self, low, high, size=None):
        return np.ones(3) if low == 0.7 else 0.0 if low == -25 else self.rng.uniform(low, high, size)

    def permutation(self, n):
        return np.arange(n)


@pytest.mark.parametrize(("train", "columns"), [(True, (0, 124)), (False, (128, 200))])
def test_training_and_the_rest_share_no_pixel_of_a_photograph(monkeypatch, train, columns):
    image = np.zeros((100, 200, 3), np.uint8)
    image[..., 0] = np.arange(200)
    monkeypatch.setattr(backgrounds, "_photograph", lambda name: image)
    monkeypatch.setattr(backgrounds, "resized", lambda part, shape: np.asarray(part, np.float32))
    parts = [photographed("china", (60, 60), Plain(seed), train=train)[..., 0] for seed in range(60)]
    first, last = min(p.min() for p in parts), max(p.max() for p in parts)
    assert columns[0] <= first < columns[0] + 5
    assert columns[1] - 6 < last < columns[1]


@pytest.mark.parametrize("name", installed())
def test_installed_photographs_can_be_read(name):
    for train in (True, False):
        scene = photographed(name, (240, 320), np.random.default_rng(0), train=train)
        assert scene.shape == (240, 320, 3)
        assert scene.dtype == np.float32
        assert scene.min() >= 0
        assert scene.max() <= 255


def test_a_photograph_that_is_not_here_names_its_package(monkeypatch):
    monkeypatch.setattr(backgrounds, "PHOTOGRAPHS", {"gone": ("no_such_package", "a.jpg")})
    backgrounds._path.cache_clear()
    assert installed() == ()
    with pytest.raises(MediaError, match=r"'gone' comes with the package 'no_such_package'"):
        backgrounds._photograph("gone")
