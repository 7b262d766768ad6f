"""The table of an answer: its rows, and CSV, JSON lines, Parquet and pandas made of them.

Columns are ``LEADING_COLUMNS``, then ``p_<label>`` for each class of the model, or ``i_<label>`` for each reaction
whose strength it tells, then ``raw_p_<label>`` if answers are smoothed over time, then ``SHARE_COLUMNS`` if they rest
on face and voice. A column that is not used is empty, never absent. Numbers are rounded where they are put into a row,
so every format holds the same digits: boxes to 1/100 pixel, seconds, scores, probabilities and intensities to six
decimals.
"""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from mien.schema.errors import ConfigError, MissingExtraError
from mien.schema.labels import LabelSet
from mien.schema.prediction import LEADING_COLUMNS, SHARE_COLUMNS, Prediction, Result

Cell = str | int | float | None

INTEGERS = frozenset({"frame", "face_id"})
TEXTS = frozenset({"source", "alignment", "label", "status", "detail", "model", "modalities"})
DECIMALS = {"x1": 2, "y1": 2, "x2": 2, "y2": 2}
OTHER_DECIMALS = 6
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
SUFFIXES = (".csv", ".jsonl", ".parquet")


def column_names(
    labels: LabelSet, *, smoothed: bool = False, shared: bool = False, graded: bool = False
) -> tuple[str, ...]:
    """Names of all columns, in order.

    Args:
        labels: the classes or reactions.
        smoothed: adds the probabilities before smoothing.
        shared: adds whether an answer rests on face or voice, and the share of each.
        graded: intensities take the place of probabilities.
    """
    kinds = ("i",) if graded else ("p", "raw_p") if smoothed else ("p",)
    chances = (f"{kind}_{name}" for kind in kinds for name in labels.names)
    return (*LEADING_COLUMNS, *chances, *(SHARE_COLUMNS if shared else ()))


def row_of(
    prediction: Prediction,
    labels: LabelSet,
    model: str,
    *,
    smoothed: bool = False,
    shared: bool = False,
    graded: bool = False,
) -> dict[str, Cell]:
    """One row: every column of :func:`column_names`, ``None`` where there is nothing to say."""
    row: dict[str, Cell] = dict.fromkeys(column_names(labels, smoothed=smoothed, shared=shared, graded=graded))
    row.update(
        source=prediction.source,
        frame=prediction.frame,
        time_s=prediction.time_s,
        start_s=prediction.start_s,
        end_s=prediction.end_s,
        face_id=prediction.face_id,
        label=prediction.label,
        score=prediction.score,
        status=prediction.status,
        detail=prediction.detail or None,
        model=model,
    )
    if prediction.face is not None:
        row.update(zip(("x1", "y1", "x2", "y2"), prediction.face.box, strict=True))
        row.update(face_score=prediction.face.score, alignment=prediction.face.alignment)
    if graded and prediction.intensities is not None:
        row.update(zip((f"i_{name}" for name in labels.names), prediction.intensities.tolist(), strict=True))
    if not graded and prediction.probabilities is not None:
        row.update(zip((f"p_{name}" for name in labels.names), prediction.probabilities.tolist(), strict=True))
    if smoothed and prediction.raw is not None:
        row.update(zip((f"raw_p_{name}" for name in labels.names), prediction.raw.tolist(), strict=True))
    if shared:
        row.update(modalities=prediction.modalities or None, w_face=prediction.w_face, w_voice=prediction.w_voice)
    return {name: _rounded(name, value) for name, value in row.items()}


def is_smoothed(result: Result) -> bool:
    """Whether any answer was smoothed over time."""
    return any(prediction.raw is not None for prediction in result.predictions)


def is_shared(result: Result) -> bool:
    """Whether answers are those of a model of face and voice."""
    return any(prediction.modalities is not None for prediction in result.predictions)


def kinds_of(result: Result) -> dict[str, bool]:
    """Which columns a result has: the keywords of :func:`column_names`."""
    return {"smoothed": is_smoothed(result), "shared": is_shared(result), "graded": result.kind == "intensities"}


def rows_of(result: Result) -> list[dict[str, Cell]]:
    """One row a prediction, in their order."""
    kinds = kinds_of(result)
    return [row_of(one, result.labels, result.model, **kinds) for one in result.predictions]


def columns_of(result: Result) -> dict[str, NDArray[Any]]:
    """The table as columns of length N.

    Texts are ``object`` arrays with ``""`` where empty; all else is ``float64`` with NaN where empty.
    """
    rows = rows_of(result)
    columns: dict[str, NDArray[Any]] = {}
    for name in column_names(result.labels, **kinds_of(result)):
        cells = [row[name] for row in rows]
        if name in TEXTS:
            columns[name] = np.array(["" if cell is None else cell for cell in cells], dtype=object)
        else:
            columns[name] = np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)
    return columns


def to_pandas(result: Result) -> Any:
    """The table as a ``pandas.DataFrame``; ``frame`` and ``face_id`` are nullable integers.

    Raises:
        MissingExtraError: if pandas is not installed.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise MissingExtraError("pandas", "tables", "Result.to_pandas()") from error
    frame = pd.DataFrame(columns_of(result))
    return frame.astype(dict.fromkeys(INTEGERS, "Int64"))


def save(result: Result, path: Path) -> Path:
    """Write the table to ``.csv``, ``.jsonl`` or ``.parquet``; the suffix decides.

    Raises:
        ConfigError: if the suffix is another, or the file cannot be written.
        MissingExtraError: if Parquet is asked for and polars is not installed.
    """
    with TableWriter(path, result.labels, result.model, **kinds_of(result)) as table:
        table.write(result.predictions)
    return path


class TableWriter:
    """Writes rows as they come: an interrupted run leaves a valid table of what was done.

    CSV and JSON lines are flushed after each call of :meth:`write`; Parquet is written on leaving the ``with`` block,
    also when it is left by an interrupt.
    """

    def __init__(
        self,
        path: Path,
        labels: LabelSet,
        model: str,
        *,
        smoothed: bool = False,
        shared: bool = False,
        graded: bool = False,
    ) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise ConfigError(f"The table is written as {', '.join(SUFFIXES)}; given: {str(path)!r}")
        self.path, self.labels, self.model = path, labels, model
        self.kinds = {"smoothed": smoothed, "shared": shared, "graded": graded}
        self.names = column_names(labels, **self.kinds)
        self._kept: list[dict[str, Cell]] = []
        self._file: IO[str] | None = None
        self._length = 0

    def keeping(self, length: int) -> Self:
        """The same writer, going on after the first ``length`` bytes of the file that is there; 0 starts anew."""
        self._length = length
        return self

    def __enter__(self) -> Self:
        if self.path.suffix.lower() == ".parquet":
            _polars()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            mode = "r+" if self._length else "w"
            self._file = self.path.open(mode, encoding="utf-8", errors="backslashreplace", newline="")
            if self._length:
                self._file.truncate(self._length)
                self._file.seek(0, os.SEEK_END)
            elif self.path.suffix.lower() == ".csv":
                csv.writer(self._file, lineterminator="\n").writerow(self.names)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        return self

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Append one row a prediction."""
        assert self._file is not None, "write() belongs inside the with block"
        rows = [row_of(one, self.labels, self.model, **self.kinds) for one in predictions]
        try:
            match self.path.suffix.lower():
                case ".csv":
                    csv.writer(self._file, lineterminator="\n").writerows(_csv_cells(row) for row in rows)
                case ".jsonl":
                    self._file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
                case _:
                    self._kept += rows
            self._file.flush()
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def __exit__(self, *_: object) -> None:
        assert self._file is not None
        self._file.close()
        if self.path.suffix.lower() == ".parquet":
            _write_parquet(self.path, self.names, self._kept)


def _rounded(name: str, value: Cell) -> Cell:
    return round(float(value), DECIMALS.get(name, OTHER_DECIMALS)) if isinstance(value, float | np.floating) else value


def _csv_cells(row: dict[str, Cell]) -> list[str]:
    return [_csv_text(name, value) for name, value in row.items()]


def _csv_text(name: str, value: Cell) -> str:
    """One cell; a text that a spreadsheet would run as a formula is preceded by an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{DECIMALS.get(name, OTHER_DECIMALS)}f}"
    text = str(value)
    return f"'{text}" if name in TEXTS and text.startswith(FORMULA_STARTS) else text


def _polars() -> Any:
    try:
        import polars
    except ModuleNotFoundError as error:
        raise MissingExtraError("polars", "tables", "A Parquet table") from error
    return polars


def _write_parquet(path: Path, names: Sequence[str], rows: list[dict[str, Cell]]) -> None:
    polars = _polars()
    kinds = {
        name: polars.Int64 if name in INTEGERS else polars.String if name in TEXTS else polars.Float64 for name in names
    }
    polars.DataFrame(rows, schema=kinds).write_parquet(path)


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"The table {str(path)!r} cannot be written ({error.strerror or error}); choose another --out")
