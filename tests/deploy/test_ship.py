import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from mien.data import synthetic
from mien.deploy import ship as ship_module
from mien.deploy.ship import main, ship
from mien.engine import calibrate, end_to_end, evaluate
from mien.engine.robustness import robustness_figures
from mien.runtime.bundle import Bundle, read_bundle, revise_bundle
from mien.schema.errors import ConfigError
from mien.schema.sample import Sample, Targets


@pytest.fixture
def run(tiny_bundle: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(tiny_bundle, folder / "bundle")
    record = {"run": {"name": "r", "data": {"reader": "ferplus"}, "prior": None}}
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "journal.csv").write_text("epoch\n0\n", encoding="utf-8")
    return folder


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """Drawn faces in the clothes of the validation part of FERPlus."""
    faces = []
    for sample in synthetic.samples(120, seed=3):
        votes = ((str(sample.targets.label), 8.0),)
        faces.append(replace(sample, split="valid", targets=Targets(votes=votes, landmarks=sample.targets.landmarks)))
    one_kind = partial(robustness_figures, kinds=("shift",))
    monkeypatch.setattr(evaluate, "robustness_figures", one_kind)
    for module in (calibrate, evaluate, end_to_end):
        monkeypatch.setattr(module, "read_dataset", lambda name, root: faces)
    return faces


def test_a_run_becomes_a_measured_bundle_with_its_record(run: Path, drawn: list[Sample], tmp_path: Path) -> None:
    shipped = ship(run, "mine", into=tmp_path / "weights", scenes=3, notes=["Looked at."], progress=False)
    assert shipped.path == tmp_path / "weights" / "mine"
    assert (shipped.name, shipped.hash12) == ("mine", read_bundle(run).hash12)
    assert {file.name for file in shipped.path.iterdir()} >= {"run.json", "journal.csv", "README.md", "model.onnx"}
    report = json.loads((run / "reports" / "report.json").read_text(encoding="utf-8"))
    assert shipped.figures["metrics"]["accuracy"] == report["metrics"]["accuracy"]
    assert shipped.task["temperature"] != 1.0
    assert report["bundle"]["task"] == dict(shipped.task)
    card = (shipped.path / "README.md").read_text(encoding="utf-8")
    assert "End to end: 3 faces" in card
    assert "Against disturbances: accuracy (WAR) on the same" in card
    assert "| box shifted | 5 %: " in card
    assert "Looked at." in card
    again = ship(run, "mine", into=tmp_path / "weights", scenes=0, robustness=False, progress=False)
    assert "Against disturbances" not in (again.path / "README.md").read_text(encoding="utf-8")
    assert again.task == shipped.task


def test_a_graph_in_8_bits_ships_instead_where_it_is_asked_for(
    run: Path, drawn: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def quantised(bundle: Bundle, dataset: str, *, out: Path, **how: object) -> Bundle:
        asked.append((bundle.path, dataset))
        shutil.copytree(bundle.path, out)
        return revise_bundle(read_bundle(out), provenance={**bundle.provenance, "graph": "8 bits"})

    monkeypatch.setattr(ship_module, "quantise", quantised)
    quick = {"into": tmp_path / "weights", "scenes": 0, "robustness": False, "progress": False}
    shipped = ship(run, "mine", int8=True, **quick)
    assert asked == [(run / "bundle", "ferplus")]
    assert shipped.provenance["graph"] == "8 bits"
    assert shipped.task["temperature"] != 1.0
    assert (shipped.path / "run.json").is_file()
    assert "graph" not in ship(run, "mine", **quick).provenance


def test_the_record_of_the_run_before_ships_too_without_its_place(run: Path, drawn, tmp_path: Path) -> None:
    before = tmp_path / "first"
    shutil.copytree(run, before)
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    record["run"] |= {"init": str(before / "bundle"), "seed": 4}
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    shipped = ship(run, "mine", into=tmp_path / "weights", scenes=0, robustness=False, progress=False)
    assert {file.name for file in (shipped.path / "started_from" / "r_seed0").iterdir()} == {"run.json", "journal.csv"}
    text = (shipped.path / "run.json").read_text(encoding="utf-8")
    assert json.loads(text)["run"]["init"] == "runs/r/seed0/bundle"
    assert str(tmp_path) not in text


def test_what_is_no_finished_run_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run / "bundle")
    with pytest.raises(ConfigError, match=r"no bundle yet; .*mien export"):
        ship(run, "mine", into=tmp_path / "weights")
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "nowhere"), "mine"])
    assert stopped.value.code == 2
    assert "is not the folder of a run" in capsys.readouterr().err
