import cv2
import numpy as np
import pytest

from mien.faces.detect import Detectors, Tile, merged
from mien.faces.mesh import POINTS_68, FaceMesh, landmarks_68
from mien.media.crop import transform_points

JAW, BROWS, NOSE, EYES, MOUTH = slice(0, 17), slice(17, 27), slice(27, 36), slice(36, 48), slice(48, 68)


@pytest.fixture(scope="module")
def mesh() -> FaceMesh:
    return FaceMesh()


@pytest.fixture(scope="module")
def detection(photo: np.ndarray):
    return merged(Detectors(min_score=0.5).on_tiles(photo, [Tile(0.0, 0.0, 600.0)])[0])[0]


@pytest.fixture(scope="module")
def points(mesh: FaceMesh, photo: np.ndarray, detection) -> np.ndarray:
    ((found, presence),) = mesh(photo, [detection])
    assert presence > 0.9
    return landmarks_68(found)


def test_the_table_names_68_points_of_the_mesh() -> None:
    assert len(POINTS_68) == 68
    assert len(set(POINTS_68)) == 68
    assert min(POINTS_68) >= 0
    assert max(POINTS_68) < 468


def test_the_points_lie_as_they_do_in_a_face(points: np.ndarray) -> None:
    x, y = points[:, 0], points[:, 1]
    assert (np.diff(x[JAW]) > 0).mean() > 0.85
    assert y[8] == y[JAW].max()
    assert y[BROWS].mean() < y[EYES].mean() < y[NOSE].mean() < y[MOUTH].mean() < y[8]
    assert x[36:42].max() < x[27] < x[42:48].min()
    assert x[36] == x[36:42].min()
    assert x[45] == x[42:48].max()
    assert x[48] == x[MOUTH].min()
    assert x[54] == x[MOUTH].max()
    assert (np.diff(y[27:31]) > 0).all()


def test_the_points_of_a_mirrored_face_are_mirrored(mesh, photo, points) -> None:
    flipped = np.ascontiguousarray(photo[:, ::-1])
    seen = merged(Detectors(min_score=0.5).on_tiles(flipped, [Tile(0.0, 0.0, 600.0)])[0])
    mirrored = landmarks_68(mesh(flipped, seen)[0][0])
    back = [511, 0] - mirrored * [1, -1]
    pairs = {36: 45, 39: 42, 48: 54, 0: 16, 8: 8, 30: 30, 27: 27, 17: 26, 21: 22}
    eye_distance = np.hypot(*(points[45] - points[36]))
    for i, j in pairs.items():
        assert np.hypot(*(points[i] - back[j])) < 0.1 * eye_distance


@pytest.mark.parametrize(("degrees", "scale"), [(25, 1.0), (-35, 0.8), (0, 0.3), (10, 1.7)])
def test_the_points_turn_and_grow_with_the_picture(mesh, photo, points, degrees: float, scale: float) -> None:
    matrix = cv2.getRotationMatrix2D((256, 250), degrees, scale)
    turned = cv2.warpAffine(photo, matrix, (600, 600), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
    seen = merged(Detectors(min_score=0.4).on_tiles(turned, [Tile(0.0, 0.0, 600.0)])[0])
    best = min(seen, key=lambda one: np.hypot(*(one.keypoints[2] - transform_points(points[30], matrix))))
    found = landmarks_68(mesh(turned, [best])[0][0])
    expected = transform_points(points, matrix)
    eye_distance = np.hypot(*(expected[45] - expected[36]))
    assert np.hypot(*(found - expected).T).mean() < 0.04 * eye_distance


def test_there_is_no_presence_beside_the_face(mesh, photo, detection) -> None:
    from mien.faces.detect import moved

    beside = moved(detection, np.array([[0.5, 0, 0], [0, 0.5, 480.0]]))
    ((_, presence),) = mesh(photo, [beside])
    assert presence < 0.5


def test_no_detection_no_mesh(mesh, photo) -> None:
    assert mesh(photo, []) == []


def test_it_follows_a_face_that_moved_and_says_when_it_is_gone(mesh, photo, detection) -> None:
    ((found, _),) = mesh(photo, [detection])
    moved = np.roll(photo, (8, -12), axis=(0, 1))
    (again, presence), (_, beside) = mesh.follow(moved, [found, found / 4 + [0, 480]])
    assert presence > 0.9
    assert beside < 0.5
    assert np.abs(again - found - [-12, 8]).mean() < 1.5
    assert mesh.follow(photo, []) == []
