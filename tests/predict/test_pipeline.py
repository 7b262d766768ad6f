import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mien
from mien.media.image import read_image
from mien.predict.pipeline import load
from mien.predict.sources import Picture, sources
from mien.schema.errors import BundleError, ConfigError
from mien.schema.prediction import Face

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)

Make = Callable[..., Any]
Scene = Callable[..., Any]


def softmax(values) -> np.ndarray:
    powers = np.exp(np.asarray(values, np.float64))
    return np.asarray(powers / powers.sum())


def test_faces_are_rows_in_the_order_of_the_finder(make_predictor: Make, squares: Scene) -> None:
    result = make_predictor()(squares(GREEN, BLUE, RED))
    assert [row.label for row in result] == ["happiness", "anger", "neutral"]
    assert [row.face_id for row in result] == [0, 1, 2]
    assert {row.source for row in result} == {"array_0"}
    assert {row.status for row in result} == {"ok"}
    assert result[1].face.box == (60.0, 10.0, 100.0, 50.0)
    np.testing.assert_allclose(result[0].probabilities, softmax([0, 4, 0]), atol=2e-3)
    assert result[0].score == pytest.approx(float(result[0].probabilities.max()))


def test_faces_of_several_pictures_share_a_batch_and_do_not_change_the_answer(
    make_predictor: Make, squares: Scene, rng: np.random.Generator
) -> None:
    scenes = [squares(*map(tuple, rng.integers(1, 256, (int(n), 3)))) for n in rng.integers(1, 5, 20)]
    together, alone = make_predictor(batch_size=7), make_predictor(batch_size=1, threads=1)
    many, few = together(scenes), alone(scenes)
    assert max(together.session.batches) == 7
    assert set(alone.session.batches) == {1}
    assert sum(together.session.batches) == len(many) == len(few)
    for one, other in zip(many, few, strict=True):
        assert (one.source, one.face_id, one.label) == (other.source, other.face_id, other.label)
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)


def test_file_array_bytes_and_pil_give_the_same_answer(make_predictor: Make, squares: Scene, tmp_path: Path) -> None:
    image = squares((200, 30, 90), (10, 220, 40))
    path = tmp_path / "scene.png"
    Image.fromarray(image).save(path)
    given = [path, str(path), image, path.read_bytes(), Image.fromarray(image)]
    answers = [[row.probabilities.tolist() for row in make_predictor()(one)] for one in given]
    assert all(answer == answers[0] for answer in answers)


def test_a_picture_without_a_face_is_a_row(make_predictor: Make) -> None:
    (row,) = make_predictor()(np.zeros((30, 30, 3), np.uint8))
    assert (row.status, row.detail, row.face, row.face_id, row.label) == (
        "no_face",
        "No face was found.",
        None,
        None,
        None,
    )


def test_small_faces_are_said_to_be_small_and_not_answered(make_predictor: Make, squares: Scene) -> None:
    predictor = make_predictor(min_face_px=50)
    (row,) = predictor(squares(RED, side=40))
    assert (row.status, row.label, row.probabilities) == ("too_small", None, None)
    assert row.detail == "The face is 40 pixels wide; the smallest that is read is 50."
    assert row.face is not None
    assert predictor.session.batches == []


def test_abstained_rows_keep_probabilities_and_have_no_label(make_predictor: Make, squares: Scene) -> None:
    (row,) = make_predictor(min_score=0.9)(squares((90, 100, 110)))
    assert (row.status, row.label, row.score) == ("uncertain", None, None)
    assert row.detail == "No expression reaches the threshold of 90%."
    assert row.probabilities.sum() == pytest.approx(1)


def test_without_a_finder_each_picture_is_one_face(make_predictor: Make, squares: Scene) -> None:
    (row,) = make_predictor(finder=None, min_face_px=500)(np.full((20, 20, 3), BLUE, np.uint8))
    assert (row.label, row.face.box, row.face.alignment) == ("anger", (0.0, 0.0, 20.0, 20.0), "none")


def test_a_batch_goes_on_past_bad_files(make_predictor: Make, squares: Scene, tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    Image.fromarray(squares(RED)).save(good)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "half.png").write_bytes(good.read_bytes()[:60])
    given = [tmp_path / "empty.jpg", good, tmp_path / "text.jpg", "absent.jpg", tmp_path / "half.png", good]
    result = make_predictor()(given)
    assert [row.status for row in result] == ["error", "ok", "error", "error", "error", "ok"]
    assert all(row.detail for row in result if row.status == "error")
    assert [row.source for row in result] == [str(one) for one in given]


def test_an_unforeseen_failure_of_one_picture_is_its_row(make_predictor: Make, squares: Scene) -> None:
    class Broken:
        def find_faces(self, image: np.ndarray) -> list[Face]:
            if image[0, 0, 0]:
                raise ZeroDivisionError("oh")
            return []

    result = make_predictor(finder=Broken())([np.full((9, 9, 3), 7, np.uint8), np.zeros((9, 9, 3), np.uint8)])
    assert [(row.status, row.detail) for row in result] == [
        ("error", "Unexpected ZeroDivisionError: oh"),
        ("no_face", "No face was found."),
    ]


def test_answers_that_are_no_numbers_are_errors(make_predictor: Make, squares: Scene) -> None:
    def broken(image: np.ndarray) -> dict[str, np.ndarray]:
        return {"logits": np.full((len(image), 3), np.nan, np.float32)}

    (row,) = make_predictor(session=broken)(squares(RED))
    assert (row.status, row.label, row.probabilities) == ("error", None, None)
    assert "not numbers" in row.detail


def test_pictures_are_read_ahead_but_not_without_bound(make_predictor: Make) -> None:
    taken: list[int] = []

    def endless():
        for number in range(10_000):
            taken.append(number)
            yield Picture(f"p{number}", np.zeros((8, 8, 3), np.uint8))

    predictor = make_predictor(batch_size=4, threads=2)
    stream = predictor.stream(endless())
    for _ in range(3):
        next(stream)
    time.sleep(0.05)
    assert len(taken) <= 4 + 2 * 2 + 1
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mien")]


def test_large_pictures_are_handed_out_before_they_pile_up(make_predictor: Make, squares: Scene, monkeypatch) -> None:
    image = squares(RED)
    monkeypatch.setattr("mien.predict.flow.MAX_KEPT_BYTES", 2 * image.nbytes)
    predictor = make_predictor()
    assert len(predictor([image] * 7)) == 7
    assert predictor.session.batches == [3, 3, 1]


def test_images_are_kept_if_asked_for_or_given(make_predictor: Make, squares: Scene, tmp_path: Path) -> None:
    image = squares(RED)
    path = tmp_path / "a.png"
    Image.fromarray(image).save(path)
    assert make_predictor()(path).images == {}
    np.testing.assert_array_equal(make_predictor()(path, keep_images=True).images[str(path)], image)
    assert make_predictor()(image).images["array_0"] is image
    assert next(make_predictor().stream(sources(path))).image is None


def test_results_draw_themselves(make_predictor: Make, squares: Scene, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(squares(RED, GREEN)).save(path)
    result = make_predictor()(path)
    drawn = result.draw()
    assert drawn.dtype == np.uint8
    assert drawn.shape[2] == 3
    assert (drawn != read_image(path)[0, 0]).any()
    with pytest.raises(ConfigError, match="There is no picture 'b'"):
        result.draw("b")


def test_a_bundle_is_loaded_with_all_its_settings(tiny_bundle: Path, portrait: Path) -> None:
    reader = mien.load(tiny_bundle, finder=None, min_score=1.0, threads=1, batch_size=3, min_face_px=7)
    assert (reader.threads, reader.batch_size, reader.min_face_px, reader.task.min_score) == (1, 3, 7, 1.0)
    assert reader.model.startswith("tiny@")
    assert len(reader.model) == len("tiny@") + 12
    (row,) = reader(portrait)
    assert row.status == "uncertain"


def test_the_portrait_has_one_face_found_by_the_mesh(tiny_bundle: Path, portrait: Path) -> None:
    (row,) = mien.predict(portrait, tiny_bundle)
    assert row.status == "ok"
    assert row.face.alignment == "mesh"
    x1, y1, x2, y2 = row.face.box
    assert 150 < x1 < 190 < 350 < x2 < 385
    assert 110 < y1 < 160 < 320 < y2 < 360


def test_runtimes_agree(tiny_bundle: Path, portrait: Path) -> None:
    pytest.importorskip("onnxruntime")
    answers = [
        mien.predict(portrait, tiny_bundle, runtime=runtime)[0].probabilities for runtime in ("openvino", "onnx")
    ]
    np.testing.assert_allclose(*answers, atol=1e-5)


def test_half_precision_is_close(tiny_bundle: Path, portrait: Path) -> None:
    exact, fast = (mien.predict(portrait, tiny_bundle, precision=kind)[0] for kind in ("fp32", "bf16"))
    np.testing.assert_allclose(fast.probabilities, exact.probabilities, atol=0.02)


def test_what_cannot_be_loaded_is_explained(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"(?i)no model"):
        load("no_such_model")
    with pytest.raises(BundleError, match="not a bundle"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="batch_size is at least 1; given: 0"):
        load(tiny_bundle, batch_size=0)
    with pytest.raises((ConfigError, BundleError), match="VAX"):
        load(tiny_bundle, device="vax", finder=None)
