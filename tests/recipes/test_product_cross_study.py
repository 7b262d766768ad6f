"""The study of the small network on FERPlus: its rows are questions of their own, and its runs are what they say."""

from dataclasses import replace

import pytest
import torch

from mien.losses.distillation import Distillation
from mien.losses.two_views import TwoViews
from mien.recipes import find, product_cross, rows_of
from mien.recipes.product_cross import STRONG_AUGMENT
from mien.recipes.product_cross_study import ROWS, STUDY
from mien.schema.labels import FERPLUS

BASE = "product_cross_small_ferplus"


def test_the_rows_of_the_paper_stay_and_none_is_asked_twice():
    assert rows_of(BASE) == ROWS
    assert not STUDY.keys() & product_cross.ROWS.keys()
    assert all(name.startswith("study_") for name in STUDY)
    asked = [tuple(sorted(changes.items(), key=lambda one: one[0])) for changes in ROWS.values()]
    new = asked[len(product_cross.ROWS) :]
    assert len(set(map(repr, new))) == len(STUDY)
    assert not {repr(one) for one in new} & {repr(one) for one in asked[: len(product_cross.ROWS)]}


@pytest.mark.parametrize("row", sorted(STUDY))
def test_a_row_changes_something_and_ends_at_the_size_that_is_exported(row):
    base, run = find(BASE), find(f"{BASE}_{row}")
    assert replace(run, name="") != replace(base, name="")
    for path, value in STUDY[row].items():
        before = base
        for name in path.split("."):
            before = getattr(before, name)
        if row != "study_strong":
            assert value != before, path
    if run.train.sizes:
        assert run.train.sizes[-1][1] == run.model.size_px


def test_the_strong_row_is_the_strong_augmentation():
    assert find(f"{BASE}_study_strong").augment == STRONG_AUGMENT


@pytest.mark.parametrize("row", sorted(name for name in STUDY if set(STUDY[name]) & {"added", "loss.smoothing"}))
def test_rows_with_another_loss_can_take_a_step(row):
    run = find(f"{BASE}_{row}")
    torch.manual_seed(0)
    network = run.model.tiny().build(FERPLUS).train()
    label = torch.arange(6)
    targets = {
        "label": label,
        "index": label,
        "distribution": torch.eye(8)[label],
        "teacher": torch.full((6, 8), 0.125),
    }
    added = [replace(one, samples=6) if hasattr(one, "samples") else one for one in run.added]
    outputs = network(torch.randn(6, 3, 32, 32))
    sum(loss.build(FERPLUS)(outputs, targets)["loss"] for loss in (run.loss, *added)).backward()
    assert torch.isfinite(network.head.weight.grad).all()
    assert network.head.weight.grad.any()


def test_long_runs_start_from_what_ships_and_choose_nothing():
    long, student = find(f"{BASE}_long"), find(f"{BASE}_student")
    assert long.init == "product_cross_small"
    assert long.model.inputs() == find(BASE).model.inputs(), "else the shipped weights could not be taken"
    assert (long.train.keep, long.train.time_limit_min) == ("last", 150.0)
    assert long.train.sizes[-1][1] == 64
    assert (student.model.crop, student.model.source_px) == ("face_v2", None)
    same = replace(student, name=long.name, added=(), model=long.model, augment=long.augment, train=long.train)
    assert same == long
    assert (student.train.keep, student.train.sizes) == ("last", ())
    assert student.augment.cover > long.augment.cover == 0
    assert (student.augment.mixup, student.augment.cutmix, student.augment.mix) == (0.3, 1.0, 0.5)
    blend = find(f"{BASE}_blend")
    assert replace(blend, name=student.name, train=student.train) == student
    assert blend.train.epochs == 1
    assert isinstance(student.added[0], Distillation)
    assert student.teacher is None, "which teacher is the user's to say"


def test_features_are_learnt_from_two_views_that_are_not_mixed():
    run = find(f"{BASE}_pretrain")
    assert isinstance(run.loss, TwoViews)
    assert run.train.sampler == "paired"
    assert run.train.batch_size % 2 == 0
    assert not run.augment.mixup
    assert not run.augment.cutmix
    assert replace(run.model, drop=0.1) == find(BASE).model
