"""Is a dataset complete and what its authors published? Counts, classes, missing files, duplicates, fingerprint."""

import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.data.readers import DatasetWarning, ReaderEntry, entry, find_root, read_dataset, unexpected_counts
from mien.data.rules import LabelRule, distribution_of
from mien.data.splits import DataConfig, data_fingerprint, label_set_of
from mien.media.archive import member_sizes
from mien.media.clip_source import all_frames
from mien.media.image import read_source
from mien.media.sound_source import read_sound_source
from mien.schema.errors import MediaError
from mien.schema.labels import LabelSet
from mien.schema.sample import (
    Clip,
    Composed,
    CsvRow,
    FeatureCsv,
    FeatureTable,
    File,
    FrameFolder,
    Recording,
    Rendered,
    RenderedClip,
    RenderedVoice,
    Sample,
    Source,
    ZipMember,
)

NAMED = 10
"""How many missing or unreadable files a report names; it counts all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitReport:
    """One split as it was found.

    Attributes:
        samples: number of annotated faces, clips or utterances.
        expected: published number, several where distributions differ, empty where none is known.
        classes: number of them of each class under the label rule, in the order of the label set; of clips whose frames
            are labelled one by one the number of frames.
        expected_classes: published number of each class, empty where none is known.
        unlabelled: number of faces without a class, by reason.
    """

    samples: int
    expected: tuple[int, ...]
    classes: Mapping[str, int]
    expected_classes: tuple[int, ...]
    unlabelled: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReport:
    """What was found of a dataset, and what is wrong with it.

    Attributes:
        name: name of the reader.
        title: name of the dataset.
        root: where it lies; ``None`` if it is drawn.
        licence: what one may do with it.
        page: its page in ``docs/datasets``.
        fingerprint: of all samples, see :func:`~mien.data.splits.data_fingerprint`.
        rule: how votes became classes in the counts.
        splits: each split that was found.
        missing: number of annotated pictures that are not there.
        missing_examples: keys of the first of them.
        unreadable: number of pictures that cannot be decoded; ``None`` if they were not tried.
        unreadable_examples: keys of the first of them, each with the reason.
        duplicates: number of samples whose pixels occur earlier in the same split; ``None`` where hashes are unknown.
        leaks: number of training samples whose pixels stand in another split too; ``None`` where hashes are unknown.
        problems: one sentence for each thing that is not as published.
    """

    name: str
    title: str
    root: Path | None
    licence: str
    page: str
    fingerprint: str
    rule: LabelRule
    splits: Mapping[str, SplitReport]
    missing: int
    missing_examples: tuple[str, ...]
    unreadable: int | None
    unreadable_examples: tuple[str, ...]
    duplicates: int | None
    leaks: int | None
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is missing, unreadable or other than published."""
        return not self.problems


def verify(name: str, root: Path | None = None, *, rule: LabelRule = "majority", decode: bool = False) -> DatasetReport:
    """Read a dataset and compare it with what its authors published.

    Args:
        name: a name in ``READERS``.
        root: folder of the dataset; ``None`` takes ``$MIEN_DATA/<folder>``.
        rule: how votes become classes in the counts.
        decode: also decode every picture or frame, which takes about a minute for 100,000.

    Raises:
        DatasetError: if the dataset is not there or an annotation file is damaged.
    """
    reader = entry(name)
    if reader.needs_root:
        root = find_root(name, root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DatasetWarning)  # the report says it
        samples = read_dataset(name, root)
    labels = label_set_of(samples, DataConfig(reader=name))
    splits = {split: _split(part, labels, rule, reader, split) for split, part in _group(samples).items()}
    missing = _missing(samples)
    unreadable = _unreadable(samples, set(missing)) if decode else None
    duplicates, leaks = _repeated(samples)
    problems = [*unexpected_counts(reader, samples), *_unexpected_classes(splits)]
    problems += [f"{len(missing)} annotated pictures are missing, e.g. {missing[0]}"] if missing else []
    problems += [f"{len(unreadable)} pictures cannot be decoded, e.g. {unreadable[0]}"] if unreadable else []
    return DatasetReport(
        name=name,
        title=reader.title,
        root=root,
        licence=reader.licence,
        page=reader.page,
        fingerprint=data_fingerprint(samples),
        rule=rule,
        splits=splits,
        missing=len(missing),
        missing_examples=tuple(missing[:NAMED]),
        unreadable=None if unreadable is None else len(unreadable),
        unreadable_examples=tuple((unreadable or [])[:NAMED]),
        duplicates=duplicates,
        leaks=leaks,
        problems=tuple(problems),
    )


def _missing(samples: Iterable[Sample]) -> list[str]:
    """Keys of samples whose file, archive member or CSV file is not there; nothing is decoded."""
    members = dict[Path, Collection[str]]()
    keys = []
    for sample in samples:
        match sample.source:
            case File(path) | CsvRow(path, _) | Clip(path) | Recording(path) | FeatureCsv(path):
                there = path.is_file()
            case FeatureTable(path):
                there = path.is_dir()
            case FrameFolder(paths):
                there = all(path.is_file() for path in paths)
            case ZipMember(archive, member):
                if archive not in members:
                    members[archive] = member_sizes(archive)
                there = member in members[archive]
            case Rendered() | RenderedClip() | RenderedVoice() | Composed():
                there = True
        if isinstance(sample.sound, Recording):
            there = there and sample.sound.path.is_file()
        if not there:
            keys.append(sample.key)
    return keys


def _split(
    samples: Sequence[Sample], labels: LabelSet, rule: LabelRule, reader: ReaderEntry, split: str
) -> SplitReport:
    classes, unlabelled = Counter[str](), Counter[str]()
    for sample in samples:
        if sample.targets.frames is not None:
            classes.update(name for name in sample.targets.frames if name is not None)
            continue
        found = distribution_of(sample.targets, labels, rule)
        if isinstance(found, str):
            unlabelled[found] += 1
        else:
            classes[labels.names[int(found.argmax())]] += 1
    return SplitReport(
        samples=len(samples),
        expected=reader.expected.get(split, ()),
        classes={name: classes[name] for name in labels.names},
        expected_classes=reader.expected_classes.get(split, ()),
        unlabelled=dict(unlabelled),
    )


def _group(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    parts = defaultdict[str, list[Sample]](list)
    for sample in samples:
        parts[sample.split].append(sample)
    return dict(parts)


def _unexpected_classes(splits: Mapping[str, SplitReport]) -> list[str]:
    problems = []
    for split, report in splits.items():
        pairs = zip(report.classes.items(), report.expected_classes, strict=False)
        wrong = [f"{name} {found} (published {wanted})" for (name, found), wanted in pairs if found != wanted]
        problems += [f"classes of {split!r} are not as published: {', '.join(wrong)}"] if wrong else []
    return problems


def _unreadable(samples: Iterable[Sample], missing: Collection[str]) -> list[str]:
    failed = []
    for sample in (s for s in samples if s.key not in missing):
        try:
            _decode(sample.source)
            if sample.sound is not None:
                _decode(sample.sound)
        except MediaError as error:
            failed.append(f"{sample.key}: {error}")
    return failed


def _decode(source: Source) -> None:
    match source:
        case FrameFolder() | Clip():
            if sum(1 for _ in all_frames(source)) == 0:
                raise MediaError("it has no frame")
        case Recording():
            if not read_sound_source(source).present:
                raise MediaError("it has no sound")
        case RenderedClip() | RenderedVoice() | FeatureTable() | FeatureCsv():
            pass
        case _:
            read_source(source)


def _repeated(samples: Sequence[Sample]) -> tuple[int | None, int | None]:
    known = [sample for sample in samples if sample.pixel_hash is not None]
    if not known:
        return None, None
    splits_of = defaultdict[str | None, set[str]](set)
    for sample in known:
        splits_of[sample.pixel_hash].update([sample.split, *sample.also_in])
    duplicates = len(known) - len({(sample.split, sample.pixel_hash) for sample in known})
    leaks = sum(sample.split == "train" and len(splits_of[sample.pixel_hash]) > 1 for sample in known)
    return duplicates, leaks
