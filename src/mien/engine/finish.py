"""The end of a run: calibrate the best epoch and export it as a bundle."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mien.data.readers import READERS
from mien.engine.run import Run
from mien.runtime.bundle import find_bundle
from mien.schema.labels import LabelSet
from mien.schema.tables import resolve
from mien.tasks import task_from_json

EXPORT = "mien.deploy.export:export_bundle"
CODE_LICENCE = WEIGHTS_LICENCE = "Apache-2.0"


def calibrated(run: Run, labels: LabelSet, outputs: Mapping[str, NDArray[Any]], label: NDArray[np.int64]) -> Any:
    """The task of a classifier with the temperature that suits its logits on the selection part best."""
    from mien.metrics.calibration import fit_temperature

    temperature = fit_temperature(label, outputs["logits"])
    return task_from_json({"name": run.task, "temperature": float(temperature)}, labels)


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
    data, what = record["data"], "clips" if "clip" in run.model.inputs() else "faces"
    bundle = resolve(EXPORT)(
        network,
        name=run.name,
        model=run.architecture,
        model_config=asdict(run.model),
        inputs=run.model.inputs(),
        labels=labels if run.task == "classify" else None,
        task=task.to_json(),
        out=out / "bundle",
        provenance={
            "recipe": run.name,
            "seed": run.seed,
            "commit": record["commit"] or "unknown",
            "data_fingerprint": data["fingerprint"],
            "data": f"{reader.title}: {data['train']} {what} trained on, {data['select']} selected by",
            "crop": run.crop,
            **({"started_from": _name_and_hash(run.init)} if run.init else {}),
            "epochs": record["epochs"],
            "best_epoch": record["best_epoch"],
            "minutes": record["minutes"],
            "images_per_s": record["images_per_s"],
        },
        samples=samples,
        licences={"code": CODE_LICENCE, "weights": WEIGHTS_LICENCE, "training_data": reader.licence},
    )
    return Path(bundle.path)
