import numpy as np
import pytest

from mien.data.sampling import SAMPLERS, class_counts, class_weights, epoch_indices
from mien.schema.errors import ConfigError

LABELS = np.repeat([0, 1, 3], [900, 90, 10])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_epoch_is_as_long_as_the_data_and_repeatable(sampler):
    first = epoch_indices(sampler, LABELS, seed=1, epoch=0)
    assert first.shape == (2700,) if sampler == "oversampled" else (1000,)
    assert first.dtype == np.int64
    np.testing.assert_array_equal(first, epoch_indices(sampler, LABELS, seed=1, epoch=0))
    for seed, epoch in ((1, 1), (2, 0)):
        assert not np.array_equal(first, epoch_indices(sampler, LABELS, seed=seed, epoch=epoch))


def test_shuffled_is_a_permutation():
    np.testing.assert_array_equal(np.sort(epoch_indices("shuffled", LABELS, seed=0, epoch=3)), np.arange(1000))


def test_inverse_frequency_draws_each_class_equally_often_on_average():
    drawn = np.concatenate([epoch_indices("inverse_frequency", LABELS, seed=0, epoch=e) for e in range(30)])
    share = class_counts(LABELS[drawn], 4) / len(drawn)
    np.testing.assert_allclose(share, [1 / 3, 1 / 3, 0, 1 / 3], atol=0.01)
    # within a class every sample is equally likely: 10 samples share 10,000 draws
    rare = np.bincount(drawn)[-10:]
    assert rare.min() > 850
    assert rare.max() < 1150


def test_balanced_draws_each_class_equally_often_exactly():
    drawn = epoch_indices("balanced", LABELS, seed=0, epoch=0)
    counts = class_counts(LABELS[drawn], 4)
    assert sorted(counts) == [0, 333, 333, 334]
    times = np.bincount(drawn, minlength=1000)
    assert times[:900].max() == 1
    assert set(times[900:990]) <= {3, 4}
    assert set(times[990:]) <= {33, 34}


def test_inverse_root_lies_between():
    drawn = np.concatenate([epoch_indices("inverse_root", LABELS, seed=0, epoch=e) for e in range(30)])
    share = class_counts(LABELS[drawn], 4) / len(drawn)
    roots = np.sqrt([900, 90, 0, 10])
    np.testing.assert_allclose(share, roots / roots.sum(), atol=0.01)


def test_oversampled_leaves_nothing_out():
    drawn = epoch_indices("oversampled", LABELS, seed=0, epoch=0)
    assert class_counts(LABELS[drawn], 4).tolist() == [900, 900, 0, 900]
    times = np.bincount(drawn)
    assert (times[:900] == 1).all()
    assert (times[900:990] == 10).all()
    assert (times[990:] == 90).all()


def test_paired_draws_half_of_the_samples_twice_in_a_row():
    drawn = epoch_indices("paired", LABELS, seed=0, epoch=0).reshape(-1, 2)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert len(np.unique(drawn)) == 500


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_class_or_one_sample_will_do(sampler):
    drawn = epoch_indices(sampler, np.full(5, 3), seed=0, epoch=0)
    assert len(drawn) == 5
    assert set(drawn.tolist()) <= set(range(5))
    assert epoch_indices(sampler, np.array([2]), seed=0, epoch=0).tolist() == [0]


def test_class_weights():
    weights = class_weights(LABELS, 4)
    assert weights.dtype == np.float32
    assert weights[2] == 0
    np.testing.assert_allclose(weights[[0, 1, 3]] * [900, 90, 10], 1000 / 3, rtol=1e-6)
    np.testing.assert_allclose(weights[LABELS].mean(), 1, rtol=1e-6)
    root = class_weights(LABELS, 4, power=0.5)
    np.testing.assert_allclose(root[1] / root[0], np.sqrt(10), rtol=1e-6)
    np.testing.assert_array_equal(class_weights(LABELS, 4, power=0), [1, 1, 0, 1])
    with pytest.raises(ConfigError, match="0 or more"):
        class_weights(LABELS, 4, power=-1)


def test_unknown_sampler():
    with pytest.raises(ConfigError, match=r"no sampler 'ballanced'. Did you mean: balanced"):
        epoch_indices("ballanced", LABELS, seed=0, epoch=0)
