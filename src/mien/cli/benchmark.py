"""``mien benchmark MODEL``: how fast a trained model is here, alone and from photo to row."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import tyro

from mien.cli.models import print_columns
from mien.predict.loading import load
from mien.predict.pipeline import DEFAULT_MODEL
from mien.predict.sources import sources
from mien.runtime.bundle import Bundle, find_bundle
from mien.runtime.session import Precision, Session, open_session
from mien.schema.errors import ConfigError, MienError
from mien.schema.inputs import FeatureSpec, FlagSpec, InputSpec, SoundSpec

WARM_UP = 5
BATCHES = (1, 32)


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Measure how fast a trained model is on this machine.

    Attributes:
        model: name or folder of a trained model.
        photos: also measure photos a second, from file to row, on these photos, folders or patterns.
        runtimes: what to compare; what is not installed is named and left out.
        device: cpu; cuda for onnx and torch.
        seconds: how long to measure each number.
    """

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME|DIR")] = DEFAULT_MODEL
    photos: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PATH …")] = ()
    runtimes: tuple[Literal["openvino", "onnx", "torch"], ...] = ("openvino", "onnx", "torch")
    device: str = "cpu"
    seconds: float = 2.0


def run(arguments: Sequence[str]) -> int:
    """Parse the arguments of ``mien benchmark``, measure and print a table."""
    options = tyro.cli(Benchmark, prog="mien benchmark", args=arguments)
    if options.seconds <= 0:
        raise ConfigError(f"--seconds is above 0; given: {options.seconds}")
    bundle = find_bundle(options.model)
    numbers = sum(weight.size for weight in bundle.weights().values())
    print(f"{bundle.name}@{bundle.hash12}: {numbers / 1e6:.2f} million weights, {_inputs(bundle)}\n")
    rows = [("runtime", "load", "one face", "slowest tenth", f"{BATCHES[-1]} faces", "faces a second")]
    print_columns([*rows, *(row for runtime in options.runtimes for row in _measured(bundle, runtime, options))])
    if options.photos:
        _measure_photos(options)
    return 0


def _measured(bundle: Bundle, runtime: str, options: Benchmark) -> list[tuple[str, ...]]:
    """Rows of one runtime, one a precision; a single one with the reason where it cannot run."""
    rows: list[tuple[str, ...]] = []
    precisions: tuple[Precision, ...] = ("fp32",) if runtime == "onnx" else ("fp32", "bf16")
    for precision in precisions:
        try:
            started = time.perf_counter()
            session = open_session(bundle, runtime, options.device, precision=precision)
            loaded = time.perf_counter() - started
            one, many = (_times(session, bundle, size, options.seconds) for size in BATCHES)
        except (MienError, ModuleNotFoundError) as error:
            return [*rows, (f"{runtime} {precision}", f"left out: {error}", "", "", "", "")]
        worst = statistics.quantiles(one, n=10)[-1]
        cells = (f"{_ms(loaded)}", _ms(statistics.median(one)), _ms(worst), _ms(statistics.median(many)))
        computed = f"{runtime} {bundle.computes_in(runtime, precision)}"
        rows.append((computed, *cells, f"{BATCHES[-1] / statistics.median(many):.0f}"))
    return rows


def _times(session: Session, bundle: Bundle, size: int, seconds: float) -> list[float]:
    """Seconds of each of many runs with ``size`` faces of noise."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal((size, *spec.shape), dtype=np.float32) for name, spec in bundle.inputs.items()}
    return _repeated(lambda: session(**arrays), seconds)


def _repeated(act: Callable[[], object], seconds: float) -> list[float]:
    for _ in range(WARM_UP):
        act()
    times: list[float] = []
    while sum(times) < seconds or len(times) < WARM_UP:
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return times


def _measure_photos(options: Benchmark) -> None:
    """Print photos and faces a second, after a first round that fills the caches."""
    predictor = load(options.model, device=options.device)
    faces = photos = 0
    for round_number in range(2):
        started, faces, photos = time.perf_counter(), 0, 0
        for answer in predictor.stream(sources(options.photos)):
            photos += 1
            faces += sum(row.face is not None for row in answer.predictions)
        if round_number == 1:
            spent = time.perf_counter() - started
            print(f"\nfrom file to row: {photos / spent:.1f} photos, {faces / spent:.1f} faces a second")


def _inputs(bundle: Bundle) -> str:
    return ", ".join(f"{name} {_size(spec)}" for name, spec in bundle.inputs.items() if not isinstance(spec, FlagSpec))


def _size(spec: InputSpec) -> str:
    if isinstance(spec, SoundSpec | FeatureSpec):
        return f"{spec.seconds:g} seconds"
    assert not isinstance(spec, FlagSpec)
    return f"{spec.size_px} x {spec.size_px} pixels"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"
