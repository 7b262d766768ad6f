"""Which moments: one of an utterance in training, a grid in evaluation, the labelled frames of a clip."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mien.data.moment_plan import drawn, frame_by_frame, grid, pictured, plan, voiced_part
from mien.data.splits import Labelled
from mien.media.audio import Sound
from mien.schema.labels import AFF_WILD2, BASIC_7
from mien.schema.sample import FrameFolder, Recording, RenderedClip, Sample, Targets

UTTERANCE = Sample(key="u", source=Recording(Path("u.wav")), split="train", targets=Targets(label="fear"))
FILMED = Sample(
    key="v",
    source=FrameFolder(tuple(Path(f"{n}.jpg") for n in (1, 2, 4, 5)), (0, 1, 3, 4), Fraction(10)),
    split="train",
    targets=Targets(frames=("other", None, "fear", "anger", "fear", "anger")),
)


def test_the_grid_covers_a_span_to_its_end() -> None:
    for length in (1.29, 1.6, 3.0, 3.52, 10.0):
        middles = grid((2.0, 2.0 + length), 1.28)
        assert middles[0] == pytest.approx(2.64)
        assert middles[-1] == pytest.approx(2.0 + length - 0.64)
        assert (np.diff(middles) <= 0.32 + 1e-9).all()
        assert (np.diff(middles) > 1e-6).all()
    assert grid((1.0, 1.5), 1.28).tolist() == [1.25]
    assert grid((0.0, 1.28 + 0.64), 1.28) == pytest.approx([0.64, 0.96, 1.28])


def test_drawn_moments_keep_their_window_inside_where_they_can() -> None:
    rng = np.random.default_rng(0)
    inside = [drawn((1.0, 4.0), 1.28, rng) for _ in range(300)]
    assert 1.64 <= min(inside) < 1.7
    assert 3.3 < max(inside) <= 3.36
    around = [drawn((1.0, 1.5), 1.28, rng) for _ in range(300)]
    assert max(around) - 0.64 <= 1.0
    assert min(around) + 0.64 >= 1.5


def test_silence_at_both_ends_is_not_voiced() -> None:
    rng = np.random.default_rng(0)
    samples = 1e-4 * rng.standard_normal(48_000).astype(np.float32)
    samples[16_000:40_000] += 0.1 * np.sin(np.arange(24_000) * 0.1).astype(np.float32)
    start, end = voiced_part(Sound(samples=samples, sample_rate=16_000, start_s=0.25))
    assert (start, end) == pytest.approx((1.25, 2.75), abs=0.021)
    silent = Sound(samples=np.zeros(16_000, np.float32), sample_rate=16_000)
    assert voiced_part(silent) == (0.0, 1.0)


def test_utterances_and_labelled_frames() -> None:
    def spans(sample: Sample) -> tuple[float, float]:
        return 0.0, 2.0

    training = plan([UTTERANCE, FILMED], AFF_WILD2, spans, seconds=1.28, training=True, seen=pictured)
    assert training.owner.tolist() == [0, 1, 1, 1]
    assert training.frame.tolist() == [-1, 0, 3, 4], (
        "frame 2 has a label but no picture, frame 5 is beyond the last one"
    )
    assert np.isnan(training.second[0])
    assert training.second[1:] == pytest.approx([0.0, 0.3, 0.4])
    assert training.label.tolist() == [-1, 7, 1, 3]
    assert training.unit.tolist() == [0, 1, 2, 3]
    heard = plan([FILMED], AFF_WILD2, spans, seconds=1.28, training=True, seen=None)
    assert heard.frame.tolist() == [0, 2, 3, 4, 5]
    basic = plan([FILMED], BASIC_7, spans, seconds=1.28, training=True, seen=pictured)
    assert basic.frame.tolist() == [3, 4]
    judged = plan([UTTERANCE, FILMED, UTTERANCE], AFF_WILD2, spans, seconds=1.28, training=False, seen=pictured)
    assert judged.second[:4] == pytest.approx([0.64, 0.96, 1.28, 1.36])
    assert judged.unit.tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 4, 4, 4]
    assert len(plan([], AFF_WILD2, spans, seconds=1.28, training=False, seen=pictured)) == 0


def test_frames_as_samples_of_their_own() -> None:
    items = [
        Labelled(sample=FILMED, index=3, distribution=np.zeros(8, np.float32)),
        Labelled(sample=UTTERANCE, index=3, distribution=np.zeros(8, np.float32)),
    ]
    *frames, last = frame_by_frame(items, AFF_WILD2)
    assert last is items[1]
    assert [item.sample.key for item in frames] == ["v#00001", "v#00003", "v#00004", "v#00005", "v#00006"]
    assert [item.sample.frame for item in frames] == [0, 2, 3, 4, 5]
    assert [item.index for item in frames] == [7, 3, 1, 3, 1]
    assert all(item.distribution.argmax() == item.index for item in frames)
    assert all(item.sample.source is FILMED.source for item in frames)
    samples = [item.sample for item in frames]
    again = plan(samples, AFF_WILD2, lambda sample: (0, 0), seconds=1.28, training=False, seen=pictured)
    assert again.second == pytest.approx([0.0, 0.2, 0.3, 0.4, 0.5])
    assert again.unit.tolist() == [0, 1, 2, 3, 4]


def test_which_frames_have_a_picture(tmp_path: Path) -> None:
    assert pictured(FILMED).tolist() == [0, 1, 3, 4]
    assert pictured(UTTERANCE).tolist() == []
    missing = Sample(key="m", source=FrameFolder((tmp_path,)), split="train")
    assert pictured(missing).tolist() == []
    drawn_clip = Sample(key="d", source=RenderedClip("m:n", 0, 0, 3), split="train")
    assert pictured(drawn_clip).tolist() == [0, 1, 2]
