from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mien.losses.coarse_fine import GROUPS, NAMES, CoarseFine, CoarseFineLoss, confusions, groups_of, symmetric
from mien.losses.cross_entropy import CrossEntropy
from mien.schema.errors import ConfigError
from mien.schema.labels import BASIC_7, FERPLUS, MAFW_11, LabelSet

EXPR_8 = LabelSet("expr_8", ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "other"))
GROUP = (3, 1, 1, 1, 0, 2, 0, 3)
FIXED = {(0, 1): 0.5, (0, 2): 1.0, (0, 3): 0.5, (1, 2): 0.5, (1, 3): 1.0, (2, 3): 0.5}
"""Penalties by default: 1 for opposite quadrants."""


@pytest.fixture
def logits() -> Tensor:
    return (2 * torch.randn(32, 8, generator=torch.Generator().manual_seed(0))).requires_grad_()


@pytest.fixture
def label() -> Tensor:
    return torch.randint(8, (32,), generator=torch.Generator().manual_seed(1))


def outputs(logits: Tensor, **others: Tensor) -> SimpleNamespace:
    return SimpleNamespace(logits=logits, **others)


def written(logits: Tensor, label: Tensor, mu: dict[tuple[int, int], float]) -> Tensor:
    """Equation 5, sample by sample."""
    total = torch.zeros(())
    for row, truth in zip(logits, label.tolist(), strict=True):
        p = row.softmax(0)
        pair = tuple(sorted((GROUP[truth], GROUP[int(p.argmax())])))
        total = total - (1 + mu.get((pair[0], pair[1]), 0.0)) * p[truth].log()
    return total / len(label)


def test_groups_of_the_labels() -> None:
    assert tuple(groups_of(EXPR_8).tolist()) == GROUP
    assert groups_of(FERPLUS).tolist() == [3, 0, 0, 2, 1, 1, 1, 1]
    assert [len(names) for names in GROUPS.values()] == [2, 4, 1, 3]
    ravdess = LabelSet("x", ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"))
    assert groups_of(ravdess).tolist() == [3, 3, 0, 2, 1, 1, 1, 0]


def test_it_equals_equation_5(logits: Tensor, label: Tensor) -> None:
    parts = CoarseFine().build(EXPR_8)(outputs(logits), {"label": label})
    torch.testing.assert_close(parts["loss"], written(logits, label, FIXED))
    torch.testing.assert_close(parts["cross_entropy"], F.cross_entropy(logits, label).detach())
    assert parts["loss"] > parts["cross_entropy"]
    own = {pair: 0.1 * (i + 1) for i, pair in enumerate(FIXED)}
    config = CoarseFine(**{name: 0.1 * (i + 1) for i, name in enumerate(NAMES)})
    found = config.build(EXPR_8)(outputs(logits), {"label": label})["loss"]
    torch.testing.assert_close(found, written(logits, label, own))


def test_logarithms_of_probabilities_are_logits(logits: Tensor, label: Tensor) -> None:
    loss = CoarseFine().build(EXPR_8)
    found = loss(outputs(logits.log_softmax(1)), {"label": label})["loss"]
    torch.testing.assert_close(found, loss(outputs(logits), {"label": label})["loss"])


def test_it_is_cross_entropy_without_coarse_mistakes(logits: Tensor, label: Tensor) -> None:
    plain = F.cross_entropy(logits, label)
    none = CoarseFine(**dict.fromkeys(NAMES, 0.0)).build(EXPR_8)(outputs(logits), {"label": label})["loss"]
    torch.testing.assert_close(none, plain)
    torch.testing.assert_close(CoarseFine(mode="off").build(EXPR_8)(outputs(logits), {"label": label})["loss"], plain)
    groups = torch.tensor(GROUP)
    inside = groups[logits.argmax(1)]
    same = torch.tensor([next(i for i in range(8) if GROUP[i] == int(g)) for g in inside])
    found = CoarseFine().build(EXPR_8)(outputs(logits), {"label": same})["loss"]
    torch.testing.assert_close(found, F.cross_entropy(logits, same))


def test_the_gradient_is_that_of_cross_entropy_scaled(logits: Tensor, label: Tensor) -> None:
    loss = CoarseFine().build(EXPR_8)
    mu = loss.penalty(logits, F.one_hot(label, 8).float())
    assert mu.unique().tolist() == [0, 0.5, 1]
    assert not mu.requires_grad
    (found,) = torch.autograd.grad(loss(outputs(logits), {"label": label})["loss"], logits)
    (plain,) = torch.autograd.grad(F.cross_entropy(logits, label), logits)
    torch.testing.assert_close(found, (1 + mu)[:, None] * plain)


def test_either_direction_of_a_confusion_costs_the_same() -> None:
    table = symmetric((1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    torch.testing.assert_close(table, table.T)
    assert table.diagonal().tolist() == [0] * 4
    assert [table[0, 1].item(), table[2, 3].item(), table[3, 1].item()] == [1, 6, 5]
    loss = CoarseFine().build(EXPR_8)
    happy, sad = torch.eye(8)[4:5] * 3, torch.eye(8)[5:6] * 3
    first = loss(outputs(happy), {"label": torch.tensor([5])})["loss"]
    torch.testing.assert_close(first, loss(outputs(sad), {"label": torch.tensor([4])})["loss"])


def test_votes_cost_their_mean(logits: Tensor) -> None:
    votes = torch.rand(32, 8, generator=torch.Generator().manual_seed(2)).softmax(1)
    config = CoarseFine(target="distribution")
    found = config.build(EXPR_8)(outputs(logits), {"distribution": votes})["loss"]
    table = symmetric(tuple(FIXED.values()))
    groups = torch.tensor(GROUP)
    total = torch.zeros(())
    for row, share in zip(logits, votes, strict=True):
        mu = sum(float(share[e]) * table[GROUP[e], groups[row.argmax()]] for e in range(8))
        total = total - (1 + mu) * (share * row.log_softmax(0)).sum()
    torch.testing.assert_close(found, total / 32)


def test_unknown_labels_and_class_weights_as_in_cross_entropy(logits: Tensor, label: Tensor) -> None:
    label[::3] = -1
    counts = tuple(float(c) for c in range(1, 9))
    fields: dict[str, Any] = {"smoothing": 0.1, "class_weight": "inverse", "logit_adjustment": 0.5}
    fields["class_counts"] = counts
    given, targets = outputs(logits), {"label": label}
    off = CoarseFine(mode="off", **fields).build(EXPR_8)(given, targets)["loss"]
    torch.testing.assert_close(off, CrossEntropy(**fields).build(EXPR_8)(given, targets)["loss"])
    found = CoarseFine().build(EXPR_8)(given, targets)["loss"]
    torch.testing.assert_close(found, written(logits[label >= 0], label[label >= 0], FIXED))
    nothing = CoarseFine(unimodal=0.5).build(EXPR_8)(given, {"label": torch.full_like(label, -1)})["loss"]
    assert nothing.item() == 0
    assert CoarseFine(**fields).needs_class_counts


def test_each_kind_alone_where_it_is_there(logits: Tensor, label: Tensor) -> None:
    voice, face = logits.detach().flip(0), logits.detach().flip(1)
    has_sound = (torch.arange(32) % 3 > 0).float()
    targets = {"label": label, "has_sound": has_sound, "has_face": torch.ones(32)}
    given = outputs(logits, voice_logits=voice, face_logits=face)
    parts = CoarseFine(unimodal=0.3).build(EXPR_8)(given, targets)
    heard = has_sound > 0
    expected = {"voice": written(voice[heard], label[heard], FIXED), "face": written(face, label, FIXED)}
    for name, value in expected.items():
        torch.testing.assert_close(parts[name], value)
    torch.testing.assert_close(parts["loss"], written(logits, label, FIXED) + 0.3 * sum(expected.values()))
    assert not {"voice", "face"} & set(CoarseFine().build(EXPR_8)(given, targets))
    one = CoarseFine(unimodal=0.3).build(EXPR_8)(outputs(logits, voice_logits=None, face_logits=face), targets)
    assert "voice" not in one


def confused(loss: CoarseFineLoss, truth: list[int], answered: list[int]) -> dict[str, Tensor]:
    return loss(outputs(5 * torch.eye(8)[answered]), {"label": torch.tensor(truth)})


def test_rates_of_confusion_by_hand() -> None:
    counts = torch.tensor([[6.0, 2, 0, 0], [1, 3, 0, 0], [0, 0, 0, 0], [0, 2, 0, 6]], dtype=torch.float64)
    rates = confusions(counts)
    assert rates[0, 1].item() == pytest.approx(3 / 12)
    assert rates[1, 3].item() == pytest.approx(2 / 12)
    torch.testing.assert_close(rates, rates.T)
    assert rates[2].tolist() == [0] * 4
    assert rates.diagonal().tolist() == [0] * 4


def test_penalties_follow_what_was_confused() -> None:
    loss = CoarseFine(mode="confusion", momentum=0.9).build(EXPR_8)
    first = confused(loss, [4, 4, 4, 4], [4, 5, 5, 0])
    torch.testing.assert_close(first["loss"], first["cross_entropy"])
    assert [first[name].item() for name in NAMES] == [0] * 6
    confused(loss, [5, 5, 5, -1], [5, 5, 4, 1])
    loss.end_epoch()
    # Groups: happiness 0, sadness 2, neutral 3. Rates: (0, 2): (2 + 1) / (4 + 3); (0, 3): 1 / 4.
    expected = symmetric((0.0, 1.0, 0.25 / (3 / 7), 0.0, 0.0, 0.0)) * 0.1
    torch.testing.assert_close(loss.penalties, expected)
    assert not loss.counts.any()
    second = confused(loss, [4], [5])
    torch.testing.assert_close(second["loss"], (1 + 0.1) * second["cross_entropy"])
    assert second["mu_13"].item() == pytest.approx(0.1)
    loss.end_epoch()
    torch.testing.assert_close(loss.penalties, 0.9 * expected + symmetric((0.0, 0.1, 0.0, 0.0, 0.0, 0.0)))
    loss.end_epoch()
    assert loss.penalties[0, 2].item() == pytest.approx(0.9 * 0.19)


def test_its_memory_makes_the_round_trip() -> None:
    loss, other = (CoarseFine(mode="confusion").build(EXPR_8) for _ in range(2))
    confused(loss, [4, 0], [5, 1])
    loss.end_epoch()
    confused(loss, [1, 2], [5, 2])
    other.load_state_dict(loss.state_dict())
    for each in (loss, other):
        confused(each, [4], [1])
        each.end_epoch()
    assert torch.equal(loss.penalties, other.penalties)
    assert loss.penalties.any()


def test_fixed_penalties_stay() -> None:
    loss = CoarseFine().build(EXPR_8)
    confused(loss, [4], [5])
    loss.end_epoch()
    torch.testing.assert_close(loss.penalties, symmetric(tuple(FIXED.values())))


def test_half_precision_is_counted_in_single(label: Tensor) -> None:
    given = outputs(torch.randn(32, 8).bfloat16())
    assert CoarseFine(mode="confusion").build(EXPR_8)(given, {"label": label})["loss"].dtype == torch.float32


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="none of the four coarse groups: anxiety, helplessness, disappointment"):
        CoarseFine().build(MAFW_11)
    assert CoarseFine(mode="off").build(MAFW_11)
    with pytest.raises(ConfigError, match="at least 0"):
        CoarseFine(mu_24=-0.1)
    with pytest.raises(ConfigError, match="at least 0"):
        CoarseFine(unimodal=-1.0)
    with pytest.raises(ConfigError, match=r"momentum lies in \[0, 1\); given: 1\.0"):
        CoarseFine(momentum=1.0)
    with pytest.raises(ConfigError, match="smoothing"):
        CoarseFine(smoothing=1.0)
    with pytest.raises(ConfigError, match="class_counts"):
        CoarseFine(logit_adjustment=1.0).build(BASIC_7)
    with pytest.raises(ConfigError, match="label set"):
        CoarseFine().build(None)
