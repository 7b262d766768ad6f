from collections import namedtuple

import pytest
import torch

from mien.losses.reaction import ReactionLoss
from mien.schema.errors import ConfigError
from mien.schema.labels import HUME_REACTION

Outputs = namedtuple("Outputs", "intensity class_logits")
INTENSITY = torch.tensor([[1.0, 0.2, 0, 0, 0.5, 0, 1.0], [0.1, 0.3, 1 - 1e-7, 0, 0, 0, 0.9]])


def test_equation_8_by_hand():
    outputs = Outputs(torch.full((2, 7), 0.4), torch.randn(2, 7, generator=torch.Generator().manual_seed(0)))
    found = ReactionLoss().build(HUME_REACTION)(outputs, {"intensity": INTENSITY})
    logs = outputs.class_logits.log_softmax(1)
    entropy = -(logs[0, 0] + logs[0, 6] + logs[1, 2]) / 2
    squared = ((0.4 - INTENSITY) ** 2).mean()
    torch.testing.assert_close(found["loss"], squared + 0.01 * entropy)


def test_several_ones_are_counted_shared_or_chosen_from():
    sums = {kind: ReactionLoss(class_target=kind).class_of(INTENSITY).sum(1).tolist()
            for kind in ("indicator", "normalized", "argmax")}  # fmt: skip
    assert sums == {"indicator": [2, 1], "normalized": [1, 1], "argmax": [1, 1]}
    assert ReactionLoss(class_target="argmax").class_of(INTENSITY).argmax(1).tolist() == [0, 2]


def test_without_beta_the_class_head_learns_nothing():
    outputs = Outputs(torch.full((2, 7), 0.4, requires_grad=True), torch.zeros(2, 7, requires_grad=True))
    ReactionLoss(beta=0.0).build(HUME_REACTION)(outputs, {"intensity": INTENSITY})["loss"].backward()
    assert outputs.class_logits.grad is None
    assert outputs.intensity.grad.any()


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match="at least 0"):
        ReactionLoss(beta=-1.0)
    with pytest.raises(ConfigError, match="label set"):
        ReactionLoss().build(None)
