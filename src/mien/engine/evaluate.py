"""Measure a bundle on a dataset: the faces are cut, fed and decoded as in prediction; torch is not needed."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.data.moment_input import is_momentary
from mien.data.moment_plan import frame_by_frame
from mien.data.readers import READERS, read_dataset
from mien.data.splits import DataConfig, Labelled, Splits, data_fingerprint, make_splits
from mien.engine.measure import Answers, Crop, answer
from mien.engine.measure_clips import answer_clips
from mien.engine.measure_detections import measure_bundle
from mien.engine.measure_moments import answer_moments
from mien.engine.report import Row, drawing_is_possible, write_answers, write_report
from mien.engine.report_detections import write_picture_report
from mien.engine.score import Resampling, classification_figures, headline, landmark_figures
from mien.engine.score_detections import picture_figures
from mien.engine.surroundings import surroundings
from mien.metrics.calibration import fit_min_score, fit_temperature, softmax
from mien.runtime.bundle import Bundle, find_bundle, revise_bundle
from mien.runtime.session import Precision, Session, open_session
from mien.schema.errors import BundleError, ConfigError, DatasetError
from mien.schema.labels import LabelSet
from mien.schema.sample import Sample
from mien.schema.tables import resolve
from mien.tasks import task_from_json

REPORT_VERSION = 1
CLIP_BATCH = 16
"""Clips in one run of a network."""

SPLITS = ("train", "valid", "valid_a", "valid_b", "test")
REFERENCE = "mien.recipes.reference:reported"

Rule = Literal["majority", "argmax"]
RULES: tuple[Rule, ...] = ("majority", "argmax")

PARTS = {
    "train": "training part",
    "valid": "whole validation part",
    "valid_a": "validation part, half A",
    "valid_b": "validation part, half B",
    "test": "test part",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Samples under one label rule; several views share their answers.

    Attributes:
        part: key of ``PARTS``.
        rule: what votes mean; the first rule where the dataset has none.
        samples: in the order of the dataset.
        truth: class indices ``[N]`` in the order of the model's labels.
    """

    part: str
    rule: Rule
    samples: tuple[Sample, ...]
    truth: NDArray[np.int64]

    @property
    def groups(self) -> list[str]:
        """Names of what is drawn together: a person, a picture that occurs twice, else the sample itself."""
        return [s.subject or s.pixel_hash or s.key for s in self.samples]


def evaluate(
    model: Bundle | str | Path,
    dataset: str,
    *,
    root: Path | None = None,
    split: str = "valid",
    out: Path | None = None,
    runtime: str = "openvino",
    device: str = "cpu",
    precision: Precision = "fp32",
    data: DataConfig | None = None,
    crop: Crop = "face",
    pictures: bool = False,
    smooth: int = 1,
    batch_size: int = 64,
    resamples: int = 1000,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Measure a bundle on one part of a dataset.

    The validation part is halved by a hash of the sample's key. Half A chose the epoch and the thresholds, so
    ``valid`` reports half B and lists half A and the whole beside it.

    Args:
        model: a bundle, its folder or its name.
        dataset: name in ``READERS``.
        root: folder of the dataset; ``None`` takes ``$MIEN_DATA/<folder>``.
        split: one of ``SPLITS``.
        out: folder for ``report.json``, ``report.md``, ``answers.csv``, ``confusion.png`` and ``reliability.png``; of
            whole pictures the files that :func:`mien.engine.report_detections.write_picture_report` names.
        runtime: ``openvino``, ``onnx`` or ``torch``.
        device: as in :func:`mien.runtime.session.open_session`.
        precision: as there.
        data: the protocol, for another than the dataset's usual one.
        crop: ``whole`` for a model that was trained on pictures as they are.
        pictures: let the model find the faces of the whole pictures, a classifier with mien's finder; a face that is
            not found is an error. A model that finds faces itself is always measured so.
        smooth: of a dataset whose frames are labelled one by one, average the answers over so many frames, an odd
            number; 1 is off.
        batch_size: faces in one run of the network.
        resamples: of the bootstrap intervals.
        seed: of the bootstrap.
        progress: whether to show a bar.

    Returns:
        The report as plain data: ``metrics.<name>.value|low|high`` and all else that ``report.json`` says.

    Raises:
        ConfigError: if the split or the runtime does not exist, or answers cannot be smoothed.
        DatasetError: if the part holds no sample of the model's classes.
        BundleError: if the bundle is damaged or cannot be run.
    """
    if split not in SPLITS:
        raise ConfigError(f"There is no split {split!r}; allowed: {', '.join(SPLITS)}")
    if out is not None:
        drawing_is_possible()
    bundle = model if isinstance(model, Bundle) else find_bundle(model)
    if smooth != 1 and not is_momentary(bundle.inputs):
        raise ConfigError(
            f"smooth={smooth} is for models that answer for moments; {bundle.name!r} is none, leave it out"
        )
    samples = read_dataset(dataset, root)
    views, dropped = views_of(samples, data or DataConfig(reader=dataset), split, bundle.labels)
    how = Resampling(resamples=resamples, seed=seed)
    described: dict[str, Any] = {"name": runtime, "device": device, "precision": precision}
    columns = None
    if pictures or bundle.task.get("name") == "detect":
        columns = measure_bundle(
            bundle, views[0].samples, views[0].truth, among=samples, progress=progress, **described
        )
        figures, described["pictures"] = picture_figures(columns, how), columns.settings
    else:
        session = open_session(bundle, runtime, device, precision=precision)
        settings = {"dataset": dataset, "crop": crop, "batch_size": batch_size, "progress": progress}
        if is_momentary(bundle.inputs):
            settings["smooth"] = described["smooth"] = smooth
        answers = answers_of(bundle, session, _all_samples(views), **settings)
        figures, described["crop"] = _figures(bundle, views, answers, how), crop
    report = {
        "schema_version": REPORT_VERSION,
        "bundle": {"name": bundle.name, "model": bundle.model, "hash": bundle.hash12, "task": dict(bundle.task)},
        "dataset": {
            "name": dataset,
            "title": READERS[dataset].title,
            "fingerprint": data_fingerprint(samples),
            "split": split,
            "part": PARTS[views[0].part],
            "rule": _rule(views[0], bundle),
            "dropped": dropped,
        },
        "runtime": described,
        "intervals": {"method": "percentile bootstrap", "confidence": 0.95, "resamples": resamples, "seed": seed},
        "date": datetime.now(UTC).date().isoformat(),
        "surroundings": surroundings(),
        "provenance": dict(bundle.provenance),
        "licences": dict(bundle.licences),
        **figures,
    }
    report["paper"] = paper_table(bundle, dataset, report)
    if out is not None and columns is not None:
        write_picture_report(report, columns, out)
    elif out is not None:
        write_report(report, out)
        if bundle.labels is not None:
            write_answers(_rows(bundle, bundle.labels, views[0], answers), bundle.labels.names, out)
    return report


def answers_of(bundle: Bundle, session: Session, samples: Sequence[Sample], **how: Any) -> Answers:
    """What a network answers for faces, clips or moments, whatever it reads; ``how`` as in :func:`answer`."""
    if is_momentary(bundle.inputs):
        return answer_moments(session, bundle.inputs, samples, **how)
    if "clip" in bundle.inputs:
        size = min(how.pop("batch_size", CLIP_BATCH), CLIP_BATCH)
        return answer_clips(session, bundle.inputs, samples, batch_size=size, **how)
    return answer(session, bundle.image_spec(), samples, **how)


def views_of(
    samples: Sequence[Sample], config: DataConfig, split: str, labels: LabelSet | None
) -> tuple[list[View], dict[str, int]]:
    """The parts of a dataset under each label rule, the headline first, and what was left out of it.

    Args:
        samples: all that the reader found.
        config: the protocol; its rules are replaced.
        split: one of ``SPLITS``.
        labels: the model's classes; ``None`` for a model without classes, which is measured on all faces.

    Raises:
        DatasetError: if the part holds no sample of the model's classes.
    """
    views: list[View] = []
    dropped: dict[str, int] = {}
    for rule in RULES if _has_votes(samples) else RULES[:1]:
        if labels is None and rule != RULES[-1] and _has_votes(samples):
            continue
        splits = make_splits(samples, replace(config, train_rule=rule, valid_rule=rule))
        for part, items in _parts(splits, split).items():
            apart = tuple(frame_by_frame(items, splits.labels))
            view, left_out = _view(part, rule, apart, splits.labels, labels)
            dropped = dropped or {**_of_part(splits.dropped, split), **left_out}
            views.append(view)
    if not views[0].samples:
        raise DatasetError(
            f"The {PARTS[views[0].part]} of {config.reader!r} holds no sample of the model's classes "
            f"({', '.join(labels.names) if labels else 'any'}); left out: {dropped or 'none, it is empty'}"
        )
    return sorted(views, key=lambda view: view.part != views[0].part), dropped


def fit_temperature_and_threshold(
    model: Bundle | str | Path,
    dataset: str,
    *,
    root: Path | None = None,
    data: DataConfig | None = None,
    runtime: str = "openvino",
    worth: float = 0.5,
    crop: Crop = "face",
    progress: bool = True,
) -> Bundle:
    """Fit temperature and threshold on half A of the validation part and store both in the bundle.

    Args:
        model: a classifier's bundle, its folder or its name; its ``config.json`` and card are written anew, without
            the figures that were measured with other settings.
        dataset: name in ``READERS``.
        root: folder of the dataset.
        data: the protocol, for another than the dataset's usual one.
        runtime: what computes the logits.
        worth: how often an answer must be right to be given; see :func:`mien.metrics.calibration.fit_min_score`.
        crop: as in :func:`evaluate`.
        progress: whether to show a bar.

    Raises:
        BundleError: if the bundle is no classifier.
    """
    bundle = model if isinstance(model, Bundle) else find_bundle(model)
    if bundle.labels is None or bundle.task.get("name") != "classify":
        raise BundleError(f"A temperature is fitted for a classifier; {bundle.name!r} does {bundle.task.get('name')!r}")
    samples = read_dataset(dataset, root)
    views, _ = views_of(samples, data or DataConfig(reader=dataset), "valid_a", bundle.labels)
    half = views[0]
    session = open_session(bundle, runtime)
    answers = answers_of(bundle, session, half.samples, dataset=dataset, crop=crop, progress=progress)
    logits = answers.outputs["logits"]
    temperature = fit_temperature(half.truth, logits)
    min_score = fit_min_score(half.truth, softmax(logits, temperature), worth)
    return revise_bundle(
        bundle,
        task={**bundle.task, "temperature": temperature, "min_score": min_score},
        figures={},
        provenance={
            **bundle.provenance,
            "calibrated_on": f"{READERS[dataset].title}, {PARTS[half.part]}, {half.rule} rule: {len(half.truth)} faces",
        },
    )


def paper_table(bundle: Bundle, dataset: str, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the paper prints for its model, or for the row that the recipe repeats, beside what was measured here."""
    rows = []
    for printed in resolve(REFERENCE)(bundle.model, dataset, str(bundle.provenance["recipe"])):
        own = _measured(report, printed["metric"])
        difference = None if own is None else own - printed["value"]
        rows.append({**printed, "measured": own, "difference": difference})
    return rows


def _measured(report: Mapping[str, Any], metric: str) -> float | None:
    """The figure of a name such as ``accuracy`` or, of one class, ``recall_neutral``; ``None`` if there is none."""
    figure = report["metrics"].get(metric)
    if figure is None:
        name, _, label = metric.partition("_")
        figure = report.get("per_class", {}).get(label, {}).get(name, {})
    value: float | None = figure.get("value")
    return value


def _figures(bundle: Bundle, views: Sequence[View], answers: Answers, how: Resampling) -> dict[str, Any]:
    task, first = task_from_json(bundle.task, bundle.labels), views[0]
    chosen, grouped = answers.of(first.samples), replace(how, groups=first.groups)
    if bundle.labels is None:
        points = task.decode(chosen.outputs)
        return {**landmark_figures(chosen.landmarks, points, grouped), "alignment": chosen.alignment_counts()}
    lines = []
    for view in views:
        index = task.decode(answers.of(view.samples).outputs).index
        figures = headline(view.truth, index, len(bundle.labels), replace(how, groups=view.groups))
        lines.append({"part": PARTS[view.part], "rule": view.rule, "faces": len(view.truth), **figures})
    figures = classification_figures(first.truth, task.decode(chosen.outputs), grouped)
    return {**figures, "alignment": chosen.alignment_counts(), "parts": lines}


def _rows(bundle: Bundle, labels: LabelSet, view: View, answers: Answers) -> Iterator[Row]:
    found = task_from_json(bundle.task, bundle.labels).decode(answers.of(view.samples).outputs)
    columns = (view.samples, view.groups, view.truth, found.index, found.probabilities)
    for sample, group, truth, index, chances in zip(*columns, strict=True):
        yield Row(
            key=sample.key,
            group=group,
            truth=labels.names[truth],
            label=labels.names[index],
            probabilities=tuple(chances.tolist()),
        )


def _parts(splits: Splits, split: str) -> dict[str, tuple[Labelled, ...]]:
    """The headline first."""
    if split != "valid":
        named = {"train": splits.train, "valid_a": splits.select, "valid_b": splits.report, "test": splits.test}
        return {split: named[split]}
    if not splits.halved:
        return {"valid": splits.valid}
    return {"valid_b": splits.report, "valid_a": splits.select, "valid": splits.valid}


def _view(
    part: str, rule: Rule, items: Sequence[Labelled], own: LabelSet, labels: LabelSet | None
) -> tuple[View, dict[str, int]]:
    into = range(len(own)) if labels is None else own.indices_in(labels)
    kept = [(item.sample, into[item.index]) for item in items if into[item.index] is not None]
    lost = Counter(own.names[item.index] for item in items if into[item.index] is None)
    truth = np.array([index for _, index in kept], dtype=np.int64)
    view = View(part=part, rule=rule, samples=tuple(sample for sample, _ in kept), truth=truth)
    return view, {f"{name} is not a class of the model": count for name, count in lost.items()}


def _of_part(dropped: Mapping[str, int], split: str) -> dict[str, int]:
    part = split.partition("_")[0]
    return {reason: count for reason, count in dropped.items() if reason.startswith(f"{part}:")}


def _all_samples(views: Sequence[View]) -> list[Sample]:
    return list({sample.key: sample for view in views for sample in view.samples}.values())


def _rule(view: View, bundle: Bundle) -> str:
    if bundle.labels is None:
        return "any"
    return view.rule if _has_votes(view.samples) else "label"


def _has_votes(samples: Sequence[Sample]) -> bool:
    return any(sample.targets.votes is not None for sample in samples)
