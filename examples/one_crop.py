"""One crop for training and prediction: ``python examples/one_crop.py [COUNT] [SIDE_PX]`` writes ``one_crop.png``.

Pairs of faces of FERPlus (from ``$MIEN_DATA/fer2013``): on the left as a model is trained on them, on the right as
they are found and cut out where the same picture stands in a larger scene, ``SIDE_PX`` wide. Both sides should agree.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.prepare import prepare
from mien.data.readers import read_dataset
from mien.engine.scenes import place
from mien.faces import FaceReader
from mien.media.crop import cut, face_matrix
from mien.media.image import read_source, write_image
from mien.schema.inputs import ImageSpec
from mien.schema.prediction import Face
from mien.schema.sample import Box

SPEC = ImageSpec(size_px=112)
COLUMNS = 8

Rgb = NDArray[np.uint8]


def main(count: int = 48, side_px: int = 160) -> Path:
    """Write the picture and say how alike its pairs are."""
    samples = [s for s in read_dataset("ferplus", None) if s.split == "valid"][:: max(1, 3000 // count)][:count]
    prepared = prepare(samples, name="ferplus")
    reader, rng = FaceReader(), np.random.default_rng(0)
    pairs, missed = [], 0
    for sample in samples:
        picture = read_source(sample.source)
        scene, box = place(picture, side_px, rng)
        face = nearest(reader.find_faces(scene), box)
        missed += face is None
        right = np.zeros((SPEC.crop_px, SPEC.crop_px, 3), np.uint8) if face is None else crop(scene, face)
        pairs.append((crop(picture, prepared.face(sample.key)), right))
    alike = [np.corrcoef(left.ravel(), right.ravel())[0, 1] for left, right in pairs if right.any()]
    path = Path("one_crop.png").absolute()
    write_image(path, sheet(pairs))
    print(
        f"{len(pairs)} pairs, {missed} not found; correlation {np.mean(alike):.3f}, least {np.min(alike):.3f}: {path}"
    )
    return path


def crop(image: Rgb, face: Face) -> Rgb:
    """The face as a network would be shown it."""
    return cut(image, face_matrix(face, image.shape, SPEC), SPEC.crop_px)


def nearest(faces: list[Face], box: Box) -> Face | None:
    """The face in the middle of the box, if there is one."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    inside = [face for face in faces if face.box[0] < x < face.box[2] and face.box[1] < y < face.box[3]]
    return max(inside, key=lambda face: face.score, default=None)


def sheet(pairs: list[tuple[Rgb, Rgb]]) -> Rgb:
    """The pairs in rows, a gap between them."""
    tiles = [np.pad(np.hstack(pair), ((0, 6), (0, 6), (0, 0)), constant_values=255) for pair in pairs]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)
    return np.vstack([np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
