"""The 468-point mesh on each face, and the 68 points that are read off it."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.faces.detect import Detection
from mien.faces.graph import Graph
from mien.media.crop import Matrix, cut, invert, transform_points

Rgb = NDArray[np.uint8]
Sighting = tuple[NDArray[np.float32], float]
"""A mesh ``[468, 2]`` and its presence."""

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

MIN_PRESENCE = 0.5
"""Below this the mesh is taken to lie beside a face."""

_ENLARGE = 1.5
"""The mesh sees a square half as large again as the box."""

_OUTER_EYE_CORNERS = (33, 263)


class FaceMesh:
    """Finds 468 points on each detected face, in two looks: the second is centred on what the first one saw.

    Args:
        threads: cores to use; by default all, at most eight.
    """

    def __init__(self, *, threads: int | None = None) -> None:
        self._graph = Graph("face_landmark", low=0.0, threads=threads)

    def __call__(self, image: Rgb, detections: Sequence[Detection]) -> list[Sighting]:
        """Mesh and presence of each detection.

        Args:
            image: ``uint8 [H, W, 3]`` RGB.
            detections: faces in pixels of the picture.

        Returns:
            For each detection ``float32 [468, 2]`` in pixels of the picture, and the graph's confidence in [0, 1]
            that there is a face.
        """
        images = [image] * len(detections)
        return self.refine(images, self.look(images, detections))

    def look(self, images: Sequence[Rgb], detections: Sequence[Detection]) -> list[Sighting]:
        """The first look, at one detection of each picture."""
        return self._run(images, [_around_detection(detection, self._graph.side_px) for detection in detections])

    def refine(self, images: Sequence[Rgb], sightings: Sequence[Sighting]) -> list[Sighting]:
        """The second look, at what was seen in each picture; what was no face, or is none now, stays as it is."""
        refined = list(sightings)
        chosen = [i for i, (_, presence) in enumerate(sightings) if presence >= MIN_PRESENCE]
        matrices = [_around_mesh(sightings[i][0], self._graph.side_px) for i in chosen]
        for i, again in zip(chosen, self._run([images[i] for i in chosen], matrices), strict=True):
            if again[1] >= MIN_PRESENCE:
                refined[i] = again
        return refined

    def follow(self, image: Rgb, meshes: Sequence[NDArray[np.float32]]) -> list[Sighting]:
        """One look around each of these meshes, as it is seen: presence says whether a face is still there."""
        matrices = [_around_mesh(mesh, self._graph.side_px) for mesh in meshes]
        return self._run([image] * len(meshes), matrices, coarse=True)

    def _run(self, images: Sequence[Rgb], matrices: Sequence[Matrix], *, coarse: bool = False) -> list[Sighting]:
        side = self._graph.side_px
        if not matrices:
            return []
        squares = [cut(image, matrix, side, coarse=coarse) for image, matrix in zip(images, matrices, strict=True)]
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


def _around_detection(detection: Detection, size_px: int) -> Matrix:
    """The square around the box, turned until the eyes are level, enlarged."""
    x1, y1, x2, y2 = detection.box
    centre = np.array([(x1 + x2) / 2, (y1 + y2) / 2]) - 0.5
    eyes = detection.keypoints[1] - detection.keypoints[0]
    return _square(centre, max(x2 - x1, y2 - y1), math.atan2(eyes[1], eyes[0]), size_px)


def _around_mesh(mesh: NDArray[np.float32], size_px: int) -> Matrix:
    """The same around the points of a mesh."""
    eyes = mesh[_OUTER_EYE_CORNERS[1]] - mesh[_OUTER_EYE_CORNERS[0]]
    angle = math.atan2(eyes[1], eyes[0])
    level = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    turned = mesh.astype(np.float64) @ level.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    return _square(level.T @ ((low + high) / 2), float((high - low).max()), angle, size_px)


def _square(centre: NDArray[np.float64], side: float, angle: float, size_px: int) -> Matrix:
    scale = size_px / (_ENLARGE * max(side, 1e-6))
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    linear = np.array([[cos, sin], [-sin, cos]])
    return np.column_stack([linear, (size_px - 1) / 2 - linear @ centre])
