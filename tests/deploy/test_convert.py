import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.deploy import convert as convert_module
from mien.deploy.convert import convert, description
from mien.runtime.bundle import Bundle, write_bundle
from mien.runtime.session import OnnxSession, OpenVINOSession, open_session
from mien.schema.errors import BundleError, ConfigError
from mien.schema.inputs import ImageSpec, specs_from_json
from mien.schema.labels import LabelSet

WEIGHT = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float16).astype(np.float32)
IMAGES = np.random.default_rng(1).random((4, 3, 8, 8), dtype=np.float32)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["colour"]),
            helper.make_node("MatMul", ["colour", "weight"], ["logits"]),
        ],
        "mean",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(WEIGHT, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    fields: dict[str, Any] = {
        "path": tmp_path / "bundle",
        "name": "mean",
        "model": "mean",
        "model_config": {},
        "inputs": {"image": ImageSpec(size_px=8, colour="grey")},
        "labels": LabelSet("three", ("neutral", "happiness", "anger")),
        "task": {"name": "classify", "temperature": 1.5, "min_score": 0.25},
        "provenance": {"recipe": "r", "seed": 0, "commit": "abc", "data_fingerprint": "0" * 12},
        "licences": {"code": "Apache-2.0", "weights": "Apache-2.0", "training_data": "none"},
    }
    return write_bundle(Bundle(**fields), {"weight": WEIGHT.astype(np.float16)}, model.SerializeToString())


def test_an_onnx_file_carries_what_it_is_fed_and_answers_the_same(bundle: Bundle, tmp_path: Path) -> None:
    path = convert(bundle, tmp_path / "out")
    assert path == tmp_path / "out" / "mean.onnx"
    wanted = open_session(bundle)(image=IMAGES)["logits"]
    assert np.allclose(OnnxSession(path)(image=IMAGES)["logits"], wanted, atol=1e-5)
    told = json.loads({prop.key: prop.value for prop in onnx.load(str(path)).metadata_props}["mien"])
    assert told == json.loads(json.dumps(description(bundle)))
    assert specs_from_json(told["inputs"]) == bundle.inputs
    assert told["labels"] == ["neutral", "happiness", "anger"]
    assert told["task"]["temperature"] == 1.5


def test_an_openvino_file_carries_it_too(bundle: Bundle, tmp_path: Path) -> None:
    path = convert(bundle.path, tmp_path / "out", "openvino")
    assert {file.name for file in path.parent.iterdir()} == {"mean.xml", "mean.bin"}
    wanted = open_session(bundle)(image=IMAGES)["logits"]
    assert np.allclose(OpenVINOSession(path)(image=IMAGES)["logits"], wanted, atol=1e-3)
    told = json.loads(openvino.Core().read_model(str(path)).get_rt_info(["mien"]).astype(str))
    assert told["weights"] == bundle.hash12


def test_a_file_that_answers_otherwise_is_not_kept(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert_module, "_difference", lambda bundle, path: float("nan"))
    with pytest.raises(BundleError, match="not kept"):
        convert(bundle, tmp_path / "out", "openvino")
    assert not list((tmp_path / "out").iterdir())


def test_what_cannot_be_written_is_explained(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="allowed: onnx, openvino"):
        convert(bundle, tmp_path, "tensorrt")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        convert(bundle, tmp_path / "file" / "below")
