"""What a scene looks like: a background, persons before it, their faces, and the camera that saw all of it.

Whatever could give a face away without being one also occurs without a face: patches of the background and shuffled
faces are put into scenes with the same outline, blending, skin tone, hair and shoulders. Sharpness, noise, tint and
compression are those of the whole scene.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.backgrounds import Field, Rgb, drawn, photographed, resized
from mien.data.scenes import FACE_PX, MOST_HIDDEN, Layout, hidden_shares, layout, portrait, portraits
from mien.schema.sample import Composed

_PIXELS = 2
_PARTS = ("train", "valid", "test")
_REACH = 1.3
"""How far beyond its box a face may be seen, as a share of the half box."""

_MOST_DECOYS = 3
_EXPONENTS = (2.0, 2.3, 2.7)
_TEMPLATE_PX = 96
_SPAN = 1.6
_NOISE_PX = 400

_PERSON = np.array([[-2.5, -1.8], [2.5, 4.0]])
"""How far hair and shoulders reach from the middle of the face, in half sides of it."""


@dataclass(frozen=True, slots=True)
class _Patch:
    """A grey square to be put into a scene, as colours, and where: -1 and 1 are its edges."""

    pixels: Field
    linear: NDArray[np.float64]
    centre: NDArray[np.float64]

    @property
    def half(self) -> NDArray[np.float64]:
        """Half of its box, x before y."""
        half: NDArray[np.float64] = np.linalg.norm(self.linear, axis=1)
        return half


def compose(source: Composed) -> Rgb:
    """The picture of one scene, ``uint8 [H, W, 3]`` RGB; the same for the same source and data.

    Raises:
        MediaError: if a face cannot be read, or a photograph is not on this machine.
    """
    plan = layout(source.index, source.seed, source.split, portraits(source.root)[source.split])
    rng = np.random.default_rng((source.seed, _PIXELS, _PARTS.index(source.split), source.index))
    greys = [portrait(source.root, source.split, face) for face in plan.faces.tolist()]
    scene = _background(source, plan.shape, greys[0], rng)
    scene = _blurred(scene, plan, rng)
    patches = _decoys(scene, plan, greys, rng)
    patches += [
        _Patch(_skin(grey, rng), linear, centre)
        for grey, linear, centre in zip(greys, plan.linear, plan.centres, strict=True)
    ][::-1]
    for patch in patches:
        if rng.random() < 0.6:
            _draw_person(scene, patch, rng)
    for patch in patches:
        _paste(scene, patch, rng)
        if rng.random() < 0.12:
            _cover(scene, patch, plan.boxes, rng)
    return _photographed(scene, rng)


def _background(source: Composed, shape: tuple[int, int], grey: Rgb, rng: np.random.Generator) -> Field:
    share = min(0.7, 0.35 + 0.03 * len(source.material)) if source.material else 0.0
    if rng.random() < share:
        name = source.material[int(rng.integers(len(source.material)))]
        return photographed(name, shape, rng, train=source.split == "train")
    return drawn(np.repeat(grey[..., None], 3, axis=2), shape, rng)


def _blurred(scene: Field, plan: Layout, rng: np.random.Generator) -> Field:
    """Often about as unsharp as the largest face, which was enlarged from 48 pixels."""
    sigma = 0.4 * np.abs(np.linalg.det(plan.linear[0])) ** 0.5 / (FACE_PX / 2) * rng.uniform(0, 1.3)
    if sigma < 0.4 or rng.random() < 0.3:
        return scene
    return np.asarray(cv2.GaussianBlur(scene, (0, 0), float(sigma)), np.float32)


def _decoys(scene: Field, plan: Layout, greys: list[Rgb], rng: np.random.Generator) -> list[_Patch]:
    """Patches without a face that lie clear of all faces."""
    found = []
    area = np.array(plan.shape[::-1], np.float64)
    for _ in range(int(rng.integers(_MOST_DECOYS + 1))):
        linear = plan.linear[int(rng.integers(len(plan.linear)))] * rng.uniform(0.7, 1.3)
        half = np.linalg.norm(linear, axis=1)
        if (2 * half >= area).any():
            continue
        centre = half + rng.random(2) * (area - 2 * half)
        apart = np.abs(plan.centres - centre) - (plan.boxes[:, 2:] - plan.boxes[:, :2]) / 2 - 1.1 * half
        if (apart.max(axis=1) > 0).all():
            found.append(_Patch(_skin(_faceless(scene, greys, rng), rng), linear, centre))
    return found


def _faceless(scene: Field, greys: list[Rgb], rng: np.random.Generator) -> Rgb:
    """48 pixels of the background, or a face whose parts have changed places."""
    if rng.random() < 0.5:
        side = int(rng.integers(FACE_PX // 2, min(scene.shape[:2])))
        top, left = (int(rng.integers(length - side + 1)) for length in scene.shape[:2])
        part = resized(scene[top : top + side, left : left + side], (FACE_PX, FACE_PX))
        return np.asarray(part.mean(axis=2)).clip(0, 255).astype(np.uint8)
    cells = int(rng.choice((3, 4, 6)))
    side = FACE_PX // cells
    grey = greys[int(rng.integers(len(greys)))]
    blocks = grey.reshape(cells, side, cells, side).swapaxes(1, 2).reshape(-1, side, side)
    shuffled = blocks[rng.permutation(len(blocks))].reshape(cells, cells, side, side).swapaxes(1, 2)
    return np.asarray(cv2.GaussianBlur(shuffled.reshape(FACE_PX, FACE_PX), (0, 0), 1.2), np.uint8)


def _skin(grey: Rgb, rng: np.random.Generator) -> Field:
    """A grey patch in tones from dark to light skin, ``float32 [48, 48, 3]``; some stay grey."""
    level = grey.astype(np.float32)
    strength = 0.0 if rng.random() < 0.12 else rng.uniform(0.5, 1.1)
    share = level / 255
    weight = np.float32(strength) * (0.25 + 3 * share * (1 - share))
    red, blue = np.float32(rng.uniform(12, 30)), np.float32(rng.uniform(-32, -8))
    return np.stack(
        [
            level + 1.402 * red * weight,
            level - (0.714 * red + 0.344 * blue) * weight,
            level + 1.772 * blue * weight,
        ],
        axis=2,
    ).astype(np.float32)


def _draw_person(scene: Field, patch: _Patch, rng: np.random.Generator) -> None:
    """Hair behind the face, and shoulders below it, in place; drawn small, so that their edges are soft."""
    side = float(patch.half.mean())
    roll_deg = float(np.degrees(np.arctan2(-patch.linear[0, 1], patch.linear[1, 1])))
    reach = side * _PERSON
    low, high = _region(scene, patch.centre + reach[0], patch.centre + reach[1])
    times = max(1.0, side / 10)
    small = tuple(np.ceil((high - low) / times).astype(int).tolist())
    pen = _Pen(np.zeros((small[1], small[0], 4), np.uint8), low, (high - low) / small)
    if rng.random() < 0.8:
        place = patch.centre + side * np.array([rng.uniform(-0.2, 0.2), rng.uniform(2.0, 2.4)])
        pen.ellipse(place, rng.uniform(1.6, 2.3) * side, rng.uniform(1.2, 1.6) * side, 0.0, rng.uniform(10, 240, 3))
        neck = np.array(cv2.mean(patch.pixels)[:3]) * rng.uniform(0.7, 0.95)
        pen.ellipse(patch.centre + side * np.array([0, 0.8]), 0.5 * side, 0.75 * side, roll_deg, neck)
    hair = np.array(cv2.mean(patch.pixels[:4])[:3]) * rng.uniform(0.5, 1.0)
    place = patch.centre + patch.linear[:, 1] * -rng.uniform(0.1, 0.3)
    pen.ellipse(place, rng.uniform(0.95, 1.25) * side, rng.uniform(1.0, 1.3) * side, roll_deg, hair)
    layer = cv2.resize(pen.layer, tuple((high - low).tolist()), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    here = scene[low[1] : high[1], low[0] : high[0]]
    here *= _thrice(np.asarray(1 - layer[..., 3] / 255, np.float32))
    here += layer[..., :3]


@dataclass(frozen=True, slots=True)
class _Pen:
    """Draws on a part of the scene that is kept smaller, ``uint8 [h, w, 4]``: colours, and how much they cover."""

    layer: Rgb
    low: NDArray[np.int64]
    times: NDArray[np.float64]

    def ellipse(
        self, centre: NDArray[np.float64], wide: float, tall: float, roll_deg: float, colour: NDArray[np.float64]
    ) -> None:
        """Half axes and place in pixels of the scene."""
        place = (centre - self.low) / self.times - 0.5
        size = (2 * wide / float(self.times[0]), 2 * tall / float(self.times[1]))
        fill = (*colour.clip(0, 255).tolist(), 255.0)
        cv2.ellipse(self.layer, (tuple(place.tolist()), size, roll_deg), fill, -1, cv2.LINE_AA)


def _paste(scene: Field, patch: _Patch, rng: np.random.Generator) -> None:
    """Put a patch into the scene, in place: a soft, uneven outline, and light that suits its surroundings."""
    low, high = _region(scene, patch.centre - _REACH * patch.half, patch.centre + _REACH * patch.half)
    here = scene[low[1] : high[1], low[0] : high[0]]
    shape = (int(high[0] - low[0]), int(high[1] - low[1]))
    exponent = _EXPONENTS[int(rng.integers(len(_EXPONENTS)))]
    radius = _warped(_radii(exponent), patch, low, shape, cv2.INTER_LINEAR, span=_SPAN)
    radius += cv2.resize(rng.normal(0, 0.035, (6, 6)).astype(np.float32), shape, interpolation=cv2.INTER_CUBIC)
    edge, soft = rng.uniform(0.95, 1.12), rng.uniform(0.05, 0.2)
    alpha = _step((edge + soft / 2 - radius) / soft)
    ring = ((alpha > 0.01) & (alpha < 0.6)).astype(np.uint8)
    around, inside = (float(np.mean(cv2.mean(part, mask)[:3])) for part, mask in ((here, ring), (patch.pixels, None)))
    mean = np.clip(inside + rng.uniform(0.1, 0.7) * (around - inside), 50, 205)
    contrast = rng.uniform(0.75, 1.15)
    lit = patch.pixels * np.float32(contrast) + np.float32(mean - contrast * inside)
    change = _warped(lit, patch, low, shape, cv2.INTER_CUBIC) - here
    if rng.random() < 0.6 and min(shape) >= 16:  # coarse shades change over a wider border than fine ones
        coarse = resized(resized(change, (max(3, shape[1] // 12), max(3, shape[0] // 12))), shape[::-1])
        coarse *= _thrice(_step((1.25 - radius) / 0.6) - alpha)
        here += coarse
    change *= _thrice(alpha)
    here += change


def _cover(scene: Field, patch: _Patch, boxes: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Hide up to a third of a face from one side, in place, unless that hides much of another face."""
    side = float(patch.half.mean())
    angle = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    wide, tall = rng.uniform(0.5, 1.0) * side, rng.uniform(0.3, 0.7) * side
    place = patch.centre + direction * ((1 - 2 * rng.uniform(0.1, 0.33)) * side + tall)
    source = scene[int(rng.integers(scene.shape[0])), int(rng.integers(scene.shape[1]))]
    colour = (source + rng.normal(0, 20, 3)).clip(0, 255).tolist()
    reach = max(wide, tall)
    hidden = hidden_shares(np.concatenate([place - reach, place + reach])[None], boxes)[0]
    own = np.abs((boxes[:, :2] + boxes[:, 2:]) / 2 - patch.centre).max(axis=1) < 1e-6
    if (hidden[~own] <= MOST_HIDDEN).all():
        box = (tuple(place.tolist()), (2 * wide, 2 * tall), float(np.degrees(angle)) + 90)
        cv2.ellipse(scene, box, colour, -1)


def _photographed(scene: Field, rng: np.random.Generator) -> Rgb:
    """Light, colour, noise and compression of the whole picture."""
    height, width = scene.shape[:2]
    if rng.random() < 0.5:
        light = rng.uniform(0.75, 1.2, (2, 2)).astype(np.float32)
        scene = scene * _thrice(np.asarray(cv2.resize(light, (width, height)), np.float32))
    kind = rng.random()
    if kind < 0.45:
        tint = np.ones(3) if kind < 0.3 else np.array([1, rng.uniform(0.85, 1), rng.uniform(0.65, 0.95)])
        grey = cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY)
        scene = np.asarray(cv2.merge([grey * share for share in tint.astype(np.float32)]), np.float32)
    top, left = (int(place) for place in rng.integers(0, _NOISE_PX - max(height, width) + 1, 2))
    noise = _noise()[top : top + height, left : left + width]
    amount = float(rng.uniform(0, 6)) if rng.random() < 0.8 else 0.0
    image = np.asarray(cv2.addWeighted(scene, 1.0, noise, amount, 0.0, dtype=cv2.CV_8U), np.uint8)
    if rng.random() < 0.3:
        _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(45, 96))])
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return image


def _region(
    scene: Field, low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole pixels of the scene that a box touches, x before y."""
    size = np.array(scene.shape[1::-1])
    return np.floor(low).astype(np.int64).clip(0, size), np.ceil(high).astype(np.int64).clip(0, size)


def _warped(
    image: Field, patch: _Patch, low: NDArray[np.int64], shape: tuple[int, int], how: int, *, span: float = 1.0
) -> Field:
    """A square, whose edges are at ``span``, where it lies in a region of the scene; beyond them it is reflected."""
    side = 2 * span * float(patch.half.min())
    if side < 0.75 * image.shape[0]:
        small = max(4, round(side))
        image = resized(image, (small, small))
    own = image.shape[0] / 2
    linear = patch.linear * (span / own)
    shift = patch.centre - low - 0.5 - linear @ np.array([own - 0.5, own - 0.5])
    matrix = np.column_stack([linear, shift])
    warped = cv2.warpAffine(image, matrix, shape, flags=how, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, np.float32)


@lru_cache(maxsize=len(_EXPONENTS))
def _radii(exponent: float) -> Field:
    """Distance from the centre, 1 at a face's edges, that makes rounded squares of circles as the exponent grows."""
    places = _SPAN * ((np.arange(_TEMPLATE_PX) + 0.5) / (_TEMPLATE_PX / 2) - 1)
    line = np.abs(places).astype(np.float32) ** np.float32(exponent)
    radii: Field = (line[:, None] + line[None]) ** np.float32(1 / exponent)
    return radii


@lru_cache(maxsize=1)
def _noise() -> Field:
    return _thrice(np.random.default_rng(0).standard_normal((_NOISE_PX, _NOISE_PX), np.float32))


def _thrice(plane: Field) -> Field:
    """One plane as three channels."""
    return np.asarray(cv2.merge((plane, plane, plane)), np.float32)


def _step(share: Field) -> Field:
    """From 0 to 1, smooth at both ends."""
    clipped = share.clip(0, 1)
    smooth: Field = (clipped * clipped * (3 - 2 * clipped)).astype(np.float32)
    return smooth
