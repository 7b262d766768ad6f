"""A bundle whose graph computes in 8 bits: about half the time by OpenVINO; the weights beside it stay as they are.

    python -m mien.deploy.quantise runs/<recipe>/<run>/bundle ferplus --out runs/<recipe>/<run>/int8

Ranges of activations are taken from training faces, and the answers are compared with those of the given graph on half
A of the validation part, the half that chooses. Temperature and threshold are the user's to fit again.
"""

import argparse
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from mien.data.readers import READERS, read_dataset
from mien.data.splits import DataConfig
from mien.deploy.onnx_graph import fused_batch_norms, reads_input
from mien.engine.measure import Crop, answer
from mien.engine.views import views_of
from mien.metrics.calibration import softmax
from mien.runtime.bundle import INT8, Bundle, find_bundle, write_bundle
from mien.runtime.session import Arrays, OnnxSession, OpenVINOSession, Session
from mien.schema.errors import BundleError, ConfigError, MienError, MissingExtraError
from mien.schema.sample import Sample
from mien.tasks import CLASSIFIERS

FACES = 300
"""Training faces from which ranges are taken."""

MIN_SAME_ANSWERS = 0.97
"""Least share of faces that both graphs give the same class."""

Row = Mapping[str, NDArray[np.float32]]


def quantise(
    model: Bundle | str | Path,
    dataset: str,
    *,
    out: Path,
    root: Path | None = None,
    data: DataConfig | None = None,
    crop: Crop = "face",
    progress: bool = True,
) -> Bundle:
    """Write a bundle like ``model`` whose graph has convolutions and linear layers in 8 bits.

    Args:
        model: a classifier of single faces: a bundle, its folder or its name.
        dataset: name in ``READERS``, of the faces that ranges and comparison come from.
        out: folder of the new bundle; an older one there is replaced. It may be the folder of ``model``.
        root: folder of the dataset; ``None`` takes ``$MIEN_DATA/<folder>``.
        data: the protocol, for another than the dataset's usual one.
        crop: as in :func:`mien.engine.evaluate.evaluate`.
        progress: whether to show bars.

    Returns:
        The new bundle, without figures: they were measured with another graph.

    Raises:
        BundleError: if it is no classifier of single faces, is in 8 bits already, or answers otherwise than before on
            more than 3 % of half A.
        MissingExtraError: if the packages that this takes are not installed.
    """
    bundle = model if isinstance(model, Bundle) else find_bundle(model)
    if bundle.task.get("name") not in CLASSIFIERS:
        raise BundleError(
            f"A classifier of single faces is brought to 8 bits; {bundle.name!r} does {bundle.task['name']!r}"
        )
    spec = bundle.image_spec()
    samples = read_dataset(dataset, root)
    protocol = data or DataConfig(reader=dataset)
    how: dict[str, Any] = {"dataset": dataset, "crop": crop, "progress": progress}
    parts = [views_of(samples, protocol, part, bundle.labels)[0][0].samples for part in ("train", "valid_a")]
    recorder = _Recorder()
    answer(recorder, spec, _spread(parts[0], FACES), **how)
    graph = int8_graph(bundle.graph_path.read_bytes(), recorder.rows)
    sessions: dict[str, Session] = {
        "given": OpenVINOSession(bundle.graph_path, specs=bundle.inputs),
        "openvino": OpenVINOSession(graph, specs=bundle.inputs),
    }
    if find_spec("onnxruntime"):
        sessions["onnxruntime"] = OnnxSession(graph, specs=bundle.inputs)
    logits = answer(_SideBySide(sessions), spec, parts[1], **how).outputs
    told = {name: softmax(one, float(bundle.task.get("temperature", 1.0))) for name, one in logits.items()}
    wanted = told.pop("given")
    parity = {runtime: _parity(runtime, found, wanted) for runtime, found in told.items()}
    import nncf

    described = replace(
        bundle,
        path=out,
        figures={},
        provenance={
            **bundle.provenance,
            "graph": f"{INT8} (NNCF {nncf.__version__}), ranges from {len(recorder.rows)} training faces of "
            f"{READERS[dataset].title}; parity is with the graph in 32 bits on half A",
            "parity": parity,
        },
    )
    return write_bundle(described, bundle.weights(), graph)


def int8_graph(graph: bytes, rows: Sequence[Row]) -> bytes:
    """The graph with convolutions and linear layers in 8 bits, weights by channel.

    Layers that read an input itself stay as they are: they cost little, and pixels have the widest range of all.

    Args:
        graph: the ONNX model in floating point.
        rows: its inputs by name, one sample each, from which the ranges of activations are taken.

    Raises:
        BundleError: if it is in 8 bits already.
        MissingExtraError: if the packages that this takes are not installed.
    """
    missing = next(
        (package for package in ("nncf", "onnx", "onnxscript", "onnxruntime") if not find_spec(package)), None
    )
    if missing:
        raise MissingExtraError(missing, "export", "Bringing a graph to 8 bits")
    os.environ["NNCF_CI"] = "1"  # it reports to its makers otherwise
    import nncf
    import onnx

    nncf.set_log_level(logging.ERROR)
    model = fused_batch_norms(onnx.load_from_string(graph))
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise BundleError("This graph computes in 8 bits already; give the bundle that the run exported.")
    quantised = nncf.quantize(
        model,
        nncf.Dataset(list(rows)),
        subset_size=len(rows),
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(names=reads_input(model)),
    )
    used = {name for node in quantised.graph.node for name in node.input}
    kept = [constant for constant in quantised.graph.initializer if constant.name in used]
    quantised.graph.ClearField("initializer")
    quantised.graph.initializer.extend(kept)
    quantised.ClearField("metadata_props")
    onnx.checker.check_model(quantised, full_check=True)
    data: bytes = quantised.SerializeToString()
    return data


class _Recorder:
    """A session that keeps what it is fed, sample by sample, and answers nothing."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def __call__(self, **arrays: NDArray[Any]) -> Arrays:
        count = len(next(iter(arrays.values())))
        self.rows += [{name: values[row : row + 1] for name, values in arrays.items()} for row in range(count)]
        return {}


class _SideBySide:
    """Sessions that are fed the same arrays; outputs are the logits of each, by its name."""

    inputs: tuple[str, ...] = ()

    def __init__(self, sessions: Mapping[str, Session]) -> None:
        self._sessions = sessions
        self.outputs = tuple(sessions)

    def __call__(self, **arrays: NDArray[Any]) -> Arrays:
        return {name: session(**arrays)["logits"] for name, session in self._sessions.items()}


def _spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    """As many samples, evenly from all of them."""
    return [samples[int(row)] for row in np.linspace(0, len(samples) - 1, min(count, len(samples)))]


def _parity(runtime: str, found: NDArray[np.float64], wanted: NDArray[np.float64]) -> dict[str, Any]:
    same = float((found.argmax(1) == wanted.argmax(1)).mean())
    if same < MIN_SAME_ANSWERS:
        raise BundleError(
            f"In 8 bits the graph gives {1 - same:.1%} of {len(wanted)} faces another class in {runtime}, allowed: "
            f"{1 - MIN_SAME_ANSWERS:.0%}. It was not kept."
        )
    return {
        "argmax_agreement": same,
        "mean_abs_probability": float(np.abs(found - wanted).mean()),
        "rows": len(wanted),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Bring one bundle to 8 bits from the shell."""
    parser = argparse.ArgumentParser(prog="python -m mien.deploy.quantise", description="A bundle's graph in 8 bits.")
    parser.add_argument("bundle", help="folder or name of a classifier of single faces")
    parser.add_argument("dataset", help="that ranges and comparison come from")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new bundle")
    parser.add_argument("--crop", default="face", choices=get_args(Crop), help="whole takes pictures as they are")
    parser.add_argument("--data", type=Path, help="root of the dataset")
    given = parser.parse_args(arguments)
    try:
        if given.dataset not in READERS:
            raise ConfigError(f"There is no dataset {given.dataset!r}; allowed: {', '.join(READERS)}")
        bundle = quantise(given.bundle, given.dataset, out=given.out, root=given.data, crop=given.crop)
    except MienError as error:
        parser.exit(2, f"{type(error).__name__}: {error}\n")
    shares = ", ".join(f"{one['argmax_agreement']:.2%} ({name})" for name, one in bundle.provenance["parity"].items())
    parser.exit(0, f"{bundle.path}: the same class as before for {shares} of half A\n")


if __name__ == "__main__":
    raise SystemExit(main())
