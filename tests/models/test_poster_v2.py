"""POSTER++: counts, maps, what rests, and the vision transformer beside it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mien.models.checkpoints import load_foreign
from mien.models.landmarks import Config as Landmarks
from mien.models.poster_v2 import Config, PosterV2
from mien.schema.errors import BundleError, ConfigError
from mien.schema.labels import RAF_DB


def build(**changes: Any) -> PosterV2:
    torch.manual_seed(0)
    return replace(Config.tiny(), **changes).build(RAF_DB).eval()


@pytest.mark.parametrize(
    ("config", "parameters", "giga"),
    [(Config(), 43_849_957, 8.44), (Config.small(), 3_747_429, 0.28), (Config(vit="alone"), 85_804_039, 16.85)],
    ids=["full", "small", "vit"],
)
def test_parameters_and_multiply_accumulates_beside_attention(config: Config, parameters: int, giga: float) -> None:
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        network = config.build(RAF_DB).eval()
        network(torch.empty(1, *config.inputs()["image"].shape))
    assert sum(p.numel() for p in network.parameters()) == parameters
    kinds = counter.get_flop_counts()["Global"]
    found = sum(flops for kind, flops in kinds.items() if "convolution" in str(kind) or str(kind).endswith("mm"))
    inside = sum(flops for kind, flops in kinds.items() if str(kind).endswith("bmm"))
    assert (found - inside) / 2e9 == pytest.approx(giga, abs=0.006)


def test_what_is_joined_is_as_wide_as_both() -> None:
    network = build(vit="joined")
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = network(image)
        assert network.poster is not None
        assert network.vit is not None
        torch.testing.assert_close(found.feature[:, :24], network.poster(network.poster_view(image)))
        torch.testing.assert_close(found.feature[:, 24:], network.vit(image))
    assert replace(Config(), vit="joined").feature_width == 1536
    assert network.poster_view(torch.zeros(1, 3, 64, 64)).shape == (1, 3, 32, 32)
    grey = network.poster_view(torch.zeros(1, 3, 64, 64))[0, :, 0, 0]
    torch.testing.assert_close(grey, (0.5 - network.mean.flatten()) / network.std.flatten())


def test_frozen_trunks_leave_the_classifier() -> None:
    network = build(vit="joined", joint_freeze=True).train()
    trained = {n for n, p in network.named_parameters() if p.requires_grad}
    assert trained == {"head.weight", "head.bias"}
    assert network.frozen_parameters() == {n for n, _ in network.named_parameters()} - trained
    assert network.poster is not None
    assert not network.poster.training


@pytest.mark.parametrize("changes", [{"vit": "joined"}, {"vit": "alone"}, {"freeze_landmark": False}, {"queries": "projected"}], ids=str)  # fmt: skip  # noqa: E501
def test_every_switch_trains_what_it_says(changes: dict[str, Any]) -> None:
    network = build(**changes).train()
    image = torch.randn(4, *network.config.inputs()["image"].shape)
    sum((torch.randn_like(out) * out).sum() for out in network(image)).backward()
    without = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert without == network.frozen_parameters() | network.unused_parameters()


def test_the_landmark_network_comes_from_its_own_bundle() -> None:
    network = build()
    given = Landmarks(width=8, depths=(1, 1, 1), head_width=16).build()
    network.load_prior(given.state_dict())
    assert network.poster is not None
    own = network.poster.landmark.state_dict()
    assert all(torch.equal(own[n.removeprefix("backbone.")], t) for n, t in given.state_dict().items())
    with pytest.raises(BundleError, match="prior_width"):
        network.load_prior(Landmarks.tiny().build().state_dict())
    with pytest.raises(ConfigError, match="no landmark network"):
        build(vit="alone").load_prior({})


def test_mistakes_are_named() -> None:
    for changes, message in (
        ({"widths": (32, 64, 128)}, "queries='raw' needs"),
        ({"head_width": 48}, "multiples of head_width"),
        ({"joint_freeze": True}, "needs vit='joined'"),
    ):
        with pytest.raises(ConfigError, match=message):
            replace(Config(), **changes)
    with pytest.raises(ConfigError, match="label set"):
        Config.tiny().build(None)


def public_names(network: PosterV2) -> dict[str, torch.Tensor]:
    """The tensors of a network under the names of the public classifier, with what nothing reads there."""
    assert network.poster is not None
    units, found = network.poster.image.units, {}
    for name, tensor in network.state_dict().items():
        new = name.removeprefix("poster.")
        for ours, theirs in (("landmark.", "face_landback."), ("transformer.", "VIT."), ("gate.", "VIT.se_block."),
                             ("head.", "VIT.head.linear."), ("embed.0.", "embed_q."), ("embed.1.", "embed_k.0."),
                             ("embed.2.", "embed_v.proj."), ("image.", "ir_back.")):  # fmt: skip
            if new.startswith(ours):
                new = theirs + new.removeprefix(ours)
                break
        if new.startswith("levels."):
            _, level, part, rest = new.split(".", 3)
            new = f"{'window' if part == 'norm' else part}{int(level) + 1}.{'norm.' * (part == 'norm')}{rest}"
        if new.startswith("ir_back.body."):
            _, _, number, rest = new.split(".", 3)
            ends = (0, units[0], units[0] + units[1])
            stage = max(i for i, first in enumerate(ends) if int(number) >= first)
            new = f"ir_back.body{stage + 1}.{int(number) - ends[stage]}.{rest}"
        found[f"module.{new}"] = torch.randn_like(tensor) if tensor.is_floating_point() else tensor
    more = ("ir_back.output_layer.3.weight", "VIT.CON1.weight", "VIT.blocks.0.conv.bias",
            "attn1.relative_position_index", "VIT.patch_embed.proj.weight",
            "VIT.IRLinear1.bias", "VIT.eca_block.conv.weight")  # fmt: skip
    return found | {f"module.{name}": torch.zeros(2) for name in more}


@pytest.mark.parametrize("part", ["", "poster"])
def test_public_classifiers_fill_the_network(tmp_path: Path, part: str) -> None:
    network = build(vit="joined" if part else "none")
    given = public_names(build())
    torch.save({"state_dict": given, "epoch": 3}, tmp_path / "raf-db.pth")
    report = load_foreign(network.get_submodule(part), tmp_path / "raf-db.pth", min_fraction=1.0)
    assert (report.missing, report.unexpected, report.misshapen) == ((), (), ())
    assert len(report.left_out) == (7 if not part else 13)
    own = network.state_dict()
    for ours, theirs in (
        ("poster.levels.2.attn.qkv.weight", "attn3.qkv.weight"),
        ("poster.levels.0.conv.bias", "conv1.bias"),
        ("poster.landmark.conv1.conv.weight", "face_landback.conv1.conv.weight"),
        ("poster.image.body.2.res_layer.1.weight", "ir_back.body3.0.res_layer.1.weight"),
        ("poster.transformer.pos_embed", "VIT.pos_embed"),
    ):
        assert torch.equal(own[ours], given[f"module.{theirs}"])
