"""Sequences of features with the strengths of reactions, as batches of tensors.

Shapes: ``B`` batch, ``T`` steps of the network, ``D`` numbers of each, ``C`` reactions.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mien.data.feature_tables import FeatureStore, sources_of
from mien.data.loader import Batch, Epoch
from mien.data.splits import Labelled
from mien.media.tensors import features_tensor
from mien.schema.errors import DatasetError
from mien.schema.inputs import FeatureSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """Mean and spread of each feature, to be subtracted and divided by; of features that never vary the spread is 1.

    Attributes:
        mean: ``float32 [D]`` by name of the input.
        std: ``float32 [D]`` by name of the input, above 0.
    """

    mean: Mapping[str, NDArray[np.float32]]
    std: Mapping[str, NDArray[np.float32]]

    def __call__(self, name: str, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The features of an input, ``[N, D]``, about 0."""
        scaled: NDArray[np.float32] = (rows - self.mean[name]) / self.std[name]
        return scaled


class Sequences(Dataset[Batch]):
    """Samples of one split, ready to be batched by position in the epoch.

    Args:
        items: what to load; ``items[i].distribution`` are the strengths, ``float32 [C]``, and
            ``items[i].sample.features`` says where the features of each input are.
        inputs: of the network, all of them features.
        store: reads the features; what it keeps is shared.
        standard: scales the features before they are filled up with zeros, so that these are the mean; see
            :func:`fit_standard`. ``None`` takes them as they are.

    Raises:
        DatasetError: if a sample lacks the features of an input, or they have another pace.
    """

    def __init__(
        self,
        items: Sequence[Labelled],
        inputs: Mapping[str, FeatureSpec],
        store: FeatureStore | None = None,
        *,
        standard: Standard | None = None,
    ) -> None:
        self.items, self.inputs, self.standard = tuple(items), dict(inputs), standard
        self.store = store or FeatureStore()
        self._sources = [sources_of(item.sample, self.inputs, self.store) for item in self.items]
        self.intensities = np.stack([item.distribution for item in items]) if items else np.zeros((0, 1), np.float32)
        self.epoch = Epoch(np.arange(len(items)))

    @property
    def spec(self) -> FeatureSpec:
        """How the network wants the features of its first input."""
        return next(iter(self.inputs.values()))

    def __len__(self) -> int:
        return len(self.epoch.order)

    def resized(self, size_px: int) -> "Sequences":
        """The same: features have no side."""
        return self

    def warm(self, threads: int = 2) -> None:
        """Read what features fit, before worker processes copy this one."""
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda sources: [self.store.rows(source) for source in sources.values()], self._sources))

    def rows(self, index: int, name: str) -> NDArray[np.float32]:
        """The features of an input of one sample as they are, ``[N, D]``.

        Raises:
            DatasetError: if there are none, or what there is is damaged.
        """
        return self.store.rows(self._sources[index][name])

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """The samples at these positions of the epoch as one batch: each input, ``intensity [B, C]`` and ``index``.

        Raises:
            MediaError: if there is another number of features a step than the network takes.
        """
        indices = self.epoch.order[np.asarray(positions, np.int64)]
        arrays: dict[str, NDArray[Any]] = {
            name: np.stack([self._tensor(int(i), name, spec) for i in indices]) for name, spec in self.inputs.items()
        }
        arrays |= {"intensity": self.intensities[indices], "index": indices}
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}

    def _tensor(self, index: int, name: str, spec: FeatureSpec) -> NDArray[np.float32]:
        rows = self.rows(index, name)[: spec.n_steps]
        if self.standard is not None and rows.shape[1] == spec.width:
            rows = self.standard(name, rows)
        return features_tensor(rows, spec)


def fit_standard(data: Sequences) -> Standard:
    """Mean and standard deviation of each feature over all steps of samples that the network sees.

    Raises:
        DatasetError: if there is no sample.
    """
    if not data.items:
        raise DatasetError("Features are scaled by those of the training samples, and there are none.")
    mean, std = {}, {}
    for name, spec in data.inputs.items():
        count, total, square = 0, np.zeros(spec.width), np.zeros(spec.width)
        shift = np.zeros(spec.width)
        for i in range(len(data.items)):
            rows = data.rows(i, name)[: spec.n_steps].astype(np.float64)
            features_tensor(rows, spec)
            shift = rows.mean(0) if not count and len(rows) else shift
            count, total, square = (
                count + len(rows),
                total + (rows - shift).sum(0),
                square + ((rows - shift) ** 2).sum(0),
            )
        middle = total / max(count, 1)
        spread = np.sqrt(np.maximum(square / max(count, 1) - middle**2, 0))
        mean[name] = (shift + middle).astype(np.float32)
        std[name] = np.where(spread > 1e-6 * np.maximum(np.abs(shift), 1), spread, 1).astype(np.float32)
    return Standard(mean=mean, std=std)
