"""Composed scenes: each face lies where the layout says, the seed alone decides, and FERPlus stays grey inside."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.data import composing
from mien.data.backgrounds import installed
from mien.data.composing import compose
from mien.data.scenes import RENDERER, Layout, layout, portrait, portraits
from mien.media.image import read_source
from mien.schema.sample import Composed


def scene(root: Path, index: int, split: str = "train", seed: int = 0, material: tuple[str, ...] = ()) -> Composed:
    return Composed(RENDERER, root, split, index, seed, material)


def plan_of(source: Composed) -> Layout:
    return layout(source.index, source.seed, source.split, portraits(source.root)[source.split])


def likeness(image: np.ndarray, face: np.ndarray, linear: np.ndarray, centre: np.ndarray) -> float:
    """Correlation of a face with what is seen at its place, brought back to 48 pixels, within 0.8 of its radius."""
    line = (np.arange(48) + 0.5) / 24 - 1
    grid = np.stack(np.meshgrid(line, line), axis=-1)
    places = (grid @ linear.T + centre - 0.5).astype(np.float32)
    smooth = cv2.GaussianBlur(image, (0, 0), max(0.3, float(np.linalg.norm(linear[:, 0])) / 48))
    seen = cv2.remap(smooth.astype(np.float32), places[..., 0], places[..., 1], cv2.INTER_LINEAR).mean(2)
    inside = (grid**2).sum(-1) < 0.8**2
    return float(np.corrcoef(seen[inside], face[inside].astype(float))[0, 1])


@pytest.fixture
def uncovered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composing, "_cover", lambda *_: None)


@pytest.mark.usefixtures("uncovered")
def test_each_face_is_where_its_box_says(ferplus_root: Path) -> None:
    right, wrong = [], []
    for index in range(14):
        source = scene(ferplus_root, index)
        image, plan = compose(source), plan_of(source)
        assert image.shape == (*plan.shape, 3)
        assert image.dtype == np.uint8
        for number, linear, centre in zip(plan.faces.tolist(), plan.linear, plan.centres, strict=True):
            face = portrait(ferplus_root, "train", number)
            right.append(likeness(image, face, linear, centre))
            wrong.append(likeness(image, face, linear * (-1, 1), centre))
    assert len(right) > 40
    assert np.median(right) > 0.95
    assert np.mean(np.array(right) > 0.8) > 0.95
    assert np.median(wrong) < 0.5


def test_the_same_source_gives_the_same_pixels(ferplus_root: Path) -> None:
    first, again = (read_source(scene(ferplus_root, 5, material=installed())) for _ in range(2))
    assert np.array_equal(first, again)
    others = [scene(ferplus_root, 6), scene(ferplus_root, 5, seed=1), scene(ferplus_root, 5, split="valid")]
    for other in others:
        image = read_source(other)
        assert image.shape != first.shape or not np.array_equal(image, first)


def test_some_scenes_are_grey_or_tinted_as_a_whole_and_others_coloured(ferplus_root: Path) -> None:
    spread = []
    for index in range(20):
        image = compose(scene(ferplus_root, index, split="valid")).astype(int)
        spread.append(float(np.ptp(image, axis=2).mean()))
    assert 3 < sum(s < 6 for s in spread) < 13
    assert sum(s > 20 for s in spread) > 5


@pytest.mark.usefixtures("uncovered")
def test_decoys_lie_clear_of_the_faces(ferplus_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, make = [], composing._decoys

    def remembered(scene: np.ndarray, plan: Layout, *rest: object) -> list:
        made = make(scene, plan, *rest)
        found.append((plan, list(made)))
        return made

    monkeypatch.setattr(composing, "_decoys", remembered)
    for index in range(20):
        compose(scene(ferplus_root, index))
    assert sum(len(decoys) for _, decoys in found) > 4
    for plan, decoys in found:
        for decoy in decoys:
            box = np.concatenate([decoy.centre - decoy.half, decoy.centre + decoy.half])
            assert (box >= 0).all()
            apart = (plan.boxes[:, :2] >= box[2:]) | (plan.boxes[:, 2:] <= box[:2])
            assert apart.any(axis=1).all()


def test_a_face_is_covered_by_a_third_at_most(ferplus_root: Path) -> None:
    rng = np.random.default_rng(0)
    patch = composing._Patch(np.zeros((48, 48, 3), np.float32), 50 * np.eye(2), np.array([100.0, 100.0]))
    boxes = np.array([[50, 50, 150, 150.0]])
    shares = []
    for _ in range(60):
        image = np.tile(np.arange(200, dtype=np.float32)[:, None, None], (1, 200, 3))
        before = image.copy()
        composing._cover(image, patch, boxes, rng)
        shares.append(float((image != before).any(2)[50:150, 50:150].mean()))
    assert min(shares) > 0
    assert max(shares) < 0.34
    image = np.zeros((200, 200, 3), np.float32)
    crowded = np.array(
        [[50, 50, 150, 150], [40, 40, 60, 60], [140, 40, 160, 60], [40, 140, 60, 160], [140, 140, 160, 160.0]]
    )
    for other in ([0, 80, 60, 120], [140, 80, 200, 120], [80, 0, 120, 60], [80, 140, 120, 200]):
        crowded = np.concatenate([crowded, np.array([other], float)])
    for _ in range(20):
        composing._cover(image, patch, crowded, rng)
    assert not image.any()
