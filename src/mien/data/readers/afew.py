"""AFEW, as used in EmotiW: clips from films with one of seven expressions (Dhall et al. 2012, IEEE MultiMedia).

Two layouts are read; the first that is found under the root is taken:

- as distributed: ``Train_AFEW/<Expression>/<id>.avi`` and ``Val_AFEW/...``; where the aligned faces are there
  (``Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/<id>``, ``Val_AFEW/AlignedFaces_LBPTOP_Points_Val/Faces/<id>``), they
  are taken in place of the video, clip by clip;
- the lists ``AFEW_{train,validation}.txt`` of Former-DFER (``.../AFEW_Face/train/Happy/000046280 35 0``), also below
  ``annotation``, with the pictures in ``AFEW_Face``.

Labels are taken from the names of the folders, so the order in which a list counts them does not matter. The key of a
sample is ``train/000046280`` or ``valid/...``. The test part has no labels and is not read.
"""

from collections.abc import Iterator
from pathlib import Path

from mien.data.readers.clips import VIDEOS, frames, listed, named_label
from mien.data.readers.text import at
from mien.schema.errors import DatasetError
from mien.schema.labels import AFEW
from mien.schema.sample import Clip, Sample, Targets

PARTS = {
    "Train_AFEW": ("train", "AlignedFaces_LBPTOP_Points"),
    "Val_AFEW": ("valid", "AlignedFaces_LBPTOP_Points_Val"),
}
LISTS = {"train": "train", "validation": "valid"}
FACES = "AFEW_Face"


def read(root: Path) -> list[Sample]:
    """Every labelled clip under ``root``, sorted by path, or in the order of the lists.

    Raises:
        DatasetError: if no layout is found, a folder is no expression, or a list is damaged (names file and line).
    """
    parts = [root / name for name in PARTS if (root / name).is_dir()]
    if parts:
        samples = [sample for part in parts for sample in _read_part(part)]
        if not samples:
            raise DatasetError(f"There is no video in {' or '.join(map(str, parts))}, whose folders tell the labels.")
        return samples
    lists = {
        name: path
        for name in LISTS
        for path in (root / "annotation" / f"AFEW_{name}.txt", root / f"AFEW_{name}.txt")
        if path.is_file()
    }
    if not lists:
        raise DatasetError(
            f"No AFEW layout in {root}. Expected: {' and '.join(PARTS)} with a folder for each expression, "
            f"or AFEW_train.txt and AFEW_validation.txt with the pictures in {FACES}."
        )
    if not (root / FACES).is_dir():
        raise DatasetError(f"{root} has lists but not the folder {FACES}; unpack the faces there.")
    return [sample for name, path in lists.items() for sample in _read_list(root / FACES, LISTS[name], path)]


def _read_part(part: Path) -> Iterator[Sample]:
    split, aligned = PARTS[part.name]
    for folder in sorted(path for path in part.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if folder.name.startswith("AlignedFaces"):
            continue
        if folder.name not in AFEW:
            raise DatasetError(f"{folder} is not an expression of AFEW; the folders are {', '.join(AFEW.names)}.")
        for video in sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEOS):
            faces = frames(part / aligned / "Faces" / video.stem)
            has_faces = faces.paths != (part / aligned / "Faces" / video.stem,)
            yield Sample(
                key=f"{split}/{video.stem}",
                source=faces if has_faces else Clip(video),
                split=split,
                aligned=has_faces,
                targets=Targets(label=AFEW.names[AFEW.index(folder.name)]),
            )


def _read_list(faces: Path, split: str, path: Path) -> Iterator[Sample]:
    for line, parts, _ in listed(path):
        if len(parts) < 3:
            raise at(path, line, f"expected a path that ends in part/expression/clip, found {'/'.join(parts)!r}")
        part, expression, clip = parts[-3:]
        label = named_label(path, line, expression, AFEW)
        if LISTS.get(part) != split:
            raise at(path, line, f"the part {part!r} is none of this list, which is about {split!r}")
        yield Sample(
            key=f"{split}/{clip}",
            source=frames(faces / part / expression / clip),
            split=split,
            aligned=True,
            targets=Targets(label=label),
        )
