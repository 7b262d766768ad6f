"""The one preprocessing: a face cut out of its picture, as the array that a network takes."""

from collections.abc import Iterable
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.schema.inputs import ImageSpec

_Pixel = TypeVar("_Pixel", np.uint8, np.float32)


def image_tensor(crop: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.float32]:
    """One network input.

    The crop is made grey if ``spec`` says so, brought to ``spec.source_px`` if it is larger, enlarged to
    ``spec.size_px``, scaled to [0, 1] and normalised by the mean and the standard deviation.

    Args:
        crop: ``uint8 [s, s, 3]`` RGB.

    Returns:
        ``float32 [3, S, S]`` with ``S = spec.size_px``.
    """
    assert crop.dtype == np.uint8 and crop.ndim == 3 and crop.shape[0] == crop.shape[1], (crop.dtype, crop.shape)
    pixels = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)[..., None] if spec.colour == "grey" else crop
    pixels = _resize(pixels, min(spec.crop_px, pixels.shape[0]))
    pixels = _resize(pixels.astype(np.float32), spec.size_px).clip(0, 255)
    scale = 1 / (255 * np.array(spec.std, np.float32))
    offset = np.array(spec.mean, np.float32) / np.array(spec.std, np.float32)
    return np.ascontiguousarray((pixels * scale - offset).transpose(2, 0, 1))


def image_batch(crops: Iterable[NDArray[np.uint8]], spec: ImageSpec) -> NDArray[np.float32]:
    """Several inputs of one kind, ``float32 [B, 3, S, S]``."""
    tensors = [image_tensor(crop, spec) for crop in crops]
    return np.stack(tensors) if tensors else np.zeros((0, 3, spec.size_px, spec.size_px), np.float32)


def _resize(pixels: NDArray[_Pixel], size_px: int) -> NDArray[_Pixel]:
    side = pixels.shape[0]
    if side == size_px:
        return pixels
    interpolation = cv2.INTER_AREA if size_px < side else cv2.INTER_CUBIC
    resized = np.asarray(cv2.resize(pixels, (size_px, size_px), interpolation=interpolation), pixels.dtype)
    return resized.reshape(size_px, size_px, -1)
