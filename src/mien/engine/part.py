"""One part of what a run works on, ready to be loaded."""

from typing import NamedTuple

from mien.data.augment import Augment
from mien.data.clips import Clips
from mien.data.frame_windows import FrameWindows
from mien.data.loader import Faces
from mien.data.moments import Moments
from mien.data.scene_loader import Scenes
from mien.data.sequences import Sequences
from mien.engine.run import Run

Loaded = Faces | Clips | Moments | FrameWindows | Scenes | Sequences


class Part(NamedTuple):
    """One part ready to be loaded, how its faces were aligned, and why samples were left out."""

    loaded: Loaded
    alignment: dict[str, int]
    dropped: dict[str, int]


def varied(run: Run, part: str) -> Augment | None:
    """How the faces, clips or moments of a part are varied: those of training alone."""
    return run.augment if part == "train" and isinstance(run.augment, Augment) else None
