"""All that changes during a run, how it is kept between two epochs, and what ``run.json`` says of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from mien.engine import checkpoint
from mien.engine.material import Material, counts_in
from mien.engine.optim import Plateau
from mien.engine.pace import Pace
from mien.engine.run import Run, to_json
from mien.engine.surroundings import commit, surroundings


@dataclass(slots=True, kw_only=True)
class State:
    """A run on its way.

    Attributes:
        run: what is trained.
        material: on what.
        fabric: devices and precision.
        network: the module itself.
        model: the module as it is called in training, which Fabric wraps.
        optimizer: of its parameters.
        average: moving average of the weights, if there is one.
        loss: ``(outputs, targets) -> {"loss": ..., parts}``. One that learns from epoch to epoch has ``end_epoch`` and,
            to go on after a stop, ``state_dict`` and ``load_state_dict``.
        task: decodes and scores.
        pace: how far the run is.
        best: best value of the monitored metric so far.
        best_epoch: when it was reached; -1 for never.
        bad_epochs: epochs since the last gain.
        plateau: how often the rate has fallen, of a schedule that looks at the monitored value.
        commits: of the code that trained it, in order; several where a run went on with newer code.
    """

    run: Run
    material: Material
    fabric: Any
    network: nn.Module
    model: Any
    optimizer: Any
    average: AveragedModel | None
    loss: Any
    task: Any
    pace: Pace
    best: float | None = None
    best_epoch: int = -1
    bad_epochs: int = 0
    plateau: Plateau = field(default_factory=Plateau)
    commits: list[str] = field(default_factory=list)

    def note_commit(self) -> None:
        """Remember the code that trains the next epoch."""
        now = commit() or "unknown"
        if self.commits[-1:] != [now]:
            self.commits.append(now)

    @property
    def is_looked_at(self) -> bool:
        """Whether the selection part is looked at after the next epoch, as after the last one in any case."""
        return self.pace.left() <= 1 or (self.pace.epoch + 1) % self.run.train.select_every == 0

    def gain(self, value: float) -> float:
        """By how much the monitored value is better than the best so far; infinity for the first one."""
        if self.best is None:
            return float("inf")
        return self.best - value if self.run.train.monitor_mode == "min" else value - self.best

    def rate(self, progress: float) -> float:
        """Learning rate at a share of the run that lies in the next epoch."""
        config = self.run.train
        return config.optimizer.lr * config.schedule.factor(progress, self.pace.epoch, self.plateau.falls)

    def watch_plateau(self, scores: Mapping[str, float]) -> None:
        """Let the schedule see the value of the epoch that is over; those in which the rate only rose don't count.

        ``scores`` is empty after an epoch that was not looked at.
        """
        config = self.run.train
        if scores and config.schedule.name == "plateau" and self.pace.progress > config.schedule.warm_up + 1e-9:
            value, epoch = scores[config.monitor], self.pace.epoch - 1
            self.plateau.look(value, epoch, config.schedule, config.monitor_mode)

    @property
    def judged(self) -> nn.Module:
        """The network that is evaluated and kept: the moving average, if there is one."""
        return self.average.module if self.average is not None else self.network


def save_state(state: State, path: Path) -> None:
    """Write what :func:`restore_state` needs to go on with the same bits."""
    tensors = checkpoint.prefixed("model", state.network.state_dict())
    tensors |= checkpoint.prefixed("optimizer", checkpoint.optimizer_tensors(state.optimizer))
    if state.average is not None:
        tensors |= checkpoint.prefixed("average", state.average.state_dict())
    if hasattr(state.loss, "state_dict"):
        tensors |= checkpoint.prefixed("loss", state.loss.state_dict())
    numbers = {
        "pace": state.pace.state(),
        "best": state.best,
        "best_epoch": state.best_epoch,
        "bad_epochs": state.bad_epochs,
        "plateau": asdict(state.plateau),
        "commits": state.commits,
    }
    checkpoint.save(path, tensors, numbers)


def restore_state(state: State, path: Path) -> None:
    """Inverse of :func:`save_state`.

    Raises:
        BundleError: if the file is damaged or belongs to a run of another model.
    """
    tensors, numbers = checkpoint.load(path)
    checkpoint.load_module(state.network, checkpoint.part("model", tensors))
    if state.average is not None:
        checkpoint.load_module(state.average, checkpoint.part("average", tensors))
    if hasattr(state.loss, "load_state_dict"):
        state.loss.load_state_dict(checkpoint.part("loss", tensors))
    checkpoint.load_optimizer(state.optimizer, checkpoint.part("optimizer", tensors))
    state.pace.restore(numbers["pace"])
    state.best, state.best_epoch, state.bad_epochs = numbers["best"], numbers["best_epoch"], numbers["bad_epochs"]
    state.plateau = Plateau(**numbers.get("plateau", {}))
    state.commits = list(numbers.get("commits", ()))


def record_of(state: State) -> dict[str, Any]:
    """What ``run.json`` says: the run, its data, the network, and where it runs.

    ``commit`` is the one that trained the last epoch, not the one that exports it.
    """
    material, run = state.material, state.run
    labels = material.splits.labels
    counts = counts_in(material.train, len(labels))
    return {
        "run": to_json(run),
        "labels": list(labels.names),
        "data": {
            "fingerprint": material.fingerprint,
            "train": len(material.train.items),
            "select": len(material.select.items),
            "report": len(material.splits.report),
            "train_per_class": dict(zip(labels.names, counts.tolist(), strict=True)),
            "alignment": material.alignment,
            "dropped": material.dropped,
            **({"features": material.features} if material.features else {}),
            **({"teacher": material.teacher} if material.teacher else {}),
        },
        "sampler": run.train.sampler,
        "parameters": sum(p.numel() for p in state.network.parameters()),
        "trained_parameters": sum(p.numel() for p in state.network.parameters() if p.requires_grad),
        "device": str(state.fabric.device),
        "threads": torch.get_num_threads(),
        **surroundings(),
        **({"commit": state.commits[-1], "commits": state.commits} if state.commits else {}),
    }
