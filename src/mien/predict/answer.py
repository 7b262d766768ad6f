"""All rows of one picture, or of one frame or window of a video."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.media.video import VideoInfo
from mien.predict.sources import Picture, Video
from mien.schema.prediction import Prediction
from mien.schema.sample import Box


@dataclass(frozen=True, slots=True)
class Sight:
    """Where the face that is followed was at a second of the video; ``None`` where it was not seen."""

    time_s: float
    box: Box | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found in one picture or frame.

    Attributes:
        source: what was read.
        predictions: one a face; a single one if there is no face or it could not be read.
        image: the pixels ``uint8 [H, W, 3]`` RGB, if asked for and readable.
        frame: number of the frame, from 0; ``None`` for pictures and for what is said of a whole video.
        time_s: its time.
        info: facts about the video.
        sights: of a model that follows one face, where it was since the last answer; only where images are kept.
    """

    source: Picture | Video
    predictions: tuple[Prediction, ...]
    image: NDArray[np.uint8] | None = None
    frame: int | None = None
    time_s: float | None = None
    info: VideoInfo | None = None
    sights: tuple[Sight, ...] = ()
