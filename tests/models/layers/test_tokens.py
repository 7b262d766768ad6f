import torch
from torch.nn import functional as F

from mien.models.layers.gate import SEGate
from mien.models.layers.tokens import TokenStream


def test_tokens_are_class_first_then_rows() -> None:
    torch.manual_seed(0)
    stream = TokenStream(4, 6, grid=3, pos_embed=False)
    x = torch.randn(2, 4, 3, 3)
    tokens = stream(x)
    assert tokens.shape == (2, 10, 6)
    torch.testing.assert_close(tokens[:, 0], stream.cls_token[0].expand(2, -1))
    torch.testing.assert_close(tokens[:, 1 + 3 * 1 + 2], stream.proj(x)[:, :, 1, 2])


def test_positions_are_the_stored_ones_on_their_own_grid() -> None:
    stream = TokenStream(4, 6, grid=3, pos_embed=True)
    assert stream.positions(3, 3) is stream.pos_embed


def test_other_grids_interpolate_all_but_the_class_token() -> None:
    torch.manual_seed(0)
    stream = TokenStream(1, 6, grid=14, pos_embed=True)
    assert stream.pos_embed is not None
    found = stream.positions(8, 8)
    stored = stream.pos_embed.detach()
    square = stored[0, 1:].reshape(14, 14, 6).permute(2, 0, 1)[None]
    expected = F.interpolate(square, size=(8, 8), mode="bicubic", align_corners=False, antialias=False)
    torch.testing.assert_close(found[:, 1:], expected[0].permute(1, 2, 0).reshape(1, 64, 6))
    assert torch.equal(found[:, 0], stored[:, 0])
    found.sum().backward()
    assert stream.pos_embed.grad is not None
    assert (stream.pos_embed.grad != 0).any(-1).all(), "every stored position is trained on the small grid too"


def test_gate_equals_the_written_formula() -> None:
    torch.manual_seed(0)
    gate = SEGate(6)
    z = torch.randn(3, 6)
    hidden = (z @ gate.linear1.weight.T + gate.linear1.bias).clamp(min=0)
    torch.testing.assert_close(gate(z), z / (1 + (-(hidden @ gate.linear2.weight.T + gate.linear2.bias)).exp()))
