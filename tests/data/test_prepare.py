import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.data import prepare as module
from mien.data.prepare import Prepared, prepare
from mien.faces import FaceReader
from mien.media.crop import cut, face_matrix
from mien.media.image import read_image, write_image
from mien.schema.errors import DatasetError, MediaError
from mien.schema.inputs import ImageSpec
from mien.schema.sample import File, Rendered, Sample, Targets

POINTS = tuple((float(i % 9) * 3, float(i // 9) * 4) for i in range(68))


@pytest.fixture
def face48(portrait: Path) -> np.ndarray:
    """A face that fills a picture of 48 pixels."""
    return cv2.resize(read_image(portrait)[125:341, 160:376], (48, 48), interpolation=cv2.INTER_AREA)


@pytest.fixture
def samples(tmp_path: Path, face48: np.ndarray) -> list[Sample]:
    """Three faces, the last one a mirror image, and a picture of nothing."""
    pictures = [face48, face48[:, :, :1].repeat(3, axis=2), face48[:, ::-1], np.full((48, 48, 3), 90, np.uint8)]
    for number, picture in enumerate(pictures):
        write_image(tmp_path / f"{number}.png", picture)
    return [Sample(key=f"s{i}", source=File(tmp_path / f"{i}.png"), split="train") for i in range(4)]


@pytest.fixture
def run(tmp_path: Path):
    """``prepare`` with a cache of its own."""

    def run(samples: list[Sample]) -> Prepared:
        return prepare(samples, name="tiny", cache=tmp_path / "cache", progress=False)

    return run


def test_faces_are_found_and_counted(run, samples: list[Sample]) -> None:
    found = run(samples)
    assert found.counts() == {"mesh": 3, "none": 1}
    assert found.found_now == 4
    face, mirrored, nothing = found.face("s0"), found.face("s2"), found.face("s3")
    assert face.eyes is not None
    assert mirrored.eyes is not None
    assert mirrored.eyes[::-1] * [-1, 1] + [47, 0] == pytest.approx(face.eyes, abs=1.0)
    assert face.landmarks is not None
    assert face.landmarks.dtype == np.float32
    assert nothing.eyes is None
    assert nothing.box == (0, 0, 48, 48)
    with pytest.raises(DatasetError, match="'s9' was not prepared"):
        found.face("s9")


def test_what_is_known_is_not_searched_again(run, samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(samples)
    monkeypatch.setattr(module, "SingleFaceReader", None)
    again = run(samples[::-1])
    assert again.found_now == 0
    for key, face in first.faces.items():
        kept = again.face(key)
        assert (kept.box, kept.score, kept.alignment, kept.presence) == (
            face.box,
            face.score,
            face.alignment,
            face.presence,
        )
        assert (kept.eyes is None) == (face.eyes is None)
        if face.landmarks is not None and face.eyes is not None:
            assert (kept.landmarks == face.landmarks).all()
            assert (kept.eyes == face.eyes).all()
    relabelled = [replace(s, split="test", targets=Targets(label="fear")) for s in samples]
    assert run(relabelled).found_now == 0


def test_only_what_is_new_or_changed_is_searched(run, samples: list[Sample], tmp_path: Path) -> None:
    run(samples[:2])
    assert run(samples).found_now == 2
    write_image(tmp_path / "1.png", np.zeros((60, 50, 3), np.uint8))
    assert run(samples).found_now == 1
    assert run(samples).face("s1").alignment == "none"
    boxed = [*samples[:3], replace(samples[3], box=(1.0, 2.0, 30.0, 31.0))]
    assert run(boxed).found_now == 1
    assert run(boxed).face("s3").box == (1, 2, 30, 31)


def test_a_stopped_run_goes_on(run, samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD_SIZE", 1)
    monkeypatch.setattr(module, "_BATCH_SIZE", 1)
    find = module._find
    done: list[int] = []

    def stops(*arguments):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return find(*arguments)

    monkeypatch.setattr(module, "_find", stops)
    with pytest.raises(KeyboardInterrupt):
        run(samples)
    monkeypatch.setattr(module, "_find", find)
    assert run(samples).found_now == 2


def test_a_damaged_shard_counts_as_absent(run, samples: list[Sample], tmp_path: Path) -> None:
    run(samples)
    (shard,) = (tmp_path / "cache").rglob("*.npz")
    for content in (b"", b"damaged", shard.read_bytes()[:-200]):
        shard.write_bytes(content)
        assert run(samples).found_now == 4


def test_pixel_hashes_find_duplicates(run, samples: list[Sample], tmp_path: Path, face48: np.ndarray) -> None:
    write_image(tmp_path / "copy.bmp", face48)
    copy = Sample(key="copy", source=File(tmp_path / "copy.bmp"), split="valid")
    hashes = run([*samples, copy]).pixel_hashes
    assert hashes["copy"] == hashes["s0"]
    assert len(set(hashes.values())) == 4
    grey = read_image(tmp_path / "1.png")[..., 0]
    assert hashes["s1"] == hashlib.md5(grey.tobytes(), usedforsecurity=False).hexdigest()


def test_annotated_landmarks_are_taken(run, samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    annotated = replace(samples[0], targets=Targets(landmarks=POINTS))
    face = run([annotated, samples[1]]).face("s0")
    assert face.alignment == "given"
    assert face.landmarks == pytest.approx(np.array(POINTS))
    assert face.eyes == pytest.approx(np.array([POINTS[36:42], POINTS[42:48]]).mean(axis=1))
    drawn = Sample(key="d", source=Rendered("nowhere:nothing", 0, 0), split="train", targets=annotated.targets)
    assert run([drawn]).face("d").alignment == "given"
    assert run([drawn]).pixel_hashes == {}
    with pytest.raises(DatasetError, match="68 landmarks"):
        run([replace(drawn, targets=Targets(landmarks=POINTS[:5]))])
    with pytest.raises(DatasetError, match="not those of a face"):
        run([replace(drawn, targets=Targets(landmarks=((1.0, 1.0),) * 68))])


def test_a_missing_picture_is_named(run, samples: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "2.png").unlink()
    with pytest.raises(MediaError, match=r"2\.png"):
        run(samples)


def test_progress_and_counts_are_shown(samples: list[Sample], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    prepare(samples, name="tiny", cache=tmp_path / "cache")
    assert "4 faces (4 searched now): 3 by mesh, 1 by none" in " ".join(capsys.readouterr().err.split())


def test_training_and_prediction_cut_the_same_face(run, samples: list[Sample], face48: np.ndarray) -> None:
    """The crop of a 48-pixel picture, and of the same picture found in a larger scene."""
    spec = ImageSpec(size_px=48, colour="grey")
    scene = np.full((400, 600, 3), 140, np.uint8)
    scene[90:282, 250:442] = cv2.resize(face48, (192, 192), interpolation=cv2.INTER_CUBIC)
    (found,) = FaceReader().find_faces(scene)
    known = run(samples).face("s0")
    crops = [
        cut(image, face_matrix(face, image.shape, spec), 48)[8:40, 8:40].astype(float).ravel()
        for image, face in ((face48, known), (scene, found))
    ]
    assert np.corrcoef(crops)[0, 1] > 0.97


def test_an_empty_dataset(run) -> None:
    assert run([]).faces == {}


def test_ferplus(mien_data: Path, tmp_path: Path) -> None:
    from mien.data.readers import read_dataset

    samples = [s for s in read_dataset("ferplus", mien_data / "fer2013") if s.split == "valid"][::60]
    found = prepare(samples, name="ferplus", cache=tmp_path, progress=False)
    assert found.counts()["mesh"] >= 0.95 * len(samples)
    assert all(found.pixel_hashes[s.key] == s.pixel_hash for s in samples)
