"""A dataset of plain colours and a network that tells them apart, so that every figure can be computed by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.runtime.bundle import Bundle, write_bundle
from mien.schema.inputs import ImageSpec
from mien.schema.labels import FERPLUS
from mien.schema.sample import File, Sample, Targets

CODES = np.array([[(number >> bit) & 1 for bit in range(3)] for number in range(8)], np.float32) * 2 - 1
SPEC = ImageSpec(size_px=8, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def colour_graph() -> bytes:
    """``logits = 4 * mean colour @ codes``: the class whose code the colour has."""
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["colour"]),
            helper.make_node("MatMul", ["colour", "codes"], ["logits"]),
        ],
        "colour",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 8])],
        [numpy_helper.from_array(np.ascontiguousarray(4 * CODES.T), "codes")],
    )
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    ).SerializeToString()
    return content


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    fields: dict[str, Any] = {
        "path": tmp_path / "colours",
        "name": "colours",
        "model": "colours",
        "model_config": {},
        "inputs": {"image": SPEC},
        "labels": FERPLUS,
        "task": {"name": "classify", "temperature": 1.0, "min_score": 0.0},
        "provenance": {"recipe": "by_hand", "seed": 0, "commit": "abc", "data_fingerprint": "0" * 12},
        "licences": {"code": "Apache-2.0", "weights": "Apache-2.0", "training_data": "none"},
    }
    return write_bundle(Bundle(**fields), {"codes": CODES.astype(np.float16)}, colour_graph())


@pytest.fixture
def paint(tmp_path: Path) -> Callable[..., Sample]:
    """A picture in the colour of class ``shown``, annotated with ``votes`` and 68 points in a known place."""
    written: dict[int, Path] = {}

    def sample(key: str, shown: int, votes: dict[str, float], split: str = "valid", **fields: Any) -> Sample:
        if shown not in written:
            written[shown] = tmp_path / f"{shown}.png"
            pixels = np.full((32, 32, 3), (127.5 + 100 * CODES[shown])[::-1], np.uint8)
            cv2.imwrite(str(written[shown]), pixels)
        rng = np.random.default_rng(5)
        points = tuple((float(x), float(y)) for x, y in 8 + 16 * rng.random((68, 2)))
        targets = Targets(votes=tuple(votes.items()), landmarks=points)
        return Sample(key=key, source=File(written[shown]), split=split, targets=targets, **fields)

    return sample


@pytest.fixture
def colours(paint: Callable[..., Sample]) -> list[Sample]:
    """200 validation faces: 3 of 4 show what was voted; every fifth has no majority."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(200):
        truth = int(rng.choice(8, p=(0.3, 0.3, 0.1, 0.1, 0.1, 0.04, 0.05, 0.01)))
        shown = truth if number % 4 else int(rng.integers(8))
        other = FERPLUS.names[(truth + 1) % 8]
        votes = {FERPLUS.names[truth]: 4.0, other: 2.0} if number % 5 else {FERPLUS.names[truth]: 4.0, other: 4.0}
        samples.append(paint(f"face{number:03d}", shown, votes))
    return samples
