"""One dataset = one file = ``read(root) -> list[Sample]``; this table names them all.

A reader returns everything it finds, all splits and folds, decodes no pixel and raises a
:class:`~mien.schema.errors.DatasetError` that names the file and the line.
"""

import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from mien.schema.errors import DatasetError
from mien.schema.labels import LABEL_SETS
from mien.schema.sample import Sample
from mien.schema.tables import resolve, unknown_name


class DatasetWarning(UserWarning):
    """A dataset that can be used but is not what its authors published, e.g. in the number of its samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderEntry:
    """One line of the table of readers.

    Attributes:
        read: ``"module:function"`` of ``(root: Path) -> list[Sample]``.
        title: name of the dataset as its authors write it.
        labels: id of its label set; ``None`` if the classes come from the data.
        folder: folder under ``$MIEN_DATA``; ``None`` if it has no usual place.
        needs_root: whether it has to lie on the disk.
        accepts_file: whether the root may be a file.
        expected: published number of samples by split; several where distributions differ.
        expected_classes: published number of samples by split and class, in the order of the label set.
        expected_folds: published number of samples that each fold, counted from 1, holds back.
        licence: what one may do with it, in a phrase.
        commercial: whether weights that learn from it may be used commercially, as far as its licence tells.
        page: file name of its page in ``docs/datasets``.
    """

    read: str
    title: str
    labels: str | None
    folder: str | None
    needs_root: bool = True
    accepts_file: bool = False
    expected: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    expected_classes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    expected_folds: tuple[int, ...] = ()
    licence: str
    commercial: bool = True
    page: str


READERS: Mapping[str, ReaderEntry] = MappingProxyType(
    {
        "ferplus": ReaderEntry(
            read="mien.data.readers.ferplus:read",
            title="FERPlus",
            labels="ferplus",
            folder="fer2013",
            expected={"train": (28558,), "valid": (3579,), "test": (3573,)},
            licence="votes: MIT; pictures (FER2013): gathered for research, rights not cleared",
            page="ferplus.md",
        ),
        "raf_db": ReaderEntry(
            read="mien.data.readers.raf_db:read",
            title="RAF-DB",
            labels="raf_db",
            folder="raf_db",
            expected={"train": (12271,), "test": (3068,)},
            expected_classes={
                "train": (1290, 281, 717, 4772, 1982, 705, 2524),
                "test": (329, 74, 160, 1185, 478, 162, 680),
            },
            licence="research only, on application",
            commercial=False,
            page="raf_db.md",
        ),
        "raf_db_original": ReaderEntry(
            read="mien.data.readers.raf_db:read_original",
            title="RAF-DB, whole pictures",
            labels="raf_db",
            folder="raf_db",
            expected={"train": (12271,), "test": (3068,)},
            expected_classes={
                "train": (1290, 281, 717, 4772, 1982, 705, 2524),
                "test": (329, 74, 160, 1185, 478, 162, 680),
            },
            licence="research only, on application",
            commercial=False,
            page="raf_db.md",
        ),
        "affectnet": ReaderEntry(
            read="mien.data.readers.affectnet:read",
            title="AffectNet",
            labels="affectnet_8",
            folder="affectnet",
            expected={"train": (287651,), "valid": (4000, 3999)},
            licence="research only, on application",
            commercial=False,
            page="affectnet.md",
        ),
        "expw": ReaderEntry(
            read="mien.data.readers.expw:read",
            title="ExpW",
            labels="expw",
            folder="expw",
            expected={"train": (91793,)},
            licence="research only; pictures from the web, rights not cleared",
            commercial=False,
            page="expw.md",
        ),
        "dfew": ReaderEntry(
            read="mien.data.readers.dfew:read",
            title="DFEW",
            labels="dfew",
            folder="dfew",
            expected={"train": (11697,)},
            expected_classes={"train": (2445, 1894, 2669, 2173, 1469, 145, 902)},
            expected_folds=(2341, 2341, 2340, 2339, 2336),
            licence="research only, on application",
            commercial=False,
            page="dfew.md",
        ),
        "ferv39k": ReaderEntry(
            read="mien.data.readers.ferv39k:read",
            title="FERV39k",
            labels="ferv39k",
            folder="ferv39k",
            expected={"train": (31088,), "test": (7847,)},
            expected_classes={
                "train": (5854, 5523, 7790, 5906, 2502, 1833, 1680),
                "test": (1473, 1393, 1958, 1487, 638, 467, 431),
            },
            licence="research only, on application",
            commercial=False,
            page="ferv39k.md",
        ),
        "mafw": ReaderEntry(
            read="mien.data.readers.mafw:read",
            title="MAFW",
            labels="mafw_11",
            folder="mafw",
            expected={"train": (9172,)},
            expected_classes={"train": (1390, 639, 625, 1242, 1138, 1470, 1072, 236, 916, 262, 182)},
            expected_folds=(1839, 1837, 1833, 1832, 1831),
            licence="research only, on application",
            commercial=False,
            page="mafw.md",
        ),
        "afew": ReaderEntry(
            read="mien.data.readers.afew:read",
            title="AFEW",
            labels="afew",
            folder="afew",
            expected={"train": (773,), "valid": (383, 381)},
            expected_classes={"train": (133, 74, 81, 150, 144, 117, 74)},
            licence="research only, on application",
            commercial=False,
            page="afew.md",
        ),
        "aff_wild2": ReaderEntry(
            read="mien.data.readers.aff_wild2:read",
            title="Aff-Wild2",
            labels="aff_wild2",
            folder="aff_wild2",
            licence="research only, on application",
            commercial=False,
            page="aff_wild2.md",
        ),
        "ravdess": ReaderEntry(
            read="mien.data.readers.ravdess:read",
            title="RAVDESS",
            labels="ravdess",
            folder="speech",
            expected={"train": (960, 1664), "valid": (240, 372), "test": (240, 416)},
            licence="CC BY-NC-SA 4.0",
            commercial=False,
            page="ravdess.md",
        ),
        "crema_d": ReaderEntry(
            read="mien.data.readers.crema_d:read",
            title="CREMA-D",
            labels="crema_d",
            folder="crema_d",
            licence="Open Database License",
            page="crema_d.md",
        ),
        "hume_reaction": ReaderEntry(
            read="mien.data.readers.hume_reaction:read",
            title="Hume-Reaction",
            labels="hume_reaction",
            folder="hume_reaction",
            expected={"train": (15806,), "valid": (4657,), "test": (4604,)},
            licence="research only, on application",
            commercial=False,
            page="hume_reaction.md",
        ),
        "audio_visual_pairs": ReaderEntry(
            read="mien.data.pairs:read",
            title="FERPlus faces and RAVDESS voices, paired, not recorded together",
            labels="basic_7",
            folder=".",
            licence="as FERPlus and RAVDESS: research, not commercial",
            commercial=False,
            page="audio_visual_pairs.md",
        ),
        "folder": ReaderEntry(
            read="mien.data.readers.folder:read",
            title="a folder of one's own pictures",
            labels=None,
            folder=None,
            accepts_file=True,
            licence="the user's own",
            page="folder.md",
        ),
        "coco": ReaderEntry(
            read="mien.data.readers.coco:read",
            title="pictures with boxes as COCO has them",
            labels=None,
            folder=None,
            accepts_file=True,
            licence="the user's own",
            page="coco.md",
        ),
        "yolo": ReaderEntry(
            read="mien.data.readers.yolo:read",
            title="pictures with boxes as YOLO has them",
            labels=None,
            folder=None,
            accepts_file=True,
            licence="the user's own",
            page="yolo.md",
        ),
        "ferplus_scenes": ReaderEntry(
            read="mien.data.scenes:read",
            title="FERPlus faces in scenes",
            labels="basic_7",
            folder="fer2013",
            licence="as FERPlus; in some backgrounds sample pictures of installed packages, on their terms",
            page="ferplus_scenes.md",
        ),
        "synthetic": ReaderEntry(
            read="mien.data.synthetic:read",
            title="drawn faces",
            labels="basic_7",
            folder=None,
            needs_root=False,
            licence="none needed: drawn by this package",
            page="synthetic.md",
        ),
        "synthetic_scenes": ReaderEntry(
            read="mien.data.synthetic_scenes:read",
            title="drawn faces in pictures",
            labels="basic_7",
            folder=None,
            needs_root=False,
            licence="none needed: drawn by this package",
            page="synthetic_scenes.md",
        ),
        "synthetic_clips": ReaderEntry(
            read="mien.data.synthetic_clips:read",
            title="drawn clips",
            labels="basic_7",
            folder=None,
            needs_root=False,
            licence="none needed: drawn by this package",
            page="synthetic_clips.md",
        ),
        "synthetic_reactions": ReaderEntry(
            read="mien.data.synthetic_reactions:read",
            title="drawn reactions, seen and heard",
            labels="hume_reaction",
            folder=None,
            needs_root=False,
            licence="none needed: drawn by this package",
            page="synthetic_reactions.md",
        ),
        "synthetic_speakers": ReaderEntry(
            read="mien.data.synthetic_speakers:read",
            title="drawn faces with drawn voices",
            labels="basic_7",
            folder=None,
            needs_root=False,
            licence="none needed: drawn by this package",
            page="synthetic_voices.md",
        ),
        "synthetic_voices": ReaderEntry(
            read="mien.data.synthetic_speakers:read_voices",
            title="drawn voices",
            labels="basic_7",
            folder=None,
            needs_root=False,
            licence="none needed: drawn by this package",
            page="synthetic_voices.md",
        ),
        "synthetic_stills": ReaderEntry(
            read="mien.data.synthetic_stills:read",
            title="drawn faces, as clips of one frame",
            labels="basic_7",
            folder=None,
            needs_root=False,
            licence="none needed: drawn by this package",
            page="synthetic_clips.md",
        ),
    }
)


def entry(name: str) -> ReaderEntry:
    """The table's line for a dataset.

    Raises:
        DatasetError: if there is no such reader; the message lists the nearest names.
    """
    if name not in READERS:
        raise DatasetError(unknown_name(name, READERS, "dataset"))
    return READERS[name]


def find_root(name: str, root: Path | None) -> Path:
    """The folder of a dataset: ``root``, else ``$MIEN_DATA/<folder>``.

    Raises:
        DatasetError: if neither is given or the folder does not exist.
    """
    folder, base = entry(name).folder, os.environ.get("MIEN_DATA")
    if root is None and folder is not None and base:
        root = Path(base) / folder
    if root is None:
        variable = f", or set MIEN_DATA to a folder that has {folder}/" if folder else ""
        raise DatasetError(f"Where is {name!r}? Give its root with --data{variable}.")
    if not root.is_dir() and not (entry(name).accepts_file and root.is_file()):
        raise DatasetError(f"{root} is not a folder; give the root of {entry(name).title} with --data.")
    return root


def read_dataset(name: str, root: Path | None = None) -> list[Sample]:
    """Every annotated sample of a dataset.

    Args:
        name: a name in ``READERS``.
        root: folder of the dataset; ``None`` takes ``$MIEN_DATA/<folder>``.

    Raises:
        DatasetError: if the dataset is not there, is damaged, or has two samples of one name.
    """
    reader = entry(name)
    if root is not None or reader.needs_root:
        root = find_root(name, root)
    samples: list[Sample] = resolve(reader.read)(root)
    repeated = [key for key, n in Counter(s.key for s in samples).items() if n > 1]
    if repeated:
        raise DatasetError(f"{len(repeated)} names occur twice in {reader.title}, e.g. {repeated[0]!r}.")
    for surprise in unexpected_counts(reader, samples):
        warnings.warn(f"{reader.title}: {surprise}", DatasetWarning, stacklevel=2)
    return samples


def unexpected_counts(reader: ReaderEntry, samples: Sequence[Sample]) -> list[str]:
    """One sentence for each split or fold whose size is not the published one; absent ones are not mentioned.

    Samples whose label is no class of the dataset (AffectNet's "uncertain") are not counted, as in publications.
    """
    classes = LABEL_SETS[reader.labels].names if reader.labels else ()
    found = Counter(s.split for s in samples if s.targets.label is None or s.targets.label in classes)
    folds = Counter(fold for s in samples for fold in s.folds)
    return [
        f"{found[split]} samples in {split!r}, published: {' or '.join(map(str, allowed))}"
        for split, allowed in reader.expected.items()
        if split in found and found[split] not in allowed
    ] + [
        f"fold {fold} holds back {folds[fold]} samples, published: {wanted}"
        for fold, wanted in enumerate(reader.expected_folds, start=1)
        if fold in folds and folds[fold] != wanted
    ]
