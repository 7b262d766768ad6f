from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mien.models import landmarks
from mien.models.product_cross import Block, Config, ProductCross, SmallConfig
from mien.schema.errors import BundleError, ConfigError
from mien.schema.inputs import IMAGENET_MEAN, IMAGENET_STD
from mien.schema.labels import RAF_DB

MILLION, GIGA = 1e6, 1e9


def tiny(**changes: Any) -> ProductCross:
    torch.manual_seed(0)
    return replace(Config.tiny(), **changes).build(RAF_DB)


@pytest.fixture
def image() -> Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def parameters(module: nn.Module) -> float:
    return sum(p.numel() for p in module.parameters()) / MILLION


def macs(module: nn.Module, *inputs: Tensor) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    return counter.get_total_flops() / 2 / GIGA


@contextmanager
def on_meta(config: Config) -> Iterator[tuple[ProductCross, Tensor]]:
    with torch.device("meta"):
        yield config.build(RAF_DB).eval(), torch.empty(1, 3, 112, 112)


# The paper's counts (Tables 2 and 7; multiply-accumulates)


def test_counts_of_the_paper() -> None:
    with on_meta(Config(pos_embed=False)) as (network, image):
        whole, total = parameters(network), macs(network, image)
        assert (parameters(network.image), macs(network.image, image)) == pytest.approx((17.6, 5.5), abs=0.05)
        assert (parameters(network.landmark), macs(network.landmark, image)) == pytest.approx((1.0, 0.2), abs=0.03)
        attention = whole - parameters(network.image) - parameters(network.landmark)
        assert attention == pytest.approx(15.6, abs=0.5)
        prior = FlopCounterMode(display=False)
        with prior, torch.no_grad():
            network.landmark.forward_prior(image)
        attention_macs = total - macs(network.image, image) - prior.get_total_flops() / 2 / GIGA
        assert attention_macs == pytest.approx(3.6, abs=0.2)
        assert whole == pytest.approx(34.2, abs=0.5)
        assert total == pytest.approx(9.3, abs=0.2)


@pytest.mark.parametrize(
    ("changes", "million", "giga"),
    [
        ({}, 34.587, 9.327),
        ({"pos_embed": False}, 34.284, 9.327),
        ({"qkv": "separate", "se_gate": False, "pos_embed": False}, 34.284, 8.861),
        ({"depth": 8, "mlp_ratio": 3.0, "pos_embed": False}, 67.377, 18.283),
        ({"skip_discarded": True}, 34.587, 7.414),
    ],
)
def test_counts_of_the_variants(changes: dict[str, Any], million: float, giga: float) -> None:
    with on_meta(Config(**changes)) as (network, image):
        assert parameters(network) == pytest.approx(million, abs=0.002)
        assert macs(network, image) == pytest.approx(giga, abs=0.01)


def test_the_small_bundle_stays_under_12_mb() -> None:
    """Two bytes a number in both files, the landmark tail in one of them only; 180 kB for graph and texts."""
    tail = tuple(f"landmark.{part}." for part in ("conv_45", "conv_5", "conv_6_sep", "output_layer"))
    with on_meta(SmallConfig()) as (network, _):
        numbers = {n: t.numel() for n, t in network.state_dict().items() if t.is_floating_point()}
        in_graph = sum(size for n, size in numbers.items() if not n.startswith(tail))
        assert 2 * (sum(numbers.values()) + in_graph) + 180_000 < 12 * MILLION
        assert sum(p.numel() for p in network.parameters() if p.requires_grad) > 2.0 * MILLION


def test_all_maps_are_14_by_14() -> None:
    with on_meta(Config()) as (network, image):
        maps = network.forward_maps(image)
        assert [tuple(m.shape[1:]) for m in maps] == [(128, 14, 14), (256, 14, 14), (1, 14, 14), (256, 14, 14)]
        logits, feature, heatmap = network(image)
        assert (logits.shape, feature.shape, heatmap.shape) == ((1, 7), (1, 768), (1, 1, 14, 14))


@pytest.mark.parametrize(("size_px", "side"), [(64, 8), (112, 14), (40, 5)])
def test_any_size_runs(size_px: int, side: int) -> None:
    network = tiny(size_px=112).eval()
    with torch.no_grad():
        assert network(torch.randn(2, 3, size_px, size_px)).heatmap.shape == (2, 1, side, side)


# The product


def with_prior(network: ProductCross, factor: float) -> ProductCross:
    plain = network.landmark.forward_prior
    network.landmark.forward_prior = lambda image: factor * plain(image)  # type: ignore[method-assign]
    return network


def test_scaled_landmark_maps_scale_the_product(image: Tensor) -> None:
    plain, scaled = tiny().eval().forward_maps(image), with_prior(tiny().eval(), 3.0).forward_maps(image)
    torch.testing.assert_close(scaled.fusion, 3 * plain.fusion)
    torch.testing.assert_close(plain.factor[:, 0], plain.landmark.max(1).values)
    torch.testing.assert_close(plain.fusion, plain.factor.expand_as(plain.image) * plain.image)


def test_the_factors_of_table_4(image: Tensor) -> None:
    total, absolute = (tiny(attn_map=kind).eval().forward_maps(image) for kind in ("sum", "abs_sum"))
    torch.testing.assert_close(total.factor[:, 0], sum(total.landmark.unbind(1)))
    assert (absolute.factor >= total.factor.abs() - 1e-5).all()
    network = tiny(attn_map="conv", attn_map_kernel=3).eval()
    maps = network.forward_maps(image)
    assert maps.factor.shape == maps.image.shape
    torch.testing.assert_close(network(image).heatmap[:, 0], maps.factor.mean(1))


def test_without_the_product_the_image_map_is_the_fusion(image: Tensor) -> None:
    network = tiny(dot=False, attn_map="conv").eval()
    maps = network.forward_maps(image)
    assert maps.fusion is maps.image
    assert network.attn_map is None
    assert network(image).heatmap.shape == (3, 1, 4, 4)


# Cross attention


def test_cross_attention_with_itself_is_self_attention() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(2, 5, 24)
    alone, crossed = Block(replace(Config.tiny(), cross=False)).eval(), Block(Config.tiny()).eval()
    weights = alone.state_dict()
    crossed.load_state_dict(
        {**weights, **{n.replace("norm1", "norm_q"): t for n, t in weights.items() if "norm1" in n}}
    )
    torch.testing.assert_close(crossed(tokens, tokens), alone(tokens, None))
    assert not torch.allclose(crossed(tokens, tokens.flip(1)), alone(tokens, None))


def test_a_block_equals_equation_5() -> None:
    torch.manual_seed(0)
    block = Block(Config.tiny()).eval()
    fusion, landmark = torch.randn(2, 5, 24), torch.randn(2, 5, 24)
    attended = fusion + block.attn(block.norm_q(landmark), block.norm1(fusion))
    torch.testing.assert_close(block(fusion, landmark), attended + block.mlp(block.norm2(attended)))
    bare = Block(replace(Config.tiny(), pre_norm_attn=False)).eval()
    attended = fusion + bare.attn(landmark, fusion)
    torch.testing.assert_close(bare(fusion, landmark), attended + bare.mlp(bare.norm2(attended)))


def test_landmark_tokens_enter_every_block_unchanged(image: Tensor) -> None:
    network = tiny(depth=3).eval()
    seen: list[Tensor] = []
    for block in network.blocks:
        block.register_forward_pre_hook(lambda _, given: seen.append(given[1]))
    network(image)
    assert len(seen) == 3
    assert all(tokens is seen[0] for tokens in seen)


@pytest.mark.parametrize("changes", [{}, {"qkv": "separate"}, {"cross": False}, {"depth": 1}, {"attn_scale": "width"}])
def test_leaving_out_what_is_discarded_changes_nothing(changes: dict[str, Any], image: Tensor) -> None:
    whole = tiny(drop=0.0, **changes)
    lean = whole.lean()
    assert lean.config.skip_discarded
    found, expected = lean(image), whole(image)
    torch.testing.assert_close(found.logits, expected.logits)
    torch.testing.assert_close(found.feature, expected.feature)
    for outputs in (found, expected):
        outputs.logits.square().sum().backward()
    for (name, own), their in zip(lean.named_parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(own.grad, their.grad, msg=name)


def test_scores_are_scaled_by_either_width() -> None:
    assert Config().score_scale == pytest.approx(96**-0.5)
    assert Config(attn_scale="width").score_scale == pytest.approx(768**-0.5)


def test_dropout_is_all_the_noise_of_training() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(2, 5, 24)
    quiet, noisy = Block(replace(Config.tiny(), drop=0.0)).train(), Block(Config.tiny()).train()
    assert torch.equal(quiet(tokens, tokens), quiet(tokens, tokens))
    assert not torch.equal(noisy(tokens, tokens), noisy(tokens, tokens))


# Head


def test_the_feature_is_taken_before_or_after_the_gate(image: Tensor) -> None:
    before, after = tiny().eval(), tiny(anchor_feature="post_se").eval()
    assert before.gate is not None
    torch.testing.assert_close(before.gate(before(image).feature), after(image).feature)
    torch.testing.assert_close(before(image).logits, after(image).logits)
    torch.testing.assert_close(after.head(after(image).feature), after(image).logits)


# The landmark network


def test_raw_view_is_bgr_in_0_to_1() -> None:
    rgb = torch.rand(2, 3, 32, 32)
    mean, std = torch.tensor(IMAGENET_MEAN).view(3, 1, 1), torch.tensor(IMAGENET_STD).view(3, 1, 1)
    network = tiny(landmark_input="raw01_bgr")
    torch.testing.assert_close(network.landmark_view((rgb - mean) / std), rgb[:, [2, 1, 0]])
    assert not [name for name in network.state_dict() if name in ("mean", "std")]


def test_the_landmark_network_never_moves_in_training(image: Tensor) -> None:
    network = tiny().train()
    before = {n: t.clone() for n, t in network.landmark.state_dict().items()}
    optimizer = torch.optim.SGD(network.parameters(), 0.1, weight_decay=0.1)
    network(image).logits.sum().backward()
    optimizer.step()
    assert all(torch.equal(t, before[n]) for n, t in network.landmark.state_dict().items())
    assert all(p.grad is None for p in network.landmark.parameters())
    assert not network.landmark.training
    assert network.image.training


def test_the_prior_comes_from_a_landmark_model(image: Tensor) -> None:
    network = tiny().eval()
    prior = landmarks.Config(width=8, depths=(1, 1, 1), head_width=16).build(None).eval()
    network.load_prior(prior.state_dict())
    torch.testing.assert_close(network.landmark_points(image), prior(image).landmarks)
    before = {n: t.clone() for n, t in network.state_dict().items()}
    other = landmarks.Config(width=8, depths=(1, 2, 1), head_width=16).build(None)
    with pytest.raises(BundleError, match="prior_depths"):
        network.load_prior(other.state_dict())
    assert all(torch.equal(t, before[n]) for n, t in network.state_dict().items())


# Switches

SWITCHES: tuple[dict[str, Any], ...] = (
    *({"dot": dot, "cross": cross} for dot in (False, True) for cross in (False, True)),
    *({"attn_map": kind} for kind in ("sum", "abs_sum", "conv")),
    {"qkv": "separate"},
    {"qkv": "separate", "cross": False},
    {"se_gate": False},
    {"anchor_feature": "post_se"},
    {"pos_embed": False},
    {"pre_norm_attn": False},
    {"depth": 1},
    {"depth": 1, "pos_embed": False},
    {"depth": 3, "mlp_ratio": 3.0},
    {"stem_stride": 2},
    {"landmark_input": "raw01_bgr"},
    {"freeze_landmark": False},
    {"freeze_landmark": False, "dot": False},
    {"freeze_landmark": False, "dot": False, "depth": 1},
    {"freeze_landmark": False, "dot": False, "cross": False},
)


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("changes", SWITCHES, ids=str)
def test_every_switch_trains_what_it_says(changes: dict[str, Any], lean: bool, image: Tensor) -> None:
    network = tiny(skip_discarded=lean, **changes).train()
    torch.manual_seed(2)
    outputs = network(image)
    (torch.randn_like(outputs.logits) * outputs.logits).sum().backward()
    without = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert without == network.frozen_parameters() | network.unused_parameters()


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="multiple of heads"):
        Config(width=100)
    with pytest.raises(ConfigError, match="at least 1"):
        Config(depth=0)
    with pytest.raises(ConfigError, match="odd"):
        Config(attn_map_kernel=2)
    with pytest.raises(ConfigError, match="se_gate"):
        Config(anchor_feature="post_se", se_gate=False)
    with pytest.raises(ConfigError, match="label set"):
        Config.tiny().build(None)


def test_flip_test_answers_with_the_mean_over_a_face_and_its_mirror_image(image: Tensor) -> None:
    torch.manual_seed(3)
    config = replace(Config.tiny(), flip_test=True)
    network = config.build(RAF_DB).eval()
    with torch.no_grad():
        found, mirrored = network(image), network(image.flip(-1))
        upright, turned = network.forward_once(image), network.forward_once(image.flip(-1))
    torch.testing.assert_close(found.logits, (upright.logits + turned.logits) / 2)
    torch.testing.assert_close(found.feature, (upright.feature + turned.feature) / 2)
    torch.testing.assert_close(found.logits, mirrored.logits)
    torch.testing.assert_close(found.heatmap, mirrored.heatmap.flip(-1))
    assert not torch.allclose(upright.logits, turned.logits)
    with torch.no_grad():
        torch.testing.assert_close(network.lean()(image).logits, found.logits)
    plain = replace(config, flip_test=False, drop=0.0).build(RAF_DB)
    learning = replace(config, drop=0.0).build(RAF_DB)
    learning.load_state_dict(plain.state_dict())
    torch.testing.assert_close(learning.train()(image).logits, plain.train()(image).logits)
