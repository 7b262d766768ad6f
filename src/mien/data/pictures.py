"""Samples are single faces; what a detector learns from is a picture with all its faces."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.splits import Labelled
from mien.schema.sample import Sample, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedPicture:
    """One picture and the faces in it.

    Attributes:
        key: name of the picture: that of its faces up to the ``#``.
        source: where its pixels are.
        faces: at least one, each with its class.
    """

    key: str
    source: Source
    faces: tuple[Labelled, ...]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class index of each face, ``int64 [N]``."""
        return np.array([face.index for face in self.faces], np.int64)

    def boxes(self, shape_hw: Sequence[int]) -> NDArray[np.float32]:
        """The faces of the picture, ``float32 [N, 4]``: ``x1, y1, x2, y2`` in its pixels, clipped to it.

        A face without a box, as in pictures that are face crops already, covers the whole picture.

        Args:
            shape_hw: ``(height, width, ...)`` of the decoded picture.
        """
        height, width = float(shape_hw[0]), float(shape_hw[1])
        boxes = [face.sample.box or (0.0, 0.0, width, height) for face in self.faces]
        return np.array(boxes, np.float64).reshape(-1, 4).clip(0, (width, height, width, height)).astype(np.float32)


def mark(items: Iterable[Labelled], *, among: Iterable[Sample] = ()) -> list[MarkedPicture]:
    """Put the faces of each picture together: those whose ``source`` is equal, in the order in which they come.

    Args:
        items: labelled faces of one part.
        among: all faces of the dataset, to leave out pictures in which a face has no label: a detector would be taught
            that there is none. Without them every picture is kept.
    """
    faces = defaultdict[Source, list[Labelled]](list)
    for item in items:
        faces[item.sample.source].append(item)
    known = {item.sample.key for of_one in faces.values() for item in of_one}
    incomplete = {sample.source for sample in among if sample.source in faces and sample.key not in known}
    return [
        MarkedPicture(key=found[0].sample.key.partition("#")[0], source=source, faces=tuple(found))
        for source, found in faces.items()
        if source not in incomplete
    ]
