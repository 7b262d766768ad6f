"""The runs of Natten-Deim: the settings of the paper and of DEIM, the ablations, and a step of every row."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from mien.engine.run import Run
from mien.engine.start import build_model, take_part
from mien.models.natten_deim import Config
from mien.recipes import find, rows_of
from mien.recipes.natten_deim import BOX_ROWS, RAF_DB_BOX_ROWS, RAF_DB_ROWS, ROWS, THAW
from mien.runtime.bundle import Bundle
from mien.schema.labels import BASIC_7, FERPLUS, RAF_DB

CLASSIFIERS = ("natten_deim_raf_db", "natten_deim_ferplus", "natten_deim_small_ferplus")
DETECTORS = ("natten_deim_raf_db_boxes", "natten_deim_ferplus_scenes", "natten_deim_small_ferplus_scenes")


def shrunk(run: Run) -> Run:
    """The same run with a network for tests, as far as the row leaves it open."""
    tiny = Config.tiny_detector() if run.task == "detect" else Config.tiny()
    names = ("size_px", "prior_px", "prior_width", "prior_depths", "prior_head_width", "head_width", "width", "layers")
    small: dict[str, Any] = {name: getattr(tiny, name) for name in names}
    if run.model.ebb == "b0":
        small["ebb"] = "tiny"
    else:
        small["reduce_first"] = True
    model = replace(run.model, **small, queries=min(12, run.model.queries))
    return replace(run, model=model, prior=None)


def batch_of(run: Run) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Three pictures of noise, and what is said of them."""
    image = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    if run.task == "detect":
        boxes = torch.tensor([[[0.4, 0.5, 0.3, 0.4], [0.8, 0.3, 0.2, 0.2]]]).expand(3, -1, -1)
        labels = torch.tensor([[0, 3], [6, -1], [2, 1]])
        return {"image": image}, {"boxes": boxes, "box_labels": labels, "box_weights": (labels >= 0).float()}
    labels = torch.tensor([0, 3, 6])
    return {"image": image}, {"label": labels, "distribution": torch.eye(7)[labels]}


def test_the_classifier_has_the_settings_of_the_paper() -> None:
    run = find("natten_deim_raf_db")
    optimizer, schedule, data = run.train.optimizer, run.train.schedule, run.data
    assert (optimizer.name, optimizer.momentum, optimizer.weight_decay, optimizer.lr) == ("sgd", 0.9, 1e-4, 1e-3)
    rates = [schedule.factor(epoch / 200, epoch) for epoch in (0, 119, 120, 159, 160, 199)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert (run.train.epochs, run.train.batch_size, run.train.unfreeze) == (200, 256, (("landmark", 0.6),))
    assert (data.reader, data.valid_ratio, data.halve_valid) == ("raf_db", 0.1, False)
    assert run.model == Config(freeze_landmark=False)
    assert run.prior == "landmarks"
    assert find("natten_deim_raf_db_all_of_train").data.valid_splits == ("test",)


def test_the_detector_has_the_settings_of_deim() -> None:
    run = find("natten_deim_raf_db_boxes")
    optimizer, train = run.train.optimizer, run.train
    assert (optimizer.name, optimizer.lr, optimizer.weight_decay) == ("adamw", 4e-4, 1e-4)
    assert optimizer.lr_ratios == (("trunk", 0.5),)
    assert (train.epochs, train.batch_size, train.clip_norm, train.ema_decay) == (132, 32, 0.1, 0.9999)
    rates = [train.schedule.factor(share, 0) for share in (0.022, 0.044, 0.5, 1.0)]
    assert rates == pytest.approx([0.25, 1, 1, 0.5])
    assert (run.augment.mosaic, run.augment.mixup, run.augment.mix_from) == (0.5, 0.5, 0.03)
    assert (run.augment.mosaic_until, run.augment.mixup_until) == (0.5, 0.5)
    assert (run.loss.classification, run.loss.gamma, run.loss.l1_weight, run.loss.giou_weight) == ("mal", 1.5, 5, 2)
    assert (run.data.reader, run.data.valid_ratio, run.train.monitor) == ("raf_db_original", 0.1, "map50")
    assert run.model == Config(head="det", freeze_landmark=False)
    aligned = find("natten_deim_raf_db_boxes_aligned")
    assert (aligned.data.reader, aligned.model.size_px) == ("raf_db", 224)


def test_what_each_recipe_has_rows_for() -> None:
    assert rows_of("natten_deim_raf_db") == RAF_DB_ROWS
    assert rows_of("natten_deim_raf_db_boxes") == RAF_DB_BOX_ROWS
    assert rows_of("natten_deim_small_ferplus") == ROWS
    assert rows_of("natten_deim_small_ferplus_scenes") == BOX_ROWS
    assert {"baseline", "vfl", "no_mosaic", "denoising"}.isdisjoint(ROWS)
    assert {"scale_8", "scale_16", "scale_32"}.isdisjoint(BOX_ROWS)
    base = replace(find("natten_deim_raf_db"), name="")
    for row in ("heads_8", "lpb_late"):
        assert replace(find(f"natten_deim_raf_db_{row}"), name="") == base


@pytest.mark.parametrize("base", [*CLASSIFIERS, *DETECTORS])
def test_every_row_is_a_network_that_can_be_built(base: str) -> None:
    labels = FERPLUS if base.endswith("ferplus") else RAF_DB
    for row in rows_of(base):
        network = build_model(shrunk(find(f"{base}_{row}")), labels)
        assert (network.landmark is None) == (row in ("lpb_off", "dfpm_off", "baseline")), row


ROWS_OF_BASES = [
    *(("natten_deim_raf_db", row) for row in sorted(RAF_DB_ROWS)),
    *(("natten_deim_raf_db_boxes", row) for row in sorted(RAF_DB_BOX_ROWS.keys() - ROWS.keys())),
    *(("natten_deim_raf_db_boxes", row) for row in ("lpb_off", "lpb_trainable", "natten_global", "mha_off")),
]


@pytest.mark.parametrize(("base", "row"), ROWS_OF_BASES)
def test_every_row_can_take_a_step(base: str, row: str) -> None:
    run = shrunk(find(f"{base}_{row}"))
    inputs, targets = batch_of(run)
    torch.manual_seed(0)
    network = build_model(run, RAF_DB).train()
    optimizer = run.train.optimizer.build(network)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    read = {name: targets[name] for name in getattr(network, "reads_targets", ())}
    assert bool(read) == (row == "denoising")
    parts = run.loss.build(RAF_DB)(network(**inputs, **read), targets)
    parts["loss"].backward()
    optimizer.step()
    assert torch.isfinite(parts["loss"])
    assert ("denoise" in parts) == (row == "denoising")
    moved = sum(not torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))
    resting = network.frozen_parameters() | network.still_parameters() | network.unused_parameters()
    assert moved > 0.8 * (len(before) - len(resting))


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("natten_deim_small_ferplus", "natten_deim_small_ferplus_scenes"),
        ("natten_deim_ferplus", "natten_deim_ferplus_scenes"),
    ],
)
def test_a_detector_takes_over_the_parts_of_a_classifier(base: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, detector = (replace(find(one).model, prior_width=8, prior_depths=(1, 1, 1)) for one in (base, name))
    torch.manual_seed(0)
    start, network = classifier.build(FERPLUS), detector.build(BASIC_7)
    monkeypatch.setattr("mien.engine.start.weights_of", lambda _: dict(start.state_dict()))
    bundle = Bundle.__new__(Bundle)
    for part in ("trunk", "scales", "fuse", "attention"):
        take_part(network, part, bundle)
        own, given = (one.get_submodule(part).state_dict() for one in (network, start))
        assert all(torch.equal(own[key], given[key]) for key in given)


def test_small_runs_have_a_clock_and_a_small_network() -> None:
    faces, scenes = find("natten_deim_small_ferplus"), find("natten_deim_small_ferplus_scenes")
    assert (faces.train.time_limit_min, scenes.train.time_limit_min) == (40.0, 110.0)
    assert scenes.model == Config.small()
    assert (faces.model.colour, faces.model.source_px, faces.data.train_rule) == ("grey", 48, "votes")
    assert (scenes.augment.zoom_out_most, scenes.augment.min_side_px) == (2.0, 8.0)
    assert (scenes.train.unfreeze, THAW) == ((), (("landmark", 0.6),))
