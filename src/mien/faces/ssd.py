"""From the raw outputs of MediaPipe's two face detectors to boxes and points.

Both are single-shot detectors without sizes of anchors: each anchor is a point, and the network gives the centre, the
sides and six points of a face relative to it, in pixels of its input (Bazarevsky et al., "BlazeFace", 2019;
options as published with the graphs).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SCORE_CLIP = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """What the decoding of one graph needs.

    Attributes:
        graph: its name.
        side_px: side of its input.
        grids: (stride in pixels, anchors a cell) in the order of the outputs.
    """

    graph: str
    side_px: int
    grids: tuple[tuple[int, int], ...]

    def anchors(self) -> NDArray[np.float32]:
        """Anchor points as shares of the side, ``float32 [A, 2]``, row by row."""
        return np.concatenate([_grid(self.side_px // stride, count) for stride, count in self.grids])


SHORT_RANGE = Detector(graph="face_detection_short_range", side_px=128, grids=((8, 2), (16, 6)))
FULL_RANGE = Detector(graph="face_detection_full_range", side_px=192, grids=((4, 1),))


def decode(
    regressed: NDArray[np.float32],
    logits: NDArray[np.float32],
    anchors: NDArray[np.float32],
    side_px: int,
    min_score: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The faces that one run of a detector saw.

    Args:
        regressed: ``[A, 16]``: centre, sides, six points.
        logits: ``[A]``.
        anchors: ``[A, 2]``.
        side_px: side of the detector's input.
        min_score: least score in [0, 1].

    Returns:
        Boxes ``[N, 4]``, points ``[N, 6, 2]`` as shares of the side, and scores ``[N]``.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -_SCORE_CLIP, _SCORE_CLIP)))
    chosen = np.flatnonzero(scores >= min_score)
    values = regressed[chosen].astype(np.float64).reshape(-1, 8, 2) / side_px
    centre, half = values[:, 0] + anchors[chosen], values[:, 1] / 2
    points = values[:, 2:] + anchors[chosen, None]
    return np.concatenate([centre - half, centre + half], axis=1), points, scores[chosen]


def _grid(cells: int, count: int) -> NDArray[np.float32]:
    centres = (np.arange(cells) + 0.5) / cells
    x, y = np.meshgrid(centres, centres)
    return np.stack([x, y], axis=-1).reshape(-1, 2).repeat(count, axis=0).astype(np.float32)
