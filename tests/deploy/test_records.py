import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mien.deploy.records import gather_records, read_record, write_records
from mien.schema.errors import ConfigError


@pytest.fixture
def runs(tiny_bundle: Path, tmp_path: Path) -> Path:
    """Two students of one start, and the blend of both that a third run went on from."""
    add(tmp_path, "start", 1, tiny_bundle)
    for seed in (2, 3):
        start = str(tmp_path / "start1" / "bundle")
        add(tmp_path, "student", seed, tiny_bundle, init=start, teacher=str(tmp_path / "answers.npz"))
    both = [str(tmp_path / f"student{seed}" / "bundle") for seed in (2, 3)]
    add(tmp_path, "last", 4, tiny_bundle, init=both[0], blend=both[1:])
    return tmp_path


def add(root: Path, name: str, seed: int, bundle: Path, **more: Any) -> None:
    folder = root / f"{name}{seed}"
    shutil.copytree(bundle, folder / "bundle")
    (folder / "run.json").write_text(json.dumps({"run": {"name": name, "seed": seed, **more}}), encoding="utf-8")
    (folder / "journal.csv").write_text(f"epoch\n{seed}\n", encoding="utf-8")


def test_every_run_before_is_found_once_and_no_place_is_named(runs: Path) -> None:
    record, before = gather_records(runs / "last4")
    assert set(before) == {"start_seed1", "student_seed2", "student_seed3"}
    assert record["run"]["init"] == "runs/student/seed2/bundle"
    assert record["run"]["blend"] == ["runs/student/seed3/bundle"]
    student, journal = before["student_seed3"]
    assert student["run"] == {
        "name": "student",
        "seed": 3,
        "init": "runs/start/seed1/bundle",
        "teacher": "runs/answers.npz",
    }
    assert journal == b"epoch\n3\n"
    assert str(runs) not in json.dumps([record, [told for told, _ in before.values()]])


def test_a_bundle_that_ships_hands_on_what_it_carries(runs: Path, tiny_bundle: Path) -> None:
    shipped = runs / "shipped"
    shutil.copytree(tiny_bundle, shipped)
    shutil.copy2(runs / "last4" / "journal.csv", shipped / "journal.csv")
    write_records(*gather_records(runs / "last4"), shipped)
    add(runs, "next", 5, tiny_bundle, init=str(shipped))
    record, before = gather_records(runs / "next5")
    assert record["run"]["init"] == "runs/last/seed4/bundle"
    assert set(before) == {"last_seed4", "start_seed1", "student_seed2", "student_seed3"}
    assert before["last_seed4"][0]["run"]["blend"] == ["runs/student/seed3/bundle"]


def test_a_bundle_without_a_record_keeps_its_name(runs: Path, tiny_bundle: Path) -> None:
    add(runs, "alone", 6, tiny_bundle, init="someones_model")
    record, before = gather_records(runs / "alone6")
    assert record["run"]["init"] == "someones_model"
    assert not before


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not the folder of a run"):
        read_record(tmp_path)
