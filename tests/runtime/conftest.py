from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, checker, helper, numpy_helper

from mien.runtime.bundle import Bundle, write_bundle
from mien.schema.inputs import ImageSpec
from mien.schema.labels import LabelSet

LABELS = LabelSet("three", ("neutral", "happiness", "anger"))
WEIGHT = np.arange(9, dtype=np.float32).reshape(3, 3)


def mean_graph(weight: np.ndarray, side: int) -> bytes:
    """``logits = mean over positions of image @ weight``."""
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["colour"]),
            helper.make_node("MatMul", ["colour", "weight"], ["logits"]),
        ],
        "mean",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture
def graph() -> bytes:
    return mean_graph(WEIGHT, side=8)


@pytest.fixture
def make_bundle(tmp_path: Path, graph: bytes) -> Callable[..., Bundle]:
    """Write a small bundle; keywords replace its fields."""

    def make(**changes: Any) -> Bundle:
        fields: dict[str, Any] = {
            "path": tmp_path / "small",
            "name": "small",
            "model": "mean",
            "model_config": {"width": 8, "depths": (1, 2)},
            "inputs": {"image": ImageSpec(size_px=8, colour="grey", source_px=4)},
            "labels": LABELS,
            "task": {"name": "classify", "temperature": 1.25, "min_score": 0.0},
            "provenance": {"recipe": "mean_test", "seed": 0, "commit": "abc", "data_fingerprint": "0123456789ab"},
            "licences": {"code": "Apache-2.0", "weights": "Apache-2.0", "training_data": "drawn | synthetic"},
        }
        return write_bundle(Bundle(**{**fields, **changes}), {"weight": WEIGHT.astype(np.float16)}, graph)

    return make
