from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.faces import FaceReader
from mien.media.image import read_image


@pytest.fixture(scope="package")
def photo(portrait: Path) -> np.ndarray:
    """A portrait, ``uint8 [600, 512, 3]``: one face of about 170 pixels."""
    return read_image(portrait)


@pytest.fixture(scope="package")
def _graphs_stay_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="package")
def reader(_graphs_stay_in: Path) -> FaceReader:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_CACHE", str(_graphs_stay_in))
        return FaceReader()


@pytest.fixture(scope="package")
def crowd(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The portrait many times over in a wide picture at several sizes, and the places of the noses."""
    scene = np.full((480, 800, 3), 120, np.uint8)
    noses = []
    for row, height in ((10, 125), (145, 145), (300, 170)):
        x = 15
        while x + height < 800:
            small = cv2.resize(photo, (round(512 * height / 600), height), interpolation=cv2.INTER_AREA)
            scene[row : row + height, x : x + small.shape[1]] = small
            noses.append((x + 267 * height / 600, row + 232 * height / 600))
            x += small.shape[1] + 30
    return scene, np.array(noses)
