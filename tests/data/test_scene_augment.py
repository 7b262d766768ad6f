"""Changes of pictures: boxes lie where the pixels of the faces are, after every one of them."""

from dataclasses import replace

import numpy as np
import pytest

from mien.data.scene_augment import (
    Marked,
    SceneAugment,
    cropped,
    flipped,
    follow,
    mosaic,
    recoloured,
    take,
    vary,
    visible,
    whole,
    zoomed_out,
)
from mien.schema.errors import ConfigError
from mien.schema.inputs import PictureSpec

SPEC = PictureSpec(size_px=320)
PLAIN = SceneAugment(photometric=0.0, min_visible=0.0, min_side_px=0.0)
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))


def picture(seed: int = 0, *, shape: tuple[int, int] = (150, 210), label: int = 0, count: int = 1) -> Marked:
    """Ellipses of one pure colour each on white: the first is of the colour of the label."""
    rng = np.random.default_rng(seed)
    image = np.full((*shape, 3), 255, np.uint8)
    boxes = []
    for number in range(count):
        wide, tall = (int(side) for side in rng.integers(30, 50, 2))
        column = shape[1] // count
        x, y = number * column + int(rng.integers(max(1, column - wide))), int(rng.integers(shape[0] - tall))
        ys, xs = np.mgrid[: shape[0], : shape[1]] + 0.5
        inside = ((xs - x - wide / 2) / (wide / 2)) ** 2 + ((ys - y - tall / 2) / (tall / 2)) ** 2 <= 1
        image[inside] = COLOURS[(label + number) % 4]
        boxes.append([x, y, x + wide, y + tall])
    return Marked(image, np.array(boxes, np.float64), np.arange(label, label + count))


def seen(image: np.ndarray, label: int) -> np.ndarray | None:
    """The box of what has the colour of a label."""
    near = np.abs(image.astype(int) - COLOURS[label]).max(2) < 128
    if not near.any():
        return None
    ys, xs = np.nonzero(near)
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], float)


def agree(marked: Marked, tolerance: float = 2.0) -> int:
    """How many boxes there are; each lies where its colour is."""
    for box, label in zip(marked.boxes, marked.labels.tolist(), strict=True):
        where = seen(marked.image, label)
        assert where is not None, label
        assert np.abs(box - where).max() <= tolerance, (box, where)
    return len(marked.boxes)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_boxes_follow_a_flip():
    one = picture(count=3)
    assert agree(flipped(one)) == 3
    again = flipped(flipped(one))
    assert np.array_equal(again.image, one.image)
    assert np.allclose(again.boxes, one.boxes)


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_boxes_follow_a_window_inside_and_around_the_picture(resize):
    spec = PictureSpec(size_px=160, resize=resize)
    counts = []
    for seed in range(14):
        one = picture(seed, count=3)
        larger = zoomed_out(whole(one), 4.0, rng(seed))
        for window in (
            whole(one),
            larger,
            cropped(whole(one), one.boxes, rng(seed)),
            cropped(larger, one.boxes, rng(seed)),
        ):
            made = take(one, window, spec, replace(PLAIN, min_visible=0.5, min_side_px=6))
            counts.append(agree(made))
            assert max(made.image.shape[:2]) == 160
    assert {1, 2, 3} <= set(counts)


def test_zooming_out_stays_within_its_limit_and_keeps_the_picture():
    for seed in range(50):
        x1, y1, x2, y2 = zoomed_out((0, 0, 60, 40), 3.0, rng(seed))
        assert x1 <= 0 <= 60 <= x2
        assert y1 <= 0 <= 40 <= y2
        assert (x2 - x1) / (y2 - y1) == pytest.approx(1.5, abs=0.05)
        assert 60 <= x2 - x1 <= 180


def test_a_cut_out_part_has_the_centre_of_a_face_and_sound_sides():
    sides = []
    for seed in range(60):
        one = picture(seed, count=2)
        x1, y1, x2, y2 = cropped(whole(one), one.boxes, rng(seed))
        assert 0 <= x1 < x2 <= 210
        assert 0 <= y1 < y2 <= 150
        middles = (one.boxes[:, :2] + one.boxes[:, 2:]) / 2
        assert ((middles > (x1, y1)) & (middles < (x2, y2))).all(1).any()
        sides.append((x2 - x1) / 210)
    assert min(sides) < 0.5
    assert max(sides) == 1
    assert cropped((0, 0, 9, 9), np.zeros((0, 4)), rng()) == (0, 0, 9, 9)


@pytest.mark.parametrize("deg", [0.0, 10.0, 45.0])
def test_boxes_follow_a_mosaic_turned_or_not(deg):
    total = 0
    for seed in range(12):
        four = [
            picture(10 * seed + k, label=k, shape=shape)
            for k, shape in enumerate([(150, 210), (210, 150), (90, 90), (400, 300)])
        ]
        config = replace(PLAIN, mosaic_rotation_deg=deg, min_visible=0.98, min_side_px=10)
        made = mosaic(four, SPEC, config, rng(seed))
        assert made.image.shape == (320, 320, 3)
        total += agree(made, 2.5)
    assert total > 24


def test_the_pictures_of_a_mosaic_meet_in_the_middle():
    config = replace(PLAIN, mosaic_rotation_deg=0.0, mosaic_shift_ratio=0.0, mosaic_scale=(1.0, 1.0))
    four = [
        Marked(np.full((60, 60 + 20 * k, 3), 10 + 50 * k, np.uint8), np.zeros((0, 4)), np.zeros(0, np.int64))
        for k in range(4)
    ]
    made = mosaic(four, SPEC, config, rng()).image[..., 0]
    assert [int(made[y, x]) for y, x in ((150, 150), (150, 170), (170, 150), (170, 170))] == [10, 60, 110, 160]
    assert made[2, 318] == 114


def test_an_ellipse_keeps_its_box_when_it_turns():
    circle = np.array([[10.0, 20.0, 30.0, 40.0]])
    cos, sin = np.cos(0.7), np.sin(0.7)
    turn = np.array([[cos, -sin, 3], [sin, cos, -4], [0, 0, 1]])
    moved = follow(circle, turn)[0]
    assert np.allclose(moved[2:] - moved[:2], 20)
    assert np.allclose((moved[:2] + moved[2:]) / 2, turn[:2, :2] @ (20, 30) + (3, -4))
    angles = np.linspace(0, 2 * np.pi, 4000)
    ellipse = np.column_stack([40 + 30 * np.cos(angles), 50 + 10 * np.sin(angles)]) @ turn[:2, :2].T + turn[:2, 2]
    wanted = np.concatenate([ellipse.min(0), ellipse.max(0)])
    assert np.allclose(follow(np.array([[10.0, 40.0, 70.0, 60.0]]), turn)[0], wanted, atol=1e-3)


def test_boxes_are_cut_and_those_of_hidden_faces_dropped():
    boxes = np.array([[-10, 0, 10, 10], [-15, 0, 5, 10], [3, 3, 4, 90], [20, 20, 40, 40.0]])
    one = Marked(np.zeros((100, 100, 3), np.uint8), boxes, np.arange(4))
    kept = visible(one, SceneAugment(min_visible=0.3))
    assert kept.labels.tolist() == [0, 3]
    assert kept.boxes.tolist() == [[0, 0, 10, 10], [20, 20, 40, 40]]


def test_colours_change_within_limits_and_boxes_do_not():
    image = rng().integers(60, 190, (20, 20, 3)).astype(np.uint8)
    none = SceneAugment(brightness=0, contrast=0, saturation=0, hue_turn=0, grey=0)
    assert np.array_equal(recoloured(image, none, rng()), image)
    grey = recoloured(image, replace(none, grey=1.0), rng())
    assert (np.ptp(grey.astype(int), axis=2) <= 1).all()
    assert np.abs(grey[..., 0] - image @ (0.299, 0.587, 0.114)).max() <= 1
    brighter = [recoloured(image, replace(none, brightness=0.2), rng(s)).mean() / image.mean() for s in range(30)]
    assert 0.79 < min(brighter) < 0.85
    assert 1.15 < max(brighter) < 1.21
    turned = recoloured(image, replace(none, hue_turn=0.3), rng(1)).astype(float)
    assert np.abs(turned.mean(2) - image.mean(2)).max() < 2
    assert np.abs(turned - image).mean() > 5


def test_vary_follows_the_progress_of_the_run():
    one, calls = picture(count=2), []

    def others() -> list[Marked]:
        calls.append(1)
        return [picture(k) for k in (1, 2, 3)]

    config = SceneAugment(mosaic=1.0, mix_from=0.1, mosaic_until=0.5, varied_until=0.9, flip=0.0)
    made = {p: [vary(one, others, SPEC, config, p, rng(s)) for s in range(8)] for p in (0.0, 0.1, 0.49, 0.5, 0.9)}
    assert len(calls) == 16
    assert all(m.image.shape == (320, 320, 3) for p in (0.1, 0.49) for m in made[p])
    assert len({m.image.tobytes() for m in made[0.5]}) > 4
    plain = take(one, whole(one), SPEC, config)
    assert all(np.array_equal(m.image, plain.image) for m in made[0.9])
    assert np.allclose(made[0.9][0].boxes, plain.boxes)


def test_everything_at_once_keeps_boxes_on_their_pixels():
    config = SceneAugment(photometric=0.0, min_visible=0.97, min_side_px=8, mosaic_rotation_deg=10)
    total = 0
    for seed in range(25):
        three = [picture(seed + 100 * k, label=k) for k in (1, 2, 3)]
        total += agree(vary(picture(seed), three.copy, SPEC, config, 0.2, rng(seed)), 3.0)
    assert total > 25


def test_the_same_seed_gives_the_same_pixels():
    one, config = picture(count=3), SceneAugment()
    first, again, other = (vary(one, lambda: [one] * 3, SPEC, config, 0.2, rng(s)) for s in (5, 5, 6))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.boxes, again.boxes)
    assert first.image.shape != other.image.shape or not np.array_equal(first.image, other.image)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("flip", 1.5),
        ("contrast", 1.0),
        ("mosaic_scale", (2.0, 1.0)),
        ("mixup_share", (0.4, 1.2)),
        ("zoom_out_most", 0.5),
    ],
)
def test_impossible_settings_name_the_field(field, value):
    with pytest.raises(ConfigError, match=field):
        SceneAugment(**{field: value})
