from pathlib import Path

import numpy as np
import pytest

from mien.faces.scene import SceneCuts


def texture(seed: int, height: int = 180, width: int = 640) -> np.ndarray:
    """Blobs of about 20 pixels."""
    import cv2

    coarse = np.random.default_rng(seed).integers(0, 256, (height // 20, width // 20, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def cuts(frames: list[np.ndarray], fps: float = 25.0) -> list[int]:
    scene = SceneCuts()
    return [number for number, frame in enumerate(frames) if scene.is_cut(frame, number / fps)]


def test_the_first_frame_begins_a_shot_and_stillness_none() -> None:
    assert cuts([texture(0)] * 5) == [0]


def test_another_scene_is_a_cut() -> None:
    assert cuts([texture(0)] * 3 + [texture(1)] * 3 + [texture(0)] * 2) == [0, 3, 6]


def test_a_pan_is_none() -> None:
    wide = texture(2, 180, 1600)
    assert cuts([wide[:, 6 * n : 6 * n + 320] for n in range(60)]) == [0]


def test_a_flash_and_noise_are_none(rng: np.random.Generator) -> None:
    dim = texture(3) // 3 + 20
    bright = np.clip(dim.astype(int) * 2 + 30, 0, 255).astype(np.uint8)
    noisy = [np.clip(dim + rng.normal(0, 12, dim.shape), 0, 255).astype(np.uint8) for _ in range(4)]
    assert cuts([dim, dim, bright, dim, *noisy]) == [0]


def test_a_dark_flicker_is_none_but_black_is_one() -> None:
    dark = [np.full((90, 160, 3), 4 + n % 2, np.uint8) for n in range(6)]
    assert cuts(dark) == [0]
    assert cuts([texture(4, 100, 160)] * 3 + [np.zeros((100, 160, 3), np.uint8)] * 3) == [0, 3]


def test_a_picture_after_flat_grey_is_a_cut_however_long_that_lasts() -> None:
    grey = np.full((100, 160, 3), 90, np.uint8)
    assert cuts([grey] * 40 + [texture(4, 100, 160)] * 3 + [grey] * 40 + [texture(4, 100, 160)]) == [0, 40, 43, 83]


def test_another_size_is_a_cut() -> None:
    assert cuts([texture(0), texture(0, 90, 320)]) == [0, 1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (20, 20), (36, 4000)])
def test_any_size(shape: tuple[int, int]) -> None:
    assert cuts([np.zeros((*shape, 3), np.uint8)] * 2) == [0]


def test_real_clips_are_cut_where_one_ends(mien_data: Path) -> None:
    import av

    frames: list[np.ndarray] = []
    starts: list[int] = []
    for path in sorted((mien_data / "video").glob("grid_*.mpg")):
        with av.open(str(path)) as clip:
            starts.append(len(frames))
            frames += [
                frame.to_ndarray(format="rgb24") for frame, _ in zip(clip.decode(video=0), range(12), strict=False)
            ]
    assert len(starts) == 4
    assert cuts(frames) == starts
