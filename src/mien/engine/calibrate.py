"""Temperature and threshold of a classifier, fitted on half A of the validation part and stored in its bundle."""

from pathlib import Path

from mien.data.readers import READERS, read_dataset
from mien.data.splits import DataConfig
from mien.engine.ensemble import answers_of
from mien.engine.measure import Crop
from mien.engine.telling import Teller
from mien.engine.views import PARTS, views_of
from mien.metrics.calibration import fit_min_score, fit_temperature, softmax
from mien.runtime.bundle import Bundle, find_bundle, revise_bundle
from mien.runtime.session import open_session
from mien.schema.errors import BundleError
from mien.schema.inputs import counted_as
from mien.tasks import CLASSIFIERS


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
    if bundle.labels is None or bundle.task.get("name") not in CLASSIFIERS:
        raise BundleError(f"A temperature is fitted for a classifier; {bundle.name!r} does {bundle.task.get('name')!r}")
    samples = read_dataset(dataset, root)
    views, _ = views_of(samples, data or DataConfig(reader=dataset), "valid_a", bundle.labels)
    half = views[0]
    session = open_session(bundle, runtime)
    teller = Teller(bundle, None)
    settings = {"dataset": dataset, "crop": crop, "progress": progress, **teller.how}
    answers = answers_of(bundle, session, teller(half.samples), **settings)
    logits = answers.outputs["logits"]
    temperature = fit_temperature(half.truth, logits)
    min_score = fit_min_score(half.truth, softmax(logits, temperature), worth)
    return revise_bundle(
        bundle,
        task={**bundle.task, "temperature": temperature, "min_score": min_score},
        figures={},
        provenance={
            **bundle.provenance,
            "calibrated_on": f"{READERS[dataset].title}, {PARTS[half.part]}, {half.rule} rule: {len(half.truth)} "
            + counted_as(bundle.inputs, str(bundle.task["name"])),
        },
    )
