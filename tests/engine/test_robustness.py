import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.data import synthetic
from mien.data.disturbances.kinds import KINDS, Disturbance
from mien.data.splits import half_of
from mien.engine import evaluate as evaluate_module
from mien.engine.card import write_card
from mien.engine.disturbance_sheet import FACE_PX, disturbance_sheet, disturbed_faces
from mien.engine.evaluate import evaluate
from mien.engine.measure import answer
from mien.engine.report_robustness import PAGE, PICTURE, ROWS, caption, summary
from mien.engine.robustness import can_be_disturbed, robustness_figures
from mien.media.image import write_image
from mien.predict.outline import PAGE as PAGE_COLOUR
from mien.runtime.bundle import Bundle, read_bundle, revise_bundle
from mien.runtime.session import open_session
from mien.schema.errors import ConfigError
from mien.schema.inputs import PictureSpec
from mien.schema.sample import File, Sample, Targets

SMALL = ("blur", "hand", "rotation")


@pytest.fixture(autouse=True)
def few_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of pixels, one of covers and one of boxes, and no paper that has measured on them."""
    monkeypatch.setattr(evaluate_module, "robustness_figures", _with_few_kinds(robustness_figures))
    monkeypatch.setattr(evaluate_module, "resolve", lambda target: lambda *names: [])


def _with_few_kinds(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given, **options: function(*given, **{"kinds": SMALL, **options})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn once for all tests, which read them often."""
    drawn = tmp_path_factory.mktemp("drawn")
    for number in range(120):
        write_image(drawn / f"{number}.png", synthetic.render(number, 3)[0])
    return drawn


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[Sample]:
    """Drawn faces in the clothes of the validation part of FERPlus."""
    faces: list[Sample] = []
    for number, sample in enumerate(synthetic.samples(120, seed=3)):
        targets = Targets(votes=((str(sample.targets.label), 8.0),), landmarks=sample.targets.landmarks)
        source = File(folder / f"{number}.png")
        faces.append(replace(sample, source=source, split="valid", targets=targets, subject=f"person {number // 2}"))
    monkeypatch.setattr(evaluate_module, "read_dataset", lambda name, root: faces)
    return faces


@pytest.fixture
def tiny(tiny_bundle: Path, tmp_path: Path) -> Bundle:
    return read_bundle(Path(shutil.copytree(tiny_bundle, tmp_path / "tiny")))


def measured(bundle: Bundle, **options: Any) -> dict[str, Any]:
    return evaluate(bundle, "ferplus", **{"resamples": 20, "progress": False, "robustness": True, **options})


def test_severity_0_is_the_ordinary_evaluation(tiny: Bundle, drawn: list[Sample]) -> None:
    plain, report = measured(tiny, robustness=False), measured(tiny)
    assert "robustness" not in plain
    assert {name: value for name, value in report.items() if name != "robustness"} == plain
    for kind in report["robustness"]["kinds"].values():
        first = kind["severities"][0]
        for name in ("accuracy", "mean_class_accuracy"):
            wanted = {end: plain["metrics"][name][end] for end in ("value", "low", "high")}
            assert first[name] == wanted
        assert first["change"] == {"value": 0, "low": 0, "high": 0}
        assert [line["severity"] for line in kind["severities"]] == [0, 1, 2, 3, 4]


def test_every_line_is_the_accuracy_of_faces_that_were_disturbed_one_by_one(tiny: Bundle, drawn: list[Sample]) -> None:
    report = measured(tiny, split="valid_b", seed=5)
    session = open_session(tiny)
    truths = {sample.key: str(sample.targets.votes[0][0]) for sample in drawn if sample.targets.votes}
    assert tiny.labels is not None
    faces = [sample for sample in drawn if half_of(sample.key) == "b"]
    assert len(faces) == report["faces"]
    for name, severity in (("blur", 4), ("hand", 2), ("rotation", 3)):
        disturbance = Disturbance(name, severity, 5)
        found = answer(
            session, tiny.image_spec(), faces[::-1], dataset="ferplus", batch_size=7, progress=False,
            disturbance=disturbance,
        )  # fmt: skip
        right = [
            truths[key] == tiny.labels.names[int(found.outputs["logits"][row].argmax())]
            for key, row in found.rows.items()
        ]
        line = report["robustness"]["kinds"][name]["severities"][severity]
        assert line["accuracy"]["value"] == pytest.approx(np.mean(right))
        assert line["change"]["value"] == pytest.approx(
            line["accuracy"]["value"] - report["metrics"]["accuracy"]["value"]
        )
        assert line["level"] == KINDS[name].levels[severity - 1]


def test_undisturbed_faces_are_fed_bit_by_bit(tiny: Bundle, drawn: list[Sample]) -> None:
    how: dict[str, Any] = {"dataset": "ferplus", "progress": False}
    session = open_session(tiny)
    plain = answer(session, tiny.image_spec(), drawn, **how)
    none = answer(session, tiny.image_spec(), drawn, **how, disturbance=Disturbance("rotation", 0))
    assert (plain.outputs["logits"] == none.outputs["logits"]).all()


def test_faces_without_landmarks_are_covered_where_a_mean_face_has_its_mouth(
    tiny: Bundle, colours: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(tiny)
    faces = [replace(one, targets=replace(one.targets, landmarks=None)) for one in colours[:3]]
    how: dict[str, Any] = {"dataset": "ferplus", "crop": "whole", "progress": False}
    plain = answer(session, tiny.image_spec(), faces, **how)
    covered = answer(session, tiny.image_spec(), faces, **how, disturbance=Disturbance("half_face", 4))
    assert np.abs(plain.outputs["logits"] - covered.outputs["logits"]).max() > 1e-3


def test_the_same_seed_gives_the_same_report_through_every_runtime(tiny: Bundle, drawn: list[Sample]) -> None:
    first, again, other = (measured(tiny, **how)["robustness"] for how in ({}, {}, {"runtime": "onnx"}))
    assert first == again
    for name in SMALL:
        for line, same in zip(first["kinds"][name]["severities"], other["kinds"][name]["severities"], strict=True):
            assert line["accuracy"]["value"] == pytest.approx(same["accuracy"]["value"], abs=0.02)


def test_several_models_are_averaged(tiny: Bundle, drawn: list[Sample]) -> None:
    alone, both = measured(tiny)["robustness"], measured(tiny, others=[tiny])["robustness"]
    for name in SMALL:
        lines = zip(alone["kinds"][name]["severities"], both["kinds"][name]["severities"], strict=True)
        assert all(one["accuracy"]["value"] == pytest.approx(two["accuracy"]["value"], abs=0.02) for one, two in lines)


def test_rows_page_and_picture_are_written(tiny: Bundle, drawn: list[Sample], tmp_path: Path) -> None:
    out = tmp_path / "report"
    report = measured(tiny, out=out)
    assert {ROWS, PAGE, PICTURE} < {path.name for path in out.iterdir()}
    assert json.loads((out / "report.json").read_text())["robustness"] == json.loads(json.dumps(report["robustness"]))
    with (out / ROWS).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * len(SMALL)
    assert [row["level"] for row in rows[:5]] == ["", "0.5", "1", "1.5", "2"]
    line = report["robustness"]["kinds"]["blur"]["severities"][4]
    assert float(rows[4]["accuracy"]) == pytest.approx(line["accuracy"]["value"], abs=1e-6)
    assert float(rows[4]["change_low"]) == pytest.approx(line["change"]["low"], abs=1e-6)
    page, text = (out / PAGE).read_text(), (out / "report.md").read_text()
    assert "| out of focus | 2 px |" in page
    assert "--dataset ferplus --split valid --robustness`" in page
    assert f"![Accuracy against severity of each disturbance]({PICTURE})" in page
    assert "## Against disturbances" in text
    assert f"2 px: {line['accuracy']['value']:.4f}" in text
    assert (out / PICTURE).read_bytes()[:4] == b"\x89PNG"


def test_the_card_has_a_section_of_them(tiny: Bundle, drawn: list[Sample]) -> None:
    report = measured(tiny)
    revised = write_card(tiny, report)
    head, rows = summary(report)
    assert {"title": f"Against disturbances: {caption(report)}", "head": head, "rows": rows} in revised.figures[
        "tables"
    ]
    card = (revised.path / "README.md").read_text()
    assert "Against disturbances: accuracy (WAR) on the same" in card
    assert "| rotation | 5°: " in card


def test_only_models_of_single_faces_are_disturbed(bundle: Bundle, drawn: list[Sample]) -> None:
    assert can_be_disturbed(bundle)
    assert not can_be_disturbed(replace(bundle, inputs={"image": PictureSpec()}))
    with pytest.raises(ConfigError, match=r"'colours' does 'landmarks' here\. Leave it out"):
        measured(revise_bundle(bundle, task={"name": "landmarks"}))
    with pytest.raises(ConfigError, match="'colours' finds faces in whole pictures here"):
        measured(bundle, pictures=True)


def test_the_sheet_shows_every_kind_at_every_severity_on_drawn_faces() -> None:
    sheet = disturbance_sheet(1)
    assert sheet.dtype == np.uint8
    assert (sheet == disturbance_sheet(1)).all()
    shown = (sheet != np.array(PAGE_COLOUR)).any(axis=2).sum()
    assert shown > 0.95 * 5 * len(KINDS) * FACE_PX**2
    faces = list(disturbed_faces("glasses", 0, 1))
    assert len(faces) == 5
    assert all(face.shape == (FACE_PX, FACE_PX, 3) for face in faces)
