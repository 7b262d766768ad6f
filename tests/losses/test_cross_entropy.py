from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from mien.losses.cross_entropy import CrossEntropy
from mien.schema.errors import ConfigError
from mien.schema.labels import BASIC_7, FERPLUS

COUNTS = (100.0, 50.0, 25.0, 10.0, 5.0, 2.0, 1.0)


@pytest.fixture
def outputs() -> SimpleNamespace:
    return SimpleNamespace(logits=torch.randn(16, 7, generator=torch.Generator().manual_seed(0), requires_grad=True))


@pytest.fixture
def label() -> torch.Tensor:
    return torch.randint(7, (16,), generator=torch.Generator().manual_seed(1))


def value(config: CrossEntropy, outputs: SimpleNamespace, **targets: torch.Tensor) -> torch.Tensor:
    return config.build(BASIC_7)(outputs, targets)["loss"]


def test_hard_labels_as_torch(outputs: SimpleNamespace, label: torch.Tensor) -> None:
    torch.testing.assert_close(value(CrossEntropy(), outputs, label=label), F.cross_entropy(outputs.logits, label))


def test_smoothing_as_torch(outputs: SimpleNamespace, label: torch.Tensor) -> None:
    found = value(CrossEntropy(smoothing=0.1), outputs, label=label)
    torch.testing.assert_close(found, F.cross_entropy(outputs.logits, label, label_smoothing=0.1))


def test_distributions_as_torch(outputs: SimpleNamespace) -> None:
    votes = torch.rand(16, 7).softmax(1)
    found = value(CrossEntropy(target="distribution"), outputs, distribution=votes)
    torch.testing.assert_close(found, F.cross_entropy(outputs.logits, votes))
    smooth = value(CrossEntropy(target="distribution", smoothing=0.2), outputs, distribution=votes)
    torch.testing.assert_close(smooth, F.cross_entropy(outputs.logits, votes, label_smoothing=0.2))


@pytest.mark.parametrize(("name", "power"), [("inverse", -1.0), ("inverse_root", -0.5)])
def test_class_weights_as_torch(outputs: SimpleNamespace, label: torch.Tensor, name: str, power: float) -> None:
    config = CrossEntropy(class_weight=name, class_counts=COUNTS)
    weights = torch.tensor(COUNTS) ** power
    expected = F.cross_entropy(outputs.logits, label, weight=weights)
    torch.testing.assert_close(value(config, outputs, label=label), expected)


def test_logit_adjustment_adds_the_log_frequencies(outputs: SimpleNamespace, label: torch.Tensor) -> None:
    config = CrossEntropy(logit_adjustment=2.0, class_counts=COUNTS)
    prior = torch.tensor(COUNTS) / sum(COUNTS)
    expected = F.cross_entropy(outputs.logits + 2 * prior.log(), label)
    torch.testing.assert_close(value(config, outputs, label=label), expected)


def test_unknown_labels_do_not_count(outputs: SimpleNamespace, label: torch.Tensor) -> None:
    label[::2] = -1
    for config, smoothing in ((CrossEntropy(), 0.0), (CrossEntropy(smoothing=0.1), 0.1)):
        expected = F.cross_entropy(outputs.logits[1::2], label[1::2], label_smoothing=smoothing)
        torch.testing.assert_close(value(config, outputs, label=label), expected)
    assert value(CrossEntropy(), outputs, label=torch.full_like(label, -1)).item() == 0


def test_half_precision_logits_are_counted_in_single(label: torch.Tensor) -> None:
    outputs = SimpleNamespace(logits=torch.randn(16, 7).bfloat16())
    assert value(CrossEntropy(), outputs, label=label).dtype == torch.float32


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match=r"\[0, 1\)"):
        CrossEntropy(smoothing=1.0)
    with pytest.raises(ConfigError, match="one number for each of the 8 classes; given: 7"):
        CrossEntropy(class_weight="inverse", class_counts=COUNTS).build(FERPLUS)
    with pytest.raises(ConfigError, match="label set"):
        CrossEntropy().build(None)
