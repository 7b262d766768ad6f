from pathlib import Path

import numpy as np
import pytest

from mien.deploy.sweep_classes import class_differences, class_intervals
from mien.schema.errors import ConfigError

KEYS = [f"k{number:02d}" for number in range(48)]
TRUTH = ["anger" if number % 3 else "fear" for number in range(48)]
WRONG = {"anger": "fear", "fear": "anger"}


def write(folder: Path, run: str, right: list[bool], keys: list[str] = KEYS) -> None:
    reports = folder / run / "reports"
    reports.mkdir(parents=True)
    rows = (
        f"{key},actor{number % 4},{truth},{truth if is_right else WRONG[truth]}"
        for number, (key, truth, is_right) in enumerate(zip(keys, TRUTH, right, strict=True))
    )
    (reports / "answers.csv").write_text("\n".join(["key,group,truth,label", *rows]) + "\n", encoding="utf-8")


@pytest.fixture
def swept(tmp_path: Path) -> Path:
    """Two seeds of two rows: ``all`` is always right, ``half`` on every other sample of both classes and all actors."""
    half = [number % 8 < 4 for number in range(48)]
    for seed in (1, 2):
        write(tmp_path, f"all-seed{seed}", [True] * 48)
        write(tmp_path, f"half-seed{seed}", half if seed == 1 else [not right for right in half])
    return tmp_path


def test_figures_of_a_row_are_the_means_of_its_seeds(swept: Path) -> None:
    every, half = class_intervals(swept)
    assert (every["row"], every["seeds"]) == ("all", [1, 2])
    assert every["accuracy"] == every["mean_class_accuracy"] == {"value": 1, "low": 1, "high": 1}
    assert half["accuracy"]["value"] == half["mean_class_accuracy"]["value"] == pytest.approx(0.5)
    assert half["accuracy"]["low"] == half["accuracy"]["high"], "all actors are alike"
    inside = class_intervals(swept, within=True)[1]["accuracy"]
    assert inside["low"] < 0.5 < inside["high"]


def test_differences_are_of_the_same_seeds_and_samples(swept: Path) -> None:
    (found,) = class_differences(swept, "all")
    assert (found["row"], found["seeds"]) == ("half", [1, 2])
    assert found["mean_class_accuracy"]["value"] == pytest.approx(-0.5)
    assert found["mean_class_accuracy"]["high"] < 0
    write(swept, "other-seed1", [True] * 48, keys=[f"other{key}" for key in KEYS])
    with pytest.raises(ConfigError, match="Seed 1 of 'other' has no counterpart on the same samples"):
        class_differences(swept, "all")


def test_mean_recall_counts_classes_alike(tmp_path: Path) -> None:
    write(tmp_path, "angry-seed1", [truth == "anger" for truth in TRUTH])
    (found,) = class_intervals(tmp_path)
    assert found["accuracy"]["value"] == pytest.approx(np.mean([truth == "anger" for truth in TRUTH]))
    assert found["mean_class_accuracy"]["value"] == pytest.approx(0.5)


def test_seeds_of_other_samples_have_no_mean(tmp_path: Path) -> None:
    write(tmp_path, "row-seed1", [True] * 48)
    write(tmp_path, "row-seed2", [True] * 48, keys=[f"other{key}" for key in KEYS])
    with pytest.raises(ConfigError, match="'row' were measured on different samples"):
        class_intervals(tmp_path)
