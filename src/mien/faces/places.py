"""What one frame shows, each face once, and how well it fits the faces that are known."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mien.faces.detect import overlaps
from mien.faces.motion import Track
from mien.faces.reader import SAME_PLACE, Found
from mien.schema.prediction import Face
from mien.schema.sample import Box

Mesh = NDArray[np.float32]

COST_LIMIT = 1.3
"""What it costs to leave a face without a place: eight tenths of its size away, without overlap, of its size."""

_WAITING_COST = 0.15
"""A face that is not seen stands back behind one that is."""

_RETURN_COST = 0.3
"""It may also come back to where it was seen or detected last: what hides it can drag its mesh along."""


@dataclass(slots=True)
class Place:
    """Where a frame shows a face.

    Attributes:
        face: as it was seen first.
        mesh: to be trusted; ``None`` if the detector alone sees a face.
        detected: what the detector says, if it looked and saw it.
        by_track: what each track that looked here saw, by its number.
    """

    face: Face
    mesh: Mesh | None
    detected: Face | None = None
    by_track: dict[int, Found] = field(default_factory=dict)


def places(followed: Mapping[int, Found], detected: Iterable[Found]) -> list[Place]:
    """Each face once, whoever saw it.

    Args:
        followed: what the mesh saw around the tracks, by their numbers.
        detected: what the detector saw.
    """
    found: list[Place] = []
    for number, (face, mesh) in followed.items():
        place = _place_of(face, found)
        if place is None:
            found.append(place := Place(face, mesh))
        place.by_track[number] = (face, mesh)
    for face, mesh in detected:
        place = _place_of(face, [one for one in found if one.detected is None])
        if place is None:
            found.append(place := Place(face, mesh if face.alignment == "mesh" else None))
        place.detected = face
    return found


def misfits(tracks: Sequence[Track], found: Sequence[Place], time_s: float) -> NDArray[np.float64]:
    """How badly each place fits each track at a time, ``[tracks, places]``."""
    costs = np.zeros((len(tracks), len(found)))
    for number, track in enumerate(tracks):
        own = [place.by_track.get(number, (place.face,))[0].box for place in found]
        boxes = np.array(own).reshape(-1, 4)
        costs[number] = _misfit(track.expected_box(time_s), boxes)
        if not track.is_visible:
            returns = [_misfit(box, boxes) + _RETURN_COST for box in (track.face.box, track.detected_box)]
            costs[number] = np.minimum(costs[number] + _WAITING_COST, np.min(returns, axis=0))
    return costs


def _place_of(face: Face, found: Sequence[Place]) -> Place | None:
    """The place that overlaps most, if by enough."""
    if not found:
        return None
    shares, _ = overlaps(np.array(face.box), np.array([place.face.box for place in found]))
    best = int(shares.argmax())
    return found[best] if shares[best] > SAME_PLACE else None


def _misfit(box: Box, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance in sizes of the face, plus half of the missing overlap, plus half of the logarithm of the growth."""
    one = np.array(box)
    size, sizes = _size(one[None]), _size(boxes)
    shift = (boxes[:, :2] + boxes[:, 2:] - one[:2] - one[2:]) / 2
    shares, _ = overlaps(one, boxes)
    costs: NDArray[np.float64] = np.hypot(*shift.T) / size + (1 - shares) / 2 + np.abs(np.log(sizes / size)) / 2
    return costs


def _size(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    sizes: NDArray[np.float64] = np.sqrt(sides.prod(axis=1))
    return sizes
