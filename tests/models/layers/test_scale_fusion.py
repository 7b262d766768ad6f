from dataclasses import replace

import pytest
import torch
from torch import nn

from mien.models.layers.neighborhood import NeighborhoodBlock
from mien.models.layers.prior_modulator import PriorMixing, PriorModulator
from mien.models.layers.scale_fusion import GlobalAttention, Scale, ScaleShape, resized

SHAPE = ScaleShape(width=16, head_width=8)


def scale(**changes) -> Scale:
    torch.manual_seed(0)
    return Scale(replace(SHAPE, **changes), 24, 8, 3).eval()


def blocks(module: nn.Module) -> list[NeighborhoodBlock]:
    return [m for m in module.modules() if isinstance(m, NeighborhoodBlock)]


def test_a_scale_is_modulated_attended_and_refined() -> None:
    module, x, prior = scale(), torch.randn(2, 24, 6, 6), torch.randn(2, 8, 3, 3)
    assert module.modulator is not None
    attended = module.blocks(module.modulator(x, prior).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    expected = module.unify[1](module.unify[0](attended))
    torch.testing.assert_close(module(x, prior), expected)
    assert expected.shape == (2, 16, 6, 6)


@pytest.mark.parametrize(("first", "width", "heads"), [(False, 24, 3), (True, 16, 2)])
def test_heads_have_one_width_at_every_scale(first: bool, width: int, heads: int) -> None:
    attention = blocks(scale(reduce_first=first, depth=2, rpb=True))[1].attn
    assert (attention.proj.in_features, attention.heads, attention.table.shape) == (width, heads, (heads, 5, 5))


def test_switches_build_what_they_say() -> None:
    assert isinstance(scale().modulator, PriorModulator)
    assert isinstance(scale(dfpm="add").modulator, PriorMixing)
    assert scale(dfpm="off").modulator is None
    assert scale(lpb=False).modulator.channel_gate is None
    assert len(blocks(scale(depth=3))) == 3
    assert not blocks(scale(natten="off"))
    assert blocks(scale(natten="global"))[0].attn.kernel is None
    assert blocks(scale(dilation=2))[0].attn.dilation == 2
    assert isinstance(scale(refine=False).unify[1], nn.Identity)


def test_global_attention_is_torchs() -> None:
    torch.manual_seed(0)
    module, x = GlobalAttention(16, 4), torch.randn(2, 16, 3, 4)
    reference = nn.MultiheadAttention(16, 4, batch_first=True)
    reference.load_state_dict(
        {
            "in_proj_weight": module.attn.qkv.weight,
            "in_proj_bias": module.attn.qkv.bias,
            "out_proj.weight": module.attn.proj.weight,
            "out_proj.bias": module.attn.proj.bias,
        }
    )
    tokens = x.flatten(2).transpose(1, 2)
    normed = module.norm(tokens)
    mixed, weights = reference(normed, normed, normed, average_attn_weights=False)
    torch.testing.assert_close(module(x), (tokens + mixed).transpose(1, 2).view_as(x))
    torch.testing.assert_close(module.looks(x), weights.mean(2).view(2, 4, 3, 4))
    assert not module.attn.proj.bias.any()
    assert module.attn.proj.weight.abs().max() <= (6 / 32) ** 0.5


def test_places_can_be_told_apart_only_with_their_code() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 16, 3, 4)
    for placed in (False, True):
        module = GlobalAttention(16, 4, placed=placed)
        assert torch.allclose(module(x).flip(3), module(x.flip(3)), atol=1e-5) != placed


def test_a_perceptron_may_follow() -> None:
    torch.manual_seed(0)
    module, x = GlobalAttention(16, 4, perceptron=True), torch.randn(1, 16, 3, 4)
    attended = x.flatten(2).transpose(1, 2)
    normed = module.norm(attended)
    assert module.mlp is not None
    assert module.norm2 is not None
    attended = attended + module.attn(normed, normed, normed)
    expected = attended + module.mlp(module.norm2(attended))
    torch.testing.assert_close(module(x), expected.transpose(1, 2).view_as(x))


def test_maps_are_averaged_down_and_interpolated_up() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert resized(x, (4, 4)) is x
    assert resized(x, (2, 2))[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert resized(x, (8, 8)).shape == (1, 1, 8, 8)
    assert resized(x, (8, 8)).mean() == pytest.approx(7.5)
