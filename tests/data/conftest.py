"""Faces to make scenes of, in the layout of FERPlus."""

from pathlib import Path

import numpy as np
import pytest

VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
PARTS = {"Training": 24, "PublicTest": 9, "PrivateTest": 2}


@pytest.fixture(scope="session")
def ferplus_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 training, 9 validation and 2 test "faces": 6 x 6 grey cells each.

    Of each of the first two parts the last is contempt, the one before has no majority; the first training face stands
    in the validation part too.
    """
    root, rng = tmp_path_factory.mktemp("ferplus"), np.random.default_rng(1)
    pixels, votes = ["emotion,pixels,Usage"], ["Usage,Image name," + ",".join(VOTES)]
    pictures = list[np.ndarray]()
    for usage, count in PARTS.items():
        for number in range(count):
            picture = np.kron(rng.integers(30, 226, (6, 6)), np.ones((8, 8), int))
            picture = pictures[0] if usage == "PublicTest" and number == 0 else picture
            pictures.append(picture)
            counts = [0] * len(VOTES)
            if number == count - 2 and count > 2:
                counts[0] = counts[1] = 5
            else:
                counts[7 if number == count - 1 and count > 2 else min(number % 9, 6)] = 10
            pixels.append(f"0,{' '.join(map(str, picture.ravel()))},{usage}")
            votes.append(f"{usage},fer{len(pictures) - 1:07d}.png,{','.join(map(str, counts))}")
    (root / "fer2013.csv").write_text("\n".join(pixels) + "\n")
    (root / "fer2013new.csv").write_text("\n".join(votes) + "\n")
    return root
