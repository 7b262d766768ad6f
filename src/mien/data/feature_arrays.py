"""Features of the frames of a clip in a NumPy file, a row a frame, such as foreign networks are run to write.

``N`` frames, ``D`` numbers of each.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.schema.errors import DatasetError

SUFFIX = ".npy"


def read_feature_array(path: Path, *, mapped: bool = False) -> NDArray[np.floating[Any]]:
    """The features in a NumPy file, ``float [N, D]``, in the precision in which they were written.

    Args:
        path: the file.
        mapped: leave them on the disk, from where rows are read when they are asked for; whether they are finite is
            then not looked at.

    Raises:
        DatasetError: if it cannot be read, holds no rows of floating-point numbers, or one of them is not finite (names
            the row).
    """
    try:
        rows = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(
            f"{path} cannot be read as a NumPy array ({error}). Write it with numpy.save, float32 [frames, features]."
        ) from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.dtype.kind != "f":
        given = f"{rows.dtype} {list(rows.shape)}" if isinstance(rows, np.ndarray) else "an archive of arrays"
        raise DatasetError(f"{path} holds {given}; features are a float array [frames, features], a row a frame.")
    broken = np.zeros(0, np.int64) if mapped else np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if broken.size:
        raise DatasetError(
            f"{path} has numbers that are not finite in row {broken[0]}, counted from 0. Compute it again; a frame "
            "without a face is a row of zeros."
        )
    return rows
