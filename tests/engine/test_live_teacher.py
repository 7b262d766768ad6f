from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mien.engine import live_teacher as module
from mien.engine.live_teacher import LiveTeacher
from mien.recipes import find
from mien.schema.errors import ConfigError
from mien.schema.inputs import ImageSpec
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
    side: int = SIDE
    model_config: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.task = {"name": "classify", "temperature": self.temperature}

    def image_spec(self) -> ImageSpec:
        return ImageSpec(size_px=self.side)

    def network(self) -> torch.nn.Module:
        torch.manual_seed(self.seed)
        built: torch.nn.Module = replace(MODEL, **self.model_config).build(BASIC_7)
        return built.eval()


def live(members: Any, names: Sequence[str], **options: Any) -> LiveTeacher:
    return LiveTeacher(members, names, BASIC_7, **options)


class Graph:
    """A session of a network."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> dict[str, np.ndarray]:
        return {"logits": self.network(torch.from_numpy(image)).logits.numpy()}


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """How bundles were opened: as graphs or by torch, and with what options."""
    found: list[tuple[str, dict[str, Any]]] = []

    def session(bundle: Any, **options: Any) -> Graph:
        found.append(("graph", options))
        return Graph(bundle.network())

    def network(bundle: Any) -> torch.nn.Module:
        found.append(("torch", {}))
        built: torch.nn.Module = bundle.network()
        return built

    monkeypatch.setattr(module, "open_session", session)
    monkeypatch.setattr(module, "build_network", network)
    return found


@pytest.mark.parametrize(("side", "how"), [(SIDE, "graph"), (2 * SIDE, "torch")])
def test_each_answers_for_the_picture_and_its_mirror_image_at_its_temperature(side: int, how: str, opened) -> None:
    members = [Seeded(0, side=side), Seeded(1, temperature=2.5, side=side)]
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
    assert [kind for kind, _ in opened] == [how, how]


def test_each_looks_at_what_is_its_own_in_the_batch() -> None:
    batch = {"image": torch.randn(2, 3, SIDE, SIDE), "look_1": torch.randn(2, 3, SIDE, SIDE)}
    both = live([Seeded(0), Seeded(0)], ["image", "look_1"])(batch)
    alone = [live([Seeded(0)], [name])(batch) for name in batch]
    torch.testing.assert_close(both, torch.stack(alone).mean(0))
    assert not torch.allclose(*alone)


class Sided(torch.nn.Module):
    """Sees only how bright the left and the right half are."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, image: torch.Tensor) -> SimpleNamespace:
        left, right = image.chunk(2, dim=-1)
        return SimpleNamespace(logits=self.gain * torch.stack([left.mean((1, 2, 3)), right.mean((1, 2, 3))], 1))


def test_either_is_the_picture_or_its_mirror_image_and_on_average_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_session", lambda *_, **__: Graph(Sided()))
    image = torch.ones(64, 3, SIDE, SIDE)
    image[..., : SIDE // 2] = 3.0
    torch.manual_seed(3)
    found = live([Seeded(0)], ["image"], looks="either")({"image": image})
    left, right = torch.tensor([3.0, 1.0]).softmax(0).tolist()
    is_mirrored = found[:, 0] < 0.5
    assert 16 < is_mirrored.sum() < 48
    expected = torch.where(is_mirrored[:, None], torch.tensor([right, left]), torch.tensor([left, right]))
    torch.testing.assert_close(found, expected)
    both = live([Seeded(0)], ["image"])({"image": image})
    torch.testing.assert_close(both, torch.full((64, 2), 0.5))


def test_mixed_precision_answers_nearly_the_same_in_float32(opened) -> None:
    image = torch.randn(2, 3, SIDE, SIDE)
    exact, mixed = (live([Seeded(0, side=1)], ["image"], is_mixed=one)({"image": image}) for one in (False, True))
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, exact, atol=0.02, rtol=0)
    for is_mixed in (False, True):
        live([Seeded(0)], ["image"], is_mixed=is_mixed)({"image": image})
    threads = torch.get_num_threads()
    assert opened[2:] == [("graph", {"precision": one, "threads": threads}) for one in ("fp32", "bf16")]


def test_a_teacher_of_other_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match="seeded names: neutral"):
        live([Seeded(0, labels=FERPLUS)], ["image"])
    with pytest.raises(ConfigError, match="seeded names: none"):
        live([Seeded(0, labels=None)], ["image"])


@pytest.mark.parametrize(("side", "looks", "seen"), [(SIDE, "both", [4]), (1, "both", [2, 2]), (SIDE, "either", [2])])
def test_a_teacher_that_mirrors_by_itself_is_not_asked_twice_as_often(
    side: int, looks: Any, seen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    mirroring = Seeded(0, side=side, model_config={"flip_test": True})
    network, sizes = mirroring.network(), []
    network.image.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    monkeypatch.setattr(module, "open_session", lambda *_, **__: Graph(network))
    monkeypatch.setattr(module, "build_network", lambda _: network)
    image = torch.randn(2, 3, SIDE, SIDE)
    torch.manual_seed(1)
    found = live([mirroring], ["image"], looks=looks)({"image": image})
    assert sizes == seen
    torch.manual_seed(1)
    plain = Seeded(0).network()
    monkeypatch.setattr(module, "build_network", lambda _: plain)
    wanted = live([Seeded(0, side=1)], ["image"], looks=looks)({"image": image})
    torch.testing.assert_close(
        found, wanted, atol=1e-3, rtol=0
    )  # logits are averaged in one, probabilities in the other
