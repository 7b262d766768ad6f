"""From drawn faces to a trained bundle to a table, in the words that a user types."""

import csv
import json
from pathlib import Path

import pytest

from mien.cli import main
from mien.runtime.bundle import read_bundle

RECIPE = "product_cross_small_synthetic_tiny"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run of the tiny recipe leaves."""
    out = tmp_path_factory.mktemp("run")
    words = ["--out", str(out), "--device", "cpu", "--seed", "4", "--set.train.epochs", "1"]
    assert main(["train", RECIPE, *words, "--set.data.limit", "28", "--set.train.tensorboard", "False"]) == 0
    return out / "bundle"


def test_the_run_can_be_read_again(bundle: Path) -> None:
    run = json.loads((bundle.parent / "run.json").read_text(encoding="utf-8"))["run"]
    assert (run["name"], run["seed"], run["train"]["epochs"], run["data"]["limit"]) == (RECIPE, 4, 1, 28)


def test_the_bundle_reads_photos(bundle: Path, portrait: Path, tmp_path: Path) -> None:
    assert main(["predict", str(portrait), "--model", str(bundle), "--out", str(tmp_path / "t.csv")]) == 0
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["model"].startswith(f"{RECIPE}@")
    probabilities = [float(value) for name, value in row.items() if name.startswith("p_")]
    assert len(probabilities) == 7
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)


def test_a_lost_bundle_is_exported_again(bundle: Path) -> None:
    lost = bundle.rename(bundle.with_name("lost"))
    assert main(["export", str(bundle.parent), "--device", "cpu"]) == 0
    one, other = (read_bundle(folder) for folder in (bundle, lost))
    assert one.hash12 == other.hash12
    assert one.task == other.task


def test_the_folder_of_the_run_stands_for_its_bundle(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", str(bundle.parent)]) == 0
    assert RECIPE in capsys.readouterr().out
