import pytest
import torch
from torch import nn

from mien.models.layers.prelu import PReLU


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(4, 8, 5, 3), (6, 8)])
def test_values_and_gradients_are_those_of_torch(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    ours, theirs = PReLU(8).to(dtype), nn.PReLU(8).to(dtype)
    with torch.no_grad():
        ours.weight.uniform_(-0.5, 0.5)
        theirs.weight.copy_(ours.weight)
    x, grad = torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype)
    x[0, 0] = 0
    own, their = x.clone().requires_grad_(), x.clone().requires_grad_()
    found, expected = ours(own), theirs(their)
    found.backward(grad)
    expected.backward(grad)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(own.grad, their.grad)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


def test_half_precision_keeps_the_slope_gradient_in_single() -> None:
    torch.manual_seed(0)
    layer = PReLU(8)
    x = torch.randn(4, 8, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x.bfloat16())
    out.float().sum().backward()
    assert out.dtype == torch.bfloat16
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, x.clamp(max=0).sum((0, 2, 3)), rtol=1e-2, atol=0.1)


def test_a_frozen_layer_passes_the_gradient_on() -> None:
    layer = PReLU(2).requires_grad_(False)
    x = torch.tensor([[1.0, -1.0]], requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[1.0, 0.25]]
    assert layer.weight.grad is None
