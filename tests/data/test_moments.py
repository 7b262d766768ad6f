"""Moments as batches: sound and frames of one time, flags for what is not there, chance that can be repeated."""

from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.data import moment_input, synthetic_speakers
from mien.data.augment import Augment
from mien.data.loader import Epoch, batches
from mien.data.moment_faces import locate
from mien.data.moment_input import Kept, MomentInput
from mien.data.moments import Moments
from mien.data.splits import DataConfig, Labelled, make_splits
from mien.data.synthetic_clips import render_clip
from mien.data.synthetic_voices import render_voice, write_clip, write_wav
from mien.media import sound_source
from mien.media.mel import sound_tensor
from mien.schema.inputs import ClipSpec, FlagSpec, InputSpec, SoundSpec
from mien.schema.labels import BASIC_7
from mien.schema.sample import Clip, File, FrameFolder, Recording, RenderedClip, RenderedVoice, Sample, Targets

CLIP = ClipSpec(n_frames=4, segments=4, per_segment=1, seconds=1.28, size_px=32, mean=(0, 0, 0), std=(1, 1, 1))
BOTH: dict[str, InputSpec] = {"clip": CLIP, "sound": SoundSpec(), "has_sound": FlagSpec(), "has_face": FlagSpec()}


def items_of(*samples: Sample) -> list[Labelled]:
    each = np.eye(7, dtype=np.float32)
    return [
        Labelled(sample=s, index=i, distribution=each[i])
        for s in samples
        for i in [BASIC_7.index(s.targets.label or "neutral")]
    ]


@pytest.fixture(scope="module")
def speakers() -> list[Labelled]:
    config = DataConfig(reader="synthetic_speakers", halve_valid=False)
    return list(make_splits(synthetic_speakers.samples(14), config).train[:4])


def moments(items: list[Labelled], inputs: dict[str, InputSpec] | None = None, **how) -> Moments:
    whole = how.pop("whole", True)
    known = locate([item.sample for item in items], name="drawn", whole=whole, progress=False)
    return Moments(items, known, inputs or BOTH, BASIC_7, whole=whole, cache_mb=64, **how)


def test_evaluation_sees_and_hears_the_same_time(speakers: list[Labelled]) -> None:
    data = moments(speakers)
    batch = data.__getitems__(range(len(data)))
    assert batch["clip"].shape == (len(data), 4, 3, 32, 32)
    assert batch["sound"].shape == (len(data), 1, 64, 128)
    assert batch["has_sound"].shape == batch["has_face"].shape == (len(data),)
    assert bool((batch["has_sound"] == 1).all() & (batch["has_face"] == 1).all())
    assert batch["index"].tolist() == data.unit.tolist() == data.plan.owner.tolist()
    assert set(data.unit.tolist()) == {0, 1, 2, 3}
    for row in range(len(data)):
        source, second = speakers[data.plan.owner[row]].sample.source, data.plan.second[row]
        assert isinstance(source, RenderedClip)
        middles = second + np.array([-0.48, -0.16, 0.16, 0.48])
        frames = render_clip(source.index, source.seed, np.rint(middles * 25).astype(int).clip(0, 47).tolist())[0]
        small = np.stack([cv2.resize(frame, (32, 32), interpolation=cv2.INTER_AREA) for frame in frames]) / 255
        sure = np.abs(middles * 25 % 1 - 0.5) > 1e-6
        np.testing.assert_allclose(batch["clip"][row].numpy()[sure], small.transpose(0, 3, 1, 2)[sure], atol=0.02)
        samples = render_voice(source.index, source.seed)[0]
        first = round(second * 16_000) - 10_240
        window = np.pad(samples, 20_480)[first + 20_480 : first + 40_960]
        np.testing.assert_allclose(batch["sound"][row].numpy(), sound_tensor(window, SoundSpec()), atol=1e-4)


def test_training_draws_moments_that_can_be_repeated(speakers: list[Labelled]) -> None:
    vary = Augment(flip=0.5, mel_freq_masks=2, mel_time_masks=2, sound_noise=0.1, sound_shift_s=0.1)
    data, again = moments(speakers, augment=vary), moments(speakers, augment=vary)
    assert len(data) == 4
    for one in (data, again):
        one.epoch = Epoch(np.array([3, 1, 1, 0]), seed=5, number=2)
    whole, single = data.__getitems__(range(4)), again[2]
    for name, values in single.items():
        np.testing.assert_array_equal(values[0].numpy(), whole[name][2].numpy())
    assert not np.array_equal(whole["sound"][1].numpy(), whole["sound"][2].numpy()), "one sample, two moments"
    data.epoch = replace(data.epoch, number=3)
    assert not np.array_equal(data[2]["sound"].numpy(), single["sound"].numpy())
    assert whole["label"].tolist() == [speakers[i].index for i in (3, 1, 1, 0)]
    np.testing.assert_array_equal(whole["distribution"].argmax(1).numpy(), whole["label"].numpy())


def test_faces_are_aligned_where_they_are_not_taken_whole(speakers: list[Labelled]) -> None:
    aligned, whole = moments(speakers, whole=False)[0], moments(speakers)[0]
    assert not np.allclose(aligned["clip"].numpy(), whole["clip"].numpy(), atol=0.05)
    assert aligned["has_face"].tolist() == [1.0]


def test_only_what_the_network_asks_for(speakers: list[Labelled]) -> None:
    heard = moments(speakers, {"sound": SoundSpec()})
    assert heard[0].keys() == {"sound", "distribution", "label", "index"}
    assert isinstance(heard.spec, SoundSpec)
    assert heard.resized(0) is heard
    seen = moments(speakers, {"clip": CLIP})
    assert seen[0].keys() == {"clip", "distribution", "label", "index"}
    assert seen.resized(48)[0]["clip"].shape == (1, 4, 3, 48, 48)
    assert seen.resized(32) is seen
    assert next(len(batch["label"]) for batch in batches(seen, 5)) == 5


def test_a_mute_clip_a_faceless_voice_and_a_silent_one(tmp_path: Path) -> None:
    voice = Sample(key="v", source=RenderedVoice("mien.data.synthetic_voices:render_voice", 0, 0), split="train")
    mute = Sample(key="m", source=RenderedClip("mien.data.synthetic_clips:render_clip", 0, 0), split="train")
    silence = Recording(write_wav(tmp_path / "silent.wav", np.zeros(16_000, np.float32)))
    silent = Sample(key="s", source=silence, split="train")
    empty = Sample(key="e", source=FrameFolder((tmp_path / "none",)), split="train", sound=voice.voice)
    data = moments(items_of(voice, mute, silent, empty))
    first = {int(owner): data[row] for row, owner in reversed(list(enumerate(data.plan.owner)))}
    flags = {owner: (float(batch["has_face"]), float(batch["has_sound"])) for owner, batch in first.items()}
    assert flags == {0: (0.0, 1.0), 1: (1.0, 0.0), 2: (0.0, 0.0), 3: (0.0, 1.0)}
    assert not first[0]["clip"].any()
    assert not first[1]["sound"].any()


def test_a_moment_beyond_the_sound_is_not_heard_though_its_window_reaches_it(speakers: list[Labelled]) -> None:
    make, sample = MomentInput(BOTH, whole=True), speakers[0].sample
    end_s = len(render_voice(0, 0)[0]) / 16_000
    heard = {second: float(make(sample, None, second)["has_sound"]) for second in (end_s + 0.05, end_s + 0.2)}
    assert list(heard.values()) == [1, 0], "as prediction has it"


def test_a_still_picture_is_every_frame(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture[..., ::-1])
    voice = RenderedVoice("mien.data.synthetic_voices:render_voice", 0, 0)
    (batch,) = [moments(items_of(Sample(key="p", source=File(tmp_path / "a.png"), split="train", sound=voice)))[0]]
    clip = batch["clip"].numpy()[0]
    assert clip.any()
    np.testing.assert_array_equal(clip, np.repeat(clip[:1], 4, axis=0))
    lonely = moments(items_of(Sample(key="p", source=File(tmp_path / "a.png"), split="train")))
    assert len(lonely) == 1
    assert lonely.plan.second.tolist() == [0.0]


def test_a_video_is_seen_and_heard_by_one_clock(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 4, 0)
    sample = Sample(key="c", source=Clip(path), split="train", sound=Recording(path))
    (item,) = items_of(sample)
    made = MomentInput(BOTH, whole=True)
    found = made(item.sample, None, 1.0)
    middles = 1.0 + np.array([-0.48, -0.16, 0.16, 0.48])
    frames = render_clip(4, 0, np.rint(middles * 25).astype(int).tolist())[0]
    small = np.stack([cv2.resize(frame, (32, 32), interpolation=cv2.INTER_AREA) for frame in frames]) / 255
    assert np.abs(found["clip"] - small.transpose(0, 3, 1, 2)).mean() < 0.03
    window = render_voice(4, 0)[0][round(0.36 * 16_000) :][:20_480]
    wanted = sound_tensor(window, SoundSpec())
    assert np.corrcoef(found["sound"].ravel(), wanted.ravel())[0, 1] > 0.95
    start, end = made.span(sample)
    assert -0.05 <= start < end <= 2.0


def test_labelled_frames_see_the_pictures_around_them(tmp_path: Path) -> None:
    numbers = (0, 1, 2, 8, 9)
    for number in numbers:
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((32, 32, 3), 20 * number, np.uint8))
    folder = FrameFolder(tuple(tmp_path / f"{number}.png" for number in numbers), numbers, Fraction(5))
    targets = Targets(frames=("fear", None, "anger", "fear", None, None, None, None, None, "sadness"))
    data = moments(items_of(Sample(key="f", source=folder, split="train", targets=targets)), {"clip": CLIP})
    assert data.plan.frame.tolist() == [0, 2, 9]
    assert data.labels.tolist() == [BASIC_7.index(name) for name in ("fear", "anger", "sadness")]
    batch = data.__getitems__(range(3))
    assert batch["index"].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(batch["distribution"].argmax(1).numpy(), data.labels)
    seen = np.rint(batch["clip"].numpy().mean((2, 3, 4)) * 255 / 20)
    # frame 2 is shown at 0.4 s: -0.08, 0.24, 0.56 and 0.88 s are frames 0, 1, 2 (3 is not there) and 2 (4 is not there)
    np.testing.assert_array_equal(seen, [[0, 0, 1, 2], [0, 1, 2, 2], [8, 8, 9, 9]])


def test_frames_and_sounds_stay_in_memory_while_they_fit(tmp_path: Path) -> None:
    made: list[int] = []

    def make(number: int) -> np.ndarray:
        made.append(number)
        return np.zeros(400_000, np.uint8)

    kept = Kept[np.ndarray](1, lambda array: array.nbytes)
    for number in (0, 1, 2, 0, 1, 2):
        kept.get(number, partial(make, number))
    assert made == [0, 1, 2, 2]
    assert 1 in kept
    assert 2 not in kept


def test_of_long_sounds_that_do_not_fit_only_the_window_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = (0.1 * np.random.default_rng(0).standard_normal(6 * 16_000)).astype(np.float32)
    sample = Sample(key="l", source=Recording(write_wav(tmp_path / "l.wav", samples)), split="train")
    kept = MomentInput({"sound": SoundSpec()}, cache_mb=64)
    monkeypatch.setattr(moment_input, "LONG_S", 5.0)
    passed = MomentInput({"sound": SoundSpec()}, cache_mb=0.65)  # room for five seconds, not for six
    asked: list[float | None] = []
    read = sound_source.read_sound_source

    def watched(*given, **how):
        asked.append(how.get("end_s"))
        return read(*given, **how)

    monkeypatch.setattr(moment_input, "read_sound_source", watched)
    for second in (3.0, 0.1, 5.95, 3.0):
        np.testing.assert_array_equal(
            passed(sample, None, second)["sound"], kept(sample, None, second)["sound"], err_msg=str(second)
        )
    assert [end is None for end in asked] == [True, True, False, False, False]
    assert passed.span(sample) == kept.span(sample)
    full = MomentInput({"sound": SoundSpec()}, cache_mb=0)
    asked.clear()
    full.warm(sample)
    np.testing.assert_array_equal(full(sample, None, 3.0)["sound"], kept(sample, None, 3.0)["sound"])
    assert len(asked) == 1
    assert asked[0] is not None
