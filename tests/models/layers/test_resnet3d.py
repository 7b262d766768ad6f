import pytest
import torch
from torchvision.models.video import r3d_18

from mien.models.layers.resnet3d import ResNet3d


def test_names_and_counts_are_those_of_torchvision() -> None:
    with torch.device("meta"):
        theirs, ours = r3d_18().state_dict(), ResNet3d().state_dict()
    assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in theirs.items() if not n.startswith("fc.")}


def test_the_map_is_that_of_torchvision() -> None:
    torch.manual_seed(0)
    reference, ours = r3d_18().eval(), ResNet3d().eval()
    ours.load_state_dict({n: t for n, t in reference.state_dict().items() if not n.startswith("fc.")})
    kept: list[torch.Tensor] = []
    reference.layer4.register_forward_hook(lambda _, given, out: kept.append(out))
    clip = torch.randn(1, 3, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        reference(clip)
        torch.testing.assert_close(ours(clip), kept[0])


@pytest.mark.parametrize(("frames", "left"), [(1, 1), (4, 1), (8, 1), (16, 2)])
def test_what_is_left_of_time(frames: int, left: int) -> None:
    with torch.device("meta"):
        assert ResNet3d()(torch.empty(1, 3, frames, 112, 112)).shape == (1, 512, left, 7, 7)
