import cv2
import numpy as np
import pytest

from mien.media.crop import crop_matrix, eye_centres, transform_points
from mien.media.mean_face import mean_face
from mien.media.tensors import clip_tensor, features_tensor, image_batch, image_tensor, landmark_tensor
from mien.schema.errors import MediaError
from mien.schema.inputs import IMAGENET_MEAN, IMAGENET_STD, ClipSpec, CropSpec, FeatureSpec, ImageSpec, LandmarkSpec


def noise(side: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)


def test_colours_are_scaled_and_normalised() -> None:
    crop = noise(112)
    expected = (crop.astype(np.float64) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    tensor = image_tensor(crop, ImageSpec())
    assert tensor.dtype == np.float32
    assert tensor.shape == (3, 112, 112)
    assert tensor == pytest.approx(expected.transpose(2, 0, 1), abs=1e-5)


def test_grey_is_luminance_three_times() -> None:
    crop = noise(40)
    spec = ImageSpec(size_px=40, colour="grey", mean=(0, 0, 0), std=(1, 1, 1))
    luminance = crop @ np.array([0.299, 0.587, 0.114]) / 255
    for channel in image_tensor(crop, spec):
        assert channel == pytest.approx(luminance, abs=0.51 / 255 + 1e-4)


def test_a_grey_picture_stays_as_it_is_in_grey() -> None:
    crop = noise(48)[..., :1].repeat(3, axis=2)
    plain = {"size_px": 48, "mean": (0, 0, 0), "std": (1, 1, 1)}
    assert (image_tensor(crop, ImageSpec(colour="grey", **plain)) == image_tensor(crop, ImageSpec(**plain))).all()


def test_the_source_size_limits_the_detail() -> None:
    spec = ImageSpec(size_px=112, source_px=48, colour="grey", mean=(0, 0, 0), std=(1, 1, 1))
    crop = noise(96)
    small = cv2.resize(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (48, 48), interpolation=cv2.INTER_AREA)
    expected = cv2.resize(small.astype(np.float32), (112, 112), interpolation=cv2.INTER_CUBIC).clip(0, 255) / 255
    assert image_tensor(crop, spec)[1] == pytest.approx(expected, abs=1e-6)


def test_a_crop_of_the_source_size_is_only_enlarged() -> None:
    spec = ImageSpec(size_px=64, source_px=48, mean=(0, 0, 0), std=(1, 1, 1))
    crop = noise(48)
    expected = cv2.resize(crop.astype(np.float32), (64, 64), interpolation=cv2.INTER_CUBIC).clip(0, 255) / 255
    assert image_tensor(crop, spec) == pytest.approx(expected.transpose(2, 0, 1), abs=1e-6)


def test_values_stay_in_range() -> None:
    spec = ImageSpec(size_px=100, mean=(0, 0, 0), std=(1, 1, 1))
    crop = np.zeros((10, 10, 3), np.uint8)
    crop[::2] = 255
    tensor = image_tensor(crop, spec)
    assert tensor.min() >= 0
    assert tensor.max() <= 1


def test_a_batch_is_its_tensors_in_order() -> None:
    spec = ImageSpec(size_px=32)
    crops = [noise(32), noise(48)[::-1]]
    batch = image_batch(crops, spec)
    assert batch.shape == (2, 3, 32, 32)
    assert (batch[1] == image_tensor(crops[1], spec)).all()
    assert image_batch([], spec).shape == (0, 3, 32, 32)


CLIP = ClipSpec(n_frames=4, segments=2, size_px=32, source_px=24)


def test_a_clip_is_its_frames_in_order() -> None:
    crops = [noise(24), noise(24)[::-1], noise(40), noise(24)[:, ::-1]]
    clip = clip_tensor(crops, CLIP)
    assert clip.shape == CLIP.shape
    assert clip.dtype == np.float32
    for frame, crop in zip(clip, crops, strict=True):
        assert (frame == image_tensor(crop, CLIP.image)).all()


def test_a_frame_without_a_face_is_the_nearest_one_that_has_one() -> None:
    first, last = noise(24), noise(24)[::-1]
    clip = clip_tensor([None, first, None, last], CLIP)
    assert (clip == clip_tensor([first, first, first, last], CLIP)).all()
    with pytest.raises(MediaError, match="None of the 4 frames has a face"):
        clip_tensor([None] * 4, CLIP)


POINTS = np.random.default_rng(2).uniform(-5, 60, (4, 68, 2))


def test_landmarks_are_counted_from_the_edges_of_the_networks_square() -> None:
    spec = LandmarkSpec(n_frames=4, size_px=112, source_px=56)
    tensor = landmark_tensor(list(POINTS), spec)
    assert tensor.dtype == np.float32
    assert tensor.shape == spec.shape
    assert tensor == pytest.approx((POINTS + 0.5) * 2, abs=1e-4)
    corners = np.zeros((68, 2))
    corners[0], corners[1] = -0.5, 55.5
    assert landmark_tensor([corners] * 4, spec)[2, :2].tolist() == [[0, 0], [112, 112]]


def test_mirrored_landmarks_are_mirrored_in_the_tensor() -> None:
    spec = LandmarkSpec(n_frames=4, size_px=48)
    mirrored = POINTS * [-1, 1] + [47, 0]
    expected = landmark_tensor(list(POINTS), spec) * [-1, 1] + [48, 0]
    assert landmark_tensor(list(mirrored), spec) == pytest.approx(expected, abs=1e-4)


def test_missing_landmarks_come_from_the_nearest_frame() -> None:
    spec = LandmarkSpec(n_frames=4, size_px=48)
    filled = landmark_tensor([None, None, POINTS[2], POINTS[3]], spec)
    assert (filled == landmark_tensor(list(POINTS[[2, 2, 2, 3]]), spec)).all()


def test_landmarks_that_were_never_found_have_the_mean_shape_in_the_place_of_the_crop() -> None:
    spec = LandmarkSpec(n_frames=4, size_px=48, source_px=24, crop=CropSpec(eye_distance_ratio=0.3))
    filled = landmark_tensor([None] * 4, spec)
    assert filled.shape == spec.shape
    assert (filled == mean_face(spec.crop, 48)).all()
    face = 100 * mean_face(CropSpec(), 1) + [20, 30]
    found = transform_points(face, crop_matrix(eye_centres(face), spec.crop, spec.crop_px))
    assert landmark_tensor([found] * 4, spec) == pytest.approx(filled, abs=0.02)


def test_features_are_cut_or_filled_up_at_the_end() -> None:
    spec = FeatureSpec(width=3, n_steps=4)
    rows = np.arange(18, dtype=np.float64).reshape(6, 3) + 1
    assert (features_tensor(rows, spec) == rows[:4]).all()
    short = features_tensor(rows[:2], spec)
    assert (short[:2] == rows[:2]).all()
    assert (short[2:] == 0).all()
    assert (features_tensor(rows[:0], spec) == np.zeros((4, 3))).all()
    assert features_tensor(rows, spec).dtype == short.dtype == np.float32


def test_features_of_another_encoder_are_refused() -> None:
    spec = FeatureSpec(width=3, n_steps=4)
    for rows in (np.ones((5, 2)), np.ones(3)):
        with pytest.raises(MediaError, match="takes 3 features a step; given"):
            features_tensor(rows, spec)
    with pytest.raises(MediaError, match="not finite"):
        features_tensor(np.array([[1.0, np.nan, 0.0]]), spec)
