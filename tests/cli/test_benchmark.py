import re
from pathlib import Path

import pytest

from mien.cli import benchmark
from mien.schema.errors import MissingExtraError


def test_each_runtime_and_precision_is_a_row(mien, tiny_bundle: Path, portrait: Path) -> None:
    words = ("--seconds", "0.02", "--runtimes", "openvino", "--photos", portrait)
    code, out, _ = mien("benchmark", tiny_bundle, *words)
    assert code == 0
    assert re.match(r"tiny@[0-9a-f]{12}: 0\.00 million weights, image 112 x 112 pixels\n", out)
    rows = [line for line in out.splitlines() if line.startswith("openvino ")]
    assert [row.split()[1] for row in rows] == ["fp32", "bf16"]
    assert all(row.count(" ms") == 4 and float(row.split()[-1]) > 100 for row in rows)
    assert re.search(r"from file to row: [0-9.]+ photos, [0-9.]+ faces a second\n$", out)


def test_a_runtime_that_is_not_installed_is_left_out_with_the_reason(mien, tiny_bundle: Path, monkeypatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise MissingExtraError("onnxruntime", "export", "Running")

    monkeypatch.setattr(benchmark, "open_session", missing)
    code, out, _ = mien("benchmark", tiny_bundle, "--runtimes", "onnx")
    assert code == 0
    assert "left out: Running needs the package 'onnxruntime'" in out


@pytest.mark.parametrize("seconds", ["0", "-1"])
def test_time_is_needed(mien, tiny_bundle: Path, seconds: str) -> None:
    assert mien("benchmark", tiny_bundle, "--seconds", seconds)[0] == 2
