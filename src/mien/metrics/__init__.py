"""How good an answer is: pure functions over whole columns, NaN where nothing can be said.

``METRICS`` maps a public name to its function. Five families share a signature each:

* ``classification``: ``f(truth int [N], predicted int [N], classes=None)``
* ``calibration``: ``f(truth int [N], probabilities float [N, C])``
* ``landmarks``: ``f(truth float [N, 68, 2], predicted float [N, 68, 2])``
* ``correlation``: ``f(truth float [N, C], predicted float [N, C])``
* ``detection``: ``f(truth float [N, M, 5], predicted float [N, K, 6])``, the faces of N pictures
"""

from collections.abc import Mapping
from types import MappingProxyType

METRICS: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "mien.metrics.classification:accuracy",
        "mean_class_accuracy": "mien.metrics.classification:mean_class_accuracy",
        "macro_f1": "mien.metrics.classification:macro_f1",
        "nll": "mien.metrics.calibration:nll",
        "brier": "mien.metrics.calibration:brier",
        "ece": "mien.metrics.calibration:ece",
        "nme": "mien.metrics.landmarks:nme_interocular",
        "pearson": "mien.metrics.correlation:pearson",
        "ccc": "mien.metrics.correlation:ccc",
        "mae": "mien.metrics.correlation:mae",
        "map50": "mien.metrics.detection:map50",
        "map": "mien.metrics.detection:map50_95",
        "face_ap50": "mien.metrics.detection:face_ap50",
        "end_to_end_accuracy": "mien.metrics.detection:end_to_end_accuracy",
        "accuracy_of_found": "mien.metrics.detection:accuracy_of_found",
    }
)

ALIASES: Mapping[str, str] = MappingProxyType({"accuracy": "WAR", "mean_class_accuracy": "UAR"})
"""Second names under which the field prints the same number."""

LOWER_IS_BETTER = frozenset({"nll", "brier", "ece", "nme", "mae"})


def title(name: str) -> str:
    """A metric's name as reports print it, with its second name: ``accuracy (WAR)``."""
    words = _TITLES.get(name, name.replace("_", " "))
    return f"{words} ({ALIASES[name]})" if name in ALIASES else words


_TITLES = {
    "macro_f1": "macro F1",
    "nll": "NLL",
    "brier": "Brier score",
    "ece": "ECE",
    "nme": "NME",
    "pearson": "Pearson's r",
    "ccc": "CCC",
    "mae": "MAE",
    "map50": "mAP50",
    "map": "mAP50-95",
    "face_ap50": "AP50 of faces",
    "end_to_end_accuracy": "accuracy end to end",
    "accuracy_of_found": "accuracy of the faces found",
}
