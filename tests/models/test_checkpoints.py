import collections
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mien.models.checkpoints import Table, load_foreign, read_tensors
from mien.models.layers.ir_net import IRNet
from mien.models.layers.mobilefacenet import MobileFaceNet
from mien.models.layers.resnet import ResNet
from mien.models.layers.resnet3d import ResNet3d
from mien.models.product_cross import Config, ProductCross
from mien.schema.errors import BundleError, ConfigError
from mien.schema.labels import RAF_DB

Tensors = dict[str, Tensor]
UNITS = (2, 2, 3)
WRAPS: dict[str, Callable[[Tensors], Any]] = {
    "plain": lambda t: t,
    "ordered": collections.OrderedDict,
    "state_dict": lambda t: {"epoch": 3, "state_dict": t, "best": 0.5},
    "model": lambda t: {"model": t},
    "model_state_dict": lambda t: {"model_state_dict": t},
    "ema": lambda t: {"ema": {"module": t, "updates": 7}},
}


def ir_net() -> IRNet:
    return IRNet((4, 6, 8), UNITS)


def mobilefacenet() -> MobileFaceNet:
    return MobileFaceNet(8, (2, 2, 1), 16)


def product_cross(**changes: Any) -> ProductCross:
    return replace(Config.tiny(), **changes).build(RAF_DB)


def noise(tensors: Mapping[str, Tensor]) -> Tensors:
    return {n: torch.randn_like(t) if t.is_floating_point() else t + 5 for n, t in tensors.items()}


def with_fourth_stage(tensors: Tensors) -> Tensors:
    """As ``ir50.pth``: three more units and the 512-d output layer."""
    last = {n.replace("body.4.", ""): t for n, t in tensors.items() if n.startswith("body.4.")}
    more = {f"body.{sum(UNITS) + i}.{n}": t for i in range(3) for n, t in last.items()}
    return {**tensors, **more, "output_layer.0.weight": torch.ones(512), "output_layer.3.weight": torch.ones(512, 3)}


def split(tensors: Tensors) -> Tensors:
    """As in POSTER++: body1, body2 and body3, each counted from 0."""
    names = {}
    for name in tensors:
        head, _, rest = name.partition(".")
        number, _, end = rest.partition(".")
        if head != "body":
            names[name] = name
            continue
        i = int(number)
        stage = 1 if i < UNITS[0] else 2 if i < UNITS[0] + UNITS[1] else 3
        names[name] = f"body{stage}.{i - sum(UNITS[: stage - 1])}.{end}"
    return {new: tensors[old] for old, new in names.items()}


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def assert_filled(module: nn.Module, expected: Tensors) -> None:
    own = module.state_dict()
    assert own.keys() == expected.keys()
    assert all(torch.equal(own[n], expected[n]) for n in own)


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "module.ir_back."])
@pytest.mark.parametrize("wrap", WRAPS.values(), ids=list(WRAPS))
def test_ir50_in_every_wrapping(tmp_path: Path, wrap: Callable[[Tensors], Any], prefix: str) -> None:
    network, published = ir_net(), noise(ir_net().state_dict())
    content = wrap({prefix + n: t for n, t in with_fourth_stage(published).items()})
    report = load_foreign(network, saved(tmp_path / "ir50.pth", content), min_fraction=1.0)
    assert_filled(network, published)
    assert report.fraction == 1
    assert (report.missing, report.unexpected, report.misshapen) == ((), (), ())
    assert len(report.left_out) == 3 * sum(n.startswith("body.4.") for n in published) + 2


def test_the_split_bodies_of_poster(tmp_path: Path) -> None:
    network, published = ir_net(), noise(ir_net().state_dict())
    content = {f"module.{n}": t for n, t in split(published).items()}
    assert any(n.startswith("module.body3.2.") for n in content)
    report = load_foreign(network, saved(tmp_path / "poster.pth", content), min_fraction=1.0)
    assert_filled(network, published)
    assert not report.unexpected


def test_the_full_truncation_takes_292_of_the_349_public_tensors() -> None:
    with torch.device("meta"):
        ours = IRNet()
    full = len(ours.state_dict()) + 19 + 2 * 13 + 12  # units 21 (with a shortcut) to 23, and BN, linear, BN
    assert full == 349


@pytest.mark.parametrize("prefix", ["", "module.", "module.face_landback."])
def test_mobilefacenet(tmp_path: Path, prefix: str) -> None:
    network, published = mobilefacenet(), noise(mobilefacenet().state_dict())
    content = {"state_dict": {prefix + n: t for n, t in published.items()}, "epoch": 1}
    report = load_foreign(network, saved(tmp_path / "mobilefacenet_model_best.pth.tar", content), min_fraction=1.0)
    assert_filled(network, published)
    assert not report.unexpected


def resnet(published: bool = False) -> nn.Module:
    from torchvision.models.resnet import BasicBlock
    from torchvision.models.resnet import ResNet as Published

    return Published(BasicBlock, [1, 1, 1, 1], num_classes=4) if published else ResNet(units=(1, 1, 1, 1))


@pytest.mark.parametrize(
    ("wrap", "prefix"),
    [("plain", ""), ("state_dict", "module."), ("state_dict", "")],
    ids=["imagenet", "faces", "plain"],
)
def test_resnet_of_imagenet_and_of_faces(tmp_path: Path, wrap: str, prefix: str) -> None:
    network, published = resnet(), noise(resnet(published=True).state_dict())
    path = saved(tmp_path / "resnet18.pth", WRAPS[wrap]({prefix + n: t for n, t in published.items()}))
    report = load_foreign(network, path, min_fraction=1.0)
    assert_filled(network, {n: t for n, t in published.items() if not n.startswith("fc.")})
    assert report.left_out == ("fc.weight", "fc.bias")
    assert (report.missing, report.unexpected, report.misshapen) == ((), (), ())


def test_r3d_18_of_kinetics(tmp_path: Path) -> None:
    network = ResNet3d((4, 6, 8, 12))
    published = noise(network.state_dict())
    classifier = {"fc.weight": torch.randn(400, 12), "fc.bias": torch.randn(400)}
    report = load_foreign(network, saved(tmp_path / "r3d_18.pth", {**published, **classifier}), min_fraction=1.0)
    assert_filled(network, published)
    assert report.left_out == ("fc.weight", "fc.bias")


def test_a_trunk_for_sound_takes_all_but_its_first_convolution(tmp_path: Path) -> None:
    network, published = ResNet(units=(1, 1, 1, 1), channels=1), noise(resnet(published=True).state_dict())
    report = load_foreign(network, saved(tmp_path / "resnet18.pth", published))
    assert (report.missing, report.misshapen) == (("conv1.weight",), ("conv1.weight",))


def timm_vit(network: ProductCross, depth: int, bias: bool = True) -> Tensors:
    """Names of a timm vision transformer whose widths are those of ``network``."""
    width, grid = network.config.width, network.config.grid
    hidden = int(width * network.config.mlp_ratio)
    tensors = {
        "cls_token": torch.randn(1, 1, width),
        "pos_embed": torch.randn(1, grid**2 + 1, width),
        "patch_embed.proj.weight": torch.randn(width, 3, 16, 16),
        "patch_embed.proj.bias": torch.randn(width),
        "norm.weight": torch.randn(width),
        "norm.bias": torch.randn(width),
        "head.weight": torch.randn(1000, width),
        "head.bias": torch.randn(1000),
    }
    for i in range(depth):
        shapes = {"norm1": (width,), "norm2": (width,), "attn.qkv": (3 * width, width), "attn.proj": (width, width)}
        for part, shape in {**shapes, "mlp.fc1": (hidden, width), "mlp.fc2": (width, hidden)}.items():
            tensors[f"blocks.{i}.{part}.weight"] = torch.randn(shape)
            if bias or part != "attn.qkv":
                tensors[f"blocks.{i}.{part}.bias"] = torch.randn(shape[0])
    return tensors


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_vision_transformer_fills_the_blocks(tmp_path: Path, prefix: str) -> None:
    network = product_cross(depth=2)
    given = timm_vit(network, depth=4)
    path = saved(tmp_path / "vit.pth", {prefix + n: t for n, t in given.items()})
    report = load_foreign(network, path, min_fraction=1.0)
    own = network.state_dict()
    for norm in ("norm1", "norm_q"):
        assert torch.equal(own[f"blocks.1.{norm}.weight"], given["blocks.1.norm1.weight"])
    assert torch.equal(own["blocks.0.attn.qkv.weight"], given["blocks.0.attn.qkv.weight"])
    assert torch.equal(own["fusion_tokens.cls_token"], given["cls_token"])
    assert torch.equal(own["fusion_tokens.pos_embed"], given["pos_embed"])
    assert torch.equal(own["norm.bias"], given["norm.bias"])
    assert (report.missing, report.unexpected) == ((), ())
    assert {"head.weight", "patch_embed.proj.bias", "blocks.3.mlp.fc1.weight"} <= set(report.left_out)


def test_a_transformer_without_query_bias_leaves_ours_at_zero(tmp_path: Path) -> None:
    network = product_cross()
    report = load_foreign(network, saved(tmp_path / "vit.pth", timm_vit(network, depth=2, bias=False)))
    assert report.missing == ("blocks.0.attn.qkv.bias", "blocks.1.attn.qkv.bias")
    assert not network.state_dict()["blocks.0.attn.qkv.bias"].any()


def test_other_shapes_are_left_and_reported(tmp_path: Path) -> None:
    network = product_cross(mlp_ratio=3.0)
    before = network.state_dict()["blocks.0.mlp.fc1.weight"].clone()
    report = load_foreign(network, saved(tmp_path / "vit.pth", timm_vit(product_cross(mlp_ratio=4.0), depth=2)))
    assert "blocks.0.mlp.fc1.weight" in report.misshapen
    assert "blocks.0.mlp.fc1.weight" in report.missing
    assert torch.equal(network.state_dict()["blocks.0.mlp.fc1.weight"], before)
    assert 0.5 < report.fraction < 1


def test_without_positions_or_cross_their_weights_are_left_out(tmp_path: Path) -> None:
    network = product_cross(pos_embed=False, cross=False)
    report = load_foreign(network, saved(tmp_path / "vit.pth", timm_vit(network, depth=2)), min_fraction=1.0)
    assert "pos_embed" in report.left_out
    assert not report.unexpected


def test_safetensors_too(tmp_path: Path) -> None:
    network, published = ir_net(), noise(ir_net().state_dict())
    save_file(published, tmp_path / "ir50.safetensors")
    load_foreign(network, tmp_path / "ir50.safetensors", min_fraction=1.0)
    assert_filled(network, published)


def test_too_little_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    network = ir_net()
    before = {n: t.clone() for n, t in network.state_dict().items()}
    few = {n: t for n, t in noise(before).items() if n.startswith("input_layer")}
    path = saved(tmp_path / "few.pth", {**few, "head.weight": torch.ones(3)})
    with pytest.raises(BundleError, match=r"few\.pth does not fit IRNet: \d+% .* at least 50%.*head\.weight"):
        load_foreign(network, path)
    assert_filled(network, before)


def test_counters_of_old_files_are_not_missed(tmp_path: Path) -> None:
    network = ir_net()
    old = {n: t for n, t in noise(network.state_dict()).items() if not n.endswith("num_batches_tracked")}
    assert load_foreign(network, saved(tmp_path / "old.pth", old)).fraction == 1


def test_gaps_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    network = ir_net()
    tensors = noise(network.state_dict())
    del tensors["input_layer.0.weight"]
    with caplog.at_level(logging.INFO):
        report = load_foreign(network, saved(tmp_path / "gap.pth", {**tensors, "extra": torch.ones(1)}))
    assert report.unexpected == ("extra",)
    assert "1 missing, 1 unexpected" in caplog.text
    assert str(report) in caplog.text


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    layer = nn.Linear(2, 3)
    path = saved(tmp_path / "own.pth", {"w": torch.ones(3, 2), "b": torch.ones(3)})
    load_foreign(layer, path, table=Table(rename=lambda n: ({"w": "weight", "b": "bias"}[n],)), min_fraction=1.0)
    assert layer.weight.eq(1).all()
    with pytest.raises(ConfigError, match="No public format is known for Linear"):
        load_foreign(layer, path)


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("this code ran",)


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "bad.pth", {"state_dict": Malicious()})
    with pytest.raises(BundleError, match="could run any code"):
        read_tensors(path)
    assert "this code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_checkpoint_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    with pytest.raises(BundleError, match=path.name):
        read_tensors(path)
    path.write_text("hello")
    with pytest.raises(BundleError, match=path.name):
        read_tensors(path)
    with pytest.raises(BundleError, match="list, not a table"):
        read_tensors(saved(tmp_path / "list.pth", [1, 2]))
