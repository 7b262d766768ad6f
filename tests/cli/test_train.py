from pathlib import Path
from typing import Any

import pytest

from mien.cli import train
from mien.cli.reach import reach
from mien.engine.run import Run, to_json
from mien.recipes import RECIPES, find

TINY = "product_cross_small_synthetic_tiny"


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Run, dict[str, Any]]]:
    """The calls of ``fit``, which does nothing; runs go to a folder of the test."""
    monkeypatch.chdir(tmp_path)
    calls: list[tuple[Run, dict[str, Any]]] = []

    def fit(run: Run, **options: Any) -> Path:
        calls.append((run, options))
        return Path(options["out"]) / "bundle"

    monkeypatch.setattr(train, "reach", lambda target, **why: fit if target.endswith(":fit") else reach(target, **why))
    return calls


def test_the_list_names_every_recipe(mien) -> None:
    code, out, _ = mien("train", "--list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(RECIPES)
    code, out, _ = mien("train", "--list", "product_cross_raf_db")
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert all(find(name) for name in rows)
    assert "model.dot=" in out
    assert mien("train", "--list", "nosuch")[0] == 2


def test_a_recipe_is_trained_as_it_is(mien, fitted) -> None:
    code, out, _ = mien("train", TINY, "--data", "here", "--device", "cpu")
    ((run, options),) = fitted
    assert code == 0
    assert run == find(TINY)
    assert (options["root"], options["device"], options["resume"]) == (Path("here"), "cpu", False)
    folder = options["out"]
    assert folder.parent == Path("runs") / TINY
    assert folder.name.endswith(f"-seed{run.seed}")
    assert f"mien predict PHOTO --model {folder / 'bundle'}" in out


@pytest.mark.parametrize(
    ("recipe", "source"),
    [("keypoint_graph_synthetic_tiny", "CLIP"), ("gcsa_av_synthetic_tiny", "CLIP"), ("gcsa_av_ravdess_voice", "SOUND")],
)
def test_what_to_try_is_what_the_model_reads(mien, fitted, recipe: str, source: str) -> None:
    assert f"mien predict {source} --model" in mien("train", recipe)[1]


def test_a_model_that_is_told_of_faces_is_measured_and_its_folder_can_be_set(mien, fitted) -> None:
    recipe = "gcsa_av_aff_wild2_visual_features"
    out = mien("train", recipe, "--set.features", "face_features", "own/face")[1]
    ((run, _),) = fitted
    assert run.features == (("face_features", "own/face"),)
    assert "mien evaluate" in out
    assert "--dataset aff_wild2" in out
    assert "mien predict" not in out


def test_every_field_can_be_set_by_its_path(mien, fitted) -> None:
    words = "--set.train.optimizer.lr 0.5 --set.model.dot False --set.data.limit 8 --set.train.sizes 0 32 0.5 48"
    mien("train", TINY, "--seed", 7, "--init", "tiny", "--out", "o", *words.split())
    ((run, options),) = fitted
    assert (run.train.optimizer.lr, run.model.dot, run.data.limit) == (0.5, False, 8)
    assert run.train.sizes == ((0.0, 32), (0.5, 48))
    assert (run.seed, run.init, options["out"]) == (7, "tiny", Path("o"))
    same = find(TINY)
    assert (run.loss, run.augment, run.name) == (same.loss, same.augment, same.name)


def test_a_run_is_repeated_from_its_file(mien, fitted, tmp_path: Path) -> None:
    import json

    mien("train", TINY, "--seed", 5, "--set.train.epochs", 9)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "run.json").write_text(json.dumps({"run": to_json(fitted[0][0])}))
    for words in (("--from", "old/run.json"), ("--from=old",), ("--from", "old", "--seed", "6")):
        mien("train", *words)
    assert fitted[1][0] == fitted[2][0] == fitted[0][0]
    assert fitted[3][0].seed == 6


def test_resuming_takes_the_latest_run_of_the_recipe_and_seed(mien, fitted, tmp_path: Path) -> None:
    code, _, err = mien("train", TINY, "--resume")
    assert code == 2
    assert "to resume; name one with --out" in err
    for name in ("20260101-000000-seed1", "20260102-000000-seed1", "20260103-000000-seed2"):
        (tmp_path / "runs" / TINY / name).mkdir(parents=True)
    mien("train", TINY, "--resume")
    ((_, options),) = fitted
    assert (options["out"].name, options["resume"]) == ("20260102-000000-seed1", True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("product_cros_small_synthetic_tiny",), f"Did you mean: {TINY}"),
        (("--seed", "1", TINY), "The recipe comes first"),
        (("--from",), "needs the path of a run.json"),
        (("--from", "absent.json"), "absent.json"),
        ((TINY, "--set.train.epochs", "0"), "train.epochs is at least 1; given: 0"),
    ],
)
def test_wrong_words_are_one_line(mien, fitted, words, said: str) -> None:
    code, _, err = mien("train", *words)
    assert code == 2
    assert err.startswith("mien: ")
    assert said in err
    assert not fitted


def test_a_field_that_does_not_exist_is_refused(mien, fitted) -> None:
    code, out, err = mien("train", TINY, "--set.train.epoch", "3")
    assert code == 2
    assert "epochs" in out + err
    assert not fitted


def test_help_shows_the_fields_of_the_recipe(mien) -> None:
    code, out, _ = mien("train", TINY, "--help")
    assert code == 0
    assert "--set.train.optimizer.lr" in out
