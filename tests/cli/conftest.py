from collections.abc import Callable

import pytest

from mien.cli import main

Said = tuple[int, str, str]


@pytest.fixture
def mien(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """``mien(*words)``: run a command in this process; its exit code and what it printed to both streams."""

    def run(*words: object) -> Said:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run
