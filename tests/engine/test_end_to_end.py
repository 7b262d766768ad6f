import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.engine import end_to_end as end_to_end_module
from mien.engine.end_to_end import MISSED, end_to_end, read_scenes
from mien.predict.pipeline import Predictor
from mien.runtime.bundle import Bundle
from mien.runtime.session import open_session
from mien.schema.errors import ConfigError
from mien.schema.prediction import Face
from mien.schema.sample import Box, Sample
from mien.tasks import task_from_json


class TrueFinder:
    """Knows where every face was placed; ``missing`` of them it does not find, and it may see one too many."""

    def __init__(self, missing: int = 0, false_box: Box | None = None) -> None:
        self.placed: list[Box] = []
        self.missing, self.false_box = missing, false_box

    def find_faces(self, image: NDArray[np.uint8], /) -> list[Face]:
        box = self.placed.pop(0)
        found = [] if self.missing > 0 else [Face(box=box, score=1.0)]
        self.missing -= 1
        return found if self.false_box is None else [*found, Face(box=self.false_box, score=1.0)]


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch, colours: list[Sample]) -> TrueFinder:
    true = TrueFinder()

    def plain_place(face: NDArray[np.uint8], size: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Box]:
        scene = np.full((300, 300, 3), 128, np.uint8)
        left, top = (int(edge) for edge in rng.integers(60, 300 - size, 2))
        scene[top : top + size, left : left + size] = face[0, 0]
        true.placed.append((float(left), float(top), float(left + size), float(top + size)))
        return scene, true.placed[-1]

    monkeypatch.setattr(end_to_end_module, "place", plain_place)
    monkeypatch.setattr(end_to_end_module, "read_dataset", lambda name, root: colours)
    return true


@pytest.fixture
def predictor(bundle: Bundle, finder: TrueFinder) -> Predictor:
    return Predictor(
        session=open_session(bundle),
        task=task_from_json(bundle.task, bundle.labels),
        spec=bundle.inputs["image"],
        model="colours@0",
        finder=finder,
        threads=1,
    )


def measured(predictor: Predictor, **options: Any) -> dict[str, Any]:
    return end_to_end(
        predictor, "ferplus", split="valid", **{"sizes_px": (64,), "resamples": 20, "progress": False, **options}
    )


def test_a_finder_that_finds_all_gives_the_score_on_crops(predictor: Predictor) -> None:
    report = measured(predictor, sizes_px=(40, 100))
    assert report["dataset"]["part"] == "validation part, half B"
    assert [line["size_px"] for line in report["sizes"]] == [40, 100]
    for line in report["sizes"]:
        assert (line["found"], line["read"], line["false_faces"]) == (1, 1, 0)
        assert line["accuracy"] == report["crops"]["accuracy"]
        assert line["mean_class_accuracy"] == report["crops"]["mean_class_accuracy"]


def test_missed_faces_are_errors(predictor: Predictor, finder: TrueFinder) -> None:
    finder.missing = 10
    report = measured(predictor)
    faces, line = report["faces"], report["sizes"][0]
    assert line["found"] == pytest.approx(1 - 10 / faces)
    lost = (report["crops"]["accuracy"]["value"] - line["accuracy"]["value"]) * faces
    assert 1 <= round(lost) <= 10
    finder.missing = faces
    assert measured(predictor)["sizes"][0]["accuracy"]["value"] == 0


def test_faces_found_too_small_to_be_read_are_errors(predictor: Predictor) -> None:
    line = measured(predictor, sizes_px=(24,))["sizes"][0]
    assert (line["found"], line["read"], line["accuracy"]["value"]) == (1, 0, 0)


def test_faces_elsewhere_are_counted_and_never_taken_for_the_placed_one(
    predictor: Predictor, finder: TrueFinder, colours: list[Sample]
) -> None:
    finder.false_box, finder.missing = (0.0, 0.0, 50.0, 50.0), 1
    readings = list(read_scenes(predictor, colours[:3], 64))
    assert [reading.status for reading in readings] == ["no_face", "ok", "ok"]
    assert readings[0].index == MISSED
    assert [reading.others for reading in readings] == [1, 1, 1]


def test_abstaining_is_no_error(predictor: Predictor, bundle: Bundle) -> None:
    unsure = replace(predictor, task=task_from_json({**bundle.task, "min_score": 1.0}, bundle.labels))
    line = measured(unsure)["sizes"][0]
    assert line["uncertain"] == 1
    assert line["accuracy"] == measured(predictor)["sizes"][0]["accuracy"]


def test_a_part_of_the_faces_is_chosen_by_key_and_written_down(predictor: Predictor, tmp_path: Path) -> None:
    report = measured(predictor, limit=20, out=tmp_path / "out")
    assert report["faces"] == 20
    assert json.loads((tmp_path / "out" / "end_to_end.json").read_text()) == json.loads(json.dumps(report))
    text = (tmp_path / "out" / "end_to_end.md").read_text()
    assert "20 faces of FERPlus, validation part, half B" in text
    assert "| 64 px | 100.0 % |" in text
    assert "+0.0" in text


def test_a_predictor_that_does_not_search_is_refused(predictor: Predictor) -> None:
    with pytest.raises(ConfigError, match="its finder is None"):
        measured(replace(predictor, finder=None))
