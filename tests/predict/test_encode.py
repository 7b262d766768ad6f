"""Steps, what is nearest to them, what is repeated, and sound in stretches."""

import math
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
import pytest

from mien.media.audio import Sound
from mien.media.spectrum_picture import SpectrumSpec, spectrum_tensor
from mien.predict import encode
from mien.predict.encode import Encoder, FaceRows, Shown, Steps, encode_faces, encode_sound, filled
from mien.predict.senses import Ear, Eye, SpectrumEar, WindowEar
from mien.schema.errors import ConfigError, MediaError
from mien.schema.inputs import ImageSpec, SoundSpec
from mien.schema.prediction import Face

EYE = Eye(spec=ImageSpec(size_px=8, mean=(0, 0, 0), std=(1, 1, 1)))
WHOLE = Face(box=(0.0, 0.0, 8.0, 8.0), score=1.0)


def grey(time_s: float, value: int, face: Face | None = WHOLE) -> Shown:
    return Shown(time_s, np.full((8, 8, 3), value, np.uint8), face)


class Brightness:
    """The mean of all pixels, and how many were asked for at once."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, tensors):
        self.batches.append(len(tensors))
        return np.stack([np.round(255 * tensors.mean((1, 2, 3))), np.ones(len(tensors))], axis=1)


def seer(batch_size: int = 16, run: Brightness | None = None) -> Encoder:
    return Encoder(
        name="bright",
        weights="random",
        modality="face",
        width=2,
        sense=EYE,
        run=run or Brightness(),
        batch_size=batch_size,
    )


def test_steps_are_the_middles_of_seconds_that_begin_every_half():
    frames = [grey(i / 10, i) for i in range(30)]
    found = encode_faces(frames, seer(), Steps())
    assert found.time_s.tolist() == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert found.features[:, 0].tolist() == [5, 10, 15, 20, 25, 29]
    assert found.features.dtype == np.float32
    assert found.present.all()
    assert not found.problem


@pytest.mark.parametrize(
    ("seconds", "every_s", "count"), [(15, 0.5, 30), (14.9, 0.5, 30), (0.3, 0.5, 1), (3, 1, 3), (1, 0.25, 4)]
)
def test_there_is_a_step_for_each_second_that_begins(seconds, every_s, count):
    frames = [grey(i / 25, 1) for i in range(round(25 * seconds))]
    assert len(encode_faces(frames, seer(), Steps(every_s=every_s))) == count


def test_a_lost_face_repeats_its_last_row_and_none_yet_is_zero():
    values = {0.5: None, 1.0: 10, 1.5: None, 2.0: None, 2.5: 20, 3.0: None}
    frames = [grey(t, v or 99, None if v is None else WHOLE) for t, v in values.items()]
    found = encode_faces(frames, seer(), Steps(), end_s=3.0)
    assert found.features[:, 0].tolist() == [0, 10, 10, 10, 20, 20]
    assert found.present.tolist() == [False, True, False, False, True, False]
    nothing = encode_faces([grey(0, 1, None)], seer(), Steps())
    assert (nothing.features.tolist(), nothing.present.tolist()) == ([[0, 0]], [False])


def test_frames_that_are_far_away_show_nothing():
    found = encode_faces([grey(0.5, 7), grey(4.5, 9)], seer(), Steps(), end_s=5.0)
    assert found.present.tolist() == [True, True, True, False, False, False, True, True, True, True]
    assert found.features[:, 0].tolist() == [7, 7, 7, 7, 7, 7, 9, 9, 9, 9]


def test_batches_change_nothing():
    frames = [grey(i / 10, i) for i in range(60)]
    whole, few = Brightness(), Brightness()
    one = encode_faces(frames, seer(run=whole), Steps())
    other = encode_faces(frames, seer(5, few), Steps())
    np.testing.assert_array_equal(one.features, other.features)
    assert (whole.batches, few.batches) == ([12], [5, 5, 2])


def test_what_breaks_off_keeps_its_rows():
    def broken(count: int):
        yield from (grey(i / 10, i) for i in range(count))
        raise MediaError("cut off")

    found = encode_faces(broken(20), seer(), Steps())
    assert (len(found), found.problem) == (4, "cut off")
    with pytest.raises(MediaError, match="cut off"):
        encode_faces(broken(0), seer(), Steps())
    with pytest.raises(MediaError, match="no frame"):
        encode_faces([], seer(), Steps())


# Sound


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstEar(Ear):
    """The first sample of each second."""

    sample_rate = 100
    reach_s = 1.0
    least_s = 0.1

    def __call__(self, sound, begin_s):
        value = sound.window(begin_s + 0.5, 1.0)[:1]
        return value if value.any() else None

    def to_json(self):
        return {"kind": "first"}


def listener(ear: Ear | None = None, width: int = 1, run=lambda tensors: tensors) -> Encoder:
    return Encoder(name="ear", weights="random", modality="sound", width=width, sense=ear or FirstEar(), run=run)


def ramp(seconds: float, start_s: float = 0.0):
    """A sound whose samples are its seconds, plus one."""
    samples = (1 + start_s + np.arange(round(100 * seconds)) / 100).astype(np.float32)

    def hear(first_s: float, last_s: float) -> Sound:
        low, high = (max(0, round(100 * (s - start_s))) for s in (first_s, last_s))
        part = samples[low:high]
        return Sound(samples=part, sample_rate=100, start_s=start_s + low / 100)

    return hear


def test_each_step_hears_its_second():
    found = encode_sound(ramp(3.0), listener(), Steps())
    assert found.features[:, 0].tolist() == [1, 1.5, 2, 2.5, 3, 3.5]
    assert len(encode_sound(ramp(3.09), listener(), Steps())) == 6, "too little is left"
    assert len(encode_sound(ramp(3.1), listener(), Steps())) == 7


def test_where_nothing_is_heard_all_is_zero():
    found = encode_sound(ramp(2.0, start_s=1.0), listener(), Steps())
    assert found.present.tolist() == [False, False, True, True, True, True]
    assert found.features[:, 0].tolist() == [0, 0, 2, 2.5, 3, 3.5]


def test_long_sounds_are_read_in_stretches(monkeypatch):
    whole = encode_sound(ramp(20.0), listener(), Steps()).features
    asked = []
    monkeypatch.setattr(encode, "STRETCH_S", 4.0)

    def hear(first_s: float, last_s: float) -> Sound:
        asked.append((first_s, last_s))
        return ramp(20.0)(first_s, last_s)

    np.testing.assert_array_equal(encode_sound(hear, listener(), Steps()).features, whole)
    assert asked[:3] == [(-1.0, 5.0), (3.0, 9.0), (7.0, 13.0)]


def test_mute_and_too_short():
    with pytest.raises(MediaError, match="no sound"):
        encode_sound(ramp(0.0), listener(), Steps())
    with pytest.raises(MediaError, match="too short"):
        encode_sound(ramp(0.05), listener(), Steps())


def test_a_chunk_is_the_second_itself_and_the_last_ones_are_shorter():
    rng = np.random.default_rng(0)
    sound = Sound(samples=rng.normal(0, 0.1, 20_000).astype(np.float32), sample_rate=16_000)
    spec = SpectrumSpec()
    given = []

    def run(tensors):
        given.extend(tensors)
        return np.zeros((len(tensors), 1))

    found = encode_sound(lambda *_: sound, listener(SpectrumEar(spec=spec), run=run), Steps())
    assert len(found) == math.ceil((20_000 - 512 + 1) / 8000)
    for tensor, start in zip(given, (0, 8000, 16_000), strict=True):
        np.testing.assert_array_equal(tensor, spectrum_tensor(sound.samples[start : start + 16_000], spec))


def test_a_window_lies_around_the_middle_of_its_second():
    spec = SoundSpec()
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 0.1, 32_000).astype(np.float32)
    samples[12_000:] = 0
    sound = Sound(samples=samples, sample_rate=16_000)
    ear = WindowEar(spec=spec)
    assert ear(sound, 0.5).shape == spec.shape
    assert ear(sound, 0.95) is None, "only silence is left"
    assert ear(sound, 0.0).any()


# What the manifest says


def test_senses_describe_themselves():
    assert seer().preprocessing["image"]["crop"]["name"] == "face_v1"
    boxed = Eye(spec=EYE.spec, margin_ratio=0.2).to_json()
    assert boxed["crop"] == {"name": "box", "margin": 0.2}
    assert listener(SpectrumEar(spec=SpectrumSpec())).preprocessing["sound"]["kind"] == "spectrum_picture"
    assert listener(WindowEar(spec=SoundSpec())).preprocessing["sound"]["kind"] == "sound"


def test_a_margin_is_a_share_of_the_box_on_each_side():
    image = np.zeros((100, 100, 3), np.uint8)
    image[40:60, 40:60] = 255
    tight = Eye(spec=ImageSpec(size_px=40, mean=(0, 0, 0), std=(1, 1, 1)), margin_ratio=0.0)
    wide = Eye(spec=tight.spec, margin_ratio=0.5)
    face = Face(box=(40.0, 40.0, 60.0, 60.0), score=1.0)
    assert tight(image, face).mean() == pytest.approx(1, abs=0.03)
    assert wide(image, face).mean() == pytest.approx(0.25, abs=0.02)


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match=r"0.01 to 3600 seconds; given: 0"):
        Steps(every_s=0)


# Step by step


def test_rows_come_while_the_clip_goes_on():
    taken = []

    def endless():
        for i in count():
            taken.append(i)
            yield grey(i / 10, i % 200)

    rows = FaceRows(endless(), seer(4), Steps())
    few = list(islice(rows, 10))
    assert len(taken) < 70
    assert [row.feature[0] for row in few] == [5 * step for step in range(1, 11)]


def test_a_row_says_which_frame_was_read_and_how_many_faces_it_shows():
    frames = [grey(i / 10, 9)._replace(number=100 + i, n_faces=3) for i in range(12)]
    rows = FaceRows(frames, seer(), Steps())
    assert [(row.frame, row.n_faces, row.face) for row in rows] == [(105, 3, WHOLE), (110, 3, WHOLE), (111, 3, WHOLE)]
    assert rows.end_s == pytest.approx(1.2)
    assert not rows.problem


def test_filled_rows():
    one, two = np.float32([1, 2]), np.float32([3, 4])
    features = [None, one, None, two, None]
    assert filled(features, 2, repeat=True).tolist() == [[0, 0], [1, 2], [1, 2], [3, 4], [3, 4]]
    assert filled(features, 2, repeat=False).tolist() == [[0, 0], [1, 2], [0, 0], [3, 4], [0, 0]]
    assert filled([], 2, repeat=True).shape == (0, 2)
