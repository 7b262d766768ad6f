"""A bundle's network as a single file for other programs, which carries what it must be fed and what it answers."""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mien.runtime.bundle import Bundle, find_bundle
from mien.runtime.session import OpenVINOSession, open_session
from mien.schema.errors import BundleError, ConfigError, MissingExtraError
from mien.schema.inputs import specs_hash, specs_to_json

Form = Literal["onnx", "openvino"]
SUFFIXES: Mapping[str, str] = {"onnx": ".onnx", "openvino": ".xml"}
KEY = "mien"
TOLERANCE = 1e-3


def convert(model: Bundle | str | Path, out: Path, form: str = "onnx") -> Path:
    """Write the network of a bundle as one file, and compare it with the bundle before it is kept.

    Under the key ``mien`` the file holds a JSON text with ``inputs`` (crop, size, colour, scale), ``labels``, ``task``
    (temperature, threshold), ``licences`` and ``provenance``: in ONNX as metadata, in OpenVINO as runtime information.

    Args:
        model: a bundle, its folder or its name.
        out: folder.
        form: ``onnx`` (dynamic batch), or ``openvino`` (``.xml`` with its ``.bin``, float16).

    Returns:
        The written file, ``<bundle's name>.onnx`` or ``.xml``.

    Raises:
        ConfigError: if there is no such form, or the folder cannot be written.
        BundleError: if the file answers otherwise than the bundle.
        MissingExtraError: if ``onnx`` is not installed.
    """
    if form not in SUFFIXES:
        raise ConfigError(f"There is no form {form!r}; allowed: {', '.join(SUFFIXES)}")
    bundle = model if isinstance(model, Bundle) else find_bundle(model)
    path = out / f"{bundle.name}{SUFFIXES[form]}"
    write = {"onnx": _write_onnx, "openvino": _write_openvino}[form]
    try:
        out.mkdir(parents=True, exist_ok=True)
        write(bundle, path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error}") from error
    difference = _difference(bundle, path)
    if not difference <= TOLERANCE:
        for written in (path, path.with_suffix(".bin")):
            written.unlink(missing_ok=True)
        raise BundleError(f"{path.name} answers otherwise than {bundle.name}, by {difference:.2g}. It was not kept.")
    return path


def description(bundle: Bundle) -> dict[str, Any]:
    """What another program needs to know of a network."""
    return {
        "name": bundle.name,
        "weights": bundle.hash12,
        "inputs": specs_to_json(bundle.inputs),
        "inputs_hash": specs_hash(bundle.inputs),
        "labels": list(bundle.labels.names) if bundle.labels else None,
        "task": dict(bundle.task),
        "licences": dict(bundle.licences),
        "provenance": dict(bundle.provenance),
    }


def _write_onnx(bundle: Bundle, path: Path) -> None:
    if find_spec("onnx") is None:
        raise MissingExtraError("onnx", "export", "Writing an ONNX file")
    import onnx

    proto = onnx.load(str(bundle.graph_path))
    onnx.helper.set_model_props(proto, {KEY: json.dumps(description(bundle))})
    onnx.save(proto, str(path))


def _write_openvino(bundle: Bundle, path: Path) -> None:
    import openvino

    graph = openvino.Core().read_model(str(bundle.graph_path))
    graph.set_rt_info(json.dumps(description(bundle)), [KEY])
    openvino.save_model(graph, str(path), compress_to_fp16=True)


def _difference(bundle: Bundle, path: Path) -> float:
    """Largest difference of any output on noise, relative to the largest value of that output (at least 1)."""
    rng = np.random.default_rng(0)
    noise = {name: rng.normal(size=(3, *spec.shape)).astype(np.float32) for name, spec in bundle.inputs.items()}
    wanted = open_session(bundle)(**noise)
    found = OpenVINOSession(path, specs=bundle.inputs)(**noise)
    return max(
        float(np.abs(found[name] - values).max()) / max(1.0, float(np.abs(values).max()))
        for name, values in wanted.items()
    )
