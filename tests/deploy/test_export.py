from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from mien.deploy import export as export_module
from mien.deploy.export import export_bundle, onnx_graph, round_to_half
from mien.deploy.parity import compare
from mien.models import keypoint_graph
from mien.models.landmarks import Config
from mien.runtime.bundle import Bundle
from mien.runtime.session import open_session
from mien.schema.errors import BundleError
from mien.schema.inputs import ImageSpec
from mien.schema.labels import LabelSet
from mien.tasks import task_from_json
from mien.tasks.landmarks import Landmarks

LABELS = LabelSet("three", ("neutral", "happiness", "anger"))
PROVENANCE = {"recipe": "r", "seed": 3, "commit": "abc", "data_fingerprint": "0123456789ab"}
LICENCES = {"code": "Apache-2.0", "weights": "Apache-2.0", "training_data": "drawn"}


class Outputs(NamedTuple):
    logits: Tensor
    feature: Tensor


class Net(nn.Module):
    """Small, with a batch norm, an attention-like product and a part that no output needs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.linear = nn.Linear(16, 32)
        self.head = nn.Linear(32, 3)
        self.unused = nn.Linear(32, 1000)

    def forward(self, image: Tensor) -> Outputs:
        tokens = torch.relu(self.bn(self.conv(image))).flatten(2).transpose(1, 2)
        mixed = torch.softmax(tokens @ tokens.transpose(1, 2), -1) @ tokens
        feature = torch.nn.functional.gelu(self.linear(mixed)).mean(1)
        return Outputs(self.head(feature), feature)


def trained(module: nn.Module) -> nn.Module:
    """Random weights and batch statistics that are no float16 values."""
    torch.manual_seed(0)
    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.3, 1.7)
        elif name.endswith("running_mean"):
            buffer.normal_()
    return module


SPECS = {"image": ImageSpec(size_px=16)}


def exported(module: nn.Module, config: Config, out: Path) -> Bundle:
    return export_bundle(
        module,
        name="tiny",
        model="landmarks",
        model_config=asdict(config),
        inputs=config.inputs(),
        labels=None,
        task=Landmarks().to_json(),
        out=out,
        provenance=PROVENANCE,
        licences=LICENCES,
    )


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return round_to_half(trained(Net())).eval()


@pytest.fixture(scope="module")
def graph(net: nn.Module) -> bytes:
    return onnx_graph(net, SPECS)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    config = Config.tiny()
    return exported(trained(config.build(None)), config, tmp_path_factory.mktemp("run") / "bundle")


def test_rounded_weights_are_float16_values_and_rounding_twice_changes_nothing() -> None:
    module = trained(Net())
    before = module.conv.weight.clone()
    once = {name: tensor.clone() for name, tensor in round_to_half(module).state_dict().items()}
    assert not torch.equal(before, module.conv.weight)
    assert torch.allclose(before, module.conv.weight, rtol=1e-3, atol=1e-7)
    assert all(torch.equal(t, t.half().float()) for t in once.values() if t.is_floating_point())
    assert all(torch.equal(tensor, once[name]) for name, tensor in round_to_half(module).state_dict().items())


@pytest.mark.parametrize("value", [1e5, float("nan")])
def test_weights_beyond_float16_are_refused_by_name(value: float) -> None:
    module = trained(Net())
    with torch.no_grad():
        module.head.bias[1] = value
    with pytest.raises(BundleError, match=r"'head\.bias' does not fit into float16"):
        round_to_half(module)


def test_the_graph_holds_two_bytes_for_each_weight_that_is_needed(net: nn.Module, graph: bytes) -> None:
    proto = onnx.load_from_string(graph)
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in proto.graph.initializer}
    needed = sum(t.numel() for n, t in net.state_dict().items() if not n.startswith("unused") and t.is_floating_point())
    halves = sum(c.size for c in constants.values() if c.dtype == np.float16)
    others = sum(c.nbytes for c in constants.values() if c.dtype != np.float16)
    assert not [name for name in constants if "unused" in name]
    assert halves >= needed - 64
    assert others < 200
    assert "BatchNormalization" in {node.op_type for node in proto.graph.node}


def test_the_graph_answers_as_torch_for_any_batch(net: nn.Module, graph: bytes) -> None:
    faces = np.random.default_rng(0).random((7, 3, 16, 16), dtype=np.float32)
    report = compare(net, graph, SPECS, {"image": faces})
    assert set(report) == {"openvino", "onnxruntime"}
    for parity in report.values():
        assert parity["rows"] == 13
        assert parity["argmax_agreement"] == 1
        assert parity["max_abs"] < 1e-4


def test_a_graph_of_other_weights_is_refused(net: nn.Module, graph: bytes) -> None:
    other = Net().eval()
    other.load_state_dict(net.state_dict())
    with torch.no_grad():
        other.head.bias.add_(0.05)
    with pytest.raises(BundleError, match=r"not the trained model: 'logits' differs by 0\.05"):
        compare(other, graph, SPECS)


def test_a_batch_of_fixed_size_is_refused() -> None:
    class Counting(nn.Module):
        def forward(self, image: Tensor) -> Outputs:
            ones = torch.ones(1, 3).expand(len(image), -1)
            return Outputs(image.mean((2, 3)) + ones, image.mean((2, 3)))

    with pytest.raises(BundleError, match=r"batches of one size only \(image\)"):
        onnx_graph(Counting().eval(), SPECS)


def test_nothing_is_kept_when_the_comparison_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> dict[str, Any]:
        raise BundleError("differs")

    monkeypatch.setattr(export_module, "onnx_graph", lambda *_: b"graph")
    monkeypatch.setattr(export_module, "compare", refuse)
    with pytest.raises(BundleError, match="differs"):
        exported(Config.tiny().build(None), Config.tiny(), tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


def test_a_bundle_carries_everything_to_build_and_to_run_the_model(bundle: Bundle) -> None:
    assert bundle.model_config == asdict(Config.tiny())
    assert bundle.inputs == Config.tiny().inputs()
    assert task_from_json(bundle.task, bundle.labels) == Landmarks()
    assert bundle.provenance["seed"] == 3
    assert set(bundle.provenance["parity"]) == {"openvino", "onnxruntime"}
    rebuilt = Config(**bundle.model_config).build(None).eval()
    weights = {name: torch.from_numpy(values) for name, values in bundle.weights().items()}
    assert {w.dtype for w in weights.values() if w.is_floating_point()} == {torch.float16}
    rebuilt.load_state_dict(weights, strict=True)
    image = np.random.default_rng(1).random((3, 3, 48, 48), dtype=np.float32)
    with torch.no_grad():
        wanted = rebuilt(torch.from_numpy(image)).landmarks.numpy()
    assert np.allclose(open_session(bundle)(image=image)["landmarks"], wanted, atol=1e-4)


def test_both_files_together_are_four_bytes_a_parameter(bundle: Bundle) -> None:
    parameters = sum(values.size for values in bundle.weights().values())
    together = sum(described["bytes"] for described in bundle.files.values())
    assert together - 4 * parameters < 120_000


def test_export_leaves_the_module_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "onnx_graph", lambda *_: b"graph")
    monkeypatch.setattr(export_module, "compare", lambda *_: {})
    config = Config.tiny()
    module = trained(config.build(None)).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    exported(module, config, tmp_path / "bundle")
    assert module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_a_model_of_clips_becomes_a_bundle(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = keypoint_graph.Config.tiny()
    network = trained(config.build(LABELS)).eval()
    rng = np.random.default_rng(1)
    given = {
        "clip": rng.normal(size=(3, *config.inputs()["clip"].shape)).astype(np.float32),
        "landmarks": rng.uniform(0, 48, (3, 4, 68, 2)).astype(np.float32),
    }
    bundle = export_bundle(
        network,
        name="clips",
        model="keypoint_graph",
        model_config=asdict(config),
        inputs=config.inputs(),
        labels=LABELS,
        task={"name": "classify"},
        out=tmp_path / "bundle",
        provenance=PROVENANCE,
        licences=LICENCES,
        samples=given,
    )
    assert bundle.inputs == config.inputs()
    assert [parity["rows"] for parity in bundle.provenance["parity"].values()] == [9, 9]
    sessions = [open_session(bundle, runtime) for runtime in ("openvino", "torch")]
    first, second = (session(**given) for session in sessions)
    for name, values in first.items():
        assert values == pytest.approx(second[name], abs=1e-4), name
    with pytest.raises(BundleError, match=r"'landmarks' is float32 \[B, 4, 68, 2\]"):
        sessions[1](clip=given["clip"], landmarks=given["landmarks"][:, :3])
    with pytest.raises(BundleError, match="takes the inputs clip, landmarks"):
        sessions[1](clip=given["clip"])
    card = (bundle.path / "README.md").read_text()
    assert "| input clip | 4 frames of 48 x 48 pixels, rgb, crop face_v1 |" in card
    assert "| input landmarks | 68 landmarks in 4 frames, in pixels of a crop of 48 x 48 pixels |" in card
