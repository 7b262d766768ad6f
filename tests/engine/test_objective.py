"""What a run minimises when losses are added to it: their sum, their memories, a teacher's answers; whole tiny runs."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mien.data.readers import read_dataset
from mien.data.splits import data_fingerprint
from mien.data.teacher import Teacher, TeacherHead, read_teacher, write_teacher
from mien.engine import checkpoint
from mien.engine import fit as module
from mien.engine.fit import fit
from mien.engine.journal import read_journal
from mien.engine.live_teacher import LiveTeacher
from mien.engine.objective import Sum, objective
from mien.engine.run import Run, override
from mien.engine.state import save_state
from mien.losses.coarse_fine import CoarseFine
from mien.losses.cross_entropy import CrossEntropy
from mien.losses.distillation import Distillation
from mien.losses.early_learning import EarlyLearning
from mien.losses.two_views import TwoViews
from mien.recipes import find
from mien.runtime.bundle import find_bundle
from mien.schema.errors import ConfigError, DatasetError
from mien.schema.labels import BASIC_7

TINY = find("product_cross_small_synthetic_tiny")
TINY = replace(TINY, data=replace(TINY.data, limit=24), train=replace(TINY.train, batch_size=8, epochs=2))
SOFT = replace(TINY.loss, target="distribution")


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "export", lambda run, network, labels, task, record, samples, out: out / "bundle")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher that is right nine times out of ten about every drawn face, and surer about the mirrored ones."""
    samples = read_dataset("synthetic", None)
    chosen = [sample for sample in samples if sample.split == "train"]
    truth = np.array([BASIC_7.index(str(sample.targets.label)) for sample in chosen])
    views = [((1 - sure) / 6 + (sure - (1 - sure) / 6) * np.eye(7)[truth]).astype(np.float32) for sure in (0.9, 0.95)]
    head = TeacherHead(
        labels=BASIC_7.names,
        bundles=("wise@" + "c" * 64,),
        dataset="synthetic",
        split="train",
        fingerprint=data_fingerprint(samples),
        crop="face",
        mien="0",
    )
    keys = tuple(sample.key for sample in chosen)
    path = tmp_path_factory.mktemp("teacher") / "answers.npz"
    write_teacher(Teacher(head=head, keys=keys, probabilities=views[0], mirrored=views[1]), path)
    return path


def material(count: int = 24) -> Any:
    items = [SimpleNamespace(index=number % 7) for number in range(count)]
    return SimpleNamespace(splits=SimpleNamespace(labels=BASIC_7), train=SimpleNamespace(items=items))


def trained(run: Run, out: Path, **options: Any) -> dict[str, torch.Tensor]:
    fit(run, out=out, device="cpu", progress=False, **options)
    return checkpoint.load(out / "last.safetensors")[0]


def batch() -> tuple[Any, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    outputs = SimpleNamespace(logits=torch.randn(6, 7, requires_grad=True), feature=torch.randn(6, 4))
    label = torch.arange(6)
    targets = {"label": label, "distribution": torch.eye(7)[label], "index": label, "teacher": torch.rand(6, 7)}
    targets["teacher"] /= targets["teacher"].sum(1, keepdim=True)
    return outputs, targets


# Sums


def test_without_additions_it_is_the_loss_itself() -> None:
    found = objective(replace(TINY, loss=CoarseFine(mode="confusion")), material())
    assert type(found).__name__ == "CoarseFineLoss", "the checkpoints of older runs keep their names"


def test_a_teacher_takes_the_place_of_its_share_and_others_are_added() -> None:
    outputs, targets = batch()
    taught, held = Distillation(weight=0.4), EarlyLearning(weight=2.0)
    found = objective(replace(TINY, added=(taught, held)), material())(outputs, targets)
    own = TINY.loss.build(BASIC_7)(outputs, targets)
    distilled = taught.build(BASIC_7)(outputs, targets)["loss"]
    early = replace(held, samples=24).build(BASIC_7)(outputs, targets)["loss"]
    torch.testing.assert_close(found["loss"], 0.6 * own["loss"] + distilled + early)
    torch.testing.assert_close(found["own"], own["loss"].detach())
    assert {"cross_entropy", "anchor", "neutral", "distillation", "early_learning"} <= found.keys()
    assert [name for name, value in found.items() if value.requires_grad] == ["loss"]


def test_the_memories_of_all_of_them_make_the_round_trip() -> None:
    outputs, targets = batch()
    run = replace(TINY, loss=CoarseFine(mode="confusion"), added=(EarlyLearning(), CoarseFine(mode="confusion")))
    first, second = objective(run, material()), objective(run, material())
    assert isinstance(first, Sum)
    first(outputs, targets)
    first.end_epoch()
    state = first.state_dict()
    assert state.keys() == {"0.penalties", "0.counts", "1.memory", "2.penalties", "2.counts"}
    assert state["1.memory"].shape == (24, 7)
    second.load_state_dict(state)
    for each in (first, second):
        each(outputs, targets)
        each.end_epoch()
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


def test_counts_of_classes_reach_an_added_loss() -> None:
    outputs, targets = batch()
    added = CrossEntropy(class_weight="inverse")
    found = objective(replace(TINY, added=(added,)), material())(outputs, targets)
    counts = tuple(float(4 if number < 3 else 3) for number in range(7))
    wanted = replace(added, class_counts=counts).build(BASIC_7)(outputs, targets)["loss"]
    torch.testing.assert_close(found["loss"], found["own"] + wanted)


# Whole runs


@pytest.mark.parametrize("kind", ["early", "taught"])
def test_a_run_with_additions_is_resumed_with_the_same_bits(kind, tmp_path, no_export, monkeypatch, answers) -> None:
    early = replace(TINY, added=(EarlyLearning(weight=1.0),))
    mixed = replace(TINY.augment, mixup=0.3, cutmix=1.0, mix=0.5)
    taught = replace(TINY, loss=SOFT, added=(Distillation(),), teacher=str(answers), augment=mixed)
    run = {"early": early, "taught": taught}[kind]
    whole = trained(run, tmp_path / "whole")

    def killed(state, path):
        save_state(state, path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "save_state", killed)
        with pytest.raises(KeyboardInterrupt):
            trained(run, tmp_path / "killed")
    resumed = trained(run, tmp_path / "killed", resume=True)
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(tensor, whole[name]) for name, tensor in resumed.items())
    if kind == "early":
        assert whole["loss.1.memory"].shape == (24, 7)
        assert (whole["loss.1.memory"].sum(1) > 0).all()


def test_a_student_is_taught_and_its_record_says_by_whom(tmp_path, no_export, answers) -> None:
    run = replace(TINY, loss=SOFT, added=(Distillation(weight=0.8),), teacher=str(answers))
    plain = trained(replace(TINY, loss=SOFT), tmp_path / "plain")
    taught = trained(run, tmp_path / "taught")
    assert not torch.equal(plain["model.head.weight"], taught["model.head.weight"])
    record = json.loads((tmp_path / "taught" / "run.json").read_text())
    assert record["data"]["teacher"] == {
        "bundles": ["wise@cccccccccccc"],
        "views": 2,
        "fingerprint": read_teacher(answers).fingerprint,
    }
    assert "teacher" not in json.loads((tmp_path / "plain" / "run.json").read_text())["data"]
    rows = read_journal(tmp_path / "taught" / "journal.csv")
    assert {"train_loss", "train_own", "train_distillation", "train_anchor"} <= rows[0].keys()
    assert all(float(row["train_distillation"]) > 0 for row in rows)


@pytest.fixture(scope="module")
def wise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a tiny run of an epoch."""
    run = replace(TINY, train=replace(TINY.train, epochs=1))
    return fit(run, out=tmp_path_factory.mktemp("wise") / "run", device="cpu", progress=False)


def test_bundles_may_teach_in_place_of_a_file(tmp_path, wise, monkeypatch) -> None:
    monkeypatch.setattr(module, "export", lambda *_: tmp_path)
    run = replace(TINY, loss=SOFT, added=(Distillation(weight=0.8),), teachers=(str(wise), str(wise)))
    taught = trained(run, tmp_path / "taught")
    plain = trained(replace(TINY, loss=SOFT), tmp_path / "plain")
    assert not torch.equal(plain["model.head.weight"], taught["model.head.weight"])
    record = json.loads((tmp_path / "taught" / "run.json").read_text())
    bundle = find_bundle(wise)
    assert record["data"]["teacher"] == {"bundles": [f"{bundle.name}@{bundle.hash12}"] * 2}
    rows = read_journal(tmp_path / "taught" / "journal.csv")
    assert all(float(row["train_distillation"]) > 0 for row in rows)
    with pytest.raises(ConfigError, match="not from both"):
        replace(run, teacher="answers.npz")
    with pytest.raises(ConfigError, match=r"No loss of .* learns from the teacher"):
        trained(replace(run, added=()), tmp_path / "other")


def test_a_teacher_that_looks_on_is_asked_once_a_batch_also_where_a_step_looks_twice(
    tmp_path, wise, monkeypatch, no_export
) -> None:
    asked: list[int] = []
    answer = LiveTeacher.__call__

    def counted(self: LiveTeacher, batch: Any) -> torch.Tensor:
        asked.append(len(batch["label"]))
        return answer(self, batch)

    monkeypatch.setattr(LiveTeacher, "__call__", counted)
    run = replace(TINY, loss=SOFT, added=(Distillation(weight=0.8),), teachers=(str(wise),))
    for number, changes in enumerate(({}, {"sam_rho": 0.05})):
        asked.clear()
        fit(replace(run, train=replace(run.train, epochs=1, **changes)), out=tmp_path / str(number), progress=False)
        assert asked == [8, 8, 8]


def test_what_a_teacher_cannot_do_is_told_before_the_training(tmp_path, no_export, answers) -> None:
    run = replace(TINY, loss=SOFT, added=(Distillation(),), teacher=str(answers))
    with pytest.raises(ConfigError, match=r"name the file of its answers as teacher.*mien\.deploy\.teach"):
        trained(replace(run, teacher=None), tmp_path / "a")
    with pytest.raises(ConfigError, match=r"No loss of .* learns from the teacher"):
        trained(replace(run, added=()), tmp_path / "b")
    with pytest.raises(DatasetError, match="same order"):
        trained(replace(run, data=replace(run.data, labels=("neutral", "anger"))), tmp_path / "c")
    teacher = read_teacher(answers)
    less = replace(teacher, keys=tuple(f"other{number}" for number in range(len(teacher.keys))))
    write_teacher(less, tmp_path / "less.npz")
    with pytest.raises(DatasetError, match="no answer for 24 of 24 training samples"):
        trained(replace(run, teacher=str(tmp_path / "less.npz")), tmp_path / "d")
    clips = find("keypoint_graph_synthetic_tiny")
    with pytest.raises(ConfigError, match="single faces"):
        trained(replace(clips, added=(Distillation(),), teacher=str(answers)), tmp_path / "e")


def test_faces_that_are_known_one_by_one_are_not_mixed() -> None:
    mixed = replace(TINY.augment, mixup=0.3)
    with pytest.raises(ConfigError, match="EarlyLearning knows each face"):
        replace(TINY, loss=SOFT, added=(EarlyLearning(),), augment=mixed)
    with pytest.raises(ConfigError, match="TwoViews knows each face"):
        replace(TINY, loss=TwoViews(), augment=mixed)
    with pytest.raises(ConfigError, match=r"added takes configurations of losses.*given: 'early_learning'"):
        replace(TINY, added=("early_learning",))
    text = '[{"type": "mien.losses.early_learning:EarlyLearning", "weight": 1.5}]'
    assert override(TINY, "added", text).added == (EarlyLearning(weight=1.5),)


def test_two_views_train_a_network_that_another_run_starts_from(tmp_path, answers) -> None:
    train = replace(TINY.train, sampler="paired", keep="last", batch_size=12, monitor="accuracy")
    run = replace(TINY, loss=TwoViews(), train=train)
    bundle = fit(run, out=tmp_path / "views", device="cpu", progress=False)
    rows = read_journal(tmp_path / "views" / "journal.csv")
    assert {"train_invariance", "train_variance", "train_covariance"} <= rows[0].keys()
    start = checkpoint.load(tmp_path / "views" / "best.safetensors")[0]
    torch.manual_seed(TINY.seed)
    fresh = TINY.model.build(BASIC_7).state_dict()
    assert not torch.equal(start[_first_weight(start)], fresh[_first_weight(start)])
    assert torch.equal(start["head.weight"], fresh["head.weight"]), "nothing was learnt about classes"
    assert fit(replace(TINY, init=str(bundle)), out=tmp_path / "classes", device="cpu", progress=False).is_dir()


def _first_weight(tensors: dict[str, torch.Tensor]) -> str:
    return next(
        name for name in tensors if name.startswith("image.") and name.endswith("weight") and tensors[name].ndim == 4
    )
