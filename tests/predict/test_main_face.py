import numpy as np

from mien.faces.track import TrackedFace
from mien.media.video import Frame
from mien.predict.main_face import largest, main_faces
from mien.predict.watch import Seen


def face(face_id: int, side: float) -> TrackedFace:
    return TrackedFace(box=(0.0, 0.0, side, side), score=1.0, face_id=face_id)


def seen(number: int, *faces: TrackedFace) -> Seen:
    image = np.zeros((4, 4, 3), np.uint8)
    frame = Frame(number=number, time_s=10 + number / 10, image=image)
    return Seen(frame=frame, info=None, faces=list(faces))


def followed(*frames: tuple[TrackedFace, ...]) -> list[int | None]:
    shown = main_faces(seen(number, *faces) for number, faces in enumerate(frames))
    return [one.face.face_id if isinstance(one.face, TrackedFace) else None for one in shown]


def test_the_largest_face_is_followed_until_one_is_far_larger():
    assert followed((face(0, 10), face(1, 12)), (face(0, 13), face(1, 12)), (face(0, 18), face(1, 12))) == [1, 1, 0]


def test_who_is_gone_gives_way():
    assert followed((face(0, 20),), (), (face(0, 20), face(1, 5)), (face(1, 5),)) == [0, None, 0, 1]


def test_seconds_count_from_the_start_of_the_stretch():
    (one,) = main_faces([seen(3, face(0, 1))], start_s=10.0)
    assert one.time_s == 10.3 - 10.0


def test_the_largest_of_a_picture():
    assert largest([face(0, 3), face(1, 7), face(2, 5)]).face_id == 1
    assert largest([]) is None
