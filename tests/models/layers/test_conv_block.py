import torch
from torch.nn import functional as F

from mien.models.layers.conv_block import ConvBlock


def test_it_is_convolution_norm_and_relu() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 9, 8)
    for act in (True, False):
        block = ConvBlock(4, 6, (3, 5), act=act).train()
        found = block(x)
        plain = F.conv2d(x, block.conv.weight, padding=(1, 2))
        normed = F.batch_norm(plain, None, None, training=True)
        torch.testing.assert_close(found, normed.relu() if act else normed)
        assert block.conv.bias is None


def test_a_stride_divides_the_size_and_groups_keep_channels_apart() -> None:
    assert ConvBlock(4, 4, 5, 2)(torch.randn(2, 4, 9, 8)).shape == (2, 4, 5, 4)
    torch.manual_seed(0)
    block, x = ConvBlock(4, 4, 5, groups=4, act=False).eval(), torch.randn(1, 4, 6, 6)
    changed = x.clone()
    changed[:, 2] += 1
    moved = (block(changed) - block(x)).abs().amax((0, 2, 3))
    assert (moved > 0).tolist() == [False, False, True, False]
