from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from mien.runtime.compiled import compiled

OPTIONS = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
IMAGE = np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)


class Compiler:
    """Counts how often the graph is compiled."""

    def __init__(self, graph: bytes) -> None:
        self.core, self.graph, self.times = openvino.Core(), graph, 0

    def __call__(self) -> Any:
        self.times += 1
        return self.core.compile_model(self.core.read_model(self.graph), "CPU", OPTIONS)


@pytest.fixture
def load(graph: bytes) -> Callable[..., tuple[np.ndarray, int]]:
    compiler = Compiler(graph)

    def run(cache: Path | None, identity: str = "a", **options: Any) -> tuple[np.ndarray, int]:
        found = compiled(compiler.core, identity, "CPU", {**OPTIONS, **options}, compiler, cache)
        return np.asarray(found([IMAGE])[0]), compiler.times

    return run


def test_a_graph_is_compiled_once_and_answers_the_same_from_the_cache(
    load: Callable[..., tuple[np.ndarray, int]], tmp_path: Path
) -> None:
    first, compiled_once = load(tmp_path)
    again, still_once = load(tmp_path)
    assert (compiled_once, still_once) == (1, 1)
    assert np.array_equal(first, again)


def test_another_graph_or_option_is_another_entry(load: Callable[..., tuple[np.ndarray, int]], tmp_path: Path) -> None:
    load(tmp_path)
    assert load(tmp_path, identity="b")[1] == 2
    assert load(tmp_path, INFERENCE_NUM_THREADS=2)[1] == 3
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: _flipped(data)])
def test_a_damaged_entry_is_replaced(
    load: Callable[..., tuple[np.ndarray, int]], tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    wanted, _ = load(tmp_path)
    (entry,) = tmp_path.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    found, times = load(tmp_path)
    assert times == 2
    assert np.array_equal(found, wanted)
    assert load(tmp_path)[1] == 2


def _flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[-100] ^= 1
    return bytes(changed)


def test_a_folder_that_cannot_be_written_is_no_error(
    load: Callable[..., tuple[np.ndarray, int]], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert load(tmp_path / "file" / "cache")[1] == 1
    assert load(None)[1] == 2


def test_many_threads_may_give_the_first_array(without_torch) -> None:
    """The binding meets NumPy when a graph is compiled; met first by several threads at once it may wait for ever."""
    without_torch(
        """
import faulthandler, threading
faulthandler.dump_traceback_later(60, exit=True)
import numpy as np, openvino
from openvino import opset13
from mien.runtime.compiled import compiled
given = opset13.parameter([1, 8], np.float32)
model = openvino.Model([opset13.relu(given)], [given])
core = openvino.Core()
graph = compiled(core, "relu", "CPU", {}, lambda: core.compile_model(model, "CPU"), None)
together = threading.Barrier(8)
def run():
    request = graph.create_infer_request()
    together.wait()
    request.infer([np.ones((1, 8), np.float32)])
threads = [threading.Thread(target=run) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    )
