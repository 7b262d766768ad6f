import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.resnet import BasicBlock, resnet18
from torchvision.models.resnet import ResNet as Published

from mien.models.layers.resnet import Enlarge, ResNet

STRIDES = {"none": (), "layer4": ("layer4",), "layer3+4": ("layer3", "layer4")}


def published(enlarge: str) -> torch.nn.Module:
    """torchvision's network of eight layers, its strides changed by hand."""
    torch.manual_seed(0)
    network = Published(BasicBlock, [1, 1, 1, 1])
    for name in STRIDES[enlarge]:
        block = getattr(network, name)[0]
        block.conv1.stride = block.downsample[0].stride = (1, 1)
    return network.eval()


@pytest.mark.parametrize("enlarge", STRIDES)
def test_the_map_is_that_of_torchvision(enlarge: Enlarge) -> None:
    reference, ours = published(enlarge), ResNet(units=(1, 1, 1, 1), enlarge=enlarge).eval()
    weights = {n: t for n, t in reference.state_dict().items() if not n.startswith("fc.")}
    ours.load_state_dict(weights, strict=True)
    kept: list[torch.Tensor] = []
    reference.layer4.register_forward_hook(lambda _, given, out: kept.append(out))
    image = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        reference(image)
        torch.testing.assert_close(ours(image), kept[0])


def test_names_are_those_of_resnet_18() -> None:
    with torch.device("meta"):
        theirs, ours = resnet18().state_dict(), ResNet().state_dict()
    assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in theirs.items() if not n.startswith("fc.")}


@pytest.mark.parametrize(
    ("enlarge", "side", "giga"), [("none", 4, 0.485), ("layer4", 7, 0.762), ("layer3+4", 14, 2.303)]
)
def test_counts_at_112_pixels(enlarge: Enlarge, side: int, giga: float) -> None:
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        network = ResNet(enlarge=enlarge)
        assert network(torch.empty(1, 3, 112, 112)).shape == (1, 512, side, side)
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga, abs=0.001)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(11.177e6, abs=1e3)


def test_convolutions_start_by_the_rule_of_he_over_what_leaves_them() -> None:
    torch.manual_seed(0)
    network = ResNet((16, 32, 48, 64))
    assert network.layer4[1].conv1.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.03)
