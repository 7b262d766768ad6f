"""Loading: the one preprocessing, the same batches for any number of workers, targets that follow the cut."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.data.augment import Augment
from mien.data.loader import Epoch, Faces, Pictures, batches
from mien.data.splits import Labelled
from mien.data.synthetic import samples
from mien.media.crop import cut, eye_centres, face_matrix, whole_matrix
from mien.media.image import read_source
from mien.media.tensors import image_tensor
from mien.schema.inputs import ImageSpec
from mien.schema.labels import BASIC_7
from mien.schema.prediction import Face

SPEC = ImageSpec(size_px=32)
VARIED = Augment(flip=0.5, scale_ratio=0.08, shift_ratio=0.04, rotation_deg=10.0, brightness=0.2, erase=0.5)


def items(count: int = 12) -> list[Labelled]:
    found = []
    for sample in samples(count, seed=1):
        index = BASIC_7.index(sample.targets.label)
        found.append(Labelled(sample=sample, index=index, distribution=np.eye(7, dtype=np.float32)[index]))
    return found


def faces_of(labelled: list[Labelled]) -> list[Face]:
    points = [np.array(item.sample.targets.landmarks, np.float32) for item in labelled]
    return [Face(box=(0, 0, 128, 128), score=1.0, eyes=eye_centres(p), alignment="given", landmarks=p) for p in points]


def dataset(count: int = 12, **options: object) -> Faces:
    labelled = items(count)
    return Faces(labelled, faces_of(labelled), options.pop("spec", SPEC), **options)


def joined(faces: Faces, batch_size: int, workers: int = 0) -> dict[str, torch.Tensor]:
    parts = list(batches(faces, batch_size, workers=workers))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


@pytest.mark.parametrize("spec", [SPEC, ImageSpec(size_px=40, colour="grey", source_px=24)])
def test_evaluation_feeds_exactly_what_prediction_would(spec):
    faces = dataset(spec=spec)
    loaded = joined(faces, 5)
    for i, (item, face) in enumerate(zip(faces.items, faces.faces, strict=True)):
        image = read_source(item.sample.source)
        wanted = image_tensor(cut(image, face_matrix(face, image.shape, spec), spec.crop_px), spec)
        assert np.array_equal(loaded["image"][i].numpy(), wanted)
    assert loaded["label"].tolist() == [item.index for item in faces.items]
    assert loaded["index"].tolist() == list(range(12))
    assert torch.equal(loaded["distribution"].argmax(1), loaded["label"])


def test_grey_pictures_are_the_same_in_one_channel_and_in_three(monkeypatch):
    flat = np.random.default_rng(0).integers(0, 256, (50, 60), np.uint8)
    monkeypatch.setattr("mien.data.loader.read_source", lambda source: np.repeat(flat[..., None], 3, axis=2))
    spec = ImageSpec(size_px=40, colour="grey", source_px=24)
    labelled = items(3)
    one = Faces(labelled, faces_of(labelled), spec, augment=VARIED)
    three = Faces(labelled, faces_of(labelled), spec, augment=VARIED, pictures=Pictures(labelled, 64))
    assert one.pictures[0].shape == (50, 60)
    assert three.pictures[0].shape == (50, 60, 3)
    assert torch.equal(joined(one, 3)["image"], joined(three, 3)["image"])


def test_without_a_face_the_whole_picture_is_taken():
    labelled = items(2)
    loaded = joined(Faces(labelled, [None, None], SPEC), 2)["image"]
    image = read_source(labelled[0].sample.source)
    wanted = image_tensor(cut(image, whole_matrix(128, 128, 32), 32), SPEC)
    assert np.array_equal(loaded[0].numpy(), wanted)


@pytest.mark.parametrize(("batch_size", "workers"), [(3, 0), (12, 0), (4, 2)])
def test_batches_depend_on_seed_and_epoch_alone(batch_size, workers):
    order = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])
    faces = dataset(augment=VARIED, landmarks=True)
    faces.epoch = Epoch(order, seed=7, number=2)
    wanted = joined(faces, 5)
    again = dataset(augment=VARIED, landmarks=True)
    again.epoch = Epoch(order, seed=7, number=2)
    found = joined(again, batch_size, workers)
    assert found["index"].tolist() == order.tolist()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    again.epoch = Epoch(order, seed=7, number=3)
    assert not torch.equal(joined(again, batch_size)["image"], wanted["image"])


def test_a_sample_drawn_twice_is_varied_twice():
    faces = dataset(augment=VARIED)
    faces.epoch = Epoch(np.array([4, 4]), seed=0)
    first, second = joined(faces, 2)["image"]
    assert not torch.equal(first, second)


def test_landmarks_follow_the_picture():
    """A bright dot on a landmark is where the target says, mirrored or not."""
    labelled = items(4)
    spec = ImageSpec(size_px=128, mean=(0, 0, 0), std=(1, 1, 1))
    faces = Faces(
        labelled, faces_of(labelled), spec, augment=replace(VARIED, brightness=0.0, erase=0.0), landmarks=True
    )
    for i, item in enumerate(labelled):
        image = np.zeros((128, 128, 3), np.uint8)
        x, y = np.round(item.sample.targets.landmarks[30]).astype(int)  # tip of the nose: its own mirror image
        image[y - 1 : y + 2, x - 1 : x + 2] = 255
        faces.pictures._kept[i] = image
    loaded = joined(faces, 4)
    for image, target in zip(loaded["image"].numpy(), loaded["landmarks"].numpy().reshape(-1, 68, 2), strict=True):
        light = image[0].astype(float)
        ys, xs = np.mgrid[:128, :128]
        centre = np.array([(light * xs).sum(), (light * ys).sum()]) / light.sum()
        assert np.abs((centre + 0.5) / 128 - target[30]).max() < 0.012
        assert target[36, 0] < target[45, 0]  # the eye on the left of the picture keeps the first numbers
        assert target[8, 1] > target[27, 1]


def test_what_is_in_front_of_a_face_follows_it_and_needs_its_landmarks():
    moved = Augment(flip=0.5, rotation_deg=30.0)
    behind = dataset(augment=replace(moved, cover=1.0))
    changed = (joined(behind, 4)["image"] != joined(dataset(augment=moved), 4)["image"]).any(dim=1)
    assert changed.flatten(1).any(dim=1).all(), "every face is behind something"
    assert changed.float().mean() < 0.6
    labelled = items()
    unknown = [replace(face, landmarks=None) for face in faces_of(labelled)]
    plain, covered = (joined(Faces(labelled, unknown, SPEC, augment=one), 4) for one in (moved, behind.augment))
    assert torch.equal(plain["image"], covered["image"])


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_another_look_shows_the_same_faces_mirrored_and_mixed_alike(kind):
    """Cut as the batch's own images it equals them; cut otherwise it is another picture, with the same targets."""
    mixed = replace(VARIED, mix=1.0, **{kind: 1.0})
    faces, alone = dataset(augment=mixed), dataset(augment=mixed)
    large = ImageSpec(size_px=40)
    faces.looks = {
        "same": dataset(augment=mixed),
        "large": Faces(faces.items, [None] * 12, large, augment=mixed, pictures=faces.pictures),
    }
    for part in (faces, alone):
        part.epoch = Epoch(np.array([4, 4, 7, 1, 0, 9]), seed=5, number=3)
    found, wanted = joined(faces, 3), joined(alone, 3)
    assert torch.equal(found["same"], found["image"])
    assert found["large"].shape == (6, 3, 40, 40)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    whole = Faces(faces.items, [None] * 12, large, augment=mixed)
    whole.epoch = faces.epoch
    assert torch.equal(found["large"], joined(whole, 3)["image"])
    small = faces.resized(24)
    small.epoch = faces.epoch
    assert torch.equal(joined(small, 3)["large"], found["large"])


def test_mixed_faces_are_named_after_the_larger_part():
    faces = dataset(augment=Augment(mixup=1.0))
    batch = joined(faces, 12)
    assert torch.equal(batch["label"], batch["distribution"].argmax(1))
    assert (batch["distribution"].max(1).values < 1).any()
    assert torch.allclose(batch["distribution"].sum(1), torch.ones(12))


def answered(views: int, count: int = 12) -> np.ndarray:
    drawn = np.random.default_rng(4).random((count, views, 7)).astype(np.float32)
    return drawn / drawn.sum(2, keepdims=True)


def test_a_teacher_leaves_everything_else_as_it_was():
    config = replace(VARIED, mixup=0.5, cutmix=1.0)
    plain = joined(dataset(augment=config), 4)
    taught = joined(dataset(augment=config, teacher=answered(2)), 4)
    assert "teacher" not in plain
    assert taught["teacher"].shape == (12, 7)
    assert all(torch.equal(plain[name], taught[name]) for name in plain)


def test_a_mirrored_face_has_the_answer_for_the_mirrored_face():
    table = answered(2)
    order = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])
    faces = dataset(augment=Augment(flip=0.5), teacher=table)
    still = dataset(augment=Augment(), teacher=table)
    faces.epoch = still.epoch = Epoch(order, seed=3)
    found, upright = joined(faces, 5), joined(still, 5)
    flipped = [not torch.equal(one, other) for one, other in zip(found["image"], upright["image"], strict=True)]
    assert 0 < sum(flipped) < 12
    assert np.array_equal(found["teacher"].numpy(), table[order, np.array(flipped, int)])
    assert np.array_equal(upright["teacher"].numpy(), table[order, 0])
    single = dataset(augment=Augment(flip=0.5), teacher=table[:, :1])
    single.epoch = Epoch(order, seed=3)
    assert np.array_equal(joined(single, 5)["teacher"].numpy(), table[order, 0])
    assert torch.equal(joined(dataset(teacher=table).resized(64), 12)["teacher"], torch.from_numpy(table[:, 0]))


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixed_faces_have_the_answers_mixed_as_their_labels_are(kind):
    """With the labels as the teacher, both targets stay equal whatever is mixed."""
    faces = dataset(augment=Augment(**{kind: 1.0}))
    faces.teacher = faces.distributions[:, None]
    batch = joined(faces, 12)
    assert (batch["distribution"].max(1).values < 1).any()
    assert torch.equal(batch["teacher"], batch["distribution"])


def test_another_size_has_the_same_faces_and_shares_the_pictures():
    faces = dataset()
    larger = faces.resized(64)
    assert joined(larger, 4)["image"].shape == (12, 3, 64, 64)
    assert larger.pictures is faces.pictures
    small, large = joined(faces, 4)["image"], joined(larger, 4)["image"]
    shrunk = torch.nn.functional.avg_pool2d(large, 2)
    assert (small - shrunk).abs().mean() < 0.1


def test_the_cache_keeps_no_more_than_it_may(monkeypatch):
    reads = []

    def read(source):
        reads.append(source)
        return read_source(source)

    monkeypatch.setattr("mien.data.loader.read_source", read)
    pictures = Pictures(items(30), cache_mb=1)  # 49,152 bytes each: 21 fit
    for _ in range(2):
        for i in range(30):
            assert pictures[i].shape == (128, 128, 3)
    assert len(reads) == 30 + 9
    pictures = Pictures(items(3), cache_mb=1)
    pictures.warm()
    reads.clear()
    assert [pictures[i].shape for i in range(3)]
    assert not reads


def test_the_last_short_batch_can_be_left_out():
    assert [len(batch["index"]) for batch in batches(dataset(), 5)] == [5, 5, 2]
    assert [len(batch["index"]) for batch in batches(dataset(), 5, drop_last=True)] == [5, 5]


def test_a_picture_that_cannot_be_read_stops_the_epoch(monkeypatch):
    def read(source):
        raise OSError("gone")

    monkeypatch.setattr("mien.data.loader.read_source", read)
    with pytest.raises(OSError, match="gone"):
        joined(dataset(), 4)
