"""Pixels of a drawn face, from back to front: background, hair, skin, features, things worn, light, camera."""

import math

import cv2
import numpy as np

from mien.data.drawing.look import Look
from mien.data.drawing.pen import (
    SHIFT,
    Image,
    Mask,
    about,
    any_colour,
    blend,
    curve,
    darker,
    disc,
    fill,
    fixed,
    mix,
    stroke,
    window,
)
from mien.data.drawing.shape import Points, Projected

SIDE_PX = 128
_COARSE = 32
_GRID = np.meshgrid(*[(np.arange(_COARSE) + 0.5) * (SIDE_PX / _COARSE) - 0.5] * 2)


def paint(
    face: Projected,
    units: dict[str, float],
    look: Look,
    rng: np.random.Generator,
    *,
    camera: np.random.Generator | None = None,
) -> Image:
    """Draw a face: ``uint8 [128, 128, 3]``, RGB.

    Args:
        face: where its points fall, pixels; whole numbers are the middles of pixels.
        units: activation of each action unit, by name: some also make lines in the skin.
        look: colours, hair, light.
        rng: source of chance for the background and, where ``camera`` is not given, the noise.
        camera: source of chance for the noise, which in a clip is another one in each frame.
    """
    image = _background(rng)
    outline = curve(np.concatenate([face.points[:17], face.skull[::-1]]), closed=True)
    _back(image, face, look)
    _head(image, face, outline, look)
    image = _shade_skin(image, face, units, look)
    _nose(image, face, look)
    _mouth(image, face, look)
    for eye, iris in ((slice(36, 42), face.irises[0]), (slice(42, 48), face.irises[1])):
        _eye(image, face.points[eye], iris, face.scale, look)
    _brows(image, face, look)
    _front(image, face, look, rng)
    _worn(image, face, look)
    image = _lit(image, face, outline, look)
    if look.occluder:
        _occlude(image, face, rng)
    return _taken(image, look, camera or rng)


def _background(rng: np.random.Generator) -> Image:
    grey, spread = rng.uniform(30, 225), rng.uniform(4, 40)
    coarse = grey + rng.normal(0, spread, (6, 6, 1)) + rng.normal(0, 14, 3) + rng.normal(0, 0.3 * spread, (6, 6, 3))
    coarse = np.clip(coarse, 0, 255).astype(np.uint8)
    image = np.asarray(cv2.resize(coarse, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC), np.uint8)
    for _ in range(int(rng.integers(0, 4))):
        fill(image, rng.uniform(-20, SIDE_PX + 20, (4, 2)), any_colour(rng))
    return np.asarray(cv2.blur(image, (5, 5)), np.uint8)


def _back(image: Image, face: Projected, look: Look) -> None:
    """Shoulders, neck and the hair that falls behind them."""
    p, s = face.points, face.scale
    chin, crown = p[8], face.skull[4]
    down = (chin - crown) / math.dist(chin, crown)
    across = np.array([down[1], -down[0]])
    centre = (p[27] + p[30]) / 2
    if look.style in ("bob", "long", "round"):
        factor = {"bob": 1.18, "long": 1.16, "round": 1.38}[look.style]
        hair = about(np.concatenate([p[2:3], p[0:1], face.skull, p[16:17], p[14:15]]), centre, factor)
        if look.style != "round":
            tail = (0.5 if look.style == "bob" else 1.6) * s * down
            hair = np.concatenate([hair[:1] + tail, hair, hair[-1:] + tail])
        fill(image, curve(hair, closed=True), darker(look.hair, 0.8))
    elif look.style == "scarf":
        scarf = about(np.concatenate([p[:17], face.skull[::-1]]), centre, 1.2)
        fill(image, curve(scarf, closed=True), look.cloth)
    neck = chin + np.outer([-0.5, 0.55], down * s)
    half = across * s * 0.6
    sideways, drop = np.array([-2.2, -0.7, 0.7, 2.2])[:, None], np.array([0.5, -0.1, -0.1, 0.5])[:, None]
    shoulders = neck[1] + sideways * across * s + drop * down * s
    fill(image, np.concatenate([shoulders, shoulders[::-1] + down * s * 3]), look.cloth)
    if look.style != "scarf":
        sides = np.stack([neck[0] - half, neck[0] + half, neck[1] + half, neck[1] - half])
        fill(image, sides, darker(look.skin, 0.72))


def _head(image: Image, face: Projected, outline: Points, look: Look) -> None:
    s = face.scale
    for ear in face.ears if look.style != "scarf" else ():
        axes = (int(0.13 * s * 16), int(0.26 * s * 16))
        x, y = (int(v) for v in fixed(ear))
        angle = float(np.degrees(face.roll))
        cv2.ellipse(image, (x, y), axes, angle, 0, 360, darker(look.skin, 0.85), -1, cv2.LINE_AA, SHIFT)
    fill(image, outline, look.skin)


def _shade_skin(image: Image, face: Projected, units: dict[str, float], look: Look) -> Image:
    """Soft hollows, and the lines that units and age fold into the skin."""
    p, s = face.points, face.scale
    soft, fine = np.zeros((2, SIDE_PX, SIDE_PX), np.uint8)
    for eye in (slice(36, 42), slice(42, 48)):
        disc(soft, p[eye].mean(axis=0) - (0, 0.03 * s), 0.27 * s, 70)
    fill(soft, np.stack([p[31], p[33] + (0, 0.02 * s), p[35], p[33] + (0, 0.13 * s)]), 130)
    stroke(soft, p[56:60] + np.array([0, 0.10 * s]), 110, 2)
    lit_side = -1 if look.light[0] > 0 else 1
    stroke(soft, np.stack([p[27], p[29] + (lit_side * 0.10 * s, 0), p[35 if lit_side > 0 else 31]]), 90, 3)
    _lines(fine, face, units, look.age)
    bright = np.zeros_like(soft)
    stroke(bright, p[27:31], 90, 2)
    for cheek in (p[[1, 31, 48]], p[[15, 35, 54]]):
        disc(bright, cheek.mean(axis=0), 0.17 * s, 35 + int(60 * max(0.0, units["cheek_raise"])))
    shade = cv2.addWeighted(cv2.blur(cv2.blur(soft, (5, 5)), (5, 5)), 0.5, cv2.blur(fine, (2, 2)), 0.75, 0)
    bright = np.asarray(cv2.blur(bright, (7, 7)), np.uint8)
    image = np.asarray(cv2.multiply(image, 255 - cv2.merge([shade] * 3), scale=1 / 255), np.uint8)
    return np.asarray(cv2.add(image, cv2.merge([bright // 2, bright // 3, bright // 4])), np.uint8)


def _lines(fine: Mask, face: Projected, units: dict[str, float], age: float) -> None:
    p, s = face.points, face.scale
    up = (face.skull[4] - p[27]) / math.dist(face.skull[4], p[27])
    u = {name: max(0.0, value) for name, value in units.items()}

    def fold(knots: Points, depth: float) -> None:
        if depth > 0.08:
            stroke(fine, curve(knots), int(min(220, 230 * depth)))

    smile = max(u["lip_corner_pull"], u["upper_lip_raise"], u["nose_wrinkle"], 0.5 * u["cheek_raise"])
    ala, corner = p[[31, 35]], p[[48, 54]]
    beside = np.array([[-0.13 * s, 0], [0.13 * s, 0]])
    laugh = (ala + beside * 0.4 - (0, 0.05 * s), (ala + corner) / 2 + beside * 0.8, corner + beside)
    fold(np.stack(laugh, axis=1), 0.25 * age + 0.8 * smile)
    foot = p[[21, 22]] + ((0.06 * s, 0.02 * s), (-0.06 * s, 0.02 * s))
    fold(
        np.stack([foot - up * 0.02 * s, foot + up * 0.17 * s], axis=1),
        0.9 * max(u["brow_lower"], 0.6 * u["nose_wrinkle"]),
    )
    wide = p[18:26] if u["outer_brow_raise"] >= 0.5 * u["inner_brow_raise"] else p[20:24]
    arch = 0.5 * wide + 0.5 * wide.mean(axis=0)
    fold(arch + up * (_ROWS * s), 0.2 * age + 0.6 * max(u["inner_brow_raise"], u["outer_brow_raise"]))
    fold(p[27] - up * (_ROWS[:2] * 0.4 * s) + _BRIDGE * s, u["nose_wrinkle"])
    corners, inner = p[[36, 45]], p[[39, 42]]
    rays = (corners[:, None, None] + _RAYS * s).reshape(6, 2, 2)
    fold(rays, 0.2 * age + 0.5 * u["cheek_raise"])
    bag = np.stack([inner, (corners + inner) / 2 + (0, 0.20 * s), corners], axis=1)
    bag = 0.85 * bag + 0.15 * bag.mean(axis=1, keepdims=True) + (0, 0.04 * s)
    fold(bag, 0.15 + 0.3 * age + 0.4 * max(u["cheek_raise"], u["lid_tighten"]))


_ROWS = np.array([0.22, 0.36, 0.50])[:, None, None]
_BRIDGE = np.array([(-0.13, 0.0), (0.0, -0.04), (0.13, 0.0)])
_RAYS = np.array([[[(d * 0.06, y / 2), (d * 0.21, y * 1.5)] for y in (-0.10, 0.02, 0.14)] for d in (-1, 1)])


def _nose(image: Image, face: Projected, look: Look) -> None:
    p, s = face.points, face.scale
    dark = darker(look.skin, 0.5)
    stroke(image, curve(p[31:36]), darker(look.skin, 0.66))
    for nostril in (p[32], p[34]):
        disc(image, nostril - (0, 0.02 * s), 0.045 * s, dark)


def _mouth(image: Image, face: Projected, look: Look) -> None:
    p, s = face.points, face.scale
    red = mix(look.skin, (178, 52, 62), 0.25 + 0.5 * look.lips)
    upper = np.concatenate([curve(p[48:55]), curve(p[[64, 63, 62, 61, 60]])])
    lower = np.concatenate([curve(p[[54, 55, 56, 57, 58, 59, 48]]), curve(p[[60, 67, 66, 65, 64]])])
    inner = np.concatenate([curve(p[60:65]), curve(p[[64, 65, 66, 67, 60]])])
    fill(image, np.concatenate([curve(p[48:55]), curve(p[[54, 55, 56, 57, 58, 59, 48]])]), red)
    fill(image, upper, darker(red, 0.86))
    fill(image, lower, red)
    opening = math.dist(p[66], p[62])
    if opening > 0.045 * s:
        _inside(image, inner, p, s, opening)
    else:
        stroke(image, curve(p[[48, 60, 61, 62, 63, 64, 54]]), darker(red, 0.42))


def _inside(image: Image, inner: Points, p: Points, s: float, opening: float) -> None:
    """Teeth and tongue, cut to the opening of the lips."""
    view, corner = window(image, inner)
    inner, p = inner - corner, p - corner
    drawn = np.full_like(view, (58, 18, 22))
    disc(drawn, p[66] - (0, 0.02 * s), 0.17 * s, (168, 78, 84))
    down = (p[66] - p[62]) / opening
    lip = curve(p[60:65])
    lip -= np.maximum(0, (lip - p[62]) @ down)[:, None] * down
    roundness = opening / (math.dist(p[64], p[60]) + 1e-6)
    tooth = down * min(0.13 * s * np.clip(1.2 - 1.7 * roundness, 0.25, 1), 0.5 * opening)
    fill(drawn, np.concatenate([lip - tooth, lip[::-1] + tooth]), (232, 228, 218))
    opened = np.zeros(view.shape[:2], np.uint8)
    fill(opened, inner, 255)
    blend(view, drawn, opened)


def _eye(image: Image, eye: Points, iris: Points, s: float, look: Look) -> None:
    upper, lower = curve(eye[:4]), curve(eye[[3, 4, 5, 0]])
    view, corner = window(image, eye)
    drawn = np.full_like(view, (238, 236, 232))
    looking = iris + np.array(look.gaze) * (0.07 * s, 0.04 * s) - corner
    disc(drawn, looking, 0.112 * s, darker(look.iris, 0.6))
    disc(drawn, looking, 0.095 * s, look.iris)
    disc(drawn, looking, 0.048 * s, (12, 10, 10))
    disc(drawn, looking + np.array([0.04 * s * np.sign(look.light[0]), -0.045 * s]), 0.026 * s, (255, 255, 255))
    opened = np.zeros(view.shape[:2], np.uint8)
    fill(opened, np.concatenate([upper, lower]) - corner, 255)
    blend(view, drawn, opened)
    crease = upper + (upper - iris) * 0.25 - (0, 0.035 * s)
    stroke(image, crease, darker(look.skin, 0.68))
    stroke(image, lower, darker(look.skin, 0.62))
    stroke(image, upper, mix(darker(look.skin, 0.25), (20, 14, 14), 0.6), 2)


def _brows(image: Image, face: Projected, look: Look) -> None:
    colour = mix(look.hair, darker(look.skin, 0.5), 0.3)
    taper = np.array([0.35, 0.9, 1.0, 1.1, 0.9])[:, None]
    for brow, outer_first in ((face.points[17:22], True), (face.points[22:27], False)):
        along = brow[-1] - brow[0]
        normal = np.array([-along[1], along[0]]) / math.hypot(*along)
        half = normal * look.brow_width * 0.5 * face.scale * (taper if outer_first else taper[::-1])
        fill(image, np.concatenate([curve(brow - half), curve((brow + half)[::-1])]), colour)


def _front(image: Image, face: Projected, look: Look, rng: np.random.Generator) -> None:
    """Hair over the forehead, a cap or a scarf, a beard."""
    p, s, skull = face.points, face.scale, face.skull
    if look.beard:
        _beard(image, face, look)
    if look.style == "none":
        return
    centre = (p[27] + p[30]) / 2
    share = {"cap": 0.28, "scarf": 0.22}.get(look.style, look.hairline)
    inner = skull + (p[27] - skull) * share * np.sin(np.linspace(0.25, np.pi - 0.25, 9))[:, None]
    if look.style in ("short", "bob", "long", "round"):
        inner[1:8] += (p[27] - skull[1:8]) * rng.uniform(-0.05, 0.05, (7, 1))
        inner[4] += (skull[4 + int(np.sign(look.parting))] - skull[4]) * 0.3 + (skull[4] - p[27]) * 0.1
    grown = about(skull, centre, {"round": 1.34, "cap": 1.12, "scarf": 1.18}.get(look.style, 1.13))
    shape = np.concatenate([p[:1], curve(grown), p[16:17], curve(inner[::-1])])
    colour = look.cloth if look.style in ("cap", "scarf") else look.hair
    fill(image, shape, colour)
    if look.style in ("cap", "scarf"):
        stroke(image, curve(inner), darker(colour, 0.6), 2)
        return
    strands = np.stack([grown, (grown + inner) / 2 + rng.normal(0, 0.03 * s, (9, 2)), inner], axis=1)
    for start in range(3):
        stroke(image, curve(strands[1 + start : 8 : 3]), darker(colour, float(rng.uniform(0.75, 1.45))))
    if look.style in ("bob", "long"):
        for side in (p[[0, 1, 2, 3]], p[[16, 15, 14, 13]]):
            strand = np.concatenate([about(side, centre, 1.0), about(side, centre, 1.2)[::-1]])
            fill(image, curve(strand, closed=True), darker(colour, 0.92))


def _beard(image: Image, face: Projected, look: Look) -> None:
    p, s = face.points, face.scale
    edge = curve(p[2:15])
    lip = curve(p[[13, 54, 53, 51, 49, 48, 3]] + np.array([0, -0.07 * s]))
    cover = np.zeros(image.shape[:2], np.uint8)
    fill(cover, np.concatenate([edge, lip]), int(215 * look.beard))
    fill(cover, about(curve(p[48:60], closed=True), p[48:60].mean(axis=0), 1.12), 0)
    cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), 1.2), np.uint8)
    blend(image, np.full_like(image, mix(look.hair, look.skin, 0.15)), cover)


def _worn(image: Image, face: Projected, look: Look) -> None:
    if look.glasses == 0:
        return
    p, s = face.points, face.scale
    frame = darker(look.cloth, 0.35)
    middles = p[36:48].reshape(2, 6, 2).mean(axis=1) + np.array([0, 0.04 * s])
    axes = (int(0.33 * s * 16), int(0.26 * s * 16))
    for middle in middles:
        x, y = (int(v) for v in fixed(middle))
        width = -1 if look.glasses == 2 else 2
        angle = float(np.degrees(face.roll))
        cv2.ellipse(image, (x, y), axes, angle, 0, 360, frame, width, cv2.LINE_AA, SHIFT)
    across = (middles[1] - middles[0]) / math.dist(*middles)
    stroke(image, np.stack([middles[0] + across * 0.33 * s, middles[1] - across * 0.33 * s]), frame, 2)
    stroke(image, np.stack([middles[0] - across * 0.33 * s, face.ears[0] - (0, 0.1 * s)]), frame)
    stroke(image, np.stack([middles[1] + across * 0.33 * s, face.ears[1] - (0, 0.1 * s)]), frame)


def _lit(image: Image, face: Projected, outline: Points, look: Look) -> Image:
    """Light from one side on an ellipsoid in place of the head, computed at a quarter of the size."""
    x, y = _GRID
    middle = (face.points[8] + face.skull[4]) / 2
    u, v = (x - middle[0]) / (1.25 * face.scale), (y - middle[1]) / (1.65 * face.scale)
    flat = u * u + v * v
    depth = np.sqrt(np.maximum(0.06, 1 - flat))
    towards = np.array([look.light[0], look.light[1], 0.9]) / math.hypot(*look.light, 0.9)
    facing = (u * towards[0] + v * towards[1] + depth * towards[2]) / np.sqrt(flat + depth * depth)
    head = np.zeros((_COARSE, _COARSE), np.uint8)
    fill(head, about(outline, middle, 1.15) * (_COARSE / SIDE_PX), 255)
    on_head = cv2.blur(head, (3, 3)) * (0.65 / 255) + 0.35
    light = 1 + on_head * look.contrast * (1.25 * np.maximum(facing, 0.0) - 0.95)
    coloured = (light[..., None] * np.multiply(look.gain, 128)).astype(np.uint8)
    grown = cv2.resize(coloured, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(image, grown, scale=1 / 128), np.uint8)


def _occlude(image: Image, face: Projected, rng: np.random.Generator) -> None:
    """A blob of one colour (a hand, a cup, a scarf) over the edge of the face."""
    centre = face.points[int(rng.integers(0, 17))] + rng.normal(0, 0.25 * face.scale, 2)
    angles = np.linspace(0, 2 * np.pi, 9)[:-1]
    radii = face.scale * rng.uniform(0.35, 0.75) * rng.uniform(0.7, 1.3, 8)
    blob = centre + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
    fill(image, curve(blob, closed=True), any_colour(rng))


def _taken(image: Image, look: Look, rng: np.random.Generator) -> Image:
    """What the camera adds: blur and noise."""
    if look.blur > 0.15:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), look.blur), np.uint8)
    chance = np.frombuffer(rng.bytes(2 * image.size), np.uint8).reshape(2, *image.shape)
    weight = look.noise / 104.5  # the sum of two bytes has a standard deviation of 104.5
    noise = cv2.addWeighted(chance[0], weight, chance[1], weight, -255 * weight, dtype=cv2.CV_16S)
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)
