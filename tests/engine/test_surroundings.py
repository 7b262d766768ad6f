"""Where a result was made."""

import importlib.metadata
import platform
import re
import subprocess

from mien.engine.surroundings import commit, surroundings


def test_surroundings_tell_versions_and_machine():
    found = surroundings()
    assert found["python"] == platform.python_version()
    assert found["packages"]["numpy"] == importlib.metadata.version("numpy")
    assert found["packages"]["mien"]


def test_commit_is_that_of_the_checkout_or_nothing():
    found = commit()
    assert found is None or re.fullmatch(r"[0-9a-f]{40,64}\+?", found)


def test_no_commit_without_git(monkeypatch):
    def absent(*_args, **_settings):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", absent)
    assert commit() is None
