"""A teacher's answers: written and read back, given out by key, refused where they are of something else."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.data.teacher import Teacher, TeacherHead, read_teacher, write_teacher
from mien.schema.errors import DatasetError
from mien.schema.labels import BASIC_7

HEAD = TeacherHead(
    labels=BASIC_7.names,
    bundles=("one@" + "a" * 64, "two@" + "b" * 64),
    dataset="drawn",
    split="train",
    fingerprint="0123456789ab",
    crop="face",
    mien="0",
)
KNOWN = {"dataset": "drawn", "fingerprint": "0123456789ab"}


def shares(seed: int, rows: int = 5) -> np.ndarray:
    drawn = np.random.default_rng(seed).random((rows, 7)).astype(np.float32)
    return drawn / drawn.sum(1, keepdims=True)


@pytest.fixture
def teacher() -> Teacher:
    return Teacher(head=HEAD, keys=("a", "b", "c", "d", "é"), probabilities=shares(0), mirrored=shares(1))


def test_what_is_written_is_what_is_read(teacher: Teacher, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "teacher.npz"
    write_teacher(teacher, path)
    found = read_teacher(path)
    assert (found.head, found.keys, found.fingerprint) == (teacher.head, teacher.keys, teacher.fingerprint)
    assert np.array_equal(found.probabilities, teacher.probabilities)
    assert found.mirrored is not None
    assert np.array_equal(found.mirrored, teacher.mirrored)
    assert [one.name for one in path.parent.iterdir()] == ["teacher.npz"]
    assert found.describe() == {
        "bundles": ["one@aaaaaaaaaaaa", "two@bbbbbbbbbbbb"],
        "views": 2,
        "fingerprint": teacher.fingerprint,
    }
    write_teacher(replace(teacher, mirrored=None), path)
    assert read_teacher(path).mirrored is None


def test_answers_come_by_key_in_the_order_asked_for(teacher: Teacher) -> None:
    found = teacher.of(["d", "a", "d"], BASIC_7, **KNOWN)
    assert found.shape == (3, 2, 7)
    assert np.array_equal(found[:, 0], teacher.probabilities[[3, 0, 3]])
    assert np.array_equal(found[:, 1], teacher.mirrored[[3, 0, 3]])
    assert replace(teacher, mirrored=None).of(["b"], BASIC_7, **KNOWN).shape == (1, 1, 7)


def test_the_fingerprint_changes_with_any_answer(teacher: Teacher) -> None:
    changed = teacher.probabilities.copy()
    changed[2, 3] += 1e-6
    others = [
        replace(teacher, probabilities=changed),
        replace(teacher, mirrored=None),
        replace(teacher, keys=("a", "b", "c", "d", "f")),
        replace(teacher, head=replace(HEAD, crop="whole")),
    ]
    assert len({one.fingerprint for one in (teacher, *others)}) == 5
    assert replace(teacher).fingerprint == teacher.fingerprint


def test_answers_for_something_else_are_refused(teacher: Teacher) -> None:
    with pytest.raises(DatasetError, match=r"the run learns neutral, fear\. They must be the same in the same order"):
        teacher.of(["a"], BASIC_7.subset(("neutral", "fear")), **KNOWN)
    backward = replace(teacher, head=replace(HEAD, labels=BASIC_7.names[::-1]))
    with pytest.raises(DatasetError, match="same order"):
        backward.of(["a"], BASIC_7, **KNOWN)
    with pytest.raises(DatasetError, match=r"drawn@0123456789ab; the run learns from drawn@ffff.*mien\.deploy\.teach"):
        teacher.of(["a"], BASIC_7, dataset="drawn", fingerprint="ffff")
    with pytest.raises(DatasetError, match=r"no answer for 2 of 3 training samples, e\.g\. 'x'.*split 'train'"):
        teacher.of(["a", "x", "y"], BASIC_7, **KNOWN)


def test_files_that_are_none_or_damaged_are_told(teacher: Teacher, tmp_path: Path) -> None:
    path = tmp_path / "teacher.npz"
    with pytest.raises(DatasetError, match=r"cannot be read .*mien\.deploy\.teach"):
        read_teacher(path)
    path.write_bytes(b"no archive")
    with pytest.raises(DatasetError, match="damaged"):
        read_teacher(path)
    write_teacher(teacher, path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DatasetError, match="damaged"):
        read_teacher(path)
    np.savez(path, keys=np.array(["a"]))
    with pytest.raises(DatasetError, match="damaged"):
        read_teacher(path)
    np.savez(path, head=np.array(json.dumps({"schema_version": 9})), keys=np.array(["a"]))
    with pytest.raises(DatasetError, match="version 9"):
        read_teacher(path)
    write_teacher(replace(teacher, probabilities=teacher.probabilities * 2), path)
    with pytest.raises(DatasetError, match="rows sum to 1"):
        read_teacher(path)
    with pytest.raises(DatasetError, match="cannot be written"):
        write_teacher(teacher, path / "below" / "teacher.npz")


def test_no_object_is_ever_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "teacher.npz"
    np.savez(path, head=np.array(["x"], dtype=object), keys=np.array(["a"]))
    with pytest.raises(DatasetError, match="damaged"):
        read_teacher(path)
