"""What a run of moments works on: samples that can be seen or heard, with their faces or the features of these."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mien.data.augment import Augment
from mien.data.feature_tables import FeatureStore
from mien.data.moment_faces import Known, locate
from mien.data.moment_features import bind_moments, face_features
from mien.data.moment_input import is_answerable
from mien.data.moments import Moments
from mien.data.prepare_clips import ClipFaces
from mien.data.splits import Labelled
from mien.engine.features import check_told, describe_folder, told_inputs
from mien.engine.material_sequences import Bound
from mien.engine.part import Part, varied
from mien.engine.run import Run
from mien.schema.errors import ConfigError, DatasetError
from mien.schema.labels import LabelSet
from mien.schema.sample import Sample


def told(run: Run, samples: Sequence[Sample]) -> Bound | None:
    """The samples of a dataset, those with features of a face with these; ``None`` if the model takes none at moments.

    Raises:
        ConfigError: if the run does not say where the features are.
        DatasetError: if there is no such folder, or it cannot be used.
    """
    inputs = run.model.inputs()
    if not told_inputs(inputs):
        return None
    check_told(run.architecture, inputs, run.features)
    store = FeatureStore(allow_random=run.random_features, cache_mb=run.train.cache_mb)
    ((name, folder),) = run.features
    bound = bind_moments(samples, name, Path(folder), store)
    return Bound(samples=bound, store=store, dropped={}, described={name: describe_folder(folder, store)})


def moments(
    run: Run,
    items: Mapping[str, Sequence[Labelled]],
    labels: LabelSet,
    store: FeatureStore | None,
    progress: bool,
) -> dict[str, Part]:
    """The parts, ready to be loaded.

    Args:
        run: with a model that looks, is told of a face, or listens around a moment.
        items: the samples of each part.
        labels: the classes.
        store: reads the features of a model that takes some; the samples have them under the names of the inputs.
        progress: whether to show a bar.

    Raises:
        ConfigError: if pictures are to be mixed.
        DatasetError: if a part has nothing that the network can read, or features cannot be used.
    """
    inputs = run.model.inputs()
    if isinstance(run.augment, Augment) and (run.augment.mixup or run.augment.cutmix):
        raise ConfigError("augment.mixup and augment.cutmix mix pictures of faces; moments cannot be mixed")
    parts = {}
    for name, part in items.items():
        faces = face_features(inputs, store) if store is not None else None
        known: list[Known] = [None] * len(part)
        if "clip" in inputs:
            whole = run.crop == "whole"
            known = locate([item.sample for item in part], name=run.data.reader, whole=whole, progress=progress)
        pairs = zip(part, known, strict=True)
        kept = [(item, found) for item, found in pairs if is_answerable(item.sample, found, inputs, faces)]
        if part and not kept:
            kind = "a voice" if "sound" in inputs else "features of a face" if faces is not None else "pictures"
            raise DatasetError(
                f"{run.architecture} needs {kind}, and {run.data.reader!r} has none, e.g. {part[0].sample.key}"
            )
        loaded = Moments(
            [item for item, _ in kept],
            [found for _, found in kept],
            inputs,
            labels,
            faces=faces,
            augment=varied(run, name),
            whole=run.crop == "whole",
            cache_mb=run.train.cache_mb,
        )
        if run.train.workers:
            loaded.warm()
        lost = {f"{name}: nothing that the network can read": len(part) - len(kept)}
        parts[name] = Part(loaded, _alignments(loaded.known) if "clip" in inputs else {}, lost)
    return parts


def _alignments(known: Sequence[Known]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for one in known:
        counted.update(one.counts() if isinstance(one, ClipFaces) else [str(one.alignment) if one else "none"])
    return dict(counted)
