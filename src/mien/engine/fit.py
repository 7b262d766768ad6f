"""Training, in four chapters: set up, train an epoch, evaluate, keep the best. Lightning Fabric brings the devices.

A run is repeatable: order, augmentation, dropout and weights follow from its seed and the number of the epoch, so a
run that is killed and resumed on a CPU ends with the same bits as one that was not.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.data.frame_windows import FrameWindows
from mien.data.loader import Batch, Epoch, batches
from mien.data.moments import Moments
from mien.data.sampling import epoch_indices
from mien.data.scene_loader import PADDING
from mien.data.sequences import Sequences
from mien.engine import checkpoint
from mien.engine.finish import calibrated, export, with_proportion, with_threshold
from mien.engine.journal import Journal, read_journal, write_json
from mien.engine.material import gather, labels_in
from mien.engine.memory import keep_freed_memory
from mien.engine.objective import Sum, objective
from mien.engine.optim import ascend, descend, moving_average, set_rate
from mien.engine.pace import Pace
from mien.engine.part import Loaded
from mien.engine.pooling import first_of, pooled
from mien.engine.progress import Bar
from mien.engine.run import Run
from mien.engine.start import build_model, hold_still, settle, settle_scale, thaw
from mien.engine.state import State, record_of, restore_state, save_state
from mien.schema.errors import ConfigError
from mien.tasks import CLASSIFIERS, task_from_json

LAST, BEST = "last.safetensors", "best.safetensors"
ANSWERS = {
    "classify": ("logits",),
    "classify_frames": ("logits",),
    "landmarks": ("landmarks",),
    "detect": ("pred_logits", "pred_boxes"),
    "regress": ("intensity",),
}
"""Outputs that each task decodes."""

TARGETS = ("label", "distribution", "intensity", "landmarks", "boxes", "box_labels", "box_weights")
CHECK_EVERY = 20
"""Steps between two looks at whether the loss is still a number."""

SETTLE_FACES = 64
"""Faces from which a random prior takes its batch statistics."""

COMPARED_FACES = 16
"""Faces on which the exported graph is compared with the network, beside noise."""


def fit(
    run: Run,
    *,
    root: Path | None = None,
    out: Path,
    resume: bool = False,
    device: str = "auto",
    progress: bool = True,
) -> Path:
    """Train a run and export its best epoch, or its last one.

    Args:
        run: what to train.
        root: root of the dataset; ``None`` takes ``$MIEN_DATA/<folder>``.
        out: folder of the run: ``run.json``, ``journal.csv``, ``last`` and ``best`` checkpoint, ``bundle``.
        resume: go on after the last whole epoch in ``out``, from the start if there is none.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        progress: show a bar.

    Returns:
        The folder of the bundle.

    Raises:
        ConfigError: if ``out`` holds a run and ``resume`` is not asked for, or the loss stops being a number.
        DatasetError: if there is nothing to train on.
    """
    state = set_up(run, root, out, resume=resume, device=device, progress=progress)
    journal = Journal(out, start=state.pace.epoch, tensorboard=run.train.tensorboard)
    with Bar(enabled=progress) as bar:
        while state.pace.left() and not _out_of_patience(state):
            started = time.monotonic()
            state.note_commit()
            size_px, share = _size_px(state), state.pace.share()
            row = train_epoch(state, size_px, share, bar)
            scores = evaluate(state, size_px) if state.is_looked_at else {}
            state.pace.advance(share, size_px, time.monotonic() - started)
            is_best = keep_best(state, scores, size_px, out)
            state.watch_plateau(scores)
            journal.add({**row, **{f"select_{k}": v for k, v in scores.items()}, "best": int(is_best)})
            save_state(state, out / LAST)
            bar.epoch_done(scores, run.train.monitor)
    journal.close()
    return finish(state, out)


def set_up(run: Run, root: Path | None, out: Path, *, resume: bool, device: str, progress: bool) -> State:
    """First chapter: the data, the network, the optimizer, and where an earlier run stopped."""
    from lightning.fabric import Fabric

    last = out / LAST
    if last.exists() and not resume:
        raise ConfigError(f"{out} holds a run already; go on with --resume, or give another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    torch.set_float32_matmul_precision("medium")
    keep_freed_memory()
    fabric = Fabric(**_placed(device), precision=run.train.precision)
    fabric.launch()
    material = gather(run, root, progress=progress)
    torch.manual_seed(run.seed)
    network = build_model(run, material.splits.labels)
    if isinstance(material.train, Sequences):
        settle_scale(network, material.train)
    if not (run.prior or run.init or run.weights):
        settle(network, inputs_of(run, _first(material.train, SETTLE_FACES)))
    if run.train.channels_last:
        network = network.to(memory_format=torch.channels_last)
    network = fabric.to_device(network)
    average = moving_average(network, run.train.ema_decay) if run.train.ema_decay else None
    called: Any = torch.compile(network) if run.train.compile else network
    model, optimizer = fabric.setup(called, run.train.optimizer.build(network))
    state = State(
        run=run,
        material=material,
        fabric=fabric,
        network=network,
        model=model,
        optimizer=optimizer,
        average=average,
        loss=objective(run, material),
        task=task_from_json({"name": run.task}, material.splits.labels),
        pace=Pace(config=run.train),
    )
    if resume and last.exists():
        restore_state(state, last)
    write_json(out / "run.json", record_of(state))
    return state


def train_epoch(state: State, size_px: int, share: float, bar: Bar) -> dict[str, Any]:
    """Second chapter: one pass over the training part; the journal's row of it.

    Where the size of the input changes, the moving average starts anew: batch statistics of two sizes, mixed, fit
    neither, and cost 16 points of accuracy on FERPlus for as long as the old ones weigh in.
    """
    run, pace, config = state.run, state.pace, state.run.train
    faces = state.material.train.resized(size_px)
    order = epoch_indices(config.sampler, labels_in(faces), seed=run.seed, epoch=pace.epoch)
    order = order[: config.steps * config.batch_size] if config.steps else order
    faces.epoch = Epoch(order, run.seed, pace.epoch, pace.progress)
    torch.manual_seed(_derived_seed(run.seed, pace.epoch))
    if state.average is not None and pace.size_px not in (0, size_px):
        state.average.n_averaged.zero_()
    state.model.train()
    thaw(state.network, config.unfreeze, pace.progress)
    hold_still(state.network, run.freeze)
    whole = len(order) >= config.batch_size
    steps = len(order) // config.batch_size if whole else 1
    bar.start_epoch(pace.epoch, pace.epoch + pace.left(), steps, config.batch_size, size_px)
    sums: dict[str, Tensor] = {}
    started, rate = time.monotonic(), 0.0
    for step, batch in enumerate(_on_device(state, faces, config.batch_size, drop_last=whole)):
        rate = state.rate(pace.progress + share * step / steps)
        set_rate(state.optimizer, rate)
        parts = _step(state, batch, last=(step + 1) % config.accumulate == 0 or step + 1 == steps)
        for name, value in parts.items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value
        if step % CHECK_EVERY == 0 or step + 1 == steps:
            _check_finite(sums["loss"], pace.epoch, step)
            bar.steps_done(step + 1, float(sums["loss"]) / (step + 1))
    seconds = time.monotonic() - started
    if hasattr(state.loss, "end_epoch"):
        state.loss.end_epoch()
    return {
        "epoch": pace.epoch,
        "progress": pace.progress + share,
        "size_px": size_px,
        "sampler": config.sampler,
        "lr": rate,
        "images": steps * min(config.batch_size, len(order)),
        "seconds": seconds,
        "images_per_s": steps * min(config.batch_size, len(order)) / seconds,
        **{f"train_{name}": float(value) / steps for name, value in sums.items()},
    }


def evaluate(state: State, size_px: int) -> dict[str, float]:
    """Third chapter: the task's scores on the selection part."""
    outputs, targets = _outputs(state, state.material.select.resized(size_px))
    scores: dict[str, float] = state.task.score(state.task.decode(outputs), targets)
    return scores


def keep_best(state: State, scores: Mapping[str, float], size_px: int, out: Path) -> bool:
    """Fourth chapter: keep the weights if no epoch at the final size was better, or in any case if the last counts.

    ``scores`` is empty after an epoch that was not looked at.
    """
    config = state.run.train
    if scores and config.monitor not in scores:
        raise ConfigError(f"train.monitor is {config.monitor!r}; the task {state.run.task!r} has: {', '.join(scores)}")
    if config.sizes and size_px != config.sizes[-1][1]:
        return False
    gain = state.gain(scores[config.monitor]) if scores else 0.0
    if scores:
        state.bad_epochs = 0 if gain > config.min_delta else state.bad_epochs + 1
    if not gain > 0 and config.keep == "best":
        return False
    state.best, state.best_epoch = scores.get(config.monitor, state.best), state.pace.epoch - 1
    numbers = {"epoch": state.best_epoch, "scores": dict(scores), "size_px": size_px}
    checkpoint.save(out / BEST, state.judged.state_dict(), numbers)
    return True


def finish(state: State, out: Path) -> Path:
    """Export the best epoch; the last one if the run ended before its final size."""
    labels, network = state.material.splits.labels, state.judged
    size_px = _own_px(state.material.select)
    if (out / BEST).exists():
        checkpoint.load_module(network, checkpoint.load(out / BEST)[0])
    if state.run.proportion == "searched":
        _search_proportion(state, out)
    run = state.run
    outputs, targets = _outputs(state, state.material.select.resized(size_px), exact=True)
    if run.task in CLASSIFIERS:
        state.task = calibrated(run, labels, outputs, targets["label"])
    elif run.task == "detect":
        state.task = with_threshold(state.task, outputs, targets)
    rows = read_journal(out / "journal.csv")
    count, seconds = (sum(float(row[name]) for row in rows) for name in ("images", "seconds"))
    record = {
        **record_of(state),
        "epochs": state.pace.epoch,
        "best_epoch": state.best_epoch,
        "minutes": round(state.pace.spent_s / 60, 1),
        "images_per_s": round(count / seconds) if seconds else 0,
        "select": state.task.score(state.task.decode(outputs), targets),
    }
    write_json(out / "run.json", record)
    compared = inputs_of(run, _first(state.material.select, COMPARED_FACES))
    samples = {name: tensor.numpy() for name, tensor in compared.items()}
    return export(run, network.to("cpu").eval(), labels, state.task, record, samples, out)


def _search_proportion(state: State, out: Path) -> None:
    """Give the network the proportion of voice and face that suits the selection part best."""
    network, select = state.judged, state.material.select
    answers = ("voice_logits", "face_logits")
    outputs, targets = _outputs(state, select, exact=True, answers=answers, given=("has_sound", "has_face"))
    state.run, found = with_proportion(state.run, outputs, targets)
    network.config = state.run.model
    write_json(out / "proportion.json", {"weights": found.weights, "macro_f1": found.grid.round(6).tolist()})


def inputs_of(run: Run, batch: Batch) -> Batch:
    """What of a batch the network is fed, by the names of its arguments."""
    return {name: batch[name] for name in run.model.inputs()}


def _first(loaded: Loaded, faces: int) -> Batch:
    """The first so many faces or clips; of windows as many as have so many frames, at least one."""
    count = max(1, faces // loaded.spec.n_frames) if isinstance(loaded, FrameWindows) else faces
    return loaded.__getitems__(range(min(count, len(loaded))))


def _fed(state: State, batch: Batch) -> Batch:
    """The inputs, and in training the targets that some networks read, as to learn from noisy boxes."""
    read: tuple[str, ...] = getattr(state.network, "reads_targets", ())
    return {**inputs_of(state.run, batch), **{name: batch[name] for name in read}}


def _step(state: State, batch: Batch, *, last: bool) -> dict[str, Tensor]:
    """One batch forward and backward, and a step of the optimizer after the ``last`` of an accumulation."""
    config = state.run.train
    if config.sam_rho and isinstance(state.loss, Sum):  # two looks at one batch
        batch = state.loss.told(batch)
    with state.fabric.no_backward_sync(state.model, enabled=not last):
        parts = state.loss(state.model(**_fed(state, batch)), batch)
        state.fabric.backward(parts["loss"] / config.accumulate)
    if last:
        if config.sam_rho:
            before = ascend(state.network.parameters(), config.sam_rho)
            state.optimizer.zero_grad()
            state.fabric.backward(state.loss(state.model(**_fed(state, batch)), batch)["loss"])
            descend(before)
        if config.clip_norm:
            state.fabric.clip_gradients(state.model, state.optimizer, max_norm=config.clip_norm)
        state.optimizer.step()
        state.optimizer.zero_grad()
        if state.average is not None:
            state.average.update_parameters(state.network)
    return {name: value.detach() for name, value in parts.items()}


def _outputs(
    state: State, faces: Loaded, *, exact: bool = False, answers: tuple[str, ...] = (), given: tuple[str, ...] = ()
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Outputs of the judged network and the targets, over all of ``faces``, in order.

    Args:
        state: of the run.
        faces: what is judged; the moments of an utterance are pooled, of windows it is each labelled frame.
        exact: compute in float32.
        answers: names of the outputs; by default what the task decodes.
        given: inputs to hand back beside the targets.
    """
    columns: dict[str, list[NDArray[Any]]] = defaultdict(list)
    answers = answers or ANSWERS[state.run.task]
    state.judged.eval()
    with torch.inference_mode(), nullcontext() if exact else state.fabric.autocast():
        size = state.run.train.batch_size * (1 if isinstance(faces, FrameWindows) else 2)
        for batch in _on_device(state, faces, size):
            answer = state.judged(**inputs_of(state.run, batch))
            found = {name: getattr(answer, name).float() for name in answers}
            for name in (*TARGETS, *given):
                if name in batch and (name in given or name not in state.run.model.inputs()):
                    found[f"{name} wanted"] = batch[name]
            for name, tensor in found.items():
                columns[name].append(tensor.cpu().numpy())
    joined = {name: _joined(values, name) for name, values in columns.items()}
    outputs = {name: joined.pop(name) for name in answers}
    if isinstance(faces, Moments):
        outputs = pooled(outputs, faces.unit)
        joined = {name: first_of(values, faces.unit) for name, values in joined.items()}
    if isinstance(faces, FrameWindows):
        answered = joined["label wanted"] >= 0
        outputs = {name: values[answered] for name, values in outputs.items()}
        joined = {name: values[answered] for name, values in joined.items()}
    return outputs, {name.removesuffix(" wanted"): values for name, values in joined.items()}


def _joined(parts: list[NDArray[Any]], name: str) -> NDArray[Any]:
    """Batches one after the other; those with fewer faces a picture are padded."""
    if not name.startswith("box"):
        return np.concatenate(parts)
    most = max(part.shape[1] for part in parts)
    fill = PADDING if name.startswith("box_labels") else 0
    widths = [[(0, 0), (0, most - part.shape[1]), *[(0, 0)] * (part.ndim - 2)] for part in parts]
    padded = [np.pad(part, width, constant_values=fill) for part, width in zip(parts, widths, strict=True)]
    return np.concatenate(padded)


def _on_device(state: State, faces: Loaded, batch_size: int, *, drop_last: bool = False) -> Iterator[Batch]:
    order = torch.channels_last if state.run.train.channels_last else torch.contiguous_format
    for batch in batches(faces, batch_size, workers=state.run.train.workers, drop_last=drop_last):
        moved: Batch = state.fabric.to_device(batch)
        moved.update({n: t.contiguous(memory_format=order) for n, t in moved.items() if t.ndim == 4})
        yield moved


def _check_finite(loss: Tensor, epoch: int, step: int) -> None:
    if not bool(torch.isfinite(loss)):
        raise ConfigError(
            f"The loss is not a number any more (epoch {epoch}, by step {step}). Lower train.optimizer.lr, set "
            f"train.clip_norm to 1, or train.precision to 32-true, and start with --resume from the epoch before."
        )


def _size_px(state: State) -> int:
    """Side of the next epoch's input; the last epoch has the final one, however short the run became."""
    progress = 1.0 if state.pace.left() == 1 else state.pace.progress
    return state.run.train.size_px(progress) or _own_px(state.material.train)


def _own_px(faces: Loaded) -> int:
    """Side of the input as the model states it; 0 for one that only listens."""
    return getattr(faces.spec, "size_px", 0)


def _derived_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _out_of_patience(state: State) -> bool:
    return bool(state.run.train.patience) and state.bad_epochs >= state.run.train.patience


def _placed(device: str) -> dict[str, Any]:
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda", "gpu", "mps") or (number and not number.isdigit()):
        raise ConfigError(f"There is no device {device!r}; allowed: auto, cpu, cuda, cuda:<number>, mps")
    return {"accelerator": kind, "devices": [int(number)] if number else 1}
