"""Models that answer each frame of a window: a row a face and frame, windows of each face, memory that stays flat."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.faces.track import TrackedFace, Tracker
from mien.media.crop import cut
from mien.media.image import write_image
from mien.media.video import VideoInfo
from mien.media.video_writer import VideoWriter
from mien.metrics.calibration import softmax
from mien.predict import loading
from mien.predict.frames import FramePredictor
from mien.predict.sources import Video, sources
from mien.predict.watch import AHEAD_FRAMES, VideoOptions
from mien.runtime.bundle import read_bundle
from mien.schema.errors import BundleError, ConfigError
from mien.schema.inputs import ClipSpec
from mien.schema.labels import LabelSet
from mien.schema.prediction import Face, Result
from mien.tasks.classify import ClassifyFrames

LABELS = LabelSet("two", ("neutral", "happiness"))
SIZE = 4
CLIP = ClipSpec(
    n_frames=SIZE, segments=1, per_segment=SIZE, stride=SIZE, size_px=16, mean=(0.0,) * 3, std=(1.0,) * 3
)  # fmt: skip
RAW = VideoOptions(smoothing="none")
INFO = VideoInfo(
    width=64,
    height=32,
    rate=Fraction(25),
    duration_s=None,
    frames=None,
    rotation_deg=0,
    codec="h264",
    has_sound=False,
    time_base=Fraction(1, 1000),
)


class Brightness:
    """Happiness grows with the brightness of a frame and, a fifth of it, with that of its window; keeps its food."""

    inputs, outputs = ("clip",), ("logits",)

    def __init__(self) -> None:
        self.windows: list[NDArray[np.float64]] = []
        self.batches: list[int] = []

    def __call__(self, **arrays: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        clip = arrays["clip"]
        assert clip.dtype == np.float32
        assert clip.shape[1:] == (SIZE, 3, 16, 16)
        bright = clip.mean((2, 3, 4)).astype(np.float64)
        self.windows += list(bright)
        self.batches.append(len(clip))
        return {"logits": logits_of(bright)}


def logits_of(bright: NDArray[np.float64]) -> NDArray[np.float64]:
    happy = 8 * bright + 2 * bright.mean(1, keepdims=True) - 5
    return np.stack([np.zeros_like(happy), happy], axis=2)


class Strips:
    """Faces side by side over the frame, each strip one; a face is away while its strip is black."""

    def __init__(self, faces: int = 1) -> None:
        self.faces = faces

    def find_faces(self, image: NDArray[np.uint8]) -> list[Face]:
        return list(self.update(image, 0.0))

    def update(self, image: NDArray[np.uint8], time_s: float) -> list[TrackedFace]:
        edges = [round(edge) for edge in np.linspace(0, image.shape[1], self.faces + 1)]
        return [
            TrackedFace(box=(float(left), 0.0, float(right), float(len(image))), score=0.9, face_id=number)
            for number, (left, right) in enumerate(pairwise(edges))
            if image[:, left:right].mean() > 5
        ]


@pytest.fixture
def make() -> Callable[..., FramePredictor]:
    def made(faces: int = 1, **changes: Any) -> FramePredictor:
        fields: dict[str, Any] = {
            "session": Brightness(),
            "task": ClassifyFrames(labels=LABELS),
            "clip": CLIP,
            "model": "bright@0",
            "make_tracker": lambda options: cast(Tracker, Strips(faces)),
            "finder": Strips(faces),
            "min_face_px": 8,
            "quality": None,
            "batch_size": 1,
            "threads": 1,
        }
        return FramePredictor(**{**fields, **changes})

    return made


def film(path: Path, levels: Sequence[Sequence[int] | int], rate: int = 25) -> Path:
    """Frames of strips as bright as ``levels``."""
    with VideoWriter(path, replace(INFO, rate=Fraction(rate))) as writer:
        for number, level in enumerate(levels):
            strips = np.atleast_1d(np.asarray(level, np.uint8))
            row = np.repeat(strips, 64 // len(strips))[None, :, None]
            writer.write(np.broadcast_to(row, (32, 64, 3)).copy(), number / rate)
    return path


def fed(predictor: FramePredictor) -> NDArray[np.float64]:
    assert isinstance(predictor.session, Brightness)
    return np.array(predictor.session.windows) * 255


def chances(result: Result) -> NDArray[np.float32]:
    return np.stack([row.probabilities for row in result if row.probabilities is not None])


def test_a_row_a_frame_and_the_last_window_repeats_its_last_frame(make, tmp_path: Path) -> None:
    predictor, levels = make(), [40, 80, 120, 160, 200, 240]
    result = predictor(film(tmp_path / "a.mp4", levels), video=RAW)
    assert [row.frame for row in result] == list(range(6))
    assert [row.time_s for row in result] == pytest.approx([n / 25 for n in range(6)], abs=1e-3)
    assert {row.face_id for row in result} == {0}
    assert {(row.start_s, row.end_s) for row in result} == {(None, None)}
    np.testing.assert_allclose(fed(predictor), [levels[:4], [200, 240, 240, 240]], atol=4)
    expected = softmax(logits_of(fed(predictor) / 255).reshape(-1, 2).astype(np.float32))[:6]
    np.testing.assert_allclose(chances(result), expected, atol=1e-6)
    assert [row.label for row in result] == ["neutral"] * 3 + ["happiness"] * 3


def test_two_faces_have_windows_of_their_own_and_frames_stay_in_order(make, tmp_path: Path) -> None:
    levels = [(60, 0)] * 2 + [(60, 200)] * 6 + [(0, 200)] * 3
    predictor = make(2)
    result = predictor(film(tmp_path / "a.mp4", levels), video=RAW)
    assert [(row.frame, row.face_id) for row in result] == [
        (frame, face) for frame, pair in enumerate(levels) for face in (0, 1) if pair[face]
    ]
    assert {row.face_id: row.label for row in result} == {0: "neutral", 1: "happiness"}
    means = sorted(fed(predictor).mean(1).round(-1).tolist())
    assert means == [60, 60, 200, 200, 200]


def test_a_face_that_leaves_and_returns(make, tmp_path: Path) -> None:
    """For a moment it stays in its window, as in training; for longer it begins another one."""
    short, long = make(), make()
    result = short(film(tmp_path / "a.mp4", [40, 80, 0, 0, 120, 160]), video=RAW)
    assert [row.status for row in result] == ["ok", "ok", "no_face", "no_face", "ok", "ok"]
    np.testing.assert_allclose(fed(short), [[40, 80, 120, 160]], atol=4)
    result = long(film(tmp_path / "b.mp4", [40, 80, *[0] * 30, 120, 160]), video=RAW)
    assert [row.frame for row in result] == list(range(34))
    np.testing.assert_allclose(fed(long), [[40, 80, 80, 80], [120, 160, 160, 160]], atol=4)


def test_parts_and_rates(make, tmp_path: Path) -> None:
    path, predictor = film(tmp_path / "a.mp4", [200] * 75), make()
    result = predictor(path, video=replace(RAW, every=5, start_s=1.0, end_s=2.0))
    assert [row.frame for row in result] == [25, 30, 35, 40, 45]
    assert len(fed(predictor)) == 2
    assert [row.frame for row in make()(path, video=replace(RAW, fps=0.5))] == [0, 50]


def test_answers_are_steadied_and_the_model_may_abstain(make, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [40] * 10 + [240] * 10)
    raw, steady = make()(path, video=RAW), make()(path)
    np.testing.assert_allclose([row.raw for row in steady], chances(raw))
    assert np.abs(np.diff(chances(steady)[:, 1])).max() < np.abs(np.diff(chances(raw)[:, 1])).max() / 2
    shy = make(task=ClassifyFrames(labels=LABELS, min_score=0.999))(path, video=RAW)
    assert {row.status for row in shy} == {"uncertain"}
    assert chances(shy) == pytest.approx(chances(raw))


def test_faces_that_are_too_small_are_not_asked_about(make, tmp_path: Path) -> None:
    predictor = make(2, min_face_px=40)
    result = predictor(film(tmp_path / "a.mp4", [(200, 200)] * 3), video=RAW)
    assert {row.status for row in result} == {"too_small"}
    assert len(result) == 6
    assert len(fed(predictor)) == 0


def test_a_picture_is_a_window_of_one_repeated_frame(make, tmp_path: Path) -> None:
    predictor, crops = make(2), make(finder=None)
    image = np.zeros((32, 64, 3), np.uint8)
    image[:, :32], image[:, 32:] = 60, 200
    write_image(tmp_path / "a.png", image)
    result = predictor([tmp_path / "a.png", image, tmp_path / "none.png"], keep_images=True)
    assert [row.label for row in result] == ["neutral", "happiness"] * 2 + [None]
    assert [row.status for row in result][-1] == "error"
    assert set(result.images) == {str(tmp_path / "a.png"), "array_1"}
    np.testing.assert_allclose(fed(predictor), np.repeat([[60], [200]] * 2, SIZE, axis=1), atol=1)
    (row,) = crops(image)
    assert (row.face.box, row.time_s) == ((0.0, 0.0, 64.0, 32.0), None)
    assert make(2)(np.zeros((32, 64, 3), np.uint8))[0].status == "no_face"


def test_windows_are_batched_where_asked(make) -> None:
    predictor, image = make(3, batch_size=2), np.full((32, 64, 3), 90, np.uint8)
    predictor(image)
    assert predictor.session.batches == [2, 1]


def test_what_breaks_off_is_answered_as_far_as_it_came(make, tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mp4", [100] * 6)
    (tmp_path / "bad.mp4").write_text("no video")
    result = make()([whole, tmp_path / "bad.mp4", film(tmp_path / "c.mp4", [0] * 3)], video=RAW)
    assert [row.status for row in result] == ["ok"] * 6 + ["error"] + ["no_face"] * 3


def test_memory_stays_flat(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two faces out of step: crops of one window of each are alive, whatever the length, and a few read ahead."""
    alive: list[int] = []
    most: list[int] = []

    def counted(*given: Any) -> NDArray[np.uint8]:
        crop = cut(*given)
        alive.append(1)
        weakref.finalize(crop, alive.pop)
        return crop

    monkeypatch.setattr("mien.predict.frames.cut", counted)
    predictor, path = make(2), film(tmp_path / "a.mp4", [(90, 0)] * 2 + [(90, 90)] * 150)
    for answer in predictor.stream(sources(path), keep_images=True, video=RAW):
        assert answer.image is None
        most.append(len(alive))
    assert len(most) == 152
    assert 0 < max(most) <= 2 * SIZE + 2 * (AHEAD_FRAMES + 2)


def test_a_camera_is_answered_window_by_window(make, tmp_path: Path) -> None:
    predictor = make()
    live = Video("camera", film(tmp_path / "a.mp4", [90] * 6), is_live=True)
    answers = predictor.stream([live])
    assert next(answers).frame == 0
    assert len(fed(predictor)) == 1, "the second window has not begun"
    assert [answer.frame for answer in answers] == [1, 2, 3, 4, 5]


def test_a_bundle_of_other_inputs_is_refused(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = replace(read_bundle(tiny_bundle), task={"name": "classify_frames"})
    monkeypatch.setattr(loading, "find_bundle", lambda name: bundle)
    with pytest.raises(BundleError, match="from image; prediction needs a model that gives labels to the frames"):
        loading.load("frames")
    with pytest.raises(ConfigError, match="Tiles are for models that find the faces themselves"):
        loading.load("frames", tile_px=200)
