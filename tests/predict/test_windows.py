"""Models of clips on videos: a row a window with its seconds, one for the whole time of each face, memory bounded."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.faces.track import TrackedFace, Tracker
from mien.media.clip import clip_indices
from mien.media.video import VideoInfo
from mien.media.video_writer import VideoWriter
from mien.predict.windows import MAX_KEPT, ClipPredictor
from mien.schema.inputs import ClipSpec, LandmarkSpec
from mien.schema.labels import LabelSet
from mien.tasks.classify import Classify

LABELS = LabelSet("two", ("neutral", "happiness"))
CLIP = ClipSpec(n_frames=4, segments=2, per_segment=2, stride=2, size_px=16, mean=(0.0,) * 3, std=(1.0,) * 3)
MARKS = LandmarkSpec(n_frames=4, size_px=16)
INFO = VideoInfo(
    width=64,
    height=48,
    rate=Fraction(25),
    duration_s=None,
    frames=None,
    rotation_deg=0,
    codec="h264",
    has_sound=False,
    time_base=Fraction(1, 1000),
)


class Brightness:
    """Answers the more for happiness the brighter the frames are; keeps what it was fed."""

    inputs, outputs = ("clip", "landmarks"), ("logits",)

    def __init__(self) -> None:
        self.clips: list[NDArray[Any]] = []

    def __call__(self, **arrays: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        clip, landmarks = arrays["clip"], arrays["landmarks"]
        assert clip.shape[1:] == (4, 3, 16, 16)
        assert landmarks.shape[1:] == (4, 68, 2)
        self.clips += list(clip)
        bright = clip.mean((1, 2, 3, 4))
        return {"logits": np.stack([np.zeros_like(bright), 10 * bright - 5], axis=1)}


class Everywhere:
    """Face 0 fills the frame; it is away while the frames are black."""

    def update(self, image: NDArray[np.uint8], time_s: float) -> list[TrackedFace]:
        if image.mean() < 5:
            return []
        points = np.tile(np.array([[32.0, 24.0]], np.float32), (68, 1))
        eyes = np.array([[24.0, 20.0], [40.0, 20.0]])
        return [
            TrackedFace(box=(8.0, 4.0, 56.0, 44.0), score=0.9, eyes=eyes, alignment="mesh", landmarks=points, face_id=0)
        ]


@pytest.fixture
def predictor() -> ClipPredictor:
    return ClipPredictor(
        session=Brightness(),
        task=Classify(labels=LABELS),
        clip=CLIP,
        landmarks=MARKS,
        model="bright@0",
        make_tracker=lambda options: cast(Tracker, Everywhere()),
        batch_size=3,
    )


def film(path: Path, levels: list[int]) -> Path:
    with VideoWriter(path, INFO) as writer:
        for number, level in enumerate(levels):
            writer.write(np.full((48, 64, 3), level, np.uint8), number / 25)
    return path


def test_windows_and_the_whole(predictor: ClipPredictor, tmp_path: Path) -> None:
    levels = [40] * 6 + [240] * 5
    *windows, whole = predictor(film(tmp_path / "a.mp4", levels))
    assert [row.frame for row in windows] == [0, 2, 4, 6]
    assert [row.start_s for row in windows] == pytest.approx([0.0, 0.08, 0.16, 0.24], abs=1e-3)
    assert [row.end_s for row in windows] == pytest.approx([0.12, 0.2, 0.28, 0.36], abs=1e-3)
    assert [row.label for row in windows] == ["neutral", "neutral", "happiness", "happiness"]
    assert (whole.frame, whole.start_s, whole.face_id) == (None, 0.0, 0)
    assert whole.end_s == pytest.approx(0.4, abs=1e-3)
    assert isinstance(predictor.session, Brightness)
    fed = predictor.session.clips[-1].mean((1, 2, 3)) * 255
    wanted = [levels[i] for i in clip_indices(11, 2, 2)]
    np.testing.assert_allclose(fed, wanted, atol=6)


def test_a_face_that_was_away_begins_a_new_window(predictor: ClipPredictor, tmp_path: Path) -> None:
    rows = list(predictor(film(tmp_path / "a.mp4", [200] * 5 + [0] * 20 + [200] * 5)))
    assert [row.frame for row in rows] == [0, 25, None]


def test_a_face_that_was_seen_too_shortly_for_a_window_is_answered_as_a_whole(predictor, tmp_path: Path) -> None:
    (row,) = predictor(film(tmp_path / "a.mp4", [240, 240]))
    assert (row.label, row.frame) == ("happiness", None)


def test_a_long_time_is_the_mean_of_its_windows(predictor: ClipPredictor, tmp_path: Path) -> None:
    *windows, whole = predictor(film(tmp_path / "a.mp4", [40] * 150 + [240] * (MAX_KEPT - 90)))
    mean = np.mean([row.probabilities for row in windows], axis=0, dtype=np.float64)
    np.testing.assert_allclose(whole.probabilities, mean, atol=1e-6)
    assert whole.detail == f"Mean of {len(windows)} windows."


def test_nobody_pictures_and_what_is_no_video_are_rows(predictor: ClipPredictor, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    nobody, bad, picture = predictor(
        [film(tmp_path / "a.mp4", [0] * 5), tmp_path / "bad.mp4", np.zeros((4, 4, 3), np.uint8)]
    )
    assert (nobody.status, bad.status, picture.status) == ("no_face", "error", "error")
    assert "this model reads clips" in picture.detail
    columns = predictor(film(tmp_path / "b.mp4", [200] * 4)).columns
    assert columns["start_s"].tolist() == [0.0, 0.0]
