import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.predict.layout import Space, overlap


def box_area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def test_overlap_agrees_with_counting_pixels(rng: np.random.Generator) -> None:
    corners = np.sort(rng.integers(0, 20, (6, 2, 2)), axis=1).reshape(6, 4)
    grid = np.zeros((6, 20, 20), bool)
    for mask, (x1, y1, x2, y2) in zip(grid, corners, strict=True):
        mask[y1:y2, x1:x2] = True
    expected = [sum(int((grid[one] & mask).sum()) for mask in grid[3:]) for one in range(3)]
    np.testing.assert_array_equal(overlap(corners[:3].astype(float), corners[3:].astype(float)), expected)


@given(
    st.lists(st.tuples(st.floats(0, 900), st.floats(0, 700), st.floats(20, 100)), min_size=1, max_size=12),
    st.tuples(st.floats(20, 200), st.floats(15, 180)),
)
def test_cards_lie_inside_the_picture_and_the_reported_cover_is_true(centres, size) -> None:
    faces = tuple((x, y, x + side, y + side) for x, y, side in centres)
    boxes, covered = Space(width=1000, height=800, faces=faces).place([size] * len(faces), gap=4)
    for box in boxes:
        assert box_area(box) == pytest.approx(size[0] * size[1])
        assert min(box) >= 0
        assert box[2] <= 1000
        assert box[3] <= 800
    if covered == 0:
        for index, box in enumerate(boxes):
            assert overlap(np.array(box), np.array(faces)) == 0
            assert overlap(np.array(box), np.array(boxes[:index]).reshape(-1, 4)) == 0


def test_a_row_of_faces_gets_a_free_card_each() -> None:
    faces = tuple((100.0 + 120 * i, 100.0, 180.0 + 120 * i, 190.0) for i in range(6))
    boxes, covered = Space(width=900, height=500, faces=faces).place([(110, 150)] * 6, gap=5)
    assert covered == 0
    assert len(boxes) == 6


def test_a_face_that_fills_the_picture_leaves_no_free_place() -> None:
    _, covered = Space(width=100, height=100, faces=((0, 0, 100, 100),)).place([(60, 60)], gap=2)
    assert covered > 0


def test_no_faces_need_no_places() -> None:
    assert Space(width=10, height=10, faces=()).place([], gap=1) == ([], 0.0)
