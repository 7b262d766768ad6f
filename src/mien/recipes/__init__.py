"""Complete runs as functions: one file per paper, one name per run, every row of a paper's tables among them.

``RECIPES`` has one entry for each base; the rows of a base are in the ``ROWS`` of its module. Names are
``<model>_<dataset>[_<row>]``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from mien.schema.errors import ConfigError
from mien.schema.tables import resolve, unknown_name

if TYPE_CHECKING:
    from mien.engine.run import Run

RECIPES: Mapping[str, str] = MappingProxyType(
    {
        "landmarks_ferplus": "mien.recipes.landmarks:ferplus",
        "landmarks_synthetic": "mien.recipes.landmarks:synthetic",
        "landmarks_synthetic_tiny": "mien.recipes.landmarks:synthetic_tiny",
        "product_cross_small_ferplus": "mien.recipes.product_cross:small_ferplus",
        "product_cross_small_synthetic": "mien.recipes.product_cross:small_synthetic",
        "product_cross_small_synthetic_tiny": "mien.recipes.product_cross:small_synthetic_tiny",
    }
)


def find(name: str) -> "Run":
    """The run of a recipe.

    Raises:
        ConfigError: if there is no such recipe; the message lists the nearest names.
    """
    if name not in RECIPES:
        raise ConfigError(unknown_name(name, RECIPES, "recipe"))
    run: Run = resolve(RECIPES[name])()
    return run
