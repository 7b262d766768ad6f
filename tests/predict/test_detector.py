"""Models that find and read faces in one pass: pictures, videos, tiles, what goes wrong."""

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import mien
from mien.media.video import VideoInfo
from mien.media.video_writer import VideoWriter
from mien.predict import pipeline
from mien.predict.detector import DetectorPredictor
from mien.predict.watch import VideoOptions
from mien.schema.errors import BundleError, ConfigError
from mien.schema.inputs import PictureSpec
from mien.schema.labels import RAF_DB
from mien.tasks.detect import Detect

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
SIDE, QUERIES = 128, 8
VIDEO = VideoInfo(
    width=160,
    height=96,
    rate=Fraction(25),
    duration_s=None,
    frames=None,
    rotation_deg=0,
    codec="h264",
    has_sound=False,
    time_base=Fraction(1, 1000),
)


class Patches:
    """A session that sees coloured squares side by side in the network's square, and reads their colour.

    Squares smaller than ``least`` pixels it does not see. Grey and black are background.
    """

    inputs, outputs = ("image",), ("pred_logits", "pred_boxes")

    def __init__(self, least: int = 1) -> None:
        self.least = least
        self.batches: list[int] = []

    def __call__(self, **arrays: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        image = arrays["image"]
        assert image.dtype == np.float32
        assert image.shape[1:] == (3, SIDE, SIDE)
        self.batches.append(len(image))
        logits = np.full((len(image), QUERIES, 3), -9, np.float32)
        boxes = np.full((len(image), QUERIES, 4), 0.5, np.float32)
        for number, pixels in enumerate(image):
            for query, (box, colour) in enumerate(self._seen(pixels)):
                boxes[number, -1 - query] = box
                logits[number, -1 - query] = 6 * colour - 3
        return {"pred_logits": logits, "pred_boxes": boxes}

    def _seen(self, pixels: NDArray[np.float32]):
        coloured = np.ptp(pixels, axis=0) > 0.5
        columns = np.flatnonzero(np.diff(np.pad(coloured.any(0), 1)))
        for left, right in columns.reshape(-1, 2).tolist():
            rows = np.flatnonzero(np.diff(np.pad(coloured[:, left:right].any(1), 1)))
            top, bottom = int(rows[0]), int(rows[-1])
            if min(right - left, bottom - top) >= self.least:
                middle = pixels[:, (top + bottom) // 2, (left + right) // 2]
                edges = np.array([left + right, top + bottom, 2 * (right - left), 2 * (bottom - top)])
                yield edges / (2 * SIDE), middle


def detector(session: Any = None, *, min_score: float = 0.3, **changes: Any) -> Any:
    fields: dict[str, Any] = {
        "session": session or Patches(),
        "task": Detect(labels=RAF_DB.subset(("surprise", "fear", "disgust")), min_score=min_score),
        "spec": PictureSpec(size_px=SIDE),
        "model": "patches@0",
        "min_face_px": 8,
        "batch_size": 4,
        "threads": 2,
    }
    return DetectorPredictor(**{**fields, **changes})


def picture(*squares: tuple[int, int, int, tuple[int, int, int]], shape=(96, 160)) -> NDArray[np.uint8]:
    """Squares (x, y, side, colour) on black."""
    image = np.zeros((*shape, 3), np.uint8)
    for x, y, side, colour in squares:
        image[y : y + side, x : x + side] = colour
    return image


def test_faces_are_rows_from_left_to_right_with_boxes_in_the_picture() -> None:
    result = detector()(picture((100, 10, 40, BLUE), (10, 30, 50, GREEN)))
    assert [(row.face_id, row.label, row.status) for row in result] == [(0, "fear", "ok"), (1, "disgust", "ok")]
    np.testing.assert_allclose(result[0].face.box, (10, 30, 60, 80), atol=1.3)
    np.testing.assert_allclose(result[1].face.box, (100, 10, 140, 50), atol=1.3)
    assert {row.face.alignment for row in result} == {"none"}
    scores = 1 / (1 + np.exp([3.0, -3.0, 3.0]))
    np.testing.assert_allclose(result[0].probabilities, scores / scores.sum(), rtol=1e-3)
    assert result[0].score == pytest.approx(result[0].probabilities.max())
    assert result[0].face.score == pytest.approx(scores[1], rel=1e-3)
    assert result.columns["alignment"].tolist() == ["none", "none"]


def test_batches_and_order_do_not_change_the_answer(rng: np.random.Generator) -> None:
    colours = (RED, GREEN, BLUE)
    pictures = [
        picture(*((int(x), int(rng.integers(40)), 30, colours[rng.integers(3)]) for x in (5, 60, 110)[: n % 4]))
        for n in range(13)
    ]
    together, alone = detector(), detector(batch_size=1, threads=1)
    many, few = together(pictures), alone(pictures)
    assert max(together.session.batches) == 4
    assert set(alone.session.batches) == {1}
    assert [(row.source, row.label, row.status) for row in many] == [(row.source, row.label, row.status) for row in few]
    assert sum(row.status == "no_face" for row in many) == 4
    for one, other in zip(many, few, strict=True):
        if one.face is not None:
            assert one.face.box == other.face.box


def test_file_array_and_bytes_give_the_same_answer(tmp_path: Path) -> None:
    image, path = picture((10, 30, 50, GREEN)), tmp_path / "a.png"
    Image.fromarray(image).save(path)
    answers = [[(row.face.box, row.label) for row in detector()(one)] for one in (path, image, path.read_bytes())]
    assert answers[0] == answers[1] == answers[2]


def test_small_faces_are_said_to_be_small() -> None:
    (row,) = detector(min_face_px=60)(picture((10, 30, 50, GREEN)))
    assert (row.status, row.label, row.score, row.face_id) == ("too_small", None, None, 0)
    assert "the smallest that is read is 60" in row.detail


def test_the_threshold_decides_what_is_a_face() -> None:
    image = picture((10, 30, 50, (0, 128, 0)), (100, 30, 50, GREEN))
    assert [row.label for row in detector(min_score=0.4)(image)] == ["fear", "fear"]
    (row,) = detector(min_score=0.9)(image)
    assert row.face.box[0] > 90
    (none,) = detector(min_score=0.99)(image)
    assert (none.status, none.face, none.face_id) == ("no_face", None, None)


def test_bad_files_are_rows_and_do_not_stop_the_rest(tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    Image.fromarray(picture((10, 30, 50, GREEN))).save(good)
    (tmp_path / "text.jpg").write_text("no picture")
    result = detector()([tmp_path / "text.jpg", good, "absent.jpg", good])
    assert [row.status for row in result] == ["error", "ok", "error", "ok"]
    assert all(row.detail for row in result if row.status == "error")


def test_answers_that_are_no_numbers_are_errors() -> None:
    def broken(image: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        found = Patches()(image=image)
        found["pred_boxes"][image.max((1, 2, 3)) > 0.9, 0, 0] = np.nan
        return found

    result = detector(broken)([picture((10, 30, 50, GREEN)), picture()])
    assert [(row.status, row.face) for row in result] == [("error", None), ("no_face", None)]
    assert "not numbers" in result[0].detail


def test_pictures_are_drawn() -> None:
    result = detector()(picture((10, 30, 50, GREEN)), keep_images=True)
    assert result.draw().shape[2] == 3


# Tiles


def test_tiles_find_small_faces_and_name_each_face_once() -> None:
    """Of 400 pixels the square shows a third: faces of 20 pixels become 6 and are missed."""
    image = picture(
        (10, 30, 20, GREEN), (180, 200, 20, RED), (370, 350, 20, BLUE), (210, 20, 100, RED), shape=(400, 400)
    )
    image[:, 205:] = np.where(image[:, 205:].any(2, keepdims=True), image[:, 205:], 0)
    whole, tiled = detector(Patches(10)), detector(Patches(10), tile_px=128)
    assert [row.label for row in whole(image)] == ["surprise"]
    found = tiled(image)
    assert [(row.label, round(row.face.box[0], -1)) for row in found] == [
        ("fear", 10),
        ("surprise", 180),
        ("surprise", 210),
        ("disgust", 370),
    ]
    np.testing.assert_allclose(found[3].face.box, (370, 350, 390, 370), atol=1.5)
    np.testing.assert_allclose(found[2].face.box, (210, 20, 310, 120), atol=4)
    assert max(tiled.session.batches) == 4


def test_tiles_of_a_small_picture_change_nothing() -> None:
    image = picture((10, 30, 50, GREEN))
    one, other = detector()(image), detector(tile_px=160)(image)
    assert [row.face.box for row in one] == [row.face.box for row in other]


# Videos


def film(path: Path, frames: list[NDArray[np.uint8]]) -> Path:
    with VideoWriter(path, VIDEO) as writer:
        for number, frame in enumerate(frames):
            writer.write(frame, number / 25)
    return path


def test_faces_of_a_video_keep_their_numbers(tmp_path: Path) -> None:
    frames = [picture((100 - 2 * n, 50, 30, RED), (5 + n, 6, 30, GREEN)) for n in range(20)]
    rows = list(detector()(film(tmp_path / "a.mp4", frames), video=VideoOptions(smoothing="none")))
    assert [row.frame for row in rows] == [n for n in range(20) for _ in range(2)]
    assert [row.face_id for row in rows] == [0, 1] * 20
    of_green = {row.face_id for row in rows if row.label == "fear"}
    assert len(of_green) == 1
    assert all(row.time_s == pytest.approx(row.frame / 25, abs=1e-3) for row in rows)


def test_answers_of_a_video_are_smoothed_and_a_frame_without_a_face_is_a_row(tmp_path: Path) -> None:
    frames = [picture(*([(20, 20, 20, RED if n < 12 else GREEN)] if n != 5 else [])) for n in range(25)]
    rows = list(detector()(film(tmp_path / "a.mp4", frames)))
    assert [row.status for row in rows] == ["ok"] * 5 + ["no_face"] + ["ok"] * 19
    assert {row.face_id for row in rows} == {0, None}
    assert all(row.raw is not None for row in rows if row.face is not None)
    assert (rows[0].label, rows[24].label) == ("surprise", "fear")
    change = [abs(one.probabilities[0] - other.probabilities[0]) for one, other in pairwise(rows[6:])]
    assert max(change) < 0.3


def test_a_video_that_cannot_be_read_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no film")
    (row,) = detector()(tmp_path / "bad.mp4")
    assert row.status == "error"


# Loading


def test_a_bundle_that_detects_needs_no_finder(tiny_detector: Path) -> None:
    predictor = mien.load(tiny_detector)
    assert isinstance(predictor, DetectorPredictor)
    result = predictor(np.full((200, 400, 3), RED, np.uint8))
    assert [(row.label, row.face.box) for row in result] == [("surprise", (50.0, 50.0, 150.0, 150.0))]
    square = predictor(np.full((200, 200, 3), RED, np.uint8))
    assert [row.face.box for row in square] == [(25.0, 25.0, 75.0, 75.0), (125.0, 125.0, 175.0, 175.0)]
    assert predictor.model.startswith("two_faces@")
    assert len(mien.load(tiny_detector, min_score=0.9999)(np.zeros((200, 200, 3), np.uint8))) == 1


def test_settings_that_do_not_fit_are_explained(tiny_detector: Path, tiny_bundle: Path) -> None:
    with pytest.raises(ConfigError, match="'two_faces' finds the faces itself"):
        mien.load(tiny_detector, finder=None)
    with pytest.raises(ConfigError, match="tile_px is at least 64; given: 3"):
        mien.load(tiny_detector, tile_px=3)
    with pytest.raises(ConfigError, match="batch_size is at least 1"):
        mien.load(tiny_detector, batch_size=0)
    with pytest.raises(ConfigError, match="Tiles are for models that find the faces themselves; 'tiny'"):
        mien.load(tiny_bundle, tile_px=320)
    with pytest.raises(BundleError, match="two_faces is fed whole pictures; this needs a model of single face images"):
        pipeline.load(tiny_detector)
