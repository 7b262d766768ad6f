"""Does a face with its mirror image in 8 bits take longer than once in 32? Both runtimes, batches 1 and 32."""

from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

from _report import Table, Target, arguments, interleaved, keep_to_cores, median_ratio, write_page
from mien.deploy.export import onnx_graph, round_to_half
from mien.deploy.quantise import int8_graph
from mien.models.product_cross import ProductCross
from mien.models.session import build_network
from mien.runtime.bundle import find_bundle
from mien.runtime.session import OnnxSession, OpenVINOSession, Session
from product_cross import faces

NAME = "product_cross_small"
BATCHES = (1, 32)
RANGES = 64
"""Drawn faces from which the ranges of activations are taken."""

ONCE, TWICE, ONCE_INT8, TWICE_INT8 = "once, 32 bits", "mirrored too, 32 bits", "once, 8 bits", "mirrored too, 8 bits"


def graphs() -> dict[str, bytes]:
    """The weights that ship: once or twice, in 32 or 8 bits."""
    bundle = find_bundle(NAME)
    module = round_to_half(build_network(bundle))
    assert isinstance(module, ProductCross)
    found = {}
    for name, is_flipped in ((ONCE, False), (TWICE, True)):
        network = ProductCross(replace(module.config, flip_test=is_flipped), module.head.out_features).eval()
        network.load_state_dict(module.state_dict())
        found[name] = onnx_graph(network, bundle.inputs)
    rows = [{"image": image[None]} for image in faces(bundle.image_spec(), RANGES, seed=1)]
    return {**found, ONCE_INT8: int8_graph(found[ONCE], rows), TWICE_INT8: int8_graph(found[TWICE], rows)}


def main() -> None:
    """Measure, compare with the graph that shipped before, write the page."""
    options = arguments(__doc__)
    cores = keep_to_cores(options.cores)
    torch.set_num_threads(cores)
    rounds = 3 if options.quick else 31
    images = faces(find_bundle(NAME).image_spec(), max(BATCHES), seed=2)
    tables, ratios = [], {}
    made = graphs()
    for runtime, make in (("OpenVINO", OpenVINOSession), ("ONNX Runtime", OnnxSession)):
        sessions: dict[str, Session] = {name: make(graph, threads=cores) for name, graph in made.items()}
        spent = {
            size: interleaved({name: _bind(one, images[:size]) for name, one in sessions.items()}, rounds)
            for size in BATCHES
        }
        rows = []
        for name in made:
            cells = [name, f"{len(made[name]) / 1e6:.2f}"]
            for size in BATCHES:
                ratio = ratios[runtime, name, size] = 1 / median_ratio(spent[size][ONCE], spent[size][name])
                cells += [f"{1000 * median(spent[size][name]):.2f}", f"{ratio:.2f}"]
            rows.append(cells)
        head = ("", "MB", *(text for size in BATCHES for text in (f"batch {size}, ms", "times the first")))
        tables.append(Table(title=runtime, head=head, rows=rows))
    write_page(
        "flip_test",
        question="Does a face with its mirror image in 8 bits take longer than the face alone in 32?",
        targets=[
            Target(
                what=f"{NAME}, OpenVINO, batch {size}, {cores} cores: {TWICE_INT8}",
                promised=f"<= the time of {ONCE}",
                measured=f"{ratios['OpenVINO', TWICE_INT8, size]:.2f} of it",
                met=ratios["OpenVINO", TWICE_INT8, size] <= 1,
            )
            for size in BATCHES
        ],
        tables=tables,
        packages=("mien", "openvino", "onnxruntime", "nncf"),
        notes=(
            f"Medians of {rounds} rounds in which the variants take turns; ratios are medians over the rounds.",
            f"8 bits: `deploy/quantise.py`, ranges from {RANGES} drawn faces; a bundle takes them from training "
            "faces. What it costs in accuracy stands on the model's page.",
            "ONNX Runtime has no PReLU in 8 bits and would go back and forth for each; our session has it compute in "
            "32 bits from the rounded numbers (`session.disable_quant_qdq`).",
        ),
        options=options,
    )


def _bind(session: Session, images: NDArray[np.float32]) -> Callable[[], object]:
    return lambda: session(image=images)


if __name__ == "__main__":
    main()
