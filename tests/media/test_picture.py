"""Whole pictures: where they lie in the network's square, and that boxes lie there with them."""

import numpy as np
import pytest

from mien.media.picture import GREY, boxes_from_unit, boxes_to_unit, picture_matrix, picture_tensor
from mien.schema.inputs import IMAGENET_MEAN, IMAGENET_STD, PictureSpec

SPECS = [PictureSpec(size_px=64), PictureSpec(size_px=64, resize="stretch"), PictureSpec(size_px=160)]
SHAPES = [(48, 120), (120, 48), (64, 64), (37, 91), (200, 3)]


def found(tensor: np.ndarray) -> np.ndarray:
    """Edges of what is red, in pixels of the square."""
    red = (tensor[0] > 0.6) & (tensor[1] < 0.4)
    ys, xs = np.nonzero(red)
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("shape", SHAPES[:4])
def test_a_box_lies_where_its_pixels_are(shape, spec):
    height, width = shape
    box = np.array([width * 0.25, height * 0.5, width * 0.75, height * 0.9]).round()
    image = np.zeros((*shape, 3), np.uint8)
    x1, y1, x2, y2 = box.astype(int)
    image[y1:y2, x1:x2, 0] = 255
    unit = boxes_to_unit(box[None], shape, spec)[0].astype(float)
    corners = spec.size_px * np.concatenate([unit[:2] - unit[2:] / 2, unit[:2] + unit[2:] / 2])
    assert np.abs(corners - found(picture_tensor(image, spec))).max() <= 1
    matrix = picture_matrix(shape, spec)
    assert np.allclose(corners.reshape(2, 2), box.reshape(2, 2) @ matrix[:, :2].T + matrix[:, 2], atol=1e-4)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("shape", SHAPES)
def test_boxes_come_back_clipped_to_the_picture(shape, spec):
    height, width = shape
    boxes = np.array([[0.5, 0, width, height], [0, 1, 2, 2.5], [-5, -5, width + 9, 1]])
    again = boxes_from_unit(boxes_to_unit(boxes, shape, spec), shape, spec)
    assert again.dtype == np.float32
    assert np.allclose(again, boxes.clip(0, (width, height, width, height)), atol=1e-3)
    assert boxes_from_unit(np.zeros((0, 4)), shape, spec).shape == (0, 4)


def test_a_letterboxed_picture_lies_at_the_upper_left_and_the_rest_is_grey():
    tensor = picture_tensor(np.full((30, 60, 3), 255, np.uint8), PictureSpec(size_px=32))
    assert tensor.shape == (3, 32, 32)
    assert tensor.dtype == np.float32
    assert (tensor[:, :16] == 1).all()
    assert np.allclose(tensor[:, 16:], GREY / 255)
    tall = picture_tensor(np.full((60, 30, 3), 255, np.uint8), PictureSpec(size_px=32))
    assert (tall[:, :, :16] == 1).all()
    assert np.allclose(tall[:, :, 16:], GREY / 255)


def test_a_stretched_picture_fills_the_square():
    tensor = picture_tensor(np.full((30, 60, 3), 255, np.uint8), PictureSpec(size_px=32, resize="stretch"))
    assert (tensor == 1).all()


def test_a_shrunk_picture_has_the_means_of_areas_and_is_normalised():
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    spec = PictureSpec(size_px=32, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    means = image.reshape(32, 4, 32, 4, 3).mean((1, 3)) / 255
    wanted = ((means - IMAGENET_MEAN) / IMAGENET_STD).transpose(2, 0, 1)
    assert np.abs(picture_tensor(image, spec) - wanted).max() < 0.51 / 255 / min(IMAGENET_STD)


def test_a_line_of_pixels_keeps_one_pixel():
    assert picture_tensor(np.zeros((1, 500, 3), np.uint8), PictureSpec(size_px=64)).shape == (3, 64, 64)
    assert picture_matrix((1, 500), PictureSpec(size_px=64))[1, 1] == 1
