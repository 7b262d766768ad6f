"""Where a result was made: versions and commit, and never the commit of somebody else's checkout."""

import subprocess
from pathlib import Path

from mien.engine import surroundings as module
from mien.engine.surroundings import surroundings


def test_surroundings_name_versions_and_commit(tmp_path, monkeypatch):
    found = surroundings()
    assert found["packages"]["torch"]
    inside = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(module.__file__).parent, capture_output=True)
    if inside.returncode == 0:
        assert found["commit"].startswith(inside.stdout.decode().strip())
    monkeypatch.setattr(module, "__file__", str(tmp_path / "surroundings.py"))
    assert surroundings()["commit"] is None


def test_a_package_inside_somebody_elses_checkout_has_no_commit(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "surroundings.py"))
    assert surroundings()["commit"] is None
