"""How far a model of single faces falls when its faces are disturbed: accuracy by kind and severity, with intervals."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.disturbances.kinds import KINDS, REFERENCE_PX, Disturbance
from mien.engine.ensemble import answers_of, as_one, averaged
from mien.engine.measure import Answers, tracked
from mien.engine.score import FROM_CONFUSION, Resampling
from mien.metrics.bootstrap import repeated_interval
from mien.runtime.bundle import Bundle
from mien.runtime.session import Session, open_session
from mien.schema.errors import ConfigError
from mien.schema.inputs import ImageSpec
from mien.schema.sample import Sample
from mien.tasks import task_from_json

SCORES = {name: FROM_CONFUSION[name] for name in ("accuracy", "mean_class_accuracy")}


def can_be_disturbed(bundle: Bundle) -> bool:
    """Whether a bundle names the expression of single faces that are cut out for it."""
    is_fed_faces = set(bundle.inputs) == {"image"} and isinstance(bundle.inputs["image"], ImageSpec)
    return is_fed_faces and bundle.labels is not None and bundle.task.get("name") == "classify"


def refuse_if_not_disturbed(bundle: Bundle, *, pictures: bool) -> None:
    """Say early what cannot be measured.

    Raises:
        ConfigError: if the model does not read single faces, or is to find them itself.
    """
    if pictures or not can_be_disturbed(bundle):
        reads = "finds faces in whole pictures" if pictures else f"does {bundle.task.get('name')!r}"
        raise ConfigError(
            "robustness is measured of models that name the expression of single faces, on their crops; "
            f"{bundle.name!r} {reads} here. Leave it out."
        )


def robustness_figures(
    members: Sequence[Bundle],
    samples: Sequence[Sample],
    truth: NDArray[np.int64],
    undisturbed: NDArray[np.int64],
    how: Resampling,
    *,
    running: Mapping[str, Any],
    settings: Mapping[str, Any],
    kinds: Sequence[str] = tuple(KINDS),
) -> dict[str, Any]:
    """Measure every kind at every severity on the same faces.

    Args:
        members: one bundle, or several whose answers are averaged.
        samples: N faces.
        truth: class indices ``[N]``.
        undisturbed: what the ordinary evaluation answered, ``[N]``; it is severity 0 of every kind.
        how: the resampling; its seed is also that of the disturbances.
        running: ``runtime``, ``device``, ``precision`` and ``progress``.
        settings: further arguments of :func:`mien.engine.measure.answer`.
        kinds: names in ``KINDS``.

    Returns:
        Plain data: ``seed``, ``reference_px`` and ``kinds``: by name ``title``, ``axis`` and ``severities``, each with
        ``severity``, ``level`` (``None`` for 0), ``words``, the metrics, and ``change``: how much higher the accuracy
        is than undisturbed, with the interval of the paired difference.
    """
    bundle = as_one(members)
    task, classes = task_from_json(bundle.task, bundle.labels), len(bundle.labels or ())
    sessions = [
        open_session(member, running["runtime"], running["device"], precision=running["precision"])
        for member in members
    ]
    wanted = [Disturbance(name, level + 1, how.seed) for name in kinds for level in range(len(KINDS[name].levels))]
    found = {
        name: [_line(Disturbance(name, 0, how.seed), truth, undisturbed, undisturbed, classes, how)] for name in kinds
    }
    for number in tracked(list(range(len(wanted))), bool(running["progress"])):
        answers = averaged(members, _answers(members, sessions, samples, wanted[number], settings))
        index = task.decode(answers.of(samples).outputs).index
        found[wanted[number].name].append(_line(wanted[number], truth, index, undisturbed, classes, how))
    return {
        "seed": how.seed,
        "reference_px": REFERENCE_PX,
        "kinds": {
            name: {"title": KINDS[name].title, "axis": KINDS[name].axis, "severities": lines}
            for name, lines in found.items()
        },
    }


def _answers(
    members: Sequence[Bundle],
    sessions: Sequence[Session],
    samples: Sequence[Sample],
    disturbance: Disturbance,
    settings: Mapping[str, Any],
) -> Iterator[Answers]:
    quietly = {**settings, "progress": False, "disturbance": disturbance}
    return (answers_of(member, session, samples, **quietly) for member, session in zip(members, sessions, strict=True))


def _line(
    disturbance: Disturbance,
    truth: NDArray[np.int64],
    index: NDArray[np.int64],
    undisturbed: NDArray[np.int64],
    classes: int,
    how: Resampling,
) -> dict[str, Any]:
    kind, severity = KINDS[disturbance.name], disturbance.severity
    scores = how.of_confusion(SCORES, truth, index, classes)
    gained = (index == truth).astype(np.float64) - (undisturbed == truth)
    change = repeated_interval(gained[None], groups=how.groups, resamples=how.resamples, seed=how.seed)
    return {
        "severity": severity,
        "level": kind.levels[severity - 1] if severity else None,
        "words": kind.words(severity),
        **{name: value.to_json() for name, value in scores.items()},
        "change": change.to_json(),
    }
