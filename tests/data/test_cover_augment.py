import numpy as np

from mien.data.augment import Augment, augment_crop
from mien.data.cover_augment import covered
from mien.media.mean_face import mean_face
from mien.schema.inputs import CropSpec

SIDE = 64
POINTS = mean_face(CropSpec(), SIDE) - 0.5
FACE = np.random.default_rng(0).integers(90, 200, (SIDE, SIDE, 3)).astype(np.uint8)
EYES, MOUTH = (37, 40, 43, 46), (48, 54, 57)


def changed_at(after: np.ndarray, before: np.ndarray, places: tuple[int, ...]) -> list[bool]:
    where = [tuple(np.rint(POINTS[place][::-1]).astype(int)) for place in places]
    return [bool((after[place] != before[place]).any()) for place in where]


def test_half_of_them_wear_glasses_and_all_kinds_come() -> None:
    before, counts = FACE.copy(), {"eyes": 0, "mouth": 0}
    for seed in range(400):
        after = covered(FACE, POINTS, np.random.default_rng(seed))
        share = (after != FACE).any(axis=2).mean()
        assert 0.02 < share < 0.6
        counts["eyes"] += all(changed_at(after, FACE, EYES)) and not any(changed_at(after, FACE, MOUTH))
        counts["mouth"] += any(changed_at(after, FACE, MOUTH)) and not any(changed_at(after, FACE, EYES))
    assert np.array_equal(before, FACE)
    assert 160 < counts["eyes"] < 240
    assert 40 < counts["mouth"] < 120


def test_a_grey_crop_is_covered_as_its_three_equal_channels_are() -> None:
    grey = FACE[..., 0]
    for seed in range(20):
        flat = covered(grey, POINTS, np.random.default_rng(seed))
        three = covered(np.repeat(grey[..., None], 3, axis=2), POINTS, np.random.default_rng(seed))
        assert flat.shape == grey.shape
        assert (three == flat[..., None]).all()


def test_only_faces_with_known_landmarks_are_covered_and_the_rest_of_the_draws_stay() -> None:
    config = Augment(cover=1.0)
    assert np.array_equal(augment_crop(FACE, config, np.random.default_rng(1)), FACE)
    assert not np.array_equal(augment_crop(FACE, config, np.random.default_rng(1), POINTS), FACE)
    noisy = Augment(noise=1.0)
    plain = augment_crop(FACE, noisy, np.random.default_rng(1))
    assert np.array_equal(augment_crop(FACE, noisy, np.random.default_rng(1), POINTS), plain)
