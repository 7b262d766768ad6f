"""Optimizers, learning-rate schedules, the moving average of the weights and sharpness-aware steps."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mien.schema.errors import ConfigError

SCHEDULES = ("none", "cosine", "flat_cosine", "exponential", "step", "multistep", "plateau")


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """The update rule.

    Attributes:
        name: ``adam`` adds the decay to the gradient, ``adamw`` decouples it, ``sgd`` has Nesterov momentum.
        lr: highest learning rate.
        weight_decay: not applied to vectors: norms, biases, PReLU slopes, tokens.
        betas: of Adam.
        momentum: of SGD.
        lr_ratios: (name of a module, factor) of parts whose learning rate is another one; the first that fits counts.
    """

    name: Literal["adam", "adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    lr_ratios: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.name not in ("adam", "adamw", "sgd"):
            raise ConfigError(f"There is no optimizer {self.name!r}; allowed: adam, adamw, sgd")
        if self.lr <= 0 or self.weight_decay < 0:
            raise ConfigError(f"lr is above 0 and weight_decay at least 0; given: {self.lr}, {self.weight_decay}")

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of all parameters of ``model`` that need a gradient, two groups for each learning rate.

        Raises:
            ConfigError: if a name in ``lr_ratios`` fits no parameter.
        """
        groups = parameter_groups(model, self.weight_decay, self.lr_ratios)
        if self.name == "sgd":
            return torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=self.momentum > 0)
        kind = torch.optim.AdamW if self.name == "adamw" else torch.optim.Adam
        return kind(groups, lr=self.lr, betas=self.betas)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How the learning rate changes; every step's rate is the highest one times :meth:`factor`.

    Attributes:
        name: ``cosine`` falls to ``floor`` over the run, ``flat_cosine`` from ``flat_until`` on, ``exponential`` by
            ``gamma`` each epoch, ``step`` by ``gamma`` every ``every_epochs``, ``multistep`` by ``gamma`` at each of
            ``at``, ``plateau`` by ``gamma`` whenever the monitored value gains no more (:class:`Plateau`).
        warm_up: share of the run in which the rate rises.
        warm_up_from: factor at its beginning.
        warm_up_power: 1 rises evenly, 2 with the square.
        floor: least factor of the cosines.
        flat_until: share of the run until which ``flat_cosine`` keeps the highest rate.
        gamma: factor of the stepwise ones.
        every_epochs: of ``step``.
        at: shares of the run, of ``multistep``.
        patience_epochs: of ``plateau``, epochs without a gain after which the rate falls.
        threshold: of ``plateau``, what a gain has to exceed, in units of the value.
    """

    name: Literal["none", "cosine", "flat_cosine", "exponential", "step", "multistep", "plateau"] = "none"
    warm_up: float = 0.0
    warm_up_from: float = 0.0
    warm_up_power: float = 1.0
    floor: float = 0.0
    flat_until: float = 0.5
    gamma: float = 0.1
    every_epochs: int = 30
    at: tuple[float, ...] = (0.5, 0.75)
    patience_epochs: int = 10
    threshold: float = 1e-4

    def __post_init__(self) -> None:
        if self.name not in SCHEDULES:
            raise ConfigError(f"There is no schedule {self.name!r}; allowed: {', '.join(SCHEDULES)}")
        if not (0 <= self.warm_up < 1 and 0 <= self.flat_until < 1) or self.every_epochs < 1:
            raise ConfigError(f"warm_up and flat_until lie in [0, 1), every_epochs is at least 1; given: {self}")
        if not 0 <= self.warm_up_from <= 1 or self.patience_epochs < 1 or self.threshold < 0:
            raise ConfigError(
                "warm_up_from lies in [0, 1], patience_epochs is at least 1 and threshold at least 0; given: "
                f"{self.warm_up_from=}, {self.patience_epochs=}, {self.threshold=}"
            )

    def factor(self, progress: float, epoch: int, falls: int = 0) -> float:
        """Share of the highest rate.

        Args:
            progress: share of the run that is done, in [0, 1].
            epoch: number of the epoch, from 0.
            falls: how often the value gained no more, of ``plateau``.
        """
        if progress < self.warm_up:
            risen = (progress / self.warm_up) ** self.warm_up_power
            return float(self.warm_up_from + (1 - self.warm_up_from) * risen)
        if self.name in ("cosine", "flat_cosine"):
            start = self.warm_up if self.name == "cosine" else max(self.warm_up, self.flat_until)
            share = max(0.0, progress - start) / (1 - start)
            return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
        if self.name == "exponential":
            return self.gamma**epoch
        if self.name == "step":
            return float(self.gamma ** (epoch // self.every_epochs))
        if self.name == "multistep":
            return float(self.gamma ** sum(progress >= at for at in self.at))
        if self.name == "plateau":
            return float(self.gamma**falls)
        return 1.0


@dataclass(slots=True, kw_only=True)
class Plateau:
    """Counts how often a value gained no more: torch's ``ReduceLROnPlateau`` by numbers of epochs, not of looks.

    Attributes:
        falls: how often.
        best: best value so far; ``None`` before the first.
        since: epoch of the last gain, or of the last fall where that is later.
    """

    falls: int = 0
    best: float | None = None
    since: int = -1

    def look(self, value: float, epoch: int, schedule: Schedule, mode: Literal["max", "min"] = "max") -> None:
        """Take the value after an epoch.

        Args:
            value: of the monitored metric.
            epoch: number of the epoch, from 0, above that of the last look.
            schedule: says what a gain is, and how long to wait for one.
            mode: whether more or less is better.
        """
        sign = 1.0 if mode == "max" else -1.0
        if self.best is None or sign * (value - self.best) > schedule.threshold:
            self.best, self.since = value, epoch
        elif epoch - self.since >= schedule.patience_epochs:
            self.falls, self.since = self.falls + 1, epoch


def parameter_groups(
    model: nn.Module, weight_decay: float, lr_ratios: Sequence[tuple[str, float]] = ()
) -> list[dict[str, Any]]:
    """Trainable parameters with and without decay: vectors, tokens and position tables have none.

    Each group has its ``lr_ratio``, the factor of its learning rate.

    Raises:
        ConfigError: if a name in ``lr_ratios`` fits no parameter.
    """
    names = [name for name, _ in model.named_parameters()]
    for prefix, _ in lr_ratios:
        if not any(_inside(name, prefix) for name in names):
            parts = ", ".join(name for name, _ in model.named_children())
            raise ConfigError(f"optimizer.lr_ratios: nothing is called {prefix!r}; the network's parts: {parts}")
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            tables = ("pos_embed", "cls_token", "class_token", "token", "position")
            vector = parameter.ndim <= 1 or name.rsplit(".", 1)[-1].startswith(tables)
            ratio = next((ratio for prefix, ratio in lr_ratios if _inside(name, prefix)), 1.0)
            groups.setdefault((-ratio, vector), []).append(parameter)
    return [
        {"params": groups[ratio, vector], "weight_decay": 0.0 if vector else weight_decay, "lr_ratio": -ratio}
        for ratio, vector in sorted(groups)
    ]


def _inside(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let the next step use this learning rate, times each group's ratio."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_ratio", 1.0)


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of parameters and of normalisation statistics.

    The decay rises from 0.1 as ``(1 + n) / (10 + n)``, so that a short run forgets its random start.
    """

    @torch.no_grad()
    def update(averages: Sequence[Tensor], values: Sequence[Tensor], count: Tensor | int) -> None:
        n = int(count)
        weight = 1 - min(decay, (1 + n) / (10 + n))
        pairs = [(a, v) for a, v in zip(averages, values, strict=True) if a.is_floating_point()]
        if pairs:
            torch._foreach_lerp_([a for a, _ in pairs], [v.to(a.dtype) for a, v in pairs], weight)
        for average, value in zip(averages, values, strict=True):
            if not average.is_floating_point():
                average.copy_(value)

    averaged = AveragedModel(model, multi_avg_fn=update, use_buffers=True)
    averaged.requires_grad_(False)
    return averaged


@torch.no_grad()
def ascend(parameters: Iterable[nn.Parameter], rho: float) -> list[tuple[nn.Parameter, Tensor]]:
    """Move to the nearby point of highest loss, ``rho`` along the gradient; where each parameter was before."""
    moved = [(p, p.grad) for p in parameters if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for _, gradient in moved]))
    before = [(p, p.detach().clone()) for p, _ in moved]
    for parameter, gradient in moved:
        parameter.add_(gradient * (rho / (norm + 1e-12)))
    return before


@torch.no_grad()
def descend(before: Iterable[tuple[nn.Parameter, Tensor]]) -> None:
    """Go back to where :func:`ascend` started."""
    for parameter, value in before:
        parameter.copy_(value)
