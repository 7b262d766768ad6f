from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.engine.measure import answer
from mien.media.crop import crop_matrix, cut, eye_centres, transform_points
from mien.media.tensors import image_tensor
from mien.runtime.bundle import Bundle
from mien.runtime.session import open_session
from mien.schema.inputs import ImageSpec
from mien.schema.sample import File, Sample, Targets


class Recorder:
    """A session that keeps what it is fed."""

    inputs, outputs = ("image",), ("logits",)

    def __init__(self) -> None:
        self.fed: list[NDArray[Any]] = []

    def __call__(self, **arrays: NDArray[Any]) -> dict[str, NDArray[Any]]:
        self.fed.append(arrays["image"])
        return {"logits": arrays["image"].mean((2, 3))}


@pytest.fixture
def faces(tmp_path: Path) -> list[Sample]:
    rng = np.random.default_rng(0)
    samples = []
    for number in range(5):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), rng.integers(0, 256, (40, 44, 3)).astype(np.uint8))
        points = tuple((float(x), float(y)) for x, y in 5 + 30 * rng.random((68, 2)))
        samples.append(Sample(key=f"k{number}", source=File(path), split="valid", targets=Targets(landmarks=points)))
    return samples


SPEC = ImageSpec(size_px=24, colour="grey", source_px=16)


def test_every_face_is_fed_once_as_it_is_cut_in_prediction(faces: list[Sample]) -> None:
    session = Recorder()
    found = answer(session, SPEC, faces, dataset="measured", batch_size=2, progress=False)
    fed = np.concatenate(session.fed)
    assert [len(batch) for batch in session.fed] == [2, 2, 1]
    for row, sample in enumerate(faces):
        assert isinstance(sample.source, File)
        image = np.asarray(cv2.imread(str(sample.source.path)), np.uint8)[..., ::-1]
        points = np.array(sample.targets.landmarks)
        matrix = crop_matrix(eye_centres(points), SPEC.crop, SPEC.crop_px)
        assert np.allclose(fed[row], image_tensor(cut(image, matrix, SPEC.crop_px), SPEC), atol=1e-5)
        known = (transform_points(points, matrix) + 0.5) / 16
        assert np.allclose(found.landmarks[row], known.ravel(), atol=1e-5)
    assert np.allclose(found.outputs["logits"], fed.mean((2, 3)))
    assert found.alignment_counts() == {"given": 5}


def test_answers_of_some_samples_come_in_their_order(faces: list[Sample]) -> None:
    found = answer(Recorder(), SPEC, faces, dataset="measured", progress=False)
    some = found.of([faces[3], faces[1]])
    assert np.array_equal(some.outputs["logits"], found.outputs["logits"][[3, 1]])
    assert some.rows == {"k3": 0, "k1": 1}
    assert some.alignment == ("given", "given")


def test_the_size_of_the_batch_does_not_matter(bundle: Bundle, colours: list[Sample]) -> None:
    session = open_session(bundle)
    spec = bundle.inputs["image"]
    small, large = (
        answer(session, spec, colours[:20], dataset="colours", batch_size=size, progress=False) for size in (3, 64)
    )
    assert np.allclose(small.outputs["logits"], large.outputs["logits"], atol=1e-6)


def test_whole_pictures_need_no_faces(paint: Callable[..., Sample]) -> None:
    found = answer(Recorder(), SPEC, [paint("a", 7, {"anger": 3.0})], dataset="measured", crop="whole", progress=False)
    assert found.alignment == ("none",)
    assert np.isnan(found.landmarks).all()
    assert found.outputs["logits"].shape == (1, 3)
