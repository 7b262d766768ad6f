"""Rooms that need an extra: reached by name, and explained where the extra is missing."""

from typing import Any

from mien.schema.errors import MissingExtraError
from mien.schema.tables import resolve


def reach(target: str, *, extra: str, purpose: str) -> Any:
    """The object named by ``"module:attribute"``.

    Raises:
        MissingExtraError: if a package that its module imports is not installed.
    """
    try:
        return resolve(target)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "mien"):
            raise
        raise MissingExtraError(package, extra, purpose) from error
