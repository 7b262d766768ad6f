"""Drawn reactions: what is seen and heard is what the course says, and the same whenever it is drawn."""

import cv2
import numpy as np
import pytest

from mien.data import synthetic_reactions
from mien.data.drawing.acting import moving_looks, points_of
from mien.data.drawing.look import random_look
from mien.data.drawing.motion import random_sway
from mien.data.drawing.voice import Contour
from mien.data.reaction_course import TIMES
from mien.data.reaction_voice import bent
from mien.data.readers import read_dataset
from mien.data.splits import DataConfig, make_splits
from mien.data.synthetic_reactions import (
    CLIPS,
    FRAMES,
    GAIN,
    RATE,
    course,
    gains,
    render_clip,
    render_clip_landmarks,
    render_voice,
    samples,
    write_clip,
)
from mien.media.clip_source import read_frames
from mien.media.sound_source import read_sound_source
from mien.media.video import probe_video
from mien.schema.errors import DatasetError
from mien.schema.labels import HUME_REACTION
from mien.schema.sample import RenderedClip


def test_a_frame_is_the_same_whichever_others_are_drawn() -> None:
    images, truth = render_clip(5, 1, [3, 149, 70])
    assert images.shape == (3, 128, 128, 3)
    alone, told = render_clip(5, 1, [70])
    assert (images[2] == alone[0]).all()
    assert (truth.landmarks[2] == told.landmarks[0]).all()
    assert (render_clip_landmarks(5, 1)[[3, 149, 70]] == truth.landmarks).all()
    assert not (images[0] == render_clip(5, 2, [3])[0][0]).all()
    assert (truth.landmarks > 0).all()
    assert (truth.landmarks < 128).all()


def test_the_truth_is_that_of_the_course() -> None:
    _, truth = render_clip(9, 0, [10, 80])
    assert truth.face == pytest.approx(course(9, 0).face.contour(np.array([1.0, 8.0])).T, abs=1e-6)
    assert (truth.intensities == course(9, 0).intensities()).all()
    assert truth.gain == gains(9, 0)[0]


def _opening(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, 66] - points[:, 62], axis=1)


def test_the_mouth_opens_where_the_face_starts() -> None:
    told = []
    for index in range(0, 42, 7):
        points, height = render_clip_landmarks(index, 3), course(index, 3).face.contour(TIMES)
        told.append(np.corrcoef(_opening(points), height[2])[0, 1])
    assert np.median(told) > 0.5


def test_the_voice_is_high_where_it_fears_and_loud_where_it_cries_out() -> None:
    higher, louder = [], []
    for index in (0, 7, 14):
        sound, truth = render_voice(index, 4)
        assert sound.shape == (240_000,)
        assert sound.dtype == np.float32
        assert np.abs(sound).max() <= 1
        level = np.sqrt(np.mean(sound.reshape(3000, 80).astype(float) ** 2, axis=1) + 1e-12)
        voiced = truth.pitch_hz > 0
        _, afraid, cries = truth.bursts.T
        if (afraid > 0.3).any():
            calm = voiced & (truth.bursts.max(1) == 0)
            higher.append(truth.pitch_hz[voiced & (afraid > 0.3)].mean() / truth.pitch_hz[calm].mean())
        louder.append(np.median(level[cries > 0.4]) / np.median(level[truth.bursts.max(1) == 0]))
    assert (render_voice(index, 4)[0] == sound).all()
    assert min(higher) > 1.1
    assert min(louder) > 1.2


def test_bursts_bend_what_is_said_and_leave_silence_silent() -> None:
    flat = {name: np.zeros(300) for name in ("pitch", "voicing", "hiss", "nasal")}
    said = Contour(**flat, loudness=np.where(np.arange(300) < 250, 0.0, -80.0))
    shown = np.zeros((3, 300))
    shown[1, 50:100] = shown[2, 100:150] = shown[0, 150:200] = 1
    spoken = bent(said, shown, np.random.default_rng(0))
    assert spoken.pitch[[10, 60, 110, 220]].tolist() == [0, 10, 2.5, 0]
    assert spoken.loudness[[10, 60, 110, 220, 270]].tolist() == [0, 2, 9, 0, -80]
    assert np.ptp(spoken.pitch[150:200]) > 3
    assert spoken.hiss[[10, 160]].tolist() == [0, 0.35]


def test_a_person_looks_the_same_in_other_clothes_and_light() -> None:
    rngs = [np.random.default_rng(i) for i in range(2)]
    sways = [random_sway(rng, FRAMES, (1.0, 6.0)) for rng in rngs]
    assert sways[0]["yaw"].shape == (FRAMES,)
    (one, late), (other,) = (
        moving_looks(np.array(numbers), np.random.default_rng(7), random_look(rng), sway)
        for numbers, rng, sway in zip(([0, 90], [0]), rngs, sways, strict=True)
    )
    assert (one.skin, one.hair, one.style, one.glasses) == (other.skin, other.hair, other.style, other.glasses)
    assert one.cloth == late.cloth != other.cloth
    assert one.gaze != late.gaze
    assert points_of([]).shape == (0, 68, 2)


def test_gains_and_looks_are_those_of_the_person() -> None:
    assert len({gains(index, 0) for index in range(CLIPS)}) == 1
    many = np.array([gains(index, 0) for index in range(0, 100 * CLIPS, CLIPS)])
    assert (many >= GAIN[0]).all()
    assert (many <= GAIN[1]).all()
    assert many.std(0).min() > 0.1
    assert abs(np.corrcoef(many.T)[0, 1]) < 0.3


def test_persons_are_in_one_part_and_labels_are_as_in_hume_reaction() -> None:
    drawn = samples(210)
    of_person = {(s.subject, s.split) for s in drawn}
    assert len(of_person) == len({subject for subject, _ in of_person}) == 30
    counts = [sum(s.split == split for s in drawn) / 210 for split in ("train", "valid", "test")]
    assert counts == pytest.approx([0.6, 0.2, 0.2], abs=0.05)
    for one in drawn:
        told = dict(one.targets.intensities or ())
        assert tuple(told) == HUME_REACTION.names
        assert max(told.values()) == 1
        assert min(told.values()) >= 0
    assert len({s.key for s in drawn}) == 210


def test_as_a_dataset_of_frames_and_sound(tmp_path) -> None:
    with pytest.raises(DatasetError, match="lie nowhere"):
        synthetic_reactions.read(tmp_path)
    with pytest.raises(DatasetError, match="at least 1"):
        samples(0)
    splits = make_splits(samples(70), DataConfig(reader="synthetic_reactions"))
    item = splits.train[0]
    assert splits.labels == HUME_REACTION
    assert item.distribution.max() == 1
    assert item.index == int(item.distribution.argmax())
    assert isinstance(item.sample.source, RenderedClip)
    assert (read_frames(item.sample.source, [4])[0] == render_clip(item.sample.source.index, 0, [4])[0][0]).all()
    assert item.sample.voice is not None
    assert len(read_sound_source(item.sample.voice).samples) == 240_000


def test_the_reader_is_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic_reactions.samples, "__defaults__", (14, 0))
    assert [s.key for s in read_dataset("synthetic_reactions")] == [s.key for s in samples(14)]


def test_a_clip_can_be_written(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    still = np.stack([cv2.blur(frame, (9, 9)) for frame in render_clip(0, 0, [0])[0]])
    monkeypatch.setattr(synthetic_reactions, "render_clip", lambda *_: (still.repeat(FRAMES, axis=0), None))
    info = probe_video(write_clip(tmp_path / "a.mp4", 0, 0))
    assert (info.frames, info.rate, info.has_sound) == (150, RATE, True)
