"""``mien data list|verify|synthesize|prepare``: the datasets that models are trained and measured on."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mien.cli.entry import choose
from mien.cli.models import print_columns
from mien.data.prepare import prepare
from mien.data.readers import READERS, read_dataset
from mien.data.synthetic import write_dataset
from mien.data.verify import DatasetReport, verify
from mien.schema.errors import DatasetError

VERBS = {
    "list": ("mien.cli.data:list_all", "the datasets that can be read, their licences, and which are here"),
    "verify": ("mien.cli.data:verify_one", "compare a dataset with what its authors published"),
    "synthesize": ("mien.cli.data:synthesize", "draw faces with known expressions and landmarks"),
    "prepare": ("mien.cli.data:prepare_one", "find all faces of a dataset once and keep them in the cache"),
}

Root = Annotated[Path | None, tyro.conf.arg(metavar="ROOT")]
Dataset = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]


def run(arguments: list[str]) -> int:
    """Run one of the commands of ``mien data``."""
    return choose("mien data", VERBS, "Datasets. mien brings none and redistributes none.\n\n{verbs}", arguments)


@dataclass(frozen=True, kw_only=True)
class List:
    """List the datasets that can be read."""


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Compare a dataset with what its authors published; exits with 1 if it differs.

    Attributes:
        dataset: name of a dataset; `mien data list` shows them.
        data: its root; by default its folder under $MIEN_DATA.
        rule: how votes become classes in the counts.
        decode: also decode every picture, which takes about a minute for 100,000.
    """

    dataset: Dataset
    data: Root = None
    rule: Literal["majority", "argmax"] = "majority"
    decode: bool = False


@dataclass(frozen=True, kw_only=True)
class Synthesize:
    """Draw faces with known expressions and landmarks: DIR/SPLIT/LABEL/*.png and DIR/landmarks.csv.

    Attributes:
        out: a new or empty folder.
        count: how many faces.
        seed: another seed draws other faces; the same seed the same pixels.
    """

    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    count: int = 1000
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Prepare:
    """Find the face of every picture once; training and evaluation then take it from the cache.

    Attributes:
        dataset: name of a dataset; `mien data list` shows them.
        data: its root; by default its folder under $MIEN_DATA.
        workers: how many pictures are searched at once; by default one a core.
    """

    dataset: Dataset
    data: Root = None
    workers: int | None = None


def list_all(arguments: list[str]) -> int:
    """Print one line a dataset."""
    tyro.cli(List, prog="mien data list", args=arguments)
    rows: list[tuple[str, ...]] = [("dataset", "labels", "here", "licence")]
    for name, entry in READERS.items():
        rows.append((name, entry.labels or "your own", _presence(entry.folder, entry.needs_root), entry.licence))
    print_columns(rows)
    return 0


def verify_one(arguments: list[str]) -> int:
    """Print what was found of a dataset; returns 1 if it is not as published."""
    options = tyro.cli(Verify, prog="mien data verify", args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    report = verify(options.dataset, options.data, rule=options.rule, decode=options.decode)
    print(f"{report.title}, {report.root or 'drawn on demand'}, fingerprint {report.fingerprint}")
    print(f"licence: {report.licence}\n")
    print_columns(_table(report))
    if report.duplicates is not None:
        print(f"\n{report.duplicates} pictures repeat earlier ones of their split, {report.leaks} of the training")
        print("part stand in another split as well; both are left out of training.")
    print(
        "\n" + "\n".join(f"NOT AS PUBLISHED: {problem}" for problem in report.problems) if report.problems else "\nok"
    )
    return int(not report.ok)


def synthesize(arguments: list[str]) -> int:
    """Write drawn faces."""
    options = tyro.cli(Synthesize, prog="mien data synthesize", args=arguments)
    write_dataset(options.out, options.count, options.seed)
    print(f"{options.count} faces are in {options.out}")
    print(f"Train on them:  mien train product_cross_small_folder --data {options.out}")
    return 0


def prepare_one(arguments: list[str]) -> int:
    """Find all faces of a dataset and say how they could be aligned."""
    options = tyro.cli(Prepare, prog="mien data prepare", args=arguments)
    samples = read_dataset(options.dataset, options.data)
    if not samples:
        raise DatasetError(f"There is no sample in {options.dataset!r}; `mien data verify` tells more.")
    prepared = prepare(samples, name=options.dataset, workers=options.workers)
    alignments = Counter(face.alignment for face in prepared.faces.values())
    print(f"{len(prepared.faces)} faces, {prepared.found_now} of them searched for now; aligned by")
    print_columns([(f"  {how}", str(count), f"{count / len(prepared.faces):.1%}") for how, count in alignments.items()])
    return 0


def _table(report: DatasetReport) -> list[tuple[str, ...]]:
    """One row a split: faces, published number, then the classes."""
    classes = list(next(iter(report.splits.values())).classes) if report.splits else []
    rows: list[tuple[str, ...]] = [("split", "faces", "published", *classes, "no class")]
    for name, split in report.splits.items():
        published = " or ".join(map(str, split.expected))
        counts = (str(split.classes[label]) for label in classes)
        rows.append((name, str(split.samples), published, *counts, str(sum(split.unlabelled.values()))))
    return rows


def _presence(folder: str | None, needs_root: bool) -> str:
    if not needs_root:
        return "always"
    base = os.environ.get("MIEN_DATA")
    return "yes" if base and folder and Path(base, folder).is_dir() else "no"
