import numpy as np
import pytest

from mien.data.augment import FLIP_68
from mien.media.crop import eye_centres
from mien.media.mean_face import MEAN_FACE, mean_face
from mien.schema.inputs import CropSpec


def test_the_eyes_lie_where_the_crop_has_them() -> None:
    crop = CropSpec(eye_distance_ratio=0.3, eye_centre_x_ratio=0.48, eye_centre_y_ratio=0.41)
    for size_px in (112, 48):
        left, right = eye_centres(mean_face(crop, size_px)) / size_px
        assert (left + right) / 2 == pytest.approx([0.48, 0.41], abs=1e-3)
        assert right - left == pytest.approx([0.3, 0.0], abs=1e-3)


def test_it_is_symmetric_and_fits_into_the_crop() -> None:
    assert MEAN_FACE.shape == (68, 2)
    assert (MEAN_FACE[FLIP_68] * [-1, 1] == MEAN_FACE).all()
    face = mean_face(CropSpec(), 112)
    assert face.dtype == np.float32
    assert face.min() > 0
    assert face.max() < 112


def test_the_parts_lie_one_below_the_other() -> None:
    brows, eyes, nose, mouth, chin = (
        MEAN_FACE[part, 1].mean() for part in (slice(17, 27), slice(36, 48), slice(31, 36), slice(48, 68), slice(8, 9))
    )
    assert brows < eyes < nose < mouth < chin
