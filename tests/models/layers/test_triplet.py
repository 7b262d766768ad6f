import torch
from torch import Tensor

from mien.models.layers.triplet import Gate, TripletAttention


def written(layer: TripletAttention, x: Tensor) -> Tensor:
    """The published form: turn the map, gate all of it, turn it back; three times."""

    def gated(gate: Gate, turned: Tensor) -> Tensor:
        pooled = torch.cat((turned.max(1, keepdim=True).values, turned.mean(1, keepdim=True)), 1)
        return turned * torch.sigmoid(gate.bn(gate.conv(pooled)))

    height = gated(layer.over_height, x.permute(0, 2, 1, 3)).permute(0, 2, 1, 3)
    width = gated(layer.over_width, x.permute(0, 3, 2, 1)).permute(0, 3, 2, 1)
    return (height + width + gated(layer.over_channels, x)) / 3


def test_it_equals_the_published_form() -> None:
    torch.manual_seed(0)
    layer, x = TripletAttention().eval(), torch.randn(2, 5, 7, 6)
    for norm in (layer.over_height.bn, layer.over_width.bn, layer.over_channels.bn):
        torch.nn.init.normal_(norm.running_mean)
        torch.nn.init.normal_(norm.bias)
    torch.testing.assert_close(layer(x), written(layer, x))
    torch.testing.assert_close(layer.train()(x), written(layer, x))


def test_it_has_300_parameters() -> None:
    layer = TripletAttention()
    assert sum(p.numel() for p in layer.parameters()) == 300
    assert {m.momentum for m in layer.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {0.01}
    assert layer.over_width.conv.bias is None


def test_gates_of_one_half_halve_the_map() -> None:
    layer = TripletAttention().eval()
    for parameter in layer.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(layer(x), x / 2)
