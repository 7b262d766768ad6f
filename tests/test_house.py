"""The house rules that no linter knows."""

from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_golden_files_are_small():
    for path in (ROOT / "tests" / "golden").glob("*"):
        assert path.stat().st_size < 50_000, path.name
