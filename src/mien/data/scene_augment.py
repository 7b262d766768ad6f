"""Random changes of training pictures and of the boxes in them, as DEIM is trained (S. Huang et al., CVPR 2025).

Every function draws from the generator it is given and from nothing else. A box stands for the ellipse inscribed in it,
as a face fills its box: so its box stays exact when the picture turns, where the box of the turned corners would grow.
Faces of which too little is left in the picture are dropped.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.media.picture import GREY, resized, scaled_shape
from mien.schema.errors import ConfigError
from mien.schema.inputs import PictureSpec

Matrix = NDArray[np.float64]
Window = tuple[int, int, int, int]
"""``x1, y1, x2, y2``: a part of the picture in whole pixels, which may reach beyond it."""

_LUMA = np.array([0.299, 0.587, 0.114])
_CROP_OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
_CROP_SIDES = (0.3, 1.0)
_CROP_ASPECTS = (0.5, 2.0)
_CROP_TRIES = 40
_MIN_SHRINK = 0.75


class Marked(NamedTuple):
    """A picture and its faces.

    Attributes:
        image: ``uint8 [H, W, 3]`` RGB.
        boxes: ``float64 [N, 4]``, ``x1, y1, x2, y2`` in pixels of the picture.
        labels: class index of each face, ``int64 [N]``.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneAugment:
    """How training pictures are varied, and in which stretch of the run; shares of the run lie in [0, 1].

    Attributes:
        flip: probability of mirroring left and right, throughout the run.
        mosaic: probability that a picture is put together with three others, two by two.
        mosaic_rotation_deg: such a picture turns by up to this angle,
        mosaic_shift_ratio: moves by up to this share of the side, in x and in y,
        mosaic_scale: and grows by a factor between these.
        mixup: probability that a batch is blended with itself, moved on by one picture; faces of both are kept.
        mixup_share: smallest and largest share of the picture that keeps its place.
        mix_from: share of the run from which there are mosaics and blends.
        mosaic_until: share of the run after which there are no mosaics.
        mixup_until: share of the run after which there are no blends.
        photometric: probability that colours change.
        brightness: by a factor of up to one plus or minus this share,
        contrast: likewise about the mean,
        saturation: likewise,
        hue_turn: and hues by up to this share of a full turn.
        grey: probability that no colour is left.
        zoom_out: probability that the picture becomes a part of a larger grey one; not of mosaics.
        zoom_out_most: how many times larger it is at most, each way.
        iou_crop: probability that a part is cut out, after W. Liu et al., "SSD", ECCV 2016; not of mosaics.
        varied_until: share of the run after which pictures are only mirrored.
        min_visible: smallest share of a box that has to remain in the picture for the face to stay marked.
        min_side_px: smallest side of a box, in pixels of the network's input, for the face to stay marked.
    """

    flip: float = 0.5
    mosaic: float = 0.5
    mosaic_rotation_deg: float = 10.0
    mosaic_shift_ratio: float = 0.1
    mosaic_scale: tuple[float, float] = (0.5, 1.5)
    mixup: float = 0.5
    mixup_share: tuple[float, float] = (0.45, 0.55)
    mix_from: float = 0.03
    mosaic_until: float = 0.5
    mixup_until: float = 0.5
    photometric: float = 0.5
    brightness: float = 0.125
    contrast: float = 0.5
    saturation: float = 0.5
    hue_turn: float = 0.05
    grey: float = 0.1
    zoom_out: float = 0.5
    zoom_out_most: float = 4.0
    iou_crop: float = 0.8
    varied_until: float = 0.9
    min_visible: float = 0.3
    min_side_px: float = 2.0

    def __post_init__(self) -> None:
        shares = ("flip", "mosaic", "mixup", "photometric", "grey", "zoom_out", "iou_crop", "min_visible")
        for name in (*shares, "mix_from", "mosaic_until", "mixup_until", "varied_until", "hue_turn"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"scene_augment.{name} lies in [0, 1]; given: {getattr(self, name)}")
        for name in ("brightness", "contrast", "saturation", "mosaic_shift_ratio"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"scene_augment.{name} lies in [0, 1); given: {getattr(self, name)}")
        for name, most in (("mosaic_scale", 10.0), ("mixup_share", 1.0)):
            low, high = getattr(self, name)
            if not 0 < low <= high <= most:
                raise ConfigError(f"scene_augment.{name} is (smallest, largest) in (0, {most:g}]; given: {low, high}")
        if self.zoom_out_most < 1:
            raise ConfigError(f"scene_augment.zoom_out_most is at least 1; given: {self.zoom_out_most}")

    def has_mosaics(self, progress: float) -> bool:
        """Whether there are mosaics when this share of the run is done."""
        return self.mosaic > 0 and self.mix_from <= progress < self.mosaic_until

    def has_blends(self, progress: float) -> bool:
        """Whether batches are blended when this share of the run is done."""
        return self.mixup > 0 and self.mix_from <= progress < self.mixup_until


def vary(
    picture: Marked,
    others: Callable[[], Sequence[Marked]],
    spec: PictureSpec,
    config: SceneAugment,
    progress: float,
    rng: np.random.Generator,
) -> Marked:
    """One training picture, at the size that it has in the network's square.

    Args:
        picture: as it was read.
        others: gives three more pictures where a mosaic is made.
        spec: the input of the network.
        config: what may change.
        progress: share of the run that is done.
        rng: decides everything.
    """
    varied = progress < config.varied_until
    if config.has_mosaics(progress) and rng.random() < config.mosaic:
        made = mosaic([picture, *others()], spec, config, rng)
    else:
        made = take(picture, _window(picture, config, rng) if varied else whole(picture), spec, config)
    if varied and rng.random() < config.photometric:
        made = made._replace(image=recoloured(made.image, config, rng))
    return flipped(made) if rng.random() < config.flip else made


def whole(picture: Marked) -> Window:
    """The window that is the picture."""
    return 0, 0, picture.image.shape[1], picture.image.shape[0]


def zoomed_out(window: Window, most: float, rng: np.random.Generator) -> Window:
    """A larger window around one."""
    x1, y1, x2, y2 = window
    times = rng.uniform(1, most)
    wide, tall = round(times * (x2 - x1)), round(times * (y2 - y1))
    left, top = x1 - int(rng.integers(wide - x2 + x1 + 1)), y1 - int(rng.integers(tall - y2 + y1 + 1))
    return left, top, left + wide, top + tall


def cropped(window: Window, boxes: NDArray[np.float64], rng: np.random.Generator) -> Window:
    """A part of a window with the centre of a box in it, which overlaps a box by a share drawn at random.

    Without boxes, or where no part is found, the window itself.
    """
    x1, y1, x2, y2 = window
    for _ in range(_CROP_TRIES if len(boxes) else 0):
        least = _CROP_OVERLAPS[int(rng.integers(len(_CROP_OVERLAPS)))]
        if least >= 1:
            break
        wide, tall = (
            max(1, round(share * side))
            for share, side in zip(rng.uniform(*_CROP_SIDES, 2), (x2 - x1, y2 - y1), strict=True)
        )
        if not _CROP_ASPECTS[0] <= wide / tall <= _CROP_ASPECTS[1]:
            continue
        left, top = x1 + int(rng.integers(x2 - x1 - wide + 1)), y1 + int(rng.integers(y2 - y1 - tall + 1))
        part = np.array([left, top, left + wide, top + tall], np.float64)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        inside = ((centres > part[:2]) & (centres < part[2:])).all(axis=1)
        if inside.any() and _overlaps(boxes[inside], part).max() >= least:
            return left, top, left + wide, top + tall
    return window


def take(picture: Marked, window: Window, spec: PictureSpec, config: SceneAugment) -> Marked:
    """A window of the picture at the size that it has in the network's square; grey where the picture ends."""
    x1, y1, x2, y2 = window
    tall, wide = scaled_shape((y2 - y1, x2 - x1), spec)
    scale = np.array([wide / (x2 - x1), tall / (y2 - y1)])
    height, width = picture.image.shape[:2]
    low = np.array([max(x1, 0), max(y1, 0)])
    high = np.maximum(np.array([min(x2, width), min(y2, height)]), low + 1)
    start = np.rint((low - (x1, y1)) * scale).astype(int).clip(0, (wide - 1, tall - 1))
    stop = np.maximum(np.rint((high - (x1, y1)) * scale).astype(int), start + 1)
    image = np.full((tall, wide, 3), GREY, np.uint8)
    part = picture.image[low[1] : high[1], low[0] : high[0]]
    image[start[1] : stop[1], start[0] : stop[0]] = resized(part, (int(stop[1] - start[1]), int(stop[0] - start[0])))
    exact = (stop - start) / (high - low)
    moved = (picture.boxes.reshape(-1, 2, 2) - low) * exact + start
    return visible(Marked(image, moved.reshape(-1, 4), picture.labels), config)


def mosaic(pictures: Sequence[Marked], spec: PictureSpec, config: SceneAugment, rng: np.random.Generator) -> Marked:
    """Four pictures about the centre of the network's square, each half as large, turned, moved and scaled alike."""
    assert len(pictures) == 4, len(pictures)
    side = spec.size_px
    square = np.full((side, side, 3), GREY, np.uint8)
    turn = _turn(side, config, rng)
    boxes, labels = [], []
    for number, (image, marks, classes) in enumerate(pictures):
        height, width = image.shape[:2]
        scale = side / 2 / max(height, width)
        left, top = side / 2 - scale * width * (number % 2 == 0), side / 2 - scale * height * (number < 2)
        matrix = turn @ np.array([[scale, 0, left], [0, scale, top], [0, 0, 1.0]])
        _warp_into(square, image, matrix)
        boxes.append(follow(marks, matrix))
        labels.append(classes)
    return visible(Marked(square, np.concatenate(boxes), np.concatenate(labels)), config)


def follow(boxes: NDArray[np.float64], matrix: Matrix) -> NDArray[np.float64]:
    """Boxes of the inscribed ellipses after an affine map ``[3, 3]`` of points that count the edges of pixels."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 @ matrix[:2, :2].T + matrix[:2, 2]
    half = np.sqrt(((boxes[:, 2:] - boxes[:, :2]) / 2) ** 2 @ (matrix[:2, :2] ** 2).T)
    moved: NDArray[np.float64] = np.concatenate([centres - half, centres + half], axis=1)
    return moved


def flipped(picture: Marked) -> Marked:
    """Mirrored left and right."""
    width = picture.image.shape[1]
    boxes = picture.boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (width, 0, width, 0)
    return Marked(np.ascontiguousarray(picture.image[:, ::-1]), boxes, picture.labels)


def recoloured(image: NDArray[np.uint8], config: SceneAugment, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Brightness, contrast, saturation and hue changed in one step."""
    brightness, contrast, saturation = (
        1 + spread * rng.uniform(-1, 1) for spread in (config.brightness, config.contrast, config.saturation)
    )
    angle = 2 * np.pi * config.hue_turn * rng.uniform(-1, 1)
    if rng.random() < config.grey:
        saturation = 0.0
    colour = _hue(angle) @ (saturation * np.eye(3) + (1 - saturation) * np.tile(_LUMA, (3, 1)))
    mean = float(np.array(cv2.mean(image)[:3]) @ _LUMA)
    offset = np.full((3, 1), brightness * (1 - contrast) * mean)
    return np.asarray(cv2.transform(image, np.hstack([brightness * contrast * colour, offset])), np.uint8)


def visible(picture: Marked, config: SceneAugment) -> Marked:
    """The boxes cut at the border of the picture, without those of which too little is left."""
    height, width = picture.image.shape[:2]
    cut = picture.boxes.clip(0, (width, height, width, height))
    sides, whole_sides = cut[:, 2:] - cut[:, :2], picture.boxes[:, 2:] - picture.boxes[:, :2]
    share = sides.prod(axis=1) / np.maximum(whole_sides.prod(axis=1), 1e-9)
    kept = (share >= config.min_visible) & (sides >= config.min_side_px).all(axis=1)
    return Marked(picture.image, cut[kept], picture.labels[kept])


def _window(picture: Marked, config: SceneAugment, rng: np.random.Generator) -> Window:
    window = whole(picture)
    if rng.random() < config.zoom_out:
        window = zoomed_out(window, config.zoom_out_most, rng)
    return cropped(window, picture.boxes, rng) if rng.random() < config.iou_crop else window


def _overlaps(boxes: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of boxes ``[N, 4]`` with one."""
    shared = (np.minimum(boxes[:, 2:], other[2:]) - np.maximum(boxes[:, :2], other[:2])).clip(0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (other[2:] - other[:2]).prod()
    overlaps: NDArray[np.float64] = shared / (areas - shared)
    return overlaps


def _turn(side: int, config: SceneAugment, rng: np.random.Generator) -> Matrix:
    """Rotation, scale and shift about the centre of the square."""
    angle = math.radians(config.mosaic_rotation_deg * rng.uniform(-1, 1))
    scale = rng.uniform(*config.mosaic_scale)
    cos, sin, middle = scale * math.cos(angle), scale * math.sin(angle), side / 2
    shift = middle + config.mosaic_shift_ratio * side * rng.uniform(-1, 1, 2)
    return np.array(
        [
            [cos, -sin, shift[0] - middle * (cos - sin)],
            [sin, cos, shift[1] - middle * (sin + cos)],
            [0, 0, 1.0],
        ]
    )


def _warp_into(square: NDArray[np.uint8], image: NDArray[np.uint8], matrix: Matrix) -> None:
    """Draw a picture where the matrix puts it; what it doesn't reach stays as it was."""
    scale = math.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    if scale < _MIN_SHRINK:
        height, width = image.shape[:2]
        image = resized(image, (max(1, round(scale * height)), max(1, round(scale * width))))
        matrix = matrix @ np.diag([width / image.shape[1], height / image.shape[0], 1.0])
    centres = matrix[:2].copy()
    centres[:, 2] += matrix[:2, :2].sum(axis=1) / 2 - 0.5
    cv2.warpAffine(
        image, centres, square.shape[1::-1], dst=square, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
    )


def _hue(angle: float) -> Matrix:
    """Rotation of colours about the axis of greys."""
    cos, sin = math.cos(angle), math.sin(angle)
    third, root = (1 - cos) / 3, sin / math.sqrt(3)
    return np.array(
        [
            [cos + third, third - root, third + root],
            [third + root, cos + third, third - root],
            [third - root, third + root, cos + third],
        ]
    )
