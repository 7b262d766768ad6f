"""Official folds: a list of training clips and one of test clips for each, all over the same clips."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.data.readers.text import at
from mien.schema.errors import DatasetError

PARTS = ("train", "test")

Lists = Mapping[tuple[int, str], Path]
"""The list of each (fold, part)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list: which clip, with which label."""

    line: int
    name: str
    label: str


def find_lists(root: Path, layouts: Iterable[Sequence[str]], folds: Sequence[int]) -> dict[tuple[int, str], Path]:
    """The lists of the first layout of which there is any; folds may be absent as a whole.

    Args:
        root: of the dataset.
        layouts: the spellings of each layout: paths below the root with ``{fold}`` and ``{part}`` in them.
        folds: the official folds.

    Raises:
        DatasetError: if a fold has one list without the other.
    """
    for spellings in layouts:
        places = {
            (fold, part): [root / text.format(fold=fold, part=part) for text in spellings]
            for fold in folds
            for part in PARTS
        }
        found = {key: path for key, paths in places.items() for path in reversed(paths) if path.is_file()}
        for fold, part in places:
            other = PARTS[1 - PARTS.index(part)]
            if (fold, part) in found and (fold, other) not in found:
                raise DatasetError(
                    f"{found[fold, part]} is there, but {places[fold, other][0]} is not; a fold has both lists."
                )
        if found:
            return found
    return {}


def held_back(lists: Lists, rows: Callable[[Path], Iterator[Row]]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Label, and folds in whose test list it stands, of each clip; in the order of the first fold.

    Raises:
        DatasetError: if a clip stands in a fold twice or has two labels (names the file and the line), or the folds
            are not about the same clips.
    """
    labels, folds = dict[str, tuple[str, Path]](), dict[str, list[int]]()
    clips_of = dict[int, set[str]]()
    for (fold, part), path in lists.items():
        seen = clips_of.setdefault(fold, set())
        for row in rows(path):
            if row.name in seen:
                raise at(path, row.line, f"the clip {row.name} stands in the lists of fold {fold} already")
            label, where = labels.setdefault(row.name, (row.label, path))
            if label != row.label:
                raise at(path, row.line, f"the clip {row.name} is labelled {row.label}, but {label} in {where}")
            seen.add(row.name)
            folds.setdefault(row.name, []).extend([fold] if part == "test" else [])
    for (fold, _), path in lists.items():
        if missing := sorted(labels.keys() - clips_of[fold]):
            raise DatasetError(
                f"{path.parent} has a list of fold {fold} ({path.name}) without {len(missing)} of the clips that "
                f"other folds have, e.g. {missing[0]}; copy the lists again."
            )
    return {name: (labels[name][0], tuple(folds[name])) for name in labels}
