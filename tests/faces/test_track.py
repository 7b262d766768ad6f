from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Queue
from threading import Thread

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.faces.detect import overlaps
from mien.faces.track import TrackedFace, Tracker
from mien.schema.errors import ConfigError
from mien.schema.prediction import Face
from mien.schema.sample import Box

Path_ = Callable[[float], tuple[float, float] | None]
"""Where the centre of a face is at a time; ``None`` while it is away."""

SHAPE = np.random.default_rng(0).uniform(-0.5, 0.5, (468, 2))
STILL = np.zeros((360, 640, 3), np.uint8)


@dataclass
class Person:
    path: Path_
    size: float = 60.0
    score: float = 0.9
    presence: float = 1.0

    def box(self, now: float) -> tuple[float, float, float, float] | None:
        place = self.path(now)
        if place is None:
            return None
        (x, y), half = place, self.size / 2
        return x - half, y - half, x + half, y + half


@dataclass
class World:
    """People who move; those who come first hide those behind them. Stands for reader and mesh at once."""

    people: list[Person]
    now: float = 0.0
    least_at_a_glance: float = 0.0
    detected_s: list[float] = field(default_factory=list)
    searched_s: list[float] = field(default_factory=list)
    looks: int = 0

    def shown(self) -> list[tuple[Person, np.ndarray]]:
        seen: list[tuple[Person, np.ndarray]] = []
        for person in self.people:
            box = person.box(self.now)
            if box is not None:
                hidden = seen and overlaps(np.array(box), np.array([b for _, b in seen]))[1].max() > 0.5
                if not hidden:
                    seen.append((person, np.array(box)))
        return seen

    def find_meshes(
        self, image: np.ndarray, known: Sequence[Box] | None = None, followed: Sequence[tuple[Face, np.ndarray]] = ()
    ) -> list[tuple[Face, np.ndarray]]:
        self.detected_s.append(self.now)
        if known is None:
            self.searched_s.append(self.now)
        found = []
        for person, box in self.shown():
            near = known is None or any(np.abs(np.array(one) - box).max() < person.size for one in known)
            if not near and person.size < self.least_at_a_glance:
                continue
            is_sure = person.presence >= 0.5
            eyes = box[:2] + person.size * np.array([[0.3, 0.3], [0.7, 0.3]])
            face = Face(
                box=tuple(box.tolist()),
                score=person.score,
                presence=person.presence,
                eyes=eyes,
                alignment="mesh" if is_sure else "detector",
            )
            found.append((face, self.mesh(box)))
        return sorted(found, key=lambda pair: pair[0].box[:2])

    def follow(self, image: np.ndarray, meshes: Sequence[np.ndarray]) -> list[tuple[np.ndarray, float]]:
        self.looks += len(meshes)
        return [self.look(mesh) for mesh in meshes]

    def look(self, mesh: np.ndarray) -> tuple[np.ndarray, float]:
        """The nearest face within half of its size, or nothing."""
        near = []
        for person, box in self.shown():
            distance = np.hypot(*((box[:2] + box[2:]) / 2 - mesh.mean(axis=0)))
            if distance < person.size / 2:
                near.append((distance, person.presence, self.mesh(box)))
        if not near:
            return mesh, 0.01
        _, presence, found = min(near, key=lambda one: one[0])
        return found, presence

    @staticmethod
    def mesh(box: np.ndarray) -> np.ndarray:
        shape = SHAPE - SHAPE.mean(axis=0)
        return (shape * (box[2:] - box[:2]) + (box[:2] + box[2:]) / 2).astype(np.float32)


def still(x: float, y: float = 180.0) -> Path_:
    return lambda now: (x, y)


def moving(x: float, speed: float, y: float = 180.0) -> Path_:
    return lambda now: (x + speed * now, y)


def at(path: Path_, *spans: tuple[float, float]) -> Path_:
    """The same path, but only between these times."""
    return lambda now: path(now) if any(start <= now < end for start, end in spans) else None


def steady(seconds: float, fps: float = 25.0) -> list[float]:
    return [n / fps for n in range(round(seconds * fps))]


def followed(world: World, times: Sequence[float], **settings: float) -> list[list[TrackedFace]]:
    tracker = Tracker(world, world, **settings)
    rows = []
    for world.now in times:
        rows.append(tracker.update(STILL, world.now))
    return rows


def whose(world: World, times: Sequence[float], rows: list[list[TrackedFace]]) -> list[set[int]]:
    """The numbers that each person was given, by the nearest centre."""
    numbers: list[set[int]] = [set() for _ in world.people]
    for now, faces in zip(times, rows, strict=True):
        places = [person.path(now) or (np.inf, np.inf) for person in world.people]
        for face in faces:
            x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
            distances = [np.hypot(px - x, py - y) for px, py in places]
            numbers[int(np.argmin(distances))].add(face.face_id)
    return numbers


def test_a_still_face_has_one_number_and_is_rarely_detected() -> None:
    world = World([Person(still(300))])
    rows = followed(world, steady(2.0))
    assert [[face.face_id for face in faces] for faces in rows] == [[0]] * 50
    assert world.detected_s == pytest.approx([0.0, 0.4, 0.8, 1.2, 1.6])
    assert world.looks == 49
    face = rows[-1][0]
    assert face.box == pytest.approx((270, 150, 330, 210), abs=0.01)
    assert (face.alignment, face.score, face.presence) == ("mesh", 0.9, 1.0)
    assert face.landmarks is not None
    assert face.landmarks.shape == (68, 2)


def test_detection_of_every_frame() -> None:
    world = World([Person(still(300))])
    times = steady(0.4)
    followed(world, times, detect_every_s=0)
    assert world.detected_s == world.searched_s == times


def test_most_looks_of_the_detector_are_glances() -> None:
    world = World([])
    followed(world, steady(4.0))
    assert world.detected_s == pytest.approx([0.4 * n for n in range(10)])
    assert world.searched_s == pytest.approx([0.0, 1.6, 3.2])


@pytest.mark.parametrize(("size", "found_s"), [(60, 0.4), (30, 1.6)])
@pytest.mark.parametrize("presence", [1.0, 0.1])
def test_a_new_small_face_waits_for_a_search_and_is_then_kept_by_glances(
    size: float, found_s: float, presence: float
) -> None:
    world = World([Person(at(moving(100, 40), (0.1, 9.0)), size=size, presence=presence)], least_at_a_glance=50)
    times = steady(6.0)
    rows = followed(world, times)
    later_s = 0.0 if presence == 1.0 else 0.12
    assert next(now for now, faces in zip(times, rows, strict=True) if faces) == pytest.approx(found_s + later_s)
    assert whose(world, times, rows) == [{0}]
    assert all(faces for now, faces in zip(times, rows, strict=True) if now > found_s + later_s)


def test_frames_that_lie_far_apart_are_all_searched() -> None:
    world = World([Person(moving(50, 60), size=30)], least_at_a_glance=50)
    times = [0.5 * n for n in range(10)]
    assert all(followed(world, times))
    assert world.searched_s == times


def test_faces_are_numbered_from_left_to_right_and_as_they_come() -> None:
    world = World([Person(still(500)), Person(still(100)), Person(at(still(300), (1.0, 9.0)))])
    times = steady(2.0)
    rows = followed(world, times)
    assert whose(world, times, rows) == [{1}, {0}, {2}]
    assert [face.face_id for face in rows[-1]] == [0, 1, 2]
    assert len(rows[25 + 10]) == 3


@pytest.mark.parametrize("speed", [80.0, 200.0, 400.0])
@pytest.mark.parametrize("fps", [12.5, 25.0, 60.0])
def test_two_faces_that_cross_keep_their_numbers(speed: float, fps: float) -> None:
    seconds = 400 / speed
    world = World([Person(moving(120, speed)), Person(moving(520, -speed, 185))])
    times = steady(seconds, fps)
    rows = followed(world, times)
    assert whose(world, times, rows) == [{0}, {1}]
    assert len(rows[-1]) == 2


def test_a_face_that_leaves_has_no_rows_and_its_number_ends() -> None:
    world = World([Person(at(still(300), (0.0, 1.0), (3.0, 9.0)))])
    times = steady(4.0)
    rows = followed(world, times)
    assert [now for now, faces in zip(times, rows, strict=True) if faces and 1.0 <= now < 3.0] == []
    assert {face.face_id for faces in rows[:25] for face in faces} == {0}
    assert {face.face_id for faces in rows[75:] for face in faces} == {1}


@pytest.mark.parametrize(("away_s", "number"), [(0.3, 0), (0.9, 0), (1.6, 1)])
def test_a_face_that_turns_away_and_comes_back_keeps_its_number(away_s: float, number: int) -> None:
    world = World([Person(at(still(300), (0.0, 1.0), (1.0 + away_s, 9.0)))])
    rows = followed(world, steady(4.0))
    assert {face.face_id for face in rows[-1]} == {number}
    assert all(not faces for faces in rows[26 : 25 + round(25 * away_s) - 1])


def test_a_longer_gap_can_be_asked_for() -> None:
    world = World([Person(at(still(300), (0.0, 1.0), (3.0, 9.0)))])
    rows = followed(world, steady(4.0), max_gap_s=2.5)
    assert {face.face_id for face in rows[-1]} == {0}


def test_a_face_that_passes_behind_another_keeps_its_number() -> None:
    world = World([Person(still(320), size=80), Person(moving(100, 150, 190))])
    times = steady(3.0)
    rows = followed(world, times)
    assert whose(world, times, rows) == [{1}, {0}]
    assert min(len(faces) for faces in rows) == 1


def test_another_face_far_away_is_another_face() -> None:
    world = World([Person(at(still(100), (0.0, 1.0))), Person(at(still(500), (1.2, 9.0)))])
    times = steady(2.0)
    assert whose(world, times, followed(world, times)) == [{0}, {1}]


def test_a_cut_ends_all_numbers() -> None:
    pattern = np.kron(np.random.default_rng(1).integers(0, 255, (18, 32, 3), np.uint8), np.ones((20, 20, 1), np.uint8))
    world = World([Person(still(300))])
    tracker = Tracker(world, world)
    numbers = []
    for n in range(20):
        world.now = n / 25
        image = pattern if n < 7 else pattern[::-1, ::-1]
        numbers.append([face.face_id for face in tracker.update(np.ascontiguousarray(image), world.now)])
    assert numbers == [[0]] * 7 + [[1]] * 13
    assert 7 / 25 in world.detected_s


def test_a_variable_frame_rate() -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.choice([0.008, 0.04, 0.12, 0.35], 150)).tolist()
    world = World(
        [Person(lambda now: (320 + 200 * np.sin(now), 100.0)), Person(lambda now: (320 - 200 * np.sin(now), 260.0))]
    )
    rows = followed(world, times)
    assert whose(world, times, rows) == [{1}, {0}]
    assert all(len(faces) == 2 for faces in rows)


def test_one_frame_a_second() -> None:
    world = World([Person(still(200)), Person(moving(400, 15))])
    times = [float(n) for n in range(8)]
    rows = followed(world, times)
    assert whose(world, times, rows) == [{0}, {1}]
    assert world.detected_s == times


def test_what_only_flashes_up_is_no_face() -> None:
    world = World([Person(at(still(300), (0.0, 0.05)), score=0.6)])
    assert followed(world, steady(1.0)) == [[]] * 25


def test_a_doubtful_face_is_one_when_it_is_seen_again() -> None:
    world = World([Person(still(300), score=0.6)])
    rows = followed(world, steady(1.0))
    assert [bool(faces) for faces in rows] == [False] * 3 + [True] * 22
    assert world.detected_s[:2] == pytest.approx([0.0, 0.12])


def test_flickering_faces_do_not_call_the_detector_at_every_frame() -> None:
    people = [Person(at(still(50 + 60 * n), *((k / 10 + n / 100, k / 10 + 0.06) for k in range(40)))) for n in range(9)]
    world = World(people)
    followed(world, steady(4.0))
    assert len(world.detected_s) <= 4.0 / 0.4 + 4.0 / 0.2


def test_a_face_that_the_mesh_does_not_see_is_held_between_detections() -> None:
    world = World([Person(moving(200, 50), presence=0.1)])
    times = steady(1.0)
    rows = followed(world, times)
    assert whose(world, times, rows) == [{0}]
    assert all(faces for faces in rows[3:])
    assert all(face.alignment == "detector" and face.landmarks is None for faces in rows for face in faces)
    for now, faces in list(zip(times, rows, strict=True))[10:]:
        assert (faces[0].box[0] + faces[0].box[2]) / 2 == pytest.approx(200 + 50 * now, abs=3)


def test_a_face_that_loses_its_mesh_goes_on_by_the_detector() -> None:
    person = Person(still(300))
    world = World([person])
    tracker = Tracker(world, world)
    alignments = []
    for n in range(30):
        world.now = n / 25
        person.presence = 1.0 if n < 12 else 0.1
        alignments.append([(face.face_id, face.alignment) for face in tracker.update(STILL, world.now)])
    assert alignments[:12] == [[(0, "mesh")]] * 12
    assert alignments[14:] == [[(0, "detector")]] * 16


def test_a_mesh_that_no_detector_confirms_is_given_up() -> None:
    world = World([Person(still(300), presence=0.7)])
    tracker = Tracker(world, world)
    find = world.find_meshes
    numbers = []
    for n in range(50):
        world.now = n / 25
        numbers.append(len(tracker.update(STILL, world.now)))
        world.find_meshes = lambda image, *places: find(image, *places)[:0]  # type: ignore[method-assign]
    assert numbers == [1] * 30 + [0] * 20


def test_a_face_that_walks_out_of_the_picture_ends_at_its_border() -> None:
    world = World([Person(moving(560, 100))])
    times = steady(2.0)
    rows = followed(world, times)
    seen = [now for now, faces in zip(times, rows, strict=True) if faces]
    assert max(seen) == pytest.approx(0.8, abs=0.05)


def test_a_time_that_goes_back_begins_anew() -> None:
    world = World([Person(still(300))])
    rows = followed(world, [0.0, 0.04, 0.08, 0.0, 0.04])
    assert [faces[0].face_id for faces in rows] == [0, 0, 0, 1, 1]


def test_reset_begins_another_clip() -> None:
    world = World([Person(still(300))])
    tracker = Tracker(world, world)
    first = [tracker.update(STILL, now)[0].face_id for now in (0.0, 0.04)]
    tracker.reset()
    assert [tracker.update(STILL, now)[0].face_id for now in (0.0, 0.04)] == first == [0, 0]


def test_frames_without_a_face() -> None:
    world = World([])
    assert followed(world, steady(1.0)) == [[]] * 25
    assert world.detected_s == pytest.approx([0.0, 0.4, 0.8])
    assert world.looks == 0


def test_it_runs_between_two_queues_and_gives_the_same_again() -> None:
    def crossing() -> World:
        return World([Person(moving(120, 200)), Person(moving(520, -200, 185))])

    times = steady(2.0)
    expected = followed(crossing(), times)
    world = crossing()
    frames: Queue[tuple[np.ndarray, float] | None] = Queue(2)
    answers: Queue[list[TrackedFace]] = Queue()

    def given():
        while (frame := frames.get()) is not None:
            world.now = frame[1]
            yield frame

    def run() -> None:
        for _, _, faces in Tracker(world, world).follow(given()):
            answers.put(faces)

    thread = Thread(target=run)
    thread.start()
    for now in times:
        frames.put((STILL, now))
    frames.put(None)
    thread.join(20)
    again = [answers.get_nowait() for _ in times]
    assert [[(one.face_id, one.box) for one in faces] for faces in again] == [
        [(one.face_id, one.box) for one in faces] for faces in expected
    ]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, list[float]]:
    """Up to four people who wander, come and go, before a camera of an uneven rate."""
    rng = np.random.default_rng(draw(st.integers(0, 100_000)))
    times = np.cumsum(rng.choice([0.0, 0.01, 0.04, 0.2, 1.3], 60, p=[0.02, 0.3, 0.6, 0.06, 0.02])).tolist()
    people = []
    for _ in range(draw(st.integers(0, 4))):
        start, speed = rng.uniform(50, 590, 2), rng.uniform(-250, 250, 2)
        spans = np.sort(rng.uniform(0, times[-1], 4)).reshape(2, 2).tolist()

        def wander(now: float, start: np.ndarray = start, speed: np.ndarray = speed) -> tuple[float, float]:
            x, y = start + speed * now
            return 640 - abs(x % 1280 - 640), 360 - abs(y % 720 - 360)

        size, score, presence = rng.uniform(25, 120), rng.uniform(0.5, 1), rng.choice([0.2, 0.6, 1.0])
        people.append(Person(at(wander, *spans), size=size, score=score, presence=presence))
    return World(people), times


@given(worlds())
def test_whatever_people_do_numbers_are_sound(world_and_times: tuple[World, list[float]]) -> None:
    world, times = world_and_times
    last_seen: dict[int, tuple[int, float]] = {}
    for frame, (now, faces) in enumerate(zip(times, followed(world, times), strict=True)):
        numbers = [face.face_id for face in faces]
        assert numbers == sorted(set(numbers))
        for number in numbers:
            assert number in last_seen or number == len(last_seen)
            before = last_seen.get(number, (frame - 1, now))
            assert before[0] == frame - 1 or now - before[1] <= 1.0 + 1e-6
            last_seen[number] = (frame, now)
        assert all(np.isfinite(face.box).all() and face.eyes is not None for face in faces)


@pytest.mark.parametrize("setting", [{"detect_every_s": -1.0}, {"max_gap_s": float("nan")}])
def test_settings_out_of_range(setting: dict[str, float]) -> None:
    world = World([])
    with pytest.raises(ConfigError, match="at least 0"):
        Tracker(world, world, **setting)
