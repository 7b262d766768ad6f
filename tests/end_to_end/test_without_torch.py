"""Predicting and evaluating where torch cannot be imported."""

import shutil
from pathlib import Path

HEAVY = "{'torch', 'torchvision', 'timm', 'lightning'} & set(sys.modules)"


def test_predict_runs(without_torch, tiny_bundle: Path, portrait: Path, tmp_path: Path) -> None:
    code = f"from mien.cli import main\nassert main(sys.argv[1:]) == 0\nassert not {HEAVY}"
    table, drawn = str(tmp_path / "t.csv"), str(tmp_path / "drawn")
    done = without_torch(code, "predict", str(portrait), "--model", str(tiny_bundle), "--out", table, "--draw", drawn)
    assert "1 photo · 1 face" in done.stdout
    assert Path(table).read_text().count("\n") == 2


def test_windows_of_frames_are_read(without_torch, tiny_frames: Path, portrait: Path, tmp_path: Path) -> None:
    code = f"from mien.cli import main\nassert main(sys.argv[1:]) == 0\nassert not {HEAVY}"
    for number in range(3):
        shutil.copy(portrait, tmp_path / f"{number:05d}.jpg")
    film = str(tmp_path / "%05d.jpg")
    done = without_torch(code, "predict", str(portrait), film, "--model", str(tiny_frames))
    assert "1 photo · 1 video · 3 frames · 2 faces" in done.stdout


def test_evaluate_runs(without_torch, tiny_bundle: Path, tmp_path: Path) -> None:
    assert without_torch(
        "from mien.cli import main; assert main(sys.argv[1:]) == 0",
        "data",
        "synthesize",
        str(tmp_path / "drawn"),
        "--count",
        "140",
    ).stdout
    code = f"from mien.cli import main\nassert main(sys.argv[1:]) == 0\nassert not {HEAVY}"
    words = ["evaluate", str(tiny_bundle), "--dataset", "folder", "--data", str(tmp_path / "drawn"), "--split", "valid"]
    done = without_torch(code, *words, "--out", str(tmp_path / "report"), "--resamples", "50", "--robustness")
    assert "accuracy against disturbances" in done.stdout
    assert (tmp_path / "report" / "report.json").is_file()
    assert (tmp_path / "report" / "robustness.png").is_file()


def test_the_other_verbs_answer(without_torch) -> None:
    for words in (["--help"], ["models", "list"], ["data", "list"], ["train", "--list"]):
        assert without_torch("from mien.cli import main; assert main(sys.argv[1:]) == 0", *words).stdout
