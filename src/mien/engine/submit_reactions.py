"""Answers to a challenge of reactions: what bundles say of every clip of a part, in the form in which it takes them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.data.reaction_writer import write_predictions
from mien.data.readers import read_dataset
from mien.engine.ensemble import members_of
from mien.engine.evaluate_reactions import answer_reactions, feed
from mien.runtime.bundle import Bundle
from mien.schema.errors import BundleError, DatasetError
from mien.schema.labels import HUME_REACTION
from mien.tasks import task_from_json


def submit_reactions(
    model: Bundle | str | Path,
    dataset: str,
    out: Path,
    *,
    root: Path | None = None,
    split: str = "test",
    others: Sequence[Bundle | str | Path] = (),
    features: Mapping[str, str] | None = None,
    **running: Any,
) -> Path:
    """Answer for every clip of one part, judged or not, and write the file of the challenge.

    Args:
        model: that tells how strong the reactions of Hume-Reaction are; its folder or its name.
        dataset: name in ``READERS``.
        out: the file, as :func:`mien.data.reaction_writer.write_predictions` writes it.
        root: folder of the dataset; ``None`` takes ``$MIEN_DATA/<folder>``.
        split: ``train``, ``valid`` or ``test``.
        others: further models, whose answers are averaged with those of the first.
        features: folder or set of the dataset by name of the input; ``None`` takes those of the training.
        running: ``runtime``, ``device``, ``precision``, ``batch_size`` and ``progress``, as in
            :func:`mien.engine.evaluate_reactions.answer_reactions`.

    Raises:
        ConfigError: if it is not known where the features of an input are.
        BundleError: if a model does something else, answers other reactions, or is given features of another encoder.
        DatasetError: if the part has no clips, or one of them has no features.
    """
    members = members_of(model, others)
    first = members[0]
    if first.task.get("name") != "regress" or first.labels is None:
        raise BundleError(
            f"The challenge asks how strong reactions are, which a model of the task regress tells, such as one of "
            f"reaction; {first.name} does {first.task.get('name')!r}"
        )
    if missing := [name for name in HUME_REACTION.names if name not in first.labels.names]:
        raise BundleError(f"{first.name} does not tell how strong {', '.join(missing)} is; the challenge asks for it")
    samples = read_dataset(dataset, root)
    keys = [sample.key for sample in samples if sample.split == split]
    if not keys:
        raise DatasetError(f"The part {split!r} of {dataset!r} has no clips; choose another --split.")
    fed = feed(members, samples, features)
    for one in fed:
        if lost := [key for key in keys if key not in one.samples]:
            raise DatasetError(
                f"{len(lost)} of {len(keys)} clips have no {' and '.join(one.features)}, e.g. {lost[0]}; the challenge "
                "wants an answer for each: compute their features."
            )
    answers = answer_reactions(fed, keys, **running)
    values = task_from_json(first.task, first.labels).decode(answers.outputs).values
    order = [first.labels.names.index(name) for name in HUME_REACTION.names]
    return write_predictions(out, dict(zip(keys, values[:, order], strict=True)))
