"""Drawn faces as clips of a single frame: what a clip network's trunk learns faces from before it learns time.

Keypoint-Graph's paper starts from a trunk that was trained on faces; this is the counterpart for drawn clips. A still
is a drawing of :mod:`mien.data.synthetic` with another seed than any drawn clip has, so no person is in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data import synthetic
from mien.schema.errors import DatasetError
from mien.schema.sample import Rendered, RenderedClip, Sample

RENDERER = "mien.data.synthetic_stills:render_still"
DEFAULT_COUNT = 16_000
SEED = 7_000_001


@dataclass(frozen=True, slots=True)
class StillTruth:
    """``landmarks``, ``float32 [N, 68, 2]``, ``(x, y)`` in pixels."""

    landmarks: NDArray[np.float32]


def render_still(index: int, seed: int, frames: Sequence[int] | None = None) -> tuple[NDArray[np.uint8], StillTruth]:
    """Draw one face as a clip: ``uint8 [N, 128, 128, 3]`` RGB and its truth.

    Args:
        index: number of the face; the expression is ``index`` modulo seven.
        seed: seed of the set.
        frames: as of a drawn clip; all of them are 0.
    """
    numbers = [0] if frames is None else list(frames)
    assert set(numbers) <= {0}, f"a still has frame 0 only; asked: {numbers}"
    image, targets = synthetic.render(index, seed)
    points = np.array([targets.landmarks] * len(numbers), np.float32).reshape(-1, 68, 2)
    return np.stack([image] * len(numbers)), StillTruth(points)


def render_still_landmarks(index: int, seed: int) -> NDArray[np.float32]:
    """The landmarks alone, ``float32 [1, 68, 2]``, without drawing."""
    targets = synthetic.sample_of(index, seed).targets
    return np.array([targets.landmarks], np.float32)


def samples(n: int = DEFAULT_COUNT, seed: int = SEED) -> list[Sample]:
    """The first ``n`` stills of a seed; 60 % train, 20 % valid, 20 % test.

    Raises:
        DatasetError: if ``n`` is below 1.
    """
    return [_sample(one) for one in synthetic.samples(n, seed)]


def read(root: Path | None = None) -> list[Sample]:
    """Stills drawn on demand.

    Raises:
        DatasetError: if a root is given: they lie nowhere.
    """
    if root is not None:
        raise DatasetError(f"Drawn stills are made as they are read and lie nowhere, so leave out the root {root}.")
    return samples()


def _sample(drawn: Sample) -> Sample:
    assert isinstance(drawn.source, Rendered)
    clip = RenderedClip(RENDERER, drawn.source.index, drawn.source.seed, n_frames=1)
    return Sample(key=drawn.key, source=clip, split=drawn.split, targets=drawn.targets)
