"""``mien predict PATH…``: photos, videos and sounds in, a table, drawn pictures and annotated videos out."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import tyro

from mien.schema.errors import ConfigError

if TYPE_CHECKING:
    from mien.cli.drawing import Drawing
    from mien.cli.drawing_reactions import ReactionDrawing
    from mien.cli.show import Report
    from mien.predict.answer import Answer
    from mien.predict.loading import AnyPredictor
    from mien.predict.sources import Picture, Video
    from mien.predict.watch import VideoOptions

SHOWN_LABELS = 3


@dataclass(frozen=True, kw_only=True)
class Predict:
    """Read the expressions in photos and videos and print one row a face.

    Attributes:
        paths: photos, videos, folders (all of both in and below them), patterns such as 'photos/*.jpg', numbered
            frames as 'frames/%05d.png', a camera as 0, or - for a video from the standard input; with a model that
            listens also files of sound.
        model: name or folder of a trained model; `mien models list` shows the names.
        out: also write the table to this .csv, .jsonl or .parquet file.
        resume: go on with the table in --out: what it has is kept, the last source in it is read again.
        episodes: also write what each face of a video expressed from when to when to this .csv or .jsonl file.
        draw: also write each photo with boxes, labels and bars of probabilities into this folder, and each video as
            an .mp4 with its sound; of intensities a chart as well.
        device: cpu, or cuda, cuda:1, mps for a GPU (needs the extra `train`).
        precision: bf16 is faster where the processor has it and exact to about three digits.
        top: how many of the most probable labels to show; by default three in the table, all in drawings.
        min_face_px: report smaller faces as too_small; smaller values also search finer.
        tile_px: of models that find the faces themselves, also look at overlapping tiles of this side, for small faces.
        crops: take each picture for one face that is cut out already, without searching for faces.
        landmarks: draw the 68 points of each face as well.
        every: of videos, read each n-th frame; a model of face and voice answers for each n-th moment; one of
            intensities begins a window every n seconds, by default every 5.
        fps: of videos, read at most so many frames a second; a model of face and voice answers for so many moments.
        start: of videos, read from this second on.
        end: of videos, read up to this second.
        smooth: of videos, steady the answers over time: causal looks back only, centred both ways, auto is causal for
            cameras and centred for files.
        outline: draw faces by the lines of their points on an empty page, without a pixel of the photo.
        strict: exit with 1 if anything could not be read.
    """

    paths: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PATH …")] = ()
    model: Annotated[str, tyro.conf.arg(metavar="NAME|DIR")] = "product_cross_small"
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    resume: bool = False
    episodes: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    draw: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    device: str = "cpu"
    precision: Literal["fp32", "bf16"] = "fp32"
    top: int | None = None
    min_face_px: int = 32
    tile_px: int | None = None
    crops: bool = False
    landmarks: bool = False
    every: float | None = None
    fps: float | None = None
    start: float = 0.0
    end: float | None = None
    smooth: Literal["auto", "none", "causal", "centred"] = "auto"
    outline: bool = False
    strict: bool = False


def run(arguments: Sequence[str]) -> int:
    """Parse the arguments of ``mien predict`` and do it; returns the exit code."""
    options = tyro.cli(
        Predict, prog="mien predict", args=arguments, config=(tyro.conf.FlagCreatePairsOff,), add_help=True
    )
    if not options.paths:
        raise ConfigError("Name at least one photo, video, folder or pattern, as in: mien predict photo.jpg")
    if options.top is not None and options.top < 1:
        raise ConfigError(f"--top is at least 1; given: {options.top}")
    return predict(options)


def predict(options: Predict) -> int:
    """Read everything that ``options`` names; returns 1 if ``strict`` and a row is an error, else 0."""
    from mien.predict.episode_table import EpisodeWriter
    from mien.predict.loading import load
    from mien.predict.moments import MomentPredictor
    from mien.predict.reactions import ReactionPredictor
    from mien.predict.resume import Done, done_in
    from mien.predict.table import TableWriter

    if options.resume and options.out is None:
        raise ConfigError("--resume goes on with a table; name it with --out")
    predictor = load(
        options.model,
        device=options.device,
        precision=options.precision,
        min_face_px=options.min_face_px,
        finder=None if options.crops else "default",
        **({} if options.tile_px is None else {"tile_px": options.tile_px}),
    )
    is_graded = isinstance(predictor, ReactionPredictor)
    by_moments = isinstance(predictor, MomentPredictor)
    video = _video_options(options, is_graded=is_graded)
    if options.draw:
        _check_drawing(predictor, options)
    if options.episodes and is_graded:
        raise ConfigError(
            "--episodes tells one expression at a time; this model tells how strong several are. Use --out"
        )
    report = _report(predictor, options, is_graded=is_graded)
    with ExitStack() as stack:
        table, done = None, Done()
        if options.out:
            table = TableWriter(
                options.out,
                predictor.labels,
                predictor.model,
                smoothed=_is_smoothed(predictor, options),
                shared=by_moments or is_graded,
                graded=is_graded,
            )
            done = done_in(options.out, table.names) if options.resume else done
            stack.enter_context(table.keeping(done.length))
        drawing = _drawing(options, predictor, video, stack) if options.draw else None
        episodes = stack.enter_context(EpisodeWriter(options.episodes, predictor.labels)) if options.episodes else None
        stack.callback(report.print, options.out, options.draw)
        for answer in _answers(predictor, options, video, done.sources):
            report.add(answer)
            for writer in (table, episodes):
                if writer:
                    writer.write(answer.predictions)
            if drawing:
                drawing.write(answer)
    return int(options.strict and report.errors > 0)


def _video_options(options: Predict, *, is_graded: bool) -> "VideoOptions":
    """How videos are read. ``--every`` counts seconds between windows where answers are intensities, else frames."""
    from mien.predict.watch import VideoOptions

    every = options.every
    if not is_graded and every is not None and every != int(every):
        raise ConfigError(f"--every counts frames or moments, so it is a whole number; given: {every:g}")
    paces = {} if every is None else {"window_every_s": every} if is_graded else {"every": int(every)}
    return VideoOptions(
        fps=options.fps, start_s=options.start, end_s=options.end, smoothing=options.smooth, **cast("Any", paces)
    )


def _report(predictor: "AnyPredictor", options: Predict, *, is_graded: bool) -> "Report":
    from mien.cli.show import Report
    from mien.cli.show_strengths import StrengthReport

    return (StrengthReport if is_graded else Report)(
        labels=predictor.labels, top=options.top or SHOWN_LABELS, model=predictor.model, written=options.out is not None
    )


def _check_drawing(predictor: "AnyPredictor", options: Predict) -> None:
    """Refuse what cannot be drawn before anything is read."""
    from mien.predict.frames import FramePredictor
    from mien.predict.moments import MomentPredictor
    from mien.predict.reactions import ReactionPredictor
    from mien.predict.sources import SoundFile, Video
    from mien.predict.windows import ClipPredictor

    if isinstance(predictor, ClipPredictor):
        raise ConfigError("--draw shows the answers of models of single faces; a model of clips answers by windows")
    if not isinstance(predictor, FramePredictor | MomentPredictor | ReactionPredictor):
        return
    given = list(_sources(predictor, options))
    if isinstance(predictor, ReactionPredictor):
        if options.outline or options.landmarks:
            raise ConfigError("--outline and --landmarks draw what is read in single frames; this model reads windows")
    elif isinstance(predictor, MomentPredictor):
        if predictor.clip is None:
            raise ConfigError("--draw draws on pictures, and this model listens to voices alone; leave it out")
        if given and all(isinstance(one, SoundFile) for one in given):
            raise ConfigError("--draw draws on pictures, and there are files of sound alone; leave it out")
    if any(isinstance(one, Video) and one.is_live for one in given):
        raise ConfigError(
            "--draw with a model of windows or of moments needs files: a camera or the standard input cannot be read "
            "twice"
        )


def _is_smoothed(predictor: "AnyPredictor", options: Predict) -> bool:
    """Whether the table has smoothed answers: those of videos, and of sounds where somebody listens."""
    from mien.predict.reactions import ReactionPredictor
    from mien.predict.sources import SoundFile, Video
    from mien.predict.windows import ClipPredictor

    if isinstance(predictor, ClipPredictor | ReactionPredictor) or options.smooth == "none":
        return False
    return any(
        isinstance(one, Video) and (predictor.hears or not isinstance(one, SoundFile))
        for one in _sources(predictor, options)
    )


def _sources(predictor: "AnyPredictor", options: Predict) -> "Iterator[Picture | Video]":
    from mien.predict.sources import sources

    return sources(options.paths, sounds=predictor.hears)


def _drawing(
    options: Predict, predictor: "AnyPredictor", video: "VideoOptions", stack: ExitStack
) -> "Drawing | ReactionDrawing":
    from mien.cli.drawing import Drawing
    from mien.cli.drawing_reactions import ReactionDrawing
    from mien.predict.moments import MomentPredictor
    from mien.predict.reactions import ReactionPredictor

    folder, labels = options.draw, predictor.labels
    assert folder is not None
    if isinstance(predictor, ReactionPredictor):
        charts = ReactionDrawing(
            folder=folder, labels=labels, model=predictor.model, options=video, hears=predictor.hears
        )
        return stack.enter_context(charts)
    style = {"top": options.top, "landmarks": options.landmarks, "outline": options.outline}
    by_moments = isinstance(predictor, MomentPredictor)
    drawing = Drawing(folder=folder, labels=labels, style=style, options=video, by_moments=by_moments)
    return stack.enter_context(drawing)


def _answers(
    predictor: "AnyPredictor", options: Predict, video: "VideoOptions", done: frozenset[str]
) -> Iterator["Answer"]:
    """The answers one by one, without those that are known, with a progress bar on a terminal."""
    left = (one for one in _sources(predictor, options) if one.name not in done)
    answers = predictor.stream(left, keep_images=options.draw is not None, video=video)
    if not sys.stderr.isatty():
        return answers
    from mien.cli.progress import shown

    return shown(answers, list(_sources(predictor, options)))
