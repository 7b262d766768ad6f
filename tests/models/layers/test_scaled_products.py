"""Products that stand in for PyTorch's attention give what it gives."""

import pytest
import torch
import torch.nn.functional as F

from mien.models.layers.scaled_products import attend


def _streams(dtype: torch.dtype) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, 4, tokens, 8).to(dtype).requires_grad_() for tokens in (5, 9, 9)]


@pytest.mark.parametrize("scale", [None, 0.7])
@pytest.mark.parametrize("masked", [False, True])
def test_bfloat16_agrees_with_float32_and_so_do_gradients(scale: float | None, masked: bool) -> None:
    allowed = torch.rand(5, 9) > 0.3 if masked else None
    rounded, exact = _streams(torch.bfloat16), [x.detach().float().requires_grad_() for x in _streams(torch.bfloat16)]
    (query, key, value), streams = rounded, exact
    found = attend(query, key, value, scale=scale, allowed=allowed)
    query, key, value = streams
    wanted = F.scaled_dot_product_attention(query, key, value, scale=scale, attn_mask=allowed)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), wanted, rtol=0, atol=0.03)
    found.sum().backward()
    wanted.sum().backward()
    for one, other in zip(rounded, exact, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad.float(), other.grad, rtol=0, atol=0.06)


def test_hidden_tokens_change_nothing() -> None:
    query, key, value = _streams(torch.bfloat16)
    allowed = torch.ones(5, 9, dtype=torch.bool)
    allowed[:, 6:] = False
    found = attend(query, key, value, allowed=allowed)
    torch.testing.assert_close(found, attend(query, key[:, :, :6], value[:, :, :6]), rtol=0, atol=0.01)


def test_float32_is_pytorchs_own() -> None:
    streams = _streams(torch.float32)
    torch.testing.assert_close(attend(*streams), F.scaled_dot_product_attention(*streams), rtol=0, atol=0)
