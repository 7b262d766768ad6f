"""Surgery on an exported graph: nothing that is not needed, and constants in float16."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = 16
"""Constants with fewer elements stay as they are."""


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
            kept.append(onnx.numpy_helper.from_array(values.astype(np.float16), f"{constant.name}.half"))
            casts.append(onnx.helper.make_node("Cast", [kept[-1].name], [constant.name], to=onnx.TensorProto.FLOAT))
        else:
            kept.append(constant)
    nodes = [*casts, *proto.graph.node]
    for field, items in (("initializer", kept), ("node", nodes)):
        proto.graph.ClearField(field)
        getattr(proto.graph, field).extend(items)
    onnx.checker.check_model(proto, full_check=True)
    data: bytes = proto.SerializeToString()
    return data


def fixed_inputs(graph: bytes) -> list[str]:
    """Names of the inputs whose batch the exporter has fixed to one size."""
    import onnx

    inputs = onnx.load_from_string(graph).graph.input
    return [port.name for port in inputs if not port.type.tensor_type.shape.dim[0].dim_param]


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
