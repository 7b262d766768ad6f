import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.data.splits import DataConfig, half_of
from mien.engine import evaluate as evaluate_module
from mien.engine.evaluate import evaluate, paper_table
from mien.engine.views import views_of
from mien.runtime.bundle import Bundle
from mien.schema.errors import ConfigError, DatasetError
from mien.schema.labels import BASIC_7, FERPLUS, LabelSet
from mien.schema.sample import File, Sample

CONFIG = DataConfig(reader="ferplus")


@pytest.fixture(autouse=True)
def dataset(monkeypatch: pytest.MonkeyPatch, colours: list[Sample]) -> list[Sample]:
    """FERPlus, as far as the readers tell, is the dataset of plain colours; no paper has measured on it."""
    monkeypatch.setattr(evaluate_module, "read_dataset", lambda name, root: colours)
    monkeypatch.setattr(evaluate_module, "resolve", lambda target: lambda *names: [])
    return colours


def shown(sample: Sample) -> int:
    assert isinstance(sample.source, File)
    return int(sample.source.path.stem)


def voted(sample: Sample) -> tuple[int, bool]:
    """The first of the most voted classes, and whether it has more than half of the votes."""
    assert sample.targets.votes is not None
    names, counts = zip(*sample.targets.votes, strict=True)
    first = counts.index(max(counts))
    return FERPLUS.index(names[first]), 2 * counts[first] > sum(counts)


def accuracy_by_hand(samples: list[Sample], half: str, *, majority: bool) -> tuple[int, float]:
    kept = [s for s in samples if half in ("", half_of(s.key)) and (voted(s)[1] or not majority)]
    return len(kept), float(np.mean([shown(s) == voted(s)[0] for s in kept]))


def test_validation_reports_half_b_under_the_majority_rule_and_lists_all_else(
    bundle: Bundle, colours: list[Sample], tmp_path: Path
) -> None:
    report = evaluate(bundle.path, "ferplus", out=tmp_path / "report", resamples=50, progress=False)
    faces, accuracy = accuracy_by_hand(colours, "b", majority=True)
    assert report["faces"] == faces
    assert report["metrics"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert report["dataset"]["part"] == "validation part, half B"
    assert report["dataset"]["rule"] == "majority"
    assert report["dataset"]["dropped"] == {"valid: no answer has more than half of the votes": 40}
    assert report["alignment"] == {"given": faces}
    lines = {(line["part"].removeprefix("validation part, "), line["rule"]): line for line in report["parts"]}
    for part, half in (("half B", "b"), ("half A", "a"), ("whole validation part", "")):
        for rule in ("majority", "argmax"):
            counted, wanted = accuracy_by_hand(colours, half, majority=rule == "majority")
            line = lines.pop((part, rule))
            assert line["faces"] == counted
            assert line["accuracy"]["value"] == pytest.approx(wanted)
    assert not lines
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "report.json", "report.md", "answers.csv", "confusion.png", "reliability.png",
    }  # fmt: skip
    with (tmp_path / "report" / "answers.csv").open(newline="") as file:
        answers = list(csv.DictReader(file))
    assert len(answers) == faces
    assert sum(row["truth"] == row["label"] for row in answers) / faces == pytest.approx(accuracy)
    for row in answers:
        chances = {name.removeprefix("p_"): float(value) for name, value in row.items() if name.startswith("p_")}
        assert tuple(chances) == FERPLUS.names
        assert row["label"] == max(chances, key=lambda name: chances[name])
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == json.loads(json.dumps(report))


@pytest.mark.parametrize(("split", "half"), [("valid_a", "a"), ("valid_b", "b")])
def test_each_half_can_be_asked_for(bundle: Bundle, colours: list[Sample], split: str, half: str) -> None:
    report = evaluate(bundle, "ferplus", split=split, resamples=5, progress=False)
    faces, accuracy = accuracy_by_hand(colours, half, majority=True)
    assert (report["faces"], report["metrics"]["accuracy"]["value"]) == (faces, pytest.approx(accuracy))


def test_every_runtime_gives_the_same_figures(bundle: Bundle) -> None:
    reports = [evaluate(bundle, "ferplus", runtime=name, resamples=20, progress=False) for name in ("openvino", "onnx")]
    assert reports[0]["runtime"] != reports[1]["runtime"]
    assert reports[0]["metrics"]["accuracy"] == reports[1]["metrics"]["accuracy"]
    assert reports[0]["metrics"]["nll"]["value"] == pytest.approx(reports[1]["metrics"]["nll"]["value"], rel=1e-5)


def test_evaluating_leaves_the_bundle_as_it_is(bundle: Bundle) -> None:
    before = {path.name: path.read_bytes() for path in bundle.path.iterdir()}
    evaluate(bundle, "ferplus", resamples=5, progress=False)
    assert {path.name: path.read_bytes() for path in bundle.path.iterdir()} == before


def test_pictures_that_occur_twice_are_drawn_together(colours: list[Sample]) -> None:
    twice = [*colours, *(replace(s, key=f"{s.key}_again") for s in colours)]
    twice = [replace(s, pixel_hash=s.key.removesuffix("_again")) for s in twice]
    views, _ = views_of(twice, CONFIG, "valid", FERPLUS)
    whole = next(view for view in views if view.part == "valid")
    assert len(set(whole.groups)) == len(whole.groups) / 2


def test_classes_that_the_model_lacks_are_left_out_and_counted(colours: list[Sample]) -> None:
    views, dropped = views_of(colours, CONFIG, "valid", BASIC_7)
    scorned = [s for s in colours if half_of(s.key) == "b" and voted(s) == (FERPLUS.index("contempt"), True)]
    assert dropped["contempt is not a class of the model"] == len(scorned) > 0
    for sample, truth in zip(views[0].samples, views[0].truth, strict=True):
        assert BASIC_7.names[truth] == FERPLUS.names[voted(sample)[0]]


def test_a_dataset_with_plain_labels_has_one_rule(colours: list[Sample]) -> None:
    plain = [replace(s, targets=replace(s.targets, votes=None, label=FERPLUS.names[voted(s)[0]])) for s in colours]
    views, dropped = views_of(plain, CONFIG, "valid", FERPLUS)
    assert {view.rule for view in views} == {"majority"}
    assert dropped == {}


def test_a_small_validation_part_is_not_halved(colours: list[Sample]) -> None:
    views, _ = views_of(colours[:50], CONFIG, "valid", FERPLUS)
    assert {view.part for view in views} == {"valid"}


def test_what_cannot_be_measured_is_explained(bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match="allowed: train, valid, valid_a, valid_b, test"):
        evaluate(bundle, "ferplus", split="half", progress=False)
    with pytest.raises(ConfigError, match="smooth=5 is for models that answer for moments"):
        evaluate(bundle, "ferplus", smooth=5, progress=False)
    with pytest.raises(DatasetError, match="The test part of 'ferplus' holds no sample"):
        evaluate(bundle, "ferplus", split="test", progress=False)


def test_the_paper_stands_beside_what_was_measured(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = [
        {"table": "5", "row": "ours", "metric": "accuracy", "value": 0.9297},
        {"table": "6", "row": "ours", "metric": "recall_anger", "value": 0.8},
        {"table": "6", "row": "ours", "metric": "auroc", "value": 0.9},
    ]
    asked: list[Any] = []

    def resolve(target: str) -> Callable[..., list[dict[str, Any]]]:
        def reported(*names: str) -> list[dict[str, Any]]:
            asked.append((target, *names))
            return printed

        return reported

    monkeypatch.setattr(evaluate_module, "resolve", resolve)
    measured = {"metrics": {"accuracy": {"value": 0.9}}, "per_class": {"anger": {"recall": {"value": 0.85}}}}
    rows = paper_table(bundle, "ferplus", measured)
    assert asked == [(evaluate_module.REFERENCE, "colours", "ferplus", "by_hand")]
    assert rows[0]["measured"] == 0.9
    assert rows[0]["difference"] == pytest.approx(-0.0297)
    assert rows[1]["difference"] == pytest.approx(0.05)
    assert (rows[2]["measured"], rows[2]["difference"]) == (None, None)


def test_faces_without_classes_are_enough_for_a_model_without_classes(colours: list[Sample]) -> None:
    views, _ = views_of(colours, CONFIG, "valid_b", None)
    assert [view.rule for view in views] == ["argmax"]
    assert len(views[0].samples) == sum(half_of(s.key) == "b" for s in colours)


def test_a_label_set_of_ones_own_is_matched_by_name(colours: list[Sample]) -> None:
    own = LabelSet("own", ("happiness", "neutral"))
    views, _ = views_of(colours, CONFIG, "valid", own)
    assert set(views[0].truth.tolist()) == {0, 1}
    assert all(
        own.names[t] == FERPLUS.names[voted(s)[0]] for s, t in zip(views[0].samples, views[0].truth, strict=True)
    )
