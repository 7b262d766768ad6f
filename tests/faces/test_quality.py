import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.faces import FaceReader
from mien.faces.quality import _MEAN_FACE, _RIGID, QualityLimits, head_pose, judge, sharpness, side_px
from mien.schema.prediction import Face

angles = st.floats(-60, 60)


def turn(axis: int, degrees: float) -> np.ndarray:
    """Rotation about one axis of x right, y down, z away: right-handed."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[[first, second], [first, second]] = cos
    matrix[first, second], matrix[second, first] = -sin, sin
    return matrix


def seen(
    yaw: float, pitch: float, roll: float, scale: float = 40.0, shift: tuple[float, float] = (100, 80)
) -> np.ndarray:
    """The 68 points of the mean face, turned and seen from afar; those that no pose is told by lie anywhere."""
    rotation = turn(2, roll) @ turn(1, -yaw) @ turn(0, -pitch)
    points = np.random.default_rng(0).uniform(0, 200, (68, 2))
    points[list(_RIGID)] = scale * (_MEAN_FACE @ rotation.T)[:, :2] + shift
    return points


@given(angles, st.floats(-40, 40), st.floats(1, 500))
def test_a_head_that_is_turned_by_known_angles(yaw: float, pitch: float, scale: float) -> None:
    pose = head_pose(seen(yaw, pitch, 0.0, scale))
    expected = turn(1, -yaw) @ turn(0, -pitch) @ [0, 0, -1]
    levelled = turn(2, -pose.roll_degrees) @ expected
    assert pose.yaw_degrees == pytest.approx(math.degrees(math.atan2(levelled[0], -levelled[2])), abs=1e-6)
    assert pose.pitch_degrees == pytest.approx(math.degrees(math.asin(-levelled[1])), abs=1e-6)


def test_one_angle_at_a_time() -> None:
    assert head_pose(seen(30, 0, 0)).yaw_degrees == pytest.approx(30)
    assert head_pose(seen(0, 20, 0)).pitch_degrees == pytest.approx(20)
    pose = head_pose(seen(0, 0, 25))
    assert (pose.yaw_degrees, pose.pitch_degrees, pose.roll_degrees) == pytest.approx((0, 0, 25), abs=1e-6)


@given(angles, st.floats(-30, 30), st.floats(-80, 80))
def test_turning_the_picture_changes_only_the_roll(yaw: float, pitch: float, roll: float) -> None:
    upright, turned = head_pose(seen(yaw, pitch, 0)), head_pose(seen(yaw, pitch, roll))
    assert turned.yaw_degrees == pytest.approx(upright.yaw_degrees, abs=1e-6)
    assert turned.pitch_degrees == pytest.approx(upright.pitch_degrees, abs=1e-6)
    assert turned.roll_degrees - upright.roll_degrees == pytest.approx(roll, abs=1e-6)


def test_the_nose_says_where_the_head_looks() -> None:
    points = seen(0, 0, 0)
    points[30] += [8, 0]
    assert head_pose(points).yaw_degrees > 3
    points = seen(0, 0, 0)
    points[30] -= [0, 8]
    assert head_pose(points).pitch_degrees > 3


def test_points_in_one_place_are_no_error() -> None:
    pose = head_pose(np.full((68, 2), 5.0))
    assert np.isfinite([pose.yaw_degrees, pose.pitch_degrees, pose.roll_degrees]).all()


@pytest.fixture(scope="module")
def face(reader: FaceReader, photo: np.ndarray) -> Face:
    (found,) = reader.find_faces(photo)
    return found


def test_a_mirrored_head_looks_the_other_way(reader: FaceReader, photo: np.ndarray, face: Face) -> None:
    (mirrored,) = reader.find_faces(np.ascontiguousarray(photo[:, ::-1]))
    assert face.landmarks is not None
    assert mirrored.landmarks is not None
    one, other = head_pose(face.landmarks), head_pose(mirrored.landmarks)
    assert abs(one.yaw_degrees) < 30
    assert other.yaw_degrees == pytest.approx(-one.yaw_degrees, abs=4)
    assert other.pitch_degrees == pytest.approx(one.pitch_degrees, abs=4)


def test_sharpness_is_the_laplacian_over_the_contrast() -> None:
    """Where the crop is the picture itself: a pattern of known variance."""
    image = np.random.default_rng(1).integers(60, 200, (48, 48, 1), np.uint8).repeat(3, axis=2)
    eyes = np.array([[0.5 - 0.17, 0.4], [0.5 + 0.17, 0.4]]) * 48 - 0.5
    grey = np.pad(image[..., 0].astype(float), 1, mode="reflect")
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    expected = laplacian.var() / image[..., 0].var()
    assert sharpness(image, Face(box=(0, 0, 48, 48), score=1, eyes=eyes)) == pytest.approx(expected, rel=0.02)


def test_sharpness_falls_with_blur_and_stays_with_contrast(photo: np.ndarray, face: Face) -> None:
    measured = [sharpness(cv2.GaussianBlur(photo, (0, 0), sigma), face) for sigma in (0.5, 3, 6, 10)]
    assert measured == sorted(measured, reverse=True)
    pale = (photo * 0.5 + 60).astype(np.uint8)
    assert sharpness(pale, face) == pytest.approx(sharpness(photo, face), rel=0.05)
    assert sharpness(np.full_like(photo, 90), face) == 0


def test_a_portrait_is_fit_and_a_blurred_one_is_not(photo: np.ndarray, face: Face) -> None:
    assert judge(photo, face, QualityLimits()) == ("ok", "")
    status, detail = judge(cv2.GaussianBlur(photo, (0, 0), 12), face, QualityLimits())
    assert status == "blurred"
    assert "the least is 0.06" in detail
    assert judge(cv2.GaussianBlur(photo, (0, 0), 12), face, QualityLimits(min_sharpness=None))[0] == "ok"


def test_a_small_face(photo: np.ndarray) -> None:
    small = Face(box=(0, 0, 21, 40), score=0.9)
    assert side_px(small) == 21
    expected = "The face is 21 pixels wide; the smallest that is read is 32."
    assert judge(photo, small, QualityLimits()) == ("too_small", expected)
    assert judge(photo, small, QualityLimits(min_side_px=None)) == ("ok", "")


@pytest.mark.parametrize(
    ("yaw", "pitch", "words"),
    [(60, 0, "to the side by 60"), (-60, 0, "to the side by 60"), (0, -33, "down by 33"), (0, 44, "up by 44")],
)
def test_a_turned_head(photo: np.ndarray, yaw: float, pitch: float, words: str) -> None:
    turned = Face(box=(0, 0, 200, 200), score=0.9, landmarks=seen(yaw, pitch, 10).astype(np.float32))
    status, detail = judge(photo, turned, QualityLimits())
    assert status == "turned"
    assert f"turned {words} degrees" in detail
    free = QualityLimits(max_yaw_degrees=None, max_down_degrees=None, max_up_degrees=None)
    assert judge(photo, turned, free)[0] == "ok"


def test_without_points_the_pose_is_not_judged(photo: np.ndarray, face: Face) -> None:
    unknown = Face(box=face.box, score=0.9, eyes=face.eyes, alignment="detector")
    assert judge(photo, unknown, QualityLimits()) == ("ok", "")
