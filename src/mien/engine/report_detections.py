"""A report about whole pictures as files: tables, curves, and the detections in the format of COCO."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.data.coco_writer import coco_of, results_of, write_json
from mien.engine.measure_detections import PictureColumns
from mien.engine.report import GRID, INK, Report, figure_of, number, span, table, write_report

CURVES = "precision_recall.png"


def write_picture_report(report: Report, columns: PictureColumns, out: Path) -> None:
    """Write ``report.json``, ``report.md``, the curves, and for other tools ``annotations.json``, ``detections.json``.

    Raises:
        ConfigError: if the folder cannot be written.
        MissingExtraError: if matplotlib is not installed.
    """
    write_report(report, out, sections(report))
    draw_curves(report, out / CURVES)
    shapes = [one.shape for one in columns.seen]
    write_json(out / "annotations.json", coco_of(columns.pictures, columns.labels, shapes))
    write_json(out / "detections.json", results_of(columns.found()))


def sections(report: Report) -> list[str]:
    """What a report about whole pictures says beside its figures, as Markdown."""
    return [*_classes(report), *_lines(report)]


def comparison(reports: Sequence[Report]) -> str:
    """Several models on the same pictures in one table, as Markdown.

    Args:
        reports: of :func:`mien.engine.evaluate.evaluate` about whole pictures.
    """
    rows = [
        (report["bundle"]["name"], *_line(line), f"{report['detection']['pictures_per_s']:.1f}")
        for report in reports
        for line in report["detection"]["lines"]
    ]
    return table(("model", *_HEAD, "pictures a second"), rows)


def draw_curves(report: Report, path: Path) -> None:
    """Precision against recall of every class, and of faces whatever they express, at IoU 0.5, as a PNG."""
    from matplotlib import colormaps

    figure, axes = figure_of(6.4, 5.2)
    curves, per_class = report["detection"]["curves"], report["per_class"]
    for row, (name, curve) in enumerate(curves.items()):
        is_faces = name not in per_class
        ap = report["metrics"]["face_ap50"] if is_faces else per_class[name]["ap50"]
        colour = INK if is_faces else colormaps["tab10"](row % 10)
        axes.plot(
            [0, *curve["recall"]],
            [curve["precision"][0], *curve["precision"]],
            color=colour,
            linewidth=2.0 if is_faces else 1.2,
            linestyle="--" if is_faces else "-",
            drawstyle="steps-pre",
            label=f"{name} {number(ap['value'])}",
        )
    axes.set(xlim=(0, 1.01), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    metrics = report["metrics"]
    axes.set_title(
        f"{report['bundle']['name']}, {report['dataset']['title']}, {report['dataset']['part']}\n"
        f"mAP50 {number(metrics['map50']['value'])}",
        color=INK,
        fontsize=10,
    )
    axes.grid(color=GRID, linewidth=0.6)
    axes.legend(frameon=False, loc="lower left", fontsize=8)
    figure.savefig(path, dpi=120)


def _classes(report: Report) -> list[str]:
    rows = [
        (
            name,
            one["count"],
            *(_with_span(one[figure]) for figure in ("ap50", "ap", "ap50_voc")),
            f"{number(one['recall']['value'])} ({span(one['recall'])})" if one["count"] else "–",
        )
        for name, one in report["per_class"].items()
    ]
    head = ("class", "faces", "AP50", "AP50-95", "AP50, whole area", "found and read rightly")
    absent = [name for name, one in report["per_class"].items() if not one["count"]]
    notes = [f"Without a face, so not in the means: {', '.join(absent)}."] if absent else []
    unknown = report["detection"]["faces_of_unknown_expression"]
    if unknown:
        notes.append(
            f"{unknown} more faces in these pictures have no label here: they are faces to be found, and a class that "
            "is given to them is neither right nor wrong."
        )
    return ["## Classes", table(head, rows), *notes, f"![Precision against recall]({CURVES})"]


_HEAD = (
    *("least overlap", "boxes", "mAP", "AP of faces", "accuracy end to end", "accuracy of the faces found", "found"),
    "boxes on no face",
)
_FIGURES = ("map", "face_ap", "end_to_end_accuracy", "accuracy_of_found", "found", "surplus")


def _line(line: Mapping[str, Any]) -> tuple[str, ...]:
    return f"{line['iou']:g}", line["boxes"], *(_with_span(line[name]) for name in _FIGURES)


def _lines(report: Report) -> list[str]:
    settings, found = report["runtime"]["pictures"], report["detection"]
    threshold = "" if settings["min_score"] is None else f", boxes from a score of {settings['min_score']:g} on"
    (x, y), (wide, tall) = found["manner"]["middle"], found["manner"]["sides"]
    return [
        "## What a user gets",
        f"{report['pictures']} pictures, {found['pictures_per_s']:.1f} a second. The faces are found by "
        f"{settings['finder']}; those of at least {settings['min_face_px']} pixels are read{threshold}. A face that is "
        "not found or not read is an error; it counts as found from the least overlap (intersection over union) on. "
        "Intervals are over pictures.",
        table(_HEAD, (_line(line) for line in found["lines"])),
        "Boxes are drawn in different manners, from the brows or from the hairline on. Brought to the marks, their "
        f"middles are moved by {x:+.2f} of their width and {y:+.2f} of their height and their sides multiplied by "
        f"{wide:.2f} and {tall:.2f}: medians, learnt on every second picture for the others.",
    ]


def _with_span(figure: Mapping[str, Any]) -> str:
    return f"{number(figure['value'])} ({span(figure)})" if span(figure) else number(figure["value"])
