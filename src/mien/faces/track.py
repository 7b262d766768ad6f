"""Faces from frame to frame: the same face keeps its number, by where it is and how it moves, never by who it is.

```
frame ─ cut? ─ mesh around where each face is expected ─ detector, where it is due ─ who is who ─ faces with numbers
```

The detector looks at the first frame, after a cut, every ``detect_every_s``, and where a face was lost just now; in
between one look of the mesh a face follows it. Only the first look of each shot, and then every fourth, searches the
whole frame for faces of any size; the others are glances, which see known faces and new ones of a fiftieth of the
longer side and more (:mod:`mien.faces.find`). So large frames are quick, and a new tiny face is found
``4 * detect_every_s`` after it came, at the latest. Where frames lie ``detect_every_s`` apart or more, each of them is
searched. What is seen is given to the known faces so that place, size and overlap fit best over all of them. A face
that is not seen waits for ``max_gap_s`` near the place where it is expected, then it ends; its number is not used
again. The same frames give the same numbers.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.faces.assign import assign
from mien.faces.mesh import MIN_PRESENCE, FaceMesh, Sighting
from mien.faces.motion import Track, centre
from mien.faces.places import COST_LIMIT, Mesh, Place, misfits, places
from mien.faces.reader import FaceReader, Found
from mien.faces.scene import SceneCuts
from mien.schema.errors import ConfigError
from mien.schema.prediction import Face
from mien.schema.sample import Box

Rgb = NDArray[np.uint8]
Frame = tuple[Rgb, float]
"""A picture ``uint8 [H, W, 3]`` RGB and its time in seconds."""

_SOON_S = 0.1
"""The detector looks again after this time where a face is new and not certain yet."""

_SEARCH_ROUNDS = 4
"""Every so many intervals the detector searches the whole frame; in between it takes glances."""

_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedFace(Face):
    """A face in one frame of a clip.

    Its ``score`` is what the detector gave when it looked last; ``presence`` is of this frame.

    Attributes:
        face_id: number of the face in the clip, from 0, in the order in which they appear.
    """

    face_id: int


class Look(Protocol):
    """Finds the faces of a picture with their meshes; :class:`FaceReader` does."""

    def find_meshes(self, image: Rgb, /, known: Sequence[Box] | None, followed: Sequence[Found]) -> list[Found]:
        """Each face with its mesh ``[468, 2]``, trusted where ``alignment`` is ``mesh``.

        ``known`` are boxes of faces that are known, for a glance; ``None`` asks for a thorough search. ``followed`` is
        what the mesh saw in this picture already.
        """


class Follow(Protocol):
    """Looks again at known places; :class:`FaceMesh` does."""

    def follow(self, image: Rgb, meshes: Sequence[Mesh], /) -> list[Sighting]:
        """Mesh and presence around each given mesh."""


class Tracker:
    """Follows the faces of one clip, frame by frame.

    It keeps no thread and no frame. One thread at a time may call it; several trackers may share a reader and a mesh.

    Args:
        reader: finds faces; by default :class:`FaceReader`.
        mesh: follows them; by default :class:`FaceMesh`.
        min_face_px: shorter side of the smallest face that the default reader searches for.
        detect_every_s: longest time without a look of the detector; 0 lets it search every frame throughout.
        max_gap_s: a face that comes back to its place after at most this time keeps its number.

    Raises:
        BundleError: if the graphs are not on this machine.
        ConfigError: if a time is below 0.
    """

    def __init__(
        self,
        reader: Look | None = None,
        mesh: Follow | None = None,
        *,
        min_face_px: int = 32,
        detect_every_s: float = 0.4,
        max_gap_s: float = 1.0,
    ) -> None:
        for name, value in (("detect_every_s", detect_every_s), ("max_gap_s", max_gap_s)):
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} is a number of seconds, at least 0; given: {value}")
        self._mesh = mesh or FaceMesh()
        self._reader = reader or FaceReader(
            mesh=self._mesh if isinstance(self._mesh, FaceMesh) else None, min_face_px=min_face_px
        )
        self._detect_every_s, self._max_gap_s = detect_every_s, max_gap_s
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame begins another clip, with numbers from 0."""
        self._tracks: list[Track] = []
        self._cuts = SceneCuts()
        self._next_id = 0
        self._time_s = -math.inf
        self._forget_looks()

    def _forget_looks(self) -> None:
        self._detected_s = self._searched_s = self._hurried_s = -math.inf

    def follow(self, frames: Iterable[Frame]) -> Iterator[tuple[Rgb, float, list[TrackedFace]]]:
        """Each frame with its faces, as :meth:`update` gives them; takes a frame only when asked for the next answer.

        So a thread can run it between two queues, whatever their length.
        """
        for image, time_s in frames:
            yield image, time_s, self.update(image, time_s)

    def update(self, image: Rgb, time_s: float) -> list[TrackedFace]:
        """The faces of the next frame, by number; a time before that of the last frame begins a new scene.

        Args:
            image: ``uint8 [H, W, 3]`` RGB.
            time_s: its time.
        """
        assert math.isfinite(time_s), time_s
        if self._cuts.is_cut(image, time_s) or time_s < self._time_s:
            self._tracks.clear()
            self._forget_looks()
        self._tracks = [track for track in self._tracks if track.is_visible or self._waits(track, time_s)]
        followed = self._followed(image, time_s)
        detected = self._detected(image, time_s, followed) if self._is_due(followed, time_s) else None
        self._match(places(followed, detected or ()), time_s, has_detected=detected is not None)
        self._confirm()
        self._time_s = time_s
        faces = [
            _numbered(one.face_at(time_s), one.face_id)
            for one in self._tracks
            if one.is_visible and one.face_id is not None
        ]
        return sorted(faces, key=lambda face: face.face_id)

    def _waits(self, track: Track, time_s: float) -> bool:
        return track.face_id is not None and time_s - track.time_s <= self._max_gap_s + _ROUNDING_S

    def _followed(self, image: Rgb, time_s: float) -> dict[int, Found]:
        """What the mesh sees where each track is expected, by the number of the track; faces inside the picture."""
        expected = {number: track.expected_mesh(time_s) for number, track in enumerate(self._tracks)}
        meshes = {number: mesh for number, mesh in expected.items() if mesh is not None}
        sightings = self._mesh.follow(image, list(meshes.values())) if meshes else []
        seen = {}
        for number, sighting in zip(meshes, sightings, strict=True):
            if sighting[1] >= MIN_PRESENCE:
                face = self._tracks[number].face_by(*sighting)
                if face.alignment == "mesh" and _is_in_picture(face, image):
                    seen[number] = (face, sighting[0])
        return seen

    def _is_due(self, followed: Mapping[int, Found], time_s: float) -> bool:
        """Whether the detector is to look at this frame, in its turn or, at most twice as often, out of it."""
        if time_s - self._detected_s >= self._detect_every_s - _ROUNDING_S:
            return True
        if time_s - self._hurried_s < self._detect_every_s / 2 - _ROUNDING_S or not self._is_urgent(followed, time_s):
            return False
        self._hurried_s = time_s
        return True

    def _is_urgent(self, followed: Mapping[int, Found], time_s: float) -> bool:
        """Whether the mesh has just lost a face, one is not certain yet, or one rests on the detector alone."""
        since_s = time_s - self._detected_s + _ROUNDING_S
        for number, track in enumerate(self._tracks):
            if not track.is_visible:
                continue
            if track.rests_on_detector:
                is_urgent = since_s >= (_SOON_S if track.face_id is None else self._detect_every_s / 2)
            else:
                is_urgent = number not in followed or (track.face_id is None and since_s >= _SOON_S)
            if is_urgent:
                return True
        return False

    def _detected(self, image: Rgb, time_s: float, followed: Mapping[int, Found]) -> list[Found]:
        """What the detector sees inside the picture."""
        self._detected_s = time_s
        known = None if self._is_search(time_s) else [track.expected_box(time_s) for track in self._tracks]
        found = self._reader.find_meshes(image, known, list(followed.values()))
        return [pair for pair in found if _is_in_picture(pair[0], image)]

    def _is_search(self, time_s: float) -> bool:
        """Whether the detector is to search throughout: in its turn, or where frames lie far apart."""
        since_s = max((time_s - self._searched_s) / _SEARCH_ROUNDS, time_s - self._time_s)
        if since_s < self._detect_every_s - _ROUNDING_S:
            return False
        self._searched_s = time_s
        return True

    def _match(self, found: Sequence[Place], time_s: float, *, has_detected: bool) -> None:
        """Give each place to a track, or a new track to it."""
        columns = assign(misfits(self._tracks, found, time_s), COST_LIMIT)
        for number, (track, column) in enumerate(zip(self._tracks, columns, strict=True)):
            if column is None:
                track.miss(has_detected=has_detected)
            else:
                track.see(*found[column].by_track.get(number, (found[column].face, found[column].mesh)), time_s)
                if has_detected:
                    track.compare(found[column].detected)
        self._tracks = [track for track in self._tracks if not track.is_over]
        self._tracks += [
            Track(face=place.detected, mesh=place.mesh, time_s=time_s)
            for column, place in enumerate(found)
            if column not in columns and place.detected is not None
        ]

    def _confirm(self) -> None:
        """Give a number to new faces: at once where mesh and detector are sure, else when they are detected again."""
        for track in self._tracks:
            if track.face_id is None and track.is_certain:
                track.face_id, self._next_id = self._next_id, self._next_id + 1


def _is_in_picture(face: Face, image: Rgb) -> bool:
    """Whether the centre of a face lies in the picture."""
    x, y = centre(face.box)
    return bool(0 <= x <= image.shape[1] and 0 <= y <= image.shape[0])


def _numbered(face: Face, face_id: int) -> TrackedFace:
    known: dict[str, Any] = {one.name: getattr(face, one.name) for one in fields(Face)}
    return TrackedFace(**known, face_id=face_id)
