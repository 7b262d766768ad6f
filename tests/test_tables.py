"""Every name in every table leads to something, and has its page or its card."""

import json
from pathlib import Path

import pytest

from mien.data.readers import READERS
from mien.deploy.encoders import ENCODERS
from mien.losses import LOSSES
from mien.metrics import METRICS
from mien.models import MODELS
from mien.recipes import RECIPES
from mien.schema.tables import resolve
from mien.tasks import TASKS

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "src" / "mien" / "weights"
SHIPPED = sorted(path.parent.name for path in WEIGHTS.glob("*/config.json"))
LIMITS_MB = {"landmarks": 4.5, "product_cross_small": 12}
ENTRIES = [
    (kind, name, target)
    for kind, table in (
        ("encoder", ENCODERS),
        ("loss", LOSSES),
        ("metric", METRICS),
        ("model", MODELS),
        ("reader", {name: entry.read for name, entry in READERS.items()}),
        ("recipe", RECIPES),
        ("task", TASKS),
    )
    for name, target in table.items()
]


@pytest.mark.parametrize(("kind", "name", "target"), ENTRIES, ids=[f"{kind}-{name}" for kind, name, _ in ENTRIES])
def test_every_name_leads_to_something(kind, name, target):
    found = resolve(target)
    assert callable(found)
    assert found.__doc__, f"{kind} {name} has no docstring"


def test_names_are_lower_case_words():
    assert all(name.replace("_", "").replace(".", "").isalnum() and name.islower() for _, name, _ in ENTRIES)


def test_every_model_has_a_page_and_a_recipe():
    for name in MODELS:
        assert (ROOT / "docs" / "models" / f"{name.removesuffix('_small')}.md").is_file(), name
        assert any(recipe.startswith(name) for recipe in RECIPES), name


def test_every_reader_has_a_page_that_tells_its_licence():
    for name, entry in READERS.items():
        assert (ROOT / "docs" / "datasets" / entry.page).is_file(), name
        assert entry.licence, name


def test_the_weights_ship():
    assert set(SHIPPED) == set(LIMITS_MB)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_are_small_and_have_a_card(name):
    folder = WEIGHTS / name
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size < LIMITS_MB[name] * 1_000_000
    config = json.loads((folder / "config.json").read_text())
    assert set(config["licences"]) == {"code", "weights", "training_data"}
    assert all(config["licences"].values())
    assert {"recipe", "seed", "commit", "data_fingerprint"} <= set(config["provenance"])
    card = (folder / "README.md").read_text()
    assert config["licences"]["training_data"] in card
    assert "docs/intended-use.md" in card or "expression" in card
