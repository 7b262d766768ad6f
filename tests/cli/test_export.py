from pathlib import Path
from typing import Any

import pytest

from mien.cli import export


def test_a_run_without_an_epoch_has_nothing_to_export(mien, tmp_path: Path) -> None:
    code, _, err = mien("export", tmp_path)
    assert code == 2
    assert "has no best.safetensors yet" in err


def test_the_best_epoch_is_set_up_and_finished(mien, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "best.safetensors").touch()
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def reached(target: str, **_: str) -> Any:
        name = target.rpartition(":")[2]

        def record(*given: Any, **options: Any) -> str:
            calls.append((name, given, options))
            return f"<{name}>"

        return record

    monkeypatch.setattr(export, "reach", reached)
    code, out, _ = mien("export", tmp_path, "--data", "d", "--device", "cpu")
    assert (code, out) == (0, "The bundle is <finish>\n")
    assert calls == [
        ("read_run", (tmp_path / "run.json",), {}),
        ("set_up", ("<read_run>", Path("d"), tmp_path), {"resume": True, "device": "cpu", "progress": True}),
        ("finish", ("<set_up>", tmp_path), {}),
    ]
