import numpy as np
import pytest

from mien.data import synthetic
from mien.data.disturbances.kinds import KINDS, REFERENCE_PX, Disturbance
from mien.media.crop import crop_matrix, cut, eye_centres, transform_points
from mien.schema.errors import ConfigError
from mien.schema.inputs import CropSpec

IMAGE, TRUTH = synthetic.render(3, 1)
POINTS = np.array(TRUTH.landmarks)
EVERY = [(name, severity) for name, kind in KINDS.items() for severity in range(1, len(kind.levels) + 1)]


def right(side: int) -> np.ndarray:
    return crop_matrix(eye_centres(POINTS), CropSpec(), side)


def seen(disturbance: Disturbance, side: int = 64, key: str = "k") -> np.ndarray:
    matrix = disturbance.placed(right(side), side, key)
    return disturbance.altered(cut(IMAGE, matrix, side), transform_points(POINTS, matrix), key)


@pytest.mark.parametrize(("name", "severity"), EVERY)
def test_a_crop_stays_a_crop_and_comes_out_the_same_again(name: str, severity: int) -> None:
    disturbance = Disturbance(name, severity, 7)
    plain = cut(IMAGE, right(64), 64)
    before = plain.copy()
    first = seen(disturbance)
    assert first.dtype == np.uint8
    assert first.shape == (64, 64, 3)
    assert (first == seen(Disturbance(name, severity, 7))).all()
    assert (first != plain).any()
    disturbance.altered(plain, POINTS, "k")
    assert (plain == before).all()


@pytest.mark.parametrize("name", KINDS)
def test_severity_0_is_nothing_at_all(name: str) -> None:
    none, matrix, crop = Disturbance(name, 0), right(64), cut(IMAGE, right(64), 64)
    assert none.placed(matrix, 64, "k") is matrix
    assert none.altered(crop, POINTS, "k") is crop
    assert KINDS[name].words(0) == "none"
    assert len(KINDS[name].levels) == 4
    assert (KINDS[name].alter is None) != (KINDS[name].misplace is None)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.alter])
def test_a_higher_severity_is_further_away(name: str) -> None:
    plain = seen(Disturbance(name, 0)).astype(float)
    away = [np.abs(seen(Disturbance(name, severity)) - plain).mean() for severity in range(1, 5)]
    assert away == sorted(away)


@pytest.mark.parametrize("name", ["colour_cast", "low_light", "motion_blur", "hand", "half_face", "rotation", "shift"])
def test_what_is_drawn_comes_from_seed_and_key(name: str) -> None:
    views = {seen(Disturbance(name, 2, seed), key=key).tobytes() for seed in range(4) for key in ("a", "b")}
    assert len(views) > 1


@pytest.mark.parametrize("name", ["blur", "motion_blur"])
def test_lengths_are_those_of_a_crop_of_the_reference(name: str) -> None:
    """Twice the side has twice the length, so the same face looks the same."""
    small, large = (seen(Disturbance(name, 4), side).astype(float) for side in (REFERENCE_PX, 2 * REFERENCE_PX))
    halved = large.reshape(REFERENCE_PX, 2, REFERENCE_PX, 2, 3).mean((1, 3))
    assert np.abs(halved - small).mean() < 2


def test_boxes_are_misplaced_by_what_they_say() -> None:
    corner = np.array([[31.5, 31.5], [63.5, 31.5]])
    turned = Disturbance("rotation", 4).placed(np.eye(2, 3), 64, "k")
    middle, edge = transform_points(corner, turned)
    assert np.allclose(middle, corner[0])
    assert np.degrees(np.arctan2(*np.abs(edge - middle)[::-1])) == pytest.approx(30)
    moved = Disturbance("shift", 4).placed(np.eye(2, 3), 64, "k")
    assert np.hypot(*moved[:, 2]) == pytest.approx(0.2 * 64)
    assert np.allclose(moved[:, :2], np.eye(2))
    for name, scale in (("tight_box", 1 / 0.6), ("wide_box", 1 / 1.6)):
        matrix = Disturbance(name, 4).placed(np.eye(2, 3), 64, "k")
        assert np.allclose(matrix[:, :2], scale * np.eye(2))
        assert np.allclose(transform_points(corner[:1], matrix), corner[:1])


def test_a_face_is_turned_in_its_picture_and_no_corner_is_invented() -> None:
    """A white picture stays white wherever the box lies: what is beyond its border is its reflection."""
    white = np.full((60, 60, 3), 255, np.uint8)
    for name in ("rotation", "shift", "wide_box"):
        matrix = Disturbance(name, 4).placed(np.eye(2, 3), 60, "k")
        assert (cut(white, matrix, 60) == 255).all()


def test_unknown_names_and_severities_are_explained() -> None:
    with pytest.raises(ConfigError, match="no disturbance 'snow'; allowed: colour_cast, warm_light"):
        Disturbance("snow", 1)
    with pytest.raises(ConfigError, match=r"'blur' lie in 0\.\.4; given: 5"):
        Disturbance("blur", 5)
