import shutil
from pathlib import Path

import pytest

from mien.runtime.bundle import list_bundles
from mien.runtime.cache import cache_dir
from mien.runtime.hub import FACE_GRAPHS


@pytest.fixture
def own_cache(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds the tiny bundle."""
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    return Path(shutil.copytree(tiny_bundle, cache_dir() / "bundles" / "tiny"))


def test_list_names_models_with_three_licences_and_the_face_graphs(mien, own_cache: Path) -> None:
    code, out, _ = mien("models", "list")
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("tiny "))
    assert line.split() == ["tiny", "classify", "8", "0.0", "Apache-2.0", "Apache-2.0", "none"]
    assert all(name in out for name in (*FACE_GRAPHS, *list_bundles()))


def test_a_damaged_model_is_listed_as_such(mien, own_cache: Path) -> None:
    (own_cache / "model.onnx").write_bytes(b"")
    assert "tiny damaged; see `mien models verify`" in " ".join(mien("models", "list")[1].split())


def test_show_prints_the_card(mien, own_cache: Path) -> None:
    code, out, _ = mien("models", "show", "tiny")
    assert code == 0
    assert out.strip() == (own_cache / "README.md").read_text(encoding="utf-8").strip()
    assert mien("models", "show", "none_such")[0] == 2


def test_verify_tells_sound_from_altered(mien, own_cache: Path) -> None:
    code, out, _ = mien("models", "verify")
    assert code == 0
    assert out.count("ok ") == len(FACE_GRAPHS) + len(list_bundles())
    (own_cache / "model.safetensors").write_bytes(b"altered")
    code, out, _ = mien("models", "verify", "tiny")
    assert code == 1
    assert out.startswith("FAILED  tiny: ")


def test_unknown_commands_are_refused(mien) -> None:
    assert mien("models", "fetch")[2].startswith("mien: There is no command 'fetch'.")
