"""``mien export RUN``: the bundle of a run's best epoch so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mien.cli.reach import reach
from mien.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Export:
    """Export the best epoch of a run that has not ended, or whose bundle is lost, to RUN/bundle.

    The weights are rounded to 16 bits, the temperature is fitted on the selection part, and the exported graph is
    compared with the network before it is kept.

    Attributes:
        run: folder of the run, with its run.json and best.safetensors.
        data: root of the dataset; by default its folder under $MIEN_DATA.
        device: auto, cpu, cuda, cuda:1 or mps.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    data: Annotated[Path | None, tyro.conf.arg(metavar="ROOT")] = None
    device: str = "auto"


def run(arguments: Sequence[str]) -> int:
    """Parse the arguments of ``mien export`` and write the bundle."""
    options = tyro.cli(Export, prog="mien export", args=arguments)
    best = options.run / "best.safetensors"
    if not best.is_file():
        raise ConfigError(
            f"{options.run} has no {best.name} yet: nothing has been trained there that could be exported."
        )
    need = {"extra": "train", "purpose": "Exporting"}
    chosen = reach("mien.engine.run:read_run", **need)(options.run / "run.json")
    set_up, finish = (reach(f"mien.engine.fit:{name}", **need) for name in ("set_up", "finish"))
    state = set_up(chosen, options.data, options.run, resume=True, device=options.device, progress=True)
    print(f"The bundle is {finish(state, options.run)}")
    return 0
