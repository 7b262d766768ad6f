import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.media.crop import (
    box_matrix,
    crop_matrix,
    cut,
    eye_centres,
    face_matrix,
    invert,
    transform_points,
    upright_eyes,
    whole_matrix,
)
from mien.media.mean_face import MEAN_FACE
from mien.schema.inputs import CROPS, CropSpec, ImageSpec
from mien.schema.prediction import Face

EYES = np.array([[40.0, 62.0], [80.5, 55.0]])


def similarity(scale: float, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    cos, sin = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


def around(point: tuple[float, float], scale: float, degrees: float, size_px: int) -> np.ndarray:
    """Brings ``point`` of the picture to the middle of the crop."""
    matrix = similarity(scale, degrees, (0, 0))
    matrix[:, 2] = (size_px - 1) / 2 - matrix[:, :2] @ point
    return matrix


def ramp(height: int, width: int) -> np.ndarray:
    """A picture whose value is a linear function of the place, another one in each channel."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    return np.stack([40 + 0.5 * x, 200 - 0.4 * y, 20 + 0.25 * x + 0.3 * y], axis=-1).round().astype(np.uint8)


def ramp_at(points: np.ndarray) -> np.ndarray:
    x, y = points[..., 0], points[..., 1]
    return np.stack([40 + 0.5 * x, 200 - 0.4 * y, 20 + 0.25 * x + 0.3 * y], axis=-1)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size_px", [48, 112, 225])
def test_the_crop_brings_the_eyes_to_their_places(size_px: int) -> None:
    left, right = transform_points(EYES, crop_matrix(EYES, CropSpec(), size_px)) + 0.5
    assert left == pytest.approx([(0.50 - 0.17) * size_px, 0.40 * size_px])
    assert right == pytest.approx([(0.50 + 0.17) * size_px, 0.40 * size_px])


def test_the_crop_neither_mirrors_nor_distorts() -> None:
    linear = crop_matrix(EYES, CropSpec(), 112)[:, :2]
    scale = 0.34 * 112 / np.hypot(*(EYES[1] - EYES[0]))
    assert linear @ linear.T == pytest.approx(scale**2 * np.eye(2))
    assert np.linalg.det(linear) > 0


def test_the_eye_on_the_left_of_the_picture_comes_first() -> None:
    points = np.zeros((68, 2))
    points[36:42] = [[30 + i, 50] for i in range(6)]
    points[42:48] = [[70, 40 + i] for i in range(6)]
    assert eye_centres(points).tolist() == [[32.5, 50.0], [70.0, 42.5]]


@given(st.floats(0.02, 20), st.floats(-180, 180), st.floats(-500, 500), st.floats(-500, 500))
def test_points_come_back(scale: float, degrees: float, x: float, y: float) -> None:
    matrix = similarity(scale, degrees, (x, y))
    points = np.array([[0.0, 0.0], [17.5, -3.0], [400.0, 250.0]])
    there = transform_points(points, matrix)
    assert transform_points(there, invert(matrix)) == pytest.approx(points, abs=1e-6)


@pytest.mark.parametrize("scale", [0.11, 0.24, 0.5, 0.77, 1.0, 1.6, 4.0])
@pytest.mark.parametrize("degrees", [0, 13, -90, 171])
def test_a_pixel_of_the_crop_shows_what_lies_under_its_centre(scale: float, degrees: float) -> None:
    image, size_px = ramp(300, 400), 24
    matrix = around((199.3, 150.6), scale, degrees, size_px)
    rows, columns = np.mgrid[:size_px, :size_px]
    under = transform_points(np.stack([columns, rows], axis=-1), invert(matrix))
    inside = ((under > 4 / scale) & (under < [395 - 4 / scale, 295 - 4 / scale])).all(axis=-1)
    assert inside.sum() > 100
    difference = cut(image, matrix, size_px).astype(float) - ramp_at(under)
    assert np.abs(difference[inside]).max() < 1.3
    assert np.abs(difference[inside].mean()) < 0.3


def test_shrinking_by_whole_numbers_takes_the_mean_of_the_area() -> None:
    image = noise(96, 96)
    for times in (2, 3, 4, 8):
        side = 96 // times
        expected = image.reshape(side, times, side, times, 3).mean(axis=(1, 3))
        assert np.abs(cut(image, whole_matrix(96, 96, side), side) - expected).max() <= 0.51


def test_shrinking_far_below_the_oversampling_limit_still_takes_means() -> None:
    image = noise(1200, 1200)
    expected = image.reshape(24, 50, 24, 50, 3).mean(axis=(1, 3))
    assert np.abs(cut(image, whole_matrix(1200, 1200, 24), 24) - expected).max() < 3


def test_a_crop_of_half_the_size_is_the_area_mean_of_the_crop() -> None:
    y, x = np.mgrid[:240, :320]
    smooth = (127 + 60 * np.sin(x / 9) + 60 * np.cos(y / 7))[..., None].repeat(3, axis=2).astype(np.uint8)
    large = cut(smooth, crop_matrix(EYES, CropSpec(), 96), 96)
    small = cut(smooth, crop_matrix(EYES, CropSpec(), 48), 48)
    assert np.abs(large.reshape(48, 2, 48, 2, 3).mean(axis=(1, 3)) - small).max() < 3


def test_the_picture_as_it_is() -> None:
    image = noise(48, 48)
    assert (cut(image, whole_matrix(48, 48, 48), 48) == image).all()


def test_outside_is_the_reflection() -> None:
    image = noise(40, 40)
    expected = np.pad(image, ((16, 16), (16, 16), (0, 0)), mode="reflect")
    assert (cut(image, similarity(1, 0, (16, 16)), 72) == expected).all()


@given(st.floats(1.0, 3.0), st.floats(-180, 180), st.integers(-30, 90), st.integers(-30, 70))
def test_taking_only_the_needed_region_changes_nothing(scale: float, degrees: float, x: int, y: int) -> None:
    image = noise(50, 70)
    matrix = around((x, y), scale, degrees, 32)
    flags = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REFLECT_101}
    expected = cv2.warpAffine(image, matrix, (32, 32), **flags).astype(int)
    assert np.abs(cut(image, matrix, 32) - expected).max() <= 8  # positions are rounded to 1/32 of a pixel
    assert np.abs(cut(image, matrix, 32) - expected).mean() < 0.5


def test_a_picture_wider_than_opencv_can_warp() -> None:
    image = np.zeros((20, 40_000, 3), np.uint8)
    image[:, 35_000:35_020] = 200
    assert cut(image, similarity(1, 0, (-35_000, 0)), 20).min() == 200


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_pictures_of_a_few_pixels(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 77, np.uint8)
    assert (cut(image, whole_matrix(*shape, 32), 32) == 77).all()
    assert (cut(image, similarity(3, 30, (-40, 60)), 32) == 77).all()


def test_boxes_are_squared_around_their_centre() -> None:
    corners = transform_points(np.array([[9.5, 14.5], [29.5, 34.5]]), box_matrix((10, 20, 30, 30), 40))
    assert corners == pytest.approx(np.array([[-0.5, -0.5], [39.5, 39.5]]))


def test_a_face_is_cut_by_its_eyes_else_by_its_box_else_whole() -> None:
    spec = ImageSpec(size_px=112, source_px=48)
    by_eyes = Face(box=(10, 10, 90, 90), score=1, eyes=EYES, alignment="mesh")
    by_box = Face(box=(10, 10, 90, 90), score=1)
    whole = Face(box=(0, 0, 200, 100), score=1)
    assert face_matrix(by_eyes, (100, 200), spec) == pytest.approx(crop_matrix(EYES, CropSpec(), 48))
    assert face_matrix(by_box, (100, 200, 3), spec) == pytest.approx(box_matrix((10, 10, 90, 90), 48))
    assert face_matrix(whole, (100, 200, 3), spec) == pytest.approx(whole_matrix(100, 200, 48))


def seen(yaw_deg: float, roll_deg: float = 0.0) -> Face:
    """The mean face, its eyes 40 pixels apart from the front, as if it were flat and turned away."""
    turned = MEAN_FACE * [math.cos(math.radians(yaw_deg)), 1.0]
    points = transform_points(turned, similarity(40.0, roll_deg, (90, 70)))
    return Face(
        box=(0, 0, 180, 140), score=1, eyes=eye_centres(points), alignment="mesh", landmarks=points.astype(np.float32)
    )


@pytest.mark.parametrize("roll_deg", [-70.0, 0.0, 25.0])
def test_a_face_from_the_front_is_cut_the_same_with_and_without_its_mouth(roll_deg: float) -> None:
    face = seen(0, roll_deg)
    by_eyes, by_both = (face_matrix(face, (140, 180), ImageSpec(size_px=96, crop=crop)) for crop in CROPS.values())
    assert by_both == pytest.approx(by_eyes, abs=0.02)


@pytest.mark.parametrize("roll_deg", [0.0, 40.0])
def test_a_face_from_the_side_keeps_its_mouth_in_the_crop(roll_deg: float) -> None:
    face = seen(75, roll_deg)
    assert face.landmarks is not None
    lips = {
        name: transform_points(face.landmarks[48:60], face_matrix(face, (140, 180), ImageSpec(size_px=100, crop=crop)))
        for name, crop in CROPS.items()
    }
    assert lips["face_v1"][:, 1].min() > 100
    assert lips["face_v2"][:, 1].max() < 90
    assert lips["face_v2"][:, 0] == pytest.approx(50, abs=10)


def test_the_mouth_sets_the_scale_only_beyond_its_reach() -> None:
    points = np.zeros((68, 2))
    points[[48, 54]] = [[8.0, 30.0], [12.0, 30.0]]
    eyes = np.array([[0.0, 0.0], [20.0, 0.0]])
    assert upright_eyes(eyes, points, 1.6) == pytest.approx(eyes)
    assert upright_eyes(eyes, points, 1.2) == pytest.approx(np.array([[-2.5, 0.0], [22.5, 0.0]]))


def test_what_is_upright_lies_between_what_eyes_and_mouth_say() -> None:
    points = np.zeros((68, 2))
    points[[48, 54]] = [[-10.3, 20.6], [-10.3, 20.6]]
    eyes = np.array([[-10.0, 0.0], [10.0, 0.0]])
    along = np.diff(upright_eyes(eyes, points, 2.0), axis=0)[0]
    # The eyes are level; the mouth says 26.6 degrees, and is further away.
    assert 13 < math.degrees(math.atan2(along[1], along[0])) < 26.6
    points[[48, 54]] = [0.0, -20.6]
    assert upright_eyes(eyes, points, 2.0) == pytest.approx(eyes), "a mouth above the eyes, as far: go by the eyes"


def test_without_landmarks_a_face_is_cut_by_its_eyes() -> None:
    known = seen(60)
    lost = np.full((68, 2), np.nan, np.float32)
    for face in (replace(known, landmarks=None), replace(known, landmarks=lost)):
        by_eyes, by_both = (face_matrix(face, (140, 180), ImageSpec(size_px=96, crop=crop)) for crop in CROPS.values())
        assert by_both == pytest.approx(by_eyes)


def test_a_coarse_cut_is_all_but_the_same() -> None:
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (300, 300, 3), np.uint8), (0, 0), 2.0)
    for shrink in (1.2, 1.4, 1.7, 2.6):
        matrix = np.array([[1 / shrink, 0.0, 2.0], [0.0, 1 / shrink, 3.0]])
        fine, coarse = cut(image, matrix, 96), cut(image, matrix, 96, coarse=True)
        assert np.abs(fine.astype(int) - coarse).mean() < 2.0
