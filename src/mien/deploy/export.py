"""From a trained module to a bundle: rounded once, exported, compared with the original, only then kept."""

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.deploy.onnx_graph import fixed_inputs, half_constants
from mien.deploy.parity import compare
from mien.runtime.bundle import Bundle, write_bundle
from mien.schema.errors import BundleError, MissingExtraError
from mien.schema.inputs import InputSpec
from mien.schema.labels import LabelSet

OPSET = 20


def export_bundle(
    module: nn.Module,
    *,
    name: str,
    model: str,
    model_config: Mapping[str, Any],
    inputs: Mapping[str, InputSpec],
    labels: LabelSet | None,
    task: Mapping[str, Any],
    out: Path,
    provenance: Mapping[str, Any],
    licences: Mapping[str, str],
    figures: Mapping[str, Any] | None = None,
    samples: Mapping[str, NDArray[np.float32]] | None = None,
) -> Bundle:
    """Write the bundle of a trained module.

    Args:
        module: the network; it is copied, not changed.
        name: of the bundle.
        model: name in ``MODELS``.
        model_config: fields of the configuration it was built from.
        inputs: what each argument of ``forward`` is.
        labels: the classes, for a model that has some.
        task: what turns its outputs into an answer, as ``Task.to_json`` says it.
        out: folder of the bundle; an older one there is replaced.
        provenance: at least ``recipe``, ``seed``, ``commit`` and ``data_fingerprint``.
        licences: of ``code``, ``weights`` and ``training_data``.
        figures: what was measured, for the card.
        samples: real inputs by name, preprocessed, for the comparison; noise is compared in any case.

    Raises:
        BundleError: if a weight does not fit into float16 or the exported graph answers otherwise than torch.
        MissingExtraError: if the exporter's packages are not installed.
    """
    rounded = round_to_half(copy.deepcopy(module).cpu().float().eval())
    graph = onnx_graph(rounded, inputs)
    parity = compare(rounded, graph, inputs, samples)
    bundle = Bundle(
        path=out,
        name=name,
        model=model,
        model_config=model_config,
        inputs=inputs,
        labels=labels,
        task=task,
        provenance={**provenance, "torch": str(torch.__version__), "parity": parity},
        licences=licences,
        figures=figures or {},
    )
    return write_bundle(bundle, _weights(rounded), graph)


def round_to_half(module: nn.Module) -> nn.Module:
    """Round every weight and buffer, in place, to a value that float16 has; they stay float32.

    Shipped weights are float16, so this comes before any figure that is reported. A part whose weights have a scale
    that does not matter, and could be lost, brings them to a fit one in ``settle_for_rounding``.

    Raises:
        BundleError: if a value is not finite or exceeds the range of float16.
    """
    for part in module.modules():
        settle: Callable[[], None] | None = getattr(part, "settle_for_rounding", None)
        if settle:
            settle()
    with torch.no_grad():
        for name, tensor in module.state_dict(keep_vars=True).items():
            if tensor.is_floating_point():
                half = tensor.half()
                if not torch.isfinite(half).all():
                    worst = tensor.abs().max().item()
                    raise BundleError(f"The weight {name!r} does not fit into float16: its largest value is {worst:g}")
                tensor.copy_(half)
    return module


def onnx_graph(module: nn.Module, specs: Mapping[str, InputSpec]) -> bytes:
    """The ONNX model of a module: dynamic batch, only what the outputs need, float16 constants.

    Args:
        module: on the CPU, in evaluation mode; ``forward`` returns a NamedTuple, of which what is ``None`` is left out.
            If it has a method ``lean``, the graph is that of the equal but cheaper network which this gives.
        specs: what each argument is; the names become the names of the graph's inputs.

    Raises:
        BundleError: if the batch is not dynamic.
        MissingExtraError: if the exporter's packages are not installed.
    """
    missing = next((package for package in ("onnx", "onnxscript") if find_spec(package) is None), None)
    if missing:
        raise MissingExtraError(missing, "export", "Exporting a model")
    lean: Callable[[], nn.Module] | None = getattr(module, "lean", None)
    module = lean() if lean else module
    batch = torch.export.Dim("batch")
    example = {name: torch.zeros(2, *spec.shape) for name, spec in specs.items()}
    with torch.no_grad(), _quiet():
        outputs = module(**example)
        program = torch.onnx.export(
            module,
            (),
            kwargs=example,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(example),
            output_names=[name for name, tensor in outputs._asdict().items() if tensor is not None],
            dynamic_shapes={name: {0: batch} for name in example},
            optimize=False,
            verbose=False,
        )
        assert program is not None
        graph = half_constants(program.model)
    if fixed := fixed_inputs(graph):
        raise BundleError(
            f"The exported graph takes batches of one size only ({', '.join(fixed)}); `forward` turns the size of its "
            "batch into a plain number somewhere, as `len(x)` does where `x.shape[0]` would not."
        )
    return graph


def _weights(module: nn.Module) -> dict[str, NDArray[Any]]:
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).numpy()
        for name, tensor in module.state_dict().items()
    }


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
