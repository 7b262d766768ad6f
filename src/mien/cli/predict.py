"""``mien predict PATH…``: photos in, a table and drawn pictures out."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from mien.schema.errors import ConfigError

if TYPE_CHECKING:
    from mien.predict.pipeline import Answer, Predictor

SHOWN_LABELS = 3
DRAWN_SUFFIXES = {".jpg": ".jpg", ".jpeg": ".jpg"}


@dataclass(frozen=True, kw_only=True)
class Predict:
    """Read the expressions in photos and print one row a face.

    Attributes:
        paths: photos, folders (all pictures in and below them) or patterns such as 'photos/*.jpg'.
        model: name or folder of a trained model; `mien models list` shows the names.
        out: also write the table to this .csv, .jsonl or .parquet file.
        draw: also write each photo with boxes, labels and bars of probabilities into this folder.
        device: cpu, or cuda, cuda:1, mps for a GPU (needs the extra `train`).
        precision: bf16 is faster where the processor has it and exact to about three digits.
        top: how many of the most probable labels to show; by default three in the table, all in drawings.
        min_face_px: report smaller faces as too_small; smaller values also search finer.
        crops: take each picture for one face that is cut out already, without searching for faces.
        landmarks: draw the 68 points of each face as well.
        outline: draw faces by the lines of their points on an empty page, without a pixel of the photo.
        strict: exit with 1 if anything could not be read.
    """

    paths: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PATH …")] = ()
    model: Annotated[str, tyro.conf.arg(metavar="NAME|DIR")] = "product_cross_small"
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    draw: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    device: str = "cpu"
    precision: Literal["fp32", "bf16"] = "fp32"
    top: int | None = None
    min_face_px: int = 32
    crops: bool = False
    landmarks: bool = False
    outline: bool = False
    strict: bool = False


def run(arguments: Sequence[str]) -> int:
    """Parse the arguments of ``mien predict`` and do it; returns the exit code."""
    options = tyro.cli(
        Predict, prog="mien predict", args=arguments, config=(tyro.conf.FlagCreatePairsOff,), add_help=True
    )
    if not options.paths:
        raise ConfigError("Name at least one photo, folder or pattern, as in: mien predict photo.jpg")
    if options.top is not None and options.top < 1:
        raise ConfigError(f"--top is at least 1; given: {options.top}")
    return predict(options)


def predict(options: Predict) -> int:
    """Read everything that ``options`` names; returns 1 if ``strict`` and a row is an error, else 0."""
    from mien.cli.show import Report
    from mien.predict.pipeline import load
    from mien.predict.table import TableWriter

    predictor = load(
        options.model,
        device=options.device,
        precision=options.precision,
        min_face_px=options.min_face_px,
        finder=None if options.crops else "default",
    )
    report = Report(
        labels=predictor.labels, top=options.top or SHOWN_LABELS, model=predictor.model, written=options.out is not None
    )
    with ExitStack() as stack:
        table = (
            stack.enter_context(TableWriter(options.out, predictor.labels, predictor.model)) if options.out else None
        )
        drawing = Drawing(options.draw, options) if options.draw else None
        stack.callback(report.print, options.out, options.draw)
        for answer in _answers(predictor, options):
            report.add(answer.predictions)
            if table:
                table.write(answer.predictions)
            if drawing:
                drawing.write(answer, predictor)
    return int(options.strict and report.errors > 0)


def _answers(predictor: "Predictor", options: Predict) -> Iterator["Answer"]:
    """The answers one by one, with a progress bar on a terminal."""
    from mien.predict.sources import pictures

    answers = predictor.stream(pictures(options.paths), keep_images=options.draw is not None)
    if not sys.stderr.isatty():
        return answers
    total = sum(1 for _ in pictures(options.paths))
    if total < 20:
        return answers
    from rich.console import Console
    from rich.progress import track

    return iter(track(answers, "Reading", total, console=Console(stderr=True), transient=True))


class Drawing:
    """Writes drawn pictures into a folder, below which folders that were given keep their structure."""

    def __init__(self, folder: Path, options: Predict) -> None:
        self.folder, self.options = folder, options
        self._taken: set[Path] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--draw {str(folder)!r} cannot be a folder ({error.strerror})") from error

    def write(self, answer: "Answer", predictor: "Predictor") -> None:
        """Draw one answer; a picture that could not be read is left out."""
        from mien.media.image import write_image
        from mien.predict.draw import draw_predictions

        if answer.image is None:
            return
        drawn = draw_predictions(
            answer.image,
            list(answer.predictions),
            predictor.labels,
            top=self.options.top,
            landmarks=self.options.landmarks,
            outline=self.options.outline,
        )
        path = self._free(answer.picture.inside or Path(answer.picture.name))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, drawn)

    def _free(self, inside: Path) -> Path:
        """A name that no other picture of this run has; JPEG stays JPEG, all else becomes PNG."""
        path = self.folder / inside.with_suffix(DRAWN_SUFFIXES.get(inside.suffix.lower(), ".png"))
        number = 2
        while path in self._taken:
            path = path.with_stem(f"{inside.stem}_{number}")
            number += 1
        self._taken.add(path)
        return path
