"""From all that a reader found to what a run trains on, selects by and reports on.

Every ambiguity of a protocol (what votes mean, which classes count, what is held back) is a field of
:class:`DataConfig`; the readers decide none of it.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.data.readers import READERS
from mien.data.rules import RULES, LabelRule, distribution_of
from mien.schema.errors import ConfigError, DatasetError
from mien.schema.labels import LABEL_SETS, LabelSet
from mien.schema.sample import (
    Clip,
    Composed,
    FeatureArray,
    FeatureCsv,
    FeatureSource,
    File,
    FrameFolder,
    Recording,
    Sample,
    Source,
    Targets,
)

MIN_HALVED = 100
"""Validation parts smaller than this are not halved: both halves would be too small to mean anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which samples a run uses and how their annotation becomes a label.

    Attributes:
        reader: name in ``READERS``.
        label_set: id in ``LABEL_SETS``; ``None`` takes the reader's own, or the classes found in the samples.
        labels: classes to keep, in the label set's order; ``None`` keeps all.
        train_rule: what votes mean in training.
        valid_rule: what votes mean in validation and test.
        train_splits: splits of the dataset that are trained on.
        valid_splits: splits that are validated on.
        test_splits: splits that are tested on.
        valid_ratio: share of training that is held back, stratified, where no sample stands in ``valid_splits``.
        halve_valid: select on half of the validation part and report on the other; else both are the whole.
        fold: official fold to hold back as validation; all other samples of ``train_splits`` are trained on.
        groups: keep the samples of these groups only, such as a scene; ``None`` keeps all.
        drop_duplicates: drop from training repeated pixels and pixels that stand in another split too.
        limit: keep at most this many samples in each part, chosen by the hash of their keys; pictures with several
            faces are kept or left out as a whole, and one picture is kept in any case.
    """

    reader: str
    label_set: str | None = None
    labels: tuple[str, ...] | None = None
    train_rule: LabelRule = "majority"
    valid_rule: LabelRule = "majority"
    train_splits: tuple[str, ...] = ("train",)
    valid_splits: tuple[str, ...] = ("valid",)
    test_splits: tuple[str, ...] = ("test",)
    valid_ratio: float = 0.2
    halve_valid: bool = True
    fold: int | None = None
    groups: tuple[str, ...] | None = None
    drop_duplicates: bool = True
    limit: int | None = None

    def __post_init__(self) -> None:
        for rule in (self.train_rule, self.valid_rule):
            if rule not in RULES:
                raise ConfigError(f"There is no label rule {rule!r}; allowed: {', '.join(RULES)}.")
        if not 0 <= self.valid_ratio < 1:
            raise ConfigError(f"valid_ratio is at least 0 and below 1; given: {self.valid_ratio}")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit is at least 1; given: {self.limit}")
        if self.label_set is not None and self.label_set not in LABEL_SETS:
            raise ConfigError(f"There is no label set {self.label_set!r}; allowed: {', '.join(LABEL_SETS)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A sample and what is to be learnt of it.

    Attributes:
        sample: where its pixels are and the whole annotation.
        index: class index.
        distribution: ``float32 [C]``, summing to 1; one-hot unless the rule is ``votes``. Where the strength of
            each reaction is known, these strengths, in [0, 1] each.
    """

    sample: Sample
    index: int
    distribution: NDArray[np.float32] = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """The parts of one run.

    Attributes:
        labels: the classes, in order.
        train: learnt from.
        select: half A of validation: chooses the epoch, temperature and thresholds.
        report: half B of validation: every reported figure.
        test: the dataset's test part, empty where it has none.
        halved: whether ``select`` and ``report`` are different halves.
        dropped: how many samples were left out, by ``"<part>: <reason>"``.
    """

    labels: LabelSet
    train: tuple[Labelled, ...]
    select: tuple[Labelled, ...]
    report: tuple[Labelled, ...]
    test: tuple[Labelled, ...] = ()
    halved: bool = True
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def valid(self) -> tuple[Labelled, ...]:
        """The whole validation part."""
        return (*self.select, *self.report) if self.halved else self.select


def make_splits(
    samples: Sequence[Sample], config: DataConfig, *, pixel_hashes: Mapping[str, str] | None = None
) -> Splits:
    """Divide, label and clean the samples of one dataset.

    Args:
        samples: all that the reader found.
        config: the protocol.
        pixel_hashes: digest of the decoded pixels by key, for layouts that bring none.

    Raises:
        DatasetError: if nothing is left to train on, or a label is not in the label set.
        ConfigError: if the classes to keep are not labels of the set, or the dataset lacks the fold or a group.
    """
    samples = _of_groups(samples, config.groups)
    if pixel_hashes is not None:
        samples = [replace(s, pixel_hash=s.pixel_hash or pixel_hashes.get(s.key)) for s in samples]
    labels, dropped = label_set_of(samples, config), Counter[str]()
    parts = _divide(samples, config)
    rules = {"train": config.train_rule, "valid": config.valid_rule, "test": config.valid_rule}
    kept = {part: _label(parts[part], labels, rules[part], part, dropped) for part in parts}
    if config.drop_duplicates:
        kept["train"] = _without_duplicates(kept["train"], parts, dropped)
    if not kept["train"] and not kept["valid"] and not kept["test"]:
        raise DatasetError(
            f"No usable sample for {', '.join(labels.names)} in {len(samples)} samples of {config.reader!r}; "
            f"left out: {dict(dropped) or 'none, the splits are empty'}."
        )
    halves = _halve(kept["valid"], parts["valid"], config)
    limited = {name: _limit(part, config.limit) for name, part in {**kept, **halves}.items()}
    return Splits(
        labels=labels,
        train=limited["train"],
        select=limited["select"],
        report=limited["report"],
        test=limited["test"],
        halved=halves["select"] is not halves["report"],
        dropped=dict(dropped),
    )


def label_set_of(samples: Iterable[Sample], config: DataConfig) -> LabelSet:
    """The classes of a run: the configured set or the labels found in the samples, reduced to ``config.labels``.

    Raises:
        ConfigError: if ``config.labels`` names a label that the set lacks.
        DatasetError: if the set has to be found in samples that have no labels.
    """
    set_id = config.label_set or (READERS[config.reader].labels if config.reader in READERS else None)
    if set_id is not None:
        found = LABEL_SETS[set_id]
    else:
        names = sorted({s.targets.label for s in samples if s.targets.label is not None})
        if not names:
            raise DatasetError(f"The samples of {config.reader!r} have no labels, so there is no class to learn.")
        found = LabelSet(config.reader, tuple(names), "names found in the dataset, sorted")
    return found.subset(config.labels) if config.labels is not None else found


def half_of(key: str) -> Literal["a", "b"]:
    """Half of the validation part to which a key belongs; the same on every machine."""
    return "a" if hashlib.sha256(key.encode()).digest()[0] < 128 else "b"


def data_fingerprint(samples: Iterable[Sample]) -> str:
    """Twelve hex digits that change with any key, split, annotation or size of a picture file.

    The order of the samples and the place of the dataset on the disk do not matter.
    """
    digest = hashlib.sha256()
    for line in sorted(_describe(s) for s in samples):
        digest.update(line.encode())
    return digest.hexdigest()[:12]


def _divide(samples: Sequence[Sample], config: DataConfig) -> dict[str, list[Sample]]:
    train = [s for s in samples if s.split in config.train_splits]
    valid = [s for s in samples if s.split in config.valid_splits]
    test = [s for s in samples if s.split in config.test_splits]
    if config.fold is not None:
        train, valid = _fold(train, config.fold)
    elif not valid and config.valid_ratio > 0:
        train, valid = _hold_back(train, config.valid_ratio)
    return {"train": train, "valid": valid, "test": test}


def _of_groups(samples: Sequence[Sample], groups: tuple[str, ...] | None) -> Sequence[Sample]:
    if groups is None:
        return samples
    wanted, known = {group.lower() for group in groups}, {group for s in samples for group in s.groups}
    if not wanted or wanted - known:
        raise ConfigError(
            f"The dataset has no group {', '.join(sorted(wanted - known)) or '()'}; "
            f"it has: {', '.join(sorted(known)) or 'no groups'}."
        )
    return [s for s in samples if wanted.intersection(s.groups)]


def _fold(samples: Sequence[Sample], fold: int) -> tuple[list[Sample], list[Sample]]:
    folds = sorted({f for s in samples for f in s.folds})
    if fold not in folds:
        raise ConfigError(f"The dataset has no fold {fold}; it has: {', '.join(map(str, folds)) or 'no folds'}.")
    return [s for s in samples if fold not in s.folds], [s for s in samples if fold in s.folds]


def _hold_back(samples: list[Sample], ratio: float) -> tuple[list[Sample], list[Sample]]:
    """A share of each class, at least one sample of a class with two, chosen by hash.

    All samples of a person, or else of a picture, stay together; so a class may lose a little more than its share.
    """
    left = Counter(_stratum(sample) for sample in samples)
    wanted = {stratum: max(1, round(ratio * n)) for stratum, n in left.items()}
    groups = defaultdict[str, list[Sample]](list)
    for sample in samples:
        groups[_group(sample)].append(sample)
    held = set[str]()
    for group in sorted(groups, key=_hash):
        members = Counter(_stratum(sample) for sample in groups[group])
        spared = all(left[stratum] > n for stratum, n in members.items())
        if spared and any(wanted[stratum] > 0 for stratum in members):
            left.subtract(members)
            wanted = {stratum: n - members[stratum] for stratum, n in wanted.items()}
            held.update(sample.key for sample in groups[group])
    return [s for s in samples if s.key not in held], [s for s in samples if s.key in held]


def _group(sample: Sample) -> str:
    """What must not be torn apart: a person, the faces of one picture, or the sample itself."""
    return f"subject {sample.subject}" if sample.subject else _picture(sample)


def _picture(sample: Sample) -> str:
    """Name of the picture in which a face is: the key up to the ``#`` (``name#face``), or all of it."""
    return sample.key.partition("#")[0]


def _stratum(sample: Sample) -> str:
    told = sample.targets.votes or sample.targets.intensities
    return max(told, key=lambda one: one[1])[0] if told else sample.targets.label or ""


def _label(
    samples: Iterable[Sample], labels: LabelSet, rule: LabelRule, part: str, dropped: Counter[str]
) -> list[Labelled]:
    kept = []
    for sample in samples:
        found = distribution_of(sample.targets, labels, rule)
        if isinstance(found, str):
            dropped[f"{part}: {found}"] += 1
        else:
            kept.append(Labelled(sample=sample, index=int(found.argmax()), distribution=found))
    return kept


def _without_duplicates(
    train: list[Labelled], parts: Mapping[str, list[Sample]], dropped: Counter[str]
) -> list[Labelled]:
    in_training = {s.split for s in parts["train"]}
    elsewhere = {s.pixel_hash for part in ("valid", "test") for s in parts[part]}
    first, kept = dict[str, str](), []
    for labelled in train:
        pixels, picture = labelled.sample.pixel_hash, _picture(labelled.sample)
        if (pixels and pixels in elsewhere) or not in_training.issuperset(labelled.sample.also_in):
            dropped["train: same pixels in another split"] += 1
        elif pixels and first.setdefault(pixels, picture) != picture:
            dropped["train: same pixels as another sample"] += 1
        else:
            kept.append(labelled)
    return kept


def _halve(valid: list[Labelled], part: Sequence[Sample], config: DataConfig) -> dict[str, list[Labelled]]:
    if not config.halve_valid or len(valid) < MIN_HALVED:
        return {"select": valid, "report": valid}
    leader = dict[str, str]()
    for sample in part:
        picture = _picture(sample)
        pixels = sample.pixel_hash or picture
        leader[pixels] = min(leader.get(pixels, picture), picture)
    halves: dict[str, list[Labelled]] = {"a": [], "b": []}
    for labelled in valid:
        halves[half_of(leader[labelled.sample.pixel_hash or _picture(labelled.sample)])].append(labelled)
    return {"select": halves["a"], "report": halves["b"]}


def _limit(part: list[Labelled], limit: int | None) -> tuple[Labelled, ...]:
    if limit is None or len(part) <= limit:
        return tuple(part)
    faces = Counter(_picture(labelled.sample) for labelled in part)
    chosen, left = set[str](), limit
    for picture in sorted(faces, key=_hash):
        if faces[picture] > left and chosen:
            break
        chosen.add(picture)
        left -= faces[picture]
    return tuple(labelled for labelled in part if _picture(labelled.sample) in chosen)


def _hash(name: str) -> str:
    return hashlib.sha256(f"order {name}".encode()).hexdigest()


def _describe(sample: Sample) -> str:
    known = [(f.name, getattr(sample.targets, f.name)) for f in fields(Targets)]
    annotation = [(name, value) for name, value in known if value is not None]
    more = [] if sample.sound is None else [_extent(sample.sound)]
    more += [(name, _extent(source)) for name, source in sample.features]
    return repr((sample.key, sample.split, sample.folds, sample.box, _extent(sample.source), annotation, *more))


def _extent(source: Source | FeatureSource) -> object:
    """Size of a file, the stretch of it that is used, or the number of pictures; 0 where nothing is on the disk."""
    match source:
        case File(path):
            return path.stat().st_size if path.exists() else 0
        case Clip(path, start_s, end_s) | Recording(path, start_s, end_s):
            return path.stat().st_size if path.exists() else 0, start_s, end_s
        case FeatureArray(path):
            return path.stat().st_size if path.exists() else 0
        case FeatureCsv(path, skip):
            return path.stat().st_size if path.exists() else 0, skip
        case FrameFolder(paths):
            return len(paths)
        case Composed(renderer, _, _, _, seed, material):
            return renderer, seed, material
        case _:
            return 0
