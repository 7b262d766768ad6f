from pathlib import Path
from typing import Any

import pytest

from mien.cli import evaluate

FIGURE = {"title": "accuracy (WAR)", "value": 0.875, "low": 0.85, "high": 0.9}
REPORT = {
    "bundle": {"name": "tiny"},
    "dataset": {"title": "FERPlus", "part": "validation part, half B"},
    "faces": 1600,
    "metrics": {"accuracy": FIGURE, "ece": {"title": "ECE", "value": None, "low": None, "high": None}},
    "per_class": {"neutral": {"count": 800, "recall": {"value": 0.5, "low": 0.4, "high": 0.6}}},
}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def measure(*given: Any, **options: Any) -> dict[str, Any]:
        calls.append((given, options))
        return REPORT

    monkeypatch.setattr(evaluate, "reach", lambda target, **_: measure)
    return calls


def test_figures_are_printed_with_intervals(mien, measured) -> None:
    code, out, err = mien("evaluate", "tiny", "--dataset", "ferplus", "--data", "d", "--split", "valid", "--out", "o")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "tiny on FERPlus, validation part, half B: 1600 faces"
    assert lines[2].split() == ["accuracy", "(WAR)", "0.8750", "(0.8500", "to", "0.9000)"]
    assert lines[3].split() == ["ECE", "–"]
    assert "neutral (800)" in out
    assert str(Path("o") / "report.md") in out
    ((given, options),) = measured
    assert given == ("tiny", "ferplus")
    assert (options["root"], options["split"], options["out"]) == (Path("d"), "valid", Path("o"))
    assert (options["runtime"], options["crop"], options["resamples"]) == ("openvino", "face", 1000)


def test_end_to_end_is_measured_if_asked_for(mien, monkeypatch) -> None:
    sizes = [{"size_px": 112, "found": 0.9931, "accuracy": {**FIGURE, "value": 0.8612}}]
    answers = {"evaluate": REPORT, "end_to_end": {"sizes": sizes}}
    given: dict[str, dict[str, Any]] = {}

    def measure(name: str) -> Any:
        return lambda *_, **options: given.setdefault(name, options) and answers[name]

    monkeypatch.setattr(evaluate, "reach", lambda target, **_: measure(target.rpartition(":")[2]))
    code, out, _ = mien("evaluate", "tiny", "--dataset", "ferplus", "--end-to-end", "--seed", 4)
    assert code == 0
    assert out.splitlines()[-1].split() == ["112", "pixels,", "99.3%", "found", "0.8612", "(0.8500", "to", "0.9000)"]
    assert given["end_to_end"]["seed"] == 4


def test_disturbances_are_told_each_at_its_strongest(mien, monkeypatch) -> None:
    lines = [{"words": "none", "accuracy": FIGURE}, {"words": "2 px", "accuracy": {**FIGURE, "value": 0.4444}}]
    report = {**REPORT, "robustness": {"kinds": {"blur": {"title": "out of focus", "severities": lines}}}}
    given: dict[str, Any] = {}
    monkeypatch.setattr(evaluate, "reach", lambda target, **_: lambda *_, **options: given.update(options) or report)
    code, out, _ = mien("evaluate", "tiny", "--dataset", "ferplus", "--robustness")
    assert code == 0
    assert given["robustness"] is True
    assert out.splitlines()[-2] == "accuracy against disturbances, each at its strongest"
    assert out.splitlines()[-1].split() == ["out", "of", "focus,", "2", "px", "0.4444", "(0.8500", "to", "0.9000)"]


def test_whole_pictures_are_measured_if_asked_for(mien, monkeypatch) -> None:
    ap50 = {"value": 0.75, "low": None, "high": None}
    report = {**REPORT, "detection": {}, "per_class": {"neutral": {"count": 800, "ap50": ap50}}}
    given: dict[str, Any] = {}
    monkeypatch.setattr(evaluate, "reach", lambda target, **_: lambda *_, **options: given.update(options) or report)
    code, out, _ = mien("evaluate", "tiny", "--dataset", "ferplus", "--pictures")
    assert code == 0
    assert given["pictures"] is True
    assert out.splitlines()[-2] == "AP50 of each class"
    assert out.splitlines()[-1].split() == ["neutral", "(800)", "0.7500"]


def test_strengths_of_reactions_of_several_models(mien, monkeypatch) -> None:
    figure = {"value": 0.4394, "low": 0.4, "high": 0.48}
    report = {name: value for name, value in REPORT.items() if name not in ("faces", "per_class")}
    report |= {"clips": 12, "metrics": {"pearson": {"title": "mean Pearson's r", **figure}}}
    report |= {"per_reaction": {"empathic_pain": {"pearson": figure}}}
    given: dict[str, Any] = {}
    monkeypatch.setattr(evaluate, "reach", lambda target, **_: lambda *_, **options: given.update(options) or report)
    features = ("--features", "face_features=a/face", "sound_features=DeepSpectrum")
    code, out, _ = mien("evaluate", "one", "--dataset", "hume_reaction", "--with", "two", "three", *features)
    assert code == 0
    assert given["others"] == ("two", "three")
    assert given["features"] == {"face_features": "a/face", "sound_features": "DeepSpectrum"}
    assert ": 12 clips" in out
    assert out.splitlines()[-1].split() == ["empathic", "pain", "0.4394", "(0.4000", "to", "0.4800)"]
    code, _, err = mien("evaluate", "one", "--dataset", "hume_reaction", "--features", "a/face")
    assert code == 2
    assert "--features takes INPUT=DIR" in err


def test_other_splits_are_refused(mien, measured) -> None:
    code, _, err = mien("evaluate", "tiny", "--dataset", "ferplus", "--split", "dev")
    assert code == 2
    assert "valid_b" in err
    assert not measured


def test_folds_refuse_what_they_would_not_do(mien, measured) -> None:
    given = ("runs/{fold}", "--dataset", "afew", "--folds", "--robustness", "--with", "other")
    code, _, err = mien("evaluate", *given)
    assert code == 2
    assert "--folds does not go with --with, --robustness; measure each fold by itself" in err
    assert not measured


def test_flags_are_those_of_the_function() -> None:
    from dataclasses import fields
    from inspect import signature

    from mien.engine.evaluate import evaluate as function

    renamed = {"data": "root"}
    own = {"end_to_end", "fold", "folds", "submission"}
    names = {renamed.get(one.name, one.name) for one in fields(evaluate.Evaluate)} - own
    assert names <= set(signature(function).parameters)


def test_a_submission_is_written_instead_of_a_report(mien, monkeypatch) -> None:
    called: list[tuple[Any, ...]] = []

    def submit(*given: Any, **options: Any) -> Path:
        called.append((*given, options.pop("split"), options.pop("smooth"), options.pop("root"), sorted(options)))
        return Path(given[2])

    monkeypatch.setattr(evaluate, "reach", lambda target, **_: {"mien.engine.submit:submit": submit}[target])
    given = ("tiny", "--dataset", "aff_wild2", "--data", "d", "--split", "test", "--smooth", 3, "--submission", "s.txt")
    code, out, _ = mien("evaluate", *given)
    assert (code, out) == (0, "submission: s.txt\n")
    passed = ["device", "others", "precision", "runtime"]
    assert called == [("tiny", "aff_wild2", Path("s.txt"), "test", 3, Path("d"), passed)]
