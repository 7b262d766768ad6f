import numpy as np
import onnx
import onnx_ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.deploy.onnx_graph import fixed_inputs, half_constants
from mien.runtime.session import OpenVINOSession

RNG = np.random.default_rng(0)
EXACT = RNG.normal(size=(8, 32)).astype(np.float16).astype(np.float32)
INEXACT = RNG.normal(size=(32, 8)).astype(np.float32)
LARGE = np.full(32, 1e6, np.float32)


def model(batch: str | int = "batch") -> onnx.ModelProto:
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "exact"], ["hidden"], doc_string="from line 1"),
            helper.make_node("Add", ["hidden", "large"], ["shifted"]),
            helper.make_node("Sub", ["shifted", "large"], ["back"]),
            helper.make_node("MatMul", ["back", "inexact"], ["y"]),
            helper.make_node("Identity", ["unneeded"], ["nowhere"]),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 8])],
        [
            numpy_helper.from_array(values, name)
            for name, values in (
                ("exact", EXACT), ("inexact", INEXACT), ("large", LARGE), ("unneeded", np.ones(500, np.float32)),
            )
        ],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.fixture(scope="module")
def halved() -> onnx.ModelProto:
    return onnx.load_from_string(half_constants(onnx_ir.from_proto(model())))


def constants(proto: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {constant.name: numpy_helper.to_array(constant) for constant in proto.graph.initializer}


def test_only_values_that_float16_has_are_stored_so(halved: onnx.ModelProto) -> None:
    found = constants(halved)
    assert found["exact.half"].dtype == np.float16
    assert np.array_equal(found["exact.half"].astype(np.float32), EXACT)
    assert np.array_equal(found["inexact"], INEXACT)
    assert np.array_equal(found["large"], LARGE)


def test_what_no_output_needs_is_gone(halved: onnx.ModelProto) -> None:
    assert "unneeded" not in " ".join(constants(halved))
    assert {node.op_type for node in halved.graph.node} == {"Cast", "MatMul", "Add", "Sub"}
    assert not any(node.doc_string for node in halved.graph.node)


def test_the_graph_computes_what_it_did(halved: onnx.ModelProto) -> None:
    x = RNG.normal(size=(5, 8)).astype(np.float32)
    before, after = (OpenVINOSession(proto.SerializeToString())(x=x)["y"] for proto in (model(), halved))
    assert np.array_equal(before, after)


def test_a_fixed_batch_is_named() -> None:
    assert fixed_inputs(model().SerializeToString()) == []
    assert fixed_inputs(model(batch=2).SerializeToString()) == ["x"]
