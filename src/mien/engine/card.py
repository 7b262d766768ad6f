"""From reports to the card of a bundle: what was measured becomes its ``figures`` and is drawn into ``README.md``."""

from collections.abc import Mapping, Sequence
from typing import Any

from mien.engine.report import RULES, counted, number, span
from mien.engine.report_robustness import caption, summary
from mien.metrics import title
from mien.runtime.bundle import Bundle, revise_bundle
from mien.schema.errors import BundleError

Report = Mapping[str, Any]

SCORES = ("accuracy", "mean_class_accuracy")


def write_card(
    bundle: Bundle,
    report: Report,
    *,
    end_to_end: Report | None = None,
    notes: Sequence[str] = (),
    pictures: Mapping[str, str] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Bundle:
    """Store what was measured in a bundle and draw its card anew. Evaluating alone never does that.

    Args:
        bundle: as it was measured.
        report: of :func:`mien.engine.evaluate.evaluate`.
        end_to_end: of :func:`mien.engine.end_to_end.end_to_end`.
        notes: sentences for the end of the card, such as what was seen by eye.
        pictures: caption by name of a file in the bundle's folder.
        provenance: more about how the weights came to be; added to what the bundle says already.

    Raises:
        BundleError: if a report is of other weights or another task, or a picture is not there.
    """
    _check(bundle, report, end_to_end)
    missing = [name for name in pictures or {} if not (bundle.path / name).is_file()]
    if missing:
        raise BundleError(f"{bundle.path} has no picture {', '.join(missing)}; put it there before the card names it.")
    figures = {
        "data": _data(report),
        "metrics": report["metrics"],
        "per_class": {
            name: {"count": one["count"], "recall": one["recall"]} for name, one in report.get("per_class", {}).items()
        },
        "tables": [*_reactions(report), *_parts(report), *_end_to_end(end_to_end), *_robustness(report)],
        "notes": [*_abstaining(report), *notes],
        "pictures": dict(pictures or {}),
    }
    return revise_bundle(bundle, figures=figures, provenance={**bundle.provenance, **(provenance or {})})


def _check(bundle: Bundle, report: Report, end_to_end: Report | None) -> None:
    measured = [f"{report['bundle']['name']}@{report['bundle']['hash']}"]
    measured += [end_to_end["model"]] if end_to_end else []
    own = f"{bundle.name}@{bundle.hash12}"
    others = [name for name in measured if name != own]
    if others:
        raise BundleError(f"The card of {own} cannot carry figures of {', '.join(others)}; measure it again.")
    if report["bundle"]["task"] != dict(bundle.task):
        raise BundleError(
            f"{own} was measured with the settings {report['bundle']['task']}, it has {dict(bundle.task)} now; "
            "measure it again."
        )


def _data(report: Report) -> str:
    dataset, runtime = report["dataset"], report["runtime"]
    measured = (
        f"{runtime['name']} {runtime['precision']}, {report['date']}, commit "
        f"{report['surroundings']['commit'] or 'unknown'}; {report['intervals']['resamples']} bootstrap resamples, "
        f"seed {report['intervals']['seed']}"
    )
    if "per_reaction" in report:
        fed = "; ".join(f"{name} of {_encoder(one)}" for name, one in runtime["features"].items())
        return f"{dataset['title']}, {dataset['part']}: {report['clips']} clips, {fed}; {measured}"
    told = "".join(f", {name} of {_encoder(one)}" for name, one in runtime.get("features", {}).items())
    rule = f" ({RULES[dataset['rule']]})" if "per_class" in report else ""
    return (
        f"{dataset['title']}, {dataset['part']}{rule}: {report['faces']} {counted(report)}, aligned by "
        f"{', '.join(f'{name} {count}' for name, count in report['alignment'].items())}{told}; {measured}"
    )


def _encoder(features: Mapping[str, Any]) -> str:
    return str(features.get("encoder", f"the set {features['from']}"))


def _reactions(report: Report) -> list[dict[str, Any]]:
    if "per_reaction" not in report:
        return []
    names = ("pearson", "ccc", "mae")
    rows = [
        [name.replace("_", " "), *(f"{number(one[figure]['value'])} ({span(one[figure])})" for figure in names)]
        for name, one in report["per_reaction"].items()
    ]
    return [{"title": "Every reaction", "head": ["reaction", *map(title, names)], "rows": rows}]


def _parts(report: Report) -> list[dict[str, Any]]:
    if "per_reaction" in report:
        return _reaction_parts(report)
    names = ("accuracy", "mean_class_accuracy", "macro_f1")
    rows = [
        [
            line["part"],
            RULES[line["rule"] if report["dataset"]["rule"] != "label" else "label"],
            line["faces"],
            *(f"{number(line[name]['value'])} ({span(line[name])})" for name in names),
        ]
        for line in report.get("parts", ())
    ]
    head = ["part", "labels", counted(report), *map(title, names)]
    return [{"title": "Every part and label rule", "head": head, "rows": rows}] if rows else []


def _reaction_parts(report: Report) -> list[dict[str, Any]]:
    names = ("pearson", "ccc", "mae")
    rows = [
        [line["part"], line["clips"], *(f"{number(line[name]['value'])} ({span(line[name])})" for name in names)]
        for line in report["parts"]
    ]
    head = ["part", "clips", *(f"mean {title(name)}" for name in names)]
    return [{"title": "Every part", "head": head, "rows": rows}] if len(rows) > 1 else []


def _end_to_end(report: Report | None) -> list[dict[str, Any]]:
    if report is None:
        return []
    rows = [
        [
            f"{line['size_px']} px",
            f"{100 * line['found']:.1f} %",
            f"{number(line['accuracy']['value'])} ({span(line['accuracy'])})",
            number(line["mean_class_accuracy"]["value"]),
        ]
        for line in report["sizes"]
    ]
    crops = report["crops"]
    mean = number(crops["mean_class_accuracy"]["value"])
    rows.append(["prepared crops", "", f"{number(crops['accuracy']['value'])} ({span(crops['accuracy'])})", mean])
    caption = (
        f"End to end: {report['faces']} faces in scenes of 640 x 480 pixels, found first; a missed face is an error"
    )
    return [{"title": caption, "head": ["side of the face picture", "found", *map(title, SCORES)], "rows": rows}]


def _robustness(report: Report) -> list[dict[str, Any]]:
    if "robustness" not in report:
        return []
    head, rows = summary(report)
    return [{"title": f"Against disturbances: {caption(report)}", "head": head, "rows": rows}]


def _abstaining(report: Report) -> list[str]:
    if "abstaining" not in report:
        return []
    found = report["abstaining"]
    parts = [f"With its threshold the model gives {_share(found['coverage'])} of these {counted(report)} a label"]
    parts.append(f"of those {_share(found['accuracy_of_answered'])} are right")
    if found["accuracy_of_held_back"] is not None:
        parts.append(f"of those held back {_share(found['accuracy_of_held_back'])} would have been")
    return [f"{', '.join(parts)}. The figures above count all of them."]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
