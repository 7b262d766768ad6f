"""Which samples an epoch sees, in which order, and what each class weighs. NumPy only, seeded."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mien.schema.errors import ConfigError
from mien.schema.tables import unknown_name

Indices = NDArray[np.int64]


def class_counts(labels: Indices, n_classes: int) -> Indices:
    """How often each class occurs: ``int64 [C]``."""
    return np.bincount(np.asarray(labels, dtype=np.int64), minlength=n_classes).astype(np.int64)


def class_weights(labels: Indices, n_classes: int, *, power: float = 1.0) -> NDArray[np.float32]:
    """Weights for a loss: ``float32 [C]``, proportional to ``count ** -power``.

    Their mean over the samples is 1, so the scale of the loss does not move; a class without a sample weighs 0.

    Args:
        labels: class index of each sample.
        n_classes: number of classes.
        power: 1 is inverse frequency, 0.5 its square root, 0 no weighting.

    Raises:
        ConfigError: if ``power`` is negative.
    """
    if power < 0:
        raise ConfigError(f"power must be 0 or more; given: {power}")
    counts = class_counts(labels, n_classes)
    raw = np.where(counts > 0, np.maximum(counts, 1).astype(np.float64) ** -power, 0.0)
    total = float((raw * counts).sum())
    return np.asarray(raw * counts.sum() / max(total, float(np.finfo(float).tiny)), dtype=np.float32)


def shuffled(labels: Indices, seed: int, epoch: int) -> Indices:
    """Every sample once, in a random order."""
    return _rng(seed, epoch).permutation(len(labels)).astype(np.int64)


def inverse_frequency(labels: Indices, seed: int, epoch: int) -> Indices:
    """As many draws as there are samples, with replacement, each sample weighted ``1 / count of its class``."""
    return _weighted(labels, 1.0, _rng(seed, epoch))


def inverse_root(labels: Indices, seed: int, epoch: int) -> Indices:
    """As :func:`inverse_frequency` with ``1 / sqrt(count)``: half-way, in the exponent, to equal classes."""
    return _weighted(labels, 0.5, _rng(seed, epoch))


def balanced(labels: Indices, seed: int, epoch: int) -> Indices:
    """Each class equally often (to one draw), as many draws as there are samples.

    Within a class every sample is drawn once before any is drawn again, unlike :func:`inverse_frequency`.
    """
    labels = np.asarray(labels, dtype=np.int64)
    rng, present = _rng(seed, epoch), np.unique(labels)
    each, left_over = divmod(len(labels), len(present))
    quota = rng.permutation(np.arange(len(present)) < left_over) + each
    drawn = [_repeat(np.flatnonzero(labels == c), int(n), rng) for c, n in zip(present, quota, strict=True)]
    return rng.permutation(np.concatenate(drawn)).astype(np.int64)


def oversampled(labels: Indices, seed: int, epoch: int) -> Indices:
    """Every sample at least once, those of rarer classes again until all are as frequent as the most frequent one.

    The epoch is longer than the data: number of classes times size of the largest.
    """
    labels = np.asarray(labels, dtype=np.int64)
    rng, (present, counts) = _rng(seed, epoch), np.unique(labels, return_counts=True)
    drawn = [_repeat(np.flatnonzero(labels == c), int(counts.max()), rng) for c in present]
    return rng.permutation(np.concatenate(drawn)).astype(np.int64)


def paired(labels: Indices, seed: int, epoch: int) -> Indices:
    """As many draws as there are samples: half of these, each twice in a row, so that a batch has two views of it."""
    half = shuffled(labels, seed, epoch)[: (len(labels) + 1) // 2]
    return np.repeat(half, 2)[: len(labels)]


SAMPLERS: Mapping[str, Callable[[Indices, int, int], Indices]] = MappingProxyType(
    {
        "shuffled": shuffled,
        "inverse_frequency": inverse_frequency,
        "inverse_root": inverse_root,
        "balanced": balanced,
        "oversampled": oversampled,
        "paired": paired,
    }
)


def epoch_indices(sampler: str, labels: Indices, *, seed: int, epoch: int) -> Indices:
    """The samples of one epoch, ``int64 [N]``, more if oversampled; the same seed and epoch give the same indices.

    Args:
        sampler: a name in ``SAMPLERS``.
        labels: class index of each sample, ``int64 [N]``, N at least 1.
        seed: seed of the run.
        epoch: number of the epoch, from 0.

    Raises:
        ConfigError: if there is no such sampler.
    """
    if sampler not in SAMPLERS:
        raise ConfigError(unknown_name(sampler, SAMPLERS, "sampler"))
    assert len(labels) > 0, "an epoch needs samples"
    return SAMPLERS[sampler](labels, seed, epoch)


def _rng(seed: int, epoch: int) -> np.random.Generator:
    return np.random.default_rng([seed, epoch])


def _weighted(labels: Indices, power: float, rng: np.random.Generator) -> Indices:
    labels = np.asarray(labels, dtype=np.int64)
    weights = class_counts(labels, int(labels.max()) + 1)[labels].astype(np.float64) ** -power
    return rng.choice(len(labels), size=len(labels), replace=True, p=weights / weights.sum()).astype(np.int64)


def _repeat(members: Indices, count: int, rng: np.random.Generator) -> Indices:
    rounds = -(-count // len(members))
    return np.concatenate([rng.permutation(members) for _ in range(rounds)])[:count]
