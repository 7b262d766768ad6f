"""Drawn faces with known truth: data that every recipe can run on, and that anybody may pass on.

Seven expressions, made of action units with an intensity, on faces of any proportions, pose, light and skin; the 68
landmarks are exact. A drawing is a function of ``(index, seed)`` alone. Nothing learnt from it carries over to real
faces: it is for tests, for examples and for comparing variants of a network with each other.
"""

import csv
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.drawing.look import random_face, random_look, random_units
from mien.data.drawing.paint import SIDE_PX, paint
from mien.data.drawing.pen import curve
from mien.data.drawing.shape import UNITS, Projected, project
from mien.schema.errors import DatasetError
from mien.schema.labels import BASIC_7
from mien.schema.sample import Rendered, Sample, Targets
from mien.schema.tables import resolve

RENDERER = "mien.data.synthetic:render"
PARTS = (("train", 0.6), ("valid", 0.2), ("test", 0.2))
DEFAULT_COUNT = 4000


def render(index: int, seed: int) -> tuple[NDArray[np.uint8], Targets]:
    """Draw one face: ``uint8 [128, 128, 3]`` RGB and its truth.

    Args:
        index: number of the face; the expression is ``index`` modulo seven.
        seed: seed of the set.
    """
    rng, face, units, targets = _face(index, seed)
    look = random_look(rng)
    named = dict(zip(UNITS, (float(u) for u in units), strict=True))
    return paint(face, named, look, rng), targets


def outline(index: int, seed: int) -> NDArray[np.float64]:
    """Outline of a drawn head without its hair: ``(x, y)``, ``float64 [M, 2]``; whole numbers are middles of pixels."""
    face = _face(index, seed)[1]
    return curve(np.concatenate([face.points[:17], face.skull[::-1]]), closed=True)


def samples(n: int = DEFAULT_COUNT, seed: int = 0) -> list[Sample]:
    """The first ``n`` faces of a seed, drawn when they are read; 60 % train, 20 % valid, 20 % test.

    Raises:
        DatasetError: if ``n`` is below 1.
    """
    if n < 1:
        raise DatasetError(f"A set of drawn faces has at least 1; given: {n}.")
    return [sample_of(index, seed) for index in range(n)]


def read(root: Path | None = None) -> list[Sample]:
    """Faces drawn on demand, or, where a root is given, those that :func:`write_dataset` wrote there."""
    if root is None:
        return samples()
    found: list[Sample] = resolve("mien.data.readers.folder:read")(root)
    return found


def write_dataset(out: Path, n: int, seed: int = 0) -> Path:
    """Write ``out/<split>/<label>/<key>.png`` and ``out/landmarks.csv`` (``path,x1,y1,...,x68,y68``, pixels).

    The reader ``folder`` takes the result as it is.

    Raises:
        DatasetError: if ``n`` is below 1, or ``out`` exists and is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} exists and is not empty; give a new folder.")
    drawn = samples(n, seed)
    out.mkdir(parents=True, exist_ok=True)
    with (out / "landmarks.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["path", *(f"{axis}{i}" for i in range(1, 69) for axis in "xy")])
        for index, sample in enumerate(drawn):
            image, targets = render(index, seed)
            path = f"{sample.split}/{targets.label}/{sample.key}.png"
            _write_png(out / path, image)
            assert targets.landmarks is not None
            rows.writerow([path, *(f"{value:.3f}" for point in targets.landmarks for value in point)])
    return out


def _face(index: int, seed: int) -> tuple[np.random.Generator, Projected, NDArray[np.float64], Targets]:
    """The geometry of one face and its truth, without a pixel."""
    rng = np.random.default_rng([seed, index])
    label = BASIC_7.names[index % len(BASIC_7)]
    intensity = 0.0 if label == "neutral" else float(rng.uniform(0.15, 1.0))
    units = random_units(label, intensity, rng)
    points, skull = random_face(units, rng)
    yaw, pitch, roll = np.radians(np.clip(rng.normal(0, (13, 8, 7)), (-28, -20, -20), (28, 20, 20)))
    middle = SIDE_PX / 2 + rng.uniform(-5, 5, 2) + (0, 4)
    face = project(
        points,
        skull,
        yaw=float(yaw),
        pitch=float(pitch),
        roll=float(roll),
        scale=float(rng.uniform(30, 38)),
        centre=(float(middle[0]), float(middle[1])),
    )
    landmarks = tuple((x, y) for x, y in np.round(face.points, 3).tolist())
    return rng, face, units, Targets(label=label, intensity=round(intensity, 4), landmarks=landmarks)


@lru_cache(maxsize=20_000)
def sample_of(index: int, seed: int) -> Sample:
    """One drawn face, without its pixels."""
    return Sample(
        key=f"drawn-{seed}-{index:06d}",
        source=Rendered(RENDERER, index, seed),
        split=part_of(index),
        targets=_face(index, seed)[3],
    )


def part_of(index: int) -> str:
    """Split of a drawing, the same for the seven of a round; golden-ratio steps keep the shares at any length."""
    share, place = 0.0, (index // len(BASIC_7) * 0.6180339887498949) % 1
    for name, part in PARTS:
        share += part
        if place < share:
            return name
    return PARTS[-1][0]


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done
    path.write_bytes(encoded.tobytes())
