import torch
from torch import nn

from mien.models.layers.attention import CrossAttention, Mlp


def written_attention(layer: CrossAttention, asking: torch.Tensor, answering: torch.Tensor) -> torch.Tensor:
    """Equations 3 and 4, one head after the other."""
    width = asking.shape[-1]
    wq, wk, wv = layer.qkv.weight.split(width)
    bq, bk, bv = layer.qkv.bias.split(width)
    if layer.q is not None:
        wq, bq = layer.q.weight, layer.q.bias
    query, key, value = asking @ wq.T + bq, answering @ wk.T + bk, answering @ wv.T + bv
    heads = []
    for part in torch.arange(width).chunk(layer.heads):
        scores = (query[..., part] @ key[..., part].transpose(1, 2)) * layer.scale
        heads.append(scores.softmax(-1) @ value[..., part])
    mixed: torch.Tensor = layer.proj(torch.cat(heads, -1))
    return mixed


def test_cross_attention_equals_the_written_formula() -> None:
    torch.manual_seed(0)
    asking, answering = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
    for own_query in (False, True):
        for lean in (False, True):
            layer = CrossAttention(12, 3, 0.5, own_query, lean)
            torch.testing.assert_close(layer(asking, answering), written_attention(layer, asking, answering))


def test_self_attention_equals_torch() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(2, 5, 12)
    layer, reference = CrossAttention(12, 3, 4**-0.5), nn.MultiheadAttention(12, 3, batch_first=True)
    reference.load_state_dict(
        {
            "in_proj_weight": layer.qkv.weight,
            "in_proj_bias": layer.qkv.bias,
            "out_proj.weight": layer.proj.weight,
            "out_proj.bias": layer.proj.bias,
        }
    )
    expected, weights = reference(tokens, tokens, tokens, average_attn_weights=False)
    torch.testing.assert_close(layer(tokens, tokens), expected)
    torch.testing.assert_close(layer.weights(tokens, tokens), weights)


def test_mlp_drops_twice() -> None:
    torch.manual_seed(0)
    mlp = Mlp(8, 32, 0.5)
    x = torch.randn(4, 16, 8)
    assert (mlp(x) == 0).float().mean().item() > 0.4
    torch.testing.assert_close(mlp.eval()(x), mlp.fc2(nn.functional.gelu(mlp.fc1(x))))
