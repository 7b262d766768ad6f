"""The frame-wise ensemble: counts, averages, what rests."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from mien.models.frame_ensemble import BACKBONES, Config, FrameEnsemble
from mien.schema.errors import ConfigError
from mien.schema.labels import FERPLUS


def build(**changes: Any) -> FrameEnsemble:
    torch.manual_seed(0)
    return replace(Config.tiny(), **changes).build(FERPLUS).eval()


def test_parameters() -> None:
    with torch.device("meta"):
        network = Config().build(FERPLUS)
        found = {name: sum(p.numel() for p in trunk.parameters()) for name, trunk in network.trunks.items()}
    assert [round(n / 1e6, 2) for n in found.values()] == [23.48, 23.48, 10.31]
    assert list(found) == list(BACKBONES)
    assert Config().inputs()["clip"].shape == (64, 3, 112, 112)


def test_equal_members_are_one_member() -> None:
    network = build(backbones=("irv1_vggface2", "irv1_casia"))
    for part in (network.trunks, network.members):
        part["irv1_casia"].load_state_dict(part["irv1_vggface2"].state_dict())
    with torch.no_grad():
        found = network(torch.rand(2, 3, 3, 80, 80))
    torch.testing.assert_close(found.logits.exp(), found.member_logits[:, 0].softmax(-1))


def test_probabilities_are_averaged() -> None:
    with torch.no_grad():
        found = build()(torch.rand(2, 3, 3, 80, 80))
    assert found.member_logits.shape == (2, 2, 3, 8)
    torch.testing.assert_close(found.logits.exp(), found.member_logits.softmax(-1).mean(1))


@pytest.mark.parametrize("head", ["combine", "only_trans", "only_att", "none"])
def test_stitched_vectors_have_one_head(head: str) -> None:
    network = build(fusion="concat", head=head)
    with torch.no_grad():
        found = network(torch.rand(1, 3, 3, 80, 80))
    assert found.member_logits.shape == (1, 1, 3, 8)
    assert torch.equal(found.logits, found.member_logits[:, 0])
    assert network.members["all"].classify.in_features == (24 + 24) * (3 if head == "combine" else 1)


def test_early_stages_and_batch_norms_rest() -> None:
    network = build().train()
    frozen = network.frozen_parameters()
    for part in ("irv1_casia.net.conv2d_1a", "irv1_casia.net.repeat_1", "regnety_016.net.stem"):
        assert {n for n, _ in network.named_parameters() if n.startswith(f"trunks.{part}.")} <= frozen
    assert "trunks.irv1_casia.net.last_bn.weight" in frozen
    assert "trunks.irv1_casia.net.mixed_6a.branch0.conv.weight" not in frozen
    assert build(freeze="none").frozen_parameters() == frozenset()


def test_mistakes_are_named() -> None:
    for changes, message in (({"backbones": ("vgg",)}, "some of"), ({"irv1_size": 64}, "75 pixels")):
        with pytest.raises(ConfigError, match=message):
            replace(Config(), **changes)
