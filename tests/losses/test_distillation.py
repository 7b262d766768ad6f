from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from mien.losses.distillation import Distillation, softened
from mien.schema.errors import ConfigError
from mien.schema.labels import BASIC_7


@pytest.fixture
def logits() -> Tensor:
    return (2 * torch.randn(16, 7, generator=torch.Generator().manual_seed(0))).requires_grad_()


@pytest.fixture
def teacher_logits() -> Tensor:
    return 2 * torch.randn(16, 7, generator=torch.Generator().manual_seed(1))


def written(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Hinton's cross entropy of softened logits less the teacher's own entropy, face by face."""
    total = torch.zeros((), dtype=torch.float64)
    for own, other in zip(student.double(), teacher.double(), strict=True):
        q, p = (own / temperature).exp(), (other / temperature).exp()
        q, p = q / q.sum(), p / p.sum()
        total = total - (p * q.log()).sum() + (p * p.log()).sum()
    return temperature**2 * total / len(student)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_it_is_the_divergence_at_the_temperature(logits: Tensor, teacher_logits: Tensor, temperature: float) -> None:
    stored = teacher_logits.softmax(1)
    torch.testing.assert_close(softened(stored, temperature), (teacher_logits / temperature).softmax(1))
    loss = Distillation(weight=0.4, temperature=temperature).build(BASIC_7)
    parts = loss(SimpleNamespace(logits=logits), {"teacher": stored})
    wanted = written(logits, teacher_logits, temperature).float()
    torch.testing.assert_close(parts["distillation"], wanted.detach())
    torch.testing.assert_close(parts["loss"], 0.4 * wanted)
    assert not parts["distillation"].requires_grad


def test_its_gradient_is_that_of_the_papers_cross_entropy(logits: Tensor, teacher_logits: Tensor) -> None:
    stored = teacher_logits.softmax(1)
    found = Distillation(weight=1.0, temperature=3.0).build(BASIC_7)(
        SimpleNamespace(logits=logits), {"teacher": stored}
    )
    (gradient,) = torch.autograd.grad(found["loss"], logits)
    difference = (logits / 3).softmax(1) - (teacher_logits / 3).softmax(1)
    torch.testing.assert_close(gradient, 3 * difference / 16)


def test_a_student_that_agrees_has_nothing_to_learn(teacher_logits: Tensor) -> None:
    logits = teacher_logits.clone().requires_grad_()
    found = Distillation().build(BASIC_7)(SimpleNamespace(logits=logits), {"teacher": teacher_logits.softmax(1)})
    (gradient,) = torch.autograd.grad(found["loss"], logits)
    assert found["loss"].item() == pytest.approx(0, abs=1e-5)
    assert gradient.abs().max() < 1e-6


def test_a_teacher_who_is_quite_sure_is_understood(logits: Tensor) -> None:
    stored = torch.eye(7)[torch.arange(16) % 7]
    found = Distillation().build(BASIC_7)(SimpleNamespace(logits=logits.bfloat16()), {"teacher": stored})
    assert torch.isfinite(found["loss"])
    assert found["loss"].dtype == torch.float32


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match=r"in \(0, 1\]; given: 0"):
        Distillation(weight=0.0)
    with pytest.raises(ConfigError, match=r"at least 1; given: 0\.5"):
        Distillation(temperature=0.5)
    with pytest.raises(ConfigError, match="label set"):
        Distillation().build(None)
    assert (Distillation(weight=0.3).replaces, Distillation().needs_teacher) == (0.3, True)
