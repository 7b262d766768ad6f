"""The runs of Keypoint-Graph: the settings of the paper, its tables, and a step of every row."""

from dataclasses import replace

import pytest
import torch

from mien.models.keypoint_graph import Config
from mien.recipes import find, rows_of
from mien.recipes.keypoint_graph import FERV39K_ROWS, FOLDED_ROWS, ROWS
from mien.schema.labels import LABEL_SETS

PAPER = ("keypoint_graph_dfew", "keypoint_graph_ferv39k", "keypoint_graph_mafw")


@pytest.mark.parametrize("name", PAPER)
def test_the_settings_of_the_paper(name: str) -> None:
    run = find(name)
    optimizer, schedule = run.train.optimizer, run.train.schedule
    assert (optimizer.name, optimizer.lr, optimizer.betas, optimizer.weight_decay) == ("adam", 1e-3, (0.9, 0.99), 0.0)
    assert (run.train.epochs, run.train.batch_size, run.loss.share) == (80, 64, 0.2)
    rates = [schedule.factor(epoch / 80, epoch) for epoch in (0, 39, 40, 59, 60, 79)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert (run.augment.flip, run.augment.crop_area) == (0.5, (0.5, 1.0))
    assert (run.train.sampler, run.loss.class_weight, run.loss.logit_adjustment) == ("shuffled", "none", 0.0)
    assert run.model == Config()


def test_what_each_dataset_is_tested_on() -> None:
    assert find("keypoint_graph_dfew").data.fold == find("keypoint_graph_mafw").data.fold == 1
    assert [find(f"keypoint_graph_dfew_fold_{k}").data.fold for k in range(1, 6)] == [1, 2, 3, 4, 5]
    assert find("keypoint_graph_ferv39k").data.valid_splits == ("test",)
    afew = find("keypoint_graph_afew")
    assert (afew.train.epochs, afew.train.optimizer.lr, afew.data.label_set) == (20, 1e-4, "dfew")


def test_rows_are_the_paper_tables() -> None:
    tables = {name.partition("_")[0] for name in ROWS}
    assert {"t9", "t10", "t11", "t12", "fig8"} <= tables
    assert [find(f"keypoint_graph_dfew_t11_{heads}").model.heads for heads in (6, 8, 10, 12)] == [6, 8, 10, 12]
    assert [find(f"keypoint_graph_dfew_t12_{depth}").model.depth for depth in range(2, 7)] == [2, 3, 4, 5, 6]
    assert [find(f"keypoint_graph_dfew_fig8_0.{n}").loss.share for n in range(6)] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    base = replace(find("keypoint_graph_dfew"), name="")
    for row in ("t9_e", "t10_region", "t11_8", "t12_3", "fig8_0.2", "fold_1"):
        assert replace(find(f"keypoint_graph_dfew_{row}"), name="") == base
    assert len([name for name in FERV39K_ROWS if name.startswith("t6_")]) == 9
    assert rows_of("keypoint_graph_mafw") == FOLDED_ROWS


@pytest.mark.parametrize("row", sorted(ROWS))
def test_every_row_can_take_a_step(row: str) -> None:
    run = find(f"keypoint_graph_dfew_{row}")
    tiny = Config.tiny()
    small = {
        name: getattr(tiny, name) for name in ("size_px", "segments", "widths", "units", "node_width", "mlp_width")
    }
    shrunk = replace(run.model, head_width=4, **small)
    torch.manual_seed(0)
    labels = LABEL_SETS["dfew"]
    network = shrunk.build(labels).train()
    optimizer = run.train.optimizer.build(network)
    loss = replace(run.loss, class_counts=(10.0,) * 7).build(labels)
    batch = {
        "clip": torch.randn(3, shrunk.n_frames, 3, 48, 48),
        "landmarks": 48 * torch.rand(3, shrunk.n_frames, 68, 2),
    }
    targets = {"label": torch.tensor([0, 3, 6]), "distribution": torch.eye(7)[[0, 3, 6]]}
    before = [parameter.detach().clone() for parameter in network.parameters()]
    total = loss(network(**batch), targets)["loss"]
    total.backward()
    optimizer.step()
    assert torch.isfinite(total)
    moved = [not torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True)]
    assert sum(moved) > 0.5 * len(moved)
