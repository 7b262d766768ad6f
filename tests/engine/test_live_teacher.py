from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from mien.engine import live_teacher as module
from mien.engine.live_teacher import LiveTeacher
from mien.recipes import find
from mien.schema.errors import ConfigError
from mien.schema.labels import BASIC_7, FERPLUS, LabelSet

MODEL = find("product_cross_small_synthetic_tiny").model
SIDE = MODEL.inputs()["image"].size_px


@dataclass
class Seeded:
    """What a teacher is built from, in place of a bundle: a tiny network with random weights."""

    seed: int
    temperature: float = 1.0
    labels: LabelSet | None = BASIC_7
    name: str = "seeded"
    task: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.task = {"name": "classify", "temperature": self.temperature}

    def network(self) -> torch.nn.Module:
        torch.manual_seed(self.seed)
        built: torch.nn.Module = MODEL.build(BASIC_7)
        return built.eval()


def live(members: Any, names: Sequence[str], **options: Any) -> LiveTeacher:
    return LiveTeacher(members, names, BASIC_7, **options)


@pytest.fixture(autouse=True)
def seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "build_network", lambda bundle: bundle.network())


def test_each_answers_for_the_picture_and_its_mirror_image_at_its_temperature() -> None:
    members = [Seeded(0), Seeded(1, temperature=2.5)]
    image = torch.randn(3, 3, SIDE, SIDE)
    teacher = live(members, ["image", "image"])
    found = teacher({"image": image})
    with torch.no_grad():
        wanted = [
            (one.network()(view).logits / one.temperature).softmax(1)
            for one in members
            for view in (image, image.flip(-1))
        ]
    torch.testing.assert_close(found, torch.stack(wanted).mean(0))
    mirrored = teacher({"image": image.flip(-1)})
    torch.testing.assert_close(found, mirrored)
    assert not found.requires_grad


def test_each_looks_at_what_is_its_own_in_the_batch() -> None:
    batch = {"image": torch.randn(2, 3, SIDE, SIDE), "look_1": torch.randn(2, 3, SIDE, SIDE)}
    both = live([Seeded(0), Seeded(0)], ["image", "look_1"])(batch)
    alone = [live([Seeded(0)], [name])(batch) for name in batch]
    torch.testing.assert_close(both, torch.stack(alone).mean(0))
    assert not torch.allclose(*alone)


def test_either_is_the_picture_or_its_mirror_image_and_on_average_both() -> None:
    image = torch.randn(1, 3, SIDE, SIDE).expand(64, -1, -1, -1)
    batch = {"image": image}
    torch.manual_seed(3)
    found = live([Seeded(0)], ["image"], looks="either")(batch)
    with torch.no_grad():
        each = Seeded(0).network()(torch.cat([image[:1], image[:1].flip(-1)])).logits.softmax(1)
    is_first = torch.isclose(found, each[0], atol=1e-5).all(1)
    is_second = torch.isclose(found, each[1], atol=1e-5).all(1)
    assert (is_first ^ is_second).all()
    assert 16 < is_first.sum() < 48
    both = live([Seeded(0)], ["image"])(batch)
    torch.testing.assert_close(both[0], each.mean(0))


def test_mixed_precision_answers_nearly_the_same_in_float32() -> None:
    image = torch.randn(2, 3, SIDE, SIDE)
    exact, mixed = (live([Seeded(0)], ["image"], is_mixed=one)({"image": image}) for one in (False, True))
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, exact, atol=0.02, rtol=0)


def test_a_teacher_of_other_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match="seeded names: neutral"):
        live([Seeded(0, labels=FERPLUS)], ["image"])
    with pytest.raises(ConfigError, match="seeded names: none"):
        live([Seeded(0, labels=None)], ["image"])
