from collections import namedtuple

import pytest
import torch
from torch.nn import functional as F

from mien.losses.focal import Focal
from mien.schema.errors import ConfigError
from mien.schema.labels import FERPLUS

Frames = namedtuple("Frames", "logits")
Members = namedtuple("Members", "logits member_logits")
LABEL = torch.tensor([[0, 3, -1], [7, -1, 2]])


def logits(*shape):
    return torch.randn(*shape, 8, generator=torch.Generator().manual_seed(0))


def value(loss, outputs):
    return loss.build(FERPLUS)(outputs, {"label": LABEL})["loss"]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gamma_0_is_cross_entropy(smoothing):
    given = logits(2, 3)
    expected = F.cross_entropy(given.flatten(0, 1), LABEL.flatten(), ignore_index=-1, label_smoothing=smoothing)
    found = value(Focal(alpha=1.0, gamma=0.0, label_smoothing=smoothing), Frames(given))
    torch.testing.assert_close(found, expected)


def test_equation_9_by_hand():
    given, known = logits(2, 3), LABEL >= 0
    p = given[known].softmax(1).gather(1, LABEL[known][:, None])[:, 0]
    weights = torch.linspace(0.1, 0.8, 8)
    expected = (-weights[LABEL[known]] * (1 - p) ** 2 * p.log()).mean()
    found = value(Focal(alpha=tuple(weights.tolist()), label_smoothing=0.0), Frames(given))
    torch.testing.assert_close(found, expected)


def test_members_are_judged_each_by_itself():
    given = logits(2, 2, 3)
    found = value(Focal(), Members(given.mean(1), given))
    apart = [value(Focal(), Frames(given[:, n])) for n in range(2)]
    torch.testing.assert_close(found, torch.stack(apart).mean())


def test_divergence_is_nothing_at_the_smoothed_label():
    wanted = 0.9 * F.one_hot(LABEL.clamp(min=0), 8) + 0.1 / 8
    assert value(Focal(kl_mix=1.0), Frames(wanted.log())).item() == pytest.approx(0, abs=1e-6)


def test_windows_without_labels_cost_nothing():
    given = logits(2, 3).requires_grad_()
    loss = Focal().build(FERPLUS)(Frames(given), {"label": torch.full((2, 3), -1)})["loss"]
    loss.backward()
    assert loss.item() == 0
    assert not given.grad.any()


def test_mistakes_are_named():
    for fields, message in (({"gamma": 6.0}, "gamma"), ({"alpha": -1.0}, "alpha"), ({"kl_mix": 2.0}, "kl_mix")):
        with pytest.raises(ConfigError, match=message):
            Focal(**fields)
    with pytest.raises(ConfigError, match="one for each of the 8"):
        Focal(alpha=(1.0, 1.0)).build(FERPLUS)
