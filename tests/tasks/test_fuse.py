from itertools import product
from math import gcd

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from mien.schema.errors import ConfigError
from mien.tasks.fuse import Proportion, find_proportion, fuse

PAIRS = list(product(range(1, 6), repeat=2))


def probabilities(rng: np.random.Generator, rows: int = 40) -> NDArray[np.float64]:
    return rng.dirichlet(np.full(5, 0.4), rows)


def test_it_is_equation_4_and_lies_between_both(rng: np.random.Generator) -> None:
    voice, face = probabilities(rng), probabilities(rng)
    for m, n in PAIRS:
        found = fuse(voice, face, (m, n))
        np.testing.assert_allclose(found, (m * voice + n * face) / (m + n), atol=1e-12)
        np.testing.assert_allclose(found.sum(1), 1)
        assert (found >= np.minimum(voice, face) - 1e-12).all()
        assert (found <= np.maximum(voice, face) + 1e-12).all()


def test_equal_answers_stay_and_only_the_proportion_counts(rng: np.random.Generator) -> None:
    voice, face = probabilities(rng), probabilities(rng)
    distinct = set()
    for m, n in PAIRS:
        np.testing.assert_array_equal(fuse(voice, voice, (m, n)), voice)
        d = gcd(m, n)
        np.testing.assert_array_equal(fuse(voice, face, (m, n)), fuse(voice, face, (m // d, n // d)))
        distinct.add((m // d, n // d))
    assert len(distinct) == 19


def test_what_is_not_there_does_not_count(rng: np.random.Generator) -> None:
    voice, face = probabilities(rng, 4), probabilities(rng, 4)
    sound, seen = np.array([True, False, True, False]), np.array([True, True, False, False])
    found = fuse(voice, face, (2, 1), has_sound=sound, has_face=seen)
    np.testing.assert_allclose(found[0], (2 * voice[0] + face[0]) / 3)
    np.testing.assert_array_equal(found[1], face[1])
    np.testing.assert_array_equal(found[2], voice[2])
    np.testing.assert_allclose(found[3], 0.2)
    np.testing.assert_array_equal(fuse(voice, face, (2, 1), has_sound=sound)[3], face[3])


def test_the_grid_is_macro_f1_of_every_pair(rng: np.random.Generator) -> None:
    voice, face, truth = probabilities(rng, 200), probabilities(rng, 200), rng.integers(-1, 5, 200)
    found = find_proportion(truth, voice, face)
    known = truth >= 0
    for m, n in PAIRS:
        answers = ((m * voice + n * face) / (m + n)).argmax(1)
        expected = f1_score(truth[known], answers[known], average="macro", labels=range(5), zero_division=0)
        assert found.grid[m - 1, n - 1] == pytest.approx(expected)
    assert found.best == found.grid.max()


def test_a_better_voice_counts_more(rng: np.random.Generator) -> None:
    truth = rng.integers(0, 5, 300)
    voice = 0.5 * probabilities(rng, 300) + 0.5 * np.eye(5)[truth]
    noise = probabilities(rng, 300)
    m, n = find_proportion(truth, voice, noise).weights
    assert m > n
    assert find_proportion(truth, noise, voice).weights == (n, m)


def test_ties_go_to_the_smallest_sum(rng: np.random.Generator) -> None:
    one = probabilities(rng)
    truth = one.argmax(1)
    assert find_proportion(truth, one, one) == Proportion(weights=(1, 1), grid=pytest.approx(np.ones((5, 5))))
    # The voice is wrong by 0.32 above a half, the face right by 0.18: right together where 0.18 n > 0.32 m.
    voice, face = np.array([[0.82, 0.18]]), np.array([[0.32, 0.68]])
    assert find_proportion(np.array([1]), voice, face).weights == (1, 2)


def test_flags_reach_the_search(rng: np.random.Generator) -> None:
    truth, face = rng.integers(0, 5, 60), probabilities(rng, 60)
    silent = find_proportion(truth, probabilities(rng, 60), face, has_sound=np.zeros(60, bool))
    assert silent.weights == (1, 1)
    assert np.ptp(silent.grid) == 0


def test_mistakes_are_named(rng: np.random.Generator) -> None:
    voice = probabilities(rng, 3)
    for weights in ((0, 1), (1, 6), (1.0, 2), (True, 1), (1,), (1, 2, 3)):
        with pytest.raises(ConfigError, match="integers from 1 to 5"):
            fuse(voice, voice, weights)
    with pytest.raises(ConfigError, match=r"\[N, C\]; given: \(3, 5\) and \(3, 4\)"):
        fuse(voice, voice[:, :4], (1, 1))
    with pytest.raises(ConfigError, match="a flag for each of 3 rows"):
        fuse(voice, voice, (1, 1), has_sound=np.ones(2, bool))
    with pytest.raises(ConfigError, match="samples with labels; given: none"):
        find_proportion(np.full(3, -1), voice, voice)
