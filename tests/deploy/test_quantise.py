"""Graphs in 8 bits: what is quantised, what stays, that they answer alike, and what is refused."""

from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from mien.data import synthetic
from mien.deploy import quantise as module
from mien.deploy.export import export_bundle
from mien.deploy.onnx_graph import fused_batch_norms, reads_input
from mien.deploy.quantise import int8_graph, main, quantise
from mien.models.product_cross import SmallConfig
from mien.runtime.bundle import Bundle, read_bundle
from mien.runtime.session import OnnxSession, OpenVINOSession
from mien.schema.errors import BundleError
from mien.schema.labels import FERPLUS
from mien.schema.sample import Sample, Targets

SIDE = 48


@pytest.fixture(scope="module")
def float_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Narrow, with random weights and answers far enough apart that rounding does not decide."""
    torch.manual_seed(0)
    config = replace(SmallConfig.tiny(), size_px=SIDE, flip_test=True)
    network = config.build(FERPLUS).eval()
    with torch.no_grad():
        network.head.weight.normal_(0, 1.0)
        for name, buffer in network.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.3, 1.7)
    return export_bundle(
        network,
        name="narrow",
        model="product_cross_small",
        model_config=asdict(config),
        inputs=config.inputs(),
        labels=FERPLUS,
        task={"name": "classify", "temperature": 2.0, "min_score": 0.3},
        out=tmp_path_factory.mktemp("bundles") / "narrow",
        provenance={"recipe": "r", "seed": 3, "commit": "abc", "data_fingerprint": "0123456789ab"},
        licences={"code": "Apache-2.0", "weights": "Apache-2.0", "training_data": "drawn"},
        figures={"data": "drawn faces"},
    )


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """20 drawn faces for training and 20 for validation, with votes as FERPlus has."""
    faces = [
        replace(
            sample,
            split="train" if number < 20 else "valid",
            targets=Targets(votes=((str(sample.targets.label), 8.0),), landmarks=sample.targets.landmarks),
        )
        for number, sample in enumerate(synthetic.samples(40, seed=3))
    ]
    monkeypatch.setattr(module, "read_dataset", lambda name, root: faces)
    return faces


@pytest.fixture(scope="module")
def graph(float_bundle: Bundle, rows: list[dict[str, np.ndarray]]) -> bytes:
    return int8_graph(float_bundle.graph_path.read_bytes(), rows)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, np.ndarray]]:
    drawn = np.random.default_rng(0).normal(size=(20, 1, 3, SIDE, SIDE)).astype(np.float32)
    return [{"image": one} for one in drawn]


def test_convolutions_and_linear_layers_compute_in_8_bits_but_those_that_see_pixels(
    float_bundle: Bundle, graph: bytes
) -> None:
    before, after = onnx.load(float_bundle.graph_path), onnx.load_from_string(graph)
    layers = {node.name: node for node in after.graph.node if node.op_type == "Conv"}
    assert len(layers) == sum(node.op_type == "Conv" for node in before.graph.node)
    scaled = {name for node in after.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    plain = [name for name, node in layers.items() if not scaled & set(node.input)]
    stems = reads_input(fused_batch_norms(before))
    assert len(stems) == 2
    assert sorted(plain) == sorted(stems)
    kinds = Counter(constant.data_type for constant in after.graph.initializer)
    assert kinds[onnx.TensorProto.INT8] > len(layers)
    used = {name for node in after.graph.node for name in node.input}
    assert {constant.name for constant in after.graph.initializer} <= used


def test_both_runtimes_answer_nearly_as_the_graph_in_floating_point(float_bundle: Bundle, graph: bytes) -> None:
    images = np.random.default_rng(1).normal(size=(32, 3, SIDE, SIDE)).astype(np.float32)
    wanted = OpenVINOSession(float_bundle.graph_path)(image=images)["logits"]
    for session in (OpenVINOSession(graph), OnnxSession(graph)):
        for part in (images[:1], images):
            off = np.linalg.norm(session(image=part)["logits"] - wanted[: len(part)]) / np.linalg.norm(
                wanted[: len(part)]
            )
            assert 0 < off < 0.1


def test_a_bundle_keeps_its_weights_and_says_what_its_graph_is(
    float_bundle: Bundle, drawn: list[Sample], tmp_path: Path
) -> None:
    found = quantise(float_bundle, "ferplus", out=tmp_path / "small", progress=False)
    assert found.hash12 == float_bundle.hash12
    assert dict(found.figures) == {}
    assert dict(found.task) == dict(float_bundle.task)
    assert found.provenance["graph"].startswith("8 bits (NNCF ")
    assert "ranges from 20 training faces of FERPlus" in found.provenance["graph"]
    assert [found.computes_in(runtime, "fp32") for runtime in ("openvino", "onnx", "torch")] == ["int8", "int8", "fp32"]
    assert found.computes_in("openvino", "bf16") == "int8+bf16"
    assert set(found.provenance["parity"]) == {"openvino", "onnxruntime"}
    for one in found.provenance["parity"].values():
        assert 0 < one["rows"] <= 20
        assert one["argmax_agreement"] >= module.MIN_SAME_ANSWERS
        assert 0 < one["mean_abs_probability"] < 0.02
    assert "8 bits (NNCF" in (found.path / "README.md").read_text(encoding="utf-8")
    with pytest.raises(BundleError, match="in 8 bits already"):
        quantise(found, "ferplus", out=tmp_path / "again", progress=False)
    assert not (tmp_path / "again").exists()


def test_a_graph_that_answers_otherwise_is_not_kept(
    float_bundle: Bundle, drawn: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "int8_graph", lambda graph, rows: _other_head(graph))
    with pytest.raises(BundleError, match=r"another class in openvino, allowed: 3%\. It was not kept"):
        quantise(float_bundle, "ferplus", out=tmp_path / "small", progress=False)
    assert not (tmp_path / "small").exists()


def _other_head(graph: bytes) -> bytes:
    """The graph with its classes in another order."""
    model = onnx.load_from_string(graph)
    for constant in model.graph.initializer:
        if constant.name.startswith("head.weight"):
            constant.CopyFrom(
                onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(constant)[::-1].copy(), constant.name)
            )
    data: bytes = model.SerializeToString()
    return data


def test_only_classifiers_of_single_faces_are_brought_to_8_bits(float_bundle: Bundle, tmp_path: Path) -> None:
    other = replace(float_bundle, task={"name": "landmarks"})
    with pytest.raises(BundleError, match="'narrow' does 'landmarks'"):
        quantise(other, "ferplus", out=tmp_path / "small", progress=False)


def test_from_the_shell(
    float_bundle: Bundle, drawn: list[Sample], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(float_bundle.path), "ferplus", "--out", str(tmp_path / "small")])
    told = capsys.readouterr()
    assert stopped.value.code == 0, told.err
    assert "the same class as before for" in told.err
    assert read_bundle(tmp_path / "small").provenance["graph"].startswith("8 bits")
    with pytest.raises(SystemExit) as stopped:
        main([str(float_bundle.path), "nowhere", "--out", str(tmp_path / "other")])
    assert stopped.value.code == 2
    assert "There is no dataset 'nowhere'; allowed: " in capsys.readouterr().err
