import numpy as np
import pytest

from mien.data.splits import half_of
from mien.engine import calibrate as module
from mien.engine.calibrate import fit_temperature_and_threshold
from mien.metrics.calibration import fit_temperature
from mien.runtime.bundle import Bundle, read_bundle, revise_bundle
from mien.runtime.session import open_session
from mien.schema.errors import BundleError
from mien.schema.labels import FERPLUS
from mien.schema.sample import File, Sample


@pytest.fixture(autouse=True)
def dataset(monkeypatch: pytest.MonkeyPatch, colours: list[Sample]) -> None:
    """FERPlus, as far as the readers tell, is the dataset of plain colours."""
    monkeypatch.setattr(module, "read_dataset", lambda name, root: colours)


def majority(sample: Sample) -> int | None:
    """The class that these faces list first, if it has more votes than the other."""
    assert sample.targets.votes is not None
    (name, most), (_, second) = sample.targets.votes
    return FERPLUS.index(name) if most > second else None


def test_temperature_and_threshold_come_from_half_a_and_stay_in_the_bundle(
    bundle: Bundle, colours: list[Sample]
) -> None:
    revised = fit_temperature_and_threshold(bundle, "ferplus", progress=False)
    half = [s for s in colours if half_of(s.key) == "a" and majority(s) is not None]
    codes = np.array([int(s.source.path.stem) for s in half if isinstance(s.source, File)])
    spec = bundle.inputs["image"]
    images = np.stack([np.broadcast_to(_pixel(code)[:, None, None], (3, 8, 8)) for code in codes]).astype(np.float32)
    assert spec.size_px == 8
    logits = open_session(bundle)(image=images)["logits"]
    wanted = fit_temperature([majority(s) for s in half], logits)
    assert revised.task["temperature"] == pytest.approx(wanted, rel=0.02)
    assert 0 <= revised.task["min_score"] <= 1
    assert f"half A, majority rule: {len(half)} faces" in revised.provenance["calibrated_on"]
    assert read_bundle(bundle.path) == revised
    again = fit_temperature_and_threshold(revised, "ferplus", progress=False)
    assert again.task == revised.task


def _pixel(code: int) -> np.ndarray:
    colour = np.floor(127.5 + 100 * np.array([((code >> bit) & 1) * 2 - 1 for bit in range(3)]))
    normalised: np.ndarray = (colour / 255 - 0.5) / 0.5
    return normalised


def test_only_classifiers_are_calibrated(bundle: Bundle) -> None:
    pointing = revise_bundle(bundle, task={"name": "landmarks"})
    with pytest.raises(BundleError, match="'colours' does 'landmarks'"):
        fit_temperature_and_threshold(pointing, "ferplus", progress=False)
