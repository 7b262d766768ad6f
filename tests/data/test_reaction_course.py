"""What a drawn reaction means, and that neither face nor voice alone tells it."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.neural_network import MLPRegressor

from mien.data.reaction_course import (
    FALL,
    GAP_S,
    HOLD,
    LAG_S,
    PAIRS,
    RISE,
    SECONDS,
    TIMES,
    Bursts,
    Course,
    caps,
    random_course,
    relative,
    strengths,
)
from mien.metrics.correlation import pearson
from mien.schema.labels import HUME_REACTION


def courses(n: int, seed: int = 0) -> list[Course]:
    return [random_course(np.random.default_rng([seed, i])) for i in range(n)]


def bump(**changes: float) -> Bursts:
    shape = {"apex_s": 5.0, "rise_s": 0.5, "hold_s": 1.0, "fall_s": 0.8, "peak": 0.8} | changes
    return Bursts(**{name: np.array([value]) for name, value in shape.items()})


def test_a_burst_has_onset_apex_and_offset() -> None:
    height = bump().contour(np.array([3.9, 4.0, 4.25, 4.5, 5.0, 5.5, 5.9, 6.3, 6.4]))
    assert height == pytest.approx([0, 0, 0.4, 0.8, 0.8, 0.8, 0.4, 0, 0])


def test_time_is_a_circle() -> None:
    early, late = bump(apex_s=0.2), bump(apex_s=0.2 + 5)
    assert early.contour(TIMES) == pytest.approx(np.roll(late.contour(TIMES), -50))
    assert early.contour(np.array([SECONDS - 0.2])) == early.contour(np.array([-0.2]))


def test_of_overlapping_bursts_the_highest_shows() -> None:
    low, high = bump(peak=0.5), bump(apex_s=5.5, peak=0.9)
    both = Bursts(**{name: np.concatenate([getattr(low, name), getattr(high, name)]) for name in low.__slots__})
    assert both.contour(TIMES) == pytest.approx(np.maximum(low.contour(TIMES), high.contour(TIMES)))


def test_strengths_are_means_of_contours_and_of_their_products() -> None:
    rng = np.random.default_rng(1)
    face, voice = rng.random((2, 3, 150))
    found = dict(zip(HUME_REACTION.names, strengths(face, voice), strict=True))
    later = [(t + 15) % 150 for t in range(150)]  # 1.5 s of a tenth of a second each
    start, cry = face[2], voice[2]
    expected = {
        "adoration": 8 * face[0].mean(),
        "disgust": 8 * face[1].mean(),
        "anxiety": 8 * voice[0].mean(),
        "fear": 8 * voice[1].mean(),
        "amusement": 12 * np.mean([start[t] * cry[t] for t in range(150)]),
        "surprise": 12 * np.mean([start[t] * cry[later[t]] for t in range(150)]),
        "empathic_pain": 12 * np.mean([start[later[t]] * cry[t] for t in range(150)]),
    }
    assert found == pytest.approx(expected)
    assert relative(strengths(face, voice)).max() == 1
    many = strengths(np.stack([face, voice]), voice)
    assert many[0] == pytest.approx(strengths(face, voice))
    assert many[1] == pytest.approx(strengths(voice, voice))


@pytest.mark.parametrize(("lag", "name"), [(0.0, "amusement"), (1.5, "surprise"), (-1.5, "empathic_pain")])
def test_the_lag_tells_the_reactions_of_both(lag: float, name: str) -> None:
    quiet, start = bump(peak=0), bump()
    face = np.stack([quiet.contour(TIMES), quiet.contour(TIMES), start.contour(TIMES)])
    voice = np.stack([face[0], face[0], bump(apex_s=5 + lag).contour(TIMES)])
    found = relative(strengths(face, voice))
    assert HUME_REACTION.names[int(found.argmax())] == name
    assert sorted(found)[-2] < 0.6


def test_courses_are_as_stated() -> None:
    drawn = courses(300)
    labels = np.array([course.intensities() for course in drawn])
    assert labels.min() >= 0
    assert (labels.max(1) == 1).all()
    assert np.bincount(labels.argmax(1), minlength=7).min() > 20
    for course in drawn:
        face, voice = course.face, course.voice
        there = face.peak[2] > 0
        assert there.sum() in PAIRS
        assert (there == (voice.peak[2] > 0)).all()
        assert abs(course.lag_s) <= LAG_S
        apart = (voice.apex_s[2] - face.apex_s[2] - course.lag_s)[there] % SECONDS
        assert np.minimum(apart, SECONDS - apart) == pytest.approx(0, abs=1e-9)
        gaps = np.diff(np.sort(face.apex_s[2][there]), append=face.apex_s[2][there].min() + SECONDS)
        assert gaps.min() >= GAP_S - 1e-9
        for bursts in (face, voice):
            for values, (low, high) in ((bursts.rise_s, RISE), (bursts.hold_s, HOLD), (bursts.fall_s, FALL)):
                assert ((values >= low) & (values <= high)).all()
    number = np.array([[(bursts.peak[k] > 0).sum() for k in (0, 1)] for c in drawn for bursts in (c.face, c.voice)])
    assert np.bincount(number.ravel()) / number.size == pytest.approx([0.35, 0.4, 0.25], abs=0.06)


def test_a_course_turned_on_the_circle_means_the_same() -> None:
    for course in courses(5, seed=1):
        turned = [replace(bursts, apex_s=(bursts.apex_s + 3.7) % SECONDS) for bursts in (course.face, course.voice)]
        other = replace(course, face=turned[0], voice=turned[1])
        assert other.intensities() == pytest.approx(course.intensities(), abs=1e-9)


def test_neither_face_nor_voice_alone_can_solve_it() -> None:
    found = caps(200, 16)
    seen, heard, both = [0, 3], [2, 5], [1, 4, 6]
    assert 0.25 < found.face.mean() < 0.42
    assert 0.25 < found.voice.mean() < 0.42
    assert 0.55 < found.unrelated.mean() < 0.7
    assert found.face[seen].min() > 0.9
    assert found.voice[heard].min() > 0.9
    assert np.abs([*found.face[heard], *found.voice[seen]]).max() < 0.3
    for known in (found.face, found.voice, found.unrelated):
        assert known[both].max() < 0.4


def test_the_caps_hold_for_a_learner_and_both_together_are_learnt() -> None:
    times = np.arange(0.25, SECONDS, 0.5)
    drawn = courses(1300, seed=2)
    inputs = np.array([np.stack([c.face.contour(times), c.voice.contour(times)]).reshape(2, -1) for c in drawn])
    labels = np.array([c.intensities() for c in drawn])

    def learn(columns: np.ndarray) -> float:
        learner = MLPRegressor(
            hidden_layer_sizes=(96,), alpha=0.03, max_iter=200, early_stopping=True, tol=2e-3, random_state=0
        )
        return pearson(labels[900:], learner.fit(columns[:900], labels[:900]).predict(columns[900:]))

    assert learn(inputs[:, 0]) < 0.40
    assert learn(inputs[:, 1]) < 0.40
    assert learn(inputs.reshape(len(inputs), -1)) > 0.72
