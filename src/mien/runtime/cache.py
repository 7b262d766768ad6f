"""Where files live that can be made again: compiled graphs, prepared datasets, fetched models."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_dir() -> Path:
    """``$MIEN_CACHE``, or the folder ``mien`` in the user's cache folder of this platform. It need not exist."""
    chosen = os.environ.get("MIEN_CACHE")
    return Path(chosen).expanduser() if chosen else _platform_cache() / "mien"


def _platform_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    named = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return named if named.is_absolute() else Path.home() / ".cache"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes ``path`` in one step when the block ends without an error.

    Another process sees the old file, the new one or none, never half of one.

    Raises:
        OSError: if the folder cannot be made or written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
