import numpy as np
import pytest

from mien.predict.paint import (
    INK,
    LABEL_COLOURS,
    PAPER,
    SILENT,
    SPARE_COLOURS,
    Canvas,
    colour_of,
    readable_on,
    shortened,
    text_width,
)
from mien.schema.labels import AFFECTNET_8, FERPLUS, LabelSet

WHITE = (255, 255, 255)


def blank(height: int = 60, width: int = 80) -> Canvas:
    return Canvas(np.zeros((height, width, 3), np.uint8))


def test_a_rectangle_covers_its_area_and_fractions_of_pixels() -> None:
    canvas = blank()
    canvas.shape((10.5, 20, 30, 40.25), WHITE)
    covered = canvas.pixels[..., 0] / 255
    assert covered.sum() == pytest.approx(19.5 * 20.25, rel=0.005)
    assert covered[30, 10] == pytest.approx(0.5, abs=0.01)
    assert covered[30, 20] == 1
    assert covered[30, 30] == covered[19, 20] == 0


def test_a_disc_has_the_area_of_a_disc() -> None:
    canvas = blank()
    canvas.dots(np.array([[40.0, 30.0]]), WHITE, 20.0)
    assert canvas.pixels[..., 0].sum() / 255 == pytest.approx(np.pi * 400, rel=0.005)


def test_an_outline_leaves_the_inside_free() -> None:
    canvas = blank()
    canvas.shape((10, 10, 60, 50), WHITE, line=2)
    covered = canvas.pixels[..., 0] / 255
    assert covered[30, 35] == 0
    assert covered.sum() == pytest.approx(2 * 2 * (50 + 40), rel=0.02)


def test_opacity_mixes_with_what_is_beneath() -> None:
    canvas = Canvas(np.full((10, 10, 3), 100, np.uint8))
    canvas.shape((0, 0, 10, 10), (200, 0, 100), opacity=0.5)
    assert canvas.pixels[5, 5].tolist() == [150, 50, 100]


@pytest.mark.parametrize("box", [(-50, -50, -10, -10), (100, 100, 120, 130), (-20, -20, 200, 200), (70, 5, 95, 20)])
def test_what_leaves_the_picture_is_cut_off(box) -> None:
    canvas = blank()
    canvas.shape(box, WHITE, radius=5)
    canvas.text(box[0], box[1], "outside", WHITE, 20)
    assert canvas.pixels.shape == (60, 80, 3)


def test_text_is_antialiased_aligned_and_as_wide_as_measured() -> None:
    for align, edge in (
        (0.0, 10),
        (0.5, 10 + text_width("happiness", 24) / 2),
        (1.0, 10 + text_width("happiness", 24)),
    ):
        canvas = blank(60, 200)
        canvas.text(edge, 30, "happiness", WHITE, 24, align=align)
        ink = canvas.pixels[..., 0]
        assert len(np.unique(ink)) > 10
        columns, rows = np.flatnonzero(ink.any(0)), np.flatnonzero(ink.any(1))
        assert abs(columns[0] - 10) <= 3
        assert abs(columns[-1] - 10 - text_width("happiness", 24)) <= 4
        assert abs((rows[0] + rows[-1]) / 2 - 30) < 5


@pytest.mark.parametrize(("one", "other"), [("ü", "é"), ("ж", "я")])
def test_letters_beyond_ascii_are_drawn_as_themselves(one: str, other: str) -> None:
    drawn = []
    for letter in (one, other):
        canvas = blank()
        canvas.text(40, 30, letter, WHITE, 40, align=0.5)
        drawn.append(canvas.pixels)
    assert (drawn[0] != drawn[1]).any()


def test_labels_have_distinct_colours_that_text_stands_out_on() -> None:
    assert {colour_of(name, FERPLUS) for name in FERPLUS.names} == set(LABEL_COLOURS.values())
    assert colour_of("fear", FERPLUS) == colour_of("fear", AFFECTNET_8)
    assert colour_of(None, FERPLUS) == SILENT
    own = LabelSet("own", tuple(f"class_{number}" for number in range(10)))
    assert [colour_of(name, own) for name in own.names[:8]] == list(SPARE_COLOURS)
    assert colour_of("class_9", own) == SPARE_COLOURS[1]
    for colour in (*LABEL_COLOURS.values(), *SPARE_COLOURS, SILENT):
        assert contrast(colour, readable_on(colour)) > 4.5
    assert (readable_on((0, 0, 60)), readable_on((250, 250, 0))) == (PAPER, INK)


def contrast(one, other) -> float:
    """Contrast ratio of the Web Content Accessibility Guidelines 2.1."""

    def luminance(colour) -> float:
        parts = np.array(colour) / 255
        linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_long_texts_keep_both_ends() -> None:
    text = "a_very_long_name_of_a_photo_0001.jpg"
    short = shortened(text, 15, 120)
    assert text_width(short, 15) <= 120
    assert short.startswith("a_")
    assert short.endswith(".jpg")
    assert short.count("…") == 1
    assert shortened("short.jpg", 15, 120) == "short.jpg"
