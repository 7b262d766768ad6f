"""How long does a clip take? Keypoint-Graph in eager torch beside OpenVINO in fp32, bf16 and int8."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from _report import Table, arguments, interleaved, keep_to_cores, median_ratio, write_page
from mien.data.clip_input import ClipInput
from mien.data.drawing.motion import FRAMES
from mien.data.drawing.paint import SIDE_PX
from mien.data.synthetic_clips import render_clip
from mien.deploy.export import onnx_graph, round_to_half
from mien.media.crop import eye_centres
from mien.models.keypoint_graph import Config
from mien.runtime.session import OpenVINOSession
from mien.schema.inputs import InputSpec
from mien.schema.labels import BASIC_7
from mien.schema.prediction import Face
from product_cross import EAGER, quantise

BATCHES = (1, 8)
WHOLE = (0.0, 0.0, float(SIDE_PX), float(SIDE_PX))
Clips = Mapping[str, NDArray[np.float32]]
Answer = Callable[[Clips], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Network:
    """The default network with random weights, how it is fed, and its work for one clip."""

    module: nn.Module
    inputs: Mapping[str, InputSpec]
    gflop: float


def network() -> Network:
    """The network of the paper."""
    from torch.utils.flop_counter import FlopCounterMode

    torch.manual_seed(0)
    config = Config()
    module, inputs = round_to_half(config.build(BASIC_7).eval()), config.inputs()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(**{name: torch.zeros(1, *spec.shape) for name, spec in inputs.items()})
    return Network(module=module, inputs=inputs, gflop=float(counter.get_total_flops()) / 1e9)


def clips(inputs: Mapping[str, InputSpec], count: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Drawn clips with their true landmarks as the network is fed them, ``float32 [count, ...]`` by input."""
    feed = ClipInput(inputs)
    numbers = feed.frames_of(FRAMES).tolist()

    def one(index: int) -> dict[str, NDArray[np.float32]]:
        images, truth = render_clip(index, seed, numbers)
        faces = [
            Face(box=WHOLE, score=1.0, alignment="given", eyes=eye_centres(points), landmarks=points)
            for points in truth.landmarks
        ]
        return feed.of_frames(list(images), faces)

    made = [one(index) for index in range(count)]
    return {name: np.stack([each[name] for each in made]) for name in inputs}


def first(batch: Clips, size: int) -> dict[str, NDArray[np.float32]]:
    """The first clips of a batch."""
    return {name: values[:size] for name, values in batch.items()}


def variants(network: Network, threads: int, folder: Path) -> dict[str, Answer]:
    """Functions from clips to logits, one a runtime and precision."""
    graph = onnx_graph(network.module, network.inputs)
    quantised = folder / "keypoint_graph.xml"
    known = clips(network.inputs, 16, seed=1)
    quantise(graph, [{name: values[i : i + 1] for name, values in known.items()} for i in range(16)], quantised)

    def eager(batch: Clips) -> NDArray[np.float32]:
        with torch.inference_mode():
            fed = {name: torch.from_numpy(values) for name, values in batch.items()}
            logits: NDArray[np.float32] = network.module(**fed).logits.numpy()
        return logits

    def openvino(model: Path | bytes, **settings: Any) -> Answer:
        session = OpenVINOSession(model, threads=threads, **settings)
        return lambda batch: session(**batch)["logits"]

    return {
        EAGER: eager,
        "openvino fp32": openvino(graph),
        "openvino bf16": openvino(graph, precision="bf16"),
        "openvino int8": openvino(quantised),
        "openvino int8, rest bf16": openvino(quantised, precision="bf16"),
    }


def compare(network: Network, answers: Mapping[str, Answer], rounds: int) -> list[tuple[str, ...]]:
    """One row a variant."""
    batch = clips(network.inputs, max(BATCHES), seed=2)
    truth = answers[EAGER](batch)
    spent = {
        size: interleaved({name: partial(answer, first(batch, size)) for name, answer in answers.items()}, rounds)
        for size in BATCHES
    }
    rows = []
    for name, answer in answers.items():
        cells: list[str] = [name]
        for size in BATCHES:
            seconds = median(spent[size][name])
            shown = f"{1000 * seconds:.1f}" if size == 1 else f"{size / seconds:.1f}"
            ratio = median_ratio(spent[size][EAGER], spent[size][name])
            cells += [shown, f"{ratio:.2f}", f"{network.gflop * size / seconds:.0f}"]
        error = np.linalg.norm(answer(batch) - truth) / np.linalg.norm(truth)
        rows.append((*cells, f"{error:.1e}"))
    return rows


def main() -> None:
    """Measure all variants, write the page."""
    options = arguments(__doc__)
    cores = keep_to_cores(options.cores)
    torch.set_num_threads(cores)
    rounds = 2 if options.quick else 11
    found = network()
    with tempfile.TemporaryDirectory() as folder:
        rows = compare(found, variants(found, cores, Path(folder)), rounds)
    parameters = sum(p.numel() for p in found.module.parameters()) / 1e6
    clip = found.inputs["clip"].shape
    title = (
        f"keypoint_graph: {parameters:.2f} M parameters, {found.gflop:.2f} GFLOP a clip of {clip[0]} frames of "
        f"{clip[-1]} pixels, weights random"
    )
    write_page(
        "keypoint_graph",
        question="How long does a clip take?",
        targets=[],
        tables=[
            Table(
                title=title,
                head=("", "b1 ms", "x", "GFLOP/s", f"b{max(BATCHES)} clips/s", "x", "GFLOP/s", "error"),
                rows=rows,
            )
        ],
        packages=("mien", "torch", "openvino", "nncf"),
        notes=(
            f"Medians of {rounds} rounds in which the variants take turns on {cores} cores; x is the median over the "
            "rounds of the time of eager torch divided by the variant's.",
            "GFLOP counts a multiply-accumulate as two, in convolutions and matrix products.",
            f"error: relative L2 distance of the logits of {max(BATCHES)} drawn clips from eager torch's.",
            "int8: post-training quantisation by NNCF on 16 drawn clips, for orientation; int8 weights do not ship.",
            "No speed was promised for this network: the page is for comparison.",
        ),
        options=options,
    )


if __name__ == "__main__":
    main()
