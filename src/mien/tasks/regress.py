"""The strength of each of several reactions, each on a scale of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensities:
    """Answers for N clips.

    Attributes:
        labels: the C reactions.
        values: how strong each is, ``float32 [N, C]``, in [0, 1].
    """

    labels: LabelSet
    values: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def strongest(self) -> tuple[str, ...]:
        """Name of the strongest reaction of each clip, of equal ones the first."""
        return tuple(self.labels.names[i] for i in self.values.argmax(1)) if len(self) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Regress:
    """Strengths from ``intensity [N, C]``, which are in [0, 1] already.

    Attributes:
        labels: the reactions, in the order of the columns.
    """

    labels: LabelSet

    def decode(self, outputs: Mapping[str, NDArray[Any]], /) -> Intensities:
        """Answers for the output ``intensity``.

        Raises:
            ConfigError: if there is no such output, or not a column for each reaction.
        """
        return Intensities(labels=self.labels, values=self._columns(outputs))

    def score(self, predictions: Intensities, targets: Mapping[str, NDArray[Any]], /) -> dict[str, float]:
        """Metrics by name; ``pearson`` is the mean of those of the reactions, which follow as ``pearson_<reaction>``.

        Clips that nobody judged, with a strength that is not finite, are left out.

        Args:
            predictions: of the whole split.
            targets: ``intensity float [N, C]``.
        """
        from mien.metrics import correlation

        truth = self._columns(targets)
        known = np.isfinite(truth).all(1)
        true, found = truth[known], predictions.values[known]
        each = correlation.pearson_of(true, found)
        return {
            "pearson": float(each.mean()),
            "ccc": correlation.ccc(true, found),
            "mae": correlation.mae(true, found),
            **{f"pearson_{name}": float(r) for name, r in zip(self.labels.names, each, strict=True)},
        }

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``config.json``; the labels stand beside it there."""
        return {"name": "regress"}

    def _columns(self, given: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        values = np.asarray(given.get("intensity", ()), dtype=np.float32)
        if values.ndim != 2 or values.shape[1] != len(self.labels):
            raise ConfigError(
                f"Expected intensity [N, {len(self.labels)}] of {self.labels.id!r}; given: {values.shape}"
            )
        return values
