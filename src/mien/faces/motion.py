"""One face that is followed: where it was seen, how it moves, and where it is to be expected."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mien.faces.detect import Detection
from mien.faces.reader import TRUSTED_SCORE, to_face
from mien.schema.prediction import Face
from mien.schema.sample import Box

_VELOCITY_OVER_S = 0.12
"""The velocity is a mean over about this time."""

_LEAST_STEP_S = 0.01
"""Steps of time are added up to this before they say anything of the velocity: points tremble by parts of a pixel."""

_COASTS_S = 1.0
"""A face that is not seen is expected to come to rest within about this time."""

_MAX_UNSEEN_ROUNDS = 3
_BEYOND_DOUBT = 0.9
"""A face that so many looks of the detector miss is given up where the presence of its mesh is below this."""

_FRAME_WEIGHT = 0.25
"""A later detection moves the frame of the box around the mesh by this share: detections tremble, meshes less."""

Vector = NDArray[np.float64]


@dataclass(slots=True, kw_only=True)
class Track:
    """One face over time, in pixels of the picture.

    Attributes:
        face: as it was seen last.
        mesh: ``float32 [468, 2]``, as it was trusted last; ``None`` if it never was.
        time_s: when it was seen last.
        face_id: its number; ``None`` until it is confirmed.
        is_visible: whether the last frame shows it.
        velocity: ``[2]``, pixels a second.
        seen_rounds: how many looks of the detector saw it.
        unseen_rounds: how many of them in a row did not see what the mesh saw.
        detected_box: where the detector saw it last.
    """

    face: Face
    mesh: NDArray[np.float32] | None
    time_s: float
    face_id: int | None = None
    is_visible: bool = True
    velocity: Vector = field(default_factory=lambda: np.zeros(2))
    seen_rounds: int = 1
    unseen_rounds: int = 0
    detected_box: Box = field(init=False)
    _steps: int = field(default=0, init=False)
    _moved_s: float = field(init=False)
    _moved_from: Vector = field(init=False)
    _frame: Vector | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.detected_box = self.face.box
        self._moved_s, self._moved_from = self.time_s, centre(self.face.box)
        if self.mesh is not None:
            self._frame = _frame(self.face.box, self.mesh)

    @property
    def rests_on_detector(self) -> bool:
        """Whether the detector alone saw it last, so that nothing is known until it looks again."""
        return self.face.alignment != "mesh"

    @property
    def is_certain(self) -> bool:
        """Whether mesh and detector are both sure, or the detector saw it more than once."""
        return self.seen_rounds > 1 or (not self.rests_on_detector and self.face.score >= TRUSTED_SCORE)

    @property
    def is_over(self) -> bool:
        """Whether it was lost before it was confirmed, or the mesh alone holds it for long and is not quite sure."""
        if not self.is_visible and self.face_id is None:
            return True
        return self.unseen_rounds >= _MAX_UNSEEN_ROUNDS and (self.face.presence or 0.0) < _BEYOND_DOUBT

    def shift(self, time_s: float) -> Vector:
        """How far it has gone since it was seen last, if it moves on and comes to rest, ``[2]``."""
        return self.velocity * (-_COASTS_S * math.expm1((self.time_s - time_s) / _COASTS_S))

    def expected_box(self, time_s: float) -> Box:
        """Where its box is expected."""
        return moved_box(self.face.box, self.shift(time_s))

    def expected_mesh(self, time_s: float) -> NDArray[np.float32] | None:
        """Where its mesh is expected; ``None`` if it never had one."""
        return None if self.mesh is None else np.asarray(self.mesh + self.shift(time_s), np.float32)

    def face_by(self, mesh: NDArray[np.float32], presence: float) -> Face:
        """The face that a trusted mesh shows, with the score of the last detection and a box as it has it."""
        assert self._frame is not None, "a track with a mesh has a frame"
        known = Detection(box=_box(self._frame, mesh), score=self.face.score, keypoints=_NO_POINTS)
        return to_face(known, mesh, presence)

    def face_at(self, time_s: float) -> Face:
        """The face as it was seen last, moved to where it is expected."""
        shift = self.shift(time_s)
        if not shift.any():
            return self.face
        eyes = None if self.face.eyes is None else self.face.eyes + shift
        points = None if self.face.landmarks is None else np.asarray(self.face.landmarks + shift, np.float32)
        return replace(self.face, box=moved_box(self.face.box, shift), eyes=eyes, landmarks=points)

    def see(self, face: Face, mesh: NDArray[np.float32] | None, time_s: float) -> None:
        """Note where it is now.

        Args:
            face: as it is seen.
            mesh: its mesh if that is to be trusted.
            time_s: time of the frame.
        """
        shift = centre(face.box) - centre(self.face.box)
        self._move(centre(face.box), time_s)
        if mesh is not None:
            self.mesh = mesh
            self._frame = _frame(face.box, mesh) if self._frame is None else self._frame
        elif self.mesh is not None:
            self.mesh = np.asarray(self.mesh + shift, np.float32)
        self.face, self.time_s, self.is_visible = face, time_s, True

    def _move(self, place: Vector, time_s: float) -> None:
        """Bring the velocity up to date."""
        elapsed_s = time_s - self._moved_s
        if elapsed_s < _LEAST_STEP_S:
            return
        self._steps += 1
        weight = max(-math.expm1(-elapsed_s / _VELOCITY_OVER_S), 1 / self._steps)
        self.velocity = self.velocity + weight * ((place - self._moved_from) / elapsed_s - self.velocity)
        self._moved_s, self._moved_from = time_s, place

    def miss(self, *, has_detected: bool) -> None:
        """Note that nothing shows it; one that the detector alone saw is held until that looks again."""
        if has_detected or not self.rests_on_detector:
            self.is_visible = False

    def compare(self, detected: Face | None) -> None:
        """Note what the detector says of the face that is there now; ``None`` if it does not see it."""
        if detected is None:
            self.unseen_rounds += 1
            return
        self.unseen_rounds, self.seen_rounds = 0, self.seen_rounds + 1
        self.face, self.detected_box = replace(self.face, score=detected.score), detected.box
        if self.mesh is not None and self._frame is not None:
            self._frame = self._frame + _FRAME_WEIGHT * (_frame(detected.box, self.mesh) - self._frame)


_NO_POINTS = np.array([[0.0, 0.0], [1.0, 0.0], [0, 0], [0, 0], [0, 0], [0, 0]])


def centre(box: Box) -> Vector:
    """Centre of a box, ``[2]``."""
    x1, y1, x2, y2 = box
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2])


def moved_box(box: Box, shift: Vector) -> Box:
    """A box elsewhere."""
    x, y = shift.tolist()
    x1, y1, x2, y2 = box
    return x1 + x, y1 + y, x2 + x, y2 + y


def _measures(mesh: NDArray[np.float32]) -> tuple[Vector, float]:
    """Mean of the points, and their root mean square distance from it, which no turning in the picture changes."""
    points = mesh.astype(np.float64)
    middle = points.mean(axis=0)
    return middle, max(float(np.sqrt(((points - middle) ** 2).sum(axis=1).mean())), 1e-6)


def _frame(box: Box, mesh: NDArray[np.float32]) -> Vector:
    """The box relative to the middle and the size of the mesh, ``[4]``."""
    middle, size = _measures(mesh)
    return (np.array(box) - np.tile(middle, 2)) / size


def _box(frame: Vector, mesh: NDArray[np.float32]) -> Box:
    middle, size = _measures(mesh)
    x1, y1, x2, y2 = (np.tile(middle, 2) + frame * size).tolist()
    return x1, y1, x2, y2
