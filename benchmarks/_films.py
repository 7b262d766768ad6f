"""Videos to measure with, and the memory that reading one takes."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from _report import portrait
from mien.media.image import read_image
from mien.media.video import read_video

Rgb = NDArray[np.uint8]

WIDTH, HEIGHT, RATE = 640, 360, 25
CLIP = "pyfeat_single_face.mp4"

_MEMORY = """
import sys
from pathlib import Path
from mien.cli import main
assert main(["predict", *sys.argv[1:]]) == 0
print(Path("/proc/self/status").read_text())
"""


def pictures() -> tuple[list[Rgb], str]:
    """Frames of one face that go forth and back without a cut, and what they show."""
    path = Path(os.environ.get("MIEN_DATA", "")) / "video" / CLIP
    if path.is_file():
        with read_video(path) as reader:
            frames = [np.asarray(cv2.resize(frame.image, (WIDTH, HEIGHT)), np.uint8) for frame in reader]
        return frames + frames[-2:0:-1], f"a man before his webcam ({CLIP}), forth and back"
    wide = cv2.copyMakeBorder(read_image(portrait())[:HEIGHT], 0, 0, 128, 128, cv2.BORDER_REFLECT)[:, :WIDTH]
    drift = [np.asarray(np.roll(wide, number, axis=1), np.uint8) for number in range(0, 48, 2)]
    return drift + drift[-2:0:-1], "a portrait that drifts to and fro"


def peak_mb(film: Path, table: Path, *more: str) -> float:
    """Largest resident memory of a whole ``mien predict`` in a process of its own, in MB of 10**6 bytes.

    From Linux's own account: the usual one (``ru_maxrss``) counts the memory of the process that started it.

    Args:
        film: what is read.
        table: where the rows go.
        more: further arguments of ``mien predict``.
    """
    given = [str(film), "--out", str(table), *more]
    done = subprocess.run([sys.executable, "-c", _MEMORY, *given], capture_output=True, text=True, check=True)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("VmHWM"))
    return float(line.split()[1]) * 1024 / 1e6
