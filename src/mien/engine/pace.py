"""How far a run is and how many epochs still fit into its time."""

import math
import time
from dataclasses import dataclass, field
from typing import Any

from mien.engine.run import TrainConfig


@dataclass(slots=True, kw_only=True)
class Pace:
    """Progress of a run as a share in [0, 1]; each epoch advances it by an equal share of what is left.

    Without a time limit epoch ``i`` of ``n`` starts at ``i / n``. With one the number of epochs left is what the time
    left allows by the seconds which epochs took so far, rounded: the schedule still reaches its end, at most half an
    epoch late or early.

    Attributes:
        config: epochs, sizes and the limit.
        epoch: number of the epoch that comes next.
        progress: share of the run done before it.
        spent_s: time that the epochs took, those before a resumption too.
        size_px: side of the last epoch's input; 0 before the first.
        cost_s: seconds of the last epoch for each size of the input.
    """

    config: TrainConfig
    epoch: int = 0
    progress: float = 0.0
    spent_s: float = 0.0
    size_px: int = 0
    cost_s: dict[int, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def left(self) -> int:
        """Epochs still to come, the next one included; 0 at the end."""
        planned = self.config.epochs - self.epoch
        if self.progress >= 1 - 1e-9 or planned <= 0:
            return 0
        if not self.config.time_limit_min or not self.cost_s:
            return planned
        seconds = 60 * self.config.time_limit_min - self.spent_s
        return max(0, min(planned, round(seconds / self._mean_cost_s())))

    def share(self) -> float:
        """Share of the run that the next epoch is."""
        return (1 - self.progress) / max(1, self.left())

    def advance(self, share: float, size_px: int, seconds: float) -> None:
        """Count an epoch that took ``seconds``."""
        self.epoch += 1
        self.progress = min(1.0, self.progress + share)
        if not self.config.time_limit_min:
            self.progress = self.epoch / self.config.epochs
        self.spent_s += seconds
        self.size_px = size_px
        self.cost_s[size_px] = seconds

    def state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "progress": self.progress,
            "spent_s": self.spent_s,
            "size_px": self.size_px,
            "cost_s": {str(size): cost for size, cost in self.cost_s.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self.epoch, self.progress, self.spent_s = state["epoch"], state["progress"], state["spent_s"]
        self.size_px = state.get("size_px", 0)
        self.cost_s = {int(size): cost for size, cost in state["cost_s"].items()}

    def _mean_cost_s(self) -> float:
        """Expected seconds of an epoch over the rest of the run; unseen sizes cost in proportion to their area."""
        starts = [*(start for start, _ in self.config.sizes), 1.0]
        if len(starts) == 1:
            return math.fsum(self.cost_s.values()) / len(self.cost_s)
        total = 0.0
        for (start, size), stop in zip(self.config.sizes, starts[1:], strict=True):
            total += max(0.0, stop - max(start, self.progress)) * self._cost_s(size)
        return total / (1 - self.progress)

    def _cost_s(self, size_px: int) -> float:
        if size_px in self.cost_s:
            return self.cost_s[size_px]
        known = min(self.cost_s, key=lambda size: abs(size - size_px))
        return self.cost_s[known] * (size_px / known) ** 2
