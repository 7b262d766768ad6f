"""Through a clip moment by moment: each comes as soon as it can, and little of what lies behind is kept."""

import wave
import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mien.faces.track import TrackedFace
from mien.media.video import Frame, VideoInfo
from mien.predict.gallery import Shot
from mien.predict.grid import Grid
from mien.predict.listener import Listener
from mien.predict.walk import Look, Walk
from mien.predict.watch import Seen
from mien.schema.errors import MediaError
from mien.schema.inputs import SoundSpec

GRID = Grid(half=Fraction(64, 100))
OFFSETS_S = (-0.48, -0.16, 0.16, 0.48)
IMAGE = np.zeros((4, 4, 3), np.uint8)
FACE = TrackedFace(box=(0.0, 0.0, 4.0, 4.0), score=0.9, face_id=0)
INFO = VideoInfo(
    width=4, height=4, rate=Fraction(25), duration_s=None, frames=None, rotation_deg=0, codec="h264", has_sound=False,
    time_base=Fraction(1, 25),
)  # fmt: skip


class Frames:
    """Frames of one face at 25 a second, made one by one; knows how many of their crops are still held by somebody."""

    def __init__(self, count: int, *, breaks: bool = False) -> None:
        self.count, self.breaks, self.reached, self.most = count, breaks, -1, 0
        self._crops: list[weakref.ref[np.ndarray]] = []

    def __iter__(self) -> Iterator[Look]:
        for number in range(self.count):
            self.reached, time_s = number, number * 0.04
            crop = np.full((2, 2, 3), number % 256, np.uint8)
            self._crops = [ref for ref in self._crops if ref() is not None] + [weakref.ref(crop)]
            self.most = max(self.most, len(self._crops))
            seen = Seen(frame=Frame(number=number, time_s=time_s, image=IMAGE), info=INFO, faces=[FACE])
            yield seen, {0: Shot(face=FACE, frame=number, time_s=time_s, crop=crop)}
            del crop
        if self.breaks:
            raise MediaError("a.mp4: 1 frame is damaged and left out.")


def test_a_moment_comes_with_the_frame_that_ends_its_window() -> None:
    frames = Frames(100)
    reached = [(moment.time_s, frames.reached) for moment in Walk(GRID, None, OFFSETS_S).moments(frames)]
    assert len(reached) == 14
    for time_s, number in reached[:-1]:
        assert number * 0.04 == pytest.approx(time_s + 0.64, abs=0.04)
        assert number * 0.04 >= time_s + 0.64 - 1e-5


def test_few_crops_are_kept_of_a_long_clip() -> None:
    frames = Frames(2500)
    for moment in Walk(GRID, None, OFFSETS_S).moments(frames):
        (face,) = moment.faces
        wanted = [round((moment.time_s + offset_s) / 0.04 - 0.01) % 256 for offset_s in OFFSETS_S]
        assert [int(crop[0, 0, 0]) for crop in face.crops] == wanted
    assert frames.most <= 45


def test_what_ends_the_pictures_early_comes_after_all_moments() -> None:
    walk = Walk(GRID, None, OFFSETS_S)
    assert [moment.time_s for moment in walk.moments(Frames(36, breaks=True))] == pytest.approx([0.64])
    assert walk.problem == "a.mp4: 1 frame is damaged and left out."
    short = Walk(GRID, None, OFFSETS_S)
    moments = list(short.moments(Frames(8, breaks=True)))
    assert [moment.time_s for moment in moments] == [0.0, 0.2]
    assert {(moment.start_s, round(moment.end_s, 6)) for moment in moments} == {(0.0, 0.32)}
    assert all(len(moment.faces) == 1 for moment in moments)


def test_sound_alone_is_walked_through_to_its_end(rng: np.random.Generator, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(rng.normal(0, 3000, 3 * 16_000).astype("<i2").tobytes())
    spec = SoundSpec(n_mels=8)
    whole = list(Walk(GRID, Listener(tmp_path / "a.wav", spec), ()).moments(()))
    parts = list(Walk(GRID, Listener(tmp_path / "a.wav", spec, stretch_s=0.5), ()).moments(()))
    assert [moment.time_s for moment in whole] == pytest.approx([0.64 + 0.2 * number for number in range(9)])
    assert {(moment.frame, moment.faces) for moment in whole} == {(None, ())}
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one.sound, other.sound, atol=1e-3)
    last = Grid(half=GRID.half, start=Fraction(5, 2))
    assert [moment.time_s for moment in Walk(last, Listener(tmp_path / "a.wav", spec), ()).moments(())] == [
        2.5,
        2.7,
        2.9,
    ]
    behind = Grid(half=GRID.half, start=Fraction(9))
    assert list(Walk(behind, Listener(tmp_path / "a.wav", spec), ()).moments(())) == []
