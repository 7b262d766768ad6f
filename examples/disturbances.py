"""Every disturbance of ``mien evaluate --robustness`` on drawn faces: ``python examples/disturbances.py [SEED]``."""

import sys
from pathlib import Path

from mien.engine.disturbance_sheet import disturbance_sheet
from mien.media.image import write_image


def main(seed: int = 5) -> Path:
    """Write ``disturbances.jpg`` and say where it is."""
    path = Path("disturbances.jpg").absolute()
    write_image(path, disturbance_sheet(seed))
    print(path)
    return path


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
