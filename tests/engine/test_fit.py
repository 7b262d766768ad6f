"""Whole tiny trainings: what they leave behind, killed and resumed, shortened, stopped, started from a bundle."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mien.data.splits import DataConfig
from mien.engine import checkpoint, state
from mien.engine import fit as module
from mien.engine.fit import fit
from mien.engine.journal import read_journal
from mien.engine.optim import Optimizer, Schedule
from mien.engine.run import Run, override, read_run
from mien.engine.start import build_model
from mien.engine.state import save_state
from mien.losses.cross_entropy import CrossEntropy
from mien.recipes import find
from mien.runtime.bundle import find_bundle
from mien.schema.errors import BundleError, ConfigError
from mien.schema.labels import BASIC_7

TINY = find("product_cross_small_synthetic_tiny")
TINY = replace(TINY, data=replace(TINY.data, limit=24), train=replace(TINY.train, batch_size=8))


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Keep what would be exported instead of exporting it, which takes seconds."""
    kept: dict[str, object] = {}

    def export(run, network, labels, task, record, samples, out):
        assert samples["image"].shape[1:] == (3, run.model.size_px, run.model.size_px)
        kept.update(run=run, network=network, labels=labels, task=task, record=record)
        return out / "bundle"

    monkeypatch.setattr(module, "export", export)
    return kept


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole run, exported."""
    out = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        assert fit(TINY, out=out, device="cpu", progress=False) == out / "bundle"
    return out


def trained(run: Run, out: Path, **options: object) -> dict[str, torch.Tensor]:
    fit(run, out=out, device="cpu", progress=False, **options)
    return checkpoint.load(out / "last.safetensors")[0]


def assert_same_bits(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def train_with(run: Run, **fields: object) -> Run:
    return replace(run, train=replace(run.train, **fields))


def test_a_run_leaves_its_record_and_a_bundle_that_answers(finished):
    tmp_path, bundle = finished, find_bundle(finished)
    assert bundle.model == "product_cross_small"
    assert bundle.labels is not None
    assert bundle.labels.id == "basic_7"
    assert bundle.provenance["recipe"] == TINY.name
    assert bundle.task["temperature"] > 0
    assert read_run(tmp_path / "run.json") == TINY
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["data"]["train"] == 24
    assert sum(record["data"]["train_per_class"].values()) == 24
    assert record["data"]["alignment"] == {"train": {"given": 24}, "select": {"given": 24}}
    assert record["data"]["fingerprint"] == bundle.provenance["data_fingerprint"]
    assert record["sampler"] == "shuffled"
    assert record["packages"]["torch"]
    rows = read_journal(tmp_path / "journal.csv")
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert {row["sampler"] for row in rows} == {"shuffled"}
    assert {"lr", "images_per_s", "train_loss", "train_anchor", "select_accuracy", "size_px"} <= rows[0].keys()
    assert "1" in {row["best"] for row in rows}
    best, numbers = checkpoint.load(tmp_path / "best.safetensors")
    assert rows[numbers["epoch"]]["best"] == "1"
    kept = torch.from_numpy(bundle.weights()["head.weight"])
    assert torch.equal(kept, best["head.weight"].half())
    with pytest.raises(ConfigError, match="--resume"):
        fit(TINY, out=tmp_path, device="cpu", progress=False)


def test_a_killed_run_is_resumed_with_the_same_bits(tmp_path, no_export):
    run = train_with(TINY, epochs=4)
    whole = trained(run, tmp_path / "whole")
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "mien.engine.run", TINY.name, "--out", str(out), "--device", "cpu"]
    for change in ("data.limit=24", "train.batch_size=8", "train.epochs=4"):
        command += ["--set", change]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    deadline = time.monotonic() + 300
    while not (out / "last.safetensors").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (out / "last.safetensors").exists(), "the run was not started within five minutes"
    assert not (out / "bundle").exists(), "the run was over before it could be killed"
    assert_same_bits(trained(run, out, resume=True), whole)
    rows = [read_journal(folder / "journal.csv") for folder in (out, tmp_path / "whole")]
    for killed, straight in zip(*rows, strict=True):
        for name in ("epoch", "train_loss", "select_accuracy", "select_nll", "lr", "best"):
            assert killed[name] == straight[name]


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": Optimizer(name="sgd", lr=0.01, weight_decay=1e-4), "ema_decay": 0.0},
        {"optimizer": Optimizer(name="adam", lr=1e-3), "sam_rho": 0.05, "schedule": Schedule(name="exponential")},
        {"accumulate": 2, "clip_norm": 1.0, "channels_last": True, "sampler": "balanced", "precision": "bf16-mixed"},
        {"sizes": ((0.0, 24), (0.5, 32)), "workers": 2},
        {"schedule": Schedule(name="plateau", patience_epochs=1, threshold=2.0), "epochs": 3},
    ],
    ids=["sgd", "sam", "accumulate", "sizes", "plateau"],
)
def test_every_kind_of_training_is_resumed_with_the_same_bits(tmp_path, no_export, monkeypatch, fields):
    run = train_with(TINY, **{"epochs": 2, **fields})
    whole = trained(run, tmp_path / "whole")

    def killed(state, path):
        save_state(state, path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "save_state", killed)
        with pytest.raises(KeyboardInterrupt):
            trained(run, tmp_path / "killed")
    assert_same_bits(trained(run, tmp_path / "killed", resume=True), whole)


def test_the_record_names_the_commit_that_trained_not_the_one_that_exports(tmp_path, no_export, monkeypatch):
    def noted() -> tuple[str, list[str]]:
        record = json.loads((tmp_path / "run.json").read_text())
        return record["commit"], record["commits"]

    def killed(run_state, path):
        save_state(run_state, path)
        raise KeyboardInterrupt

    run = train_with(TINY, epochs=2)
    monkeypatch.setattr(state, "commit", lambda: "aaa")
    with monkeypatch.context() as patch:
        patch.setattr(module, "save_state", killed)
        with pytest.raises(KeyboardInterrupt):
            fit(run, out=tmp_path, device="cpu", progress=False)
    for code, told in (("bbb", ("bbb", ["aaa", "bbb"])), ("ccc", ("bbb", ["aaa", "bbb"]))):
        monkeypatch.setattr(state, "commit", lambda code=code: code)
        fit(run, out=tmp_path, device="cpu", resume=True, progress=False)
        assert noted() == told


def test_the_same_seed_repeats_a_run_and_another_does_not(tmp_path, no_export):
    run = train_with(TINY, epochs=1)
    first, second = (trained(run, tmp_path / name) for name in "ab")
    assert_same_bits(first, second)
    other = trained(replace(run, seed=2), tmp_path / "c")
    assert not torch.equal(first["model.head.weight"], other["model.head.weight"])


def test_accumulated_batches_move_the_weights_as_one_large_batch_does(tmp_path, no_export):
    """With batch norm at rest, plain cross entropy and no dropout, two batches of 8 are one of 16."""
    plain = replace(TINY, loss=CrossEntropy(), model=replace(TINY.model, drop=0.0), freeze=("image",))
    plain = replace(plain, data=replace(plain.data, limit=16), augment=replace(plain.augment, flip=0.0, erase=0.0))
    fields = {"epochs": 1, "optimizer": Optimizer(name="sgd", lr=0.1, momentum=0.0), "schedule": Schedule()}
    two = trained(train_with(plain, **fields, batch_size=8, accumulate=2), tmp_path / "two")
    one = trained(train_with(plain, **fields, batch_size=16), tmp_path / "one")
    start = plain.model.build(no_export["labels"]).state_dict()
    assert not torch.equal(one["model.head.weight"], start["head.weight"])
    assert torch.allclose(one["model.head.weight"], two["model.head.weight"], atol=1e-5)


def test_frozen_parts_stay_as_they_are(tmp_path, no_export):
    run = replace(train_with(TINY, epochs=1), freeze=("image", "blocks.0"))
    torch.manual_seed(run.seed)
    before = trained(run, tmp_path)
    network = no_export["network"]
    torch.manual_seed(run.seed)
    start = run.model.build(no_export["labels"]).state_dict()
    for name, tensor in before.items():
        if name.startswith(("model.image.", "model.blocks.0.")):
            assert torch.equal(tensor, start[name.removeprefix("model.")]), name
    assert not torch.equal(before["model.head.weight"], start["head.weight"])
    assert not any(p.requires_grad for n, p in network.named_parameters() if n.startswith("image."))
    with pytest.raises(ConfigError, match=r"its parts: .*image"):
        trained(replace(run, freeze=("body",)), tmp_path / "wrong")


def test_the_input_grows_and_the_best_is_of_the_final_size(tmp_path, no_export):
    trained(train_with(TINY, epochs=4, sizes=((0.0, 24), (0.75, 32))), tmp_path)
    rows = read_journal(tmp_path / "journal.csv")
    assert [row["size_px"] for row in rows] == ["24", "24", "24", "32"]
    assert [row["best"] for row in rows] == ["0", "0", "0", "1"]


def test_the_average_starts_anew_with_another_size(tmp_path, no_export):
    run = train_with(TINY, epochs=2, ema_decay=0.999)
    counts = {}
    for name, sizes in (("one", ((0.0, 32),)), ("two", ((0.0, 24), (0.5, 32)))):
        tensors = trained(train_with(run, sizes=sizes), tmp_path / name)
        counts[name] = int(tensors["average.n_averaged"])
    assert counts == {"one": 6, "two": 3}


def test_a_time_limit_ends_the_run_after_a_whole_epoch(tmp_path, no_export, monkeypatch):
    seconds = itertools.count()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))  # 3 s an epoch
    trained(train_with(TINY, epochs=500, sizes=((0.0, 24), (0.9, 32)), time_limit_min=0.5), tmp_path)
    rows = read_journal(tmp_path / "journal.csv")
    assert 8 <= len(rows) <= 11
    assert 0.9 < float(rows[-1]["progress"]) <= 1
    assert rows[-1]["size_px"] == "32"


def test_the_last_epoch_is_kept_where_nothing_is_to_be_chosen(tmp_path, no_export):
    fit(train_with(TINY, epochs=3, keep="last"), out=tmp_path, progress=False)
    assert [row["best"] for row in read_journal(tmp_path / "journal.csv")] == ["1", "1", "1"]
    assert json.loads((tmp_path / "run.json").read_text())["best_epoch"] == 2
    with pytest.raises(ConfigError, match=r"train\.keep=last"):
        train_with(TINY, keep="last", patience=3)


def test_the_rate_falls_where_nothing_is_gained_after_the_warm_up(tmp_path, no_export, monkeypatch):
    values = iter([0.9, 0.1, 0.3, 0.3, 0.2, 0.5, 0.5])
    monkeypatch.setattr(module, "evaluate", lambda state, size_px: {"accuracy": next(values)})
    schedule = Schedule(name="plateau", warm_up=1 / 7, warm_up_from=0.5, gamma=0.5, patience_epochs=2)
    run = train_with(TINY, epochs=7, schedule=schedule, optimizer=Optimizer(lr=1e-3))
    trained(run, tmp_path)
    rates = [float(row["lr"]) / 1e-3 for row in read_journal(tmp_path / "journal.csv")]
    assert rates[1:] == pytest.approx([1.0, 1.0, 1.0, 1.0, 0.5, 0.5])
    assert 0.5 < rates[0] < 1
    numbers = checkpoint.load(tmp_path / "last.safetensors")[1]
    assert numbers["plateau"] == {"falls": 1, "best": 0.5, "since": 5}


@pytest.mark.parametrize("fields", [{"keep": "last"}, {"sizes": ((0.0, 24), (0.5, 32))}])
def test_a_plateau_needs_values_that_can_be_compared(fields):
    with pytest.raises(ConfigError, match=r"train\.schedule\.name=plateau .* set train\.keep to best"):
        train_with(TINY, schedule=Schedule(name="plateau"), **fields)


def test_the_selection_part_is_looked_at_every_so_many_epochs_and_after_the_last_one(tmp_path, no_export):
    fit(train_with(TINY, epochs=5, keep="last", select_every=3), out=tmp_path / "last", progress=False)
    rows = read_journal(tmp_path / "last" / "journal.csv")
    assert [bool(row["select_accuracy"]) for row in rows] == [False, False, True, False, True]
    assert [row["best"] for row in rows] == ["1"] * 5
    assert json.loads((tmp_path / "last" / "run.json").read_text())["best_epoch"] == 4
    fit(train_with(TINY, epochs=5, select_every=3), out=tmp_path / "best", progress=False)
    kept = [row["epoch"] for row in read_journal(tmp_path / "best" / "journal.csv") if row["best"] == "1"]
    assert kept in (["2"], ["2", "4"])
    with pytest.raises(ConfigError, match=r"train\.select_every"):
        train_with(TINY, select_every=0)


def test_patience_ends_a_run_that_no_longer_gains(tmp_path, no_export):
    run = train_with(TINY, epochs=50, patience=2, min_delta=2.0)
    trained(run, tmp_path)
    assert len(read_journal(tmp_path / "journal.csv")) == 3


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_epoch(tmp_path, no_export):
    with pytest.raises(ConfigError, match=r"not a number.*epoch 0.*train.optimizer.lr"):
        trained(override(override(TINY, "train.optimizer.lr", "1e30"), "train.clip_norm", "0"), tmp_path)
    assert not (tmp_path / "last.safetensors").exists()


def test_over_sampling_is_visible(tmp_path, no_export):
    trained(train_with(TINY, epochs=1, sampler="inverse_frequency"), tmp_path)
    assert read_journal(tmp_path / "journal.csv")[0]["sampler"] == "inverse_frequency"
    assert json.loads((tmp_path / "run.json").read_text())["sampler"] == "inverse_frequency"


def test_class_counts_reach_the_loss_that_asks_for_them(tmp_path, no_export):
    trained(replace(train_with(TINY, epochs=1), loss=CrossEntropy(class_weight="inverse")), tmp_path)
    assert read_run(tmp_path / "run.json").loss.class_counts == ()


@pytest.mark.parametrize(("fields", "device"), [({"monitor": "nonsense"}, "cpu"), ({}, "nonsense")])
def test_unknown_names_are_told(tmp_path, no_export, fields, device):
    with pytest.raises(ConfigError, match="nonsense"):
        fit(train_with(TINY, epochs=1, **fields), out=tmp_path, device=device, progress=False)


def test_landmarks_are_learnt_and_the_smallest_error_is_kept(tmp_path, no_export):
    run = find("landmarks_synthetic_tiny")
    trained(replace(run, data=replace(run.data, limit=16)), tmp_path)
    rows = read_journal(tmp_path / "journal.csv")
    errors = [float(row["select_nme"]) for row in rows]
    best = max(i for i, row in enumerate(rows) if row["best"] == "1")
    assert errors[best] == min(errors)
    assert "temperature" not in no_export["task"].to_json()


def test_own_pictures_start_from_a_bundle_with_a_new_head(tmp_path, finished):
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    for name, level in (("awake", 60), ("asleep", 190)):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for i in range(12):
            image = np.clip(rng.normal(level, 20, (48, 48, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "mine" / name / f"{i}.png"), image)
    start = finished / "bundle"
    base = find("product_cross_small_folder")
    run = replace(base, model=TINY.model, prior=None, init=str(start), crop="whole")
    run = train_with(run, epochs=12, batch_size=8, precision="32-true", optimizer=Optimizer(lr=3e-3))
    bundle = find_bundle(fit(run, root=tmp_path / "mine", out=tmp_path / "own", device="cpu", progress=False))
    assert bundle.labels is not None
    assert bundle.labels.names == ("asleep", "awake")
    assert bundle.weights()["head.weight"].shape[0] == 2
    rows = read_journal(tmp_path / "own" / "journal.csv")
    assert max(float(row["select_accuracy"]) for row in rows) == 1.0
    with pytest.raises(BundleError, match="product_cross_small"):
        fit(
            replace(find("landmarks_synthetic_tiny"), init=str(start)), out=tmp_path / "a", device="cpu", progress=False
        )
    other = replace(run, model=replace(TINY.model, colour="grey"))
    with pytest.raises(BundleError, match="colour"):
        fit(other, root=tmp_path / "mine", out=tmp_path / "b", device="cpu", progress=False)


def test_one_part_is_taken_from_a_bundle_of_other_classes(finished):
    start = find_bundle(finished / "bundle")
    run = replace(TINY, weights=(("image", str(start.path)),))
    network = build_model(run, BASIC_7.subset(("anger", "fear")))
    kept = {name: torch.from_numpy(tensor).float() for name, tensor in start.weights().items()}
    own = network.state_dict()
    image = [name for name in own if name.startswith("image.") and not name.endswith("num_batches_tracked")]
    assert all(torch.equal(own[name], kept[name]) for name in image)
    assert not torch.equal(own["fusion_tokens.cls_token"], kept["fusion_tokens.cls_token"])
    with pytest.raises(BundleError, match=r"cannot fill 'head': 2 of its 2 tensors .* head\.weight"):
        build_model(replace(TINY, weights=(("head", str(start.path)),)), BASIC_7.subset(("anger", "fear")))


def test_a_dataset_without_a_usable_sample_is_told(tmp_path, no_export):
    from mien.schema.errors import DatasetError

    run = replace(TINY, data=DataConfig(reader="folder"))
    with pytest.raises(DatasetError):
        fit(run, root=tmp_path, out=tmp_path / "out", device="cpu", progress=False)
