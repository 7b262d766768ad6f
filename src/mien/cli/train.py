"""``mien train RECIPE``: a recipe, changed as asked for, becomes a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import tyro

from mien.cli.models import print_columns
from mien.cli.reach import reach
from mien.recipes import RECIPES, WITH_ROWS
from mien.schema.errors import ConfigError
from mien.schema.tables import unknown_name

RUNS = Path("runs")
ABOUT = """\
usage: mien train RECIPE [OPTIONS]
       mien train --from run.json [OPTIONS]
       mien train --list [RECIPE]

Train a recipe. `--list` names them, `--list RECIPE` the rows of one, as they stand in the paper's tables.
`mien train RECIPE --help` shows every field of a recipe, each of which `--set.FIELD VALUE` changes;
`--from` repeats the run that a run.json describes."""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a recipe and leave a bundle that `mien predict --model` takes.

    Attributes:
        recipe: name of a recipe; `mien train --list` shows them.
        data: root of the dataset; by default its folder under $MIEN_DATA.
        out: folder of the run; by default runs/RECIPE/TIME-seedN.
        init: bundle or name of a model to start from; a head for other classes starts anew.
        resume: go on after the last whole epoch in --out, or in the latest run of this recipe and seed.
        seed: of the weights, the order and the augmentation; by default the recipe's.
        device: auto, cpu, cuda, cuda:1 or mps.
    """

    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    data: Annotated[Path | None, tyro.conf.arg(metavar="ROOT")] = None
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    init: Annotated[str | None, tyro.conf.arg(metavar="BUNDLE")] = None
    resume: bool = False
    seed: int | None = None
    device: str = "auto"


def run(arguments: Sequence[str]) -> int:
    """Parse the arguments of ``mien train`` and train; returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(ABOUT)
        return 0
    if arguments[0] == "--list":
        return list_recipes(*arguments[1:2])
    name, rest = _named(arguments)
    options: Any = tyro.cli(
        _with_fields(_find(name)),
        prog=f"mien train {name}",
        args=[name, *rest],
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    return train(options, options.set)


def train(options: Train, chosen: Any) -> int:
    """Train ``chosen``, a run, where and from what ``options`` say."""
    fit = reach("mien.engine.fit:fit", extra="train", purpose="Training")
    chosen = replace(
        chosen,
        seed=chosen.seed if options.seed is None else options.seed,
        init=options.init or chosen.init,
    )
    out = options.out or _folder(chosen.name, chosen.seed, resume=options.resume)
    print(f"{chosen.name}, seed {chosen.seed}: {out}")
    bundle = fit(chosen, root=options.data, out=out, resume=options.resume, device=options.device)
    print(f"The bundle is {bundle}")
    if chosen.task == "classify":
        print(_next_step(chosen, bundle))
    return 0


def _next_step(chosen: Any, bundle: Path) -> str:
    """What to do with a classifier: predict, or, if it does not look at faces itself, evaluate."""
    fed = chosen.model.inputs()
    if "face_features" in fed:
        return f"Measure it:  mien evaluate {bundle} --dataset {chosen.data.reader}"
    source = "PHOTO" if "image" in fed else "CLIP" if "clip" in fed else "SOUND"
    return f"Try it:  mien predict {source} --model {bundle}"


def list_recipes(base: str | None = None) -> int:
    """Print the recipes, or the rows of one and the fields that each sets."""
    if base is None:
        print("\n".join(name + ("  and rows of it" if name in WITH_ROWS else "") for name in RECIPES))
        return 0
    if base not in RECIPES:
        raise ConfigError(unknown_name(base, RECIPES, "recipe"))
    rows = reach("mien.recipes:rows_of", extra="train", purpose="Listing rows")(base)
    print_columns([(base, ""), *((f"{base}_{row}", _told(changes)) for row, changes in rows.items())])
    return 0


def _told(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{path}={value}" for path, value in changes.items())


def _named(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The recipe's name or the path of its run.json, and the other arguments."""
    first, *rest = arguments
    flag, equals, value = first.partition("=")
    if flag == "--from":
        given = [value, *rest] if equals else rest
        if not given:
            raise ConfigError("--from needs the path of a run.json")
        path = Path(given[0])
        return str(path / "run.json" if path.is_dir() else path), given[1:]
    if first.startswith("-"):
        raise ConfigError(f"The recipe comes first, as in: mien train {next(iter(RECIPES))}; given: {first}")
    return first, rest


def _find(name: str) -> Any:
    find = "mien.engine.run:read_run" if name.endswith(".json") else "mien.recipes:find"
    return reach(find, extra="train", purpose="Training")(Path(name) if name.endswith(".json") else name)


def _with_fields(chosen: Any) -> type:
    """``Train`` with the fields of a run under ``--set``."""
    kind: Any = type(chosen)
    fields = [("set", Annotated[kind, tyro.conf.FlagConversionOff], field(default=chosen))]
    made = make_dataclass("Train", fields, bases=(Train,), frozen=True, kw_only=True)
    made.__doc__ = Train.__doc__
    return made


def _folder(recipe: str, seed: int, *, resume: bool) -> Path:
    runs = RUNS / recipe
    if not resume:
        return runs / f"{datetime.now():%Y%m%d-%H%M%S}-seed{seed}"
    earlier = sorted(runs.glob(f"*-seed{seed}"))
    if not earlier:
        raise ConfigError(f"There is no run of {recipe} with seed {seed} in {runs} to resume; name one with --out")
    return earlier[-1]
