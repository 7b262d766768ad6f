"""One bundle or several whose answers are averaged: of classifiers the probabilities, of reactions the strengths."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.moment_input import is_momentary
from mien.engine.measure import Answers, answer
from mien.engine.measure_clips import answer_clips
from mien.engine.measure_moments import answer_moments
from mien.engine.measure_windows import answer_windows
from mien.engine.pooling import logits_of
from mien.metrics.calibration import softmax
from mien.runtime.bundle import WEIGHTS, Bundle, find_bundle
from mien.runtime.session import Session
from mien.schema.errors import BundleError
from mien.schema.sample import Sample
from mien.tasks import CLASSIFIERS

CLIP_BATCH = 16
"""Clips in one run of a network."""

ALLOWED = (*CLASSIFIERS, "regress")
"""Tasks whose answers can be averaged."""


def answers_of(bundle: Bundle, session: Session, samples: Sequence[Sample], *, smooth: int = 1, **how: Any) -> Answers:
    """What a network answers for faces, clips, moments or frames, whatever it reads.

    Args:
        bundle: the network's.
        session: the network.
        samples: without repetition.
        smooth: of frames of videos, over how many answers are averaged.
        how: as in :func:`mien.engine.measure.answer`; of a network that is told of a face also ``store``.
    """
    if answers_frames(bundle):
        find: Callable[..., Answers] = answer_moments if is_momentary(bundle.inputs) else answer_windows
        return find(session, bundle.inputs, samples, smooth=smooth, **how)
    if "clip" in bundle.inputs:
        size = min(how.pop("batch_size", CLIP_BATCH), CLIP_BATCH)
        return answer_clips(session, bundle.inputs, samples, batch_size=size, **how)
    return answer(session, bundle.image_spec(), samples, **how)


def answers_frames(bundle: Bundle) -> bool:
    """Whether a network answers for moments or frames of a video."""
    return bundle.task.get("name") == "classify_frames" or is_momentary(bundle.inputs)


def members_of(model: Bundle | str | Path, others: Iterable[Bundle | str | Path] = ()) -> tuple[Bundle, ...]:
    """The bundles whose answers are averaged.

    Args:
        model: a bundle, its folder or its name.
        others: further ones; none leaves the first as it is.

    Raises:
        BundleError: if one of them does something else, has other labels, or does what cannot be averaged.
    """
    members = tuple(one if isinstance(one, Bundle) else find_bundle(one) for one in (model, *others))
    first = members[0]
    if len(members) > 1 and (first.task.get("name") not in ALLOWED or first.labels is None):
        raise BundleError(
            f"Answers of several models are averaged for classes and strengths of reactions; {first.name} does "
            f"{first.task.get('name')!r}. Measure it by itself."
        )
    for other in members[1:]:
        names = [one.labels.names if one.labels else () for one in (first, other)]
        if other.task.get("name") != first.task.get("name") or names[0] != names[1]:
            raise BundleError(
                f"Models whose answers are averaged have one task and the same labels: {first.name} does "
                f"{first.task.get('name')!r} of {', '.join(names[0])}; {other.name} does "
                f"{other.task.get('name')!r} of {', '.join(names[1]) or 'nothing'}."
            )
    return members


def as_one(members: Sequence[Bundle]) -> Bundle:
    """What a report says of several bundles together; of one it is the bundle itself.

    Its probabilities are those of the members, which have their temperatures already.
    """
    first = members[0]
    if len(members) == 1:
        return first
    joined = hashlib.sha256("".join(one.hash12 for one in members).encode()).hexdigest()
    names = dict.fromkeys(one.name for one in members)
    told = ("recipe", "seed", "commit", "data_fingerprint")
    return replace(
        first,
        name=f"mean of {len(members)}: {', '.join(names)}",
        task={**first.task, **({"temperature": 1.0} if "temperature" in first.task else {})},
        provenance={
            **{name: _together(one.provenance[name] for one in members) for name in told},
            "members": [f"{one.name}@{one.hash12}" for one in members],
        },
        licences={name: _together(one.licences[name] for one in members) for name in first.licences},
        figures={},
        files={**first.files, WEIGHTS: {"sha256": joined, "bytes": 0}},
    )


def averaged(members: Sequence[Bundle], answers: Iterable[Answers]) -> Answers:
    """The mean of what each member answers for the same samples; with one member its answers as they are.

    Of ``logits`` it is the logarithm of the mean probabilities, each at the temperature of its member; of
    ``intensity`` the mean. Other outputs are left out.
    """
    if len(members) == 1:
        return next(iter(answers))
    first: Answers | None = None
    total: NDArray[np.float64] | float = 0.0
    for member, one in zip(members, answers, strict=True):
        own = _shares(member, one) if first is None else _shares(member, one.of_keys(first.rows))
        first, total = first or one, total + own / len(members)
    assert first is not None
    mean = np.asarray(total)
    outputs = {"intensity": mean.astype(np.float32)} if "intensity" in first.outputs else {"logits": logits_of(mean)}
    return replace(first, outputs=outputs)


def _shares(member: Bundle, answers: Answers) -> NDArray[np.float64]:
    if "intensity" in answers.outputs:
        return np.asarray(answers.outputs["intensity"], np.float64)
    return np.asarray(softmax(answers.outputs["logits"], float(member.task["temperature"])), np.float64)


def _together(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values))
