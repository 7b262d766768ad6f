"""What a user gets: faces in larger pictures, found, cut and read by the whole pipeline; a missed face is an error."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.readers import READERS, read_dataset
from mien.data.splits import DataConfig
from mien.engine.measure import answer
from mien.engine.report import number, span, table
from mien.engine.scenes import place
from mien.engine.score import FROM_CONFUSION, Resampling
from mien.engine.views import PARTS, View, views_of
from mien.media.image import read_source
from mien.predict.answer import Answer
from mien.predict.pipeline import Predictor, load
from mien.predict.sources import Picture
from mien.schema.errors import ConfigError
from mien.schema.prediction import Prediction
from mien.schema.sample import Box, Sample

SIZES_PX = (32, 48, 64, 96, 112, 160, 224)
MISSED = -1
SCORES = {name: FROM_CONFUSION[name] for name in ("accuracy", "mean_class_accuracy")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the pipeline said about one placed face.

    Attributes:
        status: of the face's row, or ``no_face`` if none was found where it lies.
        index: most probable class, also where the model abstains; ``MISSED`` if there is no answer.
        others: faces that were found elsewhere in the scene.
    """

    status: str
    index: int
    others: int


def end_to_end(
    model: Predictor | str | Path,
    dataset: str,
    *,
    root: Path | None = None,
    split: str = "valid",
    sizes_px: Sequence[int] = SIZES_PX,
    limit: int | None = None,
    data: DataConfig | None = None,
    out: Path | None = None,
    resamples: int = 1000,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Measure a model on faces that have to be found first.

    Args:
        model: a predictor, or the name or folder of a bundle.
        dataset: name in ``READERS``.
        root: folder of the dataset; ``None`` takes ``$MIEN_DATA/<folder>``.
        split: as in :func:`mien.engine.evaluate.evaluate`; ``valid`` is its half B.
        sizes_px: sides of the placed face pictures.
        limit: at most this many faces, chosen by the hash of their keys.
        data: the protocol, for another than the dataset's usual one.
        out: folder for ``end_to_end.json`` and ``end_to_end.md``.
        resamples: of the bootstrap intervals.
        seed: of the scenes and of the bootstrap.
        progress: whether to show a bar.

    Returns:
        ``crops``: the score on the prepared crops of the same faces; ``sizes``: for each size ``found`` (a box where
        the face lies), ``read`` (an answer), ``false_faces`` in a scene, and the metrics with intervals.
    """
    predictor = model if isinstance(model, Predictor) else load(model)
    if predictor.finder is None:
        raise ConfigError("Measuring end to end needs a predictor that searches for faces; its finder is None.")
    samples = read_dataset(dataset, root)
    views, _ = views_of(samples, data or DataConfig(reader=dataset), split, predictor.labels)
    view = _limited(views[0], limit)
    how = Resampling(groups=view.groups, resamples=resamples, seed=seed)
    on_crops = answer(predictor.session, predictor.spec, view.samples, dataset=dataset, progress=progress)
    classes = len(predictor.labels)
    report = {
        "model": predictor.model,
        "dataset": {"name": dataset, "title": READERS[dataset].title, "part": PARTS[view.part], "rule": view.rule},
        "faces": len(view.truth),
        "min_face_px": predictor.min_face_px,
        "seed": seed,
        "crops": _scores(view.truth, predictor.task.decode(on_crops.outputs).index, classes, how),
        "sizes": [
            {"size_px": size, **_figures(view.truth, readings, classes, how)}
            for size, readings in _all_readings(predictor, view.samples, sizes_px, seed, progress)
        ],
    }
    if out is not None:
        _write(report, out)
    return report


def read_scenes(predictor: Predictor, samples: Sequence[Sample], size_px: int, seed: int = 0) -> Iterator[Reading]:
    """Place each face, once, and let the pipeline read the scene; in the order of the samples."""
    boxes: dict[str, Box] = {}

    def scenes() -> Iterator[Picture]:
        for sample in samples:
            scene, boxes[sample.key] = place(read_source(sample.source), size_px, _rng(sample.key, size_px, seed))
            yield Picture(name=sample.key, content=scene)

    for found in predictor.stream(scenes()):
        yield _reading(found, boxes.pop(found.source.name))


def markdown(report: Mapping[str, Any]) -> str:
    """The table of sizes, to read."""
    crops = report["crops"]
    rows = [
        (
            f"{line['size_px']} px",
            f"{100 * line['found']:.1f} %",
            f"{number(line['accuracy']['value'])} ({span(line['accuracy'])})",
            f"{100 * (line['accuracy']['value'] - crops['accuracy']['value']):+.1f}",
            number(line["mean_class_accuracy"]["value"]),
            f"{line['false_faces']:.3f}",
        )
        for line in report["sizes"]
    ]
    accuracy, mean = crops["accuracy"], crops["mean_class_accuracy"]
    rows.append(
        ("prepared crops", "", f"{number(accuracy['value'])} ({span(accuracy)})", "", number(mean["value"]), "")
    )
    head = ("face", "found", "accuracy (WAR)", "points from crops", "mean class accuracy (UAR)", "false faces a scene")
    dataset = report["dataset"]
    return (
        f"# {report['model']}, end to end\n\n{report['faces']} faces of {dataset['title']}, {dataset['part']}, each "
        f"placed in a scene of 640 x 480 pixels; a face that is not found, or found smaller than "
        f"{report['min_face_px']} pixels, is an error. Seed {report['seed']}.\n\n{table(head, rows)}\n"
    )


def _all_readings(
    predictor: Predictor, samples: Sequence[Sample], sizes_px: Sequence[int], seed: int, progress: bool
) -> Iterator[tuple[int, list[Reading]]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not progress) as bar:
        task = bar.add_task("Reading scenes", total=len(samples) * len(sizes_px))
        for size in sizes_px:
            readings = []
            for reading in read_scenes(predictor, samples, size, seed):
                readings.append(reading)
                bar.advance(task)
            yield size, readings


def _figures(truth: NDArray[np.int64], readings: Sequence[Reading], classes: int, how: Resampling) -> dict[str, Any]:
    index = np.array([reading.index for reading in readings], np.int64)
    statuses = [reading.status for reading in readings]
    return {
        "found": 1 - statuses.count("no_face") / len(statuses),
        "read": float((index != MISSED).mean()),
        "uncertain": statuses.count("uncertain") / len(statuses),
        "false_faces": sum(reading.others for reading in readings) / len(readings),
        **_scores(truth, index, classes, how),
    }


def _scores(truth: NDArray[np.int64], index: NDArray[np.int64], classes: int, how: Resampling) -> dict[str, Any]:
    """A missed face is answered with a class beyond the last, which no face has, so it is wrong."""
    given = np.where(index == MISSED, classes, index)
    found = how.of_confusion(SCORES, truth, given, classes + 1)
    return {name: value.to_json() for name, value in found.items()}


def _reading(found: Answer, box: Box) -> Reading:
    faces = [row for row in found.predictions if row.face is not None]
    here = max(faces, key=lambda row: _overlap(row, box), default=None)
    if here is None or not _lies_in(here, box):
        return Reading(status="no_face", index=MISSED, others=len(faces))
    index = int(np.argmax(here.probabilities)) if here.probabilities is not None else MISSED
    return Reading(status=here.status, index=index, others=len(faces) - 1)


def _lies_in(row: Prediction, box: Box) -> bool:
    """Whether the middle of the found face lies in the placed picture, and their sizes are alike."""
    assert row.face is not None
    x1, y1, x2, y2 = row.face.box
    inside = box[0] <= (x1 + x2) / 2 <= box[2] and box[1] <= (y1 + y2) / 2 <= box[3]
    return inside and _overlap(row, box) >= 0.2


def _overlap(row: Prediction, box: Box) -> float:
    """Intersection over union of the found and the placed square."""
    assert row.face is not None
    first, second = np.array(row.face.box), np.array(box)
    shared = np.prod(np.clip(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]), 0, None))
    areas = np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2])
    return float(shared / (areas - shared)) if areas > shared else 0.0


def _limited(view: View, limit: int | None) -> View:
    if limit is None or limit >= len(view.samples):
        return view
    order = sorted(range(len(view.samples)), key=lambda row: hashlib.sha256(view.samples[row].key.encode()).digest())
    kept = sorted(order[:limit])
    samples = tuple(view.samples[row] for row in kept)
    return View(part=view.part, rule=view.rule, samples=samples, truth=view.truth[kept])


def _rng(key: str, size_px: int, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed} {size_px} {key}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _write(report: Mapping[str, Any], out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "end_to_end.json").write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        (out / "end_to_end.md").write_text(markdown(report), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"The report cannot be written to {out}: {error}") from error
