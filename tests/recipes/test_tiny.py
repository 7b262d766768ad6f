"""Every recipe for tests learns eight samples by heart."""

from dataclasses import replace

import pytest

from mien.data.augment import Augment
from mien.data.scene_augment import SceneAugment
from mien.engine import fit as module
from mien.engine.journal import read_journal
from mien.engine.optim import Schedule
from mien.recipes import RECIPES, find

VARIATIONS = ("flip", "mosaic", "mixup", "photometric", "zoom_out", "iou_crop")


def judge_at_the_ends(monkeypatch):
    """Average precision takes longer than a step: only the first and the last epoch are judged."""
    judge = module.evaluate
    known: dict[str, float] = {}

    def judged(state, size_px):
        if not known or state.pace.left() == 1:
            known.update(judge(state, size_px))
        return known

    monkeypatch.setattr(module, "evaluate", judged)


NEED_FILES = ("reaction_synthetic_tiny", "frame_ensemble_aff_wild2_tiny")
"""Recipes that read what lies on the disk: features, or a tree of frames."""


@pytest.mark.parametrize("name", [name for name in RECIPES if name.endswith("_tiny") and name not in NEED_FILES])
def test_eight_samples_are_learnt_by_heart(name, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "export", lambda *arguments: tmp_path)
    run = find(name)
    if run.task == "detect":
        judge_at_the_ends(monkeypatch)
    rate, epochs = {"landmarks": (1e-2, 120), "classify": (5e-3, 60), "detect": (1e-2, 200)}[run.task]
    still = SceneAugment(**dict.fromkeys(VARIATIONS, 0.0)) if run.task == "detect" else Augment()
    data = replace(run.data, valid_splits=("train",), halve_valid=False, limit=8)
    train = replace(
        run.train,
        epochs=epochs,
        batch_size=8,
        optimizer=replace(run.train.optimizer, lr=rate, weight_decay=0.0),
        schedule=Schedule(name="cosine", warm_up=0.1),
        ema_decay=0.0,
    )
    module.fit(replace(run, data=data, train=train, augment=still), out=tmp_path, device="cpu", progress=False)
    last = read_journal(tmp_path / "journal.csv")[-1]
    if run.task == "landmarks":
        assert float(last["select_nme"]) < 0.05
    elif run.task == "detect":
        assert float(last["select_map50"]) > 0.95
    else:
        assert float(last["select_accuracy"]) > 0.95
