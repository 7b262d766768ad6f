from typing import Any

import pytest

from mien.engine import evaluate as evaluate_module
from mien.engine.card import write_card
from mien.engine.evaluate import evaluate
from mien.runtime.bundle import Bundle, read_bundle, revise_bundle
from mien.schema.errors import BundleError
from mien.schema.sample import Sample

FIGURE = {"value": 0.8, "low": 0.7, "high": 0.9}


@pytest.fixture
def report(bundle: Bundle, colours: list[Sample], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(evaluate_module, "read_dataset", lambda name, root: colours)
    monkeypatch.setattr(evaluate_module, "resolve", lambda target: lambda *names: [])
    return evaluate(bundle, "ferplus", resamples=20, progress=False)


@pytest.fixture
def scenes(bundle: Bundle) -> dict[str, Any]:
    return {
        "model": f"{bundle.name}@{bundle.hash12}",
        "faces": 80,
        "crops": {"accuracy": {"value": 0.85, "low": 0.8, "high": 0.9}, "mean_class_accuracy": FIGURE},
        "sizes": [{"size_px": 112, "found": 0.995, "accuracy": FIGURE, "mean_class_accuracy": FIGURE}],
    }


def test_the_card_says_what_the_reports_say(bundle: Bundle, report: dict[str, Any], scenes: dict[str, Any]) -> None:
    (bundle.path / "faces.png").write_bytes(b"png")
    revised = write_card(
        bundle,
        report,
        end_to_end=scenes,
        notes=["Looked at."],
        pictures={"faces.png": "Contact sheet"},
        provenance={"teacher": "none"},
    )
    assert read_bundle(bundle.path) == revised
    assert revised.figures["metrics"] == report["metrics"]
    assert revised.provenance == {**bundle.provenance, "teacher": "none"}
    card = (bundle.path / "README.md").read_text()
    accuracy, happiness = report["metrics"]["accuracy"], report["per_class"]["happiness"]
    for text in (
        f"half B (majority of the votes): {report['faces']} faces, aligned by given {report['faces']}",
        f"| accuracy (WAR) | {accuracy['value']:.4f} | {accuracy['low']:.4f} to {accuracy['high']:.4f} |",
        f"| happiness | {happiness['count']} | {happiness['recall']['value']:.4f} |",
        "| validation part, half A | most votes |",
        "| 112 px | 99.5 % | 0.8000 (0.7000 to 0.9000) | 0.8000 |",
        "| prepared crops |  | 0.8500 (0.8000 to 0.9000) |",
        "100.0 % of these faces a label",
        "Looked at.",
        "![Contact sheet](faces.png)",
        "| teacher | none |",
    ):
        assert text in card


def test_figures_of_other_weights_or_settings_are_refused(
    bundle: Bundle, report: dict[str, Any], scenes: dict[str, Any]
) -> None:
    with pytest.raises(BundleError, match="cannot carry figures of colours@ffffffffffff"):
        write_card(bundle, {**report, "bundle": {**report["bundle"], "hash": "f" * 12}})
    with pytest.raises(BundleError, match="cannot carry figures of other@0"):
        write_card(bundle, report, end_to_end={**scenes, "model": "other@0"})
    warmer = revise_bundle(bundle, task={**bundle.task, "temperature": 2.0})
    with pytest.raises(BundleError, match="measure it again"):
        write_card(warmer, report)
    with pytest.raises(BundleError, match=r"has no picture faces\.png"):
        write_card(bundle, report, pictures={"faces.png": "Contact sheet"})
