"""``mien evaluate BUNDLE``: how well a trained model does on a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from mien.cli.reach import reach
from mien.schema.errors import ConfigError

ONE_MODEL_ALONE = {
    "fold": "--fold",
    "pictures": "--pictures",
    "smooth": "--smooth",
    "others": "--with",
    "features": "--features",
    "robustness": "--robustness",
    "submission": "--submission",
    "end_to_end": "--end-to-end",
}
"""Options that ``--folds`` does not go with, by the fields of :class:`Evaluate`."""


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure a trained model on a dataset: figures with 95 % intervals, and a report with pictures.

    Attributes:
        model: name or folder of a trained model.
        dataset: name of a dataset; `mien data list` shows them.
        data: root of the dataset; by default its folder under $MIEN_DATA.
        split: valid reports the half that chose nothing, and lists the other half and the whole beside it.
        fold: of a dataset with official folds, measure on what this fold holds back.
        folds: measure one model a fold, named with {fold} for its number as in 'runs/fold_{fold}/bundle', each on what
            its fold holds back; prints every fold, mean and deviation.
        out: folder for report.json, report.md, pictures and answers.csv (one row a sample); of whole pictures COCO's
            annotations.json and detections.json in its place.
        runtime: what computes: openvino, onnx (extra `export`) or torch (extra `train`).
        device: cpu; cuda for onnx and torch.
        precision: bf16 is faster and exact to about three digits.
        crop: whole for a model that was trained on pictures as they are.
        pictures: let the model find the faces of whole pictures with marked faces, a classifier with mien's finder; a
            face that is not found is an error. A model that finds the faces itself is always measured so.
        smooth: where frames of videos are labelled one by one, average the answers over so many frames, an odd number.
        others: further models of the same task and labels; what they answer is averaged with what the first does, of
            classifiers the probabilities, of reactions the strengths.
        features: of a model that reads features, where those of each input are: a folder of `mien features`, or the
            name of a set inside the dataset, or, where they tell of a face at moments, a folder with <key>.npy for each
            clip; by default those of its training. They have to be of the same encoder.
        resamples: of the bootstrap intervals.
        robustness: also disturb the faces (light, blur, JPEG, distance, things in front, misplaced boxes) and tell
            how far the accuracy falls; of models of single faces. Takes as long as sixty evaluations.
        seed: of the bootstrap, and of the disturbances.
        submission: instead of measuring, answer for every frame of the videos of the part, labelled or not, and write
            this file in the form of the challenge.
        end_to_end: also place the faces in larger scenes of several sizes and read those as photos; a face that is
            not found is an error there.
    """

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME|DIR")]
    dataset: str
    data: Annotated[Path | None, tyro.conf.arg(metavar="ROOT")] = None
    split: Literal["train", "valid", "valid_a", "valid_b", "test"] = "valid"
    fold: int | None = None
    folds: bool = False
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    runtime: Literal["openvino", "onnx", "torch"] = "openvino"
    device: str = "cpu"
    precision: Literal["fp32", "bf16"] = "fp32"
    crop: Literal["face", "whole"] = "face"
    pictures: bool = False
    smooth: int = 1
    others: Annotated[tuple[str, ...], tyro.conf.arg(name="with", metavar="NAME|DIR ...")] = ()
    features: Annotated[tuple[str, ...], tyro.conf.arg(metavar="INPUT=DIR ...")] = ()
    robustness: bool = False
    resamples: int = 1000
    seed: int = 0
    submission: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    end_to_end: bool = False


def run(arguments: Sequence[str]) -> int:
    """Parse the arguments of ``mien evaluate``, measure and print the figures."""
    options = tyro.cli(Evaluate, prog="mien evaluate", args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    if options.folds:
        return _folds(options)
    if options.submission is not None:
        return _submission(options, options.submission)
    evaluate = reach("mien.engine.evaluate:evaluate", extra="evaluate", purpose="Evaluating")
    report = evaluate(
        options.model,
        options.dataset,
        root=options.data,
        split=options.split,
        out=options.out,
        runtime=options.runtime,
        device=options.device,
        precision=options.precision,
        crop=options.crop,
        pictures=options.pictures,
        smooth=options.smooth,
        resamples=options.resamples,
        seed=options.seed,
        others=options.others,
        features=_features(options),
        robustness=options.robustness,
        **({} if options.fold is None else {"data": _held_back(options)}),
    )
    _print(report)
    if options.end_to_end:
        _end_to_end(options)
    if options.out:
        print(f"\nreport: {options.out / 'report.md'}")
    return 0


def _print(report: Any) -> None:
    """Every figure of a report, a line each."""
    dataset = report["dataset"]
    counted = report.get("counted", "faces")
    what = f"{report['clips']} clips" if "per_reaction" in report else f"{report['faces']} {counted}"
    print(f"{report['bundle']['name']} on {dataset['title']}, {dataset['part']}: {what}\n")
    for figure in report["metrics"].values():
        print(_line(figure["title"], figure["value"], figure["low"], figure["high"]))
    if "per_class" in report:
        shown, heading = ("ap50", "AP50") if "detection" in report else ("recall", "recall")
        print(f"\n{heading} of each class")
        for name, figures in report["per_class"].items():
            figure = figures[shown]
            print(_line(f"{name} ({figures['count']})", figure["value"], figure["low"], figure["high"]))
    if "per_reaction" in report:
        print("\nPearson's r of each reaction")
        for name, figures in report["per_reaction"].items():
            figure = figures["pearson"]
            print(_line(name.replace("_", " "), figure["value"], figure["low"], figure["high"]))
    if "robustness" in report:
        print("\naccuracy against disturbances, each at its strongest")
        for kind in report["robustness"]["kinds"].values():
            last = kind["severities"][-1]
            figure = last["accuracy"]
            print(_line(f"{kind['title']}, {last['words']}", figure["value"], figure["low"], figure["high"]))


def _features(options: Evaluate) -> dict[str, str] | None:
    """``input=DIR`` as a table; ``None`` if none is given."""
    parts = [pair.partition("=") for pair in options.features]
    if wrong := ["".join(part) for part in parts if not all(part)]:
        raise ConfigError(f"--features takes INPUT=DIR, as face_features=features/face; given: {wrong[0]}")
    return {name: which for name, _, which in parts} or None


def _held_back(options: Evaluate) -> Any:
    from mien.data.splits import DataConfig

    return DataConfig(reader=options.dataset, fold=options.fold, halve_valid=False)


def _folds(options: Evaluate) -> int:
    """Measure one model a fold, and print a line for each figure.

    Raises:
        ConfigError: if an option is given that a single model alone is measured with.
    """
    defaults = {field.name: field.default for field in fields(Evaluate)}
    if given := [text for name, text in ONE_MODEL_ALONE.items() if getattr(options, name) != defaults[name]]:
        raise ConfigError(f"--folds does not go with {', '.join(given)}; measure each fold by itself with --fold N")
    measure = reach("mien.engine.folds:evaluate_folds", extra="evaluate", purpose="Evaluating")
    settings = ("runtime", "device", "precision", "crop", "resamples", "seed")
    how = {name: getattr(options, name) for name in settings}
    summary = measure(options.model, options.dataset, root=options.data, out=options.out, **how)
    markdown = reach("mien.engine.folds:markdown", extra="evaluate", purpose="Evaluating")
    print(markdown(summary).partition("Counts of all folds")[0].rstrip())
    return 0


def _submission(options: Evaluate, out: Path) -> int:
    """Write the answers to a challenge."""
    submit = reach("mien.engine.submit:submit", extra="evaluate", purpose="Answering to a challenge")
    how = {name: getattr(options, name) for name in ("split", "runtime", "device", "precision", "others")}
    usual = {"crop": "face", "smooth": 1, "features": None}
    chosen = {"crop": options.crop, "smooth": options.smooth, "features": _features(options)}
    how |= {name: value for name, value in chosen.items() if value != usual[name]}
    print(f"submission: {submit(options.model, options.dataset, out, root=options.data, **how)}")
    return 0


def _end_to_end(options: Evaluate) -> None:
    """Measure with the search for faces, and print a line for each size."""
    measure = reach("mien.engine.end_to_end:end_to_end", extra="evaluate", purpose="Evaluating end to end")
    report = measure(
        options.model,
        options.dataset,
        root=options.data,
        split=options.split,
        out=options.out,
        resamples=options.resamples,
        seed=options.seed,
    )
    print("\naccuracy end to end, by the size of the face")
    for line in report["sizes"]:
        accuracy = line["accuracy"]
        title = f"{line['size_px']} pixels, {line['found']:.1%} found"
        print(_line(title, accuracy["value"], accuracy["low"], accuracy["high"]))


def _line(title: str, value: float | None, low: float | None, high: float | None) -> str:
    number = "     –" if value is None else f"{value:.4f}"
    span = "" if low is None or high is None else f"  ({low:.4f} to {high:.4f})"
    return f"  {title:<32} {number}{span}"
