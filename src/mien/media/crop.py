"""Cutting an aligned face out of a picture, and finding the way back.

Points are ``(x, y)`` with whole numbers at the centres of pixels, as OpenCV counts them: the picture reaches from -0.5
to ``width - 0.5``. Boxes count the edges of pixels: the whole picture is ``0, 0, width, height``. Matrices are
``float64 [2, 3]`` and map points of the picture to points of the crop.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.schema.inputs import CropSpec, ImageSpec
from mien.schema.prediction import Face
from mien.schema.sample import Box

Matrix = NDArray[np.float64]

_LEFT_EYE = slice(36, 42)
_RIGHT_EYE = slice(42, 48)
_MOUTH_CORNERS = [48, 54]
_MOUTH_FROM_FRONT = 1.03
"""Distance of the mouth of the mean face from the midpoint of its eyes, in distances of the eyes."""
_BORDER = cv2.BORDER_REFLECT_101
_MAX_OVERSAMPLING = 8
_LEVEL = 1e-3
"""Where eyes and mouth contradict each other, what is left of their sum is no direction."""
_NO_SHRINK = 1 + 1e-6


def eye_centres(points: NDArray[np.floating]) -> Matrix:
    """Means of the six points of each eye.

    Args:
        points: ``[68, 2]``, in the order of the 68-point scheme.

    Returns:
        ``float64 [2, 2]``, the eye on the left of the picture first (the person's right eye).
    """
    assert points.shape == (68, 2), points.shape
    return np.stack([points[_LEFT_EYE].mean(axis=0), points[_RIGHT_EYE].mean(axis=0)]).astype(np.float64)


def crop_matrix(eyes: NDArray[np.floating], crop: CropSpec, size_px: int) -> Matrix:
    """The similarity that brings the eyes to the places that ``crop`` names.

    Args:
        eyes: ``[2, 2]``, the eye on the left of the picture first; the two differ.
        crop: places of the eyes as shares of the side.
        size_px: side of the crop.
    """
    (x1, y1), (x2, y2) = np.asarray(eyes, np.float64)
    dx, dy = x2 - x1, y2 - y1
    assert dx or dy, "both eyes are in one place"
    scale = crop.eye_distance_ratio * size_px / (dx * dx + dy * dy)
    linear = scale * np.array([[dx, dy], [-dy, dx]])
    target = np.array([crop.eye_centre_x_ratio, crop.eye_centre_y_ratio]) * size_px - 0.5
    shift = target - linear @ np.array([(x1 + x2) / 2, (y1 + y2) / 2])
    return np.column_stack([linear, shift])


def upright_eyes(eyes: NDArray[np.floating], points: NDArray[np.floating], mouth_reach: float) -> Matrix:
    """Where the eyes would be if the face were seen from the front: as far apart, and as level, as its mouth tells.

    Args:
        eyes: ``[2, 2]``, the eye on the left of the picture first; the two differ.
        points: ``[68, 2]``, in the order of the 68-point scheme.
        mouth_reach: see :class:`CropSpec`.

    Returns:
        ``float64 [2, 2]`` around the same midpoint.
    """
    given = np.asarray(eyes, np.float64)
    middle, along = given.mean(axis=0), given[1] - given[0]
    down = np.asarray(points, np.float64)[_MOUTH_CORNERS].mean(axis=0) - middle
    apart = max(math.hypot(*along), math.hypot(*down) / mouth_reach)
    level = along + np.array([down[1], -down[0]]) / _MOUTH_FROM_FRONT
    length = math.hypot(*level)
    half = (level / length if length > _LEVEL * apart else along / math.hypot(*along)) * apart / 2
    return np.stack([middle - half, middle + half])


def box_matrix(box: Box, size_px: int) -> Matrix:
    """The smallest upright square around ``box`` with the same centre, brought to ``size_px``."""
    x1, y1, x2, y2 = box
    side = max(x2 - x1, y2 - y1)
    assert side > 0, box
    scale = size_px / side
    shift_x, shift_y = (size_px / 2 - 0.5 - scale * ((low + high) / 2 - 0.5) for low, high in ((x1, x2), (y1, y2)))
    return np.array([[scale, 0.0, shift_x], [0.0, scale, shift_y]])


def whole_matrix(height: int, width: int, size_px: int) -> Matrix:
    """The whole picture, made square by its reflected border."""
    return box_matrix((0.0, 0.0, float(width), float(height)), size_px)


def face_matrix(face: Face, image_shape: Sequence[int], spec: ImageSpec) -> Matrix:
    """How ``face`` is cut out of its picture: by the eyes, and the mouth if the crop asks for it; else by the box.

    Args:
        face: in pixels of the picture; a box that covers the picture stands for the whole of it.
        image_shape: ``(height, width, ...)`` of the picture.
        spec: the crop; its side is ``spec.crop_px``.
    """
    if face.eyes is not None:
        eyes, points, reach = face.eyes, face.landmarks, spec.crop.mouth_reach
        if reach is not None and points is not None and np.isfinite(points[_MOUTH_CORNERS]).all():
            eyes = upright_eyes(eyes, points, reach)
        return crop_matrix(eyes, spec.crop, spec.crop_px)
    height, width = image_shape[:2]
    x1, y1, x2, y2 = face.box
    if x1 <= 0 and y1 <= 0 and x2 >= width and y2 >= height:
        return whole_matrix(height, width, spec.crop_px)
    return box_matrix(face.box, spec.crop_px)


def cut(image: NDArray[np.uint8], matrix: Matrix, size_px: int, *, coarse: bool = False) -> NDArray[np.uint8]:
    """Cut a square out of a picture.

    Bicubic where the picture is enlarged; where it is shrunk every pixel of the crop is the mean of the area that it
    covers. What lies outside the picture is its reflection.

    Args:
        image: ``uint8 [H, W, 3]``.
        matrix: maps points of the picture to points of the crop.
        size_px: side of the crop.
        coarse: take fewer samples of each area, a third less than all of its pixels at worst: quicker where the crop is
            looked at and not kept.

    Returns:
        ``uint8 [size_px, size_px, 3]``.
    """
    shrink = 1 / math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    image, matrix = _region(_thick(image), matrix, size_px)
    if shrink <= _NO_SHRINK:
        return _warp(image, matrix, size_px, cv2.INTER_CUBIC)
    if shrink > 2 * _MAX_OVERSAMPLING:
        image, matrix = _shrunk(image, matrix, shrink / _MAX_OVERSAMPLING)
    times = min(round(shrink) if coarse else math.ceil(shrink), _MAX_OVERSAMPLING)
    large = _warp(image, _enlarged(matrix, times), size_px * times, cv2.INTER_LINEAR)
    return large if times == 1 else np.asarray(cv2.resize(large, (size_px, size_px), interpolation=cv2.INTER_AREA))


def transform_points(points: NDArray[np.floating], matrix: Matrix) -> Matrix:
    """Map points ``[..., 2]``."""
    mapped: Matrix = np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return mapped


def invert(matrix: Matrix) -> Matrix:
    """The map from points of the crop to points of the picture."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def _warp(image: NDArray[np.uint8], matrix: Matrix, size_px: int, interpolation: int) -> NDArray[np.uint8]:
    warped = cv2.warpAffine(image, matrix, (size_px, size_px), flags=interpolation, borderMode=_BORDER)
    return np.asarray(warped, np.uint8)


def _enlarged(matrix: Matrix, times: int) -> Matrix:
    """The same square with ``times`` as many pixels a side."""
    larger = matrix * times
    larger[:, 2] += (times - 1) / 2
    return larger


def _shrunk(image: NDArray[np.uint8], matrix: Matrix, times: float) -> tuple[NDArray[np.uint8], Matrix]:
    """The picture made smaller by area means, and the map that fits it."""
    height, width = image.shape[:2]
    small = np.asarray(
        cv2.resize(image, (max(1, round(width / times)), max(1, round(height / times))), interpolation=cv2.INTER_AREA),
        np.uint8,
    )
    ratios = np.array([width / small.shape[1], height / small.shape[0]])
    linear = matrix[:, :2] * ratios
    return small, np.column_stack([linear, matrix[:, 2] + matrix[:, :2] @ ((ratios - 1) / 2)])


def _thick(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At least two pixels each way: the reflection of a single one is itself, but OpenCV never ends looking for it."""
    for axis in (0, 1):
        if image.shape[axis] == 1:
            image = image.repeat(2, axis=axis)
    return image


def _region(image: NDArray[np.uint8], matrix: Matrix, size_px: int) -> tuple[NDArray[np.uint8], Matrix]:
    """The part of the picture that the square needs, reflections included (a view, no copy)."""
    edge = size_px - 0.5
    corners = transform_points(np.array([[-0.5, -0.5], [edge, -0.5], [edge, edge], [-0.5, edge]]), invert(matrix))
    (x1, y1), (x2, y2) = corners.min(axis=0), corners.max(axis=0)
    left, right = _reach(x1, x2, image.shape[1])
    top, bottom = _reach(y1, y2, image.shape[0])
    shift = matrix[:, 2] + matrix[:, :2] @ np.array([left, top], np.float64)
    return image[top:bottom, left:right], np.column_stack([matrix[:, :2], shift])


def _reach(low: float, high: float, length: int) -> tuple[int, int]:
    """The stretch of ``0..length`` that an interval and its reflections at both ends touch, with some margin."""
    last = length - 1
    first_px, last_px = math.floor(low) - 4, math.ceil(high) + 4
    reflected_high = max(last_px, -first_px)
    reflected_low = min(first_px, 2 * last - last_px)
    return min(max(reflected_low, 0), last), min(max(reflected_high, 0), last) + 1
