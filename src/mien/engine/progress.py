"""The bar that a run shows: epoch, images per second, time left of the whole run."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """Progress over all epochs of a run; a line a epoch stays when the output is no terminal."""

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not (enabled and self._console.is_terminal),
        )
        self._task = self._progress.add_task("", total=None, speed="")
        self._epoch, self._epochs, self._batch_size, self._size_px = 0, 0, 0, 0
        self._steps, self._started, self._loss, self._speed = 1, 0.0, float("nan"), 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start_epoch(self, epoch: int, epochs: int, steps: int, batch_size: int, size_px: int) -> None:
        """An epoch of ``steps`` batches begins; ``epochs`` is how many there will be by now."""
        self._epoch, self._epochs, self._steps = epoch, epochs, steps
        self._batch_size, self._size_px, self._started = batch_size, size_px, time.monotonic()
        self._show(0)

    def steps_done(self, steps: int, loss: float) -> None:
        """``steps`` batches of the epoch are done, at this mean loss."""
        self._loss = loss
        self._speed = steps * self._batch_size / max(1e-9, time.monotonic() - self._started)
        self._show(steps)

    def epoch_done(self, scores: Mapping[str, float], monitor: str) -> None:
        """Write the line of the epoch where there is no terminal to draw a bar on; ``scores`` may be empty."""
        if self._enabled and not self._console.is_terminal:
            told = f"{monitor} {scores[monitor]:.4f}  " if scores else ""
            self._console.print(
                f"epoch {self._epoch + 1}/{self._epochs}  {self._size_px} px  loss {self._loss:.4f}  "
                f"{told}{self._speed:.0f} images/s",
                highlight=False,
            )

    def _show(self, steps: int) -> None:
        self._progress.update(
            self._task,
            description=f"epoch {self._epoch + 1}/{self._epochs}",
            total=self._epochs * self._steps,
            completed=self._epoch * self._steps + steps,
            speed=f"{self._size_px} px  loss {self._loss:.3f}  {self._speed:.0f} images/s",
        )
