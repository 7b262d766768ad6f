import pytest
import torch
from torch import nn

from mien.models.layers.ir_net import IRNet, IRUnit


def test_units_and_names_are_those_of_ir_50() -> None:
    with torch.device("meta"):
        network = IRNet()
    assert len(network.body) == 21
    widths = [unit.res_layer[3].out_channels for unit in network.body]
    assert widths == [64] * 3 + [128] * 4 + [256] * 14
    strides = [unit.res_layer[3].stride[0] for unit in network.body]
    assert [i for i, stride in enumerate(strides) if stride == 2] == [0, 3, 7]
    names = set(network.state_dict())
    assert {"input_layer.0.weight", "input_layer.2.weight", "body.3.shortcut_layer.1.bias"} <= names
    assert {"body.20.res_layer.4.running_mean", "body.7.shortcut_layer.0.weight"} <= names
    assert not any(name.startswith("body.0.shortcut") for name in names)


def test_a_unit_equals_the_written_formula() -> None:
    torch.manual_seed(0)
    unit = IRUnit(4, 6, 2).eval()
    first, conv1, prelu, conv2, last = unit.res_layer.children()
    x = torch.randn(2, 4, 7, 7)
    down, norm = unit.shortcut_layer.children()
    torch.testing.assert_close(unit(x), last(conv2(prelu(conv1(first(x))))) + norm(down(x)))


def test_an_equal_width_is_subsampled_by_the_shortcut() -> None:
    unit = IRUnit(4, 4, 2).eval()
    nn.init.zeros_(unit.res_layer[4].weight)
    x = torch.randn(2, 4, 7, 7)
    torch.testing.assert_close(unit(x), x[:, :, ::2, ::2])


@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize(("size_px", "side"), [(112, 14), (64, 8), (50, 7)])
def test_stride_is_8_with_either_stem(stem_stride: int, size_px: int, side: int) -> None:
    network = IRNet((4, 6, 8), (1, 1, 1), stem_stride)
    assert network(torch.randn(2, 3, size_px, size_px)).shape == (2, 8, side, side)
