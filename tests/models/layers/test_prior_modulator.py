import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.models.layers.prior_modulator import ChannelGate, PriorMixing, PriorModulator, SpatialGate


@pytest.fixture
def maps() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 32, 6, 6, generator=generator), torch.randn(3, 8, 3, 3, generator=generator)


def modulator(**changes: object) -> PriorModulator:
    torch.manual_seed(0)
    return PriorModulator(32, 8, **changes)


def opened(alpha: float, beta: float) -> PriorModulator:
    module = modulator().eval()
    nn.init.constant_(module.alpha, alpha)
    nn.init.constant_(module.beta, beta)
    return module


def test_at_the_start_landmarks_change_nothing(maps: tuple[Tensor, Tensor]) -> None:
    x, prior = maps
    module = modulator().train()
    correction = module(x, prior) - x
    torch.testing.assert_close(correction, module(x, 5 * prior + 1) - x)
    torch.testing.assert_close(correction, module.bn(module.depthwise(x)).relu(), rtol=1e-4, atol=1e-5)
    assert (correction > -1e-5).all()


def test_at_the_start_only_the_strengths_learn(maps: tuple[Tensor, Tensor]) -> None:
    module = modulator().train()
    (module(*maps) * torch.randn(3, 32, 6, 6)).sum().backward()
    gates = [p for n, p in module.named_parameters() if "_gate." in n]
    assert len(gates) == 9
    assert not any(p.grad.any() for p in gates)
    assert module.alpha.grad.any()
    assert module.beta.grad.any()
    nn.init.constant_(module.alpha, 0.1)
    nn.init.constant_(module.beta, 0.1)
    (module(*maps) * torch.randn(3, 32, 6, 6)).sum().backward()
    assert all(p.grad.any() for p in gates)


def test_an_idle_batch_norm_makes_it_the_identity(maps: tuple[Tensor, Tensor]) -> None:
    module = opened(0.7, -0.4)
    nn.init.zeros_(module.bn.weight)
    nn.init.zeros_(module.bn.bias)
    assert torch.equal(module(*maps), maps[0])


def test_equations_1_and_2(maps: tuple[Tensor, Tensor]) -> None:
    x, prior = maps
    module = opened(0.7, -0.4)
    aligned = F.interpolate(prior, size=(6, 6), mode="bilinear", align_corners=False)
    assert module.channel_gate is not None
    assert module.spatial_gate is not None
    channel, spatial = module.channel_gate(aligned), module.spatial_gate(aligned)
    modulated = x * (1 + 0.7 * channel) * (1 - 0.4 * spatial)
    torch.testing.assert_close(module(x, prior), module.bn(module.depthwise(modulated)).relu() + x)
    found = module.gates(prior, (6, 6))
    assert torch.equal(found.channel, channel)
    assert torch.equal(found.spatial, spatial)


def test_gates_lie_between_0_and_1_and_see_landmarks_alone(maps: tuple[Tensor, Tensor]) -> None:
    prior = 3 * maps[1]
    for gate, shape in ((ChannelGate(8, 32), (3, 32, 1, 1)), (SpatialGate(8), (3, 1, 3, 3))):
        found = gate(prior)
        assert found.shape == shape
        assert found.min() > 0
        assert found.max() < 1


def test_strengths_can_be_many_or_fixed(maps: tuple[Tensor, Tensor]) -> None:
    assert modulator().alpha.shape == (1, 1, 1)
    assert modulator(per_channel=True).beta.shape == (32, 1, 1)
    fixed = modulator(start=1.0, learnt=False)
    assert not {"alpha", "beta"} & {n for n, _ in fixed.named_parameters()}
    assert {"alpha", "beta"} < set(fixed.state_dict())
    same = opened(1.0, 1.0)
    torch.testing.assert_close(fixed.eval()(*maps), same(*maps))


def test_either_gate_can_be_left_out(maps: tuple[Tensor, Tensor]) -> None:
    x, prior = maps
    plain, none = modulator(channel_gate=False).eval(), modulator(channel_gate=False, spatial_gate=False).eval()
    assert plain.gates(prior, (6, 6)).channel is None
    nn.init.constant_(plain.beta, 0.5)
    torch.testing.assert_close(plain.modulated(x, prior), x * (1 + 0.5 * plain.gates(prior, (6, 6)).spatial))
    assert torch.equal(none.modulated(x, None), x)
    assert not [n for n in none.state_dict() if "gate" in n or n in ("alpha", "beta")]


def test_separable_adds_a_1x1_convolution() -> None:
    plain, more = (sum(p.numel() for p in modulator(separable=s).parameters()) for s in (False, True))
    assert more - plain == 32 * 32


def test_mixing_adds_or_joins(maps: tuple[Tensor, Tensor]) -> None:
    x, prior = maps
    torch.manual_seed(0)
    aligned = F.interpolate(prior, size=(6, 6), mode="bilinear", align_corners=False)
    add, concat = PriorMixing(32, 8, "add").eval(), PriorMixing(32, 8, "concat").eval()
    torch.testing.assert_close(add(x, prior), x + add.unit.bn(add.unit.conv(aligned)))
    joined = concat.unit.bn(concat.unit.conv(torch.cat((x, aligned), 1))).relu()
    torch.testing.assert_close(concat(x, prior), joined)
