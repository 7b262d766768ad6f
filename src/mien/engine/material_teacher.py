"""What a teacher answers, laid beside the labels of the faces that a student learns from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from mien.data.loader import Faces
from mien.data.teacher import read_teacher
from mien.engine.part import Loaded
from mien.engine.run import Run
from mien.runtime.bundle import Bundle, find_bundle
from mien.schema.errors import ConfigError
from mien.schema.inputs import ImageSpec
from mien.schema.labels import LabelSet


def attach_teacher(run: Run, train: Loaded, labels: LabelSet, fingerprint: str) -> dict[str, Any]:
    """Give the training faces the target ``teacher``; what ``run.json`` says of it, nothing for a run without one.

    Args:
        run: which may name a file or, as its teachers, bundles.
        train: its training part.
        labels: its classes, in order.
        fingerprint: of its dataset.

    Raises:
        ConfigError: if a loss needs a teacher and there is none, or the other way about, or the run reads no single
            faces.
        DatasetError: if the file cannot be used for these faces and classes.
    """
    learns = any(getattr(one, "needs_teacher", False) for one in (run.loss, *run.added))
    if run.teacher is None and not run.teachers:
        if learns:
            raise ConfigError(
                f"{run.name!r} learns from a teacher; name the file of its answers as teacher, which is written with: "
                "python -m mien.deploy.teach BUNDLE --dataset NAME --out FILE, or name bundles as teachers"
            )
        return {}
    if not learns:
        named = run.teacher or ", ".join(run.teachers)
        raise ConfigError(f"No loss of {run.name!r} learns from the teacher {named}; put a Distillation in added")
    if not isinstance(train, Faces) or run.task != "classify":
        raise ConfigError(f"A teacher answers for single faces and their classes; {run.name!r} learns something else")
    if run.teacher is None:
        live = [find_bundle(name) for name in run.teachers]
        train.looks = {name: _look(run, train, *key) for key, name in _names(run, live).items() if name != "image"}
        return {"bundles": [f"{bundle.name}@{bundle.hash12}" for bundle in live]}
    teacher, keys = read_teacher(Path(run.teacher)), [item.sample.key for item in train.items]
    train.teacher = teacher.of(keys, labels, dataset=run.data.reader, fingerprint=fingerprint)
    return teacher.describe()


def looks_of(run: Run, teachers: Sequence[Bundle]) -> list[str]:
    """What in a batch each teacher looks at: ``image`` if it was shown faces as the student is, else a look of its own.

    Raises:
        BundleError: if one of them is fed anything but single faces.
        ConfigError: if one saw the faces aligned and the student sees whole pictures.
    """
    names = _names(run, teachers)
    return [names[_key(teacher)] for teacher in teachers]


Key = tuple[ImageSpec, Literal["face", "whole"]]


def _key(bundle: Bundle) -> Key:
    return bundle.image_spec(), "whole" if bundle.provenance.get("crop") == "whole" else "face"


def _names(run: Run, teachers: Sequence[Bundle]) -> dict[Key, str]:
    names: dict[Key, str] = {(run.model.inputs()["image"], run.crop): "image"}
    for teacher in teachers:
        key = _key(teacher)
        if key[1] == "face" and run.crop == "whole":
            raise ConfigError(f"{teacher.name} was shown aligned faces, which a run with crop=whole does not look for")
        names.setdefault(key, f"look_{len(names)}")
    return names


def _look(run: Run, train: Faces, spec: ImageSpec, crop: Literal["face", "whole"]) -> Faces:
    shared = train.pictures if spec.colour == train.spec.colour else None
    faces = train.faces if crop == "face" else [None] * len(train.items)
    return Faces(train.items, faces, spec, augment=train.augment, pictures=shared, cache_mb=run.train.cache_mb)
