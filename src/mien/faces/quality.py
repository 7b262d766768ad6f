"""Whether a face is large, frontal and sharp enough to be read, and if not, why.

Three gates, in this order. ``too_small``: the shorter side of the box, in pixels of the picture. ``turned``: yaw and
pitch of the head from 11 points that no expression moves. ``blurred``: how much of the contrast of the face lies in its
finest details, at one fixed size of the crop.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.media.crop import crop_matrix, cut
from mien.schema.inputs import CropSpec
from mien.schema.prediction import Face, Status

CROP_PX = 48
"""Side of the crop whose sharpness is measured; a face of this size shows all that the networks use."""

_RIGID = (36, 39, 42, 45, 27, 28, 29, 30, 31, 33, 35)
"""Of the 68 points: the corners of the eyes, the bridge of the nose, and its lower edge."""

_MEAN_FACE = np.array(
    [
        (-0.706, -0.008, 0.086),
        (-0.271, 0.023, 0.005),
        (0.271, 0.023, 0.005),
        (0.706, -0.008, 0.086),
        (0.0, -0.057, -0.246),
        (0.0, 0.186, -0.372),
        (0.0, 0.396, -0.523),
        (0.0, 0.524, -0.551),
        (-0.2, 0.636, -0.22),
        (0.0, 0.694, -0.269),
        (0.2, 0.636, -0.22),
    ]
)
"""These points in space, in distances of the eyes: x to the right, y down, z away from the viewer.

Means of the mesh's own three coordinates over 336 faces of FERPlus that look ahead, made symmetric.
"""

_TO_POINTS = np.linalg.pinv(_MEAN_FACE - _MEAN_FACE.mean(axis=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadPose:
    """How a head is turned, in degrees; all 0 for a face that looks at the camera.

    Attributes:
        yaw_degrees: in (-90, 90), above 0 towards the right of the picture.
        pitch_degrees: in (-90, 90), above 0 upward.
        roll_degrees: in (-180, 180], above 0 clockwise.
    """

    yaw_degrees: float
    pitch_degrees: float
    roll_degrees: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityLimits:
    """What a face needs to be read; ``None`` takes a gate away.

    Attributes:
        min_side_px: least shorter side of the box.
        max_yaw_degrees: farthest turn to either side. On the validation part of FERPlus the small Product-Cross is
            right on 88 % of the faces up to 30 degrees, 85 % from 30 to 40, 77 % from 40 to 45, 71 % of 56 beyond.
        max_down_degrees: farthest turn down: 71 % from 20 to 25 degrees, 56 % of 9 faces beyond.
        max_up_degrees: farthest turn up: no worse than others up to 40 degrees, none is known beyond.
        min_sharpness: least :func:`sharpness`. A Gaussian blur of 1.25 pixels of 48 brings half of these faces below
            it and takes 13 points off the accuracy. Of the 3,108 faces as they are 6 have less, of 67 faces on photos
            none (the least is 0.12).
    """

    min_side_px: float | None = 32.0
    max_yaw_degrees: float | None = 45.0
    max_down_degrees: float | None = 25.0
    max_up_degrees: float | None = 40.0
    min_sharpness: float | None = 0.06


def judge(image: NDArray[np.uint8], face: Face, limits: QualityLimits) -> tuple[Status, str]:
    """``ok``, or why a face is not to be read and a sentence with the numbers.

    The pose is known only where there are landmarks, the sharpness only where there are eyes.

    Args:
        image: the picture, ``uint8 [H, W, 3]`` RGB.
        face: in pixels of the picture.
        limits: what it needs.
    """
    side = side_px(face)
    if limits.min_side_px is not None and side < limits.min_side_px:
        return "too_small", f"The face is {side:.0f} pixels wide; the smallest that is read is {limits.min_side_px:g}."
    if (turned := _turned(face, limits)) is not None:
        return "turned", turned
    if limits.min_sharpness is not None and face.eyes is not None:
        measured = sharpness(image, face)
        if measured < limits.min_sharpness:
            return "blurred", f"The sharpness of the face is {measured:.3f}; the least is {limits.min_sharpness:g}."
    return "ok", ""


def side_px(face: Face) -> float:
    """Shorter side of the box."""
    x1, y1, x2, y2 = face.box
    return min(x2 - x1, y2 - y1)


def head_pose(landmarks: NDArray[np.floating]) -> HeadPose:
    """How the head is turned, told by 11 of its points.

    The points of a mean face in space, ``X [11, 3]``, seen from afar by a turned and scaled head, are ``p = X Mᵀ`` with
    ``M [2, 3]``; least squares give M, and its nearest matrix with orthonormal rows the first two rows of the rotation.
    The third follows, and with it the direction n in which the face looks. With the eyes made level, yaw is
    ``atan2(n_x, n_z)`` and pitch ``asin(n_y)``. On 1,145 faces of FERPlus it agrees with the depth that the mesh gives
    (correlation 0.997 for yaw, 0.987 for pitch).

    Args:
        landmarks: ``[68, 2]`` in pixels.
    """
    points = np.asarray(landmarks, np.float64)
    eyes = points[45] - points[36]
    roll = math.atan2(eyes[1], eyes[0])
    chosen = points[list(_RIGID)]
    left, _, right = np.linalg.svd((_TO_POINTS @ (chosen - chosen.mean(axis=0))).T, full_matrices=False)
    across, down = left @ right
    towards = -np.array([across[2], down[2], np.cross(across, down)[2]])
    x = math.cos(roll) * towards[0] + math.sin(roll) * towards[1]
    y = math.cos(roll) * towards[1] - math.sin(roll) * towards[0]
    return HeadPose(
        yaw_degrees=math.degrees(math.atan2(x, max(-towards[2], 1e-9))),
        pitch_degrees=math.degrees(math.asin(min(max(-y, -1.0), 1.0))),
        roll_degrees=math.degrees(roll),
    )


def sharpness(image: NDArray[np.uint8], face: Face) -> float:
    """Variance of the Laplacian over the variance, of the grey face cut at 48 pixels; from 0 to about 20.

    The ratio does not change with contrast or brightness. A face that is smaller than the crop counts as blurred by
    its enlargement; a face without any contrast has 0.

    Args:
        image: the picture, ``uint8 [H, W, 3]`` RGB.
        face: with eyes, in pixels of the picture.
    """
    assert face.eyes is not None, "the crop needs the eyes"
    crop = cut(image, crop_matrix(face.eyes, CropSpec(), CROP_PX), CROP_PX)
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    variance = float(grey.var())
    return float(cv2.Laplacian(grey, cv2.CV_32F).var()) / variance if variance > 0 else 0.0


def _turned(face: Face, limits: QualityLimits) -> str | None:
    if face.landmarks is None:
        return None
    pose = head_pose(face.landmarks)
    for name, degrees, limit in (
        ("to the side", abs(pose.yaw_degrees), limits.max_yaw_degrees),
        ("down", -pose.pitch_degrees, limits.max_down_degrees),
        ("up", pose.pitch_degrees, limits.max_up_degrees),
    ):
        if limit is not None and degrees > limit:
            return f"The head is turned {name} by {degrees:.0f} degrees; the most that is read is {limit:g}."
    return None
