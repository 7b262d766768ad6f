import json
from pathlib import Path
from typing import Any

import pytest

from mien.deploy import sweep as sweep_module
from mien.deploy.sweep import main, markdown, sweep
from mien.engine.run import Run

BASE = "product_cross_small_synthetic"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Runs that would have been trained; their accuracy is 0.5 plus a hundredth of the seed, 0.1 more with NeAA."""
    runs: list[Run] = []

    def fit(run: Run, *, out: Path, **settings: Any) -> Path:
        runs.append(run)
        (out / "bundle").mkdir(parents=True)
        (out / "run.json").write_text(json.dumps({"commit": "abc"}), encoding="utf-8")
        return out / "bundle"

    def evaluate(bundle: Path, dataset: str, *, out: Path, **settings: Any) -> None:
        assert dataset == "synthetic"
        run = runs[-1]
        value = 0.5 + run.seed / 100 + 0.1 * (run.loss.kind == "neaa")
        figure = {"value": value, "low": value, "high": value}
        report = {
            "faces": 10,
            "metrics": {"accuracy": figure, "mean_class_accuracy": figure},
            "per_class": {"neutral": {"recall": {"value": None}}},
        }
        out.mkdir()
        (out / "report.json").write_text(json.dumps(report), encoding="utf-8")

    monkeypatch.setattr(sweep_module, "fit", fit)
    monkeypatch.setattr(sweep_module, "evaluate", evaluate)
    return runs


def test_every_row_and_seed_is_trained_once(trained: list[Run], tmp_path: Path) -> None:
    found = sweep(BASE, ["t1_000", "t1_001"], [1, 2], out=tmp_path, progress=False)
    assert [(run.name, run.seed) for run in trained] == [
        (f"{BASE}_t1_000", 1), (f"{BASE}_t1_001", 1), (f"{BASE}_t1_000", 2), (f"{BASE}_t1_001", 2),
    ]  # fmt: skip
    assert {(one["row"], one["seed"]): one["accuracy"] for one in found} == {
        ("t1_000", 1): 0.51,
        ("t1_000", 2): 0.52,
        ("t1_001", 1): pytest.approx(0.61),
        ("t1_001", 2): pytest.approx(0.62),
    }
    sweep(BASE, ["t1_000"], [2, 3], out=tmp_path, progress=False)
    assert [(run.name, run.seed) for run in trained[4:]] == [(f"{BASE}_t1_000", 3)]
    assert len(json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8"))) == 5


def test_the_table_has_mean_and_deviation(trained: list[Run], tmp_path: Path) -> None:
    found = sweep(BASE, ["t1_000"], [1, 2, 3], out=tmp_path, progress=False)
    assert "| t1_000 | 1 2 3 | 52.00 ± 1.00 | 52.00 ± 1.00 | – |" in markdown(BASE, found)
    assert "52.00 ± 1.00" in (tmp_path / "sweep.md").read_text(encoding="utf-8")


def test_a_recipe_without_rows_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["landmarks_ferplus", "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert "has no rows" in capsys.readouterr().err
