"""What a run of features works on: samples with the features that it asks for, as sequences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mien.data.feature_tables import FeatureStore, bind_features
from mien.data.sequences import Sequences
from mien.data.splits import Labelled
from mien.engine.features import check_features, describe
from mien.engine.part import Part
from mien.engine.run import Run
from mien.schema.errors import DatasetError
from mien.schema.sample import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """Samples with the features of a run.

    Attributes:
        samples: those that have all of them, under the names of the inputs.
        store: reads them.
        dropped: samples left out, by part and reason.
        described: what the features are, by name of the input; see :func:`mien.engine.features.describe`.
    """

    samples: list[Sample]
    store: FeatureStore
    dropped: dict[str, int]
    described: dict[str, dict[str, Any]]


def bound(run: Run, samples: Sequence[Sample]) -> Bound:
    """The samples of a dataset that have all features that the run names.

    Raises:
        ConfigError: if the model takes something else than features, or the run does not say which.
        DatasetError: if there are no such features, or their encoder was never trained and the run does not allow that.
    """
    check_features(run.architecture, run.model.inputs(), run.features)
    store = FeatureStore(allow_random=run.random_features, cache_mb=run.train.cache_mb)
    kept, dropped = bind_features(samples, run.features, store)
    return Bound(samples=kept, store=store, dropped=dropped, described=describe(run.features, kept, store))


def sequences(run: Run, items: Mapping[str, Sequence[Labelled]], store: FeatureStore) -> dict[str, Part]:
    """The parts, ready to be loaded.

    Raises:
        DatasetError: if it is not known how strong the reactions of a sample are, or features have another pace.
    """
    parts = {}
    for name, part in items.items():
        if untold := [item.sample.key for item in part if item.sample.targets.intensities is None]:
            raise DatasetError(
                f"The task regress needs to know how strong reactions are, and {run.data.reader!r} does not tell it "
                f"for {len(untold)} of {len(part)} samples, e.g. {untold[0]}"
            )
        loaded = Sequences(part, run.model.inputs(), store)
        if run.train.workers:
            loaded.warm()
        parts[name] = Part(loaded, {}, {})
    return parts
