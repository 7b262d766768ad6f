"""The runs of Reaction and POSTER++: settings of the papers, a step of every row of Tables 1 and 2."""

from dataclasses import replace

import pytest
import torch

from mien.models.poster_v2 import Config as PosterConfig
from mien.models.reaction import Config
from mien.recipes import find
from mien.recipes.reaction import FRAME_ROWS, ROWS
from mien.recipes.reference import reported
from mien.schema.labels import LABEL_SETS

TINY = {
    name: getattr(Config.tiny(), name)
    for name in ("sound_width", "face_width", "steps", "width", "levels", "head_width", "joint_heads", "projection")
}


def test_the_settings_of_the_paper() -> None:
    run = find("reaction_hume_reaction")
    train, optimizer = run.train, run.train.optimizer
    assert (optimizer.name, optimizer.lr, optimizer.weight_decay) == ("adam", 1e-4, 1e-3)
    assert (train.batch_size, train.epochs, train.patience, train.monitor) == (256, 100, 15, "pearson")
    assert (train.clip_norm, train.ema_decay, train.schedule.name) == (0.1, 0.99, "none")
    assert (run.task, run.loss.alpha, run.loss.beta, run.model) == ("regress", 1.0, 0.01, Config())
    frames = find("frame_ensemble_aff_wild2")
    assert (frames.train.batch_size, frames.train.epochs, frames.train.optimizer.weight_decay) == (16, 30, 5e-5)
    schedule, fixed = frames.train.schedule, find("frame_ensemble_aff_wild2_multistep").train.schedule
    assert (schedule.name, frames.train.monitor, frames.train.monitor_mode) == ("plateau", "macro_f1", "max")
    assert [schedule.factor(epoch / 30, epoch) for epoch in (0, 5)] == pytest.approx([0.1, 1.0])
    assert [fixed.factor(epoch / 30, epoch) for epoch in (0, 5, 17, 18, 25, 26)] == pytest.approx(
        [0.1, 1.0, 1.0, 0.1, 0.1, 0.01]
    )
    assert set(FRAME_ROWS) >= {"t4_regnet", "t4_irv1_1", "t4_irv1_2", "t4_ensemble"}


def test_the_settings_of_poster_v2() -> None:
    run = find("poster_v2_raf_db")
    assert (run.train.optimizer.lr, run.train.sam_rho, run.train.batch_size) == (3.5e-5, 0.05, 144)
    assert (run.train.schedule.gamma, run.train.epochs, run.model) == (0.98, 200, PosterConfig())
    assert find("poster_v2_affectnet_8").data.label_set == "affectnet_8"
    assert find("poster_v2_joint_affectnet_7").model.feature_width == 1536


@pytest.mark.parametrize("row", sorted(ROWS))
def test_every_row_can_take_a_step(row: str) -> None:
    run, labels = find(f"reaction_hume_reaction_{row}"), LABEL_SETS["hume_reaction"]
    torch.manual_seed(0)
    model = replace(run.model, **TINY)
    network = model.build(labels).train()
    optimizer = run.train.optimizer.build(network)
    before = network.intensity.weight.detach().clone()
    inputs = {name: torch.randn(3, *spec.shape) for name, spec in model.inputs().items()}
    parts = run.loss.build(labels)(network(**inputs), {"intensity": torch.eye(7)[:3]})
    parts["loss"].backward()
    optimizer.step()
    assert torch.isfinite(parts["loss"])
    assert not torch.equal(network.intensity.weight, before)


def test_what_the_paper_reports() -> None:
    assert [row["value"] for row in reported("reaction", "hume_reaction")] == [0.4394]
    assert [row["value"] for row in reported("frame_ensemble", "aff_wild2")] == [0.346]
