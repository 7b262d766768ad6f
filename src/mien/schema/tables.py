"""The one door to a room further up: names of code, resolved when they are used.

A table maps a public name to ``"module:attribute"``. It can be read without importing what it names,
so a torch-free process can list every model, recipe or reader.
"""

import importlib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from mien.schema.errors import ConfigError


def resolve(target: str) -> Any:
    """Import the object named by ``"module:attribute"``."""
    module_name, _, attribute = target.partition(":")
    assert module_name and attribute, f"not a 'module:attribute' string: {target!r}"
    return getattr(importlib.import_module(module_name), attribute)


def look_up(table: Mapping[str, str], name: str, kind: str) -> Any:
    """Resolve ``name`` in ``table``.

    Raises:
        ConfigError: if the table has no such name; the message lists the nearest ones.
    """
    if name not in table:
        raise ConfigError(unknown_name(name, table, kind))
    return resolve(table[name])


def unknown_name(given: str, allowed: Mapping[str, Any], kind: str) -> str:
    """One sentence for a name that is not in a table, with the nearest or all that are."""
    near = get_close_matches(given, allowed, n=3) or sorted(allowed)
    return f"There is no {kind} {given!r}. Did you mean: {', '.join(near)}?"
