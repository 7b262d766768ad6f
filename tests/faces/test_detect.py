import numpy as np
import pytest

from mien.faces.detect import Detection, Detectors, Tile, distinct, is_among, merged, moved, overlaps


def detection(x1: float, y1: float, x2: float, y2: float, score: float) -> Detection:
    points = np.full((6, 2), x1) + np.arange(12).reshape(6, 2)
    return Detection(box=(x1, y1, x2, y2), score=score, keypoints=points)


def test_overlaps_against_counted_pixels(rng: np.random.Generator) -> None:
    corners = rng.integers(0, 20, (30, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1) + 1], axis=1).astype(float)
    masks = np.zeros((30, 21, 21), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
        mask[y1:y2, x1:x2] = True
    union, inside = overlaps(boxes[0], boxes)
    for i in range(30):
        both = (masks[0] & masks[i]).sum()
        assert union[i] == pytest.approx(both / (masks[0] | masks[i]).sum())
        assert inside[i] == pytest.approx(both / min(masks[0].sum(), masks[i].sum()))


def test_merging_averages_what_is_alike_and_drops_what_is_not() -> None:
    same = [detection(0, 0, 10, 10, 0.6), detection(1, 0, 11, 10, 0.9)]
    other_size = detection(2, 2, 6, 6, 0.8)
    elsewhere = detection(30, 0, 40, 10, 0.7)
    first, second = merged([*same, other_size, elsewhere])
    assert first.score == 0.9
    assert first.box == pytest.approx((0.6, 0, 10.6, 10))
    assert first.keypoints[0] == pytest.approx([0.6, 1.6])
    assert second.box == pytest.approx(elsewhere.box)
    assert [one.box for one in distinct([*same, elsewhere])] == [same[1].box, elsewhere.box]
    assert is_among(other_size.box, same)
    assert not is_among(elsewhere.box, same)
    assert merged([]) == []
    assert not is_among(elsewhere.box, [])


def test_a_detection_moves_with_the_picture() -> None:
    twice = np.array([[2.0, 0, 0.5], [0, 2, 0.5]])  # a picture of twice the size: pixel centres move by a half
    one = moved(detection(3, 4, 8, 9, 0.5), twice)
    assert one.box == pytest.approx((6, 8, 16, 18))
    assert one.keypoints[0] == pytest.approx([6.5, 8.5])


def test_a_tile_sees_what_the_picture_shows_there(photo: np.ndarray) -> None:
    detectors = Detectors(min_score=0.5)
    tile = Tile(60.0, 0.0, 384.0)
    (on_tile,) = detectors.on_tiles(photo, [tile])
    (on_square,) = detectors.on_squares([photo[:384, 60:444]])
    (found,), (expected,) = merged(on_tile), merged(on_square)
    assert np.array(found.box) - (60, 0, 60, 0) == pytest.approx(np.array(expected.box), abs=1.5)
    assert found.keypoints - (60, 0) == pytest.approx(expected.keypoints, abs=1.5)


def test_a_tile_may_overhang_the_picture(photo: np.ndarray) -> None:
    (found,) = Detectors(min_score=0.5).on_tiles(photo, [Tile(0.0, 0.0, 900.0)])
    (face,) = merged(found)
    assert 0 < face.box[0] < face.box[2] < 512


def test_the_eyes_come_first_from_left_to_right(photo: np.ndarray) -> None:
    (found,) = Detectors(min_score=0.5).on_tiles(photo, [Tile(0.0, 0.0, 600.0)])
    left, right, nose, mouth, left_ear, right_ear = merged(found)[0].keypoints
    assert left_ear[0] < left[0] < nose[0] < right[0] < right_ear[0]
    assert max(left[1], right[1]) < nose[1] < mouth[1]
