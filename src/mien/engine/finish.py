"""The end of a run: calibrate the best epoch and export it as a bundle."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mien.data.readers import READERS
from mien.engine.run import Run
from mien.metrics.calibration import softmax
from mien.runtime.bundle import find_bundle
from mien.schema.inputs import counted_as
from mien.schema.labels import LabelSet
from mien.schema.tables import resolve
from mien.tasks import task_from_json
from mien.tasks.detect import Detect, corners
from mien.tasks.fuse import Proportion, find_proportion

EXPORT = "mien.deploy.export:export_bundle"
CODE_LICENCE = "Apache-2.0"
WEIGHTS_LICENCE = {True: "Apache-2.0", False: "as the training data: research, not commercial"}
"""By whether weights that learn from a dataset may be used commercially."""


def calibrated(run: Run, labels: LabelSet, outputs: Mapping[str, NDArray[Any]], label: NDArray[np.int64]) -> Any:
    """The task of a classifier with the temperature that suits its logits on the selection part best."""
    from mien.metrics.calibration import fit_temperature

    temperature = fit_temperature(label, outputs["logits"])
    return task_from_json({"name": run.task, "temperature": float(temperature)}, labels)


def with_threshold(task: Detect, outputs: Mapping[str, NDArray[Any]], targets: Mapping[str, NDArray[Any]]) -> Detect:
    """A detector's task with the score from which on a query is a face: that of the best F1 on the selection part.

    Every query counts once, whatever class it names; a face counts as found where the overlap is at least 0.5.
    """
    from mien.metrics.detection import match

    hits: list[NDArray[np.bool_]] = []
    scores: list[NDArray[np.float32]] = []
    real = targets["box_labels"] >= 0
    for own, found, is_face in zip(
        corners(targets["boxes"]), replace(task, min_score=0.0).faces(outputs), real, strict=True
    ):
        hits.append(np.isin(np.arange(len(found)), match(own[is_face], corners(found.boxes), found.scores)))
        scores.append(found.scores)
    joined, correct = np.concatenate(scores), np.concatenate(hits)
    order = np.argsort(-joined, kind="stable")
    f1 = 2 * np.cumsum(correct[order]) / (np.arange(1, len(order) + 1) + int(real.sum()))
    return replace(task, min_score=round(float(joined[order[f1.argmax()]]), 4))


def with_proportion(
    run: Run, outputs: Mapping[str, NDArray[Any]], targets: Mapping[str, NDArray[Any]]
) -> tuple[Run, Proportion]:
    """The run with the proportion of voice and face of the best macro F1, and what was found.

    Args:
        run: whose model adds probabilities in proportion.
        outputs: ``voice_logits`` and ``face_logits`` of the selection part.
        targets: its ``label``, ``has_sound`` and ``has_face``.
    """
    found = find_proportion(
        targets["label"],
        softmax(outputs["voice_logits"]),
        softmax(outputs["face_logits"]),
        has_sound=targets["has_sound"] > 0,
        has_face=targets["has_face"] > 0,
    )
    return replace(run, model=replace(run.model, weights=found.weights)), found


def _what(run: Run) -> str:
    if run.task in ("detect", "classify_frames"):
        return "pictures" if run.task == "detect" else "videos"
    return "clips" if run.task == "regress" else counted_as(run.model.inputs())


def _name_and_hash(bundle: str) -> str:
    found = find_bundle(bundle)
    return f"{found.name} {found.hash12}"


def export(
    run: Run,
    network: nn.Module,
    labels: LabelSet,
    task: Any,
    record: Mapping[str, Any],
    samples: Mapping[str, NDArray[np.float32]],
    out: Path,
) -> Path:
    """Write ``out/bundle`` from the network of the best epoch.

    Args:
        run: what was trained.
        network: in evaluation mode, on the CPU.
        labels: the classes.
        task: with its temperature.
        record: what ``run.json`` says, and how the run went.
        samples: some inputs by name, on which the exported graph is compared with the network.
        out: folder of the run.
    """
    reader = READERS[run.data.reader]
    data, what = record["data"], _what(run)
    bundle = resolve(EXPORT)(
        network,
        name=run.name,
        model=run.architecture,
        model_config=asdict(run.model),
        inputs=run.model.inputs(),
        labels=None if run.task == "landmarks" else labels,
        task=task.to_json(),
        out=out / "bundle",
        provenance={
            "recipe": run.name,
            "seed": run.seed,
            "commit": record["commit"] or "unknown",
            "data_fingerprint": data["fingerprint"],
            "data": f"{reader.title}: {data['train']} {what} trained on, {data['select']} selected by",
            **({} if run.data.halve_valid or run.task != "regress" else {"halve_valid": False}),
            **({"features": data["features"]} if data.get("features") else {"crop": run.crop}),
            **({"started_from": " and ".join(map(_name_and_hash, (run.init, *run.blend)))} if run.init else {}),
            **({"taught_by": data["teacher"]["bundles"]} if data.get("teacher") else {}),
            "epochs": record["epochs"],
            "best_epoch": record["best_epoch"],
            "minutes": record["minutes"],
            "images_per_s": record["images_per_s"],
        },
        samples=samples,
        licences={"code": CODE_LICENCE, "weights": WEIGHTS_LICENCE[reader.commercial], "training_data": reader.licence},
    )
    return Path(bundle.path)
