"""``mien doctor``: one screen about this installation, to read and to put into a report of a fault."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

from mien import __version__
from mien.runtime.bundle import list_bundles, read_bundle
from mien.runtime.cache import cache_dir
from mien.runtime.hub import FACE_GRAPHS, face_graph
from mien.schema.errors import MienError

CORE = ("numpy", "opencv-python-headless", "openvino", "pillow", "av", "safetensors", "rich", "tyro")
EXTRAS = {
    "train": ("torch", "torchvision", "timm", "lightning", "tensorboard"),
    "evaluate": ("scikit-learn", "scipy", "matplotlib", "faster-coco-eval"),
    "export": ("onnx", "onnxscript", "onnxruntime", "nncf"),
    "tables": ("pandas", "polars", "pyarrow"),
}
MARKS = {True: "ok", False: "--"}


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Show what is installed here, what is missing and how to get it; exits with 1 if photos cannot be read."""


def run(arguments: list[str]) -> int:
    """Print the screen; returns 1 if predicting cannot work here."""
    tyro.cli(Doctor, prog="mien doctor", args=arguments)
    print(f"mien {__version__} · Python {platform.python_version()} · {platform.platform(terse=True)}")
    sound = True
    for topic, checks in (
        ("core", _core()),
        ("faces", _faces()),
        ("models", _models()),
        ("devices", _devices()),
        ("extras", _extras()),
        ("places", _places()),
    ):
        for number, (needed, good, text) in enumerate(checks):
            sound &= good or not needed
            print(f"{topic if number == 0 else '':<9}{MARKS[good]}  {text}")
    print("\nPhotos can be read." if sound else "\nPhotos cannot be read yet: see the lines marked -- above.")
    return int(not sound)


Check = tuple[bool, bool, str]
"""Whether predicting needs it, whether it is there, and what to say."""


def _core() -> Iterator[Check]:
    versions = {name: _version(name) for name in CORE}
    missing = [name for name, version in versions.items() if version is None]
    yield True, not missing, ", ".join(f"{name} {version or 'MISSING'}" for name, version in versions.items())


def _faces() -> Iterator[Check]:
    for name in FACE_GRAPHS:
        try:
            yield True, True, str(face_graph(name))
        except MienError as error:
            yield name != "iris_landmark", False, str(error)


def _models() -> Iterator[Check]:
    bundles = list_bundles()
    if not bundles:
        yield False, False, "no trained model is installed; name a folder with --model"
    for name, path in bundles.items():
        try:
            bundle = read_bundle(path)
            yield False, True, f"{name}@{bundle.hash12}  {bundle.task.get('name')}  {path}"
        except MienError as error:
            yield False, False, str(error)


def _devices() -> Iterator[Check]:
    yield True, True, f"{os.cpu_count()} cores, {platform.machine()}"
    try:
        import openvino

        core = openvino.Core()
        for device in core.available_devices:
            yield False, True, f"OpenVINO {device}: {core.get_property(device, 'FULL_DEVICE_NAME')}"
    except (ImportError, RuntimeError) as error:
        yield True, False, f"OpenVINO does not start: {error}"
    if driver := shutil.which("nvidia-smi"):
        yield False, True, f"an NVIDIA driver ({driver}); --device cuda needs the extra train"


def _extras() -> Iterator[Check]:
    for extra, packages in EXTRAS.items():
        missing = [name for name in packages if _version(name) is None]
        how = f"; missing {', '.join(missing)}: pip install 'mien[{extra}]'" if missing else ""
        there = ", ".join(f"{name} {_version(name)}" for name in packages if name not in missing)
        yield False, not missing, f"{extra}: {there or 'not installed'}{how}"


def _places() -> Iterator[Check]:
    cache = cache_dir()
    yield False, True, f"cache {cache} ({_size_mb(cache):.0f} MB; MIEN_CACHE moves it)"
    data = os.environ.get("MIEN_DATA")
    yield False, bool(data), f"datasets {data}" if data else "MIEN_DATA is not set; datasets are named with --data"


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
