from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.models.layers.median_attention import MedianAttention, lower_median


def layer(**changes: Any) -> MedianAttention:
    torch.manual_seed(0)
    return MedianAttention(8, **changes).eval()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 8, 6, 5, generator=torch.Generator().manual_seed(1))


def written(part: MedianAttention, x: Tensor) -> Tensor:
    """The block step by step, with torch's own median and a loop over the convolutions."""
    u = F.gelu(part.enter(x))

    def fc(pooled: Tensor) -> Tensor:
        return part.fc2(torch.relu(part.fc1(pooled[:, :, None, None])))

    mean, largest, median = fc(u.mean((2, 3))), fc(u.amax((2, 3))), fc(u.flatten(2).median(2).values)
    if part.total == "post_sigmoid":
        weight = torch.sigmoid(mean) + torch.sigmoid(largest) + torch.sigmoid(median)
    else:
        weight = torch.sigmoid(mean + largest + median)
    u1 = weight * u
    d = F.conv2d(u1, part.first.weight, part.first.bias, padding=2, groups=8)
    m = u1.clone()
    for strip, size in zip(part.strips, ((1, 7), (7, 1), (1, 11), (11, 1), (1, 21), (21, 1)), strict=True):
        assert isinstance(strip, nn.Conv2d)
        assert strip.weight.shape == (8, 1, *size)
        m = m + F.conv2d(d, strip.weight, strip.bias, padding=(size[0] // 2, size[1] // 2), groups=8)
    a = part.mix(m)
    return part.leave((torch.sigmoid(a) if part.gate == "sigmoid" else a) * u1)


@pytest.mark.parametrize("total", ["post_sigmoid", "pre_sigmoid"])
@pytest.mark.parametrize("gate", ["sigmoid", "none"])
@pytest.mark.parametrize("shared", [False, True])
def test_it_equals_the_block_step_by_step(total: Any, gate: Any, shared: bool, x: Tensor) -> None:
    part = layer(total=total, gate=gate, share_pointwise=shared)
    torch.testing.assert_close(part(x), written(part, x))
    assert (part.mix is part.enter and part.leave is part.enter) == shared


def test_parameters() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in MedianAttention(256).parameters()) == 258_624
        shared = sum(p.numel() for p in MedianAttention(256, share_pointwise=True).parameters())
    assert shared == 258_624 - 2 * (256 * 256 + 256)


@pytest.mark.parametrize("size", [(5, 5), (4, 6), (1, 1), (14, 14)])
def test_the_median_is_torchs(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(lower_median(x)[..., 0, 0], x.flatten(2).median(2).values)


def test_one_wild_place_does_not_move_the_median(x: Tensor) -> None:
    changed = x.clone()
    flat = x.flatten(2)
    highest = flat[0, 3].argmax()
    changed.flatten(2)[0, 3, highest] = 1e6
    torch.testing.assert_close(lower_median(changed), lower_median(x))
    assert not torch.allclose(changed.mean((2, 3)), x.mean((2, 3)))


def test_the_channel_weight_does_not_see_places(x: Tensor) -> None:
    part, order = layer(), torch.randperm(30, generator=torch.Generator().manual_seed(2))
    moved = x.flatten(2)[:, :, order].unflatten(2, (6, 5))
    torch.testing.assert_close(part.channel_weight(moved), part.channel_weight(x))
    assert not torch.allclose(part.place_weight(moved), part.place_weight(x))


def test_the_range_of_the_channel_weight(x: Tensor) -> None:
    part = layer()
    nn.init.constant_(part.fc2.bias, 50.0)
    torch.testing.assert_close(part.channel_weight(x), torch.full((2, 8, 1, 1), 3.0))
    part.total = "pre_sigmoid"
    torch.testing.assert_close(part.channel_weight(x), torch.ones(2, 8, 1, 1))
