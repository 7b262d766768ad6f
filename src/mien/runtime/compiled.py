"""Graphs compiled by OpenVINO, kept behind a digest: loading one takes a tenth of the time of compiling it.

OpenVINO's own cache does not notice an altered byte and then answers nonsense, so the digest is ours.
"""

import hashlib
import io
import threading
from collections.abc import Callable, Mapping
from functools import cache as once
from pathlib import Path
from typing import Any

import numpy as np

from mien.runtime.cache import atomic_path
from mien.runtime.signals import signal_stack_kept

_DIGEST_BYTES = 32

_FIRST_USE = threading.Lock()


def compiled(
    core: Any, identity: str, device: str, options: Mapping[str, Any], compile_: Callable[[], Any], cache: Path | None
) -> Any:
    """The compiled graph from the cache, else compiled now and kept.

    Args:
        core: ``openvino.Core``.
        identity: what the graph is, such as the digest of its file; of its compilation all else is added here.
        device: to run on.
        options: of the compilation.
        compile_: makes the compiled graph.
        cache: folder; ``None`` keeps nothing. One that cannot be written to is no error.
    """
    with _FIRST_USE:
        _meet_numpy()
    with signal_stack_kept():
        if cache is None:
            return compile_()
        path = cache / f"{_key(core, identity, device, options)}.blob"
        try:
            return core.import_model(io.BytesIO(_read(path)), device, dict(options))
        except (OSError, ValueError, RuntimeError):
            graph = compile_()
            _keep(path, graph)
            return graph


@once
def _meet_numpy() -> int:
    """Let OpenVINO's binding find NumPy while one thread has it alone.

    It does so at the first array it is given. Where two threads give the first ones at the same time, one waits for the
    interpreter's lock inside the binding's own lock and the other the other way round, for ever (2026.4).
    """
    import openvino

    return int(openvino.Tensor(np.zeros(1, np.float32)).data.size)


def _key(core: Any, identity: str, device: str, options: Mapping[str, Any]) -> str:
    import openvino

    try:
        machine = core.get_property(device, "FULL_DEVICE_NAME")
    except RuntimeError:
        machine = device
    described = repr((openvino.__version__, machine, device, identity, sorted(options.items())))
    return hashlib.sha256(described.encode()).hexdigest()[:24]


def _read(path: Path) -> bytes:
    content = path.read_bytes()
    blob = content[_DIGEST_BYTES:]
    if hashlib.sha256(blob).digest() != content[:_DIGEST_BYTES]:
        raise ValueError(f"{path} is damaged")
    return blob


def _keep(path: Path, graph: Any) -> None:
    try:
        exported = graph.export_model()
        blob = exported if isinstance(exported, bytes) else exported.getvalue()
        with atomic_path(path) as temporary:
            temporary.write_bytes(hashlib.sha256(blob).digest() + blob)
    except (OSError, RuntimeError):  # a device that cannot export, a folder that cannot be written to
        return
