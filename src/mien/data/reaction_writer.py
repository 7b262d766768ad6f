"""Predictions for Hume-Reaction in the form in which its challenges take them, and back.

``File_ID,Adoration,Amusement,Anxiety,Disgust,Empathic-Pain,Fear,Surprise``, then a line a clip: its name in brackets
and the seven strengths, as ``[00123],0.1,…``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.readers.hume_reaction import bare
from mien.data.readers.text import at, csv_rows, numbers
from mien.schema.errors import DatasetError
from mien.schema.labels import HUME_REACTION

HEADER = ("File_ID", *("-".join(part.capitalize() for part in name.split("_")) for name in HUME_REACTION.names))


def write_predictions(path: Path, strengths: Mapping[str, Sequence[float] | NDArray[np.floating]]) -> Path:
    """Write the strengths of each clip, in the order that is given.

    Args:
        path: of the CSV file.
        strengths: by name of the clip, with or without brackets, seven numbers in [0, 1] in the order of the label set.

    Raises:
        DatasetError: if the file cannot be written, there is no clip, or a clip has not seven numbers in [0, 1].
    """
    if not strengths:
        raise DatasetError(f"{path} is not written: there is no answer for any clip.")
    rows = [",".join((f"[{bare(name)}]", *_written(name, values))) for name, values in strengths.items()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([",".join(HEADER), *rows]) + "\n", encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def read_predictions(path: Path) -> dict[str, tuple[float, ...]]:
    """Strengths by name of the clip, without brackets; inverse of :func:`write_predictions`.

    Raises:
        DatasetError: if the file has another form (names the line).
    """
    rows = csv_rows(path)
    line, header = next(rows, (1, []))
    if tuple(header) != HEADER:
        raise at(path, line, f"the header is {','.join(HEADER)}; found {','.join(header)[:80]!r}")
    found = dict[str, tuple[float, ...]]()
    for line, fields in rows:
        if len(fields) != len(HEADER):
            raise at(path, line, f"expected the name of a clip and {len(HUME_REACTION)} strengths, found {fields}")
        name, values = bare(fields[0]), tuple(numbers(path, line, fields[1:]))
        if name in found:
            raise at(path, line, f"the clip {name} was listed before")
        if not _are_strengths(values):
            raise at(path, line, f"strengths are numbers from 0 to 1; found {fields[1:]}")
        found[name] = values
    return found


def _written(name: str, values: Sequence[float] | NDArray[np.floating]) -> list[str]:
    row = np.asarray(values, np.float64)
    if row.shape != (len(HUME_REACTION),) or not _are_strengths(row.tolist()):
        raise DatasetError(f"A clip has {len(HUME_REACTION)} strengths from 0 to 1; {name} has {row.tolist()}.")
    return [f"{value:.7g}" for value in row]


def _are_strengths(values: Sequence[float]) -> bool:
    return all(0 <= value <= 1 for value in values)
