"""Which runtime, which precision? Eager torch beside OpenVINO in fp32, bf16 and int8; both sizes, batches 1 and 32."""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from _report import Table, Target, arguments, interleaved, keep_to_cores, median_ratio, write_page

os.environ["NNCF_CI"] = "1"  # no telemetry

import torch
from torch import nn

from mien.data.synthetic import render
from mien.deploy.export import onnx_graph, round_to_half
from mien.media.crop import cut, whole_matrix
from mien.media.tensors import image_tensor
from mien.models import MODELS
from mien.models.product_cross import ProductCross
from mien.models.session import build_network
from mien.runtime.bundle import find_bundle
from mien.runtime.session import OpenVINOSession
from mien.schema.errors import BundleError
from mien.schema.inputs import ImageSpec
from mien.schema.labels import FERPLUS
from mien.schema.tables import look_up

NAMES = ("product_cross", "product_cross_small")
BATCHES = (1, 32)
EAGER = "torch eager fp32"
EAGER_LEAN = f"{EAGER}, lean"
GOALS = {"openvino bf16": 60.0, "openvino int8": 100.0}
"""Images a second of the full network in batches of 32."""

Answer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network ready to be compared: its module, how it is fed, and where its weights come from."""

    name: str
    module: nn.Module
    spec: ImageSpec
    weights: str
    lean: nn.Module
    gflop: float
    lean_gflop: float


def network(name: str) -> Network:
    """With the weights that ship, or random ones where none do."""
    try:
        bundle = find_bundle(name)
    except BundleError:
        torch.manual_seed(0)
        config = look_up(MODELS, name, "model")()
        module, spec, weights = config.build(FERPLUS).eval(), config.inputs()["image"], "random"
    else:
        module, spec, weights = build_network(bundle), bundle.inputs["image"], f"trained ({bundle.hash12})"
    module = round_to_half(module)
    assert isinstance(module, ProductCross)
    module.flip_test = False  # one look, whatever the bundle does; see flip_test.py
    lean = module.lean()
    lean.flip_test = False
    return Network(
        name=name,
        module=module,
        spec=spec,
        weights=weights,
        lean=lean,
        gflop=_gflop(module, spec),
        lean_gflop=_gflop(lean, spec),
    )


def _gflop(module: nn.Module, spec: ImageSpec) -> float:
    """Work of one image, a multiply-accumulate counted as two."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 3, spec.size_px, spec.size_px))
    return float(counter.get_total_flops()) / 1e9


def faces(spec: ImageSpec, count: int, seed: int) -> NDArray[np.float32]:
    """Drawn faces as the network is fed them, ``float32 [count, 3, S, S]``."""

    def one(index: int) -> NDArray[np.float32]:
        image = render(index, seed)[0]
        whole = whole_matrix(image.shape[0], image.shape[1], spec.crop_px)
        return image_tensor(cut(image, whole, spec.crop_px), spec)

    return np.stack([one(index) for index in range(count)])


def variants(network: Network, threads: int, folder: Path) -> dict[str, Answer]:
    """Functions from images to logits, one a runtime and precision."""
    graph = onnx_graph(network.module, {"image": network.spec})
    quantised = folder / f"{network.name}.xml"
    quantise(graph, [{"image": image[None]} for image in faces(network.spec, 64, seed=1)], quantised)

    def eager(module: nn.Module, images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits: NDArray[np.float32] = module(torch.from_numpy(images)).logits.numpy()
        return logits

    def openvino(model: Path | bytes, **settings: Any) -> Answer:
        session = OpenVINOSession(model, threads=threads, **settings)
        return lambda images: session(image=images)["logits"]

    return {
        EAGER: partial(eager, network.module),
        **({EAGER_LEAN: partial(eager, network.lean)} if network.lean_gflop < network.gflop else {}),
        "openvino fp32": openvino(graph),
        "openvino bf16": openvino(graph, precision="bf16"),
        "openvino int8": openvino(quantised),
        "openvino int8, rest bf16": openvino(quantised, precision="bf16"),
    }


def quantise(graph: bytes, samples: Sequence[Mapping[str, NDArray[np.float32]]], path: Path) -> None:
    """Post-training quantisation by NNCF, calibrated on ``samples``: inputs by name, batches of one."""
    import nncf
    import openvino

    model = openvino.Core().read_model(graph)
    kind = nncf.ModelType.TRANSFORMER
    batches = nncf.Dataset(list(samples))
    openvino.save_model(nncf.quantize(model, batches, model_type=kind, subset_size=len(samples)), path)


def compare(network: Network, answers: Mapping[str, Answer], rounds: int) -> tuple[Table, dict[str, float]]:
    """The table of one network, and its images a second in the largest batch by variant."""
    images = faces(network.spec, max(BATCHES), seed=2)
    truth = answers[EAGER](images)
    spent = {
        size: interleaved({name: _bind(answer, images[:size]) for name, answer in answers.items()}, rounds)
        for size in BATCHES
    }
    rows, rates = [], {}
    for name, answer in answers.items():
        cells: list[str] = [name]
        gflop = network.gflop if name == EAGER else network.lean_gflop
        for size in BATCHES:
            seconds = median(spent[size][name])
            ratio = median_ratio(spent[size][EAGER], spent[size][name])
            rates[name] = size / seconds
            shown = f"{1000 * seconds:.1f}" if size == 1 else f"{rates[name]:.1f}"
            cells += [shown, f"{ratio:.2f}", f"{gflop * size / seconds:.0f}"]
        error = np.linalg.norm(answer(images) - truth) / np.linalg.norm(truth)
        same = np.mean(answer(images).argmax(1) == truth.argmax(1))
        rows.append((*cells, f"{error:.1e}", f"{same:.0%}"))
    parameters = sum(p.numel() for p in network.module.parameters()) / 1e6
    title = (
        f"{network.name}: {parameters:.2f} M parameters, {network.gflop:.2f} GFLOP an image of "
        f"{network.spec.size_px} pixels ({network.lean_gflop:.2f} lean), weights {network.weights}"
    )
    head = ("", "b1 ms", "x", "GFLOP/s", "b32 images/s", "x", "GFLOP/s", "error", "same class")
    return Table(title=title, head=head, rows=rows), rates


def _bind(answer: Answer, images: NDArray[np.float32]) -> Callable[[], object]:
    return lambda: answer(images)


def main() -> None:
    """Measure both sizes, compare with the goals, write the page."""
    options = arguments(__doc__)
    cores = keep_to_cores(options.cores)
    torch.set_num_threads(cores)
    rounds = 2 if options.quick else 11
    tables, rates = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            found = network(name)
            table, rates[name] = compare(found, variants(found, cores, Path(folder)), rounds)
            tables.append(table)
    full = rates[NAMES[0]]
    write_page(
        "product_cross",
        question="Which runtime, which precision?",
        targets=[
            Target(
                what=f"{NAMES[0]}, {name}, batch 32, {cores} cores",
                promised=f">= {goal:.0f} images/s",
                measured=f"{full[name]:.1f} images/s",
                met=full[name] >= goal,
            )
            for name, goal in GOALS.items()
        ],
        tables=tables,
        packages=("mien", "torch", "openvino", "nncf"),
        notes=(
            f"Medians of {rounds} rounds in which the variants take turns; x is the median over the rounds of the time "
            "of eager torch divided by the variant's.",
            "GFLOP counts a multiply-accumulate as two. A lean network leaves out what never reaches the logits, with "
            "equal answers; OpenVINO runs the exported graph, which is lean.",
            "error: relative L2 distance of the logits of 32 drawn faces from eager torch's; same class: share of "
            "equal answers. With random weights the answers are nearly ties: only the error tells something.",
            "int8: post-training quantisation by NNCF on 64 drawn faces, for orientation. Every row looks once at a "
            "face; for two looks see flip_test.",
        ),
        options=options,
    )


if __name__ == "__main__":
    main()
