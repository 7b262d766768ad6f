"""``mien models list|show|pull|verify``: trained models, and the graphs that find faces."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from mien.cli.entry import choose
from mien.runtime.bundle import find_bundle, list_bundles, read_bundle
from mien.runtime.hub import FACE_GRAPHS, face_graph
from mien.schema.errors import BundleError

VERBS = {
    "list": ("mien.cli.models:list_all", "what is installed, with the three licences of each"),
    "show": ("mien.cli.models:show", "the card of a model"),
    "pull": ("mien.cli.pull:run", "fetch what is not installed: `mien models pull faces`"),
    "verify": ("mien.cli.models:verify", "compare every file with its recorded digest"),
}


def run(arguments: list[str]) -> int:
    """Run one of the commands of ``mien models``."""
    return choose("mien models", VERBS, "Trained models, and the graphs that find faces.\n\n{verbs}", arguments)


@dataclass(frozen=True, kw_only=True)
class List:
    """List trained models and the graphs that find faces, with their licences."""


@dataclass(frozen=True, kw_only=True)
class Show:
    """Print the card of a model.

    Attributes:
        model: name or folder of a trained model.
    """

    model: tyro.conf.Positional[str]


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Compare every file with its recorded digest; exits with 1 if one differs or is missing.

    Attributes:
        models: names or folders; none verifies everything that is installed.
    """

    models: tyro.conf.Positional[tuple[str, ...]] = ()


def list_all(arguments: list[str]) -> int:
    """Print one line a model and one a face graph."""
    tyro.cli(List, prog="mien models list", args=arguments)
    rows: list[tuple[str, ...]] = [("model", "answers", "classes", "MB", "code", "weights", "training data")]
    for name, path in list_bundles().items():
        try:
            bundle = read_bundle(path)
        except BundleError:
            rows.append((name, "damaged; see `mien models verify`", "", "", "", "", ""))
            continue
        size = sum(file.stat().st_size for file in (bundle.weights_path, bundle.graph_path)) / 1e6
        licences = (bundle.licences[part] for part in ("code", "weights", "training_data"))
        classes = str(len(bundle.labels)) if bundle.labels else ""
        rows.append((name, str(bundle.task.get("name", "")), classes, f"{size:.1f}", *licences))
    print_columns(rows)
    print()
    graphs: list[tuple[str, ...]] = [("face graph", "computes", "MB", "licence", "here")]
    for name, graph in FACE_GRAPHS.items():
        graphs.append((name, graph.answers, f"{graph.size / 1e6:.1f}", graph.licence, _presence(name)))
    print_columns(graphs)
    return 0


def show(arguments: list[str]) -> int:
    """Print a model's card, laid out on a terminal and as it is elsewhere."""
    options = tyro.cli(Show, prog="mien models show", args=arguments)
    card = (find_bundle(options.model).path / "README.md").read_text(encoding="utf-8")
    if not sys.stdout.isatty():
        print(card)
        return 0
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(card))
    return 0


def verify(arguments: list[str]) -> int:
    """Verify models and, if none is named, the face graphs; returns 1 if one is not as recorded."""
    options = tyro.cli(Verify, prog="mien models verify", args=arguments)
    installed = list_bundles()
    checks: list[tuple[str, Callable[[str], object]]] = [(name, find_bundle) for name in options.models or installed]
    if not options.models:
        checks += [(name, face_graph) for name in FACE_GRAPHS]
    faults = 0
    for name, check in checks:
        try:
            check(name)
            print(f"ok      {name}")
        except BundleError as error:
            faults += 1
            print(f"FAILED  {name}: {error}")
    return int(faults > 0)


def print_columns(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of equal length as aligned columns."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _presence(name: str) -> str:
    try:
        return "yes" if Path(face_graph(name)).is_file() else "no"
    except BundleError:
        return "no: mien models pull faces"
