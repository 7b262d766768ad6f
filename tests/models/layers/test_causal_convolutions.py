import torch

from mien.deploy.export import round_to_half
from mien.models.layers.causal_convolutions import CausalConvolution, CausalConvolutions


def test_no_step_sees_what_comes_later():
    torch.manual_seed(0)
    network, x = CausalConvolutions(3, 5, 3).eval(), torch.randn(2, 3, 12)
    later = x.clone()
    later[..., 7:] = 9
    before, after = network(x), network(later)
    assert torch.equal(before[..., :7], after[..., :7])
    assert not torch.allclose(before[..., 7:], after[..., 7:])


def test_weights_are_normalised_by_filter_and_start_small():
    torch.manual_seed(0)
    layer = CausalConvolution(64, 32, 3, 1)
    torch.testing.assert_close(layer.weight(), layer.weight_v)
    assert abs(layer.weight().std().item() - 0.01) < 5e-4
    layer.weight_v.data *= 3
    assert abs(layer.weight().std().item() - 0.01) < 5e-4


def test_filters_that_decay_has_shrunk_survive_rounding():
    torch.manual_seed(0)
    network, x = CausalConvolutions(3, 5, 2).eval(), torch.randn(2, 3, 12)
    for layer in network.modules():
        if isinstance(layer, CausalConvolution):
            layer.weight_v.data *= 1e-9
    before = network(x)
    assert torch.isfinite(before).all()
    torch.testing.assert_close(round_to_half(network)(x), before, rtol=0, atol=2e-3)
