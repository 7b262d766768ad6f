from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mien.models.checkpoints import load_foreign
from mien.models.layers.hgnet import HGNetV2, Variant

timm = pytest.importorskip("timm")


def published(variant: str, **changes: object) -> nn.Module:
    """timm's network; no weights are fetched."""
    torch.manual_seed(0)
    network: nn.Module = timm.create_model(f"hgnetv2_{variant}", pretrained=False, **changes)
    return network


def shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {n: t.shape for n, t in tensors.items() if not n.startswith("head.")}


@pytest.mark.parametrize("variant", ["b0", "b1", "b2", "b4"])
def test_names_and_shapes_are_the_published_ones(variant: Variant) -> None:
    with torch.device("meta"):
        assert shapes(HGNetV2(variant).state_dict()) == shapes(published(variant).state_dict())


def test_the_small_one_has_312_tensors() -> None:
    """As ``PPHGNetV2_B0_stage1.pth``."""
    with torch.device("meta"):
        assert len(HGNetV2().state_dict()) == 312


def test_maps_are_those_of_timm(tmp_path: Path) -> None:
    reference, ours = published("b0", features_only=True, out_indices=(1, 2, 3)).eval(), HGNetV2().eval()
    torch.save(reference.state_dict(), tmp_path / "features.pth")
    report = load_foreign(ours, tmp_path / "features.pth", min_fraction=1.0)
    assert (report.missing, report.unexpected, report.misshapen) == ((), (), ())
    image = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = reference(image), ours(image)
    assert [m.shape[1:] for m in found] == [(256, 8, 8), (512, 4, 4), (1024, 2, 2)]
    for own, their in zip(found, expected, strict=True):
        torch.testing.assert_close(own, their)


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: {"ema": {"module": t}}], ids=["plain", "ema"])
@pytest.mark.parametrize("prefix", ["", "backbone.", "module.backbone."])
def test_public_checkpoints_fit(wrap, prefix: str, tmp_path: Path) -> None:
    source, ours = HGNetV2("tiny"), HGNetV2("tiny")
    weights = {n: torch.randn_like(t) for n, t in source.state_dict().items() if t.is_floating_point()}
    others = (
        {"head.fc.weight": torch.ones(3)} if not prefix else {"encoder.x": torch.ones(3), "decoder.y": torch.ones(2)}
    )
    outer = prefix.removesuffix("backbone.")
    content = {f"{prefix}{n}": t for n, t in weights.items()} | {f"{outer}{n}": t for n, t in others.items()}
    torch.save(wrap(content), tmp_path / "some.pth")
    report = load_foreign(ours, tmp_path / "some.pth", min_fraction=1.0)
    assert (report.missing, report.unexpected, set(report.left_out)) == ((), (), set(others))
    assert all(torch.equal(ours.state_dict()[n], t) for n, t in weights.items())


@pytest.mark.parametrize(
    ("variant", "size_px", "million", "giga"),
    [("b0", 224, 1.850, 0.317), ("b0", 640, 1.850, 2.59), ("b2", 224, 6.03, 1.13)],
)
def test_counts(variant: Variant, size_px: int, million: float, giga: float) -> None:
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        network = HGNetV2(variant)
        network(torch.empty(1, 3, size_px, size_px))
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(million, abs=0.005)
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga, abs=0.005)


def test_stages_beyond_the_last_stride_are_not_built() -> None:
    network = HGNetV2("tiny", (8, 16))
    assert [tuple(m.shape[1:]) for m in network(torch.randn(1, 3, 64, 64))] == [(24, 8, 8), (32, 4, 4)]
    assert len(network.stages) == 3
    assert network.widths == (24, 32)


def test_bf16_trains() -> None:
    torch.manual_seed(0)
    network, image = HGNetV2("tiny"), torch.randn(4, 3, 64, 64)
    exact = network(image)[-1]
    with torch.autocast("cpu", torch.bfloat16):
        half = network(image)[-1]
        half.float().square().mean().backward()
    assert (half.float() - exact).norm() < 0.1 * exact.norm()
    assert all(p.grad is not None for p in network.parameters())
