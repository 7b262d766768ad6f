"""What changes from frame to frame of a drawn clip: expressions that rise and fall, the head, the light, the lids.

Time is a circle of ``FRAMES`` frames, and a clip starts at a random place of it. So every frame of a clip is as likely
as any other to show any moment, and its number in the clip tells nothing. Two expressions follow each other, the second
rising while the first falls, and then the face rests. Run backwards, this is a course of the same kind with the two
expressions swapped; so are head, light and lids. Therefore the two orders differ in nothing but the order: any frame,
and any heap of frames without their order, is as likely in the one as in the other.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mien.data.drawing.shape import Points

FRAMES = 48
RATE = Fraction(25)
RISE = (6.0, 9.0)
"""Least and most frames from onset to apex, and, independently, from the end of the apex to the offset."""
HOLD = (2.0, 5.0)
"""Least and most frames at the apex."""
OVERLAP = (0.6, 0.9)
"""How much of the fall of the first expression, or of the rise of the second if that is shorter, they share."""
PEAK = (0.3, 1.0)

SWAY = {
    "yaw": 5.0,
    "pitch": 3.5,
    "roll": 3.5,
    "x": 2.0,
    "y": 2.0,
    "scale": 0.03,
    "light_x": 0.25,
    "light_y": 0.15,
    "gain": 0.06,
    "gaze_x": 0.2,
    "gaze_y": 0.1,
}
"""Standard deviation of each movement: degrees, pixels, shares, and units of :class:`~mien.data.drawing.look.Look`."""
CYCLES = (0.2, 1.6)
"""Least and most swings in a clip."""
_SINES = 3
BLINKS, LID_FRAMES = 0.7, (2.0, 3.5)
"""Mean number of blinks in a clip; least and most frames from open to shut."""
_LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump:
    """One expression, from onset over apex to offset. Times are in frames, on the circle.

    Attributes:
        label: canonical name of the expression.
        peak: intensity at the apex, in (0, 1].
        onset: where it begins, in [0, ``FRAMES``).
        rise: how long it grows.
        hold: how long it stays.
        fall: how long it wanes.
    """

    label: str
    peak: float
    onset: float
    rise: float
    hold: float
    fall: float

    @property
    def length(self) -> float:
        """From onset to offset."""
        return self.rise + self.hold + self.fall

    def intensity(self, frames: NDArray[np.int64]) -> NDArray[np.float64]:
        """Intensity at each frame, ``[N]``; 0 outside, in between a sine that is level at both ends."""
        since = (frames - self.onset) % FRAMES
        share = np.clip(np.minimum(since / self.rise, (self.length - since) / self.fall), 0, 1)
        intensity: NDArray[np.float64] = self.peak * np.sin(0.5 * np.pi * share) ** 2
        return intensity


def random_course(first: str, second: str, rng: np.random.Generator) -> tuple[Bump, Bump]:
    """Two expressions, the second right after the first."""
    start, share = float(rng.uniform(0, FRAMES)), float(rng.uniform(*OVERLAP))
    rises, falls, holds = rng.uniform(*RISE, 2), rng.uniform(*RISE, 2), rng.uniform(*HOLD, 2)
    after = rises[0] + holds[0] + falls[0] - share * min(falls[0], rises[1])
    bumps = [
        Bump(
            label=label,
            peak=float(peak),
            onset=float(onset % FRAMES),
            rise=float(rise),
            hold=float(hold),
            fall=float(fall),
        )
        for label, peak, onset, rise, hold, fall in zip(
            (first, second), rng.uniform(*PEAK, 2), (start, start + after), rises, holds, falls, strict=True
        )
    ]
    return bumps[0], bumps[1]


def expressive_share() -> float:
    """Expected share of a clip in which an expression shows, exactly, from the ranges above."""
    length = sum(RISE) + sum(HOLD) / 2
    shorter = RISE[0] + (RISE[1] - RISE[0]) / 3  # mean of the smaller of two uniform draws
    return (2 * length - sum(OVERLAP) / 2 * shorter) / FRAMES


def random_sway(
    rng: np.random.Generator, frames: int = FRAMES, cycles: tuple[float, float] = CYCLES
) -> dict[str, NDArray[np.float64]]:
    """Smooth movements about 0, ``[frames]`` each, by the names in ``SWAY``: sums of slow sines of random phase."""
    swings = rng.uniform(*cycles, (_SINES, len(SWAY), 1))
    phases = rng.uniform(0, 1, (_SINES, len(SWAY), 1))
    weights = rng.uniform(0.3, 1.0, (_SINES, len(SWAY), 1))
    waves = np.sin(2 * np.pi * (swings * np.arange(frames) / frames + phases))
    level = (weights * waves).sum(axis=0) / np.sqrt((weights**2).sum(axis=0) / 2)
    return {name: spread * row for (name, spread), row in zip(SWAY.items(), level, strict=True)}


def random_blinks(
    rng: np.random.Generator,
    frames: int = FRAMES,
    blinks: float = BLINKS,
    lid_frames: tuple[float, float] = LID_FRAMES,
) -> NDArray[np.float64]:
    """How far the lids are closed at each frame, ``[frames]``, 0 to 1."""
    closed = np.zeros(frames)
    for _ in range(int(rng.poisson(blinks))):
        middle, half = rng.uniform(-3, frames + 2), rng.uniform(*lid_frames)
        closed = np.maximum(closed, np.clip(1.25 * (1 - np.abs(np.arange(frames) - middle) / half), 0, 1))
    return closed


def close_eyes(face: Points, share: float) -> None:
    """Lower the upper lids of a face ``[68, 3]``, in place; 0 leaves them, 1 closes the eyes."""
    for upper, lower in _LIDS:
        face[upper] += share * (face[lower] - face[upper])
