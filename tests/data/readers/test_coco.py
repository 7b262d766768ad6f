import json

import pytest

from mien.data.readers import DatasetWarning, coco
from mien.schema.errors import DatasetError
from mien.schema.sample import File

CATEGORIES = [{"id": 3, "name": "Happy"}, {"id": 9, "name": "anger"}]


def content(*boxes, names=("a.jpg", "sub/b.jpg")):
    """``boxes`` are (picture, category, bbox) with the pictures numbered from 10."""
    return {
        "images": [{"id": 10 + i, "file_name": name, "width": 9, "height": 9} for i, name in enumerate(names)],
        "annotations": [
            {"id": i, "image_id": picture, "category_id": category, "bbox": box, **more}
            for i, (picture, category, box, more) in enumerate(((*b, {}) if len(b) == 3 else b) for b in boxes)
        ],
        "categories": CATEGORIES,
    }


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    return path


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"jpg")


def simple(root, name="train.json", folder="images"):
    picture(root / folder / "a.jpg")
    boxes = [(11, 9, [1, 2, 3, 4]), (10, 3, [0, 0, 5.5, 6]), (10, 9, [2, 2, 1, 1])]
    return write(root / "annotations" / name, content(*boxes))


def test_faces_come_in_the_order_of_the_pictures(tmp_path):
    simple(tmp_path)
    samples = coco.read(tmp_path)
    assert [s.key for s in samples] == ["train/a.jpg#0", "train/a.jpg#1", "train/sub/b.jpg#0"]
    assert [s.box for s in samples] == [(0, 0, 5.5, 6), (2, 2, 3, 3), (1, 2, 4, 6)]
    assert [s.targets.label for s in samples] == ["happiness", "anger", "anger"]
    assert samples[0].source == samples[1].source == File(tmp_path / "images" / "a.jpg")
    assert samples[2].source == File(tmp_path / "images" / "sub" / "b.jpg")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("instances_train2017.json", "train"),
        ("instances_val2017.json", "valid"),
        ("Test.json", "test"),
        ("mine.json", "train"),
    ],
)
def test_the_split_is_in_the_name(name, split, tmp_path):
    simple(tmp_path, name)
    assert {s.split for s in coco.read(tmp_path)} == {split}


@pytest.mark.parametrize("folder", ["", "images", "images/val", "val", "images/valid", "annotations", "val2017"])
def test_pictures_are_found_where_tools_put_them(folder, tmp_path):
    simple(tmp_path, "instances_val2017.json", folder)
    assert coco.read(tmp_path)[0].source == File(tmp_path / folder / "a.jpg")


def test_a_file_can_be_the_root_with_the_pictures_beside_it(tmp_path):
    path = simple(tmp_path / "x", "val.json").rename(tmp_path / "labels.json")
    picture(tmp_path / "a.jpg")
    samples = coco.read(path)
    assert samples[0].source == File(tmp_path / "a.jpg")
    assert samples[0].split == "train"
    assert coco.read(tmp_path) == samples


def test_files_beside_the_instances_are_passed_over(tmp_path):
    simple(tmp_path, "instances_train2017.json")
    write(tmp_path / "annotations" / "captions_train2017.json", {"images": []})
    assert len(coco.read(tmp_path)) == 3


def test_crowds_and_empty_boxes_are_left_out_and_counted(tmp_path):
    picture(tmp_path / "a.jpg")
    boxes = [
        (10, 3, [1, 1, 5, 5]),
        (10, 3, [1, 1, 0, 5]),
        (10, 3, [1, 1, 5, -2]),
        (10, 3, [1, 1, 50, 50], {"iscrowd": 1}),
    ]
    write(tmp_path / "train.json", content(*boxes))
    with pytest.warns(DatasetWarning, match="boxes left out: 2 without an area, 1 of crowds"):
        samples = coco.read(tmp_path)
    assert [s.key for s in samples] == ["train/a.jpg#0"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"categories": None}, "has no list categories"),
        ({"images": [{"id": 1}]}, "'file_name' of 1 is not a str: None"),
        ({"annotations": [{"id": 4, "image_id": 77, "category_id": 3, "bbox": [0, 0, 1, 1]}]}, "annotation 4 has an"),
        ({"annotations": [{"id": 4, "image_id": 10, "category_id": 3, "bbox": [0, 0, 1]}]}, "annotation 4 is not x, y"),
        ({"annotations": [{"id": 4, "image_id": "10", "category_id": 3, "bbox": []}]}, "'image_id' of 4 is not a int"),
        ({"annotations": []}, "No box is annotated"),
    ],
)
def test_errors_name_the_record(change, message, tmp_path):
    picture(tmp_path / "a.jpg")
    write(tmp_path / "train.json", {**content(), **change})
    with pytest.raises(DatasetError, match=message):
        coco.read(tmp_path)


def test_incomplete_layouts(tmp_path):
    with pytest.raises(DatasetError, match="No annotation in"):
        coco.read(tmp_path)
    path = write(tmp_path / "train.json", content((10, 3, [0, 0, 1, 1])))
    with pytest.raises(DatasetError, match=r"The pictures of .*train\.json, e\.g\. a\.jpg, are in none of"):
        coco.read(tmp_path)
    write(tmp_path / "b.json", {})
    with pytest.raises(DatasetError, match="both of the split 'train'"):
        coco.read(tmp_path)
    path.write_text("{")
    with pytest.raises(DatasetError, match="is not JSON"):
        coco.read(path)
