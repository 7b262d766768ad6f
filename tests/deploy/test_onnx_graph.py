import numpy as np
import onnx
import onnx_ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.deploy.onnx_graph import fixed_inputs, fused_batch_norms, half_constants, reads_input
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


def convolutions(batch: str = "batch") -> onnx.ModelProto:
    """A convolution of the input mirrored, its batch norm, and a second convolution whose size hangs on the input."""
    rng = np.random.default_rng(4)
    half = {
        "first": rng.normal(size=(4, 3, 3, 3)).astype(np.float16),
        "second": rng.normal(size=(2, 4, 3, 3)).astype(np.float16),
    }
    plain = {
        "scale": rng.uniform(0.5, 2, 4), "bias": rng.normal(size=4), "mean": rng.normal(size=4),
        "var": rng.uniform(0.5, 2, 4),
    }  # fmt: skip
    graph = helper.make_graph(
        [
            *(helper.make_node("Cast", [f"{n}.half"], [n], to=TensorProto.FLOAT) for n in half),
            helper.make_node("Slice", ["x", "last", "beyond", "axis", "back"], ["mirrored"]),
            helper.make_node("Conv", ["mirrored", "first"], ["c"], name="stem"),
            helper.make_node("BatchNormalization", ["c", "scale", "bias", "mean", "var"], ["n"]),
            helper.make_node("Shape", ["x"], ["shape"], start=0, end=1),
            helper.make_node("Concat", ["shape", "rest"], ["whole"], axis=0),
            helper.make_node("Reshape", ["n", "whole"], ["again"]),
            helper.make_node("Conv", ["again", "second"], ["y"], name="later"),
        ],
        "convolutions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 2, 4, 4])],
        [
            *(numpy_helper.from_array(values, f"{name}.half") for name, values in half.items()),
            *(numpy_helper.from_array(values.astype(np.float32), name) for name, values in plain.items()),
            *(
                numpy_helper.from_array(np.array(values, np.int64), name)
                for name, values in (
                    ("last", [-1]), ("beyond", [-100]), ("axis", [3]), ("back", [-1]), ("rest", [4, 6, 6]),
                )
            ),
        ],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_batch_norms_are_folded_into_what_comes_before_them_and_nothing_else_changes() -> None:
    given = convolutions()
    before = given.SerializeToString()
    fused = fused_batch_norms(given)
    assert given.SerializeToString() == before
    assert {node.op_type for node in fused.graph.node} == {"Slice", "Conv", "Shape", "Concat", "Reshape"}
    assert TensorProto.FLOAT16 not in {constant.data_type for constant in fused.graph.initializer}
    x = RNG.normal(size=(5, 3, 8, 8)).astype(np.float32)
    found = OpenVINOSession(fused.SerializeToString())(x=x)["y"]
    np.testing.assert_allclose(found, OpenVINOSession(before)(x=x)["y"], rtol=1e-4, atol=1e-4)


def test_only_layers_that_see_the_input_itself_read_it_not_those_that_know_its_size() -> None:
    assert reads_input(convolutions()) == ["stem"]
