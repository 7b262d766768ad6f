"""A face graph compiled by OpenVINO: square pictures in, arrays out, from any number of threads.

Each picture runs by itself on one core and several run beside each other, so an answer never depends on the batch.
The compiled graph is kept in the cache, since loading it takes a tenth of the time of compiling.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.runtime.cache import cache_dir
from mien.runtime.compiled import compiled
from mien.runtime.hub import FACE_GRAPHS, face_graph
from mien.schema.errors import BundleError

Arrays = tuple[NDArray[np.float32], ...]


class Graph:
    """One face graph, ready to run.

    Args:
        name: of ``FACE_GRAPHS``.
        low: value that the graph wants for black; white is 1.
        threads: cores to use; by default all, at most eight.

    Raises:
        BundleError: if the graph is not on this machine or cannot be run.
    """

    def __init__(self, name: str, *, low: float, threads: int | None = None) -> None:
        self.threads = threads or core_count()
        self._compiled = _load(name, low, self.threads)
        self.side_px = int(self._compiled.inputs[0].shape[1])
        self._local = threading.local()

    def __call__(self, images: NDArray[np.uint8]) -> Arrays:
        """Outputs for ``uint8 [N, side_px, side_px, 3]`` RGB: one array an output, ``float32 [N, ...]``."""
        assert images.dtype == np.uint8 and images.shape[1:] == (self.side_px, self.side_px, 3), images.shape
        if len(images) == 1:
            self._request().infer([images])
            return tuple(tensor.data.copy() for tensor in self._request().output_tensors)
        outputs = tuple(np.empty((len(images), *port.shape[1:]), np.float32) for port in self._compiled.outputs)
        queue = self._queue()
        queue.set_callback(_collector(outputs))
        for number in range(len(images)):
            queue.start_async([images[number : number + 1]], number)
        queue.wait_all()
        return outputs

    def _request(self) -> Any:
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        return self._local.request

    def _queue(self) -> Any:
        if not hasattr(self._local, "queue"):
            import openvino

            self._local.queue = openvino.AsyncInferQueue(self._compiled, 2 * self.threads)
        return self._local.queue


def core_count() -> int:
    """Cores that this process may use, at most eight: more do not make small graphs faster."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, 8)


def _collector(outputs: Arrays) -> Callable[[Any, int], None]:
    def collect(request: Any, number: int) -> None:
        for output, tensor in zip(outputs, request.output_tensors, strict=True):
            output[number] = tensor.data[0]

    return collect


def _load(name: str, low: float, threads: int) -> Any:
    """The compiled graph from the cache, else from its file, then kept."""
    import openvino

    core = openvino.Core()
    path = face_graph(name)
    options = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": str(threads), "INFERENCE_NUM_THREADS": str(threads)}
    identity = f"{FACE_GRAPHS[name].sha256} {low}"
    return compiled(
        core, identity, "CPU", options, lambda: _compile(core, path, low, options), cache_dir() / "compiled"
    )


def _compile(core: Any, path: Path, low: float, options: dict[str, str]) -> Any:
    """The graph with 8-bit input, whose scaling is part of the graph."""
    from openvino import Type
    from openvino.preprocess import PrePostProcessor

    scale = 255 / (1 - low)
    try:
        steps = PrePostProcessor(core.read_model(str(path)))
        steps.input().tensor().set_element_type(Type.u8)
        steps.input().preprocess().convert_element_type(Type.f32).mean(-low * scale).scale(scale)
        return core.compile_model(steps.build(), "CPU", options)
    except RuntimeError as error:
        raise BundleError(f"OpenVINO cannot run {path} ({error}). Get it again with: mien models pull faces") from error
