"""A network as it is used: arrays in by name, arrays out by name, from as many threads as one likes."""

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.runtime.bundle import Bundle
from mien.runtime.cache import cache_dir
from mien.runtime.compiled import compiled
from mien.schema.errors import BundleError, ConfigError, MissingExtraError
from mien.schema.inputs import InputSpec
from mien.schema.tables import resolve

Precision = Literal["fp32", "bf16"]
Runtime = Literal["openvino", "onnx", "torch"]
RUNTIMES: tuple[Runtime, ...] = ("openvino", "onnx", "torch")

Arrays = dict[str, NDArray[Any]]


class Session(Protocol):
    """A loaded network."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""

    def __call__(self, **arrays: NDArray[Any]) -> Arrays:
        """Outputs by name; the first axis of every array is the batch.

        Raises:
            BundleError: if an input is missing, unknown, or not what the network was trained on.
        """


def check_arrays(arrays: Mapping[str, NDArray[Any]], names: tuple[str, ...], specs: Mapping[str, InputSpec]) -> None:
    """Refuse arrays that are not what a network takes.

    Args:
        arrays: what is about to be fed.
        names: the network's inputs.
        specs: what each of them is; inputs without a spec are only checked by name.

    Raises:
        BundleError: naming what was given and what is expected.
    """
    if set(arrays) != set(names):
        raise BundleError(f"The network takes the inputs {', '.join(names)}; given: {', '.join(arrays) or 'none'}")
    for name, spec in specs.items():
        given = np.asarray(arrays[name])
        if given.dtype != np.float32 or given.shape[1:] != spec.shape or not given.ndim:
            raise BundleError(
                f"The input {name!r} is float32 [B, {', '.join(map(str, spec.shape))}], scaled as its spec says "
                f"(media.tensors makes it); given: {given.dtype} {list(given.shape)}"
            )


class OpenVINOSession:
    """A graph (ONNX, TFLite, OpenVINO IR) run by OpenVINO.

    Args:
        model: path or content of the graph.
        device: ``CPU``, ``GPU``, ``AUTO``, …, as OpenVINO names it.
        precision: ``fp32`` computes exactly; ``bf16`` up to 2.5 times faster where the CPU has it.
        threads: cores to use; by default all.
        cache: folder for the compiled graph; see :mod:`mien.runtime.compiled`.
        specs: what each input is, checked at every call.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        device: str = "CPU",
        precision: Precision = "fp32",
        threads: int | None = None,
        cache: Path | None = None,
        specs: Mapping[str, InputSpec] | None = None,
    ) -> None:
        import openvino

        core = openvino.Core()
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision]}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        try:
            content = model.read_bytes() if isinstance(model, Path) else model
            identity = hashlib.sha256(content).hexdigest()
            graph = str(model) if isinstance(model, Path) else content
            self._compiled = compiled(
                core,
                identity,
                device,
                options,
                lambda: core.compile_model(core.read_model(graph), device, options),
                cache,
            )
        except (OSError, RuntimeError) as error:
            about = model if isinstance(model, Path) else "The graph"
            raise BundleError(
                f"{about} cannot be run on {device!r} by OpenVINO ({_first_line(error)}); "
                f"devices here: {', '.join(core.available_devices)}"
            ) from error
        self._specs = specs or {}
        self._local = threading.local()
        self.inputs = tuple(port.any_name for port in self._compiled.inputs)
        self.outputs = tuple(_output_name(port) for port in self._compiled.outputs)

    def __call__(self, **arrays: NDArray[Any]) -> Arrays:
        check_arrays(arrays, self.inputs, self._specs)
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        found = self._local.request.infer(arrays, share_inputs=True)
        return {name: found[number] for number, name in enumerate(self.outputs)}


class OnnxSession:
    """An ONNX graph run by ONNX Runtime (extra ``export``).

    A graph in 8 bits is computed in 32, from the same rounded numbers: for layers that a PReLU follows, which is most
    of ours, its 8 bits take longer.

    Args:
        model: path or content of the graph.
        device: ``cpu`` or ``cuda``.
        threads: cores to use; by default all.
        specs: what each input is, checked at every call.
    """

    def __init__(
        self,
        model: Path | bytes,
        *,
        device: str = "cpu",
        threads: int | None = None,
        specs: Mapping[str, InputSpec] | None = None,
    ) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("onnxruntime", "export", "Running a graph with ONNX Runtime") from error
        provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}.get(device.lower().split(":")[0])
        if provider not in onnxruntime.get_available_providers():
            raise ConfigError(
                f"ONNX Runtime cannot use {device!r} here; it has: {onnxruntime.get_available_providers()}"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        graph = str(model) if isinstance(model, Path) else model
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=[provider])
        except Exception as error:  # its errors have no base of their own
            about = model if isinstance(model, Path) else "The graph"
            raise BundleError(f"{about} cannot be run by ONNX Runtime: {_first_line(error)}") from error
        self._specs = specs or {}
        self.inputs = tuple(port.name for port in self._session.get_inputs())
        self.outputs = tuple(port.name for port in self._session.get_outputs())

    def __call__(self, **arrays: NDArray[Any]) -> Arrays:
        check_arrays(arrays, self.inputs, self._specs)
        return dict(zip(self.outputs, self._session.run(None, arrays), strict=True))


def open_session(
    bundle: Bundle,
    runtime: str = "openvino",
    device: str = "cpu",
    *,
    precision: Precision = "fp32",
    threads: int | None = None,
) -> Session:
    """Load a bundle's network.

    Args:
        bundle: read and verified.
        runtime: ``openvino`` (the default, needs nothing more), ``onnx`` (ONNX Runtime) or ``torch``.
        device: ``cpu``; ``cuda`` for onnx and torch; any device of OpenVINO for openvino.
        precision: ``bf16`` is faster and exact to about three digits; for openvino and torch.
        threads: cores to use; by default all.

    Raises:
        ConfigError: if there is no such runtime, or it cannot do what is asked.
        BundleError: if the graph cannot be run.
    """
    if runtime not in RUNTIMES:
        raise ConfigError(f"There is no runtime {runtime!r}; allowed: {', '.join(RUNTIMES)}")
    if runtime == "torch":
        session: Session = resolve("mien.models.session:TorchSession")(bundle, device=device, precision=precision)
        return session
    if runtime == "onnx":
        if precision != "fp32":
            raise ConfigError(f"The runtime onnx computes in fp32; given: {precision!r}. openvino and torch have bf16.")
        return OnnxSession(bundle.graph_path, device=device, threads=threads, specs=bundle.inputs)
    return OpenVINOSession(
        bundle.graph_path,
        device=device.upper(),
        precision=precision,
        threads=threads,
        cache=cache_dir() / "compiled",
        specs=bundle.inputs,
    )


def _output_name(port: Any) -> str:
    """The name that the graph gives to an output; OpenVINO adds those of equal values that it computes only once."""
    named = str(port.get_node().get_friendly_name()).partition("/sink_port_")[0]
    return named if named in port.get_names() else str(port.any_name)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
