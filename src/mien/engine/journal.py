"""What a run leaves behind to read: ``run.json``, ``journal.csv``, and TensorBoard events if asked for."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.schema.tables import resolve


class Journal:
    """One line for each epoch.

    Args:
        folder: where ``journal.csv`` stands.
        start: epochs before it are kept from an earlier, interrupted run; the rest is dropped.
        tensorboard: also write events.
    """

    def __init__(self, folder: Path, *, start: int = 0, tensorboard: bool = False) -> None:
        self.path = folder / "journal.csv"
        self._rows = [row for row in read_journal(self.path) if int(row["epoch"]) < start] if start else []
        self._events = _events(folder) if tensorboard else None
        if self._rows:
            self._write()
        else:
            self.path.unlink(missing_ok=True)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one epoch; ``row["epoch"]`` is its number."""
        self._rows.append({name: _text(value) for name, value in row.items()})
        self._write()
        if self._events is not None:
            for name, value in row.items():
                if isinstance(value, int | float):
                    self._events.add_scalar(name, value, row["epoch"])

    def close(self) -> None:
        if self._events is not None:
            self._events.close()

    def _write(self) -> None:
        columns = list(dict.fromkeys(name for row in self._rows for name in row))
        with self.path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(self._rows)


def read_journal(path: Path) -> list[dict[str, str]]:
    """The rows of a ``journal.csv``, none if it is absent."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_json(path: Path, data: Any) -> None:
    """Write plain data, indented."""
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _events(folder: Path) -> Any:
    return resolve("torch.utils.tensorboard:SummaryWriter")(str(folder / "tensorboard"))
