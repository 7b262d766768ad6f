import numpy as np
import pytest

from mien.data.disturbances.covers import behind_glasses, behind_hand, half_hidden
from mien.media.mean_face import mean_face
from mien.schema.inputs import CropSpec

SIDE = 96
POINTS = mean_face(CropSpec(), SIDE) - 0.5
FACE = np.full((SIDE, SIDE, 3), (200, 150, 120), np.uint8)
FACE[62:] = 30  # below the cheeks, so that a hand of their colour can be told from the face


def changed(after: np.ndarray) -> np.ndarray:
    return np.asarray((after != FACE).any(axis=2))


def at(mask: np.ndarray, *places: int) -> list[bool]:
    return [bool(mask[tuple(np.rint(POINTS[place][::-1]).astype(int))]) for place in places]


def test_glasses_cover_the_eyes_and_nothing_else() -> None:
    covered = changed(behind_glasses(FACE, POINTS, 1.0))
    assert all(at(covered, 37, 40, 43, 46))
    assert covered[tuple(np.rint(POINTS[36:48].mean(0)[::-1]).astype(int))]
    assert not any(at(covered, 8, 33, 48, 51, 54, 57))
    assert 0.05 < covered.mean() < 0.3


def test_lenses_hold_back_the_light_that_they_say() -> None:
    middle = tuple(np.rint(POINTS[36:42].mean(0)[::-1]).astype(int))
    seen = [behind_glasses(FACE, POINTS, share)[middle].mean() for share in (0.0, 0.5, 1.0)]
    assert seen[0] == pytest.approx(FACE[middle].mean())
    assert seen[2] < 25
    assert seen[1] == pytest.approx((seen[0] + seen[2]) / 2, abs=1)


@pytest.mark.parametrize("from_left", [True, False])
def test_a_hand_reaches_from_the_chin_to_where_it_says(from_left: bool) -> None:
    low, middle, high = (changed(behind_hand(FACE, POINTS, reach, from_left)) for reach in (0.25, 0.6, 1.0))
    assert at(low, 57, 51) == [False, False]
    assert at(middle, 57, 51) == [True, False]
    assert at(high, 57, 62, 51) == [True, True, True]
    assert not any(at(high, 27, 37, 43))
    assert low.sum() < middle.sum() < high.sum()
    edge = 0 if from_left else -1
    assert high[:, edge].any()
    assert not high[:, -1 - edge].any()


def test_a_hand_has_the_colour_of_the_face() -> None:
    seen = behind_hand(FACE, POINTS, 1.0, True)
    x, y = np.rint(POINTS[57]).astype(int)
    assert np.allclose(seen[y, x] / FACE[0, 0], seen[y, x, 0] / FACE[0, 0, 0], atol=0.01)
    assert 0.7 <= seen[y, x, 0] / FACE[0, 0, 0] <= 1


@pytest.mark.parametrize("from_left", [True, False])
def test_the_hidden_part_is_the_share_of_the_width(from_left: bool) -> None:
    seen = half_hidden(FACE, POINTS, 0.5, from_left, 40.0)
    columns = changed(seen).all(axis=0)
    assert columns.mean() == pytest.approx(0.5, abs=0.02)
    assert columns[0] == from_left
    assert (seen[:, columns][:, 1:-1] == 40).all()
    less = changed(half_hidden(FACE, POINTS, 0.15, from_left, 40.0))
    assert less.sum() < changed(seen).sum()


def test_landmarks_outside_the_crop_are_no_fault() -> None:
    for points in (POINTS + 300, POINTS - 300, POINTS * 0 + 5):
        for seen in (
            behind_glasses(FACE, points, 0.5),
            behind_hand(FACE, points, 0.5, True),
            half_hidden(FACE, points, 0.5, False, 9.0),
        ):
            assert seen.dtype == np.uint8
            assert seen.shape == FACE.shape
