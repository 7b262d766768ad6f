"""Scenes laid out: sizes, overlaps and boxes as promised, parts kept apart, nothing but the seed decides."""

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.data.pictures import mark
from mien.data.readers import read_dataset
from mien.data.scenes import (
    COUNTS,
    MOST_HIDDEN,
    SHAPES,
    hidden_shares,
    layout,
    portrait,
    portraits,
    samples,
)
from mien.data.splits import DataConfig, data_fingerprint, make_splits
from mien.data.verify import verify
from mien.schema.errors import DatasetError
from mien.schema.labels import BASIC_7
from mien.schema.sample import Composed


def test_faces_of_the_parts_are_kept_apart_and_only_sure_ones_are_used(ferplus_root: Path) -> None:
    known = portraits(ferplus_root)
    keys = {split: [s.key for s in of.samples] for split, of in known.items()}
    assert keys["train"] == [f"fer{i:07d}" for i in range(1, 22)]  # not the one that is in the validation part too
    assert keys["valid"] == [f"fer{i:07d}" for i in range(24, 31)]
    assert keys["test"] == [f"fer{i:07d}" for i in (33, 34)]
    for of in known.values():
        assert of.cumulative[-1] == pytest.approx(1)
        assert (np.diff(of.cumulative, prepend=0) > 0).all()


def test_rare_classes_are_drawn_more_often_in_training_only(ferplus_root: Path) -> None:
    known = portraits(ferplus_root)
    shares = {split: np.diff(of.cumulative, prepend=0) for split, of in known.items()}
    assert np.ptp(shares["valid"]) < 1e-12
    labels = [max(s.targets.votes, key=lambda vote: vote[1])[0] for s in known["train"].samples]
    by_class = defaultdict[str, float](float)
    for label, share in zip(labels, shares["train"], strict=True):
        by_class[label] += share
    counts = Counter(labels)
    wanted = {label: n**0.5 for label, n in counts.items()}
    assert len(set(counts.values())) > 1
    assert by_class == pytest.approx({label: w / sum(wanted.values()) for label, w in wanted.items()})


def test_layouts_keep_their_promises(ferplus_root: Path) -> None:
    known = portraits(ferplus_root)["train"]
    counts, sides, shapes = [], [], set()
    for index in range(400):
        plan = layout(index, 0, "train", known)
        (height, width), boxes = plan.shape, plan.boxes
        shapes.add(plan.shape)
        assert len(plan.faces) == len(plan.linear) == len(plan.centres) == len(boxes) >= 1
        assert (boxes >= 0).all()
        assert (boxes[:, [0, 2]] <= width).all()
        assert (boxes[:, [1, 3]] <= height).all()
        shared = hidden_shares(boxes, boxes)
        assert (shared[~np.eye(len(boxes), dtype=bool)] <= MOST_HIDDEN + 1e-9).all()
        counts.append(len(boxes))
        sides += ((boxes[:, 3] - boxes[:, 1]) / min(plan.shape)).tolist()
    assert shapes == set(SHAPES)
    assert min(counts) == 1
    assert 12 <= max(counts) <= 16
    assert 3.5 < np.mean(counts) < 6.5
    assert 0.075 < min(sides) < 0.1
    assert 0.8 < max(sides) <= 0.93


def test_the_box_is_that_of_the_turned_and_stretched_ellipse(ferplus_root: Path) -> None:
    angles = np.linspace(0, 2 * np.pi, 2000)
    circle = np.stack([np.cos(angles), np.sin(angles)])
    mirrored = 0
    for index in range(20):
        plan = layout(index, 3, "valid", portraits(ferplus_root)["valid"])
        for linear, centre, box in zip(plan.linear, plan.centres, plan.boxes, strict=True):
            outline = (linear @ circle).T + centre
            assert np.allclose(box, [*outline.min(0), *outline.max(0)], atol=1e-2)
            mirrored += np.linalg.det(linear) < 0
    assert mirrored > 5


def test_what_boxes_share() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [8, 8, 10, 10], [50, 50, 60, 60.0]])
    assert np.allclose(hidden_shares(boxes, boxes)[0], [1, 0.5, 1, 0])
    assert hidden_shares(boxes, np.zeros((0, 4))).shape == (4, 0)


def test_samples_are_the_faces_of_the_layouts(ferplus_root: Path) -> None:
    found = samples(ferplus_root, {"train": 12, "valid": 5, "test": 3})
    again = samples(ferplus_root, {"train": 12, "valid": 5, "test": 3})
    assert found == again
    assert samples(ferplus_root, {"train": 12}, seed=1) != found[: len(samples(ferplus_root, {"train": 12}))]
    assert len({s.key for s in found}) == len(found)
    by_source = defaultdict(list)
    for sample in found:
        by_source[sample.source].append(sample)
    assert Counter(source.split for source in by_source) == {"train": 12, "valid": 5, "test": 3}
    for source, faces in by_source.items():
        plan = layout(source.index, source.seed, source.split, portraits(ferplus_root)[source.split])
        assert np.allclose([s.box for s in faces], plan.boxes, atol=1e-3)
        owners = [portraits(ferplus_root)[source.split].samples[face] for face in plan.faces]
        assert [s.targets.votes for s in faces] == [owner.targets.votes for owner in owners]
        assert [s.key for s in faces] == [f"{source.split}-0-{source.index:06d}#{i}" for i in range(len(faces))]
        assert all(s.split == source.split for s in faces)


def test_every_face_has_a_class_under_every_rule_and_pictures_stay_whole(ferplus_root: Path) -> None:
    found = samples(ferplus_root, {"train": 10, "valid": 60})
    for rule in ("majority", "argmax"):
        splits = make_splits(found, DataConfig(reader="ferplus_scenes", train_rule=rule, valid_rule=rule))
        assert splits.labels == BASIC_7
        assert not splits.dropped
        assert splits.halved
        select, report = ({p.key for p in mark(part)} for part in (splits.select, splits.report))
        assert len(select) + len(report) == 60
        assert not select & report
        assert len(mark(splits.train, among=found)) == 10


def test_the_fingerprint_knows_the_photographs_and_not_the_place(ferplus_root: Path) -> None:
    found = samples(ferplus_root, {"valid": 3})

    def with_sources(**changes: object) -> str:
        return data_fingerprint([replace(s, source=replace(s.source, **changes)) for s in found])

    assert with_sources() == with_sources(root=Path("elsewhere")) == data_fingerprint(found)
    assert with_sources(material=("another",)) != data_fingerprint(found)


def test_faces_are_read_once(ferplus_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = portrait(ferplus_root, "test", 1)
    monkeypatch.setattr("mien.data.scenes.read_source", None)
    assert portrait(ferplus_root, "test", 1) is first
    assert first.shape == (48, 48)
    assert first.dtype == np.uint8


def test_the_reader_and_its_check(ferplus_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.data.scenes.COUNTS", {"train": 4, "valid": 2, "test": 1})
    found = read_dataset("ferplus_scenes", ferplus_root)
    assert {s.source.split for s in found} == set(COUNTS)
    assert all(isinstance(s.source, Composed) for s in found)
    report = verify("ferplus_scenes", ferplus_root, decode=True)
    assert report.ok, report.problems
    assert list(report.splits["train"].classes) == list(BASIC_7.names)
    assert sum(part.samples for part in report.splits.values()) == len(found)


def test_faces_without_a_majority_make_no_scene(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n0,{' '.join(['9'] * 2304)},Training\n")
    columns = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    (tmp_path / "fer2013new.csv").write_text(f"Usage,Image name,{columns}\nTraining,a.png,0,0,0,0,0,0,0,9,0,0\n")
    with pytest.raises(DatasetError, match=r"No face in .* has a majority"):
        samples(tmp_path)
