import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.models.layers.hybrid_encoder import CrossStage, Elan, HybridEncoder, Interaction
from mien.models.layers.positioned_attention import sincos_2d


def stirred(network: nn.Module) -> nn.Module:
    """In evaluation, with batch norms that do something."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return network.eval()


def unit(layer: nn.Module, x: Tensor, act: bool = True) -> Tensor:
    conv, bn = layer.conv, layer.bn
    x = F.conv2d(x, conv.weight, None, conv.stride, conv.padding, 1, conv.groups)
    x = (x - bn.running_mean[:, None, None]) / (bn.running_var[:, None, None] + bn.eps).sqrt()
    x = x * bn.weight[:, None, None] + bn.bias[:, None, None]
    return x * x.sigmoid() if act else x


def cross_stage(layer: CrossStage, x: Tensor) -> Tensor:
    worked = unit(layer.worked, x)
    twin = unit(layer.block.conv3, worked, act=False) + unit(layer.block.conv1, worked, act=False)
    return twin * twin.sigmoid() + unit(layer.plain, x)


def elan(layer: Elan, x: Tensor) -> Tensor:
    entered = unit(layer.enter, x)
    first = unit(layer.first[1], cross_stage(layer.first[0], entered[:, entered.shape[1] // 2 :]))
    second = unit(layer.second[1], cross_stage(layer.second[0], first))
    return unit(layer.leave, torch.cat((entered, first, second), 1))


def test_it_has_the_size_of_the_baseline() -> None:
    with torch.device("meta"):
        network = HybridEncoder((256, 512, 1024))
        assert sum(p.numel() for p in network.parameters()) == pytest.approx(4.02e6, abs=0.005e6)
        for size in (224, 640):
            maps = [torch.empty(1, c, size // s, size // s) for c, s in ((256, 8), (512, 16), (1024, 32))]
            assert [x.shape for x in network(maps)] == [(1, 256, size // s, size // s) for s in (8, 16, 32)]


def test_it_equals_the_written_pyramid() -> None:
    torch.manual_seed(0)
    network = stirred(HybridEncoder((4, 6, 10), dim=16))
    maps = [torch.randn(2, c, side, side) for c, side in ((4, 8), (6, 4), (10, 2))]
    p3, p4, p5 = (unit(layer, x, act=False) for layer, x in zip(network.project, maps, strict=True))

    def enlarge(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    def shrink(layer: nn.Module, x: Tensor) -> Tensor:
        return unit(layer[1], unit(layer[0], x), act=False)

    with torch.no_grad():
        n5 = unit(network.lateral[0], network.interaction(p5), act=False)
        n4 = elan(network.fuse_down[0], torch.cat((enlarge(n5), p4), 1))
        n4 = unit(network.lateral[1], n4, act=False)
        out3 = elan(network.fuse_down[1], torch.cat((enlarge(n4), p3), 1))
        out4 = elan(network.fuse_up[0], torch.cat((shrink(network.shrink[0], out3), n4), 1))
        out5 = elan(network.fuse_up[1], torch.cat((shrink(network.shrink[1], out4), n5), 1))
        found = network(maps)
    for ours, expected in zip(found, (out3, out4, out5), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_the_interaction_is_a_transformer_layer_with_placed_queries_and_keys() -> None:
    torch.manual_seed(0)
    layer, x = Interaction(16, heads=4), torch.randn(2, 16, 3, 5)
    reference = nn.MultiheadAttention(16, 4, batch_first=True)
    names = {"in_proj_weight": layer.attn.qkv.weight, "in_proj_bias": layer.attn.qkv.bias}
    names |= {"out_proj.weight": layer.attn.proj.weight, "out_proj.bias": layer.attn.proj.bias}
    reference.load_state_dict(names)
    tokens = x.flatten(2).transpose(1, 2)
    placed = tokens + sincos_2d(3, 5, 16)
    tokens = layer.norm1(tokens + reference(placed, placed, tokens, need_weights=False)[0])
    tokens = layer.norm2(tokens + layer.mlp.fc2(F.gelu(layer.mlp.fc1(tokens))))
    torch.testing.assert_close(layer(x), tokens.transpose(1, 2).view(2, 16, 3, 5))


def test_maps_that_do_not_halve_evenly_keep_their_sizes() -> None:
    network = HybridEncoder((4, 4, 4), dim=8).eval()
    maps = [torch.randn(1, 4, side, side) for side in (7, 4, 2)]
    assert [x.shape[-1] for x in network(maps)] == [7, 4, 2]


def test_it_runs_in_half_precision_and_every_weight_learns() -> None:
    torch.manual_seed(0)
    network = HybridEncoder((4, 4, 4), dim=8)
    maps = [torch.randn(2, 4, side, side) for side in (8, 4, 2)]
    with torch.autocast("cpu", torch.bfloat16):
        found = network(maps)
    sum((torch.randn_like(x) * x).sum() for x in found).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
