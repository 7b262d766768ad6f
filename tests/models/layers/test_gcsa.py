from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mien.models.layers.gcsa import GCSA, shuffled


def settled(**changes: Any) -> GCSA:
    """Random weights, and batch statistics that are not those of the start."""
    torch.manual_seed(0)
    layer = GCSA(8, **changes).eval()
    for norm in (m for m in layer.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.normal_(norm.running_mean)
        nn.init.normal_(norm.bias)
    return layer


def written(layer: GCSA, x: Tensor) -> Tensor:
    """Equations 1 to 3 as the paper words them: permute, two linear layers, permute back; shuffle; convolutions."""
    assert layer.squeeze is not None
    assert layer.restore is not None
    assert layer.spatial is not None
    down, up = layer.squeeze, layer.restore
    last = x.permute(0, 2, 3, 1)
    hidden = (last @ down.weight[:, :, 0, 0].T + down.bias).relu()
    gate = (hidden @ up.weight[:, :, 0, 0].T + up.bias).permute(0, 3, 1, 2).sigmoid()
    batch, channels, height, width = x.shape
    mixed = (x * gate).view(batch, 4, channels // 4, height, width).transpose(1, 2).reshape(x.shape)
    spatial = layer.spatial
    return mixed * torch.sigmoid(spatial.bn2(spatial.conv2(torch.relu(spatial.bn1(spatial.conv1(mixed))))))


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 8, 5, 6, generator=torch.Generator().manual_seed(1))


def test_it_equals_equations_1_to_3(x: Tensor) -> None:
    layer = settled()
    torch.testing.assert_close(layer(x), written(layer, x))
    torch.testing.assert_close(layer.train()(x), written(layer, x))


@pytest.mark.parametrize(("channels", "expected"), [(192, 922_560), (256, 1_639_680)])
def test_parameters(channels: int, expected: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in GCSA(channels).parameters()) == expected


def test_a_shuffle_is_a_permutation_with_an_inverse() -> None:
    x = torch.arange(24.0).view(1, 24, 1, 1)
    found = shuffled(x, 4)[0, :, 0, 0].tolist()
    assert found == [g * 6 + j for j in range(6) for g in range(4)]
    torch.testing.assert_close(shuffled(shuffled(x, 4), 24 // 4), x)
    torch.testing.assert_close(shuffled(x, 1), x)


def test_gates_of_one_half(x: Tensor) -> None:
    layer = settled()
    assert layer.restore is not None
    assert layer.spatial is not None
    for parameter in (*layer.restore.parameters(), *layer.spatial.bn2.parameters()):
        nn.init.zeros_(parameter)
    torch.testing.assert_close(layer(x), shuffled(x * 0.5, 4) * 0.5)


def test_the_channel_gate_does_not_see_places(x: Tensor) -> None:
    layer, order = settled(), torch.randperm(30, generator=torch.Generator().manual_seed(2))

    def moved(y: Tensor) -> Tensor:
        return y.flatten(2)[:, :, order].unflatten(2, (5, 6))

    torch.testing.assert_close(layer.channel_gate(moved(x)), moved(layer.channel_gate(x)))
    assert layer.spatial is not None
    assert not torch.allclose(layer.spatial(moved(x)), moved(layer.spatial(x)))


def test_either_gate_and_the_shuffle_can_be_left_out(x: Tensor) -> None:
    channel, spatial = settled(parts="channel"), settled(parts="spatial")
    torch.testing.assert_close(channel(x), shuffled(x * channel.channel_gate(x), 4))
    assert spatial.spatial is not None
    torch.testing.assert_close(spatial(x), shuffled(x, 4) * spatial.spatial(shuffled(x, 4)))
    plain = settled(parts="channel", shuffle=False)
    torch.testing.assert_close(plain(x), x * plain.channel_gate(x))
    sizes = {
        parts: sum(p.numel() for p in GCSA(8, parts=parts).parameters()) for parts in ("both", "channel", "spatial")
    }
    assert sizes["both"] == sizes["channel"] + sizes["spatial"]


def test_channels_that_do_not_divide_are_a_mistake() -> None:
    with pytest.raises(AssertionError, match="6"):
        GCSA(6)
