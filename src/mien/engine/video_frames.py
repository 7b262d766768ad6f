"""Samples that are frames of videos: which of them are asked for, and what the others are answered.

``N`` samples, ``A`` of them asked for, ``C`` classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.data.moment_plan import Frames, pictured
from mien.engine.pooling import filled, logits_of, smoothed
from mien.metrics.calibration import softmax
from mien.schema.sample import Sample

Videos = list[tuple[NDArray[np.int64], NDArray[np.int64]]]
"""Of each video whose frames are samples: the places of these samples, and the numbers of the frames, rising."""


def videos_of(samples: Sequence[Sample]) -> Videos:
    """The videos whose frames are samples."""
    places: dict[int, list[int]] = {}
    for place, sample in enumerate(samples):
        if sample.frame is not None:
            places.setdefault(id(sample.source), []).append(place)
    found = []
    for rows in places.values():
        numbers = np.array([samples[row].frame for row in rows], np.int64)
        order = np.argsort(numbers, kind="stable")
        found.append((np.array(rows, np.int64)[order], numbers[order]))
    return found


def asked_of(samples: Sequence[Sample], videos: Videos, seen: Frames = pictured) -> NDArray[np.int64]:
    """Places of the samples that are put to the network, ``int64 [A]``: not frames without a picture, unless a video
    has none.

    Args:
        samples: of which some are frames.
        videos: of these.
        seen: which frames of a video can be looked at.
    """
    wanted = np.ones(len(samples), bool)
    for places, numbers in videos:
        there = np.isin(numbers, seen(samples[places[0]]))
        wanted[places] = there if there.any() else True
    return np.flatnonzero(wanted)


def filled_rows(count: int, videos: Videos, asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of ``count`` samples the row of its answer among those that were asked for, ``int64 [N]``.

    A frame that was not asked for has that of the nearest one of its video, of two equally near the earlier.
    """
    row_of = np.full(count, -1, np.int64)
    row_of[asked] = np.arange(len(asked))
    for places, numbers in videos:
        answered = row_of[places] >= 0
        row_of[places] = row_of[places[answered]][filled(numbers, numbers[answered])]
    assert (row_of >= 0).all()
    return row_of


def steady(logits: NDArray[np.float32], videos: Videos, frames: int) -> NDArray[np.float32]:
    """Answers ``[N, C]`` of which those of each video are averaged over so many frames."""
    made = logits.copy()
    for places, numbers in videos:
        made[places] = logits_of(smoothed(softmax(logits[places]), numbers, frames))
    return made
