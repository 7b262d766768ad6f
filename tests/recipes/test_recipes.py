"""Every recipe and every row of the papers' tables: it is what it says, and it can be trained."""

import json
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from mien.data.readers import READERS
from mien.engine.run import Run, from_json, to_json
from mien.models import MODELS
from mien.recipes import RECIPES, WITH_ROWS, find, names, rows_of
from mien.recipes.product_cross import ROWS
from mien.schema.errors import ConfigError
from mien.schema.labels import BASIC_7, LABEL_SETS
from mien.schema.tables import resolve

BASES = sorted(RECIPES)
INPUTS = {
    ("frame_ensemble", ""): {"clip"},
    ("keypoint_graph", ""): {"clip", "landmarks"},
    ("reaction", ""): {"sound_features", "face_features"},
    ("gcsa_av", "a"): {"sound"},
    ("gcsa_av", "va"): {"clip", "sound", "has_sound", "has_face"},
}


def flat(value: Any, path: str = "") -> dict[str, Any]:
    if not is_dataclass(value):
        return {path: value}
    found: dict[str, Any] = {}
    for field in fields(value):
        found |= flat(getattr(value, field.name), f"{path}.{field.name}" if path else field.name)
    return found


@pytest.mark.parametrize("name", BASES)
def test_a_recipe_is_a_run_of_its_name_that_can_be_written_down(name):
    run = find(name)
    assert run.name == name
    assert name.startswith(run.architecture)
    assert isinstance(run.model, type(resolve(MODELS[run.architecture])()))
    assert run.data.reader in READERS
    assert READERS[run.data.reader].read
    assert run.model.inputs().keys() == INPUTS.get((run.architecture, getattr(run.model, "modality", "")), {"image"})
    assert from_json(json.loads(json.dumps(to_json(run)))) == run
    labels = LABEL_SETS.get(run.data.label_set or READERS[run.data.reader].labels or "", BASIC_7)
    assert callable(run.loss.build(labels))
    if run.train.sizes:
        assert run.train.sizes[-1][1] == run.model.inputs()["image"].size_px, "the last size is what is exported"


@pytest.mark.parametrize("base", sorted(WITH_ROWS))
def test_a_row_differs_from_its_base_in_exactly_the_named_fields(base):
    start = flat(find(base))
    for row, changes in rows_of(base).items():
        run = find(f"{base}_{row}")
        found = flat(run)
        assert found.pop("name") == f"{base}_{row}"
        for path, value in found.items():
            assert value == changes.get(path, start[path]), f"{row}: {path}"
        assert changes.keys() <= found.keys()


def test_rows_are_the_paper_tables():
    for dot in (0, 1):
        for cross in (0, 1):
            for neaa in (0, 1):
                run = find(f"product_cross_raf_db_t1_{dot}{cross}{neaa}")
                assert (run.model.dot, run.model.cross, run.loss.kind) == (
                    bool(dot),
                    bool(cross),
                    "neaa" if neaa else "none",
                )
    base = replace(find("product_cross_raf_db"), name="")
    for row in ("t1_111", "t2_two_blocks", "t3_with", "t4_max"):
        assert replace(find(f"product_cross_raf_db_{row}"), name="") == base
    vit = find("product_cross_raf_db_t2_vit").model
    assert (vit.depth, vit.mlp_ratio) == (8, 3.0)
    maps = [find(f"product_cross_raf_db_t4_{row}").model.attn_map for row in ("conv", "sum", "abs_sum", "max")]
    assert maps == ["conv", "sum", "abs_sum", "max"]


@pytest.mark.parametrize(
    ("name", "rate", "erase"),
    [
        ("product_cross_raf_db", 3.5e-5, (0.5, (0.02, 0.1))),
        ("product_cross_ferplus", 3.5e-5, (0.5, (0.02, 0.1))),
        ("product_cross_affectnet_7", 1e-6, (1.0, (0.05, 0.05))),
    ],
)
def test_full_recipes_have_the_settings_of_the_paper(name, rate, erase):
    run = find(name)
    train = run.train
    assert (train.optimizer.name, train.optimizer.lr, train.optimizer.weight_decay) == ("adam", rate, 0.0)
    assert (train.batch_size, train.epochs) == (144, 200)
    assert (train.schedule.name, train.schedule.gamma, train.schedule.warm_up) == ("exponential", 0.98, 0.0)
    assert (run.augment.flip, (run.augment.erase, run.augment.erase_area)) == (0.5, erase)
    assert (run.loss.weight, run.loss.kind, run.model.drop, run.model.size_px) == (0.01, "neaa", 0.5, 112)
    assert (train.ema_decay, train.sam_rho, train.precision) == (0.0, 0.0, "32-true")
    assert train.sampler == ("inverse_frequency" if "affectnet" in name else "shuffled")


def test_the_learning_rate_of_the_paper_falls_by_two_percent_an_epoch():
    schedule = find("product_cross_raf_db").train.schedule
    assert [schedule.factor(e / 200, e) for e in (0, 1, 100)] == pytest.approx([1, 0.98, 0.98**100])


@pytest.mark.parametrize("base", ["product_cross_raf_db", "product_cross_small_raf_db"])
@pytest.mark.parametrize("row", sorted(ROWS))
def test_every_row_can_take_a_step(base, row):
    run = find(f"{base}_{row}")
    shrunk = replace(
        run.model,
        size_px=16,
        widths=(4, 6, 8),
        units=(1, 1, 1),
        width=32,
        prior_width=4,
        prior_depths=(1, 1, 1),
        prior_head_width=8,
    )
    torch.manual_seed(0)
    network = shrunk.build(BASIC_7).train()
    optimizer = run.train.optimizer.build(network)
    label = torch.arange(6)
    targets = {"label": label, "distribution": torch.eye(7)[label]}
    before = network.head.weight.detach().clone()
    parts = run.loss.build(BASIC_7)(network(torch.randn(6, 3, 16, 16)), targets)
    parts["loss"].backward()
    optimizer.step()
    assert torch.isfinite(parts["loss"])
    assert not torch.equal(network.head.weight, before)
    assert ("anchor" in parts) == (run.loss.kind != "none")


def test_unknown_recipes_and_rows_are_told_with_the_nearest():
    with pytest.raises(ConfigError, match="product_cross_raf_db"):
        find("product_cros_raf_db")
    with pytest.raises(ConfigError, match="product_cross_raf_db_t1_111"):
        find("product_cross_raf_db_t1_112")
    with pytest.raises(ConfigError, match="landmarks_ferplus"):
        find("landmarks_ferplus_t1_111")


def test_all_names_are_told():
    listed = names()
    assert len(listed) == len(set(listed)) == len(RECIPES) + sum(len(rows_of(base)) for base in WITH_ROWS)
    assert "product_cross_small_synthetic_t1_000" in listed
    assert isinstance(find(str(np.random.default_rng(0).choice(listed))), Run)
