"""68 points of a face."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.schema.errors import ConfigError

Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmarks:
    """Points from ``landmarks [N, 136]``, in shares of the crop's side: x0, y0, x1, y1, …"""

    def decode(self, outputs: Mapping[str, NDArray[Any]], /) -> Points:
        """Points ``float32 [N, 68, 2]``, in shares of the crop's side.

        Raises:
            ConfigError: if there is no such output, or it has another width.
        """
        return _points(outputs)

    def score(self, predictions: Points, targets: Mapping[str, NDArray[Any]], /) -> dict[str, float]:
        """Normalised mean error; rows whose truth is not finite (no teacher) are left out.

        Args:
            predictions: of the whole split, ``[N, 68, 2]``.
            targets: ``landmarks [N, 136]``.
        """
        from mien.metrics import landmarks

        truth = _points(targets)
        known = np.isfinite(truth).all((1, 2))
        return {
            "nme": landmarks.nme_interocular(truth[known], predictions[known]),
            "nme_outer_corners": landmarks.nme_interocular(truth[known], predictions[known], "outer_corners"),
        }

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``config.json``."""
        return {"name": "landmarks"}


def _points(columns: Mapping[str, NDArray[Any]]) -> Points:
    flat = np.asarray(columns.get("landmarks", ()), dtype=np.float32)
    if flat.ndim != 2 or flat.shape[1] != 136:
        raise ConfigError(f"Expected landmarks [N, 136]; given: {flat.shape}")
    return flat.reshape(-1, 68, 2)
