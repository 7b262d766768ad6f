"""FERV39k: face clips from 22 scenes with one of seven expressions (Wang et al. 2022, arXiv:2203.09463).

Lists, of which the first kind that is found is taken:

- ``4_setups/All_scenes/{train,test}_All.csv`` (``Action/Happy/0267 Happy``, no header);
- ``FERV39K_{train,test}.txt`` of Former-DFER (``.../Action/Happy/0267 45 0``), also below ``annotation``.

The pictures lie in ``2_ClipsforFaceCrop/<scene>/<expression>/<clip>``. The key of a sample is ``Action/Happy/0267``.

The scene is the first of a sample's groups, in lower case (``action``). The second is what ``scenes.csv`` at the root
says of the scene (a header ``scene,group``, one line a scene), where there is such a file: the distribution has none.
"""

from collections.abc import Iterator
from pathlib import Path

from mien.data.readers.clips import counted_label, frames, listed, named_label
from mien.data.readers.text import at, csv_records, lines
from mien.schema.errors import DatasetError
from mien.schema.labels import FERV39K
from mien.schema.sample import Sample, Targets

SPLITS = ("train", "test")
LISTS = (
    ("4_setups/All_scenes/{split}_All.csv",),
    ("FERV39K_{split}.txt", "annotation/FERV39K_{split}.txt"),
)
FRAMES = "2_ClipsforFaceCrop"
SCENES = "scenes.csv"


def read(root: Path) -> list[Sample]:
    """Every clip of the lists under ``root``, in their order.

    Raises:
        DatasetError: if lists or pictures are not found, a file is damaged (names the file and the line), or
            ``scenes.csv`` lacks a scene.
    """
    lists = _lists(root)
    if not (root / FRAMES).is_dir():
        raise DatasetError(f"{root} has lists but not the folder {FRAMES}; unpack the face clips there.")
    groups = _scene_groups(root / SCENES)
    return [sample for split, path in lists.items() for sample in _read(root, split, path, groups)]


def _lists(root: Path) -> dict[str, Path]:
    for spellings in LISTS:
        paths = {split: [root / text.format(split=split) for text in spellings] for split in SPLITS}
        found = {split: path for split in SPLITS for path in reversed(paths[split]) if path.is_file()}
        if found:
            return found
    raise DatasetError(
        f"No FERV39k lists in {root}. Expected: {LISTS[0][0].format(split='train')} and test_All.csv, "
        f"or {LISTS[1][0].format(split='train')} and FERV39K_test.txt."
    )


def _read(root: Path, split: str, path: Path, groups: dict[str, str]) -> Iterator[Sample]:
    for line, name, label in _rows(path):
        scene = name.partition("/")[0].lower()
        if groups and scene not in groups:
            raise at(path, line, f"the scene of {name} is not in {root / SCENES}; add a line '{scene},<its group>'")
        yield Sample(
            key=name,
            source=frames(root / FRAMES / name),
            split=split,
            groups=(scene, groups[scene]) if groups else (scene,),
            targets=Targets(label=label),
        )


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, ``scene/expression/clip``, canonical label) of each line of either kind of list."""
    if path.suffix == ".csv":
        for line, text in lines(path):
            name, _, label = text.strip().rpartition(" ")
            yield line, _name(path, line, tuple(name.strip().split("/"))), named_label(path, line, label, FERV39K)
        return
    for line, parts, number in listed(path):
        name = _name(path, line, parts[-3:])
        label = counted_label(path, line, number, FERV39K, first=0)
        if named_label(path, line, parts[-2], FERV39K) != label:
            raise at(path, line, f"{name} has the label {number}, which is {label}; the labels are not in this order")
        yield line, name, label


def _name(path: Path, line: int, parts: tuple[str, ...]) -> str:
    if len(parts) != 3 or not all(parts) or ".." in parts:
        raise at(path, line, f"expected a clip as scene/expression/number, found {'/'.join(parts)[:80]!r}")
    return "/".join(parts)


def _scene_groups(path: Path) -> dict[str, str]:
    """Group of each scene, both in lower case."""
    if not path.is_file():
        return {}
    groups = dict[str, str]()
    for line, row in csv_records(path, ("scene", "group")):
        scene, group = row["scene"].strip().lower(), row["group"].strip().lower()
        if not scene or not group:
            raise at(path, line, f"the {'group' if scene else 'scene'} is empty")
        if scene in groups:
            raise at(path, line, f"the scene {scene} has a group already, {groups[scene]}")
        groups[scene] = group
    if not groups:
        raise at(path, 1, "there is no scene below the header")
    return groups
