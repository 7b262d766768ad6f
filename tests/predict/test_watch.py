"""Videos through the pipeline: every frame a row, at the container's seconds, beside photos, whatever the file is."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.media.video import VideoInfo
from mien.media.video_writer import VideoWriter
from mien.predict.sources import Picture, Video, sources
from mien.predict.watch import VideoOptions
from mien.schema.errors import ConfigError

RED, GREEN = (250, 10, 10), (10, 250, 10)
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


def film(path: Path, times: list[float], change: int) -> Path:
    """Red frames, and green ones from frame ``change`` on."""
    with VideoWriter(path, INFO) as writer:
        for number, time_s in enumerate(times):
            writer.write(np.full((48, 64, 3), GREEN if number >= change else RED, np.uint8), time_s)
    return path


@pytest.fixture
def crops(make_predictor: Callable[..., Any]) -> Any:
    return make_predictor(finder=None, batch_size=4)


def test_every_frame_is_a_row_at_its_second(crops: Any, tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.09, 0.2, 0.21, 0.5, 0.54]
    rows = list(crops(film(tmp_path / "a.mp4", times, 4), video=VideoOptions(smoothing="none")))
    assert [row.frame for row in rows] == list(range(7))
    assert [row.time_s for row in rows] == pytest.approx(times, abs=1e-3)
    assert [row.label for row in rows] == ["neutral"] * 4 + ["happiness"] * 3
    assert {(row.face_id, row.status, row.raw is None) for row in rows} == {(0, "ok", True)}
    assert max(crops.session.batches) <= 4


def test_answers_are_smoothed_and_the_raw_ones_kept(crops: Any, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [n / 25 for n in range(50)], 25)
    alone = crops(path, video=VideoOptions(smoothing="none"))
    steady = crops(path)
    assert "raw_p_neutral" in steady.columns
    assert "raw_p_neutral" not in alone.columns
    for one, other in zip(alone, steady, strict=True):
        np.testing.assert_allclose(one.probabilities, other.raw, atol=1e-6)
    change = [float(row.probabilities[1]) for row in steady][20:30]
    assert all(before <= after + 1e-6 for before, after in pairwise(change))
    late = crops(path, video=VideoOptions(smoothing="causal"))
    assert late[25].probabilities[1] < steady[25].probabilities[1]
    spans = steady.episodes()[0].episodes
    assert [one.expression for one in spans] == ["neutral", "happiness"]
    assert spans[1].onset_s == pytest.approx(1.0, abs=0.05)


def test_photos_and_videos_keep_their_order(crops: Any, tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mp4", [0.0, 0.04], 9)
    photo = np.full((30, 30, 3), GREEN, np.uint8)
    rows = list(crops([photo, clip, photo, clip]))
    assert [row.source for row in rows] == ["array_0", str(clip), str(clip), "array_2", str(clip), str(clip)]
    assert [row.frame for row in rows] == [None, 0, 1, None, 0, 1]


def test_frames_that_wait_for_later_ones_do_not_keep_their_pixels(crops: Any, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [n / 25 for n in range(6)], 3)

    def has_pixels(given: Any, smoothing: Any) -> set[bool]:
        answers = crops.stream(given, keep_images=True, video=VideoOptions(smoothing=smoothing))
        return {answer.image is not None for answer in answers}

    assert has_pixels(sources(path), "centred") == {False}
    assert has_pixels(sources(path), "causal") == has_pixels(sources(path), "none") == {True}
    live = Video("stdin", path.read_bytes(), is_live=True)
    assert has_pixels([live], "centred") == {True}


def test_a_part_and_a_choice_of_frames(crops: Any, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [n / 25 for n in range(50)], 99)
    chosen = VideoOptions(every=5, start_s=0.5, end_s=1.0)
    assert [row.frame for row in crops(path, video=chosen)] == [15, 20]
    assert len(crops(path, video=VideoOptions(fps=5))) == 10


@pytest.mark.parametrize("content", [b"", b"no video at all", b"\0" * 5000])
def test_what_is_no_video_is_a_row_that_says_so(crops: Any, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    (row,) = crops(path)
    assert (row.status, row.frame, row.time_s) == ("error", None, None)
    assert "a.mp4" in row.detail


def test_a_video_that_is_cut_off_gives_what_it_holds_and_a_row_that_says_so(crops: Any, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [n / 25 for n in range(200)], 99)
    content = path.read_bytes()
    path.write_bytes(content[: int(0.8 * len(content))])
    rows = list(crops(path))
    assert rows[-1].status == "error"
    assert [row.frame for row in rows[:-1]] == list(range(len(rows) - 1))
    assert len(rows) > 20


def test_whoever_stops_early_leaves_no_thread(crops: Any, tmp_path: Path) -> None:
    import threading

    path = film(tmp_path / "a.mp4", [n / 25 for n in range(100)], 99)
    before = threading.active_count()
    stream = crops.stream(sources(path))
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_names_of_videos(tmp_path: Path) -> None:
    for name in ("a.MP4", "b.jpg", "c.mkv", "notes.txt"):
        (tmp_path / name).touch()
    found = list(sources(tmp_path))
    assert [(Path(one.name).name, type(one)) for one in found] == [
        ("a.MP4", Video),
        ("b.jpg", Picture),
        ("c.mkv", Video),
    ]
    live = [next(sources(name)) for name in ("0", "/dev/video3", "-")]
    assert all(isinstance(one, Video) and one.is_live for one in live)
    numbered = next(sources(str(tmp_path / "frame_%05d.png")))
    assert isinstance(numbered, Video)
    assert (numbered.is_live, numbered.inside) == (False, Path("frame"))


def test_what_cannot_be_chosen_is_said() -> None:
    with pytest.raises(ConfigError, match="smoothing is one of"):
        VideoOptions(smoothing="much")
    with pytest.raises(ConfigError, match="detect_every_s"):
        VideoOptions(detect_every_s=-1)
    assert VideoOptions().smoothing_of(Video("0", "0", is_live=True)) == "causal"
    assert VideoOptions().smoothing_of(Video("a.mp4", Path("a.mp4"))) == "centred"


def test_two_people_on_real_footage_keep_their_numbers(mien_data: Path) -> None:
    import mien

    found = mien.load()(mien_data / "video" / "pyfeat_face_noface.mov")
    assert [row.frame for row in found] == list(range(169))
    assert {row.face_id for row in found if row.status == "ok"} == {0}
    assert {row.status for row in list(found)[-60:]} == {"no_face"}
