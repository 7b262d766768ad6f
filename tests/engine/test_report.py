import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.engine import report as report_module
from mien.engine.report import drawing_is_possible, markdown, write_report
from mien.engine.score import Resampling, classification_figures, headline, landmark_figures
from mien.media.image import read_image
from mien.schema.errors import ConfigError, MissingExtraError
from mien.schema.labels import LabelSet
from mien.tasks.classify import Classify

LABELS = LabelSet("four", ("neutral", "happiness", "anger", "fear"))
FRAME: dict[str, Any] = {
    "schema_version": 1,
    "bundle": {
        "name": "small",
        "model": "product_cross_small",
        "hash": "0123456789ab",
        "task": {"temperature": 1.25, "min_score": 0.3},
    },
    "dataset": {
        "title": "FERPlus",
        "fingerprint": "fedcba987654",
        "part": "validation part, half B",
        "rule": "majority",
        "dropped": {"valid: no label": 7},
    },
    "runtime": {"name": "openvino", "device": "cpu", "precision": "fp32"},
    "intervals": {"resamples": 50, "seed": 0},
    "date": "2026-11-20",
    "surroundings": {"commit": None, "platform": "Linux", "packages": {"numpy": "2.4"}},
    "provenance": {"recipe": "r", "parity": {"openvino": {"max_abs": 1e-6}}},
    "licences": {"code": "Apache-2.0", "weights": "Apache-2.0", "training_data": "not cleared | research"},
    "alignment": {"mesh": 80, "none": 10},
    "paper": [
        {"table": "5", "row": "ours", "metric": "accuracy", "value": 0.93, "measured": 0.5, "difference": -0.43},
        {"metric": "macro_f1", "value": 0.8, "measured": None, "difference": None},
    ],
}


@pytest.fixture
def classified(rng: np.random.Generator) -> dict[str, Any]:
    truth = rng.integers(3, size=90)
    logits = rng.normal(size=(90, 4))
    logits[:, 2] = -9
    logits[np.arange(90), truth] += 1
    answers = Classify(labels=LABELS, temperature=1.25, min_score=0.3).decode({"logits": logits})
    how = Resampling(resamples=50)
    line = {"part": "validation part, half A", "rule": "argmax", "faces": 90}
    return {
        **FRAME,
        **classification_figures(truth, answers, how),
        "parts": [{**line, **headline(truth, answers.index, 4, how)}],
    }


def test_the_text_says_what_was_measured_on_what_and_how(classified: dict[str, Any]) -> None:
    text = markdown(classified)
    accuracy = classified["metrics"]["accuracy"]
    happiness = classified["per_class"]["happiness"]
    for part in (
        "# small on FERPlus, validation part, half B",
        "90 faces, majority of the votes; weights `0123456789ab`, run by openvino (cpu, fp32)",
        f"| accuracy (WAR) | {accuracy['value']:.4f} | {accuracy['low']:.4f} to {accuracy['high']:.4f} |",
        "| mean class accuracy (UAR) |",
        f"| happiness | {happiness['count']} | {happiness['answered']} |",
        "Never answered: anger.",
        "Without a sample, so not in the mean class accuracy: fear.",
        "| validation part, half A | most votes | 90 |",
        "chosen on half A; every headline figure is on half B",
        "Temperature 1.2500, threshold 0.3000",
        "| aligned by: mesh | 80 |",
        "| left out: valid: no label | 7 |",
        "measured here: product_cross_small, validation part, half B.",
        "| 5 | ours | accuracy (WAR) | 0.9300 | 0.5000 | -0.4300 |",
        "|  |  | macro F1 | 0.8000 | – | – |",
        "| licence of the training data | not cleared \\| research |",
        "| measured at commit | unknown |",
        "confusion.png",
    ):
        assert part in text
    assert "nan" not in text.lower().replace("finance", "")


def test_files_hold_the_same_report_and_pictures_of_it(classified: dict[str, Any], tmp_path: Path) -> None:
    write_report(classified, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == json.loads(json.dumps(classified))
    assert (tmp_path / "out" / "report.md").read_text() == markdown(classified)
    for name in ("confusion.png", "reliability.png"):
        picture = read_image(tmp_path / "out" / name)
        assert min(picture.shape[:2]) > 300
        assert picture.std() > 10


def test_the_confusion_picture_has_the_truth_on_rows(tmp_path: Path, classified: dict[str, Any]) -> None:
    counts = np.zeros((4, 4), int)
    counts[0, 3] = 9
    classified["confusion"] = {"counts": counts.tolist(), "percent": (counts * 100 / 9).tolist()}
    report_module.draw_confusion(classified, tmp_path / "confusion.png")
    dark = read_image(tmp_path / "confusion.png").astype(int).sum(2) < 350
    rows, columns = np.nonzero(dark)
    height, width = dark.shape
    filled = dark[: height // 3, 3 * width // 4 :].mean()
    assert filled > 4 * dark[height // 2 : 3 * height // 4, width // 3 : width // 2].mean()
    assert rows.mean() < height / 2 < height
    assert columns.mean() > width / 2


def test_landmarks_have_a_report_without_classes(tmp_path: Path, rng: np.random.Generator) -> None:
    truth = rng.random((5, 136)).astype(np.float32)
    truth[0] = np.nan
    figures = landmark_figures(truth, rng.random((5, 68, 2)).astype(np.float32), Resampling(resamples=20))
    report = {**FRAME, **figures, "paper": [], "dataset": {**FRAME["dataset"], "rule": "any"}}
    write_report(report, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "NME, over the distance of the eye centres" in text
    assert "4 faces, whatever they express" in text
    assert "| without a truth to compare with | 1 |" in text
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "report.md"}


def test_what_cannot_be_written_is_explained(
    classified: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_report(classified, tmp_path / "file" / "below")
    monkeypatch.setattr(report_module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"mien\[evaluate\]"):
        drawing_is_possible()
