"""Measure a bundle on a dataset: the faces are cut, fed and decoded as in prediction; torch is not needed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mien.data.readers import READERS, read_dataset
from mien.data.splits import DataConfig, data_fingerprint
from mien.engine.ensemble import answers_frames, answers_of, as_one, averaged, members_of
from mien.engine.evaluate_reactions import measure_reactions
from mien.engine.measure import Answers, Crop
from mien.engine.measure_detections import measure_bundle
from mien.engine.report import Row, drawing_is_possible, write_answers, write_report
from mien.engine.report_detections import write_picture_report
from mien.engine.report_reactions import write_reaction_report
from mien.engine.report_robustness import paragraphs, write_robustness
from mien.engine.robustness import refuse_if_not_disturbed, robustness_figures
from mien.engine.score import Resampling, classification_figures, headline, landmark_figures, video_figures
from mien.engine.score_detections import picture_figures
from mien.engine.surroundings import surroundings
from mien.engine.telling import Teller, tellers_of
from mien.engine.views import PARTS, SPLITS, View, has_votes, views_of
from mien.runtime.bundle import Bundle
from mien.runtime.session import Precision, open_session
from mien.schema.errors import ConfigError
from mien.schema.inputs import counted_as
from mien.schema.labels import LabelSet
from mien.schema.sample import Sample
from mien.schema.tables import resolve
from mien.tasks import task_from_json

REPORT_VERSION = 1
REFERENCE = "mien.recipes.reference:reported"


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
    others: Sequence[Bundle | str | Path] = (),
    features: Mapping[str, str] | None = None,
    robustness: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Measure a bundle, or the mean of what several answer, on one part of a dataset.

    The validation part is halved by a hash of the sample's key. Half A chose the epoch and the thresholds, so
    ``valid`` reports half B and lists half A and the whole beside it.

    Args:
        model: a bundle, its folder or its name.
        dataset: name in ``READERS``.
        root: folder of the dataset; ``None`` takes ``$MIEN_DATA/<folder>``.
        split: one of ``SPLITS``.
        out: folder for ``report.json``, ``report.md``, ``answers.csv``, ``confusion.png`` and ``reliability.png``; of
            whole pictures the files that :func:`mien.engine.report_detections.write_picture_report` names, of reactions
            those of :func:`mien.engine.report_reactions.write_reaction_report`; of disturbances also those of
            :func:`mien.engine.report_robustness.write_robustness`.
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
        seed: of the bootstrap, and of the disturbances.
        others: further models of the same task and labels, whose probabilities or strengths are averaged with those of
            the first.
        features: of a model that reads features, their folder, or their set in the dataset, by name of the input; of
            one that is told of a face at moments their folder. ``None`` takes those of the training.
        robustness: also disturb the faces, in every kind and severity of
            :data:`mien.data.disturbances.kinds.KINDS`; takes as long as sixty evaluations.
        progress: whether to show a bar.

    Returns:
        The report as plain data: ``metrics.<name>.value|low|high`` and all else that ``report.json`` says.

    Raises:
        ConfigError: if the split or the runtime does not exist, answers cannot be smoothed, faces cannot be disturbed,
            or it is not known where features are.
        DatasetError: if the part holds no sample of the model's classes, or features cannot be used.
        BundleError: if a bundle is damaged or cannot be run, several cannot be averaged, or features are of another
            encoder than those of the training.
    """
    if split not in SPLITS:
        raise ConfigError(f"There is no split {split!r}; allowed: {', '.join(SPLITS)}")
    if out is not None:
        drawing_is_possible()
    members = members_of(model, others)
    bundle, is_regress = as_one(members), members[0].task.get("name") == "regress"
    if smooth != 1 and not all(map(answers_frames, members)):
        raise ConfigError(
            f"smooth={smooth} is for models that answer for moments or frames; {bundle.name!r} is none, leave it out"
        )
    if robustness:
        refuse_if_not_disturbed(bundle, pictures=pictures)
    tellers = [] if is_regress else tellers_of(members, features)
    samples = read_dataset(dataset, root)
    given = _Given(
        members=members,
        samples=samples,
        config=data or DataConfig(reader=dataset, halve_valid=bool(members[0].provenance.get("halve_valid", True))),
        split=split,
        how=Resampling(resamples=resamples, seed=seed),
        running={"runtime": runtime, "device": device, "precision": precision, "progress": progress},
    )
    settings: dict[str, Any] = {"dataset": dataset, "crop": crop, "batch_size": batch_size, "progress": progress}
    if answers_frames(bundle):
        settings["smooth"] = smooth
    if is_regress:
        found = _of_reactions(given, features, batch_size)
    elif pictures or bundle.task.get("name") == "detect":
        found = _of_pictures(given)
    else:
        found = _of_samples(given, tellers, settings, robustness=robustness)
    computed = ", ".join(dict.fromkeys(member.computes_in(runtime, precision) for member in members))
    report = {
        "schema_version": REPORT_VERSION,
        "bundle": {"name": bundle.name, "model": bundle.model, "hash": bundle.hash12, "task": dict(bundle.task)},
        "dataset": {
            "name": dataset,
            "title": READERS[dataset].title,
            "fingerprint": data_fingerprint(samples),
            "split": split,
            "part": PARTS[found.part],
            "rule": found.rule,
            "dropped": found.dropped,
        },
        "runtime": {"name": runtime, "device": device, "precision": computed, **found.described},
        "intervals": {"method": "percentile bootstrap", "confidence": 0.95, "resamples": resamples, "seed": seed},
        "date": datetime.now(UTC).date().isoformat(),
        "surroundings": surroundings(),
        "provenance": dict(bundle.provenance),
        "licences": dict(bundle.licences),
        **found.figures,
    }
    report["paper"] = paper_table(bundle, dataset, report)
    if out is not None:
        found.write(report, out)
    return report


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What is measured on what, and how."""

    members: tuple[Bundle, ...]
    samples: Sequence[Sample]
    config: DataConfig
    split: str
    how: Resampling
    running: Mapping[str, Any]

    @property
    def bundle(self) -> Bundle:
        return as_one(self.members)

    def views(self) -> tuple[list[View], dict[str, int]]:
        return views_of(self.samples, self.config, self.split, self.bundle.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What a report says that is not the same for all kinds of models, and what writes its files."""

    part: str
    rule: str
    dropped: dict[str, int]
    figures: dict[str, Any]
    described: dict[str, Any]
    write: Callable[[Mapping[str, Any], Path], None]


def _of_reactions(given: _Given, features: Mapping[str, str] | None, batch_size: int) -> _Found:
    one = measure_reactions(
        given.members,
        given.samples,
        given.config,
        given.split,
        given.how,
        features=features,
        batch_size=batch_size,
        **given.running,
    )
    return _Found(
        part=one.part,
        rule="strengths",
        dropped=one.dropped,
        figures=one.figures,
        described={"features": one.features},
        write=lambda report, out: write_reaction_report(report, one.rows, out),
    )


def _of_pictures(given: _Given) -> _Found:
    (first, *_), dropped = given.views()
    name, rest = given.running["runtime"], {key: one for key, one in given.running.items() if key != "runtime"}
    if len(given.members) > 1:
        raise ConfigError("What several models find in whole pictures is not averaged; measure them one by one")
    columns = measure_bundle(given.bundle, first.samples, first.truth, among=given.samples, name=name, **rest)
    return _Found(
        part=first.part,
        rule=_rule(first, given.bundle),
        dropped=dropped,
        figures=picture_figures(columns, given.how),
        described={"pictures": columns.settings},
        write=lambda report, out: write_picture_report(report, columns, out),
    )


def _of_samples(given: _Given, tellers: Sequence[Teller], settings: Mapping[str, Any], *, robustness: bool) -> _Found:
    """Faces, clips, moments or frames, each answered once; faces also disturbed, if asked for."""
    views, dropped = given.views()
    bundle, first = given.bundle, views[0]
    answers = _answers(given.members, tellers, _all_samples(views), given.running, settings)
    told = {name: one for teller in tellers for name, one in teller.features.items()}
    figures = _figures(bundle, views, answers, given.how)
    if robustness:
        figures["robustness"] = _robustness(given, first, answers, settings)

    def write(report: Mapping[str, Any], out: Path) -> None:
        write_report(report, out, paragraphs(report) if robustness else ())
        if robustness:
            write_robustness(report, out)
        if bundle.labels is not None:
            write_answers(_rows(bundle, bundle.labels, first, answers), bundle.labels.names, out)

    return _Found(
        part=first.part,
        rule=_rule(first, bundle),
        dropped=dropped,
        figures=figures,
        described={
            **{name: settings[name] for name in ("crop", "smooth") if name in settings},
            **({"features": told} if told else {}),
        },
        write=write,
    )


def _robustness(given: _Given, view: View, answers: Answers, settings: Mapping[str, Any]) -> dict[str, Any]:
    task = task_from_json(given.bundle.task, given.bundle.labels)
    return robustness_figures(
        given.members,
        view.samples,
        view.truth,
        task.decode(answers.of(view.samples).outputs).index,
        replace(given.how, groups=view.groups),
        running=given.running,
        settings=settings,
    )


def _answers(
    members: Sequence[Bundle],
    tellers: Sequence[Teller],
    samples: Sequence[Sample],
    running: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Answers:
    """What the members answer, on average; one after the other, so that one network is in memory."""

    def of(member: Bundle, teller: Teller) -> Answers:
        session = open_session(member, running["runtime"], running["device"], precision=running["precision"])
        return answers_of(member, session, teller(samples), **settings, **teller.how)

    return averaged(members, map(of, members, tellers))


def paper_table(bundle: Bundle, dataset: str, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the paper prints for its model, or for the row that the recipe repeats, beside what was measured here."""
    rows = []
    for printed in resolve(REFERENCE)(bundle.model, dataset, str(bundle.provenance["recipe"])):
        own = _measured(report, printed["metric"])
        difference = None if own is None else own - printed["value"]
        rows.append({**printed, "measured": own, "difference": difference})
    return rows


def _measured(report: Mapping[str, Any], metric: str) -> float | None:
    """The figure of a name such as ``accuracy`` or, of one class or reaction, ``recall_neutral``; ``None`` if not."""
    figure = report["metrics"].get(metric)
    if figure is None:
        name, _, label = metric.partition("_")
        each = report.get("per_class") or report.get("per_reaction", {})
        figure = each.get(label, {}).get(name, {})
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
    found = task.decode(chosen.outputs)
    figures = classification_figures(first.truth, found, grouped)
    if all(sample.frame is not None for sample in first.samples):
        videos = [sample.key.partition("#")[0] for sample in first.samples]
        figures["videos"] = video_figures(videos, first.truth, found.index, len(bundle.labels))
    counted = counted_as(bundle.inputs, str(bundle.task["name"]))
    return {**figures, "counted": counted, "alignment": chosen.alignment_counts(), "parts": lines}


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


def _all_samples(views: Sequence[View]) -> list[Sample]:
    return list({sample.key: sample for view in views for sample in view.samples}.values())


def _rule(view: View, bundle: Bundle) -> str:
    if bundle.labels is None:
        return "any"
    return view.rule if has_votes(view.samples) else "label"
