import numpy as np
import pytest
from scipy.stats import pearsonr

from mien.metrics import correlation
from mien.schema.errors import ConfigError
from mien.schema.labels import HUME_REACTION
from mien.tasks import task_from_json
from mien.tasks.regress import Regress

TASK = Regress(labels=HUME_REACTION)


def test_strengths_stay_as_the_network_gives_them(rng: np.random.Generator) -> None:
    values = rng.random((5, 7)).astype(np.float32)
    answers = TASK.decode({"intensity": values, "class_logits": -values})
    np.testing.assert_array_equal(answers.values, values)
    assert len(answers) == 5
    assert answers.strongest == tuple(HUME_REACTION.names[i] for i in values.argmax(1))
    assert TASK.decode({"intensity": values[:0]}).strongest == ()


def test_the_score_is_the_mean_over_the_reactions_of_all_clips(rng: np.random.Generator) -> None:
    truth, found = rng.random((30, 7)), rng.random((30, 7)).astype(np.float32)
    scores = TASK.score(TASK.decode({"intensity": found}), {"intensity": truth})
    each = [pearsonr(truth[:, k], found[:, k].astype(float)).statistic for k in range(7)]
    assert [scores[f"pearson_{name}"] for name in HUME_REACTION.names] == pytest.approx(each, abs=1e-6)
    assert scores["pearson"] == pytest.approx(np.mean(each), abs=1e-6)
    assert scores["ccc"] == pytest.approx(correlation.ccc(truth, found), abs=1e-6)
    assert scores["mae"] == pytest.approx(np.abs(truth - found).mean(), abs=1e-6)


def test_clips_that_nobody_judged_do_not_count(rng: np.random.Generator) -> None:
    truth, found = rng.random((9, 7)), rng.random((9, 7)).astype(np.float32)
    expected = TASK.score(TASK.decode({"intensity": found[:7]}), {"intensity": truth[:7]})
    truth[7:] = np.nan
    assert TASK.score(TASK.decode({"intensity": found}), {"intensity": truth}) == expected


def test_through_json_and_mistakes() -> None:
    assert task_from_json(TASK.to_json(), HUME_REACTION) == TASK
    with pytest.raises(ConfigError, match="needs a label set"):
        task_from_json({"name": "regress"}, None)
    for outputs in ({}, {"intensity": np.ones((2, 6))}, {"intensity": np.ones(7)}):
        with pytest.raises(ConfigError, match=r"Expected intensity \[N, 7\] of 'hume_reaction'"):
            TASK.decode(outputs)
