"""What ``import mien`` offers, what it costs, and who uses the door upward."""

import ast
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import mien
from mien.schema.prediction import Result

SOURCE = Path(__file__).parents[1] / "src" / "mien"

UPWARD = {
    "cli/entry.py",
    "cli/reach.py",
    "data/prepare_clips.py",
    "data/readers/__init__.py",
    "data/synthetic.py",
    "deploy/encoders.py",
    "engine/evaluate.py",
    "engine/finish.py",
    "engine/journal.py",
    "engine/run.py",
    "engine/submit.py",
    "media/clip_source.py",
    "media/image.py",
    "media/sound_source.py",
    "models/session.py",
    "recipes/__init__.py",
    "runtime/session.py",
    "schema/prediction.py",
    "tasks/__init__.py",
}
"""Every file that calls ``schema.tables.resolve`` or ``look_up``; a new one is a decision."""


def test_three_names_are_public() -> None:
    assert mien.__all__ == ["__version__", "load", "predict"]
    assert set(mien.__all__) <= set(dir(mien))
    with pytest.raises(AttributeError, match="offers: __version__, load, predict"):
        mien.analyze  # noqa: B018


def test_predict_can_be_called_before_and_after_its_room_is_imported(tiny_bundle: Path, portrait: Path) -> None:
    code = (
        "import sys, mien\n"
        "one = mien.predict(sys.argv[2], model=sys.argv[1])\n"
        "import mien.predict.pipeline, mien.predict.draw as draw\n"
        "other = mien.predict(sys.argv[2], sys.argv[1])\n"
        "assert one[0].label == other[0].label and draw.draw_result\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tiny_bundle), str(portrait)], check=True)


def test_load_once_and_read_often(tiny_bundle: Path, portrait: Path) -> None:
    reader = mien.load(tiny_bundle)
    results = [reader(portrait), reader([portrait, portrait]), mien.predict(portrait, tiny_bundle)]
    assert all(isinstance(result, Result) for result in results)
    assert [len(result) for result in results] == [1, 2, 1]
    for result in results:
        assert result[0].probabilities is not None
        np.testing.assert_allclose(result[0].probabilities, results[0][0].probabilities, atol=1e-5)


def test_importing_is_quick() -> None:
    def seconds() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import mien"], check=True)
        return time.perf_counter() - started

    def empty() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        return time.perf_counter() - started

    assert min(seconds() for _ in range(3)) - min(empty() for _ in range(3)) < 0.3


def goes_upward(path: Path) -> bool:
    """Whether a file calls ``resolve`` or ``look_up`` of ``schema.tables``."""
    tree = list(ast.walk(ast.parse(path.read_text())))
    imports = [node for node in tree if isinstance(node, ast.ImportFrom) and node.module == "mien.schema.tables"]
    doors = {alias.name for node in imports for alias in node.names} & {"resolve", "look_up"}
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in doors for node in tree
    )


def test_the_callers_of_the_door_upward_are_known() -> None:
    assert {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if goes_upward(path)} == UPWARD
