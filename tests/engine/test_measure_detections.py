"""Whole pictures with marked faces: a detector, and a finder with a classifier, measured alike."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mien.engine import evaluate as evaluate_module
from mien.engine.evaluate import evaluate
from mien.engine.measure_detections import measure_pictures
from mien.engine.report import markdown
from mien.engine.report_detections import comparison, sections, write_picture_report
from mien.engine.score import Resampling
from mien.engine.score_detections import picture_figures
from mien.metrics.detection import PADDING, UNKNOWN
from mien.predict.detector import DetectorPredictor
from mien.predict.pipeline import Predictor
from mien.schema.errors import ConfigError, DatasetError
from mien.schema.inputs import ImageSpec, PictureSpec
from mien.schema.labels import FERPLUS, RAF_DB, LabelSet
from mien.schema.prediction import Face
from mien.schema.sample import Box, File, Sample, Targets
from mien.tasks.classify import Classify
from mien.tasks.detect import Detect

LABELS = LabelSet("three", ("surprise", "fear", "disgust"))
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
BOXES = ((8, 8, 40, 40), (72, 8, 104, 40), (8, 72, 40, 104), (72, 72, 104, 104))
SIDE = 128
HOW = Resampling(resamples=30)


class Oracle:
    """A detector that sees what lies in the four places, reads its colour and gets no place wrong.

    A second query for each face says the same less surely, a little beside it. No two scores are equal.
    """

    inputs, outputs = ("image",), ("pred_logits", "pred_boxes")

    def __call__(self, **arrays: NDArray[Any]) -> dict[str, NDArray[Any]]:
        image = arrays["image"]
        logits, boxes = np.full((len(image), 8, 3), -8.0, np.float32), np.zeros((len(image), 8, 4), np.float32)
        for query, box in enumerate(BOXES):
            x1, y1, x2, y2 = np.array(box) / SIDE
            colour = image[:, :, (box[1] + box[3]) // 2, (box[0] + box[2]) // 2]
            boxes[:, [query, query + 4]] = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
            boxes[:, query + 4, 0] += 0.15
            logits[:, query] = np.where(np.ptp(colour, axis=1, keepdims=True) > 0.5, 8 * colour - 4, -8)
            logits[:, query + 4] = logits[:, query] - 5
        unlike = np.sin(97 * np.arange(24).reshape(8, 3) + 1e4 * image.mean((1, 2, 3))[:, None, None])
        return {"pred_logits": logits + 0.5 * unlike, "pred_boxes": boxes}


class Places:
    """Finds the faces in the four places, but never one in the last."""

    def find_faces(self, image: NDArray[np.uint8], /) -> list[Face]:
        return [
            Face(box=tuple(map(float, box)), score=0.8) for box in BOXES[:3] if np.ptp(image[box[1] + 9, box[0] + 9])
        ]


def colours(image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    return {"logits": 4 * image.mean((2, 3))}


@pytest.fixture
def marked(tmp_path: Path) -> list[Sample]:
    """Twelve pictures with one to four faces, each coloured as its label says, but every seventh."""
    rng = np.random.default_rng(3)
    samples: list[Sample] = []
    for number in range(12):
        pixels = np.full((SIDE, SIDE, 3), 40 + number, np.uint8)
        path = tmp_path / f"{number}.png"
        for face in range(number % 4 + 1):
            label = int(rng.integers(3))
            shown = label if len(samples) % 7 else (label + 1) % 3
            x1, y1, x2, y2 = BOXES[face]
            pixels[y1:y2, x1:x2] = COLOURS[shown]
            box: Box = (float(x1), float(y1), float(x2), float(y2))
            samples.append(
                Sample(
                    key=f"{number}.png#{face}",
                    source=File(path),
                    split="valid",
                    box=box,
                    targets=Targets(label=LABELS.names[label]),
                )
            )
        Image.fromarray(pixels).save(path)
    return samples


def truth_of(samples: Iterable[Sample]) -> NDArray[np.int64]:
    return np.array([LABELS.index(sample.targets.label) for sample in samples], np.int64)


def detector(**changes: Any) -> DetectorPredictor:
    fields: dict[str, Any] = {
        "session": Oracle(),
        "task": Detect(labels=LABELS, min_score=0.5),
        "spec": PictureSpec(size_px=SIDE),
        "model": "oracle@0",
        "min_face_px": 8,
        "threads": 1,
    }
    return DetectorPredictor(**{**fields, **changes})


def pipeline(**changes: Any) -> Predictor:
    fields: dict[str, Any] = {
        "session": lambda image: colours(image),
        "task": Classify(labels=LABELS),
        "spec": ImageSpec(size_px=16, mean=(0.0,) * 3, std=(1.0,) * 3),
        "model": "colours@0",
        "finder": Places(),
        "threads": 1,
    }
    return Predictor(**{**fields, **changes})


def measured(predictor: Any, samples: list[Sample], among: Iterable[Sample] = ()) -> Any:
    return measure_pictures(predictor, samples, truth_of(samples), among=among, progress=False)


def test_a_detector_is_measured_with_its_unsure_boxes_and_used_with_its_threshold(marked: list[Sample]) -> None:
    columns = measured(detector(), marked)
    faces, wrong = len(marked), len(range(0, len(marked), 7))
    assert [len(picture.faces) for picture in columns.pictures] == [n % 4 + 1 for n in range(12)]
    assert {len(one.boxes) for one in columns.seen} == {8}
    assert (columns.shown[..., 5] != PADDING).sum() == faces
    found = picture_figures(columns, HOW)
    assert (found["faces"], found["pictures"], found["labels"]) == (faces, 12, list(LABELS.names))
    metrics = {name: figure["value"] for name, figure in found["metrics"].items()}
    assert metrics["end_to_end_accuracy"] == metrics["accuracy_of_found"] == pytest.approx(1 - wrong / faces)
    assert (metrics["found"], metrics["surplus"], metrics["face_ap50"]) == (1, 0, pytest.approx(1))
    assert found["alignment"] == {"none": faces}
    assert found["detection"]["pictures_per_s"] > 0


def test_average_precision_is_that_of_the_task_on_the_raw_outputs(marked: list[Sample]) -> None:
    """The rows of a user's table carry the same scores as the outputs of the network."""
    columns, task = measured(detector(), marked), Detect(labels=LABELS)
    images = np.stack([np.asarray(Image.open(p.source.path)) for p in columns.pictures]).transpose(0, 3, 1, 2)
    outputs = Oracle()(image=(images / 255).astype(np.float32))
    wide = columns.truth[..., :4] / SIDE
    boxes = np.concatenate([(wide[..., :2] + wide[..., 2:]) / 2, wide[..., 2:] - wide[..., :2]], axis=2)
    scores = task.score(task.decode(outputs), {"boxes": boxes, "box_labels": columns.truth[..., 4]})
    found = picture_figures(columns, HOW)
    assert found["metrics"]["map50"]["value"] == pytest.approx(scores["map50"], abs=1e-6)
    assert found["metrics"]["map"]["value"] == pytest.approx(scores["map"], abs=1e-6)
    assert found["metrics"]["face_ap50"]["value"] == pytest.approx(scores["face_ap50"], abs=1e-6)
    for name in LABELS.names:
        assert found["per_class"][name]["ap50"]["value"] == pytest.approx(scores[f"ap50_{name}"], abs=1e-6)
    for figure in (found["metrics"]["map50"], *(one["ap50"] for one in found["per_class"].values())):
        assert figure["low"] < figure["value"] < figure["high"]
    assert found["metrics"]["face_ap50"]["low"] == pytest.approx(found["metrics"]["face_ap50"]["high"])


def test_a_finder_with_a_classifier_stands_in_the_same_table(marked: list[Sample]) -> None:
    columns = measured(pipeline(), marked)
    found = picture_figures(columns, HOW)
    missed = [sample.key.endswith("#3") for sample in marked]
    right = [number % 7 > 0 for number in range(len(marked))]
    metrics = {name: figure["value"] for name, figure in found["metrics"].items()}
    assert metrics["found"] == pytest.approx(1 - np.mean(missed))
    assert metrics["end_to_end_accuracy"] == pytest.approx(np.mean(np.array(right) & ~np.array(missed)))
    assert metrics["accuracy_of_found"] == pytest.approx(np.mean(np.array(right)[~np.array(missed)]))
    assert 0 < metrics["face_ap50"] < 1
    assert columns.settings["finder"] == "mien's finder of faces"
    low, high = (found["metrics"]["end_to_end_accuracy"][end] for end in ("low", "high"))
    assert low < metrics["end_to_end_accuracy"] < high
    share = columns.seen[0].class_scores.sum(1)
    np.testing.assert_allclose(share, 0.8, rtol=1e-5)


def test_a_finder_that_draws_other_boxes_is_measured_in_the_manner_of_the_marks_too(marked: list[Sample]) -> None:
    class Brows:
        def find_faces(self, image: NDArray[np.uint8], /) -> list[Face]:
            faces = Places().find_faces(image)
            return [replace(face, box=(face.box[0], face.box[1] + 17, *face.box[2:])) for face in faces]

    usual, other = (
        picture_figures(measured(pipeline(finder=finder, min_face_px=8), marked), HOW) for finder in (Places(), Brows())
    )
    lines = {(line["iou"], line["boxes"]): line for line in other["detection"]["lines"]}
    assert lines[0.5, "as they are"]["found"]["value"] == 0
    wanted = usual["detection"]["lines"][0]
    assert lines[0.2, "as they are"]["found"] == wanted["found"]
    for name in ("found", "end_to_end_accuracy", "accuracy_of_found"):
        assert lines[0.5, "brought to the marks"][name] == wanted[name]
    assert lines[0.5, "brought to the marks"]["face_ap"]["value"] == pytest.approx(wanted["face_ap"]["value"])
    assert other["detection"]["manner"]["sides"] == pytest.approx([1, 32 / 15])
    assert usual["detection"]["manner"]["sides"] == pytest.approx([1, 1])


def test_faces_that_are_not_read_are_errors_and_not_surplus(marked: list[Sample]) -> None:
    for predictor in (pipeline(min_face_px=50), detector(min_face_px=50)):
        metrics = picture_figures(measured(predictor, marked), HOW)["metrics"]
        assert metrics["end_to_end_accuracy"]["value"] == 0
        assert metrics["surplus"]["value"] == 0
        assert metrics["accuracy_of_found"]["value"] is None
        assert metrics["found"]["value"] > 0.5


def test_other_faces_of_the_pictures_are_faces_of_unknown_expression(marked: list[Sample]) -> None:
    part = marked[::2]
    columns = measured(detector(), part, among=marked)
    assert (columns.truth[..., 4] == UNKNOWN).sum() == sum(
        sample.key not in {one.key for one in part} and sample.source in {one.source for one in part}
        for sample in marked
    )
    found = picture_figures(columns, HOW)
    assert found["faces"] == len(part)
    assert found["metrics"]["surplus"]["value"] == 0
    assert found["metrics"]["face_ap50"]["value"] == pytest.approx(1)
    alone = picture_figures(measured(detector(), part), HOW)
    assert alone["metrics"]["surplus"]["value"] > 0
    assert alone["metrics"]["map50"]["value"] < found["metrics"]["map50"]["value"]


def test_a_picture_that_cannot_be_read_ends_the_measure(marked: list[Sample]) -> None:
    marked[0].source.path.write_text("no picture")
    with pytest.raises(DatasetError, match=r"The picture 0.png cannot be read.*would not be comparable"):
        measured(detector(), marked)


@pytest.fixture
def reported(marked: list[Sample]) -> tuple[dict[str, Any], Any]:
    """A report as ``evaluate`` makes it, and what it was made from."""
    columns = measured(detector(), marked)
    report = {
        "bundle": {"name": "oracle", "hash": "0" * 12, "model": "oracle", "task": {"name": "detect"}},
        "dataset": {"title": "Squares", "part": "test part", "rule": "label", "fingerprint": "1" * 12, "dropped": {}},
        "runtime": {"name": "openvino", "device": "cpu", "precision": "fp32", "pictures": columns.settings},
        "intervals": {"resamples": 30, "seed": 0},
        "date": "2026-11-20",
        "surroundings": {"commit": None, "platform": "Linux", "packages": {}},
        "provenance": {},
        "licences": {},
        "paper": [],
        **picture_figures(columns, HOW),
    }
    return report, columns


def test_the_report_is_written_with_curves_and_files_for_other_tools(reported: Any, tmp_path: Path) -> None:
    from faster_coco_eval import COCO, COCOeval_faster

    report, columns = reported
    out = tmp_path / "out"
    write_picture_report(report, columns, out)
    assert {path.name for path in out.iterdir()} == {
        "report.json", "report.md", "precision_recall.png", "annotations.json", "detections.json",
    }  # fmt: skip
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(report))
    text = (out / "report.md").read_text()
    assert "## What a user gets" in text
    assert "boxes from a score of 0.5 on" in text
    assert "![Precision against recall](precision_recall.png)" in text
    with Image.open(out / "precision_recall.png") as drawn:
        assert min(drawn.size) > 300
    truth = COCO(str(out / "annotations.json"))
    judged = COCOeval_faster(truth, truth.loadRes(str(out / "detections.json")), iouType="bbox")
    judged.run()
    assert judged.stats[1] == pytest.approx(report["metrics"]["map50"]["value"], abs=1e-3)
    assert judged.stats[0] == pytest.approx(report["metrics"]["map"]["value"], abs=1e-3)


def test_several_models_stand_in_one_table(reported: Any, marked: list[Sample]) -> None:
    report, _ = reported
    other = {**report, "bundle": {"name": "colours"}, **picture_figures(measured(pipeline(), marked), HOW)}
    head, _, *rows = comparison([report, other]).splitlines()
    assert {row.count("|") for row in (head, *rows)} == {11}
    assert [row.split("|")[1].strip() for row in rows] == ["oracle"] * 3 + ["colours"] * 3
    assert [row.split("|")[2].strip() for row in rows] == ["0.5", "0.5", "0.2"] * 2


def test_classes_without_a_face_are_named(reported: Any) -> None:
    report, _ = reported
    empty = {"value": None, "low": None, "high": None}
    lost = {"count": 0, "answered": 0, "recall": empty, "ap50": empty, "ap": empty, "ap50_voc": empty}
    text = "\n".join(sections({**report, "per_class": {**report["per_class"], "anger": lost}}))
    assert "Without a face, so not in the means: anger." in text
    assert "| anger | 0 | – | – | – | – |" in text
    assert "Never answered" not in markdown(report)


# Through evaluate


@pytest.fixture
def dataset(monkeypatch: pytest.MonkeyPatch, marked: list[Sample]) -> list[Sample]:
    monkeypatch.setattr(evaluate_module, "read_dataset", lambda name, root: marked)
    monkeypatch.setattr(evaluate_module, "resolve", lambda target: lambda *names: [])
    return marked


def test_evaluate_measures_a_detector_on_whole_pictures(
    dataset: list[Sample], tiny_detector: Path, tmp_path: Path
) -> None:
    report = evaluate(tiny_detector, "raf_db", out=tmp_path / "out", resamples=5, progress=False)
    assert (report["faces"], report["pictures"]) == (len(dataset), 12)
    assert report["runtime"]["pictures"]["finder"] == "the model itself"
    assert set(report["per_class"]) == set(RAF_DB.names)
    assert report["per_class"]["anger"]["ap50"]["value"] is None
    assert (tmp_path / "out" / "detections.json").is_file()
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == json.loads(json.dumps(report))


def test_evaluate_measures_a_classifier_on_whole_pictures_if_asked_for(
    dataset: list[Sample], tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pipeline()
    asked: list[Any] = []

    def load(path: Path, **options: Any) -> Predictor:
        asked.append((path, options))
        return replace(
            found, task=Classify(labels=FERPLUS), session=lambda image: {"logits": np.eye(8)[[1] * len(image)]}
        )

    monkeypatch.setattr("mien.engine.measure_detections.load", load)
    report = evaluate(tiny_bundle, "raf_db", pictures=True, resamples=5, progress=False)
    assert asked == [(tiny_bundle, {"device": "cpu", "runtime": "openvino", "precision": "fp32"})]
    assert report["metrics"]["found"]["value"] < 1


def test_models_of_clips_are_refused(dataset: list[Sample], tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.engine.measure_detections.load", lambda path, **options: object())
    with pytest.raises(ConfigError, match="'tiny' reads clips"):
        evaluate(tiny_bundle, "raf_db", pictures=True, progress=False)
