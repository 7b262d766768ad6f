from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from mien.losses.early_learning import EarlyLearning, EarlyLearningLoss
from mien.schema.errors import ConfigError
from mien.schema.labels import BASIC_7


def build(**fields: float) -> EarlyLearningLoss:
    return EarlyLearning(**{"samples": 20, **fields}).build(BASIC_7)


def drawn(seed: int, rows: int = 6) -> Tensor:
    return 2 * torch.randn(rows, 7, generator=torch.Generator().manual_seed(seed))


def call(loss: EarlyLearningLoss, logits: Tensor, index: list[int]) -> dict[str, Tensor]:
    return loss(SimpleNamespace(logits=logits), {"index": torch.tensor(index)})


def test_it_follows_the_published_formula_step_by_step() -> None:
    """Equations 6 and 7 in NumPy, face by face, over several batches."""
    loss = build(weight=2.5, momentum=0.7)
    memory = np.zeros((20, 7))
    for step in range(5):
        index = [(3 * step + i) % 20 for i in range(6)]
        logits = drawn(step)
        found = call(loss, logits, index)
        terms = []
        for row, face in zip(logits.double().numpy(), index, strict=True):
            p = np.clip(np.exp(row) / np.exp(row).sum(), 1e-4, 1 - 1e-4)
            memory[face] = 0.7 * memory[face] + 0.3 * p / p.sum()
            terms.append(np.log(1 - memory[face] @ p))
        assert found["loss"].item() == pytest.approx(2.5 * np.mean(terms), abs=1e-5)
        assert found["early_learning"].item() == pytest.approx(np.mean(terms), abs=1e-5)
    np.testing.assert_allclose(loss.memory, memory, atol=1e-6)


def test_the_gradient_leads_to_what_was_answered_before() -> None:
    loss = build()
    index = [0, 1, 2]
    before = 3 * torch.eye(7)[[1, 2, 3]]
    for _ in range(10):
        call(loss, before, index)
    logits = torch.zeros(3, 7, requires_grad=True)
    call(loss, logits, index)["loss"].backward()
    assert logits.grad is not None
    assert logits.grad.argmin(1).tolist() == [1, 2, 3], "a step against the gradient raises the earlier answer most"
    copy = {"memory": loss.memory.clone()}

    def value(given: Tensor) -> Tensor:
        fresh = build()
        fresh.load_state_dict(copy)
        agreement = (fresh.memory[index] * given.softmax(1)).sum(1)
        return 3 * (1 - agreement).log().mean()

    own = torch.zeros(3, 7, requires_grad=True)
    value(own).backward()
    torch.testing.assert_close(logits.grad, own.grad)


def test_a_face_that_occurs_twice_counts_once() -> None:
    twice, once = build(), build()
    first, second = drawn(0, 1), drawn(1, 1)
    call(twice, torch.cat([first, second]), [4, 4])
    shares = torch.cat([first, second]).softmax(1).clamp(1e-4, 1 - 1e-4)
    wanted = 0.3 * (shares / shares.sum(1, keepdim=True)).mean(0)
    torch.testing.assert_close(twice.memory[4], wanted)
    call(once, first, [4])
    assert (once.memory.sum(1) > 0).tolist() == [i == 4 for i in range(20)]


def test_certain_answers_have_a_finite_loss() -> None:
    loss = build(momentum=0.0)
    logits = (100 * torch.eye(7)[:3]).requires_grad_()
    found = call(loss, logits, [0, 1, 2])
    found["loss"].backward()
    assert torch.isfinite(found["loss"])
    assert torch.isfinite(logits.grad).all()
    assert (
        build()(SimpleNamespace(logits=drawn(0).bfloat16()), {"index": torch.arange(6)})["loss"].dtype == torch.float32
    )


def test_its_memory_makes_the_round_trip() -> None:
    loss, other = build(), build()
    call(loss, drawn(0), [0, 1, 2, 3, 4, 5])
    other.load_state_dict(loss.state_dict())
    for each in (loss, other):
        call(each, drawn(1), [3, 4, 5, 6, 7, 8])
    assert torch.equal(loss.memory, other.memory)
    assert loss.memory.any()
    with pytest.raises(ConfigError, match=r"\[20, 7\].*\[30, 7\].*start anew"):
        build(samples=30).load_state_dict(loss.state_dict())


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="momentum"):
        EarlyLearning(momentum=1.0)
    with pytest.raises(ConfigError, match="number of training faces"):
        EarlyLearning().build(BASIC_7)
    with pytest.raises(ConfigError, match="label set"):
        EarlyLearning(samples=3).build(None)
