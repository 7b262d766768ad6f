"""How long does a picture take? Natten-DEIM as a detector beside its baseline and transformers' D-FINE, at 640 pixels.

D-FINE is measured where ``transformers`` is installed; the package itself does not need it.
"""

import importlib.util
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from _report import Table, arguments, interleaved, keep_to_cores, median_ratio, portrait, write_page
from mien.deploy.export import onnx_graph
from mien.media.image import read_image
from mien.media.picture import picture_tensor
from mien.models.layers.hgnet import SHAPES
from mien.models.natten_deim import Config
from mien.runtime.session import OpenVINOSession, Precision
from mien.schema.inputs import PictureSpec
from mien.schema.labels import BASIC_7

OURS, BASELINE, RIVAL = "natten_deim", "natten_deim, neck='hybrid'", "transformers' D-FINE-S"
SPEC = PictureSpec(size_px=640)
EAGER = "torch eager"
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
Answer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Found(NamedTuple):
    """Scores and boxes of one picture."""

    pred_logits: Tensor
    pred_boxes: Tensor


class Rival(nn.Module):
    """D-FINE-S with the trunk HGNetV2-B0, three decoder layers and 300 queries, as its authors size it."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import DFineConfig, DFineForObjectDetection, logging
        from transformers.models.hgnet_v2 import HGNetV2Config

        logging.set_verbosity_error()
        shape = SHAPES["b0"]
        trunk = HGNetV2Config(
            stem_channels=[3, *shape.stem],
            stage_in_channels=[shape.stem[1], *shape.widths[:-1]],
            stage_mid_channels=list(shape.hidden),
            stage_out_channels=list(shape.widths),
            hidden_sizes=list(shape.widths),
            stage_num_blocks=list(shape.blocks),
            stage_numb_of_layers=[shape.layers] * len(shape.widths),
            use_learnable_affine_block=shape.affine,
            out_features=["stage2", "stage3", "stage4"],
        )
        config = DFineConfig(
            backbone_config=trunk,
            encoder_in_channels=list(shape.widths[1:]),
            depth_mult=0.34,
            hidden_expansion=0.5,
            decoder_layers=3,
            num_labels=len(BASIC_7),
        )
        self.network = DFineForObjectDetection(config)

    def forward(self, image: Tensor) -> Found:
        found = self.network(pixel_values=image)
        return Found(found.logits, found.pred_boxes)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One network: what it weighs, what it does for a picture, and its runtimes."""

    millions: float
    gmac: float
    answers: Mapping[str, Answer]


def networks() -> dict[str, nn.Module]:
    """All of them with random weights."""
    torch.manual_seed(0)
    config = Config(head="det")
    found: dict[str, nn.Module] = {
        OURS: config.build(BASIC_7),
        BASELINE: replace(config, neck="hybrid").build(BASIC_7),
    }
    if importlib.util.find_spec("transformers"):
        found[RIVAL] = Rival()
    return {name: network.eval() for name, network in found.items()}


def graph_of(network: nn.Module, folder: Path) -> bytes | Path:
    """The network for OpenVINO: ours by way of ONNX, D-FINE by OpenVINO's converter: ONNX lacks a step of it."""
    if not isinstance(network, Rival):
        return onnx_graph(network, {"image": SPEC})
    import openvino

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = openvino.convert_model(network, example_input=torch.zeros(1, *SPEC.shape), input=[1, *SPEC.shape])
    for port, name in zip((*model.inputs, *model.outputs), ("image", *Found._fields), strict=True):
        port.get_tensor().set_names({name})
    path = folder / "rival.xml"
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


def measured(network: nn.Module, threads: int, folder: Path) -> Measured:
    """Count and export one network."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *SPEC.shape))
    graph = graph_of(network, folder)

    def eager(image: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            boxes: NDArray[np.float32] = network(torch.from_numpy(image)).pred_boxes.numpy()
        return boxes

    def openvino(precision: Precision) -> Answer:
        session = OpenVINOSession(graph, threads=threads, precision=precision)
        return lambda image: session(image=image)["pred_boxes"]

    answers: dict[str, Answer] = {EAGER: eager}
    answers |= {f"openvino {precision}": openvino(precision) for precision in PRECISIONS}
    return Measured(
        millions=sum(p.numel() for p in network.parameters()) / 1e6,
        gmac=counter.get_total_flops() / 2e9,
        answers=answers,
    )


def rows_of(found: Mapping[str, Measured], image: NDArray[np.float32], rounds: int) -> list[tuple[str, ...]]:
    """One row a network and runtime; all take turns."""
    calls: dict[str, Callable[[], Any]] = {
        f"{name}|{how}": partial(answer, image) for name, one in found.items() for how, answer in one.answers.items()
    }
    spent = interleaved(calls, rounds)
    against = RIVAL if RIVAL in found else BASELINE
    rows: list[tuple[str, ...]] = []
    for key, times in spent.items():
        name, how = key.split("|")
        one, rival = found[name], spent[f"{against}|{how}"]
        rows.append(
            (
                name,
                f"{one.millions:.2f}",
                f"{one.gmac:.1f}",
                how,
                f"{1000 * median(times):.0f}",
                f"{median_ratio(times, rival):.2f}",
                f"{median_ratio(spent[f'{name}|{EAGER}'], times):.2f}",
            )
        )
    return rows


def main() -> None:
    """Measure all networks and runtimes, write the page."""
    options = arguments(__doc__)
    cores = keep_to_cores(options.cores)
    torch.set_num_threads(cores)
    rounds = 2 if options.quick else 15
    image = picture_tensor(read_image(portrait()), SPEC)[None]
    with tempfile.TemporaryDirectory() as folder:
        found = {name: measured(network, cores, Path(folder)) for name, network in networks().items()}
        rows = rows_of(found, image, rounds)
    against = RIVAL if RIVAL in found else BASELINE
    write_page(
        "detector",
        question="How long does a picture take in one pass?",
        targets=[],
        tables=[
            Table(
                title="Detectors of the trunk HGNetV2-B0 at 640 pixels, 300 queries, three decoder layers",
                head=("", "M parameters", "GMAC", "runtime", "ms", f"of {against}", "eager / this"),
                rows=rows,
            )
        ],
        packages=("mien", "torch", "openvino", "transformers"),
        notes=(
            f"Medians of {rounds} rounds in which all networks and runtimes take turns on {cores} cores, one picture "
            f'at a time, weights random. "of {against}": median over the rounds of the time divided by that of '
            f"{against} in the same runtime.",
            "From the square of 640 pixels to scores and boxes: reading and scaling the picture is not in it.",
            "GMAC: multiply-accumulates of convolutions and matrix products, as torch counts them.",
        ),
        options=options,
    )


if __name__ == "__main__":
    main()
