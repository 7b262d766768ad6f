"""What the papers print, one file each, so that a report can put it beside what was measured."""

import json
from importlib.resources import files
from typing import Any

from mien.schema.errors import ConfigError
from mien.schema.tables import unknown_name


def reference(paper: str) -> dict[str, Any]:
    """The printed values of a paper: ``records`` of table, row, dataset, metric, value and our recipe of the row.

    Raises:
        ConfigError: if there is no such paper.
    """
    if paper not in papers():
        raise ConfigError(unknown_name(paper, dict.fromkeys(papers()), "paper"))
    printed: dict[str, Any] = json.loads((files(__name__) / f"{paper}.json").read_text(encoding="utf-8"))
    return printed


def papers() -> list[str]:
    """Names of the papers whose values are here."""
    names = (entry.name for entry in files(__name__).iterdir())
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def reported(model: str, dataset: str, recipe: str = "") -> list[dict[str, Any]]:
    """What the paper of a model prints on a dataset for its own full network, and for the row that a recipe repeats.

    Args:
        model: name in ``MODELS``.
        dataset: name of a reader.
        recipe: name of a recipe.

    Returns:
        ``table``, ``row``, ``metric`` and ``value`` of each; empty if nothing is printed.
    """
    found = []
    for paper in papers():
        printed = reference(paper)
        if model in printed["models"]:
            found += [
                {name: record[name] for name in ("table", "row", "metric", "value")}
                for record in printed["records"]
                if record["dataset"] == dataset
                and (record["row"] == "ours" or (recipe and record.get("recipe") == recipe))
            ]
    return found
