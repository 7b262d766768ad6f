"""Loading pictures with several faces: the one preprocessing, padding, blends, batches that only the seed decides."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data.loader import Epoch, batches
from mien.data.pictures import MarkedPicture, mark
from mien.data.scene_augment import SceneAugment
from mien.data.scene_loader import Scenes
from mien.data.splits import Labelled
from mien.media.image import write_image
from mien.media.picture import boxes_from_unit, picture_tensor
from mien.schema.inputs import PictureSpec
from mien.schema.sample import File, Sample, Targets

SPEC = PictureSpec(size_px=64)
COUNTS = (1, 3, 2, 1, 2)


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[MarkedPicture]:
    """Five pictures of noise with 1, 3, 2, 1 and 2 faces."""
    rng, folder, found = np.random.default_rng(3), tmp_path_factory.mktemp("pictures"), []
    for number, count in enumerate(COUNTS):
        path = folder / f"{number}.png"
        write_image(path, rng.integers(0, 256, (50 + 10 * number, 90, 3)).astype(np.uint8))
        for face in range(count):
            x, y = rng.uniform(0, 40, 2)
            sample = Sample(
                key=f"{number}#{face}",
                source=File(path),
                split="train",
                box=(x, y, x + 20, y + 10),
                targets=Targets(label="fear"),
            )
            label = (number + face) % 7
            found.append(Labelled(sample=sample, index=label, distribution=np.eye(7, dtype=np.float32)[label]))
    return mark(found)


def joined(scenes: Scenes, batch_size: int, workers: int = 0) -> list[dict[str, np.ndarray]]:
    """One row a picture, without the padding."""
    rows = []
    for batch in batches(scenes, batch_size, workers=workers):
        arrays = {name: value.numpy() for name, value in batch.items()}
        for row in range(len(arrays["index"])):
            kept = arrays["box_labels"][row] >= 0
            rows.append({n: a[row][kept] if n.startswith("box") else a[row] for n, a in arrays.items()})
    return rows


def test_evaluation_feeds_what_prediction_would_and_boxes_lead_back(items):
    scenes = Scenes(items, SPEC)
    (batch,) = batches(scenes, 5)
    assert {name: value.dtype for name, value in batch.items()} == {
        "image": torch.float32,
        "boxes": torch.float32,
        "box_labels": torch.int64,
        "box_weights": torch.float32,
        "index": torch.int64,
    }
    assert batch["boxes"].shape == (5, 3, 4)
    assert batch["index"].tolist() == [0, 1, 2, 3, 4]
    assert (batch["box_labels"] >= 0).sum(1).tolist() == list(COUNTS)
    assert torch.equal(batch["box_weights"], (batch["box_labels"] >= 0).float())
    for row, item in enumerate(items):
        image = scenes.pictures[row]
        assert np.array_equal(batch["image"][row].numpy(), picture_tensor(image, SPEC))
        assert batch["box_labels"][row, : len(item.faces)].tolist() == item.labels.tolist()
        again = boxes_from_unit(batch["boxes"][row, : len(item.faces)].numpy(), image.shape, SPEC)
        assert np.allclose(again, item.boxes(image.shape), atol=1e-3)


def test_a_batch_without_a_face_has_room_for_one(items):
    away = SceneAugment(min_side_px=1000.0)
    batch = Scenes(items, SPEC, augment=away).__getitems__([0, 1])
    assert batch["boxes"].shape == (2, 1, 4)
    assert batch["box_labels"].tolist() == [[-1], [-1]]


@pytest.mark.parametrize(("batch_size", "workers"), [(3, 0), (3, 2)])
def test_batches_depend_on_seed_and_epoch_alone(items, batch_size, workers):
    def made(batch: int, processes: int, **changes: int) -> list[dict[str, np.ndarray]]:
        scenes = Scenes(items, SPEC, augment=SceneAugment())
        scenes.epoch = Epoch(np.array([4, 0, 2, 2, 1, 3]), **{"seed": 1, "number": 2, "progress": 0.2, **changes})
        return joined(scenes, batch, processes)

    wanted, found = made(3, 0), made(batch_size, workers)
    assert [row["index"] for row in found] == [4, 0, 2, 2, 1, 3]
    for one, other in zip(wanted, found, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)
    assert not np.array_equal(wanted[2]["image"], wanted[3]["image"])
    assert not np.array_equal(wanted[0]["image"], made(3, 0, number=3)[0]["image"])


def test_blended_pictures_keep_the_faces_of_both(items):
    config = SceneAugment(mosaic=0.0, mixup=1.0, mix_from=0.0, photometric=0.0, zoom_out=0.0, iou_crop=0.0, flip=0.0)
    plain = Scenes(items, SPEC).__getitems__([0, 1, 2])
    scenes = Scenes(items, SPEC, augment=config)
    batch = scenes.__getitems__([0, 1, 2])
    assert batch["boxes"].shape == (3, 5, 4)
    share = float(batch["box_weights"][0, 0])
    assert 0.45 <= share <= 0.55
    for row, before in ((0, 2), (1, 0), (2, 1)):
        wanted = share * plain["image"][row] + (1 - share) * plain["image"][before]
        assert torch.allclose(batch["image"][row], wanted, atol=1e-6)
        own, other = COUNTS[row], COUNTS[before]
        labels = [*plain["box_labels"][row, :own].tolist(), *plain["box_labels"][before, :other].tolist()]
        assert batch["box_labels"][row, : own + other].tolist() == labels
        assert torch.allclose(batch["boxes"][row, own : own + other], plain["boxes"][before, :other])
        weights = batch["box_weights"][row].tolist()
        assert weights[:own] == pytest.approx([share] * own)
        assert weights[own : own + other] == pytest.approx([1 - share] * other)
        assert not any(weights[own + other :])
    scenes.epoch = Epoch(np.arange(5), progress=0.6)
    assert scenes.__getitems__([0, 1, 2])["box_weights"].max() == 1


def test_another_size_has_the_same_boxes_and_shares_the_pictures(items):
    scenes = Scenes(items, SPEC)
    larger = scenes.resized(128)
    assert larger.pictures is scenes.pictures
    assert scenes.resized(128) is larger
    assert scenes.resized(64) is scenes
    small, large = scenes.__getitems__([0, 4]), larger.__getitems__([0, 4])
    assert large["image"].shape == (2, 3, 128, 128)
    assert torch.allclose(small["boxes"], large["boxes"], atol=0.01)


def test_the_boxes_of_a_mosaic_are_those_of_four_pictures(items):
    config = SceneAugment(
        mosaic=1.0, mixup=0.0, mix_from=0.0, min_visible=0.0, min_side_px=0.0, mosaic_scale=(0.5, 0.5)
    )
    scenes = Scenes(items, SPEC, augment=config)
    scenes.epoch = Epoch(np.array([1, 1, 1, 1]))
    assert (scenes.__getitems__([0])["box_labels"] >= 0).sum() == 12


def test_a_missing_picture_is_an_error(items):
    gone = MarkedPicture(key="gone", source=File(Path("gone.png")), faces=items[0].faces)
    broken = Labelled(
        sample=Sample(key="gone", source=gone.source, split="train"), index=0, distribution=np.ones(1, np.float32)
    )
    with pytest.raises(Exception, match=r"gone\.png"):
        Scenes(mark([broken]), SPEC).__getitems__([0])
