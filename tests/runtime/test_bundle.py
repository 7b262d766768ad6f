import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.runtime import bundle as bundle_module
from mien.runtime.bundle import (
    Bundle,
    find_bundle,
    list_bundles,
    read_bundle,
    revise_bundle,
    verify_bundle,
)
from mien.runtime.cache import cache_dir
from mien.schema.errors import BundleError
from mien.schema.inputs import CROPS, ClipSpec, CropSpec, ImageSpec, LandmarkSpec, PictureSpec

Make = Callable[..., Bundle]


def alter(bundle: Bundle, **changes: Any) -> None:
    path = bundle.path / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))


def test_what_is_written_is_read_back(make_bundle: Make, graph: bytes) -> None:
    written = make_bundle(figures={"metrics": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}})
    read = read_bundle(written.path)
    assert read == written
    assert read.inputs == {"image": ImageSpec(size_px=8, colour="grey", source_px=4)}
    assert read.model_config == {"width": 8, "depths": (1, 2)}
    assert read.labels is not None
    assert read.labels.names == ("neutral", "happiness", "anger")
    assert read.graph_path.read_bytes() == graph
    assert read.weights()["weight"].dtype == np.float16
    assert read.hash12 == hashlib.sha256(read.weights_path.read_bytes()).hexdigest()[:12]
    assert {path.name for path in read.path.iterdir()} == {
        "config.json",
        "model.onnx",
        "model.safetensors",
        "README.md",
    }


def test_a_bundle_without_labels(make_bundle: Make) -> None:
    assert make_bundle(labels=None, task={"name": "landmarks"}).labels is None


def test_a_run_folder_stands_for_its_bundle(make_bundle: Make, tmp_path: Path) -> None:
    written = make_bundle(path=tmp_path / "run" / "bundle")
    assert read_bundle(tmp_path / "run").path == written.path


@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx"])
def test_altered_and_missing_files_are_refused(make_bundle: Make, name: str) -> None:
    written = make_bundle()
    path = written.path / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} is not the file that was written"):
        read_bundle(written.path)
    path.unlink()
    with pytest.raises(BundleError, match=f"incomplete: {name}"):
        verify_bundle(written)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "version 2; this mien reads version 1. Update"),
        ({"schema_version": ...}, "version None"),
        ({"optimizer": "adam"}, r"unknown \['optimizer'\]"),
        ({"task": ...}, r"missing \['task'\]"),
        ({"inputs": {"image": {"kind": "hologram"}}}, "hologram"),
        ({"labels": {"id": "x"}}, "cannot be understood"),
        ({"labels": {"id": "x", "names": ["a", "a"]}}, "distinct names"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(make_bundle: Make, changes: dict[str, Any], message: str) -> None:
    written = make_bundle()
    alter(written, **changes)
    with pytest.raises(BundleError, match=message):
        read_bundle(written.path)


def test_inputs_altered_by_hand_are_refused(make_bundle: Make) -> None:
    written = make_bundle()
    inputs = json.loads((written.path / "config.json").read_text())["inputs"]
    inputs["image"]["source_px"] = 5
    alter(written, inputs=inputs)
    with pytest.raises(BundleError, match="altered after training"):
        read_bundle(written.path)


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"not a bundle: it has no config\.json"):
        read_bundle(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        read_bundle(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(BundleError, match="version None"):
        read_bundle(tmp_path)


def test_licences_and_provenance_must_be_stated(make_bundle: Make, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"licences: code, weights, training_data; missing: weights, training_data"):
        make_bundle(licences={"code": "MIT", "weights": ""})
    with pytest.raises(BundleError, match="missing: commit"):
        make_bundle(provenance={"recipe": "r", "seed": 0, "data_fingerprint": "f"})
    assert not (tmp_path / "small").exists()


def test_an_older_bundle_is_replaced_whole(make_bundle: Make) -> None:
    first = make_bundle()
    (first.path / "stale.txt").write_text("left over")
    second = make_bundle(name="second")
    assert read_bundle(first.path) == second
    assert not (first.path / "stale.txt").exists()
    assert [path.name for path in first.path.parent.iterdir()] == ["small"]


def test_a_write_that_fails_leaves_the_old_bundle(make_bundle: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_bundle()

    def full(folder: Path, bundle: Bundle) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle_module, "_write_texts", full)
    with pytest.raises(BundleError, match="No space left"):
        make_bundle(name="second")
    monkeypatch.undo()
    assert read_bundle(first.path) == first
    assert [path.name for path in first.path.parent.iterdir()] == ["small"]


def test_settings_and_figures_can_be_revised(make_bundle: Make) -> None:
    written = make_bundle()
    task = {"name": "classify", "temperature": 2.0, "min_score": 0.3}
    revised = revise_bundle(written, task=task, figures={"notes": ["Looked at by eye."]})
    assert revised == replace(written, task=task, figures={"notes": ["Looked at by eye."]})
    assert read_bundle(written.path) == revised
    assert "Looked at by eye." in (written.path / "README.md").read_text()
    assert revise_bundle(revised, name="renamed") == replace(revised, name="renamed")
    assert (written.path / "README.md").read_text().startswith("# renamed\n")


def test_a_graph_in_floating_point_computes_as_it_is_asked_to(make_bundle: Make) -> None:
    bundle = make_bundle()
    assert [bundle.computes_in("openvino", precision) for precision in ("fp32", "bf16")] == ["fp32", "bf16"]


def test_bundles_are_found_by_folder_and_by_name(
    make_bundle: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    written = make_bundle()
    assert find_bundle(written.path) == find_bundle(str(written.path)) == written
    named = make_bundle(path=cache_dir() / "bundles" / "my_model")
    assert find_bundle("my_model") == named
    assert list_bundles()["my_model"] == named.path
    with pytest.raises(BundleError, match="Did you mean: my_model"):
        find_bundle("my_modl")
    with pytest.raises(BundleError, match="There is no folder"):
        find_bundle(tmp_path / "nowhere" / "deep")


def test_other_inputs_are_refused_and_named(make_bundle: Make) -> None:
    written = make_bundle()
    written.check_inputs(written.inputs)
    other = {"image": replace(written.inputs["image"], source_px=None, crop=CropSpec(eye_distance_ratio=0.4))}
    with pytest.raises(BundleError, match=r"image\.crop\.eye_distance_ratio: 0\.34 .* 0\.4 given; image\.source_px"):
        written.check_inputs(other)


def test_weights_that_are_trained_on_may_see_faces_cut_otherwise_and_nothing_else(make_bundle: Make) -> None:
    written = make_bundle()
    otherwise = replace(written.inputs["image"], source_px=None, crop=CROPS["face_v2"])
    written.check_inputs({"image": otherwise}, cut_otherwise=True)
    other = {"image": replace(otherwise, colour="rgb")}
    with pytest.raises(BundleError, match=r"than it is given\. image\.colour: 'grey' in the bundle, 'rgb' given"):
        written.check_inputs(other, cut_otherwise=True)


def test_a_model_of_single_faces_says_what_it_sees(make_bundle: Make) -> None:
    written = make_bundle()
    assert written.image_spec() == written.inputs["image"]
    clips = replace(written, inputs={"clip": ClipSpec(), "landmarks": LandmarkSpec()})
    with pytest.raises(BundleError, match="is fed clip, landmarks; this needs a model of single face images"):
        clips.image_spec()


def test_a_model_of_whole_pictures_says_what_it_sees(make_bundle: Make) -> None:
    written = make_bundle(inputs={"image": PictureSpec(size_px=64)}, task={"name": "detect"})
    assert written.picture_spec() == PictureSpec(size_px=64)
    assert read_bundle(written.path).inputs == {"image": PictureSpec(size_px=64)}
    assert "RGB, whole pictures, letterbox to 64 x 64 pixels" in (written.path / "README.md").read_text()
    assert "Finds the faces of a whole picture" in (written.path / "README.md").read_text()
    with pytest.raises(BundleError, match="is fed whole pictures; this needs a model of single face images"):
        written.image_spec()
    with pytest.raises(BundleError, match="is fed image; this needs a model of whole pictures"):
        make_bundle().picture_spec()
