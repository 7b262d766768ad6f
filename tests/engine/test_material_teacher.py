"""What teachers that look on are shown."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch

from mien.data.loader import Epoch, Faces
from mien.engine import material_teacher as module
from mien.engine.material import gather
from mien.engine.material_teacher import looks_of
from mien.losses.distillation import Distillation
from mien.recipes import find
from mien.schema.errors import ConfigError
from mien.schema.inputs import CROPS, ImageSpec

TINY = find("product_cross_small_synthetic_tiny")
OWN = TINY.model.inputs()["image"]
RUN = replace(
    TINY,
    data=replace(TINY.data, limit=16),
    loss=replace(TINY.loss, target="distribution"),
    added=(Distillation(),),
    augment=replace(TINY.augment, flip=0.5, mixup=0.5),
    teachers=("a", "b", "c", "d"),
)


@dataclass(frozen=True)
class Shown:
    """What is read of a teacher's bundle: how it was shown faces."""

    name: str
    spec: ImageSpec = OWN
    provenance: dict[str, Any] = field(default_factory=lambda: {"crop": "face"})
    hash12: str = "0" * 12

    def image_spec(self) -> ImageSpec:
        return self.spec


WHOLE = {"crop": "whole"}
TEACHERS = {
    "a": Shown("a"),
    "b": Shown("b", provenance=WHOLE),
    "c": Shown("c", spec=replace(OWN, crop=CROPS["face_v2"], size_px=40)),
    "d": Shown("d", provenance=WHOLE),
}


def test_each_teacher_is_shown_faces_as_it_was_trained_to_see_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_bundle", TEACHERS.__getitem__)
    material = gather(RUN, None, progress=False)
    train = material.train
    assert isinstance(train, Faces)
    assert looks_of(RUN, list(TEACHERS.values())) == ["image", "look_1", "look_2", "look_1"]
    assert train.looks.keys() == {"look_1", "look_2"}
    assert train.looks["look_1"].pictures is train.pictures
    assert isinstance(material.select, Faces)
    assert not material.select.looks
    assert material.teacher == {"bundles": [f"{name}@{'0' * 12}" for name in TEACHERS]}
    train.epoch = Epoch(np.arange(6), seed=1)
    batch = train.__getitems__(range(6))
    whole = gather(replace(RUN, crop="whole", added=(), teachers=()), None, progress=False).train
    assert isinstance(whole, Faces)
    whole.epoch = train.epoch
    assert torch.equal(batch["look_1"], whole.__getitems__(range(6))["image"])
    assert batch["look_2"].shape == (6, 3, 40, 40)


def test_a_student_of_whole_pictures_cannot_show_aligned_faces() -> None:
    with pytest.raises(ConfigError, match="a was shown aligned faces, which a run with crop=whole does not look for"):
        looks_of(replace(RUN, crop="whole"), [TEACHERS["b"], TEACHERS["a"]])  # type: ignore[list-item]
