import pytest
import torch
from torch import nn

from mien.models.layers.conv_block import ConvBlock
from mien.models.layers.mcnn import BANDS_TO_CELLS, MCNN, TIME_TO_CELLS


def network() -> MCNN:
    torch.manual_seed(0)
    return MCNN((4, 8, 16), nn.Identity()).eval()


def first_block(name: str) -> ConvBlock:
    branch = network().branches[name]
    assert isinstance(branch, nn.Sequential)
    assert isinstance(branch[0], ConvBlock)
    return branch[0]


@pytest.mark.parametrize(("name", "axis"), [("temporal", 2), ("spectral", 3)])
def test_a_branch_sees_one_axis_alone(name: str, axis: int) -> None:
    """Bands are axis 2, time is axis 3."""
    block = first_block(name)
    sound = torch.randn(1, 1, 12, 14, generator=torch.Generator().manual_seed(1))
    changed = sound.clone()
    changed.select(axis, 5).add_(1)
    moved = (block.conv(changed) - block.conv(sound)).abs().sum(dim=(0, 1, 5 - axis))
    assert moved.nonzero().flatten().tolist() == [5]


def test_the_local_branch_sees_both_axes() -> None:
    block = first_block("local")
    sound = torch.zeros(1, 1, 9, 9)
    sound[..., 4, 4] = 1
    reached = block.conv(sound).abs().sum((0, 1)).nonzero()
    assert reached.amin(0).tolist() == [3, 3]
    assert reached.amax(0).tolist() == [5, 5]


def test_kernels_of_the_branches() -> None:
    kernels = {
        name: [tuple(m.kernel_size) for m in branch.modules() if isinstance(m, nn.Conv2d)]
        for name, branch in network().branches.items()
    }
    assert kernels == {"local": [(3, 3), (5, 5)], "temporal": [(1, 9), (1, 7)], "spectral": [(9, 1), (7, 1)]}


def test_the_size_of_the_map_and_of_what_attention_sees() -> None:
    seen: list[tuple[int, ...]] = []

    class Look(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(tuple(x.shape))
            return x

    out = MCNN((4, 8, 16), Look()).eval()(torch.randn(2, 1, 64, 128))
    assert seen == [(2, 24, 16, 32)]
    assert out.shape == (2, 16, 64 // BANDS_TO_CELLS, 128 // TIME_TO_CELLS)


def test_parameters_without_attention_and_classifier() -> None:
    with torch.device("meta"):
        counted = sum(p.numel() for p in MCNN((32, 64, 256), nn.Identity()).parameters())
    assert counted == 1_116_584 - (256 * 8 + 8)
