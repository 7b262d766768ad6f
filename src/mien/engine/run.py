"""A run is a frozen value: what is trained on what and how. ``run.json`` is the run.

``python -m mien.engine.run RECIPE --data ROOT --out DIR [--resume] [--seed N] [--set FIELD=VALUE ...]`` trains one.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mien.data.augment import Augment
from mien.data.scene_augment import SceneAugment
from mien.data.splits import DataConfig
from mien.engine.optim import Optimizer, Schedule
from mien.schema.errors import ConfigError, MienError
from mien.schema.inputs import FeatureSpec
from mien.schema.tables import resolve

TeacherLooks = Literal["both", "either"]
"""Whether teachers that look on see a picture and its mirror image, or either of the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How a run is trained.

    Attributes:
        epochs: passes over the training part.
        steps: batches in an epoch at most, of those that the sampler puts first; 0 takes all.
        batch_size: samples in a batch.
        accumulate: batches whose gradients are added up before a step.
        optimizer: the update rule.
        schedule: how the learning rate changes.
        clip_norm: gradients longer than this are shortened to it; 0 is off.
        ema_decay: decay of the moving average of the weights, which is then what is evaluated and kept; 0 is off.
        sam_rho: radius of sharpness-aware minimisation (Foret et al., ICLR 2021); 0 is off.
        sampler: name in ``SAMPLERS``, such as ``shuffled``, ``inverse_root``, ``balanced`` or ``oversampled``.
        sizes: (share of the run from which it holds, side of the input in pixels); empty for the model's own side.
        unfreeze: (name of a module, share of the run from which it is trained); until then it rests, batch statistics
            included. What begins is decided at the start of each epoch.
        precision: ``bf16-mixed`` computes in bfloat16 where that is safe.
        channels_last: keep pictures and weights in NHWC order, the faster one for convolutions.
        compile: fuse the network with ``torch.compile``, which takes a minute and a C++ compiler.
        workers: processes that prepare batches; 0 prepares them in a thread.
        cache_mb: how much of the training pictures may stay in memory.
        monitor: metric of the selection part by which the best epoch is chosen.
        monitor_mode: whether more or less of it is better.
        keep: ``best`` is the epoch with the best value of ``monitor``, ``last`` the last one: then nothing is chosen by
            the selection part.
        select_every: epochs from one look at the selection part to the next; the last epoch has one in any case. With
            ``keep="last"`` nothing depends on the looks between, which cost time.
        patience: stop after this many looks without a gain of ``min_delta``; 0 is off.
        min_delta: smallest gain that counts for ``patience``.
        time_limit_min: the run is shortened so that it ends at this time, give or take half an epoch; 0 is off. The
            number of epochs then depends on the machine.
        tensorboard: write TensorBoard events beside the CSV journal.
    """

    epochs: int = 30
    steps: int = 0
    batch_size: int = 128
    accumulate: int = 1
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    clip_norm: float = 0.0
    ema_decay: float = 0.0
    sam_rho: float = 0.0
    sampler: str = "shuffled"
    sizes: tuple[tuple[float, int], ...] = ()
    unfreeze: tuple[tuple[str, float], ...] = ()
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    channels_last: bool = False
    compile: bool = False
    workers: int = 0
    cache_mb: int = 2048
    monitor: str = "accuracy"
    monitor_mode: Literal["max", "min"] = "max"
    keep: Literal["best", "last"] = "best"
    select_every: int = 1
    patience: int = 0
    min_delta: float = 0.0
    time_limit_min: float = 0.0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "select_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"train.{name} is at least 1; given: {getattr(self, name)}")
        for name in ("steps", "clip_norm", "sam_rho", "patience", "time_limit_min", "workers"):
            if getattr(self, name) < 0:
                raise ConfigError(f"train.{name} is at least 0; given: {getattr(self, name)}")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"train.ema_decay lies in [0, 1); given: {self.ema_decay}")
        starts = [start for start, _ in self.sizes]
        if starts and (starts[0] != 0 or starts != sorted(starts) or starts[-1] >= 1):
            raise ConfigError(f"train.sizes starts at share 0 and rises below 1; given: {self.sizes}")
        if not all(0 <= start < 1 for _, start in self.unfreeze):
            raise ConfigError(f"train.unfreeze has shares of the run in [0, 1); given: {self.unfreeze}")
        if self.patience and self.keep == "last":
            raise ConfigError("train.patience stops by the selection part, of which train.keep=last knows nothing")
        if self.sam_rho and self.accumulate > 1:
            raise ConfigError("train.sam_rho and train.accumulate > 1 don't go together; switch one of them off")
        self._check_plateau()

    def _check_plateau(self) -> None:
        if self.schedule.name == "plateau" and (self.keep == "last" or self.sizes):
            raise ConfigError(
                "train.schedule.name=plateau lowers the rate by values of the selection part that can be compared: set "
                f"train.keep to best and leave train.sizes empty, or take another schedule; given: {self.keep=}, "
                f"{self.sizes=}"
            )

    def size_px(self, progress: float) -> int | None:
        """Side of the input at a share of the run; ``None`` for the model's own side."""
        return next((px for start, px in reversed(self.sizes) if progress >= start - 1e-9), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training.

    Attributes:
        name: the recipe's name.
        architecture: name of the model in ``MODELS``.
        model: the model's configuration.
        data: the samples and their labels.
        task: name in ``TASKS``; ``regress`` learns strengths from features, ``classify_frames`` the expression of each
            frame of a window.
        loss: configuration of the training loss.
        added: configurations of further losses, added to it, such as ``Distillation`` or ``EarlyLearning``; one that
            takes the place of a share of what stands before it has ``replaces``.
        teacher: file of a teacher's answers that ``python -m mien.deploy.teach`` wrote, for a loss that learns from it.
        teachers: bundles that answer, in place of a file, for the very pictures that the student sees.
        teacher_looks: what these look at, ``both`` (each picture and its mirror image) or ``either`` of the two, by
            chance, at half the cost.
        augment: how training faces are varied, or, to find them, whole pictures.
        train: the loop.
        seed: of the weights, the order, the augmentation and the dropout.
        crop: ``face`` aligns by eyes or box, ``whole`` takes pictures as they are.
        min_presence: least presence of the mesh for its points to be a target.
        prior: bundle whose weights are the model's frozen prior; ``None`` leaves it random.
        init: bundle to start from; a head for other classes starts anew.
        blend: further bundles of the same network; the run starts from the mean of their weights and those of ``init``
            (a model soup, Wortsman et al. 2022). The mean is worth something where all were trained from one start.
        weights: (part of the model, file or folder) to start from: a checkpoint of public weights, or a bundle that
            has the same part.
        freeze: names of modules or parameters that are not trained.
        proportion: ``searched`` looks, after training, for the integers in proportion to which a network of voice and
            face adds their probabilities, on the selection part; ``given`` leaves those of the model.
        features: (input of the model, folder of ``mien features`` or name of a feature set inside the dataset); samples
            that lack one of them are left out, also where the model does not take it. Of a model that is told of a face
            at moments one such folder, or one with a NumPy file for each clip.
        random_features: take folders that an encoder with random weights wrote.
    """

    name: str
    architecture: str
    model: Any
    data: DataConfig
    task: Literal["classify", "landmarks", "detect", "regress", "classify_frames"] = "classify"
    loss: Any
    added: tuple[Any, ...] = ()
    teacher: str | None = None
    teachers: tuple[str, ...] = ()
    teacher_looks: TeacherLooks = "both"
    augment: Augment | SceneAugment = field(default_factory=Augment)
    train: TrainConfig = field(default_factory=TrainConfig)
    seed: int = 0
    crop: Literal["face", "whole"] = "face"
    min_presence: float = 0.5
    prior: str | None = None
    init: str | None = None
    blend: tuple[str, ...] = ()
    weights: tuple[tuple[str, str], ...] = ()
    freeze: tuple[str, ...] = ()
    proportion: Literal["given", "searched"] = "given"
    features: tuple[tuple[str, str], ...] = ()
    random_features: bool = False

    def __post_init__(self) -> None:
        if self.proportion == "searched" and not _is_proportional(self.model):
            raise ConfigError(
                "proportion=searched needs a model that adds the probabilities of voice and face in proportion to "
                "integers: modality=va, fusion=proportional, fusion_weights=grid"
            )
        if isinstance(self.augment, SceneAugment) != (self.task == "detect"):
            raise ConfigError("augment is a SceneAugment where the task is detect, and an Augment in all other runs")
        if isinstance(self.augment, SceneAugment):
            return
        if wrong := [one for one in self.added if not hasattr(one, "build")]:
            raise ConfigError(
                f"added takes configurations of losses, as "
                f'[{{"type": "mien.losses.distillation:Distillation", "weight": 0.5}}]; given: {wrong[0]!r}'
            )
        if self.task == "regress":
            self._check_regress()
        elif (self.features or self.random_features) and not _is_told_of_faces(self.model):
            raise ConfigError(
                f"features and random_features are for the task regress, and for models that are told of a face at "
                f"moments, such as gcsa_av with visual_net=features; the task is {self.task!r}, the model "
                f"{self.architecture!r}"
            )
        if self.blend and not self.init:
            raise ConfigError(f"blend has further bundles beside the one of init; there is none. Given: {self.blend!r}")
        if self.teacher and self.teachers:
            raise ConfigError(
                f"A student learns from a teacher's file or from teachers, not from both; given: teacher="
                f"{self.teacher!r}, teachers={self.teachers!r}"
            )
        self._check_mixing(self.augment)

    def _check_mixing(self, augment: Augment) -> None:
        mixed = augment.mixup or augment.cutmix
        if mixed and getattr(self.loss, "target", "distribution") == "label":
            raise ConfigError("augment.mixup and augment.cutmix mix the labels too: set loss.target to distribution")
        if mixed and self.task in ("landmarks", "classify_frames"):
            what = "landmarks" if self.task == "landmarks" else "frames of windows"
            raise ConfigError(f"augment.mixup and augment.cutmix are for classes; {what} cannot be mixed")
        knowing = [type(one).__name__ for one in (self.loss, *self.added) if getattr(one, "needs_samples", False)]
        if mixed and knowing:
            raise ConfigError(f"{knowing[0]} knows each face, so none may be mixed: set augment.mixup and cutmix to 0")

    def _check_regress(self) -> None:
        if self.augment != Augment():
            raise ConfigError("augment varies pictures and sounds; the task regress reads features: leave it empty")
        if self.train.sizes:
            raise ConfigError("train.sizes are of pictures; the task regress reads features: leave them empty")
        if _is_told_of_faces(self.model):
            raise ConfigError(
                f"{self.architecture!r} is told of a face at moments and learns classes: set task=classify"
            )


def _is_proportional(model: Any) -> bool:
    wanted = {"modality": "va", "fusion": "proportional", "fusion_weights": "grid"}
    return all(getattr(model, name, None) == value for name, value in wanted.items())


def _is_told_of_faces(model: Any) -> bool:
    return any(isinstance(spec, FeatureSpec) and spec.around_moment for spec in model.inputs().values())


def to_json(value: Any) -> Any:
    """Plain data; a dataclass becomes a mapping with its ``type``."""
    if is_dataclass(value) and not isinstance(value, type):
        kind = f"{type(value).__module__}:{type(value).__qualname__}"
        return {"type": kind, **{f.name: to_json(getattr(value, f.name)) for f in fields(value)}}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    return value


def from_json(data: Any) -> Any:
    """Inverse of :func:`to_json`.

    Raises:
        ConfigError: if a type or a field is unknown, as in a run of another version.
    """
    if isinstance(data, list):
        return tuple(from_json(item) for item in data)
    if not isinstance(data, Mapping):
        return data
    if "type" not in data:
        return {key: from_json(item) for key, item in data.items()}
    values = {key: from_json(item) for key, item in data.items() if key != "type"}
    try:
        kind = resolve(data["type"]) if str(data["type"]).startswith("mien.") else None
        if not (isinstance(kind, type) and is_dataclass(kind)):
            raise TypeError(f"{data['type']!r} is no configuration of this package")
        return kind(**values)
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(f"The run cannot be read ({error}); was it written by another version?") from error


def read_run(path: Path) -> Run:
    """The run of a ``run.json``.

    Raises:
        ConfigError: if it is absent or was written by another version.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as a run: {error}") from error
    run = from_json(data.get("run", data) if isinstance(data, Mapping) else data)
    if not isinstance(run, Run):
        raise ConfigError(f"{path} holds no run")
    return run


def override(run: Run, path: str, text: str) -> Run:
    """``run`` with one field changed, as ``train.optimizer.lr`` to ``3e-4``.

    Raises:
        ConfigError: if there is no such field or the text does not fit it.
    """
    changed: Run = _override(run, path.split("."), _parse(text), path)
    return changed


def _override(config: Any, names: Sequence[str], value: Any, path: str) -> Any:
    allowed = {f.name: f.type for f in fields(config)} if is_dataclass(config) else {}
    if names[0] not in allowed:
        raise ConfigError(f"There is no field {path!r}; at {names[0]!r} there are: {', '.join(allowed) or 'no fields'}")
    old = getattr(config, names[0])
    if allowed[names[0]] is float:
        old = float(old)
    new = _override(old, names[1:], value, path) if len(names) > 1 else _fitting(old, value, path)
    return replace(config, **{names[0]: new})


def _fitting(old: Any, value: Any, path: str) -> Any:
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if old is not None and value is not None and type(old) is not type(value):
        raise ConfigError(f"{path} is {old!r} now, a {type(old).__name__}; given: {value!r}")
    return value


def _parse(text: str) -> Any:
    try:
        return from_json(json.loads(text))
    except ValueError:
        return {"True": True, "False": False, "None": None}.get(text, text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a recipe from the shell, with nothing but the training packages."""
    parser = argparse.ArgumentParser(prog="python -m mien.engine.run", description="Train one recipe.")
    parser.add_argument("recipe", help="name of a recipe, or the path of a run.json")
    parser.add_argument("--data", type=Path, help="root of the dataset")
    parser.add_argument("--out", type=Path, help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on from the last epoch in --out")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--init", help="bundle to start from")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", dest="changes")
    given = parser.parse_args(arguments)
    try:
        run = find_run(given.recipe)
        for change in given.changes:
            run = override(run, *change.split("=", 1)) if "=" in change else override(run, change, "true")
        run = replace(run, seed=run.seed if given.seed is None else given.seed, init=given.init or run.init)
        fit = resolve("mien.engine.fit:fit")
        out = given.out or Path("runs") / run.name / f"seed{run.seed}"
        bundle = fit(run, root=given.data, out=out, resume=given.resume, device=given.device)
        sys.stdout.write(f"{bundle}\n")
    except MienError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 2
    return 0


def find_run(name: str) -> Run:
    """The run of a recipe's name or of a ``run.json``."""
    if name.endswith(".json"):
        return read_run(Path(name))
    found: Run = resolve("mien.recipes:find")(name)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
