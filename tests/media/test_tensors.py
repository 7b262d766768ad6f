import cv2
import numpy as np
import pytest

from mien.media.tensors import image_batch, image_tensor
from mien.schema.inputs import IMAGENET_MEAN, IMAGENET_STD, ImageSpec


def noise(side: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)


def test_colours_are_scaled_and_normalised() -> None:
    crop = noise(112)
    expected = (crop.astype(np.float64) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    tensor = image_tensor(crop, ImageSpec())
    assert tensor.dtype == np.float32
    assert tensor.shape == (3, 112, 112)
    assert tensor == pytest.approx(expected.transpose(2, 0, 1), abs=1e-5)


def test_grey_is_luminance_three_times() -> None:
    crop = noise(40)
    spec = ImageSpec(size_px=40, colour="grey", mean=(0, 0, 0), std=(1, 1, 1))
    luminance = crop @ np.array([0.299, 0.587, 0.114]) / 255
    for channel in image_tensor(crop, spec):
        assert channel == pytest.approx(luminance, abs=0.51 / 255 + 1e-4)


def test_a_grey_picture_stays_as_it_is_in_grey() -> None:
    crop = noise(48)[..., :1].repeat(3, axis=2)
    plain = {"size_px": 48, "mean": (0, 0, 0), "std": (1, 1, 1)}
    assert (image_tensor(crop, ImageSpec(colour="grey", **plain)) == image_tensor(crop, ImageSpec(**plain))).all()


def test_the_source_size_limits_the_detail() -> None:
    spec = ImageSpec(size_px=112, source_px=48, colour="grey", mean=(0, 0, 0), std=(1, 1, 1))
    crop = noise(96)
    small = cv2.resize(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (48, 48), interpolation=cv2.INTER_AREA)
    expected = cv2.resize(small.astype(np.float32), (112, 112), interpolation=cv2.INTER_CUBIC).clip(0, 255) / 255
    assert image_tensor(crop, spec)[1] == pytest.approx(expected, abs=1e-6)


def test_a_crop_of_the_source_size_is_only_enlarged() -> None:
    spec = ImageSpec(size_px=64, source_px=48, mean=(0, 0, 0), std=(1, 1, 1))
    crop = noise(48)
    expected = cv2.resize(crop.astype(np.float32), (64, 64), interpolation=cv2.INTER_CUBIC).clip(0, 255) / 255
    assert image_tensor(crop, spec) == pytest.approx(expected.transpose(2, 0, 1), abs=1e-6)


def test_values_stay_in_range() -> None:
    spec = ImageSpec(size_px=100, mean=(0, 0, 0), std=(1, 1, 1))
    crop = np.zeros((10, 10, 3), np.uint8)
    crop[::2] = 255
    tensor = image_tensor(crop, spec)
    assert tensor.min() >= 0
    assert tensor.max() <= 1


def test_a_batch_is_its_tensors_in_order() -> None:
    spec = ImageSpec(size_px=32)
    crops = [noise(32), noise(48)[::-1]]
    batch = image_batch(crops, spec)
    assert batch.shape == (2, 3, 32, 32)
    assert (batch[1] == image_tensor(crops[1], spec)).all()
    assert image_batch([], spec).shape == (0, 3, 32, 32)
