"""Augmentation: what it may change, by how much, and that the seed alone decides."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.data.augment import (
    FLIP_68,
    Augment,
    augment_batch,
    augment_crop,
    augment_input,
    augment_sound,
    from_unit,
    jitter,
    mask_sound,
    to_unit,
)
from mien.data.synthetic import render
from mien.schema.errors import ConfigError

CROP = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
EVERYTHING = Augment(
    brightness=0.2, contrast=0.3, gamma=0.4, saturation=0.5, blur=0.5, noise=0.5, jpeg=0.5, erase=0.5, cutout=0.5
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_default_changes_nothing():
    matrix, flipped = jitter(Augment(), rng())
    assert np.allclose(matrix, np.eye(3), atol=1e-12)
    assert not flipped
    assert np.array_equal(augment_crop(CROP, Augment(), rng()), CROP)
    image = rng().normal(size=(3, 16, 16)).astype(np.float32)
    before = image.copy()
    augment_input(image, Augment(), rng())
    assert np.array_equal(image, before)


def test_units_and_pixels_are_inverse_and_keep_the_corners():
    assert np.allclose(to_unit(48) @ from_unit(48), np.eye(3))
    assert np.allclose(from_unit(48) @ (0, 0, 1), (-0.5, -0.5, 1))
    assert np.allclose(from_unit(48) @ (1, 1, 1), (47.5, 47.5, 1))


def test_jitter_stays_within_its_limits_and_reaches_them():
    config = Augment(scale_ratio=0.08, shift_ratio=0.04, rotation_deg=10.0)
    matrices = np.stack([jitter(config, rng(seed))[0] for seed in range(2000)])
    scale = np.sqrt(np.linalg.det(matrices[:, :2, :2]))
    angle = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    middle = matrices @ np.array([0.5, 0.5, 1.0])
    for values, limit in ((scale - 1, 0.08), (angle, 10), (middle[:, 0] - 0.5, 0.04), (middle[:, 1] - 0.5, 0.04)):
        assert np.abs(values).max() <= limit + 1e-12
        assert values.min() < -0.95 * limit
        assert values.max() > 0.95 * limit
        assert abs(values.mean()) < 0.1 * limit


def test_half_of_the_faces_are_mirrored_about_the_middle():
    drawn = [jitter(Augment(flip=0.5), rng(seed)) for seed in range(1000)]
    assert 0.45 < np.mean([flipped for _, flipped in drawn]) < 0.55
    matrix = next(matrix for matrix, flipped in drawn if flipped)
    assert np.allclose(matrix @ (0.2, 0.3, 1), (0.8, 0.3, 1))


def test_mirrored_points_are_named_anew():
    assert np.array_equal(FLIP_68[FLIP_68], np.arange(68))
    assert FLIP_68[36] == 45  # outer eye corners
    assert FLIP_68[48] == 54  # mouth corners
    assert FLIP_68[8] == 8  # chin
    points = np.mean([render(index, 0)[1].landmarks for index in range(40)], axis=0)
    middle = points[:, 0].mean()
    mirrored = np.column_stack([2 * middle - points[:, 0], points[:, 1]])[FLIP_68]
    assert np.abs(mirrored - points).max() < 6  # a face is nearly symmetric; a wrong permutation is 20 and more off


def test_the_same_seed_gives_the_same_pixels():
    first, second, third = (augment_crop(CROP, EVERYTHING, rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)
    assert first.dtype == np.uint8
    assert first.shape == CROP.shape


def test_grey_crops_are_varied_as_grey_pictures_are():
    config = Augment(brightness=0.2, contrast=0.3, gamma=0.4, blur=1.0, noise=1.0)
    flat = CROP[..., 0].copy()
    grey = augment_crop(flat, config, rng(5))
    three = augment_crop(np.repeat(flat[..., None], 3, axis=2), config, rng(5))
    assert np.array_equal(np.repeat(grey[..., None], 3, axis=2), three)
    assert augment_crop(flat, Augment(jpeg=1.0), rng()).shape == (48, 48)


@pytest.mark.parametrize("colour", [(200, 30, 40), (30, 40, 200)])
def test_jpeg_codes_colours_as_files_do(colour: tuple[int, int, int]) -> None:
    crop = np.full((48, 48, 3), colour, np.uint8)
    coded = augment_crop(crop, Augment(jpeg=1.0), rng())
    assert np.abs(coded.astype(int) - crop).max() <= 8
    stripes = crop.copy()
    stripes[:, ::2] = 128
    reference = augment_crop(stripes, Augment(jpeg=1.0), rng())
    bgr = cv2.imencode(".jpg", stripes[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _quality_drawn()])[1]
    assert np.array_equal(reference, cv2.imdecode(bgr, cv2.IMREAD_COLOR)[..., ::-1])


def _quality_drawn() -> int:
    """What the seed of these tests draws: first whether, then how strongly."""
    draws = rng()
    draws.random()
    return int(draws.integers(Augment().jpeg_quality, 96))


def test_tone_follows_its_formula():
    config = Augment(brightness=0.2, contrast=0.3, gamma=0.4)
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    gamma, contrast, brightness = rng(7).uniform(-1, 1, 3)
    wanted = (ramp / 255) ** (1.4**gamma)
    wanted = 0.5 + (wanted - 0.5) * (1 + 0.3 * contrast) + 0.2 * brightness
    assert np.abs(augment_crop(ramp, config, rng(7)) - (255 * wanted).clip(0, 255)).max() <= 0.5 + 1e-6


def test_what_is_switched_off_draws_nothing():
    """The next draw is that of the version in which there were no casts and no dim rooms yet."""
    generators = [rng(seed) for seed in (3, 4, 5)]
    for generator in generators:
        augment_crop(CROP, EVERYTHING, generator)
    assert [generator.random() for generator in generators] == [
        0.21202523074880597,
        0.23954758749184546,
        0.9569329206459471,
    ]
    flat = CROP[..., 0].copy()
    coloured = replace(EVERYTHING, grey=0.5, colour_cast=0.5)
    assert np.array_equal(augment_crop(flat, EVERYTHING, rng(3)), augment_crop(flat, coloured, rng(3)))


def test_colour_goes_or_comes_over_the_whole_picture():
    dull = augment_crop(CROP, Augment(grey=1.0), rng())
    assert (dull == dull[..., :1]).all()
    shares = [(augment_crop(CROP, Augment(grey=0.3), rng(seed)) != CROP).any() for seed in range(300)]
    assert 0.22 < np.mean(shares) < 0.38
    cast = augment_crop(dull, Augment(colour_cast=0.5), rng(1))
    assert not (cast == cast[..., :1]).all()
    both = augment_crop(CROP, Augment(grey=1.0, colour_cast=0.5), rng(1))
    assert not (both == both[..., :1]).all(), "a grey picture takes a colour too"


def test_dim_pictures_are_as_frequent_as_asked_for():
    dim = [augment_crop(CROP, Augment(low_light=0.4, low_light_least=0.2), rng(seed)).mean() for seed in range(300)]
    shares = np.array(dim) / CROP.mean()
    assert 0.3 < (shares < 0.99).mean() < 0.5
    assert shares.min() > 0.19


def test_saturation_keeps_the_mean_of_the_channels():
    changed = augment_crop(np.full((4, 4, 3), (90, 120, 150), np.uint8), Augment(saturation=0.5), rng(1))
    assert abs(float(changed.mean()) - 120) <= 1
    assert not np.array_equal(changed[0, 0], (90, 120, 150))


def test_erasing_takes_the_stated_area():
    areas = []
    for seed in range(300):
        image = np.ones((3, 64, 64), np.float32)
        augment_input(image, Augment(erase=1.0, erase_area=(0.05, 0.2)), rng(seed))
        erased = (image == 0).all(0)
        assert np.array_equal(erased, (image == 0).any(0))
        rows, columns = erased.any(1).sum(), erased.any(0).sum()
        assert erased.sum() == rows * columns  # one rectangle
        areas.append(erased.mean())
    assert min(areas) > 0.04
    assert max(areas) < 0.21
    assert max(areas) - min(areas) > 0.1


def test_erasing_with_noise_and_cutout():
    image = np.full((3, 32, 32), 9, np.float32)
    augment_input(image, Augment(erase=1.0, erase_area=(0.2, 0.3), erase_fill="noise"), rng())
    assert 0.1 < (image != 9).mean() < 0.4
    assert abs(float(image[image != 9].mean())) < 0.3
    image = np.ones((3, 32, 32), np.float32)
    augment_input(image, Augment(cutout=1.0, cutout_ratio=0.25), rng())
    assert 0 < (image == 0).mean() <= 0.25**2


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixed_labels_have_the_share_of_the_mixed_pixels(kind):
    images = np.stack([np.full((3, 32, 32), value, np.float32) for value in range(4)])
    mixed, labels = augment_batch(images, np.eye(4, dtype=np.float32), Augment(**{kind: 1.0}), rng(2))
    assert np.allclose(labels.sum(1), 1)
    assert 0 < labels[0, 3] < 1
    for i in range(4):
        assert np.isclose(mixed[i].mean(), labels[i] @ np.arange(4), atol=1e-5)
    if kind == "cutmix":
        assert set(np.unique(mixed[0])) == {0, 3}


def test_mixing_can_be_rare_and_needs_two():
    images, labels = np.ones((2, 3, 4, 4), np.float32), np.eye(2, dtype=np.float32)
    assert augment_batch(images, labels, Augment(mixup=1.0, mix=0.0), rng())[0] is images
    assert augment_batch(images[:1], labels[:1], Augment(mixup=1.0), rng())[0].shape == (1, 3, 4, 4)


def test_the_composed_cut_moves_pixels_and_points_alike():
    config = Augment(flip=0.5, scale_ratio=0.08, shift_ratio=0.04, rotation_deg=10.0)
    for seed in range(6):
        image = np.zeros((64, 64), np.uint8)
        cv2.circle(image, (40, 22), 3, 255, -1)
        change = (from_unit(64) @ jitter(config, rng(seed))[0] @ to_unit(64))[:2]
        moved = cv2.warpAffine(image, change, (64, 64)).astype(float)
        ys, xs = np.mgrid[:64, :64]
        centre = np.array([(moved * xs).sum(), (moved * ys).sum()]) / moved.sum()
        assert np.allclose(centre, change @ (40, 22, 1), atol=0.15)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("flip", 1.5),
        ("erase_area", (0.3, 0.1)),
        ("scale_ratio", 1.0),
        ("jpeg", -0.1),
        ("grey", 1.1),
        ("colour_cast", -0.1),
        ("low_light", 2.0),
        ("low_light_least", 0.0),
    ],
)
def test_impossible_settings_name_the_field(field, value):
    with pytest.raises(ConfigError, match=field):
        Augment(**{field: value})


def test_masks_of_sound_erase_what_they_are_allowed_to():
    config = Augment(mel_freq_masks=2, mel_freq_most=8, mel_time_masks=2, mel_time_most=16)
    widest = np.zeros(2, int)
    for seed in range(200):
        picture = np.ones((1, 64, 128), np.float32)
        mask_sound(picture, config, np.random.default_rng(seed))
        bands, columns = (picture[0] == 0).all(1), (picture[0] == 0).all(0)
        assert (picture[0][~bands][:, ~columns] == 1).all(), "whole bands and whole columns, and nothing else"
        widest = np.maximum(widest, (bands.sum(), columns.sum()))
    assert 12 < widest[0] <= 16
    assert 24 < widest[1] <= 32
    untouched = np.ones((1, 64, 128), np.float32)
    mask_sound(untouched, Augment(), np.random.default_rng(0))
    assert (untouched == 1).all()


def test_noise_of_sound_follows_its_loudness():
    rng, tone = np.random.default_rng(0), np.sin(np.arange(16_000)).astype(np.float32)
    noisy = [augment_sound(level * tone, Augment(sound_noise=0.5), rng) - level * tone for level in (1.0, 0.01)]
    assert 0 < noisy[0].std() < 0.5 * tone.std()
    assert 0 < noisy[1].std() < 0.005 * tone.std()
    assert not augment_sound(np.zeros(100, np.float32), Augment(sound_noise=0.5), rng).any()
    assert augment_sound(tone, Augment(), rng) is tone
    with pytest.raises(ConfigError, match=r"augment\.sound_noise is at least 0"):
        Augment(sound_noise=-1.0)
