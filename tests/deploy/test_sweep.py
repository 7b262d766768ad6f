import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.deploy import sweep as sweep_module
from mien.deploy.sweep import differences, main, markdown, sweep
from mien.engine.report_reactions import ReactionRow, write_reaction_answers
from mien.engine.run import Run
from mien.metrics import correlation
from mien.schema.errors import ConfigError
from mien.schema.labels import HUME_REACTION

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
        right = 2 + 4 * (run.loss.kind == "neaa")
        lines = [f"k{i},g{i // 2},neutral,{'neutral' if i < right else 'fear'}" for i in range(10)]
        (out / "answers.csv").write_text("\n".join(["key,group,truth,label", *lines]) + "\n", encoding="utf-8")

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


def test_a_change_may_name_row_and_seed(trained: list[Run], tmp_path: Path) -> None:
    sweep(BASE, ["t1_000"], [1, 2], out=tmp_path, changes=["init=runs/{row}-{seed}/bundle"], progress=False)
    assert [run.init for run in trained] == ["runs/t1_000-1/bundle", "runs/t1_000-2/bundle"]


def test_the_table_has_mean_and_deviation(trained: list[Run], tmp_path: Path) -> None:
    found = sweep(BASE, ["t1_000"], [1, 2, 3], out=tmp_path, progress=False)
    assert "| t1_000 | 1 2 3 | 52.00 ± 1.00 | 52.00 ± 1.00 | – |" in markdown(BASE, found)


def test_rows_are_compared_on_the_same_samples(trained: list[Run], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([BASE, "t1_000", "t1_001", "--seeds", "1", "2", "--out", str(tmp_path), "--against", "t1_000"])
    assert stopped.value.code == 0
    (found,) = differences(tmp_path, "t1_000")
    assert (found["row"], found["seeds"]) == ("t1_001", [1, 2])
    assert found["accuracy"] == found["mean_class_accuracy"], "all samples are of one class"
    assert found["accuracy"]["value"] == pytest.approx(0.4)
    assert 0 <= found["accuracy"]["low"] < 0.4 < found["accuracy"]["high"] <= 1
    text = (tmp_path / "sweep.md").read_text(encoding="utf-8")
    assert "| t1_001 | +40.00 (+" in text
    assert "| t1_000 | 20.00 (" in text
    sweep(BASE, ["t1_001"], [3], out=tmp_path, progress=False)
    with pytest.raises(ConfigError, match="Seed 3 of 't1_001' has no counterpart"):
        differences(tmp_path, "t1_000")


def test_fields_may_be_set_for_every_run(trained: list[Run], tmp_path: Path) -> None:
    sweep(BASE, ["t1_000"], [1], out=tmp_path, changes=["train.epochs=3"], progress=False)
    assert trained[0].train.epochs == 3
    with pytest.raises(SystemExit) as stopped:
        main([BASE, "t1_000", "--set", "train.epochs", "--out", str(tmp_path)])
    assert stopped.value.code == 2


def test_a_recipe_without_rows_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["landmarks_ferplus", "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert "has no rows" in capsys.readouterr().err


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Runs whose answers are the truth and noise, half of it the run's own; the row of both kinds has less of it."""
    runs: list[Run] = []
    truth = np.random.default_rng(0).random((60, 7))

    def fit(run: Run, *, out: Path, **settings: Any) -> Path:
        runs.append(run)
        (out / "bundle").mkdir(parents=True)
        (out / "run.json").write_text(json.dumps({"commit": "abc"}), encoding="utf-8")
        return out / "bundle"

    def evaluate(bundle: Path, dataset: str, *, out: Path, **settings: Any) -> None:
        run = runs[-1]
        noise = np.random.default_rng(run.seed).normal(0, 0.3 if run.model.modalities == "av_inter" else 0.6, (60, 7))
        answer = truth + noise
        out.mkdir()
        figures = {name: {"value": getattr(correlation, name)(truth, answer)} for name in ("pearson", "ccc", "mae")}
        each = {name: {"pearson": {"value": 0.5}} for name in HUME_REACTION.names}
        report = {"clips": 60, "metrics": figures, "per_reaction": each}
        (out / "report.json").write_text(json.dumps(report), encoding="utf-8")
        columns = zip(range(60), truth.tolist(), answer.tolist(), strict=True)
        rows = [ReactionRow(key=f"k{i:02d}", group=f"g{i // 2}", truth=a, answer=b) for i, a, b in columns]
        write_reaction_answers(rows, HUME_REACTION.names, out / "answers.csv")

    monkeypatch.setattr(sweep_module, "fit", fit)
    monkeypatch.setattr(sweep_module, "evaluate", evaluate)
    return runs


def test_rows_of_reactions_have_ensembles_and_differences_of_correlations(told: list[Run], tmp_path: Path) -> None:
    found = sweep("reaction_synthetic", ["t1_v", "t1_av_inter"], [1, 2], out=tmp_path, progress=False)
    seeds = [one for one in found if one["row"] == "t1_v" and "seed" in one]
    (together,) = [one for one in found if one["row"] == "t1_v" and "members" in one]
    assert together["members"] == [1, 2]
    assert together["pearson"] > max(one["pearson"] for one in seeds), "noise that the runs don't share is averaged out"
    compared = differences(tmp_path, "t1_v")
    assert [one["row"] for one in compared] == ["t1_av_inter", "t1_av_inter, mean of 2 seeds"]
    own = {one["seed"]: one["pearson"] for one in found if one["row"] == "t1_av_inter" and "seed" in one}
    mean = sum(own[one["seed"]] - one["pearson"] for one in seeds) / 2
    assert compared[0]["value"] == pytest.approx(mean, abs=1e-5)
    assert 0 < compared[0]["low"] < mean < compared[0]["high"]
    text = markdown("reaction_synthetic", found, "t1_v", compared)
    assert f"| t1_v, ensemble of 2 | 1 2 | {together['pearson']:.4f} | " in text
    assert "| row | seeds | mean Pearson's r | CCC | MAE |" in text
    assert f"| t1_av_inter | +{mean:.4f} | " in text
    sweep("reaction_synthetic", ["t1_v"], [3], out=tmp_path, progress=False)
    with pytest.raises(ConfigError, match="Seed 3 of 't1_v' has no counterpart"):
        differences(tmp_path, "t1_av_inter")
