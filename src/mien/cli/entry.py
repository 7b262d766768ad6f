"""The entry point, the table of verbs, and what becomes of errors."""

import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from mien import __version__
from mien.schema.errors import ConfigError, MienError
from mien.schema.tables import resolve, unknown_name

VERBS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "predict": ("mien.cli.predict:run", "read the expressions in photos and videos"),
        "train": ("mien.cli.train:run", "train a recipe, also on pictures of your own"),
        "evaluate": ("mien.cli.evaluate:run", "measure a trained model on a dataset"),
        "benchmark": ("mien.cli.benchmark:run", "how fast a trained model is on this machine"),
        "export": ("mien.cli.export:run", "make a bundle of a run's best epoch so far"),
        "data": ("mien.cli.data:run", "list, verify, draw and prepare datasets"),
        "features": ("mien.cli.features:run", "what an encoder says of each half second of clips and sounds"),
        "models": ("mien.cli.models:run", "list, show, fetch and verify trained models"),
        "doctor": ("mien.cli.doctor:run", "what is installed here, and what is missing"),
    }
)
USAGE_ERROR = 2
INTERRUPTED = 130
BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; ``None`` takes those of the process.

    Returns:
        The exit code: 0; 1 where the verb found fault (``predict --strict``); 2 for what the user can mend;
        130 after Ctrl-C.
    """
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except MienError as error:
        print(f"mien: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("\nmien: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def choose(program: str, verbs: Mapping[str, tuple[str, str]], about: str, arguments: list[str]) -> int:
    """Hand the arguments on to the verb that comes first, or explain the verbs.

    Args:
        program: what stands before the verb.
        verbs: ``"module:function"`` and purpose by name.
        about: what the help says before and after the list of verbs, separated by ``{verbs}``.
        arguments: the verb and its own.
    """
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        width = max(map(len, verbs))
        listed = "\n".join(f"  {verb:<{width}}  {purpose}" for verb, (_, purpose) in verbs.items())
        print(f"usage: {program} COMMAND …\n\n{about.format(verbs=listed)}")
        return 0
    verb, *rest = arguments
    if verb not in verbs:
        raise ConfigError(f"{unknown_name(verb, verbs, 'command')} `{program} --help` lists them all.")
    code: int = resolve(verbs[verb][0])(rest)
    return code


def _run(arguments: list[str]) -> int:
    if arguments[:1] in (["-V"], ["--version"]):
        print(f"mien {__version__}")
        return 0
    return choose("mien", VERBS, _ABOUT, arguments)


_ABOUT = """\
Facial expressions from photos: reads them, and trains, measures and ships the models that do.

{verbs}

`mien COMMAND --help` explains one of them, `mien --version` tells the version.
First steps:  mien predict photo.jpg --draw out/"""
