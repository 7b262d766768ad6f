"""Complete runs as functions: one file per paper, one name per run, every row of a paper's tables among them.

``RECIPES`` has one entry for each base; ``WITH_ROWS`` says which of them have rows. Names are
``<model>_<dataset>[_<row>]``; ``_tiny`` ones are for tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mien.schema.errors import ConfigError
from mien.schema.tables import resolve, unknown_name

if TYPE_CHECKING:
    from mien.engine.run import Run

RECIPES: Mapping[str, str] = MappingProxyType(
    {
        "frame_ensemble_aff_wild2": "mien.recipes.reaction:frames_aff_wild2",
        "frame_ensemble_aff_wild2_tiny": "mien.recipes.reaction:frames_tiny",
        "gcsa_av_aff_wild2": "mien.recipes.gcsa_av:aff_wild2",
        "gcsa_av_pairs": "mien.recipes.gcsa_av:pairs",
        "gcsa_av_ravdess_voice": "mien.recipes.gcsa_av:ravdess_voice",
        "gcsa_av_synthetic": "mien.recipes.gcsa_av:synthetic",
        "gcsa_av_synthetic_tiny": "mien.recipes.gcsa_av:synthetic_tiny",
        "keypoint_graph_afew": "mien.recipes.keypoint_graph:afew",
        "keypoint_graph_dfew": "mien.recipes.keypoint_graph:dfew",
        "keypoint_graph_ferv39k": "mien.recipes.keypoint_graph:ferv39k",
        "keypoint_graph_mafw": "mien.recipes.keypoint_graph:mafw",
        "keypoint_graph_synthetic": "mien.recipes.keypoint_graph:synthetic",
        "keypoint_graph_synthetic_stills": "mien.recipes.keypoint_graph:synthetic_stills",
        "keypoint_graph_synthetic_tiny": "mien.recipes.keypoint_graph:synthetic_tiny",
        "landmarks_ferplus": "mien.recipes.landmarks:ferplus",
        "landmarks_synthetic": "mien.recipes.landmarks:synthetic",
        "landmarks_synthetic_tiny": "mien.recipes.landmarks:synthetic_tiny",
        "natten_deim_ferplus": "mien.recipes.natten_deim:ferplus",
        "natten_deim_ferplus_scenes": "mien.recipes.natten_deim:ferplus_scenes",
        "natten_deim_raf_db": "mien.recipes.natten_deim:raf_db",
        "natten_deim_raf_db_boxes": "mien.recipes.natten_deim:raf_db_boxes",
        "natten_deim_scenes_tiny": "mien.recipes.natten_deim:scenes_tiny",
        "natten_deim_small_ferplus": "mien.recipes.natten_deim:small_ferplus",
        "natten_deim_small_ferplus_scenes": "mien.recipes.natten_deim:small_ferplus_scenes",
        "natten_deim_synthetic_tiny": "mien.recipes.natten_deim:synthetic_tiny",
        "poster_v2_affectnet_7": "mien.recipes.poster_v2:affectnet_7",
        "poster_v2_affectnet_8": "mien.recipes.poster_v2:affectnet_8",
        "poster_v2_ferplus": "mien.recipes.poster_v2:ferplus",
        "poster_v2_joint_affectnet_7": "mien.recipes.poster_v2:joint_affectnet_7",
        "poster_v2_raf_db": "mien.recipes.poster_v2:raf_db",
        "poster_v2_small_ferplus": "mien.recipes.poster_v2:small_ferplus",
        "poster_v2_synthetic_tiny": "mien.recipes.poster_v2:synthetic_tiny",
        "poster_v2_vit_affectnet_7": "mien.recipes.poster_v2:vit_affectnet_7",
        "product_cross_affectnet_7": "mien.recipes.product_cross:affectnet_7",
        "product_cross_ferplus": "mien.recipes.product_cross:ferplus",
        "product_cross_raf_db": "mien.recipes.product_cross:raf_db",
        "product_cross_small_affectnet_7": "mien.recipes.product_cross:small_affectnet_7",
        "product_cross_small_ferplus": "mien.recipes.product_cross:small_ferplus",
        "product_cross_small_ferplus_long": "mien.recipes.product_cross_study:small_ferplus_long",
        "product_cross_small_ferplus_on": "mien.recipes.product_cross:small_ferplus_on",
        "product_cross_small_ferplus_pretrain": "mien.recipes.product_cross_study:small_ferplus_pretrain",
        "product_cross_small_ferplus_blend": "mien.recipes.product_cross_study:small_ferplus_blend",
        "product_cross_small_ferplus_student": "mien.recipes.product_cross_study:small_ferplus_student",
        "product_cross_small_folder": "mien.recipes.product_cross:small_folder",
        "product_cross_small_folder_frozen": "mien.recipes.product_cross:small_folder_frozen",
        "product_cross_small_raf_db": "mien.recipes.product_cross:small_raf_db",
        "product_cross_small_synthetic": "mien.recipes.product_cross:small_synthetic",
        "product_cross_small_synthetic_tiny": "mien.recipes.product_cross:small_synthetic_tiny",
        "product_cross_synthetic": "mien.recipes.product_cross:synthetic",
        "product_cross_synthetic_tiny": "mien.recipes.product_cross:synthetic_tiny",
        "reaction_hume_reaction": "mien.recipes.reaction:hume_reaction",
        "reaction_synthetic": "mien.recipes.reaction:synthetic",
        "reaction_synthetic_tiny": "mien.recipes.reaction:synthetic_tiny",
    }
)

WITH_ROWS: Mapping[str, str] = MappingProxyType(
    {
        "frame_ensemble_aff_wild2": "mien.recipes.reaction:FRAME_ROWS",
        "gcsa_av_aff_wild2": "mien.recipes.gcsa_av:ROWS",
        "gcsa_av_pairs": "mien.recipes.gcsa_av:PAIR_ROWS",
        "gcsa_av_ravdess_voice": "mien.recipes.gcsa_av:VOICE_ROWS",
        "gcsa_av_synthetic": "mien.recipes.gcsa_av:PAIR_ROWS",
        "keypoint_graph_afew": "mien.recipes.keypoint_graph:ROWS",
        "keypoint_graph_dfew": "mien.recipes.keypoint_graph:FOLDED_ROWS",
        "keypoint_graph_ferv39k": "mien.recipes.keypoint_graph:FERV39K_ROWS",
        "keypoint_graph_mafw": "mien.recipes.keypoint_graph:FOLDED_ROWS",
        "keypoint_graph_synthetic": "mien.recipes.keypoint_graph:ROWS",
        "natten_deim_ferplus": "mien.recipes.natten_deim:ROWS",
        "natten_deim_ferplus_scenes": "mien.recipes.natten_deim:BOX_ROWS",
        "natten_deim_raf_db": "mien.recipes.natten_deim:RAF_DB_ROWS",
        "natten_deim_raf_db_boxes": "mien.recipes.natten_deim:RAF_DB_BOX_ROWS",
        "natten_deim_small_ferplus": "mien.recipes.natten_deim:ROWS",
        "natten_deim_small_ferplus_scenes": "mien.recipes.natten_deim:BOX_ROWS",
        "product_cross_affectnet_7": "mien.recipes.product_cross:ROWS",
        "product_cross_ferplus": "mien.recipes.product_cross:ROWS",
        "product_cross_raf_db": "mien.recipes.product_cross:ROWS",
        "product_cross_small_affectnet_7": "mien.recipes.product_cross:ROWS",
        "product_cross_small_ferplus": "mien.recipes.product_cross_study:ROWS",
        "product_cross_small_raf_db": "mien.recipes.product_cross:ROWS",
        "product_cross_small_synthetic": "mien.recipes.product_cross:ROWS",
        "product_cross_synthetic": "mien.recipes.product_cross:ROWS",
        "reaction_hume_reaction": "mien.recipes.reaction:ROWS",
        "reaction_synthetic": "mien.recipes.reaction:DRAWN_ROWS",
    }
)
"""The recipes that have rows, and where those are."""


def find(name: str) -> "Run":
    """The run of a recipe, or of a row of one, as ``product_cross_raf_db_t1_110``.

    Raises:
        ConfigError: if there is no such recipe or row; the message lists the nearest names.
    """
    if name in RECIPES:
        run: Run = resolve(RECIPES[name])()
        return run
    base = max((b for b in RECIPES if name.startswith(f"{b}_")), key=len, default=None)
    if base is None:
        raise ConfigError(unknown_name(name, RECIPES, "recipe"))
    rows, row = rows_of(base), name.removeprefix(f"{base}_")
    if row not in rows:
        raise ConfigError(unknown_name(name, {f"{base}_{r}": None for r in rows} or RECIPES, "recipe"))
    return varied(find(base), rows[row], name)


def rows_of(base: str) -> Mapping[str, Mapping[str, Any]]:
    """The rows that a recipe has: for each the fields that it sets, as ``model.depth``."""
    rows: Mapping[str, Mapping[str, Any]] = resolve(WITH_ROWS[base]) if base in WITH_ROWS else {}
    return rows


def varied(run: "Run", changes: Mapping[str, Any], name: str) -> "Run":
    """``run`` under another name with some fields changed, each given by its path."""
    values: dict[str, dict[str, Any]] = {}
    for path, value in changes.items():
        part, _, field = path.rpartition(".")
        values.setdefault(part, {})[field] = value
    for path, fields in values.items():
        run = _replaced(run, path.split(".") if path else [], fields)
    return replace(run, name=name)


def _replaced(config: Any, path: Sequence[str], fields: Mapping[str, Any]) -> Any:
    """A configuration with some fields changed of the one that a path of names leads to."""
    if not path:
        return replace(config, **fields)
    return replace(config, **{path[0]: _replaced(getattr(config, path[0]), path[1:], fields)})


def names() -> list[str]:
    """Every name that :func:`find` takes; imports the training packages."""
    return [name for base in RECIPES for name in (base, *(f"{base}_{row}" for row in rows_of(base)))]
