"""Drawn faces in drawn pictures: several in each, with exact boxes, for detectors to be tried on without any data.

Up to four faces of :mod:`mien.data.synthetic`, of a seed that no other drawn set has, are cut out along the head and
laid on a background. Every face is in one picture only, so no person is in two parts. Whatever a picture shows is a
function of ``(index, seed)`` alone. Nothing learnt from it carries over to photographs.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data import synthetic
from mien.data.backgrounds import Field, Rgb, drawn
from mien.data.drawing.paint import SIDE_PX
from mien.data.scenes import MOST_HIDDEN, hidden_shares
from mien.schema.errors import DatasetError
from mien.schema.labels import BASIC_7
from mien.schema.sample import Rendered, Sample, Targets

RENDERER = "mien.data.synthetic_scenes:render_scene"
DEFAULT_COUNT = 400
SEED = 8_000_001
MOST_FACES = 4
SHAPES = ((192, 256), (256, 192), (224, 224))
"""Heights and widths of pictures in pixels."""

SIZES = (0.25, 0.8)
"""Smallest and largest height of a head, as shares of the shorter side."""

_LAYOUT, _PIXELS = 1, 2
_TRIES = 30
_MARGIN = 1.15
"""How much larger than the head the piece is that is cut out: some of the hair comes along."""


class Place(NamedTuple):
    """Where a drawn face lies.

    Attributes:
        number: of the drawn face.
        scale: pixels of the scene for one of the drawing.
        corner: upper left of the drawing in the scene, x before y.
        box: of the head without its hair, ``x1, y1, x2, y2`` in pixels, inside the scene.
    """

    number: int
    scale: float
    corner: NDArray[np.float64]
    box: NDArray[np.float64]


class Plan(NamedTuple):
    """Height and width of a picture, and its faces, those behind first."""

    shape: tuple[int, int]
    places: tuple[Place, ...]


def render_scene(index: int, seed: int) -> tuple[Rgb, NDArray[np.float64]]:
    """Draw one picture: ``uint8 [H, W, 3]`` RGB and the boxes of its faces, ``float64 [N, 4]``."""
    plan = plan_of(index, seed)
    rng = np.random.default_rng((seed, _PIXELS, index))
    faces = [synthetic.render(place.number, seed)[0] for place in plan.places]
    scene = np.ascontiguousarray(drawn(faces[0], plan.shape, rng).clip(0, 255))
    for place, face in zip(plan.places, faces, strict=True):
        _lay(scene, place, face, seed)
    image = np.rint(scene + rng.normal(0, rng.uniform(0, 5), scene.shape)).clip(0, 255).astype(np.uint8)
    return image, np.array([place.box for place in plan.places])


def plan_of(index: int, seed: int) -> Plan:
    """Which faces picture ``index`` has and where; those for which there is no room are left out."""
    rng = np.random.default_rng((seed, _LAYOUT, index))
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    places: list[Place] = []
    for number in range(MOST_FACES * index, MOST_FACES * index + int(rng.integers(1, MOST_FACES + 1))):
        head = _head(number, seed)
        for _ in range(_TRIES):
            place = _placed(number, head, shape, rng)
            others = np.array([other.box for other in places]).reshape(-1, 4)
            if (hidden_shares(place.box[None], others) <= MOST_HIDDEN).all():
                places.append(place)
                break
    return Plan(shape, tuple(places))


def samples(n: int = DEFAULT_COUNT, seed: int = SEED) -> list[Sample]:
    """The faces of the first ``n`` pictures of a seed; of the pictures 60 % train, 20 % valid, 20 % test.

    Raises:
        DatasetError: if ``n`` is below 1.
    """
    if n < 1:
        raise DatasetError(f"A set of drawn pictures has at least 1; given: {n}.")
    return [sample for index in range(n) for sample in _of_scene(index, seed)]


def read(root: Path | None = None) -> list[Sample]:
    """Faces in pictures that are drawn on demand.

    Raises:
        DatasetError: if a root is given: they lie nowhere.
    """
    if root is not None:
        raise DatasetError(f"Drawn pictures are made as they are read and lie nowhere, so leave out the root {root}.")
    return samples()


@lru_cache(maxsize=4000)
def _of_scene(index: int, seed: int) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            key=f"drawn-scene-{seed}-{index:06d}#{row}",
            source=Rendered(RENDERER, index, seed),
            split=synthetic.part_of(len(BASIC_7) * index),
            box=tuple(np.round(place.box, 3).tolist()),
            targets=Targets(label=BASIC_7.names[place.number % len(BASIC_7)]),
        )
        for row, place in enumerate(plan_of(index, seed).places)
    )


def _head(number: int, seed: int) -> NDArray[np.float64]:
    """Box of a drawn head in its drawing, counted from the edges of pixels."""
    outline = synthetic.outline(number, seed) + 0.5
    return np.concatenate([outline.min(axis=0), outline.max(axis=0)]).clip(0, SIDE_PX)


def _placed(number: int, head: NDArray[np.float64], shape: tuple[int, int], rng: np.random.Generator) -> Place:
    tall = float(np.exp(rng.uniform(*np.log(SIZES)))) * min(shape)
    scale = tall / float(head[3] - head[1])
    size = scale * (head[2:] - head[:2])
    low = rng.random(2) * (np.array(shape[::-1]) - size)
    return Place(number, scale, low - scale * head[:2], np.concatenate([low, low + size]))


def _lay(scene: Field, place: Place, face: Rgb, seed: int) -> None:
    """Put a drawn face into the scene, in place."""
    outline = synthetic.outline(place.number, seed)
    middle = outline.mean(axis=0)
    piece = np.zeros(face.shape[:2], np.uint8)
    cv2.fillPoly(piece, [np.rint(middle + _MARGIN * (outline - middle)).astype(np.int32)], 255)
    soft = cv2.GaussianBlur(piece, (0, 0), 2.0)
    shift = place.corner + place.scale / 2 - 0.5
    matrix = np.array([[place.scale, 0, shift[0]], [0, place.scale, shift[1]]])
    size = scene.shape[1::-1]
    alpha = cv2.warpAffine(soft, matrix, size).astype(np.float32)[..., None] / 255
    scene += alpha * (cv2.warpAffine(face, matrix, size, borderMode=cv2.BORDER_REPLICATE) - scene)
