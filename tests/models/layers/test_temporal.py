from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from mien.models.layers.temporal import SelfAttention, TemporalBlock, TemporalShape, TemporalTransformer

SHAPE = TemporalShape(width=12, n_frames=5, depth=2, heads=3, head_width=8, mlp_width=20)


def written_attention(layer: SelfAttention, x: Tensor, head_width: int) -> tuple[Tensor, Tensor]:
    """One head after the other."""
    query, key, value = (x @ weight.T for weight in layer.qkv.weight.chunk(3))
    mixed, weights = [], []
    for part in torch.arange(query.shape[-1]).split(head_width):
        scores = query[..., part] @ key[..., part].transpose(1, 2) / head_width**0.5
        weights.append(scores.softmax(-1))
        mixed.append(weights[-1] @ value[..., part])
    return layer.proj(torch.cat(mixed, -1)), torch.stack(weights, 1)


@pytest.mark.parametrize(("heads", "head_width"), [(3, 4), (1, 8), (5, 6)])
def test_attention_equals_the_written_formula(heads: int, head_width: int) -> None:
    torch.manual_seed(0)
    layer, x = SelfAttention(12, heads, head_width), torch.randn(2, 6, 12)
    out, looks = layer(x)
    expected, weights = written_attention(layer, x, head_width)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(looks, weights[:, :, 0])


def test_heads_as_wide_as_a_share_of_the_tokens_are_those_of_torch() -> None:
    torch.manual_seed(0)
    layer, reference = SelfAttention(12, 3, 4), nn.MultiheadAttention(12, 3, bias=False, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(layer.qkv.weight)
        reference.out_proj.weight.copy_(layer.proj.weight)
        layer.proj.bias.zero_()
    x = torch.randn(2, 6, 12)
    torch.testing.assert_close(layer(x)[0], reference(x, x, x)[0])


def test_a_block_normalises_before_each_part() -> None:
    torch.manual_seed(0)
    block, x = TemporalBlock(SHAPE), torch.randn(2, 6, 12)
    gathered, looks = written_attention(block.attn, block.norm1(x), 8)
    y = x + gathered
    hidden = nn.functional.gelu(block.mlp.fc1(block.norm2(y)))
    found, row = block(x)
    torch.testing.assert_close(found, y + block.mlp.fc2(hidden))
    torch.testing.assert_close(row, looks[:, :, 0])


def test_the_class_token_comes_out() -> None:
    torch.manual_seed(0)
    network, frames = TemporalTransformer(SHAPE), torch.randn(2, 5, 12)
    tokens = torch.cat((network.cls_token.expand(2, 1, 12), frames), 1) + network.pos_embed
    for block in network.blocks:
        tokens = block(tokens)[0]
    found, attention = network(frames)
    torch.testing.assert_close(found, tokens[:, 0])
    assert attention.shape == (2, 2, 3, 6)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 2, 3))
    normed = TemporalTransformer(replace(SHAPE, final_norm=True))
    normed.load_state_dict(network.state_dict(), strict=False)
    torch.testing.assert_close(normed(frames)[0], nn.functional.layer_norm(tokens[:, 0], (12,)))


def test_order_matters_through_positions_alone() -> None:
    torch.manual_seed(0)
    network, frames = TemporalTransformer(SHAPE), torch.randn(2, 5, 12)
    assert not torch.allclose(network(frames.flip(1))[0], network(frames)[0], atol=1e-3)
    nn.init.zeros_(network.pos_embed)
    torch.testing.assert_close(network(frames.flip(1))[0], network(frames)[0])


def test_dropout_is_all_the_noise_of_training() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 6, 12)
    quiet, noisy = TemporalBlock(SHAPE).train(), TemporalBlock(replace(SHAPE, drop=0.5)).train()
    assert torch.equal(quiet(x)[0], quiet(x)[0])
    assert not torch.equal(noisy(x)[0], noisy(x)[0])


def test_counts_of_the_paper() -> None:
    with torch.device("meta"):
        for mlp_width, million in ((768, 5.526), (1024, 6.313)):
            network = TemporalTransformer(TemporalShape(width=512, n_frames=16, mlp_width=mlp_width))
            assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(million, abs=0.001)
