"""Intensities on the terminal: one row a window, one column a reaction."""

from typing import Any

from mien.cli.show import STATUS_STYLES, STATUS_WORDS, WIDE_SCREEN, Report, ending
from mien.schema.prediction import Prediction

HEADINGS = ("clip", "seconds", "read from")


class StrengthReport(Report):
    """As :class:`~mien.cli.show.Report`, for models that tell how strong each reaction is."""

    def plain(self) -> list[str]:
        """The rows as aligned text; what has no answer says why, behind the last column."""
        headings = (*HEADINGS, *self.labels.names)
        rows = [headings, *((*self._place(row), *self._numbers(row)) for row in self.rows)]
        widths = [max(len(cells[index]) for cells in rows) for index in range(len(headings))]
        numeric = len(HEADINGS)
        lines = []
        for cells, note in zip(rows, ("", *(row.detail for row in self.rows)), strict=True):
            padded = [
                cell.ljust(width) if index < numeric else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ]
            lines.append("  ".join((*padded, note)).rstrip())
        return lines

    def _place(self, row: Prediction) -> tuple[str, str, str]:
        seconds = "" if row.start_s is None else f"{row.start_s:.1f} to {row.end_s:.1f}"
        return row.source, seconds, row.modalities or STATUS_WORDS.get(row.status, row.status)

    def _numbers(self, row: Prediction) -> tuple[str, ...]:
        if row.intensities is None:
            return ("",) * len(self.labels)
        return tuple(f"{value:.2f}" for value in row.intensities.tolist())

    def _rich_table(self, width: int) -> Any:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        narrow = width < WIDE_SCREEN
        padding = (0, 0) if narrow else (0, 1)
        table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, show_edge=False, padding=padding)
        table.add_column(HEADINGS[0], no_wrap=True)
        table.add_column(HEADINGS[1], style="dim", no_wrap=True)
        if not narrow:
            table.add_column(HEADINGS[2], style="dim", no_wrap=True)
        for name in self.labels.names:
            table.add_column(name.replace("_", "\n"), justify="right", vertical="bottom", no_wrap=True)
        previous = None
        for row in self.rows:
            source, seconds, given = self._place(row)
            shown = Text("" if source == previous else ending(source, width // 8 if narrow else width // 5))
            if narrow and row.start_s is not None:
                seconds = f"{row.start_s:.0f}-{row.end_s:.0f}"
            previous = source
            style = STATUS_STYLES.get(row.status, "")
            place = (shown, seconds) if narrow else (shown, seconds, Text(given, style=style))
            table.add_row(*place, *self._cells_of(row, Text))
        told = dict.fromkeys((row.source, row.detail) for row in self.rows if row.detail)
        notes = [Text(f"{ending(source, width // 3)}: {detail}", style="dim") for source, detail in told]
        return Group(table, *notes)

    def _cells_of(self, row: Prediction, text: Any) -> list[Any]:
        """The numbers; the strongest stands out."""
        if row.intensities is None:
            return [""] * len(self.labels)
        strongest = int(row.intensities.argmax())
        return [
            text(number, style="bold yellow" if index == strongest else "")
            for index, number in enumerate(self._numbers(row))
        ]
