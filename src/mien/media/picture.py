"""A whole picture as a network takes it, and its boxes in the network's square and back.

Boxes and matrices here count the edges of pixels: the whole picture is ``0, 0, width, height``.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.schema.inputs import PictureSpec

GREY = 114
"""What fills the square beside the picture."""


def picture_matrix(shape_hw: Sequence[int], spec: PictureSpec) -> NDArray[np.float64]:
    """The map from the picture to the network's square, both in pixels.

    Args:
        shape_hw: ``(height, width, ...)`` of the picture.
        spec: the input of the network.

    Returns:
        ``float64 [2, 3]`` for points that count the edges of pixels; only its diagonal is not 0. With ``letterbox``
        the two scales differ by the rounding of the picture's sides to whole pixels.
    """
    height, width = shape_hw[:2]
    tall, wide = scaled_shape(shape_hw, spec)
    return np.array([[wide / width, 0.0, 0.0], [0.0, tall / height, 0.0]])


def scaled_shape(shape_hw: Sequence[int], spec: PictureSpec) -> tuple[int, int]:
    """Height and width in pixels that the picture has in the network's square."""
    height, width = shape_hw[:2]
    assert height > 0 and width > 0, shape_hw
    if spec.resize == "stretch":
        return spec.size_px, spec.size_px
    scale = spec.size_px / max(height, width)
    return max(1, round(scale * height)), max(1, round(scale * width))


def picture_tensor(image: NDArray[np.uint8], spec: PictureSpec) -> NDArray[np.float32]:
    """One network input: resized, the rest filled with grey, scaled to [0, 1], normalised.

    Every pixel is the mean of the area that it covers where the picture is shrunk, bilinear where it is enlarged.

    Args:
        image: ``uint8 [H, W, 3]`` RGB.
        spec: the input of the network.

    Returns:
        ``float32 [3, S, S]`` with ``S = spec.size_px``.
    """
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3, (image.dtype, image.shape)
    tall, wide = scaled_shape(image.shape, spec)
    square = np.full((spec.size_px, spec.size_px, 3), GREY, np.uint8)
    square[:tall, :wide] = resized(image, (tall, wide))
    tensor = np.stack(cv2.split(square)).astype(np.float32)
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (spec.mean, spec.std))
    tensor *= 1 / (255 * std)
    if mean.any():
        tensor -= mean / std
    return tensor


def resized(image: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture with another height and width: means of areas where it shrinks, else bilinear."""
    if image.shape[:2] == shape:
        return image
    shrinks = shape[0] * shape[1] < image.shape[0] * image.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, shape[::-1], interpolation=interpolation), np.uint8)


def boxes_to_unit(boxes: NDArray[np.floating], shape_hw: Sequence[int], spec: PictureSpec) -> NDArray[np.float32]:
    """Boxes of the picture as the network counts them.

    Args:
        boxes: ``[N, 4]``, ``x1, y1, x2, y2`` in pixels of the picture; not clipped.
        shape_hw: ``(height, width, ...)`` of the picture.
        spec: the input of the network.

    Returns:
        ``float32 [N, 4]``: centre, width and height, where 0 and 1 are the edges of the square.
    """
    corners = np.asarray(boxes, np.float64).reshape(-1, 4) * _scales(shape_hw, spec)
    centre, size = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    return np.concatenate([centre, size], axis=1).astype(np.float32)


def boxes_from_unit(boxes: NDArray[np.floating], shape_hw: Sequence[int], spec: PictureSpec) -> NDArray[np.float32]:
    """The inverse of :func:`boxes_to_unit`, clipped to the picture: ``float32 [N, 4]``, ``x1, y1, x2, y2``."""
    unit = np.asarray(boxes, np.float64).reshape(-1, 4)
    half = unit[:, 2:] / 2
    corners = np.concatenate([unit[:, :2] - half, unit[:, :2] + half], axis=1) / _scales(shape_hw, spec)
    height, width = shape_hw[:2]
    return corners.clip(0, (width, height, width, height)).astype(np.float32)


def _scales(shape_hw: Sequence[int], spec: PictureSpec) -> NDArray[np.float64]:
    """Share of the square that one pixel of the picture covers, for ``x1, y1, x2, y2``."""
    matrix = picture_matrix(shape_hw, spec) / spec.size_px
    return np.array([matrix[0, 0], matrix[1, 1]] * 2)
