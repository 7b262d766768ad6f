"""Random changes of training faces, in three places: the cut and its pixels, the input array, the batch.

Voices are changed in two: the samples and the log-mel picture.

Every function draws from the generator it is given and from nothing else, so a sample's augmentation depends on its
seed alone, however many workers there are. Evaluation runs none of this.
"""

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.colour_augment import colour_cast, grey, low_light
from mien.data.cover_augment import covered
from mien.data.disturbances.optics import coded
from mien.schema.errors import ConfigError

Matrix = NDArray[np.float64]

FLIP_68: NDArray[np.int64] = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *range(27, 31),
        *range(35, 30, -1),
        *(45, 44, 43, 42, 47, 46),
        *(39, 38, 37, 36, 41, 40),
        *range(54, 47, -1),
        *range(59, 54, -1),
        *range(64, 59, -1),
        *range(67, 64, -1),
    ]
)
"""Point ``FLIP_68[i]`` of a mirrored face lies where point ``i`` of the face was."""


_LEVELS = np.arange(256) / 255

_CROP_ASPECT = 4 / 3
"""Largest ratio of the sides of a random crop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """How training faces are varied; the default changes nothing.

    Attributes:
        flip: probability of mirroring left and right.
        scale_ratio: the face grows or shrinks by up to this share.
        shift_ratio: it moves by up to this share of the side, in x and in y.
        rotation_deg: it turns by up to this angle.
        crop_area: smallest and largest share of the picture in a random crop, stretched to the whole; its sides
            differ by up to a third (C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015). (1, 1) is off.
        cover: probability of glasses, a hand or something else in front of a face whose landmarks are known, see
            :mod:`mien.data.cover_augment`.
        brightness: up to this share of the full scale is added.
        contrast: contrast changes by up to this share.
        gamma: the exponent lies between ``1 / (1 + gamma)`` and ``1 + gamma``.
        saturation: colour saturation changes by up to this share.
        grey: probability of turning a picture of three channels grey.
        colour_cast: strength of a random gain and tint of each channel, see :mod:`mien.data.colour_augment`; grey
            pictures take a colour too, so that a network that is fed colour learns to see through it.
        low_light: probability of a dim, noisy picture.
        low_light_least: smallest share of the light that is left in it.
        blur: probability of a Gaussian blur, of up to ``blur_sigma_px`` of the crop.
        noise: probability of Gaussian noise, of up to ``noise_levels`` grey levels.
        jpeg: probability of JPEG artefacts, at a quality of at least ``jpeg_quality``.
        erase: probability that a rectangle is erased, after Zhong et al., "Random Erasing", AAAI 2020.
        erase_area: smallest and largest share of the picture that is erased.
        erase_aspect: largest ratio of its sides.
        erase_fill: ``mean`` or normal ``noise`` in the rectangle.
        cutout: probability that a square of ``cutout_ratio`` of the side is set to the mean (DeVries 2017).
        mixup: parameter of the Beta distribution of mix-up (Zhang 2018); 0 is off.
        cutmix: parameter of the Beta distribution of cut-mix (Yun 2019); 0 is off.
        mix: probability that a batch is mixed, if ``mixup`` or ``cutmix`` is on.
        mel_freq_masks: stretches of bands of a log-mel picture that are erased (SpecAugment, Park et al. 2019).
        mel_freq_most: most bands of one.
        mel_time_masks: stretches of time that are erased.
        mel_time_most: most columns of one.
        sound_noise: white noise of up to this share of the loudness is added.
        sound_shift_s: the sound moves against the pictures by up to this time.
    """

    flip: float = 0.0
    scale_ratio: float = 0.0
    shift_ratio: float = 0.0
    rotation_deg: float = 0.0
    crop_area: tuple[float, float] = (1.0, 1.0)
    cover: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    saturation: float = 0.0
    grey: float = 0.0
    colour_cast: float = 0.0
    low_light: float = 0.0
    low_light_least: float = 0.3
    blur: float = 0.0
    blur_sigma_px: float = 1.0
    noise: float = 0.0
    noise_levels: float = 8.0
    jpeg: float = 0.0
    jpeg_quality: int = 40
    erase: float = 0.0
    erase_area: tuple[float, float] = (0.02, 0.1)
    erase_aspect: float = 3.3
    erase_fill: Literal["mean", "noise"] = "mean"
    cutout: float = 0.0
    cutout_ratio: float = 0.25
    mixup: float = 0.0
    cutmix: float = 0.0
    mix: float = 1.0
    mel_freq_masks: int = 0
    mel_freq_most: int = 8
    mel_time_masks: int = 0
    mel_time_most: int = 16
    sound_noise: float = 0.0
    sound_shift_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("flip", "cover", "grey", "low_light", "blur", "noise", "jpeg", "erase", "cutout", "mix"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"augment.{name} is a probability in [0, 1]; given: {getattr(self, name)}")
        if not 0 < self.erase_area[0] <= self.erase_area[1] < 1:
            raise ConfigError(f"augment.erase_area is (smallest, largest) in (0, 1); given: {self.erase_area}")
        if not 0 < self.crop_area[0] <= self.crop_area[1] <= 1:
            raise ConfigError(f"augment.crop_area is (smallest, largest) in (0, 1]; given: {self.crop_area}")
        if not 0 <= self.scale_ratio < 1:
            raise ConfigError(f"augment.scale_ratio lies in [0, 1); given: {self.scale_ratio}")
        if not 0 < self.low_light_least <= 1:
            raise ConfigError(f"augment.low_light_least lies in (0, 1]; given: {self.low_light_least}")
        for name in (
            "colour_cast",
            "mel_freq_masks",
            "mel_freq_most",
            "mel_time_masks",
            "mel_time_most",
            "sound_noise",
            "sound_shift_s",
        ):
            if getattr(self, name) < 0:
                raise ConfigError(f"augment.{name} is at least 0; given: {getattr(self, name)}")

    @property
    def photometric(self) -> bool:
        return bool(self.brightness or self.contrast or self.gamma)


def jitter(config: Augment, rng: np.random.Generator) -> tuple[Matrix, bool]:
    """A random similarity, with ``crop_area`` stretched, and whether it mirrors.

    Returns:
        ``float64 [3, 3]`` that maps the crop onto itself, where (0, 0) and (1, 1) are its corners.
    """
    draw = rng.random(5)
    spread = (2 * draw - 1).tolist()
    scale = 1 + config.scale_ratio * spread[0]
    angle = math.radians(config.rotation_deg * spread[1])
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    flipped = bool(draw[4] < config.flip)
    mirror = -1.0 if flipped else 1.0
    centre_x, centre_y = 0.5 + config.shift_ratio * spread[2], 0.5 + config.shift_ratio * spread[3]
    matrix = np.array(
        [
            [mirror * cos, -sin, centre_x - 0.5 * (mirror * cos - sin)],
            [mirror * sin, cos, centre_y - 0.5 * (mirror * sin + cos)],
            [0.0, 0.0, 1.0],
        ]
    )
    return matrix @ _random_crop(config, rng), flipped


def _random_crop(config: Augment, rng: np.random.Generator) -> Matrix:
    """A random part of the unit square, stretched to the whole of it."""
    if config.crop_area == (1.0, 1.0):
        return np.eye(3)
    area, stretch = rng.uniform(*config.crop_area), math.exp(rng.uniform(-1, 1) * math.log(_CROP_ASPECT) / 2)
    width, height = min(1.0, math.sqrt(area) * stretch), min(1.0, math.sqrt(area) / stretch)
    left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    return np.array([[1 / width, 0, -left / width], [0, 1 / height, -top / height], [0, 0, 1.0]])


def to_unit(size_px: int) -> Matrix:
    """Pixel coordinates, whole numbers at the centres of pixels, to the unit square: ``float64 [3, 3]``."""
    half = 0.5 / size_px
    return np.array([[1 / size_px, 0, half], [0, 1 / size_px, half], [0, 0, 1]])


def from_unit(size_px: int) -> Matrix:
    """Inverse of :func:`to_unit`."""
    return np.array([[size_px, 0, -0.5], [0, size_px, -0.5], [0, 0, 1.0]])


def augment_crop(
    crop: NDArray[np.uint8],
    config: Augment,
    rng: np.random.Generator,
    points: NDArray[np.floating] | None = None,
) -> NDArray[np.uint8]:
    """First hook: things in front, tone, colour, light, blur, noise and JPEG of a crop.

    What changes the colour leaves a crop of one channel alone. What is switched off draws nothing.

    Args:
        crop: ``uint8 [S, S, 3]`` RGB or ``[S, S]`` grey.
        config: how to vary it.
        rng: of every draw.
        points: the face's 68 landmarks in pixels of the crop, ``[68, 2]``; without them nothing is put in front of it.
    """
    if config.cover and points is not None and np.isfinite(points).all() and rng.random() < config.cover:
        crop = covered(crop, points, rng)
    if config.photometric:
        crop = np.asarray(cv2.LUT(crop, _tone_curve(config, rng.uniform(-1, 1, 3))), np.uint8)
    if config.saturation and crop.ndim == 3:
        mean = crop.mean(axis=2, keepdims=True)
        share = 1 + config.saturation * rng.uniform(-1, 1)
        crop = np.clip(mean + share * (crop - mean), 0, 255).astype(np.uint8)
    if config.grey and crop.ndim == 3 and rng.random() < config.grey:
        crop = grey(crop)
    if config.colour_cast and crop.ndim == 3:
        crop = colour_cast(crop, config.colour_cast, rng)
    if config.low_light and rng.random() < config.low_light:
        crop = low_light(crop, config.low_light_least, rng)
    if config.blur and rng.random() < config.blur:
        sigma = rng.uniform(0.1, config.blur_sigma_px)
        crop = np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), np.uint8)
    if config.noise and rng.random() < config.noise:
        crop = _add_noise(crop, rng.uniform(0, config.noise_levels), rng)
    if config.jpeg and rng.random() < config.jpeg:
        crop = coded(crop, int(rng.integers(config.jpeg_quality, 96)))
    return crop


def augment_input(image: NDArray[np.float32], config: Augment, rng: np.random.Generator) -> None:
    """Second hook: erase parts of ``float32 [3, S, S]`` in place; 0 is the mean picture."""
    side = image.shape[-1]
    if config.erase and rng.random() < config.erase:
        _erase(image, config, rng)
    if config.cutout and rng.random() < config.cutout:
        hole = max(1, round(side * config.cutout_ratio))
        x, y = rng.integers(-(hole // 2), side - hole // 2, 2)
        image[:, max(y, 0) : y + hole, max(x, 0) : x + hole] = 0


def augment_batch(
    images: NDArray[np.float32], distributions: NDArray[np.float32], config: Augment, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Third hook: mix-up or cut-mix of ``float32 [B, 3, S, S]`` and ``[B, C]``, each with its reverse in the batch.

    Columns are mixed one by one, so that further targets may stand beside the labels.
    """
    kinds = [name for name in ("mixup", "cutmix") if getattr(config, name) > 0]
    if not kinds or len(images) < 2 or rng.random() >= config.mix:
        return images, distributions
    kind = kinds[int(rng.integers(len(kinds)))]
    alpha = getattr(config, kind)
    kept = float(rng.beta(alpha, alpha))
    if kind == "mixup":
        mixed = kept * images + (1 - kept) * images[::-1]
    else:
        mixed, kept = _paste(images, kept, rng)
    blended = kept * distributions + (1 - kept) * distributions[::-1]
    return mixed.astype(np.float32), blended.astype(np.float32)


def augment_sound(samples: NDArray[np.float32], config: Augment, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise in proportion to the loudness of ``float32 [N]``; silence stays silence."""
    if not config.sound_noise:
        return samples
    level = rng.uniform(0, config.sound_noise) * np.sqrt(np.mean(samples.astype(np.float64) ** 2))
    noisy: NDArray[np.float32] = (samples + level * rng.standard_normal(len(samples))).astype(np.float32)
    return noisy


def mask_sound(picture: NDArray[np.float32], config: Augment, rng: np.random.Generator) -> None:
    """Erase stretches of bands and of time of ``float32 [1, M, T]`` in place; 0 is the mean of the picture."""
    for axis, masks, most in (
        (1, config.mel_freq_masks, config.mel_freq_most),
        (2, config.mel_time_masks, config.mel_time_most),
    ):
        size = picture.shape[axis]
        for _ in range(masks):
            width = int(rng.integers(0, min(most, size) + 1))
            start = int(rng.integers(0, size - width + 1))
            picture[(slice(None),) * axis + (slice(start, start + width),)] = 0


def _tone_curve(config: Augment, spread: NDArray[np.float64]) -> NDArray[np.uint8]:
    """256 grey levels after gamma, contrast about the middle, and brightness."""
    gain = 255 * (1 + config.contrast * spread[1])
    level = gain * (_LEVELS ** ((1 + config.gamma) ** spread[0]) - 0.5) + 255 * (0.5 + config.brightness * spread[2])
    curve: NDArray[np.uint8] = np.rint(level).clip(0, 255).astype(np.uint8)
    return curve


def _add_noise(crop: NDArray[np.uint8], levels: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    noise = levels * rng.standard_normal(crop.shape[:2], np.float32)
    noisy = crop + (noise[..., None] if crop.ndim == 3 else noise)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _erase(image: NDArray[np.float32], config: Augment, rng: np.random.Generator) -> None:
    side = image.shape[-1]
    area = side * side * rng.uniform(*config.erase_area)
    aspect = np.exp(rng.uniform(-1, 1) * np.log(config.erase_aspect))
    height = min(side, max(1, round(np.sqrt(area * aspect))))
    width = min(side, max(1, round(np.sqrt(area / aspect))))
    y, x = int(rng.integers(side - height + 1)), int(rng.integers(side - width + 1))
    hole = image[:, y : y + height, x : x + width]
    hole[...] = rng.standard_normal(hole.shape, np.float32) if config.erase_fill == "noise" else 0


def _paste(images: NDArray[np.float32], kept: float, rng: np.random.Generator) -> tuple[NDArray[np.float32], float]:
    """Paste one rectangle of the reversed batch; the share that is really kept."""
    side = images.shape[-1]
    half = 0.5 * side * np.sqrt(1 - kept)
    x, y = rng.uniform(0, side, 2)
    left, right = (int(np.clip(round(v), 0, side)) for v in (x - half, x + half))
    top, bottom = (int(np.clip(round(v), 0, side)) for v in (y - half, y + half))
    mixed = images.copy()
    mixed[:, :, top:bottom, left:right] = images[::-1, :, top:bottom, left:right]
    return mixed, 1 - (right - left) * (bottom - top) / side**2
