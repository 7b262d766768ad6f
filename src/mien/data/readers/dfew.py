"""DFEW: clips from films with one of seven expressions, in five folds (Jiang et al. 2020, arXiv:2008.05924).

Lists, of which the first kind that is found is taken; any of the five folds may be absent:

- ``EmoLabel_DataSplit/{train,test}(single-labeled)/set_{1..5}.csv``, also spelt ``single_labeled``;
- ``label/single_{train,test}set_{1..5}.csv``;
- ``DFEW_set_{1..5}_{train,test}.txt`` of Former-DFER, also below ``annotation``.

Clips, likewise: ``Clip/clip_224x224`` (all frames, aligned faces), ``Clip/clip_224x224_16f`` (16 frames of each),
``data``, each with a folder of pictures for each clip, also below ``part_1`` to ``part_11``; ``Clip/original`` (whole
scenes as video).

The key of a sample is the number of its clip in five digits (``00001``). Where ``Annotation/annotation.xlsx`` is there,
its votes are read, and clips without a single label are added as the split ``other``.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from mien.data.readers import xlsx
from mien.data.readers.clips import VIDEOS, counted_label, is_number, listed, numbered, source_of
from mien.data.readers.folds import Row, find_lists, held_back
from mien.data.readers.text import at, csv_records
from mien.schema.errors import DatasetError
from mien.schema.labels import DFEW, canonical
from mien.schema.sample import Clip, Sample, Targets

FOLDS = (1, 2, 3, 4, 5)
LISTS = (
    (
        "EmoLabel_DataSplit/{part}(single-labeled)/set_{fold}.csv",
        "EmoLabel_DataSplit/{part}(single_labeled)/set_{fold}.csv",
    ),
    ("label/single_{part}set_{fold}.csv",),
    ("DFEW_set_{fold}_{part}.txt", "annotation/DFEW_set_{fold}_{part}.txt"),
)
FRAMES = ("Clip/clip_224x224", "Clip/clip_224x224_16f", "data")
FILMS = "Clip/original"

Votes = tuple[tuple[str, float], ...]


def read(root: Path) -> list[Sample]:
    """Every clip of the lists under ``root``, then those that have votes but no single label.

    Raises:
        DatasetError: if lists or clips are not found, or a list is damaged (names the file and the line).
    """
    lists = find_lists(root, LISTS, FOLDS)
    if not lists:
        raise DatasetError(
            f"No DFEW lists in {root}. Expected: {LISTS[0][0].format(part='train', fold=1)} and so on, "
            f"or {LISTS[1][0].format(part='train', fold=1)}, or {LISTS[2][0].format(part='train', fold=1)}."
        )
    base, found = _clips(root)
    votes = _votes(root / "Annotation" / "annotation.xlsx")
    clips = held_back(lists, _rows)
    samples = [
        _sample(int(name), base, found, folds, Targets(label=label, votes=votes.get(int(name))))
        for name, (label, folds) in clips.items()
    ]
    others = [number for number in sorted(votes) if f"{number:05d}" not in clips and number in found]
    return samples + [_sample(number, base, found, None, Targets(votes=votes[number])) for number in others]


def _clips(root: Path) -> tuple[Path, dict[int, Path]]:
    """Where the clips lie, and each by its number."""
    for name in (*FRAMES, FILMS):
        found = numbered(root / name, VIDEOS if name == FILMS else frozenset())
        if found:
            return root / name, found
    raise DatasetError(f"{root} has lists but no clips; expected folders or videos in {', '.join((*FRAMES, FILMS))}.")


def _sample(
    number: int, base: Path, found: Mapping[int, Path], folds: tuple[int, ...] | None, targets: Targets
) -> Sample:
    key = f"{number:05d}"
    source = source_of(found.get(number, base / key))
    return Sample(
        key=key,
        source=source,
        split="other" if folds is None else "train",
        folds=folds or (),
        aligned=not isinstance(source, Clip),
        targets=targets,
    )


def _rows(path: Path) -> Iterator[Row]:
    if path.suffix == ".txt":
        for line, parts, number in listed(path):
            yield _row(path, line, parts[-1], counted_label(path, line, number, DFEW, first=0))
    else:
        for line, row in csv_records(path, ("video_name", "label")):
            label = counted_label(path, line, row["label"].strip(), DFEW, first=1)
            yield _row(path, line, row["video_name"].strip(), label)


def _row(path: Path, line: int, name: str, label: str) -> Row:
    if not is_number(name):
        raise at(path, line, f"a clip is named by its number; found {name[:40]!r}")
    return Row(line, f"{int(name):05d}", label)


def _votes(path: Path) -> dict[int, Votes]:
    """Votes of each clip: columns ``1happy`` to ``7fear``, and ``order``, which names the clip."""
    if not path.is_file():
        return {}
    rows = xlsx.rows(path)
    first, header = next(rows, (1, []))
    titles = [title.strip().lower() for title in header]
    column = {canonical(title.lstrip("0123456789")): place for place, title in enumerate(titles)}
    missing = [name for name in ("order", *DFEW.names) if name not in column]
    if missing:
        raise at(path, first, f"the header lacks {', '.join(missing)}; it has: {', '.join(header) or 'nothing'}")
    votes = dict[int, Votes]()
    for number, cells in rows:
        cells += [""] * (len(titles) - len(cells))
        name = cells[column["order"]].removesuffix(".0")
        counts = [cells[column[label]] or "0" for label in DFEW.names]
        if not is_number(name) or not all(is_number(count.removesuffix(".0")) for count in counts):
            raise at(path, number, f"expected a clip and {len(DFEW)} whole numbers of votes; found {cells}")
        votes[int(name)] = tuple(zip(DFEW.names, map(float, counts), strict=True))
    return votes
