"""What do graph and transformer bring, the trunk being equal? Rows A to E of Table 9 on drawn clips, three seeds.

    python benchmarks/keypoint_graph_rows.py --trunk runs/stills/bundle

The trunk comes from ``mien train keypoint_graph_synthetic_stills`` and rests, triplet attention included. So each frame
of each clip passes it once, and what the rows differ in is trained for many epochs on its vectors. Everything after the
trunk, the frames that are drawn, the loss and the optimizer are those of the recipe ``keypoint_graph_synthetic``.

Each row and seed also leaves a bundle of the whole network in the folder of the answers, from which a run that trains
all of it may start: ``--set.init runs/keypoint_graph_rows/t9_e-seed1/bundle``.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from _report import Table, write_page
from mien.data.clip_input import ClipInput
from mien.data.prepare_clips import prepare_clips
from mien.data.readers import read_dataset
from mien.data.splits import Labelled, data_fingerprint, make_splits
from mien.data.synthetic_clips import unordered_cap
from mien.engine.finish import export
from mien.engine.optim import Optimizer, Schedule, set_rate
from mien.engine.progress import Bar
from mien.engine.run import Run
from mien.engine.start import take_part
from mien.engine.surroundings import commit
from mien.media.clip import clip_indices
from mien.media.clip_source import read_frames
from mien.metrics.bootstrap import repeated_interval
from mien.models.keypoint_graph import Config, KeypointGraph
from mien.recipes import find
from mien.runtime.bundle import Bundle, find_bundle
from mien.runtime.cache import atomic_path, cache_dir
from mien.schema.inputs import ClipSpec, LandmarkSpec
from mien.schema.labels import LabelSet
from mien.schema.sample import RenderedClip
from mien.tasks import task_from_json

BASE = "keypoint_graph_synthetic"
ROWS = {
    "t9_a": "A: features only",
    "t9_b": "B: graph",
    "t9_c": "C: graph, LSTM",
    "t9_d": "D: transformer",
    "t9_e": "E: graph, transformer",
}
FULL = "t9_e"
PAPER = {"t9_a": 64.80, "t9_b": 65.48, "t9_c": 66.72, "t9_d": 67.30, "t9_e": 68.73}
"""WAR on DFEW in the paper's Table 9."""

SEEDS = (1, 2, 3)
EPOCHS = 20
OPTIMIZER = Optimizer(name="adamw", lr=3e-4, weight_decay=0.02)
TRAINED = ("gcn", "fusion", "temporal", "head", "aux_head")
FROM_TRUNK = ("trunk", "triplet")
PARTS = ("train", "select", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What the trunk says of the clips of one part: ``local [N, F, 18, E]``, ``whole [N, F, E]`` (float16), labels."""

    local: NDArray[np.float16]
    whole: NDArray[np.float16]
    label: NDArray[np.int64]
    person: tuple[str, ...]

    def batch(self, clips: NDArray[np.int64], frames: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors of some frames of some clips, ``[B, T, 18, E]`` and ``[B, T, E]``."""
        return (
            torch.from_numpy(self.local[clips[:, None], frames].astype(np.float32)),
            torch.from_numpy(self.whole[clips[:, None], frames].astype(np.float32)),
        )


def main() -> None:
    """Train what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trunk", type=Path, required=True, help="bundle of keypoint_graph_synthetic_stills")
    parser.add_argument("--out", type=Path, default=Path("runs/keypoint_graph_rows"), help="folder of the answers")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--quick", action="store_true", help="an epoch on some clips: a look, not a result")
    parser.add_argument("--print", dest="print_only", action="store_true", help="print the page, do not write it")
    options = parser.parse_args()
    run, bundle = find(BASE), find_bundle(options.trunk)
    limit = 28 if options.quick else None
    parts, fingerprint, labels = vectors(run, bundle, limit)
    options.out.mkdir(parents=True, exist_ok=True)
    epochs = 1 if options.quick else options.epochs
    for seed in options.seeds:
        for row in options.rows:
            path = options.out / f"{row}-seed{seed}.json"
            if not path.exists():
                network, found = train(row, seed, epochs, parts, bundle, labels)
                keep(network, find(f"{BASE}_{row}"), seed, found, fingerprint, parts, labels, path.with_suffix(""))
                path.write_text(json.dumps(found))
    answers = {
        (p.stem.split("-seed")[0], int(p.stem.split("-seed")[1])): json.loads(p.read_text())
        for p in sorted(options.out.glob("*-seed*.json"))
    }
    page(answers, parts["test"], bundle, fingerprint, epochs, options)


def vectors(run: Run, bundle: Bundle, limit: int | None) -> tuple[dict[str, Part], str, LabelSet]:
    """What the trunk says of every frame of every clip, by part; the data's fingerprint and its classes."""
    samples = read_dataset(run.data.reader)
    splits = make_splits(samples, replace(run.data, limit=limit))
    fingerprint = data_fingerprint(samples)
    network = run.model.build(splits.labels).eval()
    for name in FROM_TRUNK:
        take_part(network, name, bundle)
    folder = cache_dir() / "keypoint_graph_rows" / f"{bundle.hash12}-{fingerprint}-{limit or 'all'}"
    items = {"train": splits.train, "select": splits.select, "test": splits.test}
    return {name: _part(network, run.model, items[name], folder / name) for name in PARTS}, fingerprint, splits.labels


def _part(network: KeypointGraph, config: Config, items: Sequence[Labelled], path: Path) -> Part:
    sources = [item.sample.source for item in items if isinstance(item.sample.source, RenderedClip)]
    length = sources[0].n_frames
    shape = (len(items), length)
    files = [path.with_suffix(f".{name}.npy") for name in ("local", "whole")]
    if not all(file.exists() for file in files):
        make, faces = every_frame(config, length), prepare_clips([i.sample for i in items], name="rows", progress=False)
        local = np.empty((*shape, 18, config.widths[-1]), np.float16)
        whole = np.empty((*shape, config.widths[-1]), np.float16)
        with Bar(enabled=True) as bar, torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            bar.start_epoch(0, 1, len(items), 1, config.size_px)
            for number, (item, source) in enumerate(zip(items, sources, strict=True)):
                known = faces[item.sample.key]
                images = read_frames(source, range(length))
                made = make.of_frames(images, [known.face(frame) for frame in range(length)])
                found = network.forward_vectors(*(torch.from_numpy(made[name])[None] for name in ("clip", "landmarks")))
                local[number], whole[number] = (tensor[0].float().numpy() for tensor in found)
                bar.steps_done(number + 1, 0.0)
        for file, array in zip(files, (local, whole), strict=True):
            with atomic_path(file) as temporary, temporary.open("wb") as opened:
                np.save(opened, array)
    local, whole = (np.load(file, mmap_mode="r") for file in files)
    label = np.array([item.index for item in items], np.int64)
    return Part(local=local, whole=whole, label=label, person=tuple(str(item.sample.subject) for item in items))


def every_frame(config: Config, length: int) -> ClipInput:
    """Makes the inputs of ``length`` frames, in the order in which they are given."""
    clip, landmarks = (config.inputs()[name] for name in ("clip", "landmarks"))
    assert isinstance(clip, ClipSpec)
    assert isinstance(landmarks, LandmarkSpec)
    return ClipInput(
        {
            "clip": replace(clip, n_frames=length, segments=length, per_segment=1),
            "landmarks": replace(landmarks, n_frames=length),
        }
    )


def train(
    row: str, seed: int, epochs: int, parts: Mapping[str, Part], trunk: Bundle, labels: LabelSet
) -> tuple[KeypointGraph, dict[str, object]]:
    """Train what follows the trunk, keep the epoch that is best on the selection part, answer the test part."""
    run = find(f"{BASE}_{row}")
    config, batch_size = run.model, run.train.batch_size
    torch.manual_seed(seed)
    network = config.build(labels)
    for name in FROM_TRUNK:
        take_part(network, name, trunk)
    head = nn.ModuleDict({n: m for n, m in network.named_children() if n in TRAINED and m is not None})
    optimizer, loss = OPTIMIZER.build(head), run.loss.build(labels)
    schedule, rng = Schedule(name="cosine", warm_up=0.05), np.random.default_rng(seed)
    part, best, best_epoch, kept = parts["train"], -1.0, 0, {}
    steps = len(part.label) // batch_size or 1
    eye = torch.eye(len(labels))
    for epoch in range(epochs):
        head.train()
        order = rng.permutation(len(part.label))
        for step in range(steps):
            set_rate(optimizer, OPTIMIZER.lr * schedule.factor((epoch + step / steps) / epochs, epoch))
            clips = order[step * batch_size : (step + 1) * batch_size]
            frames = np.stack([_frames(part, config, rng) for _ in clips])
            label = torch.from_numpy(part.label[clips])
            outputs = answer(network, *part.batch(clips, frames))
            value = loss(outputs, {"label": label, "distribution": eye[label]})["loss"]
            optimizer.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(head.parameters(), run.train.clip_norm)
            optimizer.step()
        right = float((predict(network, config, parts["select"]) == parts["select"].label).mean())
        print(f"{row} seed {seed} epoch {epoch + 1}/{epochs} loss {value.item():.3f} select {right:.4f}", flush=True)
        if right > best:
            best, best_epoch, kept = right, epoch, {n: t.clone() for n, t in head.state_dict().items()}
    head.load_state_dict(kept)
    found = predict(network, config, parts["test"])
    parameters = sum(p.numel() for p in head.parameters())
    return network, {
        "select": best,
        "best_epoch": best_epoch,
        "epochs": epochs,
        "answers": found.tolist(),
        "parameters": parameters,
    }


def keep(
    network: KeypointGraph,
    run: Run,
    seed: int,
    found: Mapping[str, object],
    fingerprint: str,
    parts: Mapping[str, Part],
    labels: LabelSet,
    out: Path,
) -> None:
    """Write the whole network as ``out/bundle``."""
    record = {
        "commit": commit(),
        "data": {"fingerprint": fingerprint, **{name: len(parts[name].label) for name in ("train", "select")}},
        **{name: found[name] for name in ("epochs", "best_epoch")},
        "minutes": None,
        "images_per_s": None,
    }
    export(replace(run, seed=seed), network.eval(), labels, task_from_json({"name": run.task}, labels), record, {}, out)


@dataclass(frozen=True, slots=True)
class _Answer:
    logits: torch.Tensor
    aux_logits: torch.Tensor


def answer(network: KeypointGraph, local: torch.Tensor, whole: torch.Tensor) -> _Answer:
    """What the network's own later steps make of the trunk's vectors."""
    frames, _ = network.forward_frames(local, whole)
    feature, _ = network.forward_clip(frames)
    aux = network.head(frames).mean(1) if network.aux_head is None else network.aux_head(frames.mean(1))
    return _Answer(network.head(feature), aux)


def _frames(part: Part, config: Config, rng: np.random.Generator | None = None) -> NDArray[np.int64]:
    return clip_indices(part.whole.shape[1], config.segments, config.per_segment, rng)


@torch.inference_mode()
def predict(network: KeypointGraph, config: Config, part: Part) -> NDArray[np.int64]:
    """Class of each clip by its middle frames, ``int64 [N]``."""
    network.eval()
    found = []
    for clips in np.array_split(np.arange(len(part.label)), max(1, len(part.label) // 64)):
        frames = np.repeat(_frames(part, config)[None], len(clips), 0)
        found.append(answer(network, *part.batch(clips, frames)).logits.argmax(1).numpy())
    return np.concatenate(found)


def page(
    answers: Mapping[tuple[str, int], Mapping[str, object]],
    test: Part,
    bundle: Bundle,
    fingerprint: str,
    epochs: int,
    options: argparse.Namespace,
) -> None:
    """Write the page of all rows and seeds that are there."""
    right = {key: np.array(one["answers"]) == test.label for key, one in answers.items()}
    seeds = sorted({seed for _, seed in right})
    lines = []
    for row, title in ROWS.items():
        own = [100 * float(right[row, seed].mean()) for seed in seeds if (row, seed) in right]
        if not own:
            continue
        pairs = [right[FULL, s].astype(float) - right[row, s] for s in seeds if {(row, s), (FULL, s)} <= right.keys()]
        gap = "" if row == FULL or not pairs else _told(np.stack(pairs), test.person)
        spread = f" ± {stdev(own):.1f}" if len(own) > 1 else ""
        lines.append((title, f"{PAPER[row]:.2f}", f"{fmean(own):.1f}{spread}", " ".join(f"{v:.1f}" for v in own), gap))
    head = ("row", "paper, DFEW, WAR", "measured here", "by seed", "E minus row")
    write_page(
        "keypoint_graph_rows",
        question="What do graph and transformer bring, the trunk being equal?",
        tables=[Table(title="Table 9 on drawn clips: accuracy in percent", head=head, rows=lines)],
        targets=[],
        packages=("torch",),
        notes=[
            f"{len(test.label)} test clips of {len(set(test.person))} persons who are in no other part; data "
            f"{fingerprint}; seeds {', '.join(map(str, seeds))}; mean and standard deviation over the seeds.",
            "Difference: on the same clips and seeds, 95 % interval by bootstrap over seeds and persons.",
            f"Whoever sees all frames but not their order reaches {100 * unordered_cap():.1f} % at best: A and B.",
            f"The trunk (`{bundle.name}` {bundle.hash12}, commit {str(bundle.provenance['commit'])[:10]}) was trained "
            f"on drawn single faces and rests; {epochs} epochs of what follows it, the best one chosen on the "
            "validation part.",
        ],
        options=options,
    )


def _told(values: NDArray[np.float64], persons: Sequence[str]) -> str:
    found = repeated_interval(100 * values, groups=persons)
    return f"{float(found.value):+.1f} ({float(found.low):+.1f} to {float(found.high):+.1f})"


if __name__ == "__main__":
    main()
