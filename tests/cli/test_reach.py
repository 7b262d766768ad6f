import sys
from pathlib import Path

import pytest

from mien.cli.reach import reach
from mien.schema.errors import MissingExtraError


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "room_for_test", raising=False)
    return tmp_path / "room_for_test.py"


def test_what_is_there_is_found(module: Path) -> None:
    module.write_text("answer = 42")
    assert reach("room_for_test:answer", extra="train", purpose="Training") == 42


def test_a_missing_package_is_named_with_its_extra(module: Path) -> None:
    module.write_text("import no_such_package.deep")
    with pytest.raises(MissingExtraError, match=r"^Training needs the package 'no_such_package'.*mien\[train\]"):
        reach("room_for_test:answer", extra="train", purpose="Training")


def test_our_own_missing_files_are_our_fault(module: Path) -> None:
    module.write_text("import mien.no_such_room")
    with pytest.raises(ModuleNotFoundError, match=r"mien\.no_such_room"):
        reach("room_for_test:answer", extra="train", purpose="Training")
