"""Every recipe for tests learns eight samples by heart."""

from dataclasses import replace

import pytest

from mien.data.augment import Augment
from mien.engine import fit as module
from mien.engine.journal import read_journal
from mien.engine.optim import Schedule
from mien.recipes import RECIPES, find


@pytest.mark.parametrize("name", [name for name in RECIPES if name.endswith("_tiny")])
def test_eight_samples_are_learnt_by_heart(name, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "export", lambda *arguments: tmp_path)
    run = find(name)
    rate, epochs = (1e-2, 120) if run.task == "landmarks" else (5e-3, 60)
    data = replace(run.data, valid_splits=("train",), halve_valid=False, limit=8)
    train = replace(
        run.train,
        epochs=epochs,
        batch_size=8,
        optimizer=replace(run.train.optimizer, lr=rate, weight_decay=0.0),
        schedule=Schedule(name="cosine", warm_up=0.1),
        ema_decay=0.0,
    )
    module.fit(replace(run, data=data, train=train, augment=Augment()), out=tmp_path, device="cpu", progress=False)
    last = read_journal(tmp_path / "journal.csv")[-1]
    if run.task == "landmarks":
        assert float(last["select_nme"]) < 0.05
    else:
        assert float(last["select_accuracy"]) > 0.95
