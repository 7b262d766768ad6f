"""ExpW, Expression in the Wild: 91,793 faces in web pictures (Zhang, Luo, Loy and Tang 2018, IJCV).

Layout: ``label/label.lst`` (one face a line: ``image_name face_id top left right bottom confidence label``) and the
whole pictures in ``image/origin``. The dataset has no official split: all faces stand in ``train``.
"""

from collections.abc import Iterator
from pathlib import Path

from mien.data.readers.text import at, lines, numbers
from mien.schema.errors import DatasetError
from mien.schema.labels import EXPW
from mien.schema.sample import File, Sample, Targets


def read(root: Path) -> list[Sample]:
    """Every annotated face under ``root``, in the order of the list.

    Raises:
        DatasetError: if the layout is not found, or a line is damaged (names the file and the line).
    """
    listed = next((p for p in (root / "label" / "label.lst", root / "label.lst") if p.is_file()), None)
    pictures = next((p for p in (root / "image" / "origin", root / "origin") if p.is_dir()), None)
    if listed is None or pictures is None:
        raise DatasetError(f"No ExpW layout in {root}. Expected: label/label.lst and the pictures in image/origin.")
    return list(_read(listed, pictures))


def _read(listed: Path, pictures: Path) -> Iterator[Sample]:
    for line, text in lines(listed):
        fields = text.split()
        if len(fields) != 8:
            raise at(listed, line, f"expected 8 fields (name, face, box, confidence, label); found {len(fields)}")
        top, left, right, bottom, _, label = numbers(listed, line, fields[2:])
        if label not in range(len(EXPW)):
            raise at(listed, line, f"the label is a number from 0 to {len(EXPW) - 1}, found {fields[7]}")
        if left >= right or top >= bottom:
            raise at(listed, line, f"the box is empty: top {top:g}, left {left:g}, right {right:g}, bottom {bottom:g}")
        yield Sample(
            key=f"{fields[0]}#{fields[1]}",
            source=File(pictures / fields[0]),
            split="train",
            box=(left, top, right, bottom),
            targets=Targets(label=EXPW.names[int(label)]),
        )
