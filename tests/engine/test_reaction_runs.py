"""Strengths of reactions on small trees: trained, stopped and resumed, measured, averaged, refused."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from mien.data.augment import Augment
from mien.data.reaction_writer import read_predictions
from mien.data.splits import DataConfig
from mien.data.synthetic_reactions import samples
from mien.engine import fit as module
from mien.engine.card import write_card
from mien.engine.evaluate import evaluate
from mien.engine.fit import fit
from mien.engine.journal import read_journal
from mien.engine.material import gather
from mien.engine.optim import Optimizer, Schedule
from mien.engine.report_reactions import read_reaction_answers
from mien.engine.run import Run
from mien.engine.submit_reactions import submit_reactions
from mien.metrics import correlation
from mien.models.reaction import Config
from mien.recipes import find
from mien.runtime.bundle import find_bundle
from mien.schema.errors import BundleError, ConfigError, DatasetError
from mien.schema.labels import HUME_REACTION

pytestmark = pytest.mark.filterwarnings("ignore::mien.data.readers.DatasetWarning")

TINY = find("reaction_synthetic_tiny")
NAMES = HUME_REACTION.names
HEADER = "File_ID,Adoration,Amusement,Anxiety,Disgust,Empathic-Pain,Fear,Surprise"
Write = Callable[..., Path]


def strengths(rng: np.random.Generator) -> np.ndarray:
    values: np.ndarray = rng.random(7).round(4)
    return np.where(np.arange(7) == values.argmax(), 1.0, values)


def hume(root: Path, *, train: int = 14, valid: int = 9, test: int = 3) -> None:
    """A tree of MuSe 2022 whose sound tells four strengths, and whose faces the others; a clip lacks faces."""
    rng, labels, parts = np.random.default_rng(3), [HEADER], ["Id,Subject,Proposal"]
    for number in range(train + valid + test):
        name, told = f"{number:05d}", strengths(rng)
        part = "train" if number < train else "devel" if number < train + valid else "test"
        labels += [f"[{name}],{','.join(f'{value:g}' for value in told)}"] if part != "test" else []
        parts.append(f"[{name}],{number},{part}")
        for kind, width, known in (("DeepSpectrum", 12, told[:4]), ("PosterV2-Vit", 20, told[4:])):
            folder = root / "feats" / kind
            folder.mkdir(parents=True, exist_ok=True)
            if (kind, number) == ("PosterV2-Vit", 0):
                continue
            rows = rng.normal(size=(4 + number % 5, width))
            rows[:, : len(known)] = 3 + 2 * known
            head = ",".join(["File_ID", "timestamp", *(f"f{i}" for i in range(width))])
            lines = [f"[{name}],{step},{','.join(f'{x:.5f}' for x in row)}" for step, row in enumerate(rows)]
            (folder / f"{name}.csv").write_text("\n".join([head, *lines]) + "\n")
    (root / "labels.csv").write_text("\n".join(labels) + "\n")
    (root / "partition.csv").write_text("\n".join(parts) + "\n")


def on_hume(**changes: Any) -> Run:
    run = find("reaction_hume_reaction")
    train = replace(TINY.train, batch_size=5, ema_decay=0.5, clip_norm=0.1, patience=5)
    return replace(run, model=replace(Config.tiny(), **changes), train=train)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hume")
    hume(root)
    return root


@pytest.fixture(scope="module")
def trained(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two epochs that was stopped after the first and went on."""
    out = tmp_path_factory.mktemp("run")
    looks = iter((module.evaluate,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "evaluate", lambda *given: next(looks)(*given))
        with pytest.raises(StopIteration):
            fit(on_hume(standardize=True), root=tree, out=out, device="cpu", progress=False)
    fit(on_hume(standardize=True), root=tree, out=out, device="cpu", resume=True, progress=False)
    return out


def test_a_run_that_was_stopped_ends_with_the_same_bits(
    tree: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "export", lambda *given: tmp_path)
    fit(on_hume(standardize=True), root=tree, out=tmp_path, device="cpu", progress=False)
    for kept in (module.LAST, module.BEST):
        stopped, whole = (load_file(folder / kept) for folder in (trained, tmp_path))
        assert stopped.keys() == whole.keys()
        assert all((stopped[name] == whole[name]).all() for name in whole)
    columns = ("train_loss", "train_squared", "train_class", "select_pearson")
    rows = [
        [[row[name] for name in columns] for row in read_journal(folder / "journal.csv")]
        for folder in (trained, tmp_path)
    ]
    assert rows[0] == rows[1]
    record = json.loads((trained / "run.json").read_text())
    assert record["data"]["train"] == 13
    assert record["data"]["dropped"] == {"train: no features PosterV2-Vit": 1, "test: no label": 3}


def test_a_bundle_is_measured_with_what_it_says_itself(tree: Path, trained: Path, tmp_path: Path) -> None:
    bundle = find_bundle(trained)
    assert bundle.task == {"name": "regress"}
    assert bundle.provenance["features"] == {
        "sound_features": {"from": "DeepSpectrum"},
        "face_features": {"from": "PosterV2-Vit"},
    }
    report = evaluate(bundle, "hume_reaction", root=tree, out=tmp_path, resamples=200, progress=False)
    selected = json.loads((trained / "run.json").read_text())["select"]
    assert report["clips"] == 9
    assert report["dataset"]["part"] == "whole validation part"
    for name in ("pearson", "ccc", "mae"):
        assert report["metrics"][name]["value"] == pytest.approx(selected[name], abs=0.01)
        assert report["metrics"][name]["low"] <= report["metrics"][name]["value"] <= report["metrics"][name]["high"]
    with (tmp_path / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    truth, answer = (
        np.array([[float(row[f"{kind}_{n}"]) for n in NAMES] for row in rows]) for kind in ("truth", "answer")
    )
    assert truth.max(1).tolist() == [1.0] * 9
    each = correlation.pearson_of(truth, answer)
    assert report["metrics"]["pearson"]["value"] == pytest.approx(each.mean(), abs=1e-5)
    assert [report["per_reaction"][n]["pearson"]["value"] for n in NAMES] == pytest.approx(each.tolist(), abs=1e-5)
    text = (tmp_path / "report.md").read_text()
    assert "| empathic_pain |" in text
    for name in ("scatter.png", "reactions.png"):
        assert (tmp_path / name).stat().st_size > 5_000
    card = write_card(bundle, report)
    assert "empathic_pain" in (card.path / "README.md").read_text()


def test_equal_members_answer_like_one_and_others_by_their_mean(tree: Path, trained: Path, tmp_path: Path) -> None:
    how = {"root": tree, "resamples": 5, "progress": False}
    alone = evaluate(trained, "hume_reaction", out=tmp_path / "one", **how)
    together = evaluate(trained, "hume_reaction", others=[trained, trained], out=tmp_path / "three", **how)
    assert (tmp_path / "one" / "answers.csv").read_text() == (tmp_path / "three" / "answers.csv").read_text()
    assert {**together["metrics"], **together["per_reaction"]} == {**alone["metrics"], **alone["per_reaction"]}
    assert together["bundle"]["name"] == "mean of 3: reaction_hume_reaction"
    assert len(together["provenance"]["members"]) == 3
    assert together["bundle"]["hash"] != alone["bundle"]["hash"]
    sound = replace(on_hume(modalities="a"), train=replace(TINY.train, epochs=1), seed=1)
    other = fit(sound, root=tree, out=tmp_path / "sound", device="cpu", progress=False)
    assert find_bundle(other).inputs.keys() == {"sound_features"}
    for name, models in (("sound", (other,)), ("both", (other, trained))):
        evaluate(models[0], "hume_reaction", others=models[1:], out=tmp_path / name, **how)
    one, two, both = (answers(tmp_path / name / "answers.csv") for name in ("one", "sound", "both"))
    np.testing.assert_allclose(both, (one + two) / 2, atol=1e-6)
    with pytest.raises(BundleError, match="have one task and the same labels"):
        evaluate(other, "hume_reaction", others=["product_cross_small"], **how)
    with pytest.raises(ConfigError, match="is none, leave it out"):
        evaluate(other, "hume_reaction", smooth=3, **how)


def answers(path: Path) -> np.ndarray:
    return np.array([row.answer for row in read_reaction_answers(path)])


def test_the_answers_to_the_challenge(tree: Path, trained: Path, tmp_path: Path) -> None:
    path = submit_reactions(trained, "hume_reaction", tmp_path / "answers.csv", root=tree, progress=False)
    found = read_predictions(path)
    assert list(found) == ["00023", "00024", "00025"]
    whole = submit_reactions(trained, "hume_reaction", tmp_path / "valid.csv", root=tree, split="valid", progress=False)
    evaluate(trained, "hume_reaction", root=tree, out=tmp_path / "report", resamples=2, progress=False)
    measured = answers(tmp_path / "report" / "answers.csv")
    np.testing.assert_allclose(np.array(list(read_predictions(whole).values())), measured, atol=1e-6)
    with pytest.raises(DatasetError, match=r"1 of 14 clips have no sound_features and face_features, e\.g\. 00000"):
        submit_reactions(trained, "hume_reaction", path, root=tree, split="train", progress=False)
    with pytest.raises(BundleError, match="product_cross_small does 'classify'"):
        submit_reactions("product_cross_small", "hume_reaction", path, root=tree)


def folders(base: Path, write_features: Write, keys: list[str], **head: Any) -> tuple[tuple[str, str], ...]:
    rng, made = np.random.default_rng(4), []
    for name, kind, width in (("sound_features", "sound", 12), ("face_features", "face", 20)):
        part = {key: rng.normal(size=(7, width)).astype(np.float32) for key in keys}
        folder = write_features(base / kind, [part], modality=kind, width=width, encoder=f"tiny_{kind}", **head)
        made.append((name, str(folder)))
    return tuple(made)


def test_folders_of_features_are_trained_on_and_held_to_their_encoder(tmp_path: Path, write_features: Write) -> None:
    keys = [sample.key for sample in samples(420)]
    own = folders(tmp_path / "own", write_features, keys)
    run = replace(TINY, features=own, random_features=False, data=DataConfig(reader="synthetic_reactions", limit=21))
    out = tmp_path / "run"
    bundle = find_bundle(fit(run, out=out, device="cpu", progress=False))
    told = bundle.provenance["features"]["face_features"]
    assert (told["encoder"], told["weights"], told["from"]) == ("tiny_face", "0" * 64, own[1][1])
    assert json.loads((out / "run.json").read_text())["data"]["features"] == bundle.provenance["features"]
    how = {"data": run.data, "resamples": 2, "progress": False}
    report = evaluate(bundle, "synthetic_reactions", **how)
    assert report["clips"] == 21
    assert report["runtime"]["features"] == bundle.provenance["features"]
    assert report["dataset"]["dropped"] == {"valid: no features " + own[0][1]: 616}
    others = dict(folders(tmp_path / "others", write_features, keys, weights="1" * 64))
    with pytest.raises(
        BundleError, match=r"trained on face_features of the encoder tiny_face@000000000000; .* tiny_face@111111111111"
    ):
        evaluate(bundle, "synthetic_reactions", features={**dict(own), "face_features": others["face_features"]}, **how)
    with pytest.raises(ConfigError, match="Missing: sound_features"):
        evaluate(bundle, "synthetic_reactions", features={"face_features": own[1][1]}, **how)
    with pytest.raises(ConfigError, match="features are for models that read them"):
        evaluate("product_cross_small", "synthetic", features=dict(own), progress=False)


def test_features_of_random_encoders_are_refused_unless_allowed(tmp_path: Path, write_features: Write) -> None:
    own = folders(tmp_path, write_features, [sample.key for sample in samples(420)], weights="random")
    run = replace(TINY, features=own, data=replace(TINY.data, limit=7))
    material = gather(run, None, progress=False)
    assert len(material.train.items) == len(material.select.items) == 7
    with pytest.raises(DatasetError, match="with random weights, which mean nothing"):
        gather(replace(run, random_features=False), None, progress=False)


def test_runs_that_cannot_be_are_refused(tree: Path) -> None:
    run = on_hume()
    with pytest.raises(ConfigError, match="augment varies pictures and sounds"):
        replace(run, augment=Augment(flip=0.5))
    with pytest.raises(ConfigError, match=r"train\.sizes are of pictures"):
        replace(run, train=replace(run.train, sizes=((0.0, 32),)))
    with pytest.raises(ConfigError, match="features and random_features are for the task regress"):
        replace(run, task="classify")
    with pytest.raises(ConfigError, match=r"as face_features=DIR\. Missing: face_features"):
        gather(replace(run, features=run.features[:1]), tree, progress=False)
    with pytest.raises(ConfigError, match="'sound_features' are named twice"):
        gather(replace(run, features=(*run.features, run.features[0])), tree, progress=False)
    with pytest.raises(ConfigError, match="set task=regress, and features"):
        gather(replace(run, task="classify", features=()), tree, progress=False)
    faces = find("product_cross_small_synthetic_tiny")
    with pytest.raises(ConfigError, match="'product_cross_small' reads image"):
        gather(replace(faces, task="regress", augment=Augment()), None, progress=False)


def test_eight_clips_are_learnt_by_heart(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "export", lambda *given: tmp_path)
    run = on_hume(standardize=True, embed_drop=0.0, drop=0.0, joint_drop=0.0)
    optimizer, schedule = Optimizer(name="adam", lr=1e-2), Schedule(name="cosine", warm_up=0.1)
    train = replace(TINY.train, epochs=40, batch_size=4, optimizer=optimizer, schedule=schedule, clip_norm=1.0)
    data = replace(run.data, valid_splits=("train",), limit=8)
    fit(replace(run, train=train, data=data), root=tree, out=tmp_path, device="cpu", progress=False)
    last = read_journal(tmp_path / "journal.csv")[-1]
    assert float(last["select_pearson"]) > 0.95
    assert all(float(last[f"select_pearson_{name}"]) > 0.8 for name in NAMES)


def test_a_network_scales_its_features_by_those_of_training(tree: Path, trained: Path) -> None:
    weights = load_file(find_bundle(trained).weights_path)
    seen = gather(on_hume(), tree, progress=False).train
    rows = np.concatenate([seen.rows(i, "sound_features")[: seen.spec.n_steps] for i in range(len(seen.items))])
    np.testing.assert_allclose(weights["sound.mean"], rows.mean(0), rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(weights["sound.std"], rows.std(0), rtol=2e-3)
