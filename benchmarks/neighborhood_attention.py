"""What does attention within windows cost? Tiles beside gathered windows, masked and plain dense attention."""

import ctypes
import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from _report import Table, Target, arguments, interleaved, keep_to_cores, median_ratio, write_page
from mien.deploy.export import onnx_graph
from mien.engine.memory import keep_freed_memory
from mien.models.layers.neighborhood import TILE, WHOLE, attend_tiles, attend_windows
from mien.runtime.session import OpenVINOSession, Precision

HEAD_WIDTH = 32
OURS, WINDOWS, MASKED, FUSED, DENSE = "tiles", "gathered windows", "dense, masked", "fused dense, masked", "dense"
SIDES = (4, 5, 8, 10, 16)
"""Of tiles, compared on the largest map."""

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")

MOST_PAIRS = 6400 * 6400
"""Of places, beyond which only what is linear in the map is run."""

Way = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One map: ``side`` places a side, ``width`` channels, windows of ``kernel``."""

    side: int
    width: int
    kernel: int
    batch: int = 1

    def __str__(self) -> str:
        times = f"{self.batch} x " if self.batch > 1 else ""
        return f"{times}{self.side} x {self.side}, {self.width} channels, k = {self.kernel}"

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of queries, and of keys with values."""
        heads = self.width // HEAD_WIDTH
        places = (self.batch, self.side, self.side)
        return (*places, heads, HEAD_WIDTH), (*places, heads, 2, HEAD_WIDTH)


SCALES = {
    224: tuple(Case(side=s, width=w, kernel=k, batch=16) for s, w, k in ((28, 256, 7), (14, 512, 5), (7, 1024, 3))),
    640: tuple(Case(side=s, width=w, kernel=k) for s, w, k in ((80, 256, 7), (40, 512, 5), (20, 1024, 3))),
}
"""By size of the image."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Of one input of an exported graph, without the batch."""

    shape: tuple[int, ...]


class Mixed(NamedTuple):
    """What a graph answers."""

    mixed: Tensor


class Attend(nn.Module):
    """One way as a module, to be exported."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self.way = way

    def forward(self, query: Tensor, pair: Tensor) -> Mixed:
        return Mixed(self.way(query, pair))


def ways(case: Case) -> dict[str, Way]:
    """What is compared on a map."""
    linear: dict[str, Way] = {
        OURS: partial(attend_tiles, kernel=case.kernel),
        WINDOWS: partial(attend_windows, kernel=case.kernel),
    }
    if case.side**4 > MOST_PAIRS:
        return linear
    return {
        **linear,
        MASKED: partial(attend_tiles, kernel=case.kernel, side=WHOLE),
        FUSED: partial(fused, mask=window_mask(case)),
        DENSE: fused,
    }


def fused(query: Tensor, pair: Tensor, mask: Tensor | None = None) -> Tensor:
    """PyTorch's own kernel over the whole map."""
    key, value = pair.flatten(1, 2).permute(3, 0, 2, 1, 4).unbind(0)
    mask = None if mask is None else mask.to(query.dtype)
    mixed = F.scaled_dot_product_attention(query.flatten(1, 2).transpose(1, 2), key, value, attn_mask=mask, scale=1.0)
    out: Tensor = mixed.transpose(1, 2).unflatten(1, query.shape[1:3])
    return out


def window_mask(case: Case) -> Tensor:
    """Minus infinity where a place does not see another."""
    start = (torch.arange(case.side) - case.kernel // 2).clamp(0, max(0, case.side - case.kernel))
    ahead = torch.arange(case.side) - start[:, None]
    seen = (ahead >= 0) & (ahead < case.kernel)
    both = (seen[:, None, :, None] & seen[None, :, None, :]).flatten(2, 3).flatten(0, 1)
    return torch.zeros(both.shape).masked_fill(~both, float("-inf"))


def drawn(case: Case, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Scaled queries, and keys with values."""
    torch.manual_seed(0)
    query, pair = (torch.randn(shape, dtype=dtype) for shape in case.shapes)
    return query * HEAD_WIDTH**-0.5, pair


def infer(way: Way, query: Tensor, pair: Tensor) -> None:
    """Forward alone."""
    with torch.inference_mode():
        way(query, pair)


def train(way: Way, query: Tensor, pair: Tensor) -> None:
    """Forward and backward."""
    query, pair = query.detach().requires_grad_(), pair.detach().requires_grad_()
    out = way(query, pair)
    out.backward(out.detach())


def peak_mib(run: Callable[[], object]) -> float:
    """Memory that a call needs at most beside what stood before; nan where the system does not tell."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return float("nan")
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    reset.write_text("5")
    before = _line(status, "VmRSS")
    run()
    return (_line(status, "VmHWM") - before) / 1024


def _line(status: Path, name: str) -> int:
    found = next(line for line in status.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(found.split()[1])


def compare(case: Case, rounds: int) -> tuple[Table, dict[str, tuple[float, float, float]]]:
    """The table of one map, and ms forward, ms forward and backward, MiB by way."""
    query, pair = drawn(case)
    expected = attend_windows(query, pair, case.kernel)
    found = ways(case)
    spent = [interleaved({n: partial(do, w, query, pair) for n, w in found.items()}, rounds) for do in (infer, train)]
    half = interleaved({n: partial(train, w, query.bfloat16(), pair.bfloat16()) for n, w in found.items()}, rounds)
    rows, numbers = [], {}
    for name, way in found.items():
        memory = peak_mib(partial(train, way, query, pair))
        cells = [name]
        for times in (*spent, half):
            cells += [f"{1000 * median(times[name]):.1f}", f"{median_ratio(times[name], times[OURS]):.1f}"]
        error = (way(query, pair) - expected).abs().max()
        rows.append((*cells, f"{memory:.0f}", "global" if name == DENSE else f"{error:.0e}"))
        numbers[name] = (1000 * median(spent[0][name]), 1000 * median(spent[1][name]), memory)
    head = ("", "forward ms", "x", "and backward ms", "x", "the same in bf16 ms", "x", "MiB", "error")
    return Table(title=str(case), head=head, rows=rows), numbers


def growth(sides: Sequence[int], rounds: int) -> tuple[Table, float, float]:
    """Time and memory of tiles a place of the map; by how much they grow from the smallest map to the largest."""
    rows, micro, kib = [], [], []
    for side in sides:
        case = Case(side=side, width=256, kernel=7)
        query, pair = drawn(case)
        run = partial(train, ways(case)[OURS], query, pair)
        seconds = median(interleaved({OURS: run}, rounds)[OURS])
        memory, places = peak_mib(run), side**2
        micro.append(1e6 * seconds / places)
        kib.append(1024 * memory / places)
        rows.append(
            (f"{side} x {side}", f"{1000 * seconds:.1f}", f"{micro[-1]:.1f}", f"{memory:.0f}", f"{kib[-1]:.1f}")
        )
    head = ("map", "forward and backward ms", "µs a place", "MiB", "KiB a place")
    title = "Growth with the map: tiles, 256 channels, k = 7"
    return Table(title=title, head=head, rows=rows), micro[-1] / micro[0], kib[-1] / kib[0]


def tile_sides(case: Case, rounds: int) -> Table:
    """Tiles of other sides on one map."""
    query, pair = drawn(case)
    found: dict[str, Way] = {str(side): partial(attend_tiles, kernel=case.kernel, side=side) for side in SIDES}
    spent = [interleaved({n: partial(do, w, query, pair) for n, w in found.items()}, rounds) for do in (infer, train)]
    rows = [
        (
            name,
            *(f"{1000 * median(times[name]):.1f}" for times in spent),
            f"{peak_mib(partial(train, way, query, pair)):.0f}",
        )
        for name, way in found.items()
    ]
    return Table(title=f"Side of a tile: {case}", head=("", "forward ms", "and backward ms", "MiB"), rows=rows)


def exported(cases: Sequence[Case], rounds: int, threads: int) -> Table:
    """OpenVINO on the exported graphs, one image at a time."""
    rows = []
    for case in (Case(side=c.side, width=c.width, kernel=c.kernel) for c in cases):
        query, pair = drawn(case)
        feed = {"query": query.numpy(), "pair": pair.numpy()}
        specs: dict[str, Any] = {name: Shape(tuple(array.shape[1:])) for name, array in feed.items()}
        sessions: dict[str, Callable[[], object]] = {}
        for name, way in ways(case).items():
            if name == FUSED:
                continue
            graph = onnx_graph(Attend(way).eval(), specs)
            for precision in PRECISIONS:
                session = OpenVINOSession(graph, threads=threads, precision=precision)
                sessions[f"{name}, {precision}"] = partial(session, **feed)
        spent = interleaved(sessions, rounds)
        rows += [
            (str(case), name, f"{1000 * median(times):.1f}", f"{median_ratio(times, spent[f'{OURS}, fp32']):.1f}")
            for name, times in spent.items()
        ]
    return Table(title="OpenVINO", head=("map", "", "ms", "x"), rows=rows)


def goals(numbers: Mapping[str, tuple[float, float, float]], case: Case, slower: float, larger: float) -> list[Target]:
    """What was promised of the largest map, and of growth."""
    ours, windows = numbers[OURS], numbers[WINDOWS]
    rivals = [numbers[name][1] for name in numbers if name != OURS]
    return [
        Target(
            what=f"forward and backward on {case}, against the fastest other way",
            promised="faster",
            measured=f"{min(rivals) / ours[1]:.1f} x",
            met=ours[1] < min(rivals),
        ),
        Target(
            what=f"memory on {case}, against gathered windows",
            promised="at most a third",
            measured=f"{ours[2] / windows[2]:.2f}",
            met=ours[2] <= windows[2] / 3,
        ),
        Target(
            what="time a place, largest map against smallest",
            promised="at most 1.5 x",
            measured=f"{slower:.2f} x",
            met=slower <= 1.5,
        ),
        Target(
            what="memory a place, largest map against smallest",
            promised="at most 1.5 x",
            measured=f"{larger:.2f} x",
            met=larger <= 1.5,
        ),
    ]


def main() -> None:
    """Measure the scales of both image sizes, growth, tile sides and exported graphs; write the page."""
    options = arguments(__doc__)
    cores = keep_to_cores(options.cores)
    torch.set_num_threads(cores)
    torch.set_float32_matmul_precision("medium")
    keep_freed_memory()
    rounds, sizes = (2, (224,)) if options.quick else (7, tuple(SCALES))
    started = time.monotonic()
    tables, numbers = [], {}
    for size in sizes:
        for case in SCALES[size]:
            table, numbers[case] = compare(case, rounds)
            tables.append(table)
    largest = SCALES[sizes[-1]][0]
    grown, slower, larger = growth((20, 40) if options.quick else (20, 40, 80, 160), rounds)
    tables += [grown, tile_sides(largest, rounds), exported(SCALES[sizes[-1]], 3 * rounds, cores)]
    write_page(
        "neighborhood_attention",
        question="What does attention within windows cost?",
        targets=goals(numbers[largest], largest, slower, larger),
        tables=tables,
        packages=("mien", "torch", "openvino"),
        notes=(
            f"Medians of {rounds} rounds in which the ways take turns; x is the median over the rounds of a way's time "
            "divided by that of the tiles. Attention alone: projections are the same for all.",
            f"tiles: what the models use, about {TILE} x {TILE} places a tile, with all keys that its windows touch; "
            "gathered windows: k x k keys for each place, the definition; dense, masked: every pair of places, then "
            "what is not seen left out; fused: PyTorch's own kernel; dense: global attention, another function.",
            "MiB: most memory that forward and backward need beside their inputs. error: largest difference from the "
            "definition.",
            f"At {sizes[0]} pixels batches of 16; otherwise one image. All of it took "
            f"{(time.monotonic() - started) / 60:.0f} minutes.",
        ),
        options=options,
    )


if __name__ == "__main__":
    main()
