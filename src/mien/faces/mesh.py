"""The 468-point mesh on each face, and the 68 points that are read off it."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.faces.detect import Detection
from mien.faces.graph import Graph
from mien.media.crop import Matrix, cut, invert, transform_points

POINTS_68: tuple[int, ...] = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
    *(71, 63, 105, 66, 107),
    *(336, 296, 334, 293, 301),
    *(168, 197, 5, 4),
    *(75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144),
    *(362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)
"""Points of the mesh for the jaw, the brows, the nose, the eyes and the mouth of the 68-point scheme.

A reading of the mesh, not a ground truth: the brows lie on the upper edge and the jaw is unevenly spaced.
"""

_ENLARGE = 1.5
"""The mesh sees a square half as large again as the detector's box."""


class FaceMesh:
    """Finds 468 points on each detected face.

    Args:
        threads: cores to use; by default all, at most eight.
    """

    def __init__(self, *, threads: int | None = None) -> None:
        self._graph = Graph("face_landmark", low=0.0, threads=threads)

    def __call__(
        self, image: NDArray[np.uint8], detections: Sequence[Detection]
    ) -> list[tuple[NDArray[np.float32], float]]:
        """Mesh and presence of each detection.

        Args:
            image: ``uint8 [H, W, 3]`` RGB.
            detections: faces in pixels of the picture.

        Returns:
            For each detection ``float32 [468, 2]`` in pixels of the picture, and the graph's confidence in [0, 1]
            that there is a face.
        """
        matrices = [mesh_matrix(detection, self.side_px) for detection in detections]
        return self.run([cut(image, matrix, self.side_px) for matrix in matrices], matrices)

    @property
    def side_px(self) -> int:
        """Side of the squares that the graph takes."""
        return self._graph.side_px

    def run(
        self, squares: Sequence[NDArray[np.uint8]], matrices: Sequence[Matrix]
    ) -> list[tuple[NDArray[np.float32], float]]:
        """The same for squares that are cut out already, from pictures that may differ."""
        if not squares:
            return []
        points, logits = self._graph(np.stack(squares))
        points = points.reshape(len(squares), 468, 3)[..., :2] - 0.5
        presences = 1 / (1 + np.exp(-np.clip(logits.reshape(-1).astype(np.float64), -100, 100)))
        return [
            (transform_points(mesh, invert(matrix)).astype(np.float32), float(presence))
            for mesh, matrix, presence in zip(points, matrices, presences, strict=True)
        ]


def landmarks_68(mesh: NDArray[np.float32]) -> NDArray[np.float32]:
    """The 68 points of a mesh ``[468, 2]``, ``float32 [68, 2]``."""
    return np.asarray(mesh[list(POINTS_68)], np.float32)


def mesh_matrix(detection: Detection, size_px: int) -> Matrix:
    """The square that the mesh sees: around the box, turned until the eyes are level, enlarged."""
    x1, y1, x2, y2 = detection.box
    (left_x, left_y), (right_x, right_y) = detection.keypoints[:2]
    angle = math.atan2(right_y - left_y, right_x - left_x)
    scale = size_px / (_ENLARGE * max(x2 - x1, y2 - y1))
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    linear = np.array([[cos, sin], [-sin, cos]])
    centre = np.array([(x1 + x2) / 2, (y1 + y2) / 2]) - 0.5
    return np.column_stack([linear, size_px / 2 - 0.5 - linear @ centre])
