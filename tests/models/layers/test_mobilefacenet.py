import pytest
import torch
from torch.nn import functional as F

from mien.models.layers.mobilefacenet import LinearUnit, MobileFaceNet


@pytest.fixture(scope="module")
def network() -> MobileFaceNet:
    torch.manual_seed(0)
    return MobileFaceNet().eval()


def test_tensors_are_those_of_the_public_checkpoint(network: MobileFaceNet) -> None:
    names = set(network.state_dict())
    assert len(names) == 333
    assert {
        "conv1.conv.weight",
        "conv1.bn.running_var",
        "conv1.prelu.weight",
        "conv2_dw.conv.weight",
        "conv_23.conv_dw.prelu.weight",
        "conv_23.project.bn.bias",
        "conv_3.model.3.project.conv.weight",
        "conv_4.model.5.conv.conv.weight",
        "conv_45.conv.conv.weight",
        "conv_5.model.1.project.bn.weight",
        "conv_6_sep.prelu.weight",
        "output_layer.conv_6_dw.conv.weight",
        "output_layer.linear.weight",
        "output_layer.bn.running_mean",
    } <= names
    assert network.state_dict()["output_layer.linear.weight"].shape == (136, 512)


def test_taps_at_112_pixels(network: MobileFaceNet) -> None:
    image = torch.randn(2, 3, 112, 112)
    with torch.no_grad():
        taps = network.forward_features(image)
        prior = network.forward_prior(image)
    assert [tuple(tap.shape[1:]) for tap in taps] == [(64, 28, 28), (128, 14, 14), (512, 7, 7)]
    torch.testing.assert_close(prior, taps.conv_4, rtol=0, atol=0)
    assert network.prior_channels == 128


@pytest.mark.parametrize("size_px", [48, 64, 100])
def test_other_sizes_run(network: MobileFaceNet, size_px: int) -> None:
    with torch.no_grad():
        points = network(torch.randn(2, 3, size_px, size_px))
    assert points.shape == (2, 136)
    assert points.isfinite().all()


def test_a_new_network_points_at_the_centre() -> None:
    torch.manual_seed(0)
    points = MobileFaceNet(8, (1, 1, 1), 16)(torch.randn(16, 3, 112, 112))
    assert abs(points.mean().item() - 0.5) < 0.02
    assert points.std().item() < 0.1


def test_strided_depthwise_convolution_is_exact_under_autocast() -> None:
    torch.manual_seed(0)
    unit = LinearUnit(4, 4, 3, 2, 1, groups=4).eval()
    x = torch.randn(2, 4, 8, 8)
    expected = unit.bn(F.conv2d(x, unit.conv.weight, stride=2, padding=1, groups=4))
    with torch.autocast("cpu", torch.bfloat16):
        found = unit(x)
        assert unit(x.bfloat16()).dtype == torch.bfloat16
    torch.testing.assert_close(found, expected)
