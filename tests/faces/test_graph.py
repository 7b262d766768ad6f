import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openvino
import pytest

from mien.faces.graph import Graph
from mien.runtime.hub import face_graph
from mien.runtime.signals import signal_stack_kept
from mien.schema.errors import BundleError

NAME = "face_detection_short_range"


@pytest.fixture
def squares(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (7, 128, 128, 3), np.uint8)


@pytest.mark.parametrize(("name", "low"), [(NAME, -1.0), ("face_landmark", 0.0)])
def test_pictures_are_scaled_inside_the_graph(name: str, low: float, rng: np.random.Generator) -> None:
    with signal_stack_kept():
        plain = openvino.Core().compile_model(str(face_graph(name)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    graph = Graph(name, low=low)
    image = rng.integers(0, 256, (1, graph.side_px, graph.side_px, 3), np.uint8)
    scaled = (low + image.astype(np.float32) * (1 - low) / 255).astype(np.float32)
    for output, expected in zip(graph(image), plain([scaled]).values(), strict=True):
        assert output == pytest.approx(expected, abs=2e-3 * float(np.abs(expected).max()))


def test_an_answer_does_not_depend_on_the_batch(squares: np.ndarray) -> None:
    graph = Graph(NAME, low=-1.0)
    together = graph(squares)
    for number in range(len(squares)):
        for one, all_of_them in zip(graph(squares[number : number + 1]), together, strict=True):
            assert (one[0] == all_of_them[number]).all()


def test_several_threads_may_ask_at_once(squares: np.ndarray) -> None:
    graph = Graph(NAME, low=-1.0)
    expected = graph(squares)
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda i: graph(squares[i % 3 :]), range(12)):
            assert (answer[0][-1] == expected[0][-1]).all()


def test_the_compiled_graph_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, squares: np.ndarray) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    expected = Graph(NAME, low=-1.0)(squares)
    (kept,) = (tmp_path / "compiled").iterdir()
    monkeypatch.setattr("mien.faces.graph._compile", None)
    assert (Graph(NAME, low=-1.0)(squares)[0] == expected[0]).all()
    monkeypatch.undo()
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 255
    for damaged in (bytes(content), content[:100], b""):
        kept.write_bytes(damaged)
        assert (Graph(NAME, low=-1.0)(squares)[0] == expected[0]).all()


def test_an_unwritable_cache_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "file"))
    assert Graph(NAME, low=-1.0).side_px == 128


def test_a_graph_that_cannot_be_run_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    (tmp_path / "bad.tflite").write_bytes(b"no graph")
    monkeypatch.setattr("mien.faces.graph.face_graph", lambda name: tmp_path / "bad.tflite")
    with caplog.at_level(logging.CRITICAL), pytest.raises(BundleError, match="mien models pull faces"):
        Graph(NAME, low=-1.0)
