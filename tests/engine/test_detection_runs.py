"""Natten-Deim on small trees: both forms of RAF-DB, COCO and YOLO; resumed, learnt by heart, measured, predicting."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mien.data import synthetic
from mien.data.augment import Augment
from mien.data.coco_writer import write_coco
from mien.data.drawing.paint import SIDE_PX
from mien.data.pictures import mark
from mien.data.scene_augment import SceneAugment
from mien.data.splits import DataConfig, make_splits
from mien.data.synthetic_scenes import samples
from mien.engine import checkpoint
from mien.engine import fit as module
from mien.engine.evaluate import evaluate
from mien.engine.fit import LAST, fit
from mien.engine.journal import read_journal
from mien.engine.material import gather
from mien.engine.optim import Optimizer, Schedule
from mien.engine.run import Run
from mien.models.natten_deim import Config
from mien.recipes import find
from mien.runtime.bundle import find_bundle
from mien.schema.labels import RAF_DB
from mien.tasks.detect import corners

pytestmark = pytest.mark.filterwarnings("ignore::mien.data.readers.DatasetWarning")

SHAPE = (150, 200)
STILL = SceneAugment(**dict.fromkeys(("flip", "mosaic", "mixup", "photometric", "zoom_out", "iou_crop"), 0.0))
DATA = DataConfig(reader="raf_db_original", valid_splits=("train",), halve_valid=False, limit=8, drop_duplicates=False)
"""The same eight faces, learnt and judged."""


def raf_db(root: Path, train: int = 16, test: int = 7) -> None:
    """Drawn faces in both forms: whole pictures with boxes, and aligned ones."""
    names = [f"train_{n:05d}" for n in range(1, train + 1)] + [f"test_{n:04d}" for n in range(1, test + 1)]
    for folder in ("EmoLabel", "Image/original", "Image/aligned", "Annotation/boundingbox"):
        (root / folder).mkdir(parents=True)
    lines = []
    for number, name in enumerate(names):
        image, targets = synthetic.render(number, 5)
        place = np.random.default_rng(number).integers(0, np.array(SHAPE[::-1]) - SIDE_PX + 1)
        lines.append(f"{name}.jpg {RAF_DB.index(str(targets.label)) + 1}")
        write(root / "Image" / "aligned" / f"{name}_aligned.jpg", cv2.resize(image, (100, 100)))
        write(root / "Image" / "original" / f"{name}.jpg", on_grey(image, place))
        box = " ".join(f"{value:.3f}" for value in head(number) + np.tile(place, 2))
        (root / "Annotation" / "boundingbox" / f"{name}_boundingbox.txt").write_text(box + "\n")
    (root / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines) + "\n")


def head(number: int) -> NDArray[np.float64]:
    outline = synthetic.outline(number, 5) + 0.5
    return np.concatenate([outline.min(0), outline.max(0)]).clip(0, SIDE_PX)


def on_grey(image: NDArray[np.uint8], place: NDArray[np.int64]) -> NDArray[np.uint8]:
    canvas = np.full((*SHAPE, 3), 90, np.uint8)
    x, y = place.tolist()
    canvas[y : y + SIDE_PX, x : x + SIDE_PX] = image
    return canvas


def write(path: Path, image: NDArray[np.uint8]) -> None:
    assert cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])


def tiny(name: str, **train: Any) -> Run:
    """A run of the paper with the network of the tests."""
    run, small = find(name), find("natten_deim_scenes_tiny")
    how = {"epochs": 3, "batch_size": 4, "workers": 0, "precision": "32-true", "ema_decay": 0.9, **train}
    model = small.model if run.task == "detect" else Config.tiny()
    thawing = bool(run.train.unfreeze)
    return replace(
        run,
        model=replace(model, freeze_landmark=not thawing),
        train=replace(run.train, **how),
        prior=None,
        crop="whole",
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raf_db")
    raf_db(root)
    return root


@pytest.mark.parametrize("name", ["natten_deim_raf_db_boxes", "natten_deim_raf_db_boxes_aligned"])
def test_a_run_that_was_killed_ends_with_the_same_weights(
    name: str, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny(name)
    run = replace(run, data=replace(run.data, valid_ratio=0.4), augment=replace(run.augment, mix_from=0.0))
    monkeypatch.setattr(module, "export", lambda *_: tmp_path)
    fit(run, root=tree, out=tmp_path / "whole", progress=False)
    looks = iter((module.evaluate, module.evaluate))
    with monkeypatch.context() as patch:
        patch.setattr(module, "evaluate", lambda *given: next(looks)(*given))
        with pytest.raises(StopIteration):
            fit(run, root=tree, out=tmp_path / "killed", progress=False)
    fit(run, root=tree, out=tmp_path / "killed", resume=True, progress=False)
    first, second = (checkpoint.load(tmp_path / out / LAST)[0] for out in ("whole", "killed"))
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[key]) for key, tensor in first.items())
    rows = read_journal(tmp_path / "killed" / "journal.csv")
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert all(np.isfinite(float(row["train_loss"])) for row in rows)
    record = json.loads((tmp_path / "killed" / "run.json").read_text())
    assert record["data"]["train"] + record["data"]["select"] == 16


def test_an_aligned_picture_is_a_face_that_covers_it(tree: Path) -> None:
    run = tiny("natten_deim_raf_db_boxes_aligned")
    batch = gather(run, tree, progress=False).select.__getitems__([0])
    assert batch["boxes"].tolist() == [[[0.5, 0.5, 1.0, 1.0]]]


@pytest.fixture(scope="module")
def learnt(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bundle of a run that has learnt eight whole pictures by heart, exported as any other."""
    run = tiny(
        "natten_deim_raf_db_boxes",
        epochs=150,
        batch_size=8,
        optimizer=Optimizer(name="adamw", lr=1e-2, lr_ratios=(("trunk", 0.5),)),
        schedule=Schedule(name="cosine", warm_up=0.1),
        clip_norm=1.0,
        ema_decay=0.0,
        unfreeze=(("landmark", 0.9),),
    )
    judge, known = module.evaluate, dict[str, float]()

    def judged(state: Any, size_px: int) -> dict[str, float]:
        if not known or state.pace.left() == 1:
            known.update(judge(state, size_px))
        return known

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "evaluate", judged)
        out = tmp_path_factory.mktemp("learnt")
        yield fit(replace(run, data=DATA, augment=STILL), root=tree, out=out / "run", progress=False)


def test_eight_pictures_are_learnt_by_heart(learnt: Path, tree: Path, tmp_path: Path) -> None:
    report = evaluate(
        learnt, "raf_db_original", root=tree, out=tmp_path, split="train", data=DATA, resamples=20, progress=False
    )
    assert report["faces"] == report["pictures"] == 8
    assert report["metrics"]["end_to_end_accuracy"]["value"] > 0.95
    assert report["metrics"]["face_ap50"]["value"] > 0.95
    printed = {row["metric"]: row for row in report["paper"] if row["row"] == "ours"}
    assert printed["map50"]["value"] == 0.8528
    assert printed["map50"]["measured"] == report["metrics"]["map50"]["value"]
    assert printed["ap50_anger"]["measured"] == report["per_class"]["anger"]["ap50"]["value"]
    assert "| 1 | ours |" in (tmp_path / "report.md").read_text()
    evaluator = pytest.importorskip("faster_coco_eval")
    known = evaluator.COCO(str(tmp_path / "annotations.json"))
    judged = evaluator.COCOeval_faster(known, known.loadRes(str(tmp_path / "detections.json")), "bbox")
    judged.run()
    assert judged.stats[1] == pytest.approx(report["metrics"]["map50"]["value"], abs=1e-3)


def test_what_was_learnt_is_predicted_without_torch(
    learnt: Path, tree: Path, tmp_path: Path, without_torch: Any
) -> None:
    assert find_bundle(learnt).inputs.keys() == {"image"}
    out = tmp_path / "table.csv"
    heavy = "{'torch', 'torchvision', 'timm', 'lightning'} & set(sys.modules)"
    code = f"from mien.cli import main\nassert main(sys.argv[1:]) == 0\nassert not {heavy}"
    kept = gather(replace(tiny("natten_deim_raf_db_boxes"), data=DATA), tree, progress=False).train.items[0]
    picture = kept.source.path
    without_torch(code, "predict", str(picture), "--model", str(learnt), "--out", str(out))
    head, *rows = (line.split(",") for line in out.read_text().splitlines())
    assert len(rows) == 1
    row = dict(zip(head, rows[0], strict=True))
    assert row["label"] == kept.faces[0].sample.targets.label
    found = np.array([float(row[name]) for name in ("x1", "y1", "x2", "y2")])
    assert overlap(found, np.array(kept.faces[0].sample.box)) > 0.5


def overlap(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    shared = (np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])).clip(0).prod()
    areas = [(box[2:] - box[:2]).prod() for box in (first, second)]
    return float(shared / (sum(areas) - shared))


def test_eight_faces_are_learnt_by_heart(tree: Path) -> None:
    run = tiny("natten_deim_raf_db")
    run = replace(run, data=replace(DATA, reader="raf_db"), augment=Augment())
    material = gather(run, tree, progress=False)
    batch = material.train.__getitems__(range(8))
    torch.manual_seed(0)
    network = run.model.build(material.splits.labels).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    loss = run.loss.build(material.splits.labels)
    for _ in range(40):
        optimizer.zero_grad()
        loss(network(batch["image"]), batch)["loss"].backward()
        optimizer.step()
    assert (network(batch["image"]).logits.argmax(1) == batch["label"]).float().mean() > 0.95


def test_trees_of_coco_and_yolo_load(tmp_path: Path) -> None:
    config = DataConfig(reader="synthetic_scenes", halve_valid=False)
    splits = make_splits(samples(12), config)
    pictures = {"train": mark(splits.train)[:4], "val": mark(splits.valid)[:2]}
    for split, chosen in pictures.items():
        write_coco(chosen, splits.labels, tmp_path / "coco", split)
        yolo(tmp_path, split, tmp_path / "coco" / "annotations" / f"{split}.json")
    names = ", ".join(splits.labels.names)
    text = f"path: .\ntrain: images/train\nval: images/val\nnc: 7\nnames: [{names}]\n"
    (tmp_path / "yolo" / "data.yaml").write_text(text)
    run = find("natten_deim_scenes_tiny")
    batches = []
    for reader in ("coco", "yolo"):
        run = replace(run, data=DataConfig(reader=reader, halve_valid=False), crop="whole")
        material = gather(run, tmp_path / reader, progress=False)
        assert (len(material.train.items), len(material.select.items)) == (4, 2)
        batches.append((material.splits.labels.names, material.select.__getitems__([0, 1])))
    (first, coco), (second, other) = batches
    assert set(first) == set(second) <= set(splits.labels.names)
    assert torch.equal(coco["image"], other["image"])
    assert coco["boxes"].numpy() == pytest.approx(other["boxes"].numpy(), abs=1e-4)
    real = coco["box_labels"] >= 0
    assert real.sum() == sum(len(picture.faces) for picture in pictures["val"])
    ends = corners(coco["boxes"][real].numpy())
    assert ((ends >= -1e-6) & (ends <= 1 + 1e-6)).all()


def yolo(root: Path, split: str, annotation: Path) -> None:
    """The same pictures and boxes as YOLO has them."""
    known = json.loads(annotation.read_text())
    for image in known["images"]:
        source = root / "coco" / "images" / split / image["file_name"]
        target = root / "yolo" / "images" / split / image["file_name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        size = np.array([image["width"], image["height"]] * 2)
        lines = []
        for one in known["annotations"]:
            if one["image_id"] == image["id"]:
                x, y, wide, tall = one["bbox"]
                shares = np.array([x + wide / 2, y + tall / 2, wide, tall]) / size
                lines.append(" ".join([str(one["category_id"] - 1), *(f"{share:.8f}" for share in shares)]))
        text = root / "yolo" / "labels" / split / Path(image["file_name"]).with_suffix(".txt")
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text("\n".join(lines) + "\n")
