import gc

import av
import numpy as np
import pytest

from mien.media.colour import RgbConverter, Turn

MATRICES = {"601": (0.299, 0.114), "709": (0.2126, 0.0722), "2020": (0.2627, 0.0593)}
COLOURS = [(120, 110, 160), (81, 90, 240), (145, 54, 34), (41, 240, 110), (200, 128, 128), (126, 128, 128)]
UNKNOWN, MPEG, JPEG = 0, 1, 2


def flat(colour, pix_fmt="yuv420p", colorspace=2, color_range=UNKNOWN, size=(64, 48)):
    frame = av.VideoFrame(size[0], size[1], pix_fmt)
    for plane, value in zip(frame.planes, colour, strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.colorspace, frame.color_range = colorspace, color_range
    return frame


def by_the_standard(colour, matrix, is_full):
    """ITU-R BT.601, BT.709 and BT.2020 by their formulas."""
    red, blue = MATRICES[matrix]
    y, u, v = colour
    luma = y / 255 if is_full else (y - 16) / 219
    cb, cr = ((u - 128) / 255, (v - 128) / 255) if is_full else ((u - 128) / 224, (v - 128) / 224)
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.array([r, g, b]) * 255, 0, 255)


@pytest.mark.parametrize(
    ("colorspace", "color_range", "pix_fmt", "matrix", "is_full"),
    [
        (2, UNKNOWN, "yuv420p", "601", False),
        (5, MPEG, "yuv420p", "601", False),
        (6, MPEG, "yuv420p", "601", False),
        (6, JPEG, "yuv420p", "601", True),
        (2, JPEG, "yuvj420p", "601", True),
        (1, MPEG, "yuv420p", "709", False),
        (1, UNKNOWN, "yuv420p", "709", False),
        (1, JPEG, "yuv420p", "709", True),
        (9, MPEG, "yuv420p", "2020", False),
        (1, MPEG, "yuv422p", "709", False),
        (1, MPEG, "yuv444p", "709", False),
    ],
)
def test_colours_follow_the_standard_that_the_file_names(colorspace, color_range, pix_fmt, matrix, is_full):
    convert = RgbConverter()
    for colour in COLOURS:
        image = convert(flat(colour, pix_fmt, colorspace, color_range))
        np.testing.assert_allclose(image[20, 30], by_the_standard(colour, matrix, is_full), atol=2.5)


@pytest.mark.parametrize("size", [(64, 48), (65, 49), (33, 7), (1, 1), (641, 361)])
def test_every_size_is_one_block_of_memory(size):
    image = RgbConverter()(flat((126, 128, 128), size=size))
    assert image.shape == (size[1], size[0], 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable
    assert np.ptp(image) == 0


def test_a_change_of_size_on_the_way_is_followed():
    convert = RgbConverter()
    assert [convert(flat((126, 128, 128), size=size)).shape for size in [(64, 48), (32, 32), (64, 48)]] == [
        (48, 64, 3),
        (32, 32, 3),
        (48, 64, 3),
    ]


def test_frames_do_not_share_memory():
    convert = RgbConverter()
    first = convert(flat((126, 128, 128)))
    kept = first.copy()
    convert(flat((30, 128, 128)))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("a", [-1, 1])
@pytest.mark.parametrize("d", [-1, 1])
@pytest.mark.parametrize("is_swapped", [False, True])
def test_turns_move_every_pixel_as_their_matrix_says(a, d, is_swapped, rng):
    turn = Turn(0, a, d, 0) if is_swapped else Turn(a, 0, 0, d)
    image = rng.integers(0, 256, (3, 5, 3), dtype=np.uint8)
    y, x = np.mgrid[:3, :5]
    shown_x, shown_y = turn.a * x + turn.c * y, turn.b * x + turn.d * y
    expected = np.zeros((5, 3, 3) if is_swapped else (3, 5, 3), np.uint8)
    expected[shown_y - shown_y.min(), shown_x - shown_x.min()] = image
    np.testing.assert_array_equal(turn(image), expected)
    assert turn.size(5, 3) == expected.shape[1::-1]


def test_turns_count_clockwise():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1).repeat(3, axis=2)
    for turn, degrees in [(Turn(), 0), (Turn(0, 1, -1, 0), 90), (Turn(-1, 0, 0, -1), 180), (Turn(0, -1, 1, 0), 270)]:
        assert turn.rotation_deg == degrees
        np.testing.assert_array_equal(turn(image), np.rot90(image, -degrees // 90))


def test_frames_are_let_go_of_without_the_garbage_collector(write_video):
    path = write_video("a.mp4", range(0, 2000, 40))
    gc.collect()
    gc.disable()
    try:
        with av.open(str(path)) as source:
            convert = RgbConverter()
            for frame in source.decode(video=0):
                convert(frame)
        assert sum(type(one) is av.VideoFrame for one in gc.get_objects()) < 5
    finally:
        gc.enable()
