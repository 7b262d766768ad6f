"""The runs of GCSA-AV: the settings of the paper, its table, and a step of every row."""

from dataclasses import replace

import pytest
import torch

from mien.engine.run import override
from mien.models.gcsa_av import Config
from mien.recipes import find
from mien.recipes.gcsa_av import PAIR_ROWS, ROWS, TABLE_1, VOICE_ROWS
from mien.schema.errors import ConfigError
from mien.schema.labels import LABEL_SETS

TINY = {name: getattr(Config.tiny(), name) for name in ("size_px", "audio_widths", "visual_widths", "resnet_widths")}


def test_the_settings_of_the_paper() -> None:
    run = find("gcsa_av_aff_wild2")
    optimizer = run.train.optimizer
    assert (optimizer.name, optimizer.lr, optimizer.momentum) == ("sgd", 1e-4, 0.9)
    assert (run.train.batch_size, run.train.epochs, run.train.schedule.name) == (16, 300, "none")
    assert (run.train.sampler, run.train.steps, run.train.monitor) == ("balanced", 2000, "macro_f1")
    assert run.model == Config()
    assert (run.model.audio_attn, run.model.visual_attn, run.model.dropout, run.model.frames) == (
        "gcsa",
        "mesc",
        0.2,
        4,
    )
    vary = run.augment
    assert (vary.mel_freq_masks, vary.mel_freq_most, vary.mel_time_masks, vary.mel_time_most) == (2, 8, 2, 16)
    assert (vary.flip, vary.erase) == (0.5, 0.25)
    assert (run.loss.mode, run.proportion, run.crop) == ("fixed", "searched", "whole")


def test_table_1_is_what_it_says() -> None:
    for modality in ("v", "va"):
        base, gcsa, both = (find(f"gcsa_av_aff_wild2_t1_{modality}_{row}") for row in ("base", "gcsa", "gcsa_cf"))
        assert {run.model.modality for run in (base, gcsa, both)} == {modality}
        assert (base.model.audio_attn if modality == "va" else "none", base.model.visual_attn) == ("none", "none")
        assert "gcsa" in (gcsa.model.audio_attn if modality == "va" else "", gcsa.model.visual_attn)
        assert [run.loss.mode for run in (base, gcsa, both)] == ["off", "off", "fixed"]
        assert both.model == gcsa.model
    assert replace(find("gcsa_av_aff_wild2_t1_va_gcsa_cf"), name="") == replace(find("gcsa_av_aff_wild2"), name="")
    assert TABLE_1.keys() | PAIR_ROWS.keys() == ROWS.keys()


def test_the_weights_of_the_fusion_learn_ten_times_as_fast() -> None:
    run = find("gcsa_av_aff_wild2_learned")
    network = replace(run.model, **TINY).build(LABEL_SETS["aff_wild2"])
    rates = {
        name: group["lr"] * group["lr_ratio"]
        for group in run.train.optimizer.build(network).param_groups
        for name, parameter in network.named_parameters()
        if any(parameter is one for one in group["params"])
    }
    share = {name: rate for name, rate in rates.items() if name.startswith("share.")}
    assert share
    assert list(share.values()) == pytest.approx([1e-3] * len(share))
    assert set(rates.values()) - set(share.values()) == {1e-4}


def test_all_25_proportions_are_there_and_none_is_searched_in_them() -> None:
    found = {find(f"gcsa_av_pairs_m{m}_n{n}").model.weights for m in range(1, 6) for n in range(1, 6)}
    assert len(found) == 25
    assert find("gcsa_av_pairs_m2_n5").proportion == "given"
    with pytest.raises(ConfigError, match="modality=va, fusion=proportional, fusion_weights=grid"):
        override(find("gcsa_av_pairs"), "model.fusion_weights", "learned")


def test_what_the_other_runs_are_about() -> None:
    voice, pairs = find("gcsa_av_ravdess_voice"), find("gcsa_av_pairs")
    assert voice.model.inputs().keys() == {"sound"}
    assert (voice.train.epochs, voice.train.time_limit_min, voice.train.keep) == (20, 0, "last")
    assert not voice.data.halve_valid
    assert (pairs.model.frames, pairs.model.colour, pairs.model.source_px) == (1, "grey", 48)


@pytest.mark.parametrize(
    "row", sorted(row for row in ROWS if not row.startswith("m") or row in ("m2_n5", "mesc_shared"))
)
def test_every_row_can_take_a_step(row: str) -> None:
    run = find(f"gcsa_av_aff_wild2_{row}")
    labels = LABEL_SETS["aff_wild2"]
    torch.manual_seed(0)
    model = replace(run.model, **TINY)
    network = model.build(labels).train()
    optimizer = run.train.optimizer.build(network)
    inputs = {name: torch.randn(2, *spec.shape) for name, spec in model.inputs().items()}
    inputs |= {name: torch.ones(2) for name in inputs if name.startswith("has_")}
    label = torch.tensor([1, 4])
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    parts = run.loss.build(labels)(network(**inputs), {"label": label, "distribution": torch.eye(8)[label], **inputs})
    parts["loss"].backward()
    optimizer.step()
    assert torch.isfinite(parts["loss"])
    moved = [name for name, parameter in network.named_parameters() if not torch.equal(parameter, before[name])]
    assert len(moved) > len(before) / 2


def test_rows_of_a_voice_change_a_voice() -> None:
    for row in VOICE_ROWS:
        run = find(f"gcsa_av_ravdess_voice_{row}")
        assert run.model.inputs().keys() == {"sound"}
