import numpy as np
import pytest

from mien.engine.scenes import BACKGROUNDS, SCENE, place


@pytest.fixture
def face(rng: np.random.Generator) -> np.ndarray:
    pixels = rng.integers(60, 200, (6, 6, 3)).astype(np.uint8)
    return pixels.repeat(8, axis=0).repeat(8, axis=1)


@pytest.mark.parametrize("size", [30, 48, 150, 480])
def test_the_box_holds_the_face_picture_unfaded(face: np.ndarray, size: int) -> None:
    scene, box = place(face, size, np.random.default_rng(1))
    assert scene.shape == (*SCENE, 3)
    assert scene.dtype == np.uint8
    left, top, right, bottom = (int(edge) for edge in box)
    assert 0 <= left < right <= SCENE[1]
    assert 0 <= top < bottom <= SCENE[0]
    assert (right - left, bottom - top) == (size, size)
    seen = scene[top:bottom, left:right].astype(float)
    cells = seen[: size // 6 * 6, : size // 6 * 6].reshape(6, size // 6, 6, size // 6, 3).mean((1, 3))
    assert np.corrcoef(cells.ravel(), face[::8, ::8].astype(float).ravel())[0, 1] > 0.97
    assert abs(seen.mean() - face.mean()) < 4


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_seed_repeats_a_scene_and_each_background_fills_it(
    background: object, face: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.engine.scenes.BACKGROUNDS", (background,))
    first, again, other = (place(face, 64, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first[0], again[0])
    assert first[1] == again[1]
    assert first[1] != other[1]
    x1, y1, x2, y2 = (int(edge) for edge in first[1])
    around = first[0].astype(float)
    around[y1 - 10 : y2 + 10, x1 - 10 : x2 + 10] = np.nan
    assert 10 < np.nanmean(around) < 245
    assert np.nanstd(around) > 3


def test_the_edge_fades_into_the_background() -> None:
    white = np.full((48, 48, 3), 255, np.uint8)
    steps = []
    for seed in range(6):
        scene, box = place(white, 100, np.random.default_rng(seed))
        left, _, _, bottom = (int(edge) for edge in box)
        line = scene[bottom - 50, max(0, left - 12) : left + 10].astype(int).max(1)
        steps.append(np.abs(np.diff(line)).max())
    assert np.median(steps) < 60


def test_a_face_larger_than_the_scene_is_a_mistake_of_ours(face: np.ndarray) -> None:
    with pytest.raises(AssertionError):
        place(face, 481, np.random.default_rng(0))
