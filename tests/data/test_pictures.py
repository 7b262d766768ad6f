"""Faces put together to pictures."""

from pathlib import Path

import numpy as np

from mien.data.pictures import mark
from mien.data.splits import Labelled
from mien.schema.sample import Box, File, Rendered, Sample, Targets


def face(key: str, label: int, box: Box | None = (1, 2, 30, 40), source: object = None) -> Labelled:
    picture = File(Path(key.partition("#")[0])) if source is None else source
    sample = Sample(key=key, source=picture, split="train", box=box, targets=Targets(label="anger"))
    return Labelled(sample=sample, index=label, distribution=np.eye(7, dtype=np.float32)[label])


def test_faces_of_one_source_are_one_picture_in_the_order_of_first_occurrence():
    items = [face("b.jpg#0", 3), face("a.jpg#0", 1), face("b.jpg#1", 2, (0, 0, 5, 6))]
    pictures = mark(items)
    assert [p.key for p in pictures] == ["b.jpg", "a.jpg"]
    assert [p.source for p in pictures] == [File(Path("b.jpg")), File(Path("a.jpg"))]
    assert pictures[0].labels.tolist() == [3, 2]
    assert pictures[0].labels.dtype == np.int64
    assert pictures[0].boxes((100, 100)).tolist() == [[1, 2, 30, 40], [0, 0, 5, 6]]
    assert pictures[0].boxes((100, 100)).dtype == np.float32


def test_boxes_end_with_the_picture_and_a_face_crop_is_all_face():
    (picture,) = mark([face("a#0", 0, (-3, 5, 999, 20)), face("a#1", 0, None)])
    assert picture.boxes((50, 40, 3)).tolist() == [[0, 5, 40, 20], [0, 0, 40, 50]]


def test_equal_drawings_are_one_picture():
    items = [face("x#0", 0, source=Rendered("m:f", 4, 0)), face("x#1", 1, source=Rendered("m:f", 4, 0))]
    assert len(mark(items)) == 1


def test_pictures_with_an_unlabelled_face_can_be_left_out():
    items = [face("a#0", 0), face("b#0", 1), face("b#1", 1)]
    everybody = [*(item.sample for item in items), face("a#1", 0).sample, face("c#0", 0).sample]
    assert [p.key for p in mark(items)] == ["a", "b"]
    assert [p.key for p in mark(items, among=everybody)] == ["b"]
