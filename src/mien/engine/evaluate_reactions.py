"""Measure bundles that tell how strong reactions are, by features that were computed before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.feature_tables import FeatureStore, bind_features
from mien.data.splits import DataConfig, Labelled, make_splits
from mien.engine.ensemble import averaged
from mien.engine.features import allows_random, check_encoders, chosen_of, describe
from mien.engine.measure import Answers
from mien.engine.measure_sequences import answer_sequences
from mien.engine.report_reactions import ReactionRow
from mien.engine.score import Resampling
from mien.engine.score_reactions import reaction_figures, reaction_headline
from mien.engine.views import PARTS, dropped_of, groups_of, parts_of
from mien.runtime.bundle import Bundle
from mien.runtime.session import Precision, open_session
from mien.schema.errors import DatasetError
from mien.schema.inputs import FeatureSpec
from mien.schema.labels import LabelSet
from mien.schema.sample import Sample
from mien.tasks import task_from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionColumns:
    """Truth and answers of one part.

    Attributes:
        part: key of ``mien.engine.views.PARTS``.
        dropped: samples left out, by reason.
        features: what the features of each input are.
        figures: of a report.
        rows: one a clip.
    """

    part: str
    dropped: dict[str, int]
    features: dict[str, dict[str, Any]]
    figures: dict[str, Any]
    rows: list[ReactionRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """A bundle with the features that it is given.

    Attributes:
        bundle: the bundle.
        samples: those that have all of its features, by key.
        store: reads them.
        features: what they are, by name of the input.
        dropped: samples left out, by part and reason.
    """

    bundle: Bundle
    samples: Mapping[str, Sample]
    store: FeatureStore
    features: dict[str, dict[str, Any]]
    dropped: dict[str, int]


def measure_reactions(
    members: Sequence[Bundle],
    samples: Sequence[Sample],
    config: DataConfig,
    split: str,
    how: Resampling,
    *,
    features: Mapping[str, str] | None = None,
    **running: Any,
) -> ReactionColumns:
    """Truth, answers and figures of one part of a dataset; of several members the mean of what they answer.

    A clip that lacks the features of one member is left out for all.

    Args:
        members: of one task and the same labels.
        samples: all that the reader found.
        config: the protocol.
        split: one of ``mien.engine.views.SPLITS``.
        how: the resampling; the groups are filled in here.
        features: folder or set of the dataset by name of the input; ``None`` takes those of the training.
        running: as in :func:`answer_reactions`.

    Raises:
        ConfigError: if it is not known where the features of an input are.
        BundleError: if they are of another encoder than those of the training.
        DatasetError: if the part has no clip with known strengths, or features cannot be used.
    """
    labels = members[0].labels
    assert labels is not None
    fed = feed(members, samples, features)
    splits = make_splits([sample for sample in samples if all(sample.key in one.samples for one in fed)], config)
    dropped = {**dropped_of(splits.dropped, split), **dropped_of(_lost(fed), split)}
    parts = parts_of(splits, split)
    first = next(iter(parts))
    if not parts[first]:
        raise DatasetError(
            f"The {PARTS[first]} of {config.reader!r} has no clip with features and known strengths; left out: "
            f"{dropped or 'none, it is empty'}"
        )
    asked = list(dict.fromkeys(item.sample.key for part in parts.values() for item in part))
    answers = answer_reactions(fed, asked, **running)
    lines = []
    for part, items in parts.items():
        truth, found, groups = _columns(items, splits.labels, labels, answers, members[0])
        line = reaction_headline(truth, found, replace(how, groups=groups))
        lines.append({"part": PARTS[part], "clips": len(items), **line})
    truth, found, groups = _columns(parts[first], splits.labels, labels, answers, members[0])
    keys = [item.sample.key for item in parts[first]]
    columns = zip(keys, groups, truth.tolist(), found.tolist(), strict=True)
    return ReactionColumns(
        part=first,
        dropped=dropped,
        features={name: told for one in fed for name, told in one.features.items()},
        figures={**reaction_figures(truth, found, labels, replace(how, groups=groups)), "parts": lines},
        rows=[ReactionRow(key=key, group=group, truth=true, answer=own) for key, group, true, own in columns],
    )


def feed(members: Sequence[Bundle], samples: Sequence[Sample], given: Mapping[str, str] | None) -> list[Fed]:
    """The samples with the features that each bundle takes; what several take is read once.

    Raises:
        ConfigError: if it is not known where the features of an input are.
        BundleError: if they are of another encoder than those of the training.
        DatasetError: if there are no such features, or they are random and those of the training were not.
    """
    store = FeatureStore(allow_random=any(map(allows_random, members)))
    return [_feed(member, samples, given, store) for member in members]


def _feed(bundle: Bundle, samples: Sequence[Sample], given: Mapping[str, str] | None, store: FeatureStore) -> Fed:
    chosen = chosen_of(bundle, given)
    kept, dropped = bind_features(samples, chosen, store)
    described = describe(chosen, kept, store)
    check_encoders(bundle, described)
    return Fed(
        bundle=bundle,
        samples={sample.key: sample for sample in kept},
        store=store,
        features=described,
        dropped=dropped,
    )


def answer_reactions(
    fed: Sequence[Fed],
    keys: Sequence[str],
    *,
    runtime: str = "openvino",
    device: str = "cpu",
    precision: Precision = "fp32",
    batch_size: int = 64,
    progress: bool = True,
) -> Answers:
    """What the members answer for the clips of these keys, on average.

    Args:
        fed: the members, each of which has features of all of these clips.
        keys: of the clips.
        runtime: ``openvino``, ``onnx`` or ``torch``.
        device: as in :func:`mien.runtime.session.open_session`.
        precision: as there.
        batch_size: clips in one run of the network.
        progress: whether to show a bar.
    """

    def of(one: Fed) -> Answers:
        session = open_session(one.bundle, runtime, device, precision=precision)
        inputs = {name: spec for name, spec in one.bundle.inputs.items() if isinstance(spec, FeatureSpec)}
        own = [one.samples[key] for key in keys]
        return answer_sequences(session, inputs, own, one.store, batch_size=batch_size, progress=progress)

    return averaged([one.bundle for one in fed], map(of, fed))


def _lost(fed: Sequence[Fed]) -> dict[str, int]:
    lost: dict[str, int] = {}
    for one in fed:
        lost |= one.dropped
    return lost


def _columns(
    items: Sequence[Labelled], own: LabelSet, labels: LabelSet, answers: Answers, bundle: Bundle
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[str]]:
    """Truth and answers ``[N, C]`` in the order of the model's labels, and what is drawn together."""
    if missing := [name for name in labels.names if name not in own.names]:
        raise DatasetError(
            f"The dataset does not tell how strong {', '.join(missing)} is; it has: {', '.join(own.names)}"
        )
    order = [own.names.index(name) for name in labels.names]
    samples = [item.sample for item in items]
    truth = np.array([item.distribution[order] for item in items], np.float32).reshape(-1, len(labels))
    found = task_from_json(bundle.task, labels).decode(answers.of(samples).outputs).values
    return truth, found, groups_of(samples)
