"""Clips as batches: the frames that are asked for, one augmentation for all of them, landmarks on the pixels."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.data import synthetic_clips
from mien.data.augment import Augment
from mien.data.clips import Clips
from mien.data.loader import Epoch, batches
from mien.data.prepare_clips import ClipFaces, prepare_clips
from mien.data.splits import DataConfig, Labelled, make_splits
from mien.media.clip import clip_indices
from mien.schema.errors import DatasetError
from mien.schema.inputs import ClipSpec, LandmarkSpec
from mien.schema.sample import FrameFolder, Sample, Targets

SPEC = ClipSpec(n_frames=4, segments=2, per_segment=2, size_px=48)
INPUTS = {"clip": SPEC, "landmarks": LandmarkSpec(n_frames=4, size_px=48)}
Drawn = tuple[tuple[Labelled, ...], list[ClipFaces]]
MOVED = Augment(flip=0.5, scale_ratio=0.1, rotation_deg=20.0, crop_area=(0.5, 1.0))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    splits = make_splits(synthetic_clips.samples(14), DataConfig(reader="synthetic_clips", halve_valid=False))
    items = splits.train[:4]
    known = prepare_clips(
        [item.sample for item in items], name="drawn", cache=tmp_path_factory.mktemp("cache"), progress=False
    )
    return items, [known[item.sample.key] for item in items]


def eyes_of(points: np.ndarray) -> np.ndarray:
    return np.stack([points[..., 36:42, :].mean(-2), points[..., 42:48, :].mean(-2)], axis=-2)


def test_faces_are_aligned_in_every_frame(drawn: Drawn) -> None:
    batch = Clips(*drawn, INPUTS).__getitems__(range(4))
    assert batch["clip"].shape == (4, 4, 3, 48, 48)
    assert batch["landmarks"].shape == (4, 4, 68, 2)
    eyes = eyes_of(batch["landmarks"].numpy())
    np.testing.assert_allclose(eyes.mean(axis=-2), np.full((4, 4, 2), (24.0, 0.4 * 48)), atol=0.3)
    np.testing.assert_allclose(np.linalg.norm(eyes[..., 1, :] - eyes[..., 0, :], axis=-1), 0.34 * 48, atol=0.3)


def test_evaluation_takes_the_middle_of_each_segment_and_is_repeatable(drawn: Drawn) -> None:
    clips = Clips(*drawn, INPUTS)
    assert clips.make.frames_of(48).tolist() == clip_indices(48, 2, 2).tolist()
    first, again = clips[1], clips[1]
    assert all(bool((first[name] == again[name]).all()) for name in first)


def test_one_augmentation_moves_all_frames_and_landmarks_alike(drawn: Drawn) -> None:
    items, faces = drawn
    still = [replace(one, eyes=one.eyes[[0] * 48], landmarks=one.landmarks[[0] * 48]) for one in faces]
    clips = Clips(items, still, INPUTS, augment=MOVED)
    clips.epoch = Epoch(np.zeros(40, np.int64), seed=1, number=2)
    batch = clips.__getitems__(range(40))
    points = batch["landmarks"].numpy()
    np.testing.assert_allclose(points, np.repeat(points[:, :1], 4, axis=1), atol=1e-4)
    left_first = eyes_of(points)[:, 0, 0, 0] < eyes_of(points)[:, 0, 1, 0]
    assert left_first.all(), "mirrored points change places, so the left eye stays on the left"
    assert np.std(points[:, 0, 30], axis=0).min() > 1
    other = Clips(items, still, INPUTS, augment=MOVED)
    other.epoch = Epoch(np.zeros(40, np.int64), seed=1, number=2)
    np.testing.assert_array_equal(other[7]["clip"].numpy()[0], batch["clip"].numpy()[7])


def test_batches_through_the_loader(drawn: Drawn) -> None:
    found = list(batches(Clips(*drawn, INPUTS), 3))
    assert [len(batch["label"]) for batch in found] == [3, 1]


def test_another_size_keeps_landmarks_on_the_face(drawn: Drawn) -> None:
    clips = Clips(*drawn, INPUTS)
    small, large = clips[0]["landmarks"].numpy(), clips.resized(96)[0]["landmarks"].numpy()
    assert clips.resized(96)[0]["clip"].shape == (1, 4, 3, 96, 96)
    np.testing.assert_allclose(large, 2 * small, atol=0.5)


def folder_clip(path: Path, faces: int) -> Sample:
    path.mkdir()
    for number in range(3):
        frame = np.full((40, 40, 3), 40 * (number + 1), np.uint8)
        cv2.imwrite(str(path / f"{number}.png"), frame)
    names = tuple(path / f"{number}.png" for number in range(faces))
    return Sample(key=path.name, source=FrameFolder(names), split="train", targets=Targets(label="neutral"))


def item(sample: Sample) -> Labelled:
    return Labelled(sample=sample, index=0, distribution=np.array([1.0], np.float32))


def test_a_clip_without_any_face_is_taken_whole_with_a_mean_face(tmp_path: Path) -> None:
    sample = folder_clip(tmp_path / "a", 3)
    nothing = ClipFaces(np.full((3, 2, 2), np.nan), np.full((3, 68, 2), np.nan, np.float32), np.zeros(3, np.uint8))
    batch = Clips([item(sample)], [nothing], INPUTS)[0]
    assert np.isfinite(batch["clip"].numpy()).all()
    eyes = eyes_of(batch["landmarks"].numpy()[0, 0])
    np.testing.assert_allclose(eyes.mean(axis=0), (24.0, 0.4 * 48), atol=0.5)


def test_whole_frames_are_not_aligned(tmp_path: Path) -> None:
    sample = folder_clip(tmp_path / "a", 3)
    eyes = np.tile(np.array([[2.0, 3.0], [9.0, 3.0]]), (3, 1, 1))
    points = np.zeros((3, 68, 2), np.float32)
    faces = ClipFaces(eyes, points, np.zeros(3, np.uint8))
    batch = Clips([item(sample)], [faces], INPUTS, whole=True)[0]
    np.testing.assert_allclose(batch["landmarks"].numpy(), np.full((1, 4, 68, 2), 0.5 * 48 / 40), atol=0.01)


def test_a_clip_without_frames_is_refused(tmp_path: Path) -> None:
    sample = folder_clip(tmp_path / "a", 3)
    empty = ClipFaces(np.empty((0, 2, 2)), np.empty((0, 68, 2), np.float32), np.empty(0, np.uint8))
    with pytest.raises(DatasetError, match="1 clips have no frame"):
        Clips([item(sample)], [empty], INPUTS)
