"""What the README and the guides promise exists: commands, flags, names, code, the tree."""

import contextlib
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest

from mien.cli import VERBS, main
from mien.data.readers import READERS
from mien.models import MODELS
from mien.recipes import RECIPES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md"]


def fenced(text: str) -> tuple[list[tuple[str, str]], str]:
    """(language, content) of the fenced blocks, and the text between them."""
    parts = re.split(r"^```(.*)\n", text, flags=re.MULTILINE)
    return list(zip(parts[1::4], parts[2::4], strict=True)), "".join(parts[::4])


def blocks(text: str, language: str) -> list[str]:
    return [content for found, content in fenced(text)[0] if found == language]


def commands(program: str) -> list[tuple[str, list[str]]]:
    """(page, words) of every command in a block or between backticks."""
    found = []
    for page in GUIDES:
        text = page.read_text()
        lines = [line for block in blocks(text, "") for line in block.splitlines()]
        lines += re.findall(r"`([^`\n]+)`", fenced(text)[1])
        found += [
            (page.name, shlex.split(line, comments=True)) for line in lines if line.strip().startswith(f"{program} ")
        ]
    return found


def helped(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The help of a verb; of the verb below it or of the recipe, where it has such."""
    named = [words[1], words[2]] if words[1] in ("train", "data", "models") and words[2:] else [words[1]]
    capsys.readouterr()
    with contextlib.suppress(SystemExit):
        main([*[name for name in named if name[0] != "-" and name.islower()], "--help"])
    return capsys.readouterr().out


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = [(page, words[1]) for page, words in commands("make")]
    assert ("README.md", "demo") in named
    assert ("README.md", "test") in named
    assert {target for _, target in named} <= targets


def test_ci_runs_the_test_command_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text()
    assert "make test" in script
    assert "make check" in script
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_every_command_and_flag_exists(capsys):
    named = [(page, words) for page, words in commands("mien") if words[1].isalpha() and words[1].islower()]
    assert {words[1] for _, words in named} >= {"predict", "train", "evaluate", "models"}
    for page, words in named:
        assert words[1] in VERBS, (page, words)
        flags = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word) and "." not in word}
        text = helped(words, capsys)
        assert {flag for flag in flags if flag not in text} == set(), (page, words)


def test_every_name_in_a_command_exists():
    for page, words in commands("mien"):
        if words[1] == "train" and not words[2].startswith(("-", "RECIPE")):
            from mien.recipes import find

            assert find(words[2]), page
        for flag, table in (("--dataset", READERS), ("--init", MODELS)):
            if flag in words and words[words.index(flag) + 1].islower():
                assert words[words.index(flag) + 1] in table, (page, words)
    assert RECIPES


def test_the_python_example_runs(tmp_path, monkeypatch, portrait, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    shutil.copyfile(portrait, tmp_path / "demo" / "portrait.jpg")
    for block in blocks(README, "python"):
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102
    assert "portrait.jpg 0 " in capsys.readouterr().out
    assert (tmp_path / "faces.csv").read_text().startswith("source,frame,time_s")


def test_the_tree_is_the_tree():
    block = next(block for block in blocks(README, "") if block.startswith("mien/\n"))
    folders: list[str] = []
    named = set()
    for line in block.splitlines()[1:]:
        indent, name = re.findall(r"^([│ ├└─]*)(\S+)", line)[0]
        depth = len(indent) // 4
        folders[depth - 1 :] = [name]
        named.add("".join(folders))
    assert {path for path in named if not (ROOT / path).exists()} == set()
    rooms = {f"src/mien/{path.name}/" for path in (ROOT / "src" / "mien").glob("[a-z]*") if path.is_dir()}
    assert rooms <= named


def test_the_architecture_page_shows_the_ladder_that_is_checked():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract for contract in contracts if contract["id"] == "ladder")["layers"]
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert " > ".join(layer.replace("(", "").replace(")", "") for layer in layers) in page
