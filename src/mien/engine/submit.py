"""Answers to challenges: one door to all of them, by the name of the dataset."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mien.runtime.bundle import Bundle
from mien.schema.errors import ConfigError
from mien.schema.tables import look_up

CHALLENGES: Mapping[str, str] = MappingProxyType(
    {
        "aff_wild2": "mien.engine.submit_frames:submit_frames",
        "hume_reaction": "mien.engine.submit_reactions:submit_reactions",
    }
)

_USELESS: Mapping[str, frozenset[str]] = MappingProxyType(
    {"aff_wild2": frozenset(), "hume_reaction": frozenset({"crop", "smooth"})}
)
"""Settings that a challenge has no use for."""


def submit(model: Bundle | str | Path, dataset: str, out: Path, **how: Any) -> Path:
    """Answer for all of one part of a dataset, labelled or not, and write the file in which its challenge takes it.

    Args:
        model: a bundle, its folder or its name.
        dataset: one of ``CHALLENGES``.
        out: the file.
        how: as the function of the challenge takes it.

    Raises:
        ConfigError: if the dataset has no challenge that is known, or one of the settings is not for it.
        BundleError: if the model does not answer what is asked.
        DatasetError: if the part is empty, or something in it cannot be answered for.
    """
    find: Callable[..., Path] = look_up(CHALLENGES, dataset, "challenge")
    if strange := sorted(_USELESS[dataset] & set(how)):
        raise ConfigError(f"The challenge of {dataset!r} has no use for {', '.join(strange)}; leave it out")
    return find(model, dataset, out, **how)
