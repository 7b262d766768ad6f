"""AffectNet: faces from the web with an expression, valence and arousal (Mollahosseini et al. 2017, arXiv:1708.03985).

Two distributions are read; the first that is found under the root is taken:

- the original: ``Manually_Annotated_file_lists/training.csv`` and ``validation.csv`` beside
  ``Manually_Annotated_Images`` (whole pictures with a face box);
- the one with NumPy annotations: ``train_set`` and ``val_set``, each with ``images/<id>.jpg`` (224x224 crops) and
  ``annotations/<id>_{exp,val,aro}.npy``.

The published landmarks are not taken over: faces are aligned by the same mesh as in prediction.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mien.data.readers.text import at, csv_rows, numbers
from mien.schema.errors import DatasetError
from mien.schema.labels import AFFECTNET_8
from mien.schema.sample import Box, File, Sample, Targets

NAMES = (*AFFECTNET_8.names, "none", "uncertain", "no_face")
"""Names of the numbers 0 to 10; the last three are no expressions."""

LISTS = {"training.csv": "train", "validation.csv": "valid"}
SETS = {"train_set": "train", "val_set": "valid"}
COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
NO_VALUE = -2.0


def read(root: Path) -> list[Sample]:
    """Every annotated face under ``root``, "none", "uncertain" and "no_face" included where they have a box.

    Raises:
        DatasetError: if no distribution is found, or a file is damaged (names the file and the line).
    """
    lists = root / "Manually_Annotated_file_lists"
    pictures = root / "Manually_Annotated_Images"
    if lists.is_dir():
        found = [(lists / name, split) for name, split in LISTS.items() if (lists / name).is_file()]
        if found and pictures.is_dir():
            return [s for path, split in found for s in _read_list(path, pictures, split)]
        raise DatasetError(f"{root} needs {' or '.join(LISTS)} in {lists.name}, and {pictures.name} beside it.")
    sets = [(root / name, split) for name, split in SETS.items() if (root / name / "annotations").is_dir()]
    if sets:
        return [s for folder, split in sets for s in _read_set(folder, split)]
    raise DatasetError(
        f"No AffectNet distribution in {root}. Expected: Manually_Annotated_file_lists with training.csv and "
        "validation.csv beside Manually_Annotated_Images, or train_set and val_set with images and annotations."
    )


def _read_list(path: Path, pictures: Path, split: str) -> Iterator[Sample]:
    for line, fields in csv_rows(path):
        if line == 1 and fields[0] == COLUMNS[0]:  # some copies of validation.csv have no header
            continue
        if len(fields) != len(COLUMNS):
            raise at(path, line, f"expected the {len(COLUMNS)} fields {', '.join(COLUMNS)}; found {len(fields)}")
        x, y, width, height = numbers(path, line, (f if f != "NULL" else "-1" for f in fields[1:5]))
        expression, valence, arousal = numbers(path, line, fields[6:])
        if width > 0 and height > 0:
            yield _sample(
                key=fields[0],
                picture=pictures / fields[0],
                split=split,
                box=(x, y, x + width, y + height),
                label=_label(path, line, expression),
                affect=(valence, arousal),
            )


def _read_set(folder: Path, split: str) -> Iterator[Sample]:
    annotations = folder / "annotations"
    names = [path.name.removesuffix("_exp.npy") for path in annotations.glob("*_exp.npy")]
    if not names:
        raise DatasetError(f"{annotations} has no file <id>_exp.npy.")
    for name in sorted(names, key=lambda n: (len(n), n)):
        expression = _scalar(annotations / f"{name}_exp.npy")
        valence, arousal = (_scalar(annotations / f"{name}_{kind}.npy") for kind in ("val", "aro"))
        yield _sample(
            key=f"{split}/{name}",
            picture=folder / "images" / f"{name}.jpg",
            split=split,
            box=None,
            label=_label(annotations / f"{name}_exp.npy", 1, expression),
            affect=(valence, arousal),
        )


def _scalar(path: Path) -> float:
    """The number in a ``.npy`` file, where it may stand as text."""
    try:
        return float(str(np.load(path, allow_pickle=False)))
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path} does not hold one number ({error}).") from error


def _label(path: Path, line: int, expression: float) -> str:
    if expression not in range(len(NAMES)):
        raise at(path, line, f"expression {expression:g} is not a number from 0 to {len(NAMES) - 1}")
    return NAMES[int(expression)]


def _sample(*, key: str, picture: Path, split: str, box: Box | None, label: str, affect: tuple[float, float]) -> Sample:
    valence, arousal = (None if value == NO_VALUE else value for value in affect)
    return Sample(
        key=key,
        source=File(picture),
        split=split,
        box=box,
        targets=Targets(label=label, valence=valence, arousal=arousal),
    )
