"""Faces from somewhere else: ``python examples/own_finder.py PHOTO X1,Y1,X2,Y2 [MODEL]``.

A finder is any object with ``find_faces(image) -> list[Face]``; here it returns a box that is known already. Without
eye positions the face is cut out by its box, which is less exact than by the mesh (column ``alignment``).
"""

import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import mien
from mien.schema.prediction import Face


@dataclass(frozen=True)
class KnownBox:
    """Finds one face, always in the same place."""

    box: tuple[float, float, float, float]

    def find_faces(self, image: NDArray[np.uint8]) -> list[Face]:
        """The face in the box, whatever the picture shows."""
        return [Face(box=self.box, score=1.0)]


def main(photo: str, corners: str, model: str = "product_cross_small") -> None:
    """Print what the face in the box expresses."""
    x1, y1, x2, y2 = map(float, corners.split(","))
    result = mien.load(model, finder=KnownBox((x1, y1, x2, y2)))(photo)
    for row in result:
        print(row.label or row.status, row.score, row.detail)


if __name__ == "__main__":
    main(*sys.argv[1:])
