"""COCO written and read again."""

import json
from pathlib import Path

import numpy as np
import pytest

from mien.data.coco_writer import Found, categories_of, coco_of, results_of, write_coco, write_json
from mien.data.pictures import mark
from mien.data.readers import read_dataset
from mien.data.scenes import samples
from mien.data.splits import DataConfig, make_splits
from mien.media.image import read_source
from mien.schema.errors import DatasetError
from mien.schema.labels import BASIC_7


@pytest.fixture(scope="module")
def pictures(ferplus_root: Path) -> list:
    config = DataConfig(reader="ferplus_scenes", halve_valid=False)
    return mark(make_splits(samples(ferplus_root, {"valid": 3}), config).report)


def test_what_was_written_is_read_again(pictures: list, tmp_path: Path) -> None:
    path = write_coco(pictures, BASIC_7, tmp_path, "valid")
    assert path == tmp_path / "annotations" / "valid.json"
    again = read_dataset("coco", tmp_path)
    faces = [(picture, face) for picture in pictures for face in picture.faces]
    assert len(again) == len(faces)
    for sample, (picture, face) in zip(again, faces, strict=True):
        assert sample.split == "valid"
        assert sample.key == f"valid/{picture.key}.png#{face.sample.key.partition('#')[2]}"
        assert sample.box == pytest.approx(face.sample.box, abs=2e-3)
        assert sample.targets.label == BASIC_7.names[face.index]
        assert np.array_equal(read_source(sample.source), read_source(picture.source))
    with pytest.raises(DatasetError, match=r"valid\.json exists"):
        write_coco(pictures, BASIC_7, tmp_path, "valid")


def test_an_evaluator_agrees_that_the_truth_is_right(pictures: list, tmp_path: Path) -> None:
    evaluator = pytest.importorskip("faster_coco_eval")
    shapes = [read_source(picture.source).shape for picture in pictures]
    truth = coco_of(pictures, BASIC_7, shapes)
    found = [
        Found(boxes=p.boxes(shape), scores=np.full(len(p.labels), 0.9), labels=p.labels)
        for p, shape in zip(pictures, shapes, strict=True)
    ]
    write_json(tmp_path / "truth.json", truth)
    write_json(tmp_path / "found.json", results_of(found))
    known = evaluator.COCO(str(tmp_path / "truth.json"))
    judged = evaluator.COCOeval_faster(known, known.loadRes(str(tmp_path / "found.json")), "bbox")
    judged.evaluate()
    judged.accumulate()
    judged.summarize()
    assert judged.stats[0] == pytest.approx(1)


def test_numbers_start_at_one(pictures: list) -> None:
    shapes = [read_source(picture.source).shape for picture in pictures]
    truth = coco_of(pictures, BASIC_7, shapes, ["a", "b", "c"])
    assert [one["id"] for one in truth["images"]] == [1, 2, 3]
    assert [one["file_name"] for one in truth["images"]] == ["a", "b", "c"]
    assert [(one["height"], one["width"]) for one in truth["images"]] == [shape[:2] for shape in shapes]
    assert [one["id"] for one in truth["annotations"]] == list(range(1, len(truth["annotations"]) + 1))
    assert [one["name"] for one in categories_of(BASIC_7)] == list(BASIC_7.names)
    first, face = truth["annotations"][0], pictures[0].faces[0]
    assert first["category_id"] == face.index + 1
    x1, y1, x2, y2 = face.sample.box
    assert first["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=2e-3)
    assert first["area"] == pytest.approx((x2 - x1) * (y2 - y1), rel=1e-3)
    json.dumps(truth)


def test_results_name_picture_class_box_and_score() -> None:
    none = Found(boxes=np.zeros((0, 4)), scores=np.zeros(0), labels=np.zeros(0, int))
    one = Found(boxes=np.array([[1, 2, 4, 8.0]]), scores=np.array([0.25]), labels=np.array([6]))
    assert results_of([none, one]) == [{"image_id": 2, "category_id": 7, "bbox": [1, 2, 3, 6], "score": 0.25}]
