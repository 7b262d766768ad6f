"""The face of a picture that is known to hold one: dataset crops, and photos whose box somebody has drawn."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.faces.detect import Detection, Detectors, is_inside, merged, moved, overlaps
from mien.faces.mesh import FaceMesh
from mien.faces.reader import to_face
from mien.media.crop import box_matrix, cut, invert
from mien.schema.prediction import Face
from mien.schema.sample import Box

Picture = tuple[NDArray[np.uint8], Box | None]

_VIEW_PX = 192
_MIN_SCORE = 0.3
_MIN_SCORE_ALONE = 0.5
"""Where a face is known to be, a faint detection is worth a look of the mesh; without the mesh the box tells more."""

_ENLARGE = 1.25
"""The detectors see the box and a quarter more; a face that fills its whole picture is found less often."""


class SingleFaceReader:
    """Finds eyes and landmarks where a face is known to be, several pictures at a time.

    Pictures of any size are brought to one size around the face, with their border reflected, so tiny ones (48
    pixels) are enlarged before they are searched.

    Args:
        threads: cores to use; by default all, at most eight.

    Raises:
        BundleError: if the graphs are not on this machine.
    """

    def __init__(self, *, threads: int | None = None) -> None:
        self._detectors = Detectors(min_score=_MIN_SCORE, threads=threads)
        self._mesh = FaceMesh(threads=threads)

    def __call__(self, pictures: Sequence[Picture]) -> list[Face]:
        """One face for each picture.

        Args:
            pictures: ``uint8 [H, W, 3]`` RGB, and the box of the face; ``None`` if it fills the picture.

        Returns:
            Faces aligned by the mesh, else by a detector that is sure, else by nothing (``alignment="none"``, with the
            box).
        """
        if not pictures:
            return []
        known = [_box(image, box) for image, box in pictures]
        found = self._detect(pictures, known)
        faces = self._meshed(pictures, found)
        failed = [i for i, face in enumerate(faces) if face.alignment != "mesh"]
        if failed:
            again = self._meshed([pictures[i] for i in failed], [_guess(known[i]) for i in failed])
            for i, face in zip(failed, again, strict=True):
                if face.alignment == "mesh":
                    faces[i] = face
        return [
            face if face.alignment != "none" else replace(face, box=box) for face, box in zip(faces, known, strict=True)
        ]

    def _detect(self, pictures: Sequence[Picture], known: Sequence[Box]) -> list[Detection | None]:
        matrices = [box_matrix(_enlarged(box), _VIEW_PX) for box in known]
        views = [cut(image, matrix, _VIEW_PX) for (image, _), matrix in zip(pictures, matrices, strict=True)]
        found = []
        for matrix, box, seen in zip(matrices, known, self._detectors.on_squares(views), strict=True):
            back = invert(matrix)
            found.append(_nearest([moved(detection, back) for detection in merged(seen)], box))
        return found

    def _meshed(self, pictures: Sequence[Picture], found: Sequence[Detection | None]) -> list[Face]:
        chosen = [(image, one) for (image, _), one in zip(pictures, found, strict=True) if one is not None]
        images, detections = [image for image, _ in chosen], [one for _, one in chosen]
        sightings = iter(self._mesh.refine(images, self._mesh.look(images, detections)))
        return [_NOWHERE if one is None else _face(one, *next(sightings)) for one in found]


_NOWHERE = Face(box=(0.0, 0.0, 0.0, 0.0), score=0.0)


def _face(detection: Detection, mesh: NDArray[np.float32], presence: float) -> Face:
    face = to_face(detection, mesh, presence)
    is_doubtful = face.alignment == "detector" and detection.score < _MIN_SCORE_ALONE
    return replace(_NOWHERE, presence=presence) if is_doubtful else face


def _box(image: NDArray[np.uint8], box: Box | None) -> Box:
    height, width = image.shape[:2]
    return box or (0.0, 0.0, float(width), float(height))


def _enlarged(box: Box) -> Box:
    x1, y1, x2, y2 = box
    extra_x, extra_y = (x2 - x1) * (_ENLARGE - 1) / 2, (y2 - y1) * (_ENLARGE - 1) / 2
    return x1 - extra_x, y1 - extra_y, x2 + extra_x, y2 + extra_y


def _guess(box: Box) -> Detection:
    """An upright face in the middle of the box, for the mesh to try; its score of 0 says that nothing was seen."""
    x1, y1, x2, y2 = box
    side = max(x2 - x1, y2 - y1) * _ENLARGE / 1.5
    centre = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
    level = np.array([[-1.0, 0], [1, 0], [0, 0], [0, 0], [0, 0], [0, 0]])
    return Detection(
        box=(*(centre - side / 2).tolist(), *(centre + side / 2).tolist()), score=0.0, keypoints=centre + level
    )


def _nearest(detections: Sequence[Detection], box: Box) -> Detection | None:
    """Of the detections whose centre lies in the box the one that is surest and covers it best."""
    inside = [one for one in detections if is_inside(one, box)]
    if not inside:
        return None
    overlap, _ = overlaps(np.array(box), np.array([one.box for one in inside]))
    return inside[int(np.argmax(overlap * [one.score for one in inside]))]
