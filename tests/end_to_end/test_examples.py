"""The short scripts that a newcomer copies run as they are."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from mien.schema.labels import FERPLUS

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_contact_sheet(portrait: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert example("contact_sheet").main(str(portrait), str(tiny_bundle)).is_file()
    assert capsys.readouterr().out.startswith("1 faces: ")


def test_a_finder_of_ones_own(portrait: Path, tiny_bundle: Path, capsys) -> None:
    example("own_finder").main(str(portrait), "166,138,366,338", str(tiny_bundle))
    assert capsys.readouterr().out.split()[0] in FERPLUS.names


def test_the_disturbances(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    path = example("disturbances").main()
    assert path.is_file()
    assert capsys.readouterr().out.strip() == str(path)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_every_example_is_short_and_says_how_to_run_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 75
    assert f"examples/{path.name}" in text.split('"""')[1]
