"""What a model answers: ``decode`` turns outputs into the answer, ``score`` judges it. NumPy in, NumPy out."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from numpy.typing import NDArray

from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet
from mien.schema.tables import look_up

TASKS: Mapping[str, str] = MappingProxyType(
    {
        "classify": "mien.tasks.classify:Classify",
        "classify_frames": "mien.tasks.classify:ClassifyFrames",
        "detect": "mien.tasks.detect:Detect",
        "landmarks": "mien.tasks.landmarks:Landmarks",
        "regress": "mien.tasks.regress:Regress",
    }
)


CLASSIFIERS = ("classify", "classify_frames")
"""Tasks that answer with one label of a set and calibrated probabilities."""


class Task(Protocol):
    """What every task offers."""

    def decode(self, outputs: Mapping[str, NDArray[Any]], /) -> Any:
        """The answer to a batch of model outputs."""

    def score(self, predictions: Any, targets: Mapping[str, NDArray[Any]], /) -> dict[str, float]:
        """Metrics by name of the answers of a whole split."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``config.json``, with the task's ``name``."""


def task_from_json(data: Mapping[str, Any], labels: LabelSet | None) -> Any:
    """The task that ``data`` describes; inverse of ``Task.to_json``.

    Args:
        data: ``name`` and the task's own fields.
        labels: the classes, for a task that has some.

    Raises:
        ConfigError: if the name or a field is unknown, or labels are missing.
    """
    fields = dict(data)
    name = fields.pop("name", None)
    kind = look_up(TASKS, str(name), "task")
    if "labels" in kind.__dataclass_fields__:
        if labels is None:
            raise ConfigError(f"The task {name!r} needs a label set; given: none")
        fields["labels"] = labels
    unknown = sorted(set(fields) - set(kind.__dataclass_fields__))
    if unknown:
        allowed = ", ".join(kind.__dataclass_fields__) or "none"
        raise ConfigError(f"The task {name!r} has no field {unknown}; its fields: {allowed}")
    return kind(**fields)
