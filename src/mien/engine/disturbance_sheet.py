"""Every disturbance to look at, on drawn faces: nothing on the sheet was ever a photo, so anybody may pass it on."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mien.data import synthetic
from mien.data.disturbances.kinds import KINDS, Disturbance
from mien.media.crop import crop_matrix, cut, eye_centres, transform_points
from mien.predict.outline import PAGE
from mien.predict.paint import DIM, PAPER, Canvas
from mien.schema.inputs import CropSpec

Rgb = NDArray[np.uint8]

FACE_PX = 112
_TEXT_PX = 14
_GAP_PX = 6
_TITLE_PX = 178
_LEVEL_PX = 20


def disturbance_sheet(seed: int = 5, *, blocks: int = 2) -> Rgb:
    """One drawn face for each kind, undisturbed at the left, then at each severity: ``uint8 [H, W, 3]`` RGB.

    Args:
        seed: of the drawings and of the disturbances.
        blocks: how many kinds stand beside each other.
    """
    steps = 1 + max(len(kind.levels) for kind in KINDS.values())
    wide, high = _TITLE_PX + steps * (FACE_PX + _GAP_PX), FACE_PX + _LEVEL_PX + _GAP_PX
    rows = -(-len(KINDS) // blocks)
    canvas = Canvas(np.full((rows * high + _GAP_PX, blocks * wide + _GAP_PX, 3), PAGE, np.uint8))
    for number, (name, kind) in enumerate(KINDS.items()):
        left, top = number // rows * wide + _GAP_PX, number % rows * high + _GAP_PX
        canvas.text(left, top + FACE_PX / 2 - _TEXT_PX, kind.title, PAPER, _TEXT_PX)
        canvas.text(left, top + FACE_PX / 2 + _TEXT_PX / 2, kind.axis, DIM, _TEXT_PX - 3)
        for severity, face in enumerate(disturbed_faces(name, number, seed)):
            x = left + _TITLE_PX + severity * (FACE_PX + _GAP_PX)
            canvas.pixels[top : top + FACE_PX, x : x + FACE_PX] = face
            middle = x + FACE_PX / 2
            canvas.text(middle, top + FACE_PX + _LEVEL_PX / 2, kind.words(severity), DIM, _TEXT_PX - 2, align=0.5)
    return canvas.pixels


def disturbed_faces(name: str, index: int, seed: int) -> Iterator[Rgb]:
    """A drawn face at every severity of a kind, from 0 on, cut out as for a network of ``FACE_PX``.

    Args:
        name: of the kind.
        index: number of the drawing.
        seed: of the drawing and of the disturbance.
    """
    image, truth = synthetic.render(index, seed)
    points = np.array(truth.landmarks)
    right, key = crop_matrix(eye_centres(points), CropSpec(), FACE_PX), synthetic.sample_of(index, seed).key
    for severity in range(1 + len(KINDS[name].levels)):
        disturbance = Disturbance(name, severity, seed)
        matrix = disturbance.placed(right, FACE_PX, key)
        yield disturbance.altered(cut(image, matrix, FACE_PX), transform_points(points, matrix), key)
