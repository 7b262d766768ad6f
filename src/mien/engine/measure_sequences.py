"""What a bundle answers for sequences of features, by the same steps as in training."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from mien.data.feature_tables import FeatureStore, sources_of
from mien.engine.measure import Answers, tracked
from mien.faces.graph import core_count
from mien.media.tensors import features_tensor
from mien.runtime.session import Session
from mien.schema.errors import DatasetError
from mien.schema.inputs import FeatureSpec
from mien.schema.sample import Sample


def answer_sequences(
    session: Session,
    inputs: Mapping[str, FeatureSpec],
    samples: Sequence[Sample],
    store: FeatureStore,
    *,
    batch_size: int = 64,
    progress: bool = True,
) -> Answers:
    """Feed the features of every sample to the network; the output ``intensity`` is kept.

    Args:
        session: the network.
        inputs: how it wants the features.
        samples: with these features under the names of the inputs; without repetition.
        store: reads the features.
        batch_size: samples in one run of the network.
        progress: whether to show a bar.

    Raises:
        DatasetError: if a sample has no features, or they are damaged or have another pace.
        MediaError: if there is another number of features a step than the network takes.
    """
    if not samples:
        raise DatasetError("There is no sample to answer for.")
    found: list[NDArray[np.float32]] = []

    def one(sample: Sample) -> dict[str, NDArray[np.float32]]:
        sources = sources_of(sample, inputs, store)
        return {name: features_tensor(store.rows(sources[name]), spec) for name, spec in inputs.items()}

    with ThreadPoolExecutor(core_count()) as pool:
        for start in tracked(list(range(0, len(samples), batch_size)), progress):
            made = list(pool.map(one, samples[start : start + batch_size]))
            stacked = {name: np.stack([inputs[name] for inputs in made]) for name in inputs}
            found.append(session(**stacked)["intensity"])
    return Answers(
        rows={sample.key: row for row, sample in enumerate(samples)},
        outputs={"intensity": np.concatenate(found)},
        landmarks=np.full((len(samples), 136), np.nan, np.float32),
        alignment=("none",) * len(samples),
    )
