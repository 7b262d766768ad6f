"""Surgery on an exported graph: nothing that is not needed, and constants in float16."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = 16
"""Constants with fewer elements stay as they are."""

_HALF = ".half"
_LAYERS = ("Conv", "Gemm", "MatMul")


def half_constants(model: Any) -> bytes:
    """The serialised graph, its weights stored as float16 and cast to float32 when it is loaded.

    Only constants whose every value float16 has are stored so; the graph computes exactly what it did.
    Batch norms are left unfused (the runtimes fuse them), since fused weights are no float16 values.

    Args:
        model: an ``onnx_ir.Model``; it is changed.

    Returns:
        An ONNX file with two bytes for each weight that the outputs need.
    """
    import onnx
    import onnx_ir
    from onnxscript import optimizer

    optimizer.fold_constants(model)
    optimizer.remove_unused_nodes(model)
    proto = onnx_ir.to_proto(model)
    _strip(proto)
    kept, casts = [], []
    for constant in proto.graph.initializer:
        values = onnx.numpy_helper.to_array(constant)
        if _fits(values):
            kept.append(onnx.numpy_helper.from_array(values.astype(np.float16), f"{constant.name}{_HALF}"))
            casts.append(onnx.helper.make_node("Cast", [kept[-1].name], [constant.name], to=onnx.TensorProto.FLOAT))
        else:
            kept.append(constant)
    _fill(proto.graph, kept, [*casts, *proto.graph.node])
    onnx.checker.check_model(proto, full_check=True)
    data: bytes = proto.SerializeToString()
    return data


def fused_batch_norms(model: Any) -> Any:
    """The graph in float32, batch norms that follow a convolution or a linear layer folded into it.

    Args:
        model: an ``onnx.ModelProto`` as :func:`half_constants` makes it; it stays as it is.
    """
    import onnx
    import onnx_ir
    from onnxscript import optimizer
    from onnxscript.rewriter import RewriteRuleSet
    from onnxscript.rewriter.rules.common import fuse_batchnorm_into_conv_rule, fuse_batchnorm_into_gemm_rule

    proto = onnx.ModelProto()
    proto.CopyFrom(model)
    half = {one.name: one for one in proto.graph.initializer if one.name.endswith(_HALF)}
    constants = [one for one in proto.graph.initializer if one.name not in half]
    nodes = []
    for node in proto.graph.node:
        if node.op_type == "Cast" and node.input[0] in half:
            values = onnx.numpy_helper.to_array(half[node.input[0]]).astype(np.float32)
            constants.append(onnx.numpy_helper.from_array(values, node.output[0]))
        else:
            nodes.append(node)
    _fill(proto.graph, constants, nodes)
    fused = onnx_ir.from_proto(proto)
    RewriteRuleSet([fuse_batchnorm_into_conv_rule, fuse_batchnorm_into_gemm_rule]).apply_to_model(fused)
    optimizer.remove_unused_nodes(fused)
    return onnx_ir.to_proto(fused)


def reads_input(model: Any) -> list[str]:
    """Names of the convolutions and linear layers before which there is none on the way from an input.

    Args:
        model: an ``onnx.ModelProto``, its nodes in the order of computation.
    """
    raw = {port.name for port in model.graph.input}
    found = []
    for node in model.graph.node:
        if raw.isdisjoint(node.input):
            continue
        if node.op_type in _LAYERS:
            found.append(node.name)
        elif node.op_type != "Shape":
            raw.update(node.output)
    return found


def fixed_inputs(graph: bytes) -> list[str]:
    """Names of the inputs whose batch the exporter has fixed to one size."""
    import onnx

    inputs = onnx.load_from_string(graph).graph.input
    return [port.name for port in inputs if not port.type.tensor_type.shape.dim[0].dim_param]


def _fill(graph: Any, constants: Sequence[Any], nodes: Sequence[Any]) -> None:
    for field, items in (("initializer", constants), ("node", nodes)):
        graph.ClearField(field)
        getattr(graph, field).extend(items)


def _fits(values: NDArray[Any]) -> bool:
    if values.dtype != np.float32 or values.size < SMALLEST:
        return False
    with np.errstate(over="ignore"):
        return bool((values.astype(np.float16).astype(np.float32) == values).all())


def _strip(proto: Any) -> None:
    """Drop what only the exporter needs: its notes, and shapes that can be inferred."""
    proto.ClearField("metadata_props")
    proto.graph.ClearField("metadata_props")
    proto.graph.ClearField("value_info")
    for part in (*proto.graph.node, *proto.graph.initializer, *proto.graph.input, *proto.graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
