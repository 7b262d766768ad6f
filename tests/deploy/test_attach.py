from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.deploy.attach import attach_encoders
from mien.runtime.bundle import Bundle, read_bundle, revise_bundle, write_bundle
from mien.schema.errors import BundleError
from mien.schema.inputs import FeatureSpec

Make = Callable[..., Bundle]


@pytest.fixture
def make(tmp_path: Path, tiny_encoders: dict[str, Path]) -> Make:
    """A bundle that is fed the features of both tiny encoders; its graph is never run."""

    def make(**widths: int) -> Bundle:
        encoder = read_bundle(tiny_encoders["face"])
        bundle = Bundle(
            path=tmp_path / "reads_features",
            name="reads_features",
            model="linear",
            model_config={},
            inputs={name: FeatureSpec(width=width) for name, width in widths.items()},
            labels=encoder.labels,
            task={"name": "classify", "temperature": 1.0, "min_score": 0.0},
            provenance=encoder.provenance,
            licences=encoder.licences,
        )
        return write_bundle(bundle, {"weight": np.ones(3, np.float16)}, b"graph")

    return make


def test_encoders_are_carried_along(make: Make, tiny_encoders: dict[str, Path]) -> None:
    bundle = make(face_features=12, sound_features=16)
    assert "encoders" not in (bundle.path / "config.json").read_text()
    attached = attach_encoders(
        bundle, {"face_features": tiny_encoders["face"], "sound_features": tiny_encoders["sound"]}
    )
    face = read_bundle(tiny_encoders["face"])
    assert attached == read_bundle(bundle.path)
    assert attached.encoders["face_features"] == {
        "name": "tiny_face",
        "weights": face.files["model.safetensors"]["sha256"],
    }
    inside = read_bundle(attached.encoder_path("face_features"))
    assert (inside.name, inside.files) == (face.name, face.files)
    card = (bundle.path / "README.md").read_text()
    assert f"| encoder of face_features | tiny_face `{face.hash12}` |" in card
    renamed = revise_bundle(attached, name="renamed")
    assert renamed.encoders == attached.encoders


def test_one_after_the_other_and_anew(make: Make, tiny_encoders: dict[str, Path]) -> None:
    bundle = attach_encoders(make(face_features=12, sound_features=16), {"face_features": tiny_encoders["face"]})
    bundle = attach_encoders(bundle, {"sound_features": tiny_encoders["sound"]})
    bundle = attach_encoders(bundle, {"sound_features": tiny_encoders["sound"]})
    assert sorted(bundle.encoders) == ["face_features", "sound_features"]
    assert sorted(path.name for path in (bundle.path / "encoders").iterdir()) == ["face_features", "sound_features"]
    written = write_bundle(bundle, {"weight": np.ones(3, np.float16)}, b"graph")
    assert not written.encoders, "weights that are written anew begin without encoders"


def test_an_encoder_that_was_exchanged_is_noticed(make: Make, tiny_encoders: dict[str, Path]) -> None:
    bundle = attach_encoders(make(face_features=12), {"face_features": tiny_encoders["face"]})
    revise_bundle(read_bundle(bundle.encoder_path("face_features")), name="another")
    with pytest.raises(BundleError, match=r"is the encoder another@\w{12}, not the one .*: tiny_face@"):
        read_bundle(bundle.path)
    weights = bundle.encoder_path("face_features") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(BundleError, match="is not the file that was written"):
        read_bundle(bundle.path)


def test_what_does_not_belong_is_refused(make: Make, tiny_encoders: dict[str, Path]) -> None:
    bundle = make(face_features=1536)
    with pytest.raises(BundleError, match="tiny_face makes 12 numbers a step, and reads_features takes 1536"):
        attach_encoders(bundle, {"face_features": tiny_encoders["face"]})
    with pytest.raises(BundleError, match="has no features 'voice'; it is fed these: face_features"):
        attach_encoders(bundle, {"voice": tiny_encoders["sound"]})
    assert read_bundle(bundle.path) == bundle
    path = bundle.path / "config.json"
    text = path.read_text().rstrip().removesuffix("}").rstrip()
    path.write_text(text + ', "encoders": {"../x": {"name": "a", "weights": "b"}}}')
    with pytest.raises(BundleError, match=r"an encoder of '../x', which is no input"):
        read_bundle(bundle.path)
