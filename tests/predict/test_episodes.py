from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.predict.episodes import Episode, episodes, shares, summaries_of
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet
from mien.schema.prediction import Face, Prediction, Result

NAMES = ("neutral", "happiness", "anger")
CODE = {"n": "neutral", "h": "happiness", "a": "anger", ".": None}


def rows(text: str, fps: float = 10.0, start_s: float = 0.0) -> tuple[np.ndarray, list[str | None], np.ndarray]:
    """Times, labels and probabilities from one letter a frame; the probability of the label rises by and by."""
    label = [CODE[letter] for letter in text]
    probabilities = np.full((len(text), 3), np.nan)
    for number, one in enumerate(label):
        if one is not None:
            probabilities[number] = 0.1
            probabilities[number, NAMES.index(one)] = 0.5 + number / 1000
    return start_s + np.arange(len(text)) / fps, label, probabilities


def found(text: str, **settings: float) -> list[tuple[str, float, float]]:
    times, label, probabilities = rows(text)
    answer = episodes(times, label, probabilities, NAMES, **settings)
    return [(one.expression, round(one.onset_s, 6), round(one.offset_s, 6)) for one in answer]


def test_runs_are_episodes() -> None:
    assert found("nnnnhhhhhaaaa") == [("neutral", 0, 0.4), ("happiness", 0.4, 0.9), ("anger", 0.9, 1.3)]


def test_short_runs_are_none() -> None:
    assert found("nnnnhhaaaa") == [("neutral", 0, 0.4), ("anger", 0.6, 1.0)]
    assert found("nnnnhhaaaa", min_episode_s=0.2)[1] == ("happiness", 0.4, 0.6)


def test_short_breaks_are_bridged() -> None:
    assert found("nnnhnnn") == [("neutral", 0, 0.7)]
    assert found("nnn.hannn") == [("neutral", 0, 0.9)]
    assert found("nnn....nnn") == [("neutral", 0, 0.3), ("neutral", 0.7, 1.0)]
    assert found("nnn....nnn", max_break_s=0.4) == [("neutral", 0, 1.0)]


def test_flicker_of_short_runs_adds_up() -> None:
    assert found("nhnhnhnhn") == [("neutral", 0, 0.9)]


def test_an_episode_is_never_swallowed() -> None:
    assert found("nnnhhhnnn") == [("neutral", 0, 0.3), ("happiness", 0.3, 0.6), ("neutral", 0.6, 0.9)]


def test_apex_mean_and_peak() -> None:
    times = np.array([0, 0.1, 0.2, 0.6, 0.7])
    probability = np.array([0.5, 0.9, 0.7, 0.6, 0.6])
    both = np.stack([probability, 1 - probability], axis=1)
    (one,) = episodes(times, ["happiness"] * 5, both, ("happiness", "neutral"))
    assert one == Episode(
        expression="happiness",
        onset_s=0.0,
        apex_s=0.1,
        offset_s=pytest.approx(0.8),
        mean_probability=pytest.approx((0.5 * 0.1 + 0.9 * 0.1 + 0.7 * 0.4 + 0.6 * 0.1 + 0.6 * 0.1) / 0.8),
        peak_probability=0.9,
    )
    assert one.duration_s == pytest.approx(0.8)


def test_a_face_that_was_away_ends_its_episode() -> None:
    times = np.concatenate([np.arange(5) / 10, 10 + np.arange(5) / 10])
    answer = episodes(times, ["anger"] * 10, np.ones((10, 1)), ("anger",))
    assert [one.onset_s for one in answer] == [0, 10]
    assert [one.offset_s for one in answer] == pytest.approx([0.5, 10.5])


def test_shares_are_of_time_not_of_rows() -> None:
    """Ten frames in the first second, two in the next."""
    times = np.concatenate([np.arange(10) / 10, [1.0, 1.5]])
    label = ["neutral"] * 10 + ["anger"] * 2
    assert shares(times, label, NAMES)["anger"] == pytest.approx(0.6 / 1.6, rel=0.01)
    even = np.arange(20) / 10
    split = shares(even, ["neutral"] * 15 + [None] * 3 + ["anger"] * 2, NAMES)
    assert split == pytest.approx({"neutral": 15 / 17, "happiness": 0, "anger": 2 / 17})


@given(st.text("nha.", min_size=1, max_size=40), st.sampled_from([5.0, 25.0, 30000 / 1001]))
def test_whatever_the_labels(text: str, fps: float) -> None:
    times, label, probabilities = rows(text, fps)
    answer = episodes(times, label, probabilities, NAMES)
    for one in answer:
        assert one.onset_s <= one.apex_s < one.offset_s
        assert one.duration_s >= 0.3 - 1e-6
        assert one.mean_probability <= one.peak_probability
    for one, following in pairwise(answer):
        assert one.offset_s <= following.onset_s + 1e-9
    split = shares(times, label, NAMES)
    assert sum(split.values()) == pytest.approx(1 if any(label) else 0)


@given(st.text("nh.", min_size=2, max_size=30))
def test_twice_the_frame_rate_tells_the_same(text: str) -> None:
    once = rows(text, 10)
    twice = rows("".join(letter * 2 for letter in text), 20)
    slow, fast = (episodes(*one, NAMES) for one in (once, twice))
    assert [(one.expression, round(one.onset_s, 6), round(one.offset_s, 6)) for one in slow] == [
        (one.expression, round(one.onset_s, 6), round(one.offset_s, 6)) for one in fast
    ]
    assert shares(twice[0], twice[1], NAMES) == pytest.approx(shares(once[0], once[1], NAMES))


def test_a_single_frame_and_none() -> None:
    times, label, probabilities = rows("n")
    assert episodes(times, label, probabilities, NAMES) == ()
    assert shares(times, label, NAMES) == {"neutral": 1.0, "happiness": 0.0, "anger": 0.0}
    (one,) = episodes(times, label, probabilities, NAMES, min_episode_s=0.0)
    assert (one.onset_s, one.offset_s) == (0, 0)
    assert episodes(np.zeros(0), [], np.zeros((0, 3)), NAMES) == ()
    assert shares(np.zeros(0), [], NAMES) == {}


def test_a_result_has_one_summary_a_face() -> None:
    face = Face(box=(0, 0, 9, 9), score=1)
    predictions = [Prediction(source="a.mp4", frame=0, time_s=0.0, status="no_face")]
    for face_id, text in ((1, "hhhhhnnnnn"), (0, "aaaa...")):
        for time_s, label, probabilities in zip(*rows(text, start_s=2), strict=True):
            predictions.append(
                Prediction(
                    source="a.mp4",
                    face_id=face_id,
                    face=face,
                    time_s=float(time_s),
                    label=label,
                    status="ok" if label else "blurred",
                    probabilities=None if label is None else probabilities.astype(np.float32),
                )
            )
    result = Result(labels=LabelSet("three", NAMES), model="m@0", predictions=tuple(predictions))
    first, second = summaries_of(result)
    assert (first.source, first.face_id, second.face_id) == ("a.mp4", 1, 0)
    assert first.seen_s == first.answered_s == pytest.approx(1.0)
    assert first.shares == pytest.approx({"neutral": 0.5, "happiness": 0.5, "anger": 0})
    assert [one.expression for one in first.episodes] == ["happiness", "neutral"]
    assert (second.seen_s, second.answered_s) == pytest.approx((0.7, 0.4))
    assert second.episodes[0].peak_probability == pytest.approx(0.503)


def test_settings_out_of_range() -> None:
    times, label, probabilities = rows("nnn")
    with pytest.raises(ConfigError, match="min_episode_s"):
        episodes(times, label, probabilities, NAMES, min_episode_s=-1)
    with pytest.raises(ConfigError, match="max_gap_s"):
        shares(times, label, NAMES, max_gap_s=float("nan"))
