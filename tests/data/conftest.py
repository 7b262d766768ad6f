"""Faces to make scenes of, in the layout of FERPlus, and folders of features."""

import hashlib
import json
from collections.abc import Callable, Mapping
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


_HEAD = {
    "schema_version": 1,
    "encoder": "tiny",
    "weights": "0" * 64,
    "modality": "face",
    "width": 3,
    "step_s": 0.5,
    "start_s": 0.5,
    "preprocessing": {"size_px": 8},
    "source": {"dataset": "drawn", "fingerprint": "abc"},
    "mien": "0",
}


def _write_features(folder: Path, parts: list[Mapping[str, np.ndarray]], **head: object) -> Path:
    import polars

    folder.mkdir(parents=True, exist_ok=True)
    listed = {}
    for number, part in enumerate(parts):
        path = folder / f"part-{number:05d}.parquet"
        width = next(iter(part.values())).shape[1]
        columns = {
            "key": [key for key, rows in part.items() for _ in rows],
            "step": np.concatenate([np.arange(len(rows), dtype=np.int32) for rows in part.values()]),
            "time_s": np.concatenate([0.5 + 0.5 * np.arange(len(rows)) for rows in part.values()]),
            "present": [True] * sum(map(len, part.values())),
            "feature": polars.Series(np.concatenate(list(part.values())), dtype=polars.Array(polars.Float32, width)),
        }
        polars.DataFrame(columns).write_parquet(path)
        listed[path.name] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "keys": list(part)}
    (folder / "manifest.json").write_text(json.dumps({**_HEAD, **head, "parts": listed}))
    return folder


@pytest.fixture(scope="session")
def write_features() -> Callable[..., Path]:
    """``write_features(folder, parts, **head)``: a folder as ``mien features`` writes it, rows by key in each part."""
    return _write_features
