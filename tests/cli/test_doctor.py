import shutil
from pathlib import Path

import pytest

import mien as package
from mien.cli import doctor
from mien.runtime.cache import cache_dir


def test_a_sound_installation_is_one_screen(mien, tiny_bundle: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    monkeypatch.setenv("MIEN_DATA", "somewhere")
    shutil.copytree(tiny_bundle, cache_dir() / "bundles" / "tiny")
    code, out, _ = mien("doctor")
    assert code == 0
    assert out.startswith(f"mien {package.__version__} · Python ")
    assert "tiny@" in out
    assert "OpenVINO CPU" in out
    assert "datasets somewhere" in out
    assert out.endswith("Photos can be read.\n")
    assert len(out.splitlines()) < 40


@pytest.mark.parametrize("topic", ["core", "faces"])
def test_what_is_missing_is_marked_and_changes_the_exit_code(mien, monkeypatch, topic: str) -> None:
    monkeypatch.setattr(doctor, f"_{topic}", lambda: iter([(True, False, "this is gone")]))
    code, out, _ = mien("doctor")
    assert code == 1
    assert f"{topic:<9}--  this is gone" in out
    assert "cannot be read yet" in out


def test_missing_extras_say_how_to_get_them_and_are_no_fault(mien, monkeypatch) -> None:
    monkeypatch.setitem(doctor.EXTRAS, "tables", ("no-such-package",))
    code, out, _ = mien("doctor")
    assert code == 0
    assert "missing no-such-package: pip install 'mien[tables]'" in out
