"""Features and strengths as batches."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.data.feature_tables import FeatureStore
from mien.data.loader import Epoch, batches
from mien.data.sequences import Sequences, fit_standard
from mien.data.splits import DataConfig, Labelled, make_splits
from mien.schema.errors import DatasetError, MediaError
from mien.schema.inputs import FeatureSpec
from mien.schema.labels import HUME_REACTION
from mien.schema.sample import FeatureCsv, FeatureTable, Sample, Targets

INPUTS = {"sound_features": FeatureSpec(width=2, n_steps=4), "face_features": FeatureSpec(width=3, n_steps=4)}
LENGTHS = (3, 4, 6)


def told(i: int) -> tuple[tuple[str, float], ...]:
    return tuple((name, 1.0 if k == i else 0.1 * k) for k, name in enumerate(HUME_REACTION.names))


@pytest.fixture
def faces(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {f"k{i}": (7 + 2 * rng.normal(size=(n, 3))).astype(np.float32) for i, n in enumerate(LENGTHS)}


@pytest.fixture
def items(tmp_path: Path, faces: dict[str, np.ndarray], write_features: Callable[..., Path]) -> tuple[Labelled, ...]:
    folder, samples = write_features(tmp_path / "face", [faces]), []
    for i, n in enumerate(LENGTHS):
        heard = tmp_path / f"{i}.csv"
        heard.write_text("\n".join(["id,t,a,b", *(f"{i},{t},{t + i},5" for t in range(n))]) + "\n")
        features = (("sound_features", FeatureCsv(heard)), ("face_features", FeatureTable(folder, f"k{i}")))
        targets = Targets(intensities=told(i))
        samples.append(Sample(key=f"k{i}", source=features[0][1], split="train", targets=targets, features=features))
    return make_splits(samples, DataConfig(reader="hume_reaction", valid_ratio=0)).train


def test_batches_have_all_inputs_and_the_strengths(items: tuple[Labelled, ...], faces: dict[str, np.ndarray]) -> None:
    data = Sequences(items, INPUTS)
    data.epoch = Epoch(np.array([2, 0, 1]))
    batch = data.__getitems__([0, 1, 2])
    assert sorted(batch) == ["face_features", "index", "intensity", "sound_features"]
    assert batch["index"].tolist() == [2, 0, 1]
    assert batch["sound_features"].shape == (3, 4, 2)
    assert batch["face_features"].dtype == batch["intensity"].dtype == torch.float32
    np.testing.assert_array_equal(batch["face_features"][0], faces["k2"][:4])
    np.testing.assert_array_equal(batch["face_features"][1, :3], faces["k0"])
    assert not batch["face_features"][1, 3].any()
    assert batch["sound_features"][0].tolist() == [[2, 5], [3, 5], [4, 5], [5, 5]]
    expected = [[value for _, value in told(i)] for i in (2, 0, 1)]
    np.testing.assert_allclose(batch["intensity"], expected)
    assert (data.spec, len(data), data.resized(48) is data) == (INPUTS["sound_features"], 3, True)


def test_an_epoch_comes_in_batches(items: tuple[Labelled, ...]) -> None:
    data = Sequences(items, {"face_features": INPUTS["face_features"]})
    data.warm()
    data.epoch = Epoch(np.array([0, 0, 2, 1, 2]))
    found = list(batches(data, 2))
    assert [batch["index"].tolist() for batch in found] == [[0, 0], [2, 1], [2]]
    assert "sound_features" not in found[0]


def test_features_are_scaled_by_those_of_training_if_wanted(
    items: tuple[Labelled, ...], faces: dict[str, np.ndarray]
) -> None:
    store = FeatureStore()
    standard = fit_standard(Sequences(items, INPUTS, store))
    seen = np.concatenate([rows[:4] for rows in faces.values()]).astype(np.float64)
    np.testing.assert_allclose(standard.mean["face_features"], seen.mean(0), rtol=1e-5)
    np.testing.assert_allclose(standard.std["face_features"], seen.std(0), rtol=1e-5)
    assert standard.std["sound_features"][1] == 1
    batch = Sequences(items, INPUTS, store, standard=standard).__getitems__([0, 1, 2])
    scaled = batch["face_features"].numpy()
    np.testing.assert_allclose(scaled[0, :3], (faces["k0"] - seen.mean(0)) / seen.std(0), rtol=1e-4, atol=1e-5)
    assert (scaled[0, 3] == 0).all()
    assert (batch["sound_features"][..., 1] == 0).all()


def test_what_does_not_fit_is_named(items: tuple[Labelled, ...]) -> None:
    with pytest.raises(DatasetError, match="k0 has no other, but sound_features, face_features"):
        Sequences(items, {"other": FeatureSpec(width=2)})
    with pytest.raises(DatasetError, match=r"a step every 0\.5 s; the network takes 0\.25 s"):
        Sequences(items, {"face_features": FeatureSpec(width=3, step_s=0.25)})
    with pytest.raises(MediaError, match="takes 5 features a step"):
        Sequences(items, {"face_features": FeatureSpec(width=5)})[0]
    with pytest.raises(MediaError, match="takes 5 features a step"):
        fit_standard(Sequences(items, {"face_features": FeatureSpec(width=5)}))
    with pytest.raises(DatasetError, match="there are none"):
        fit_standard(Sequences([], INPUTS))
