import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mien.models.layers.conv_block import ConvBlock
from mien.models.layers.gcsa import shuffled
from mien.models.layers.rhcnn import RHCNN, TOTAL_STRIDE, HybridBlock


def normed(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
    assert isinstance(block, ConvBlock)
    plain = F.conv2d(x, block.conv.weight, None, block.conv.stride, block.conv.padding, 1, block.conv.groups)
    return F.batch_norm(plain, None, None, block.bn.weight, block.bn.bias, training=True)


@pytest.mark.parametrize(("inp", "out", "stride"), [(8, 12, 2), (12, 12, 1), (8, 8, 2)])
def test_a_block_step_by_step(inp: int, out: int, stride: int) -> None:
    torch.manual_seed(0)
    block, x = HybridBlock(inp, out, stride).train(), torch.randn(2, inp, 7, 7)
    first, depthwise, pointwise, last = block.body
    inside = normed(pointwise, normed(depthwise, normed(first, x).relu())).relu()
    shortcut = x if inp == out and stride == 1 else normed(block.shortcut, x)
    torch.testing.assert_close(block(x), shuffled((normed(last, inside) + shortcut).relu(), 4))
    assert isinstance(depthwise, ConvBlock)
    assert depthwise.conv.weight.shape == (out, 1, 5, 5)


def test_channels_are_mixed_after_the_block() -> None:
    block = HybridBlock(8, 8, 1).eval()
    for parameter in block.body.parameters():
        nn.init.zeros_(parameter)
    x = torch.rand(1, 8, 3, 3)
    torch.testing.assert_close(block(x), shuffled(x, 4))


@pytest.mark.parametrize("size_px", [112, 32, 48])
def test_the_map_has_stride_8(size_px: int) -> None:
    network = RHCNN((4, 8, 12, 16)).eval()
    side = size_px // TOTAL_STRIDE
    assert network(torch.randn(1, 3, size_px, size_px)).shape == (1, 16, side, side)
    assert network.stem(torch.randn(1, 3, size_px, size_px)).shape == (1, 8, size_px // 2, size_px // 2)


def test_parameters_without_attention_and_classifier() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in RHCNN((32, 64, 128, 256)).parameters()) == 539_176 - (256 * 8 + 8)
