import numpy as np
import pytest

from mien.metrics.landmarks import nme_interocular
from mien.schema.errors import ConfigError
from mien.tasks import task_from_json
from mien.tasks.landmarks import Landmarks


def test_points_are_pairs_in_order() -> None:
    flat = np.arange(2 * 136, dtype=np.float32).reshape(2, 136)
    points = Landmarks().decode({"landmarks": flat})
    assert points.shape == (2, 68, 2)
    assert points[1, 3].tolist() == [136 + 6, 136 + 7]


def test_score_is_the_nme_of_the_faces_that_have_a_truth() -> None:
    rng = np.random.default_rng(0)
    truth, found = rng.random((2, 3, 136)).astype(np.float32)
    task = Landmarks()
    points = task.decode({"landmarks": found})
    expected = nme_interocular(truth[:2].reshape(-1, 68, 2), points[:2])
    truth[2] = np.nan
    scores = task.score(points, {"landmarks": truth})
    assert scores["nme"] == pytest.approx(expected)
    assert set(scores) == {"nme", "nme_outer_corners"}


def test_other_widths_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[N, 136\]; given: \(2, 10\)"):
        Landmarks().decode({"landmarks": np.zeros((2, 10))})


def test_json_round_trip() -> None:
    assert task_from_json(Landmarks().to_json(), None) == Landmarks()
    with pytest.raises(ConfigError, match="no field"):
        task_from_json({"name": "landmarks", "points": 5}, None)
