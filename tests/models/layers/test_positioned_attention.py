import math

import torch
from torch import nn

from mien.models.layers.positioned_attention import PositionedAttention, sincos_2d


def published(layer: PositionedAttention) -> nn.MultiheadAttention:
    """Torch's own, with the weights of ``layer``."""
    reference = nn.MultiheadAttention(layer.proj.in_features, layer.heads, batch_first=True)
    reference.load_state_dict(
        {
            "in_proj_weight": layer.qkv.weight,
            "in_proj_bias": layer.qkv.bias,
            "out_proj.weight": layer.proj.weight,
            "out_proj.bias": layer.proj.bias,
        }
    )
    return reference


def test_it_equals_torch() -> None:
    torch.manual_seed(0)
    layer = PositionedAttention(12, 3)
    nn.init.normal_(layer.qkv.bias)
    query, key, value = torch.randn(2, 5, 12), torch.randn(2, 7, 12), torch.randn(2, 7, 12)
    allowed = torch.rand(5, 7) < 0.5
    allowed[:, 0] = True
    for mask in (None, allowed):
        expected = published(layer)(query, key, value, attn_mask=None if mask is None else ~mask, need_weights=False)[0]
        torch.testing.assert_close(layer(query, key, value, mask), expected)


def test_weights_start_after_xavier() -> None:
    layer = PositionedAttention(64, 8)
    bound = math.sqrt(6 / 128)
    for weight in (*layer.qkv.weight.chunk(3), layer.proj.weight):
        assert 0.98 * bound < weight.abs().max().item() <= bound
    assert not layer.qkv.bias.any()
    assert not layer.proj.bias.any()


def test_places_are_sines_and_cosines_of_column_and_row() -> None:
    found = sincos_2d(3, 4, 8)
    assert found.shape == (1, 12, 8)
    for row in range(3):
        for column in range(4):
            angles = [place * rate for place in (column, row) for rate in (1.0, 0.01)]
            x, y = angles[:2], angles[2:]
            expected = [*map(math.sin, x), *map(math.cos, x), *map(math.sin, y), *map(math.cos, y)]
            torch.testing.assert_close(found[0, 4 * row + column], torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_cells_of_a_coarse_map_stand_between_those_of_a_fine_one() -> None:
    """A cell of twice the size stands at 0.5, where two fine ones stand at 0 and 1."""
    half = [math.sin(0.5), math.cos(0.5)]
    torch.testing.assert_close(sincos_2d(2, 2, 4, spacing=2.0)[0, 0], torch.tensor(half + half))
