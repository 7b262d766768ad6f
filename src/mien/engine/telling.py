"""Networks that are told of a face at moments, and the folders whose features tell it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.data.feature_tables import FeatureStore
from mien.data.moment_features import bind_moments, check_folder
from mien.engine.features import allows_random, check_encoders, chosen_of, describe_folder, told_inputs
from mien.runtime.bundle import Bundle
from mien.schema.errors import ConfigError
from mien.schema.sample import Sample


class Teller:
    """Gives samples the features that a bundle is told of; for all other bundles it leaves them as they are.

    Args:
        bundle: of the network.
        given: folder by name of the input; ``None`` takes that of the training.

    Attributes:
        features: where they are and what encoder made them, by name of the input.

    Raises:
        ConfigError: if it is not known where the features are.
        BundleError: if they are of another encoder than those of the training.
        DatasetError: if there is no such folder, it is damaged, or its encoder was never trained, unlike that of the
            training.
    """

    def __init__(self, bundle: Bundle, given: Mapping[str, str] | None) -> None:
        self.features: dict[str, dict[str, Any]] = {}
        self._store = FeatureStore(allow_random=allows_random(bundle))
        if told_inputs(bundle.inputs):
            chosen = chosen_of(bundle, given)
            for name, folder in chosen:
                check_folder(name, Path(folder))
                self.features[name] = describe_folder(folder, self._store)
            check_encoders(bundle, self.features)

    def __call__(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples with their features.

        Raises:
            DatasetError: if the folder has features of none of them.
        """
        bound = list(samples)
        for name, one in self.features.items():
            bound = bind_moments(bound, name, Path(one["from"]), self._store)
        return bound

    @property
    def how(self) -> dict[str, Any]:
        """What :func:`mien.engine.ensemble.answers_of` needs to read them."""
        return {"store": self._store} if self.features else {}


def tellers_of(members: Sequence[Bundle], given: Mapping[str, str] | None) -> list[Teller]:
    """One for each bundle; see :class:`Teller` for more errors.

    Raises:
        ConfigError: if features are given and no bundle is told of any.
    """
    if given and not any(told_inputs(member.inputs) for member in members):
        read = dict.fromkeys(name for member in members for name in member.inputs)
        raise ConfigError(f"features are for models that read them; {members[0].name!r} reads {', '.join(read)}")
    return [Teller(member, given) for member in members]
