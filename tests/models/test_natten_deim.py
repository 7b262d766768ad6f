from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mien.models import landmarks
from mien.models.layers import neighborhood
from mien.models.natten_deim import Classifier, Config, Detector
from mien.schema.errors import BundleError, ConfigError
from mien.schema.inputs import ImageSpec, PictureSpec
from mien.schema.labels import RAF_DB

MILLION, GIGA = 1e6, 1e9
BOXES = torch.tensor([[[0.5, 0.5, 0.3, 0.4], [0.2, 0.3, 0.2, 0.2]], [[0.6, 0.4, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0]]])
BOX_LABELS = torch.tensor([[3, 1], [6, -1]])


def tiny(**changes: Any) -> Classifier:
    torch.manual_seed(0)
    network = replace(Config.tiny(), **changes).build(RAF_DB)
    assert isinstance(network, Classifier)
    return network


def tiny_detector(**changes: Any) -> Detector:
    torch.manual_seed(0)
    network = replace(Config.tiny_detector(), **changes).build(RAF_DB)
    assert isinstance(network, Detector)
    return network


@pytest.fixture
def image() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def parameters(*modules: nn.Module) -> float:
    return sum(p.numel() for module in modules for p in module.parameters()) / MILLION


def macs(module: nn.Module, *inputs: Tensor) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    return counter.get_total_flops() / 2 / GIGA


@contextmanager
def on_meta(config: Config) -> Iterator[tuple[Any, Tensor]]:
    with torch.device("meta"):
        yield config.build(RAF_DB).eval(), torch.empty(1, 3, config.side_px, config.side_px)


def named(word: str, network: nn.Module) -> float:
    """Millions of parameters whose names contain a word."""
    return sum(p.numel() for n, p in network.named_parameters() if word in n) / MILLION


# Counts; the paper states none


def test_parameters_of_the_parts() -> None:
    with on_meta(Config()) as (network, _):
        assert parameters(network) == pytest.approx(16.80, abs=0.005)
        assert parameters(network.trunk) == pytest.approx(1.850, abs=0.001)
        assert parameters(network.landmark) == pytest.approx(1.007, abs=0.001)
        assert named(".modulator.", network) == pytest.approx(0.218, abs=0.001)
        assert named(".blocks.", network.scales) == pytest.approx(11.03, abs=0.005)
        assert named(".unify.", network) == pytest.approx(2.23, abs=0.005)
        assert parameters(network.fuse, network.attention, network.head) == pytest.approx(0.463, abs=0.001)


@pytest.mark.parametrize(
    ("changes", "million", "giga"),
    [({}, 16.80, 2.54), ({"reduce_first": True}, 7.55, 1.91), ({"depth": 2}, 27.83, 3.80)],
)
def test_counts_at_224_pixels(changes: Any, million: float, giga: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Multiply-accumulates of what the text describes, without the attention of the grid, by the definition."""
    with on_meta(Config(**changes)) as (network, _):
        assert parameters(network) == pytest.approx(million, abs=0.005)
    monkeypatch.setattr(neighborhood, "attend_tiles", neighborhood.attend_windows)
    with on_meta(Config(**changes, mha=False)) as (network, image):
        assert macs(network, image) == pytest.approx(giga, abs=0.01)


def test_counts_as_run() -> None:
    for config, million, giga in (
        (Config(), 16.80, 2.72),
        (Config(head="det"), 20.72, 25.69),
        (Config(head="det", neck="hybrid"), 9.79, 14.62),
        (Config.small(), 5.36, 1.43),
    ):
        with on_meta(config) as (network, image):
            assert (parameters(network), macs(network, image)) == pytest.approx((million, giga), abs=0.006)


@pytest.mark.parametrize(("size_px", "sides"), [(224, (28, 14, 7)), (640, (80, 40, 20))])
def test_shapes(size_px: int, sides: tuple[int, int, int]) -> None:
    middle = sides[1]
    with on_meta(Config(size_px=size_px)) as (network, image):
        maps = network.forward_maps(image)
        assert [tuple(m.shape) for m in maps.scales] == [(1, 256, side, side) for side in sides]
        assert maps.fused.shape == maps.enhanced.shape == (1, 256, middle, middle)
        logits, feature, attention = network(image)
        assert (logits.shape, feature.shape, attention.shape) == ((1, 7), (1, 256), (1, 8, middle, middle))


def test_the_landmark_maps_fit_those_of_the_trunk_at_224_pixels() -> None:
    with on_meta(Config()) as (network, image):
        for prior, own in zip(network.landmark.forward_maps(image), network.trunk(image), strict=True):
            assert prior.shape[2:] == own.shape[2:]


def test_inputs_follow_the_head() -> None:
    assert Config(colour="grey", source_px=48).inputs() == {
        "image": ImageSpec(size_px=224, colour="grey", source_px=48)
    }
    assert Config(head="det", resize="stretch").inputs() == {"image": PictureSpec(size_px=640, resize="stretch")}
    assert Config.small().inputs()["image"].shape == (3, 256, 256)


# The classifier


def test_the_network_reads_as_the_figure(image: Tensor) -> None:
    network = tiny().eval()
    assert network.landmark is not None
    priors = network.landmark.forward_maps(image)
    maps = [scale(x, prior) for scale, x, prior in zip(network.scales, network.trunk(image), priors, strict=True)]
    fine, middle, coarse = maps
    aligned = (
        nn.functional.avg_pool2d(fine, 2),
        middle,
        nn.functional.interpolate(coarse, scale_factor=2, mode="bilinear"),
    )
    assert network.fuse is not None
    assert network.attention is not None
    fused = network.fuse(torch.cat(aligned, 1))
    feature = network.attention(fused).mean((2, 3))
    outputs = network(image)
    torch.testing.assert_close(outputs.feature, feature)
    torch.testing.assert_close(outputs.logits, network.head(feature))
    torch.testing.assert_close(outputs.attention.sum((2, 3)), torch.ones(2, 2))


def test_at_the_start_landmarks_change_nothing(image: Tensor) -> None:
    network = tiny().eval()
    before = network(image).logits
    for tensor in network.landmark.state_dict().values():
        tensor.mul_(2) if tensor.is_floating_point() else None
    torch.testing.assert_close(network(image).logits, before)
    nn.init.constant_(network.scales[0].modulator.alpha, 0.5)
    assert not torch.allclose(network(image).logits, before)


def test_gates_are_shown_at_each_scale(image: Tensor) -> None:
    found = tiny().eval().forward_gates(image)
    assert [tuple(g.spatial.shape) for g in found] == [(2, 1, side, side) for side in (8, 4, 2)]
    assert [g.channel.shape[1] for g in found] == [24, 32, 48]
    assert all(gate.min() > 0 and gate.max() < 1 for both in found for gate in both)


def test_without_attention_the_grid_is_looked_at_evenly(image: Tensor) -> None:
    attention = tiny(mha=False).eval()(image).attention
    assert attention.shape == (2, 1, 4, 4)
    assert torch.equal(attention, torch.full_like(attention, 1 / 16))


def test_what_explains_it_exists(image: Tensor) -> None:
    from mien.deploy.explain import attention_maps, grad_cam

    network = tiny()
    assert attention_maps(network, image).shape == (2, 1, 4, 4)
    for layer, side in (("fused", 4), ("stride_8", 8), ("stride_32", 2)):
        assert grad_cam(network, image, layer=layer).shape == (2, side, side)


def test_the_prior_comes_from_a_landmark_model() -> None:
    model = landmarks.Config(width=8, depths=(1, 1, 1), head_width=16).build(None)
    network = tiny()
    network.load_prior(model.state_dict())
    assert torch.equal(network.landmark.conv1.conv.weight, model.backbone.conv1.conv.weight)
    with pytest.raises(BundleError, match="prior_width"):
        tiny(prior_width=12).load_prior(model.state_dict())
    tiny(lpb=False).load_prior(model.state_dict())


def test_the_frozen_prior_gets_no_gradient(image: Tensor) -> None:
    network = tiny(gate_start=0.3).train()
    network(image).logits.sum().backward()
    assert all(p.grad is None for p in network.landmark.parameters())
    assert not network.landmark.training
    assert all(g.grad.any() for n, g in network.named_parameters() if "_gate.fc2" in n)


@pytest.mark.parametrize("size_px", [96, 72])
def test_other_sizes_run(size_px: int) -> None:
    with torch.no_grad():
        assert tiny().eval()(torch.randn(1, 3, size_px, size_px)).attention.shape[2:] == (-(-size_px // 16),) * 2
        assert tiny_detector().eval()(torch.randn(1, 3, size_px, size_px)).pred_boxes.shape == (1, 12, 4)


# The detector


def test_the_middle_map_takes_what_attention_made(image: Tensor) -> None:
    network = tiny_detector().eval()
    maps, pyramid = network.forward_maps(image), network.forward_pyramid(image)
    assert torch.equal(pyramid[0], maps.scales[0])
    torch.testing.assert_close(pyramid[1], maps.scales[1] + maps.enhanced)
    assert torch.equal(pyramid[2], maps.scales[2])
    wider = tiny_detector(fuse_stride=8).eval().forward_pyramid(image)
    assert wider[1].shape == pyramid[1].shape


@pytest.mark.parametrize("neck", ["ours", "hybrid"])
def test_answers_of_a_detector(neck: str, image: Tensor) -> None:
    network = tiny_detector(neck=neck)
    answer = network.eval()(image)
    assert answer.pred_logits.shape == (2, 12, 7)
    assert answer.pred_boxes.shape == (2, 12, 4)
    assert answer.pred_boxes.min() >= 0
    assert answer.pred_boxes.max() <= 1
    assert all(part is None for part in answer[2:])
    trained = network.train()(image)
    assert trained.layer_logits.shape == (2, 2, 12, 7)
    assert trained.encoder_boxes.shape == (2, 12, 4)


def test_the_baseline_is_trunk_hybrid_encoder_and_head() -> None:
    names = {n.split(".")[0] for n in tiny_detector(neck="hybrid").state_dict()}
    assert names == {"trunk", "neck", "detector"}
    with on_meta(Config(head="det", neck="hybrid")) as (network, _):
        assert parameters(network.neck) == pytest.approx(4.02, abs=0.005)


def test_denoising_reads_the_targets_in_training_only(image: Tensor) -> None:
    assert tiny_detector().reads_targets == ()
    network = tiny_detector(num_denoising=4)
    assert network.reads_targets == ("boxes", "box_labels")
    trained = network.train()(image, BOXES, BOX_LABELS)
    assert trained.denoise_index is not None
    assert trained.denoise_logits.shape[:3] == (2, *trained.denoise_index.shape)
    judged = network.eval()(image, BOXES, BOX_LABELS)
    assert judged.denoise_index is None
    torch.testing.assert_close(judged.pred_logits, network(image).pred_logits)


def test_order_and_size_of_the_batch_change_no_detection() -> None:
    network, pictures = tiny_detector().eval(), torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole, single = network(pictures), network(pictures[2:])
    for both, one in zip(whole[:2], single[:2], strict=True):
        torch.testing.assert_close(both[2:], one, rtol=1e-4, atol=1e-4)


def test_a_detector_exports_boxes_and_scores_alone(image: Tensor) -> None:
    from mien.deploy.export import onnx_graph
    from mien.runtime.session import OnnxSession

    network = tiny_detector(layers=1).eval()
    session = OnnxSession(onnx_graph(network, network.config.inputs()), threads=1)
    found = session(image=image.numpy())
    assert set(found) == {"pred_logits", "pred_boxes"}
    with torch.no_grad():
        expected = network(image)
    for name in found:
        np.testing.assert_allclose(found[name], getattr(expected, name).numpy(), rtol=1e-2, atol=2e-3)


# Switches

SWITCHES: tuple[dict[str, Any], ...] = (
    {"scales": (16,)},
    {"scales": (8,), "freeze_landmark": False},
    {"scales": (8, 16), "freeze_landmark": False, "gate_start": 0.2},
    {"lpb": False},
    {"landmark_input": "raw01_bgr"},
    {"freeze_landmark": False},
    *({"dfpm": kind, "freeze_landmark": False} for kind in ("off", "add", "concat")),
    {"channel_gate": False},
    {"spatial_gate": False, "freeze_landmark": False},
    {"channel_gate": False, "spatial_gate": False},
    {"gate_scale": "per_channel"},
    {"gate_start": 1.0, "gate_learnt": False},
    {"dw_separable": True},
    {"reduce_first": True},
    {"natten": "off"},
    {"natten": "global"},
    *({"kernels": (side, side, side)} for side in (1, 3, 5)),
    {"depth": 2, "rpb": True},
    {"rpb": True, "kernels": (1, 3, 1)},
    {"dilation": 2},
    {"refine": False},
    {"fuse_stride": 8},
    {"fuse_stride": 32},
    {"mha": False},
    {"heads": 4, "mha_pos": "sincos2d", "mha_ffn": True},
)


def without_gradient(network: nn.Module) -> set[str]:
    return {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}


@pytest.mark.parametrize("changes", SWITCHES, ids=str)
def test_every_switch_trains_what_it_says(changes: dict[str, Any], image: Tensor) -> None:
    network = tiny(**changes).train()
    torch.manual_seed(2)
    outputs = network(image)
    (torch.randn_like(outputs.logits) * outputs.logits).sum().backward()
    listed = network.frozen_parameters() | network.unused_parameters() | network.still_parameters()
    assert without_gradient(network) == listed


@pytest.mark.parametrize(
    "changes", [{}, {"neck": "hybrid"}, {"cross_attn": "dense", "freeze_landmark": False}], ids=str
)
def test_every_part_of_a_detector_trains(changes: dict[str, Any], image: Tensor) -> None:
    network = tiny_detector(**changes).train()
    torch.manual_seed(2)
    sum((torch.randn_like(part) * part).sum() for part in network(image) if part is not None).backward()
    listed = network.frozen_parameters() | network.unused_parameters() | network.still_parameters()
    assert without_gradient(network) == listed


def test_switches_change_the_answer(image: Tensor) -> None:
    """The same weights, another way through them; alpha and beta are open."""
    base = tiny(gate_start=0.5).eval()
    for changes in ({"kernels": (3, 3, 3)}, {"natten": "global"}, {"dilation": 2}, {"mha_pos": "sincos2d"}):
        other = tiny(gate_start=0.5, **changes).eval()
        other.load_state_dict(base.state_dict())
        assert not torch.allclose(other(image).logits, base(image).logits, atol=1e-6), changes


def test_mistakes_are_named() -> None:
    for changes, text in (
        ({"scales": (16, 8)}, "rising"),
        ({"scales": ()}, "scales are some"),
        ({"head": "det", "scales": (16,)}, "detector needs all"),
        ({"neck": "hybrid"}, "hybrid neck"),
        ({"lpb": False, "dfpm": "add"}, "lpb=True; given: dfpm='add'"),
        ({"gate_learnt": False}, "do nothing"),
        ({"kernels": (7, 4, 3)}, "odd"),
        ({"depth": 0}, "depth is at least 1; given: depth=0"),
        ({"size_px": 64, "dilation": 3}, "smallest map"),
        ({"heads": 3}, "heads divide"),
        ({"head_width": 48}, "head_width divides"),
    ):
        with pytest.raises(ConfigError, match=text):
            Config(**changes)
    with pytest.raises(ConfigError, match="label set"):
        Config.tiny().build(None)
