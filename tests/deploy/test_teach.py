"""Teachers: several bundles' probabilities for all faces of a split, upright and mirrored, from the shell too."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.data import synthetic
from mien.data.prepare import prepare
from mien.data.splits import data_fingerprint
from mien.data.teacher import read_teacher
from mien.deploy import teach as module
from mien.deploy.teach import Mirrored, main, teach
from mien.engine.measure import answer
from mien.media.crop import cut, face_matrix
from mien.media.image import read_source
from mien.media.tensors import image_tensor
from mien.metrics.calibration import softmax
from mien.runtime.bundle import Bundle, read_bundle, revise_bundle, write_bundle
from mien.runtime.session import open_session
from mien.schema.errors import BundleError, DatasetError
from mien.schema.labels import FERPLUS
from mien.schema.sample import Sample


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """21 drawn faces, 14 of them of the split that is answered for."""
    faces = [
        replace(sample, split="train" if number < 14 else "valid")
        for number, sample in enumerate(synthetic.samples(21, seed=3))
    ]
    monkeypatch.setattr(module, "read_dataset", lambda name, root: faces)
    return faces


@pytest.fixture
def two(tiny_bundle: Path, tmp_path: Path) -> list[Bundle]:
    """The tiny bundle and another one of other weights and another temperature."""
    first = read_bundle(tiny_bundle)
    weights = {name: (2 * array).astype(np.float16) for name, array in first.weights().items()}
    second = write_bundle(replace(first, path=tmp_path / "second", name="second"), weights, _scaled(first))
    return [first, revise_bundle(second, task={**second.task, "temperature": 2.5})]


def _scaled(bundle: Bundle) -> bytes:
    """The graph with twice the weights."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(bundle.graph_path)
    (weight,) = model.graph.initializer
    weight.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(weight), weight.name))
    content: bytes = model.SerializeToString()
    return content


def logits(bundle: Bundle, samples: list[Sample], *, mirrored: bool = False) -> np.ndarray:
    """By hand: prepared face, cut, tensor, session."""
    session, spec = open_session(bundle), bundle.image_spec()
    prepared = prepare(samples, name="by_hand", progress=False)
    tensors = []
    for sample in samples:
        image = read_source(sample.source)
        tensors.append(image_tensor(cut(image, face_matrix(prepared.face(sample.key), image.shape, spec), 112), spec))
    given = np.stack(tensors)
    return session(image=np.ascontiguousarray(given[..., ::-1]) if mirrored else given)["logits"]


def test_the_mean_of_the_models_at_their_own_temperatures(
    drawn: list[Sample], two: list[Bundle], tmp_path: Path
) -> None:
    out = tmp_path / "teacher.npz"
    told = teach(two, "synthetic", out=out, progress=False)
    found = read_teacher(out)
    assert found.fingerprint == told.fingerprint
    assert found.keys == tuple(sample.key for sample in drawn[:14])
    assert found.head.labels == FERPLUS.names
    assert found.head.fingerprint == data_fingerprint(drawn)
    assert (found.head.dataset, found.head.split, found.head.crop) == ("synthetic", "train", "face")
    digests = [bundle.files["model.safetensors"]["sha256"] for bundle in two]
    assert found.head.bundles == (f"tiny@{digests[0]}", f"second@{digests[1]}")
    for mirrored, table in ((False, found.probabilities), (True, found.mirrored)):
        each = [
            softmax(logits(bundle, drawn[:14], mirrored=mirrored), temperature)
            for bundle, temperature in zip(two, (1.0, 2.5), strict=True)
        ]
        np.testing.assert_allclose(table, np.mean(each, axis=0), atol=1e-5)
    assert not np.allclose(found.probabilities, found.mirrored, atol=1e-3)


def test_one_model_has_its_own_temperature(drawn: list[Sample], two: list[Bundle], tmp_path: Path) -> None:
    found = teach(two[1:], "synthetic", out=tmp_path / "one.npz", split="valid", mirror=False, progress=False)
    assert found.mirrored is None
    np.testing.assert_allclose(found.probabilities, softmax(logits(two[1], drawn[14:]), 2.5), atol=1e-5)
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)


def test_a_face_and_its_mirror_image_may_have_one_answer(
    drawn: list[Sample], two: list[Bundle], tmp_path: Path
) -> None:
    how = {"split": "valid", "progress": False}
    apart = teach(two, "synthetic", out=tmp_path / "apart.npz", **how)
    assert apart.mirrored is not None
    teach(two, "synthetic", out=tmp_path / "one.npz", symmetric=True, **how)
    found = read_teacher(tmp_path / "one.npz")
    assert (found.mirrored, found.head.symmetric, apart.head.symmetric) == (None, True, False)
    np.testing.assert_allclose(found.probabilities, (apart.probabilities + apart.mirrored) / 2, atol=1e-6)


def test_a_mirrored_session_sees_mirrored_pictures(drawn: list[Sample], two: list[Bundle]) -> None:
    session = open_session(two[0])
    mirrored = Mirrored(session)
    assert (mirrored.inputs, mirrored.outputs) == (session.inputs, session.outputs)
    image = np.random.default_rng(0).random((2, 3, 112, 112)).astype(np.float32)
    wanted = session(image=np.ascontiguousarray(image[..., ::-1]))["logits"]
    assert np.array_equal(mirrored(image=image)["logits"], wanted)
    twice = answer(Mirrored(mirrored), two[0].image_spec(), drawn[:3], dataset="twice", progress=False)
    once = answer(session, two[0].image_spec(), drawn[:3], dataset="twice", progress=False)
    assert np.array_equal(twice.outputs["logits"], once.outputs["logits"])


def test_models_that_name_no_classes_of_faces_are_refused(
    drawn: list[Sample], tiny_bundle: Path, tiny_detector: Path, make_reaction: Any, tmp_path: Path
) -> None:
    out = tmp_path / "teacher.npz"
    for other in (tiny_detector, make_reaction("v", attach=False)):
        with pytest.raises(BundleError, match="single face images"):
            teach([other], "synthetic", out=out, progress=False)
    with pytest.raises(BundleError, match="names classes; landmarks does 'landmarks'"):
        teach(["landmarks"], "synthetic", out=out, progress=False)
    with pytest.raises(BundleError, match="one task and the same labels"):
        teach([tiny_bundle, "landmarks"], "synthetic", out=out, progress=False)
    with pytest.raises(DatasetError, match="has no split 'test'; it has: train, valid"):
        teach([tiny_bundle], "synthetic", out=out, split="test", progress=False)
    assert not out.exists()


def test_the_shell_form(
    drawn: list[Sample], two: list[Bundle], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "teacher.npz"
    folders = [str(bundle.path) for bundle in two]
    with pytest.raises(SystemExit) as stopped:
        main([*folders, "--dataset", "synthetic", "--split", "train", "--out", str(out), "--no-mirror"])
    assert stopped.value.code == 0
    assert "14 faces, 2 models" in capsys.readouterr().err
    assert read_teacher(out).mirrored is None
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "nowhere"), "--dataset", "synthetic", "--out", str(out)])
    assert stopped.value.code == 2
    assert "BundleError" in capsys.readouterr().err
