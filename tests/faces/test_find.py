from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.faces import FaceReader
from mien.faces.detect import Detection, Detectors, Tile
from mien.faces.find import FaceFinder, grid, sides


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(8, 400))
def test_tiles_shrink_by_at_most_a_half_until_the_smallest_face_spans_a_sixth(h: int, w: int, face: int) -> None:
    levels = sides(h, w, face)
    assert levels[0] == max(h, w)
    assert all(1 < larger / smaller <= 2 + 1e-9 for larger, smaller in pairwise(levels))
    if len(levels) > 1:
        assert levels[-1] == pytest.approx(6 * face)
    else:
        assert face / levels[0] >= 1 / 6 - 1e-9


@given(st.integers(20, 3000), st.integers(20, 3000), st.integers(60, 900), st.integers(0, 10**6))
def test_a_face_that_fits_the_overlap_is_whole_in_one_tile(h: int, w: int, side: int, seed: int) -> None:
    tiles = grid(h, w, side)
    rng = np.random.default_rng(seed)
    size = 0.35 * side
    for _ in range(20):
        x, y = rng.uniform(0, max(w - size, 0)), rng.uniform(0, max(h - size, 0))
        x2, y2 = min(x + size, w), min(y + size, h)
        assert any(
            t.x <= x + 1e-6 and t.y <= y + 1e-6 and x2 <= t.x + side + 1e-6 and y2 <= t.y + side + 1e-6 for t in tiles
        )


class Counted(Detectors):
    """Counts the tiles that are looked at."""

    def __init__(self) -> None:
        super().__init__(min_score=0.15)
        self.tiles: list[Tile] = []

    def on_tiles(self, image, tiles):
        self.tiles += tiles
        return super().on_tiles(image, tiles)


@pytest.fixture
def counted() -> tuple[FaceFinder, Counted]:
    finder = FaceFinder()
    finder._detectors = Counted()
    return finder, finder._detectors


def test_a_portrait_costs_one_look(photo: np.ndarray, counted: tuple[FaceFinder, Counted]) -> None:
    finder, detectors = counted
    (face,) = finder(photo)
    x1, y1, x2, y2 = face.box
    assert 150 < x1 < x2 < 400
    assert 50 < y1 < y2 < 350
    assert len(detectors.tiles) == 1


def test_a_crowd_is_searched_throughout(crowd: tuple[np.ndarray, np.ndarray], counted) -> None:
    scene, noses = crowd
    finder, detectors = counted
    found = [face for face in finder(scene) if face.score > 0.6]
    centres = np.array([((f.box[0] + f.box[2]) / 2, (f.box[1] + f.box[3]) / 2) for f in found])
    distances = np.abs(noses[:, None] - centres[None]).max(axis=2).min(axis=1)
    assert (distances < 20).mean() > 0.95
    sides_looked_at = [tile.side for tile in detectors.tiles]
    assert sides_looked_at.count(sides(480, 800, 32)[1]) == len(grid(480, 800, sides(480, 800, 32)[1]))


@pytest.mark.parametrize("height", [150, 200])
def test_a_small_face_beside_a_large_one_is_found(reader: FaceReader, photo: np.ndarray, height: int) -> None:
    scene = np.full((900, 900, 3), 120, np.uint8)
    scene[150:750, 20:532] = photo
    small = cv2.resize(photo, (round(512 * height / 600), height), interpolation=cv2.INTER_AREA)
    scene[60 : 60 + height, 700 : 700 + small.shape[1]] = small
    left = [face.box[0] for face in reader.find_faces(scene)]
    assert sum(x < 532 for x in left) == sum(x > 700 for x in left) == 1


def _seen(x: float, y: float, size: float, score: float) -> Detection:
    return Detection(box=(x, y, x + size, y + size), score=score, keypoints=np.zeros((6, 2)))


@pytest.mark.parametrize(("score", "searched"), [(None, 0), (0.2, 1), (0.4, 4)])
def test_traces_beside_a_large_face(counted, score: float | None, searched: int) -> None:
    """A weak one is looked at in its own place, a strong one everywhere."""
    finder, detectors = counted
    large = _seen(150, 150, 200, 0.9)

    def on_tiles(image, tiles):
        first = not detectors.tiles
        detectors.tiles += tiles
        return [[large, *([] if score is None else [_seen(30, 30, 40, score)])]] if first else [[] for _ in tiles]

    detectors.on_tiles = on_tiles
    assert [face.score for face in finder(np.zeros((512, 512, 3), np.uint8))] == [0.9]
    sides_looked_at = [tile.side for tile in detectors.tiles]
    assert sides_looked_at.count(sides(512, 512, 32)[1]) == searched


def test_a_glance_costs_little_and_sees_known_faces_where_they_are(photo: np.ndarray, counted) -> None:
    finder, detectors = counted
    scene = np.full((1080, 1920, 3), 120, np.uint8)
    small = cv2.resize(photo, (64, 75), interpolation=cv2.INTER_AREA)
    scene[700:775, 1500:1564] = small
    real = lambda seen: [one.box[0] > 1500 and one.box[2] < 1564 for one in seen]  # noqa: E731
    (face,) = finder.search(scene, real)
    assert face.size_px < 25
    assert len(detectors.tiles) > 100
    detectors.tiles.clear()
    assert finder.search(scene, real, known=[]) == []
    assert len(detectors.tiles) == 22
    x1, y1, x2, y2 = face.box
    (again,) = finder.search(scene, real, known=[(x1 + 6, y1 - 4, x2 + 6, y2 - 4), (100, 100, 140, 140)])
    assert again.box == pytest.approx(face.box, abs=6)
    assert len(detectors.tiles) == 44


def test_a_glance_at_a_large_face_counts_it_once(photo: np.ndarray, counted) -> None:
    finder, detectors = counted
    (face,) = finder(photo)
    detectors.tiles.clear()
    assert [one.box for one in finder.search(photo, lambda seen: [True] * len(seen), known=[face.box])] == [face.box]
    assert len(detectors.tiles) == 1


@pytest.mark.parametrize("shape", [(48, 64), (360, 640), (1080, 1920), (2160, 3840), (3000, 200)])
def test_a_glance_takes_two_dozen_tiles_at_most(counted, shape: tuple[int, int]) -> None:
    finder, detectors = counted
    detectors.on_tiles = lambda image, tiles: detectors.tiles.extend(tiles) or [[] for _ in tiles]
    finder.search(np.zeros((*shape, 3), np.uint8), lambda seen: [True] * len(seen), known=[])
    assert 1 <= len(detectors.tiles) <= 24


def test_a_face_that_fills_the_picture_is_found(photo: np.ndarray) -> None:
    (face,) = FaceFinder()(photo[120:345, 160:375])
    assert face.score > 0.5
    assert face.size_px > 120


def test_larger_faces_only(crowd: tuple[np.ndarray, np.ndarray]) -> None:
    scene, _ = crowd
    assert all(face.size_px >= 0.6 * 90 for face in FaceFinder(min_face_px=90)(scene))
    assert len(FaceFinder(min_face_px=90)(scene)) < len(FaceFinder()(scene))


def test_a_face_that_is_not_confirmed_does_not_end_the_search(photo: np.ndarray, counted) -> None:
    finder, detectors = counted
    asked: list[Detection] = []

    def nobody(detections):
        asked.extend(detections)
        return [False] * len(detections)

    assert finder.search(photo, nobody) == []
    assert len(asked) > 1
    assert len(detectors.tiles) > 1


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 2), (40, 40), (1500, 90)])
def test_pictures_of_any_shape(shape: tuple[int, int]) -> None:
    assert FaceFinder()(np.full((*shape, 3), 90, np.uint8)) == []


def test_nothing_is_found_in_noise(reader: FaceReader, rng: np.random.Generator) -> None:
    assert reader.find_faces(rng.integers(0, 256, (300, 400, 3), np.uint8)) == []
