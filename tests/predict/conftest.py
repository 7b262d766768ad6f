from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.predict.pipeline import Predictor
from mien.schema.inputs import ImageSpec
from mien.schema.labels import LabelSet
from mien.schema.prediction import Face
from mien.tasks.classify import Classify

SPEC = ImageSpec(size_px=16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Colours:
    """A session whose logits are four times the mean of each channel; counts the faces of each call."""

    inputs, outputs = ("image",), ("logits",)

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, **arrays: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        image = arrays["image"]
        assert image.dtype == np.float32
        assert image.shape[1:] == (3, 16, 16)
        self.batches.append(len(image))
        return {"logits": 4 * image.mean((2, 3))}


class Squares:
    """Finds squares of one colour on black: each is a face."""

    def find_faces(self, image: NDArray[np.uint8]) -> list[Face]:
        columns = np.flatnonzero(np.diff(np.pad(image.any((0, 2)), 1)))
        faces = []
        for left, right in columns.reshape(-1, 2).tolist():
            top, bottom = np.flatnonzero(np.diff(np.pad(image[:, left:right].any((1, 2)), 1))).tolist()
            faces.append(Face(box=(float(left), float(top), float(right), float(bottom)), score=0.9))
        return faces


def scene(*colours: tuple[int, int, int], side: int = 40, gap: int = 10) -> NDArray[np.uint8]:
    """Squares of the given colours in a row on black."""
    image = np.zeros((side + 2 * gap, gap + len(colours) * (side + gap), 3), np.uint8)
    for number, colour in enumerate(colours):
        left = gap + number * (side + gap)
        image[gap : gap + side, left : left + side] = colour
    return image


@pytest.fixture
def labels() -> LabelSet:
    return LabelSet("colours", ("neutral", "happiness", "anger"))


@pytest.fixture
def make_predictor(labels: LabelSet) -> Callable[..., Predictor]:
    """A predictor of colours; keywords replace its fields."""

    def make(*, min_score: float = 0.0, **changes: Any) -> Predictor:
        fields: dict[str, Any] = {
            "session": Colours(),
            "task": Classify(labels=labels, min_score=min_score),
            "spec": SPEC,
            "model": "colours@0",
            "finder": Squares(),
            "threads": 2,
        }
        return Predictor(**{**fields, **changes})

    return make


@pytest.fixture
def squares() -> Callable[..., NDArray[np.uint8]]:
    return scene
