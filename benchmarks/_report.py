"""How every benchmark measures and writes: interleaved rounds, medians, one dated page in docs/benchmarks."""

import argparse
import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "benchmarks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A promise and what became of it."""

    what: str
    promised: str
    measured: str
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of a page; every row has as many cells as ``head``."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def arguments(doc: str | None) -> argparse.Namespace:
    """The flags that all benchmarks share."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--quick", action="store_true", help="few rounds: a look, not a result")
    parser.add_argument("--cores", type=int, default=2, help="processor cores to run on (default: 2)")
    parser.add_argument("--print", dest="print_only", action="store_true", help="print the page, do not write it")
    return parser.parse_args()


def keep_to_cores(count: int) -> int:
    """Bind this process, and all that it starts, to ``count`` cores; returns how many it got."""
    if not hasattr(os, "sched_setaffinity"):
        return os.cpu_count() or 1
    cores = sorted(os.sched_getaffinity(0))[:count]
    os.sched_setaffinity(0, cores)
    return len(cores)


def portrait() -> Path:
    """The public-domain photo of one face, 512 x 600 pixels, that matplotlib ships."""
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"


def interleaved(variants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each variant in each round; one unmeasured round first.

    Variants take turns, so that a machine that slows down slows all of them: compare ratios within a round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for step in range(rounds + 1):
        for name, run in variants.items():
            start = time.perf_counter()
            run()
            if step:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def median_ratio(slower: Iterable[float], faster: Iterable[float]) -> float:
    """Median over the rounds of ``slower / faster``."""
    return statistics.median(a / b for a, b in zip(slower, faster, strict=True))


def write_page(
    name: str,
    *,
    question: str,
    tables: Sequence[Table],
    targets: Sequence[Target],
    packages: Sequence[str],
    notes: Sequence[str] = (),
    options: argparse.Namespace,
) -> None:
    """Write ``docs/benchmarks/<name>.md`` and print it."""
    parts = [f"# {question}", _circumstances(packages, options)]
    if targets:
        rows = [(t.what, t.promised, t.measured, "**met**" if t.met else "**missed**") for t in targets]
        parts.append(_markdown(Table(title="Targets", head=("what", "target", "measured", ""), rows=rows)))
    parts += [_markdown(table) for table in tables]
    if notes:
        parts.append("\n".join(f"- {note}" for note in notes))
    parts.append(f"Written by `benchmarks/{name}.py`.")
    page = "\n\n".join(parts) + "\n"
    print(page)
    if not options.print_only:
        PAGES.mkdir(parents=True, exist_ok=True)
        (PAGES / f"{name}.md").write_text(page)


def _markdown(table: Table) -> str:
    assert all(len(row) == len(table.head) for row in table.rows), table.title
    lines = [table.head, ["---"] * len(table.head), *table.rows]
    return f"## {table.title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _circumstances(packages: Sequence[str], options: argparse.Namespace) -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = [
        f"{datetime.now(UTC):%Y-%m-%d}, commit {_commit()}{', quick run' if options.quick else ''}",
        f"{_processor()}, {cores} cores, {_gigabytes()}, {platform.system()}, load before: {_load()}",
        f"Python {platform.python_version()}, " + ", ".join(f"{p} {_version(p)}" for p in packages),
    ]
    return "\n".join(f"- {fact}" for fact in facts)


def _commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "benchmarks")
    return (git("rev-parse", "--short=10", "HEAD") or "unknown") + (" with changes" if changed else "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def _gigabytes() -> str:
    if "SC_PHYS_PAGES" not in os.sysconf_names:
        return "memory unknown"
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


_LOAD = os.getloadavg()[0] if sys.platform != "win32" else float("nan")


def _load() -> str:
    return f"{_LOAD:.1f}"
