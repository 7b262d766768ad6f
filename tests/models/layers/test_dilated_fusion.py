import torch
from torch import nn
from torch.nn import functional as F

from mien.models.layers.dilated_fusion import DILATIONS, DilatedFusion


def test_it_equals_the_layout_step_by_step() -> None:
    torch.manual_seed(0)
    layer = DilatedFusion(6, 5, 3, 0.2, 4).eval()
    voice, face = torch.randn(2, 6, 4, 8), torch.randn(2, 3, 5, 7, 7)
    share, looks = torch.tensor([0.2, 0.9]), torch.rand(2, 3).softmax(1)
    found = layer(voice, face, share, looks)
    for b in range(2):
        heard = F.interpolate(voice[b : b + 1], (7, 7), mode="bilinear") * 2 * share[b]
        seen = torch.einsum("k,kdhw->dhw", looks[b], face[b])[None] * 2 * (1 - share[b])
        both = torch.cat((heard, seen), 1)
        total = torch.zeros(1, 4, 7, 7)
        for conv, rate in zip(layer.convs, DILATIONS, strict=True):
            assert isinstance(conv, nn.Conv2d)
            total = total + F.conv2d(both, conv.weight, padding=rate, dilation=rate)
        pooled = layer.bn(total).relu().mean((2, 3))
        torch.testing.assert_close(found[b : b + 1], layer.head(pooled))


def test_half_a_share_leaves_the_maps_as_they_are() -> None:
    torch.manual_seed(0)
    layer, kept = DilatedFusion(6, 5, 3, 0.0, 4).eval(), list[torch.Tensor]()
    layer.convs[0].register_forward_pre_hook(lambda _, given: kept.append(given[0]))
    voice, face = torch.randn(1, 6, 7, 7), torch.randn(1, 1, 5, 7, 7)
    layer(voice, face, torch.tensor([0.5]), torch.ones(1, 1))
    torch.testing.assert_close(kept[0], torch.cat((voice, face[:, 0]), 1))


def test_parameters() -> None:
    with torch.device("meta"):
        counted = sum(p.numel() for p in DilatedFusion(256, 256, 8, 0.2).parameters())
    assert counted == 3 * 512 * 128 * 9 + 2 * 128 + 128 * 8 + 8
