import numpy as np
import pytest

from mien.predict.views import View, distinct, is_whole, views_of


def test_a_picture_no_larger_than_a_tile_is_looked_at_as_a_whole() -> None:
    assert views_of(480, 640, None) == [View(0, 0, 640, 480)]
    assert views_of(480, 640, 640) == [View(0, 0, 640, 480)]


@pytest.mark.parametrize(("height", "width", "tile"), [(480, 640, 320), (100, 1000, 200), (333, 257, 64)])
def test_tiles_cover_the_picture_and_hold_every_face_of_a_third_of_their_side(height, width, tile, rng) -> None:
    whole, *tiles = views_of(height, width, tile)
    assert whole == View(0, 0, width, height)
    seen = np.zeros((height, width), bool)
    for view in tiles:
        assert max(view.shape) <= tile
        assert view.of(seen).shape == view.shape
        view.of(seen)[:] = True
    assert seen.all()
    side = int(0.33 * tile)
    for x, y in rng.integers(0, (width - side, height - side), (200, 2)):
        assert any(
            one.x <= x and one.y <= y and x + side <= one.x + one.width and y + side <= one.y + one.height
            for one in tiles
        )


def test_a_view_shares_the_pixels_of_its_picture() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    View(4, 2, 10, 5).of(image)[:] = 9
    assert image[2:7, 4:14].min() == 9
    assert image.sum() == 9 * 5 * 10 * 3


def test_boxes_at_an_inner_edge_are_cut_and_those_at_the_edge_of_the_picture_are_not() -> None:
    boxes = np.array([[10, 10, 40, 40], [60, 30, 100, 60], [0, 0, 30, 30], [30, 70, 60, 100]], np.float32)
    assert is_whole(boxes, View(0, 0, 100, 100), 100, 100).all()
    assert is_whole(boxes, View(0, 0, 100, 100), 300, 300).tolist() == [True, False, True, False]
    assert is_whole(boxes + 200, View(200, 200, 100, 100), 300, 300).tolist() == [True, True, False, True]


def test_a_face_seen_in_two_views_is_one_and_two_faces_of_one_view_are_two() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [1, 1, 11, 11], [2, 2, 8, 8], [50, 50, 60, 60]], np.float32)
    scores = np.array([0.5, 0.9, 0.8, 0.7, 0.6], np.float32)
    assert distinct(boxes, scores, [0, 0, 1, 1, 1]) == [1, 4, 0]
    assert distinct(boxes, scores, [0] * 5) == [1, 2, 3, 4, 0]
    assert distinct(boxes[:0], scores[:0], []) == []
