"""Smoothing over answers as they come: equal to smoothing whole columns, and nothing is lost, doubled or kept long."""

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from mien.predict.answer import Answer
from mien.predict.smooth import causal, centred
from mien.predict.sources import Video
from mien.predict.steady import BLOCK_S, REACH_S, causally, centrally
from mien.schema.labels import LabelSet
from mien.schema.prediction import Prediction
from mien.tasks.classify import Classify

LABELS = LabelSet("two", ("neutral", "happiness"))
TASK = Classify(labels=LABELS, min_score=0.6)
VIDEO = Video("clip.mp4", None)


def answers(time_s: np.ndarray, columns: Mapping[int | None, np.ndarray]) -> Iterator[Answer]:
    """One answer a frame; a face whose probability is NaN is not in that frame."""
    for number, time in enumerate(time_s.tolist()):
        rows = tuple(
            Prediction(
                source="clip.mp4",
                face_id=face_id,
                frame=number,
                time_s=time,
                label="neutral",
                score=0.0,
                probabilities=column[number],
            )
            for face_id, column in columns.items()
            if not np.isnan(column[number]).any()
        )
        nobody = (Prediction(source="clip.mp4", status="no_face", frame=number, time_s=time),)
        yield Answer(source=VIDEO, predictions=rows or nobody, frame=number, time_s=time)


@pytest.fixture
def columns(rng: np.random.Generator) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    time_s = np.cumsum(rng.uniform(0.01, 0.08, 400))
    found = {}
    for face_id in (0, 3):
        chance = rng.uniform(0, 1, 400).astype(np.float32)
        column = np.stack([chance, 1 - chance], axis=1)
        column[rng.integers(0, 400, 60)] = np.nan
        found[face_id] = column
    found[3][100:180] = np.nan
    return time_s, found


@pytest.mark.parametrize(("stream", "whole"), [(causally, causal), (centrally, centred)])
def test_a_stream_is_smoothed_as_its_columns_are(columns, stream, whole) -> None:
    time_s, given = columns
    wanted = {face_id: whole(time_s, column) for face_id, column in given.items()}
    found = list(stream(answers(time_s, given), TASK))
    assert [answer.frame for answer in found] == list(range(400))
    for answer in found:
        for row in answer.predictions:
            if row.face_id is None:
                assert row.status == "no_face"
                continue
            steady = wanted[row.face_id][answer.frame]
            np.testing.assert_allclose(row.probabilities, steady, atol=1e-6)
            np.testing.assert_array_equal(row.raw, given[row.face_id][answer.frame])
            best = int(np.argmax(steady))
            sure = steady[best] >= TASK.min_score
            assert (row.label, row.status) == ((LABELS.names[best], "ok") if sure else (None, "uncertain"))


def test_what_waits_is_bounded_however_long_the_video_is(columns) -> None:
    time_s, given = columns
    taken = 0

    def counted() -> Iterator[Answer]:
        nonlocal taken
        for answer in answers(time_s, given):
            taken += 1
            yield answer

    longest_s = BLOCK_S + 4 * REACH_S + 2
    for done, answer in enumerate(centrally(counted(), TASK), start=1):
        assert time_s[taken - 1] - time_s[answer.frame] <= longest_s
        assert done <= taken


def test_a_face_unfit_to_be_read_stays_without_a_label() -> None:
    row = Prediction(
        source="clip.mp4",
        face_id=0,
        time_s=0.0,
        status="blurred",
        detail="why",
        probabilities=np.array([0.1, 0.9], np.float32),
    )
    answer = Answer(source=VIDEO, predictions=(row,), frame=0, time_s=0.0)
    for stream in (causally, centrally):
        ((found,),) = (one.predictions for one in stream([answer], TASK))
        assert (found.status, found.detail, found.label) == ("blurred", "why", None)


def test_what_is_said_of_the_whole_video_comes_last() -> None:
    time_s = np.array([0.0, 0.04])
    column = np.array([[0.2, 0.8], [0.3, 0.7]], np.float32)
    problem = Answer(source=VIDEO, predictions=(Prediction(source="clip.mp4", status="error", detail="cut off"),))
    found = list(centrally([*answers(time_s, {0: column}), problem], TASK))
    assert [answer.frame for answer in found] == [0, 1, None]
    assert found[-1] is problem


@pytest.mark.parametrize("stream", [causally, centrally])
def test_a_voice_without_a_face_is_steadied_by_itself(columns, stream) -> None:
    time_s, given = columns
    faces = list(stream(answers(time_s, given), TASK))
    voices = {None: given[0], 3: given[3]}
    found = list(stream(answers(time_s, voices), TASK))
    for answer, wanted in zip(found, faces, strict=True):
        for row, same in zip(answer.predictions, wanted.predictions, strict=True):
            assert row.label == same.label
            assert (row.raw is None) == (same.raw is None)
            if row.probabilities is not None:
                np.testing.assert_array_equal(row.probabilities, same.probabilities)
