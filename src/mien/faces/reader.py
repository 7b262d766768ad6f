"""From a picture to its faces: detections, meshes, and what is kept of both."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.faces.detect import Detection, overlaps
from mien.faces.find import FaceFinder
from mien.faces.mesh import MIN_PRESENCE, FaceMesh, Sighting, landmarks_68
from mien.media.crop import eye_centres
from mien.schema.prediction import Face
from mien.schema.sample import Box

TRUSTED_SCORE = 0.75
"""A detection with this score is kept even if the mesh does not find a face there."""

_LEAST_EYE_SPAN = 0.3
"""Distance of the eyes that a detector gives, as a share of its box; of upright faces it is 0.4."""

_SAME_EYES = 0.5
"""Two faces whose eyes are closer than this share of their distance are one."""

SAME_PLACE = 0.5
"""Two sightings whose boxes overlap by more than this share of their union show one face."""

Find = Callable[[NDArray[np.uint8]], Sequence[Detection]]
Found = tuple[Face, NDArray[np.float32]]
"""A face and its mesh ``[468, 2]``, which is to be trusted where it aligned the face."""


class FaceReader:
    """Finds the faces of a picture and their landmarks.

    Args:
        finder: from a picture to detections; by default :class:`FaceFinder`.
        mesh: from a picture and detections to meshes; by default :class:`FaceMesh`.
        min_face_px: shorter side of the smallest face that the default finder searches for.

    Raises:
        BundleError: if the graphs are not on this machine.
    """

    def __init__(self, finder: Find | None = None, mesh: FaceMesh | None = None, *, min_face_px: int = 32) -> None:
        self._find: Find = finder or FaceFinder(min_face_px=min_face_px)
        self.mesh = mesh or FaceMesh()

    def find_faces(self, image: NDArray[np.uint8]) -> list[Face]:
        """The faces of a picture, from left to right, then from top to bottom.

        Args:
            image: ``uint8 [H, W, 3]`` RGB.

        Returns:
            Faces aligned by the mesh, or by the detector where the mesh fails on a face that is beyond doubt.
        """
        return [face for face, _ in self.find_meshes(image)]

    def find_meshes(
        self, image: NDArray[np.uint8], known: Sequence[Box] | None = None, followed: Sequence[Found] = ()
    ) -> list[Found]:
        """The same faces, each with its mesh ``[468, 2]``, which is to be trusted where it aligned the face.

        Args:
            image: ``uint8 [H, W, 3]`` RGB.
            known: boxes of faces that are known; the default finder then takes a glance instead of searching throughout
                (:meth:`FaceFinder.search`), other finders don't mind.
            followed: faces that the mesh saw in this picture already; where they are it does not look again.
        """
        seen: dict[int, tuple[Detection, Sighting]] = {}
        old: set[int] = set()

        def confirm(detections: Sequence[Detection]) -> list[bool]:
            given = [_sighting_at(one.box, followed) for one in detections]
            new = [one for one, sighting in zip(detections, given, strict=True) if sighting is None]
            looked = iter(self.mesh.look([image] * len(new), new))
            sightings = [next(looked) if sighting is None else sighting for sighting in given]
            old.update(id(one) for one, sighting in zip(detections, given, strict=True) if sighting is not None)
            seen.update((id(one), (one, sighting)) for one, sighting in zip(detections, sightings, strict=True))
            return [is_face(one, presence) for one, (_, presence) in zip(detections, sightings, strict=True)]

        if isinstance(self._find, FaceFinder):
            detections = self._find.search(image, confirm, known)
        else:
            given = list(self._find(image))
            detections = [one for one, is_there in zip(given, confirm(given), strict=True) if is_there]
        rough = [seen[id(one)][1] for one in detections if id(one) not in old]
        refined = iter(self.mesh.refine([image] * len(rough), rough))
        sightings = [seen[id(one)][1] if id(one) in old else next(refined) for one in detections]
        found = [(to_face(one, *sighting), sighting[0]) for one, sighting in zip(detections, sightings, strict=True)]
        return sorted(_distinct(found), key=lambda pair: pair[0].box[:2])


def _sighting_at(box: Box, followed: Sequence[Found]) -> Sighting | None:
    """What the mesh saw of the followed face that overlaps a box by more than half; ``None`` without one."""
    if not followed:
        return None
    shares, _ = overlaps(np.array(box), np.array([face.box for face, _ in followed]))
    face, mesh = followed[int(shares.argmax())]
    return (mesh, face.presence) if shares.max() > SAME_PLACE and face.presence is not None else None


def is_face(detection: Detection, presence: float) -> bool:
    """Whether the mesh or the detector is sure."""
    return presence >= MIN_PRESENCE or detection.score >= TRUSTED_SCORE


def to_face(detection: Detection, mesh: NDArray[np.float32], presence: float) -> Face:
    """A face aligned by its mesh ``[468, 2]`` if that is present, else by the points of the detector."""
    known: dict[str, Any] = {"box": detection.box, "score": detection.score, "presence": presence}
    points = landmarks_68(mesh)
    eyes = eye_centres(points)
    if presence >= MIN_PRESENCE and (eyes[0] != eyes[1]).any():
        return Face(**known, eyes=eyes, alignment="mesh", landmarks=points)
    return Face(**known, eyes=_spread(detection), alignment="detector")


def _spread(detection: Detection) -> NDArray[np.float64]:
    """The detector's eyes, at least as far apart as in a face turned by half: on profiles they nearly meet."""
    left, right = detection.keypoints[:2].astype(np.float64)
    distance, least = float(np.hypot(*(right - left))), _LEAST_EYE_SPAN * detection.size_px
    if distance >= least:
        return np.stack([left, right])
    direction = (right - left) / distance if distance > least / 2 else np.array([1.0, 0.0])
    middle = (left + right) / 2
    return np.stack([middle - direction * least / 2, middle + direction * least / 2])


def _distinct(found: Sequence[Found]) -> list[Found]:
    """Without those whose eyes lie on the eyes of a better face: a box beside a face can lead the mesh to it."""
    kept: list[Found] = []
    for face, mesh in sorted(found, key=lambda pair: -pair[0].score):
        if not any(_eye_shift(face, other) < _SAME_EYES for other, _ in kept):
            kept.append((face, mesh))
    return kept


def _eye_shift(face: Face, other: Face) -> float:
    """Distance of the midpoints of the eyes, as a share of the other face's eye distance."""
    assert face.eyes is not None and other.eyes is not None
    between = other.eyes[1] - other.eyes[0]
    shift = face.eyes.mean(axis=0) - other.eyes.mean(axis=0)
    return float(np.hypot(*shift) / max(np.hypot(*between), 1e-9))
