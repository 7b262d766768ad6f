import numpy as np
import pytest
import torch
from torch import Tensor

from mien.models.layers.decision_fusion import LearnedShare, mixed, present
from mien.tasks.fuse import fuse


def answers(seed: int, rows: int = 4) -> Tensor:
    drawn = torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed))
    return (3 * drawn).log_softmax(1)


HAS_SOUND = torch.tensor([1.0, 0.0, 1.0, 0.0])
HAS_FACE = torch.tensor([1.0, 1.0, 0.0, 0.0])


@pytest.mark.parametrize("weights", [(1, 1), (1, 5), (3, 2), (4, 2)])
def test_it_equals_equation_4(weights: tuple[int, int]) -> None:
    m, n = weights
    voice, face = answers(0), answers(1)
    shares = present(torch.full((4,), m / (m + n)), HAS_SOUND, HAS_FACE)
    torch.testing.assert_close(shares.sum(1), torch.ones(4))
    found = mixed(voice, face, shares)
    torch.testing.assert_close(found[0].exp(), (m * voice[0].exp() + n * face[0].exp()) / (m + n))
    torch.testing.assert_close(found[1], face[1])
    torch.testing.assert_close(found[2], voice[2])
    torch.testing.assert_close(found[3].exp(), torch.full((8,), 1 / 8))
    flags = {"has_sound": HAS_SOUND.numpy() > 0, "has_face": HAS_FACE.numpy() > 0}
    expected = fuse(voice.exp().numpy(), face.exp().numpy(), weights, **flags)
    np.testing.assert_allclose(found.exp().numpy(), expected, rtol=1e-5)


def test_equal_answers_stay() -> None:
    voice, ones = answers(0), torch.ones(4)
    torch.testing.assert_close(mixed(voice, voice, present(torch.full((4,), 0.3), ones, ones)), voice)


def test_a_class_that_both_rule_out_still_has_a_gradient() -> None:
    logits = torch.tensor([[0.0, 300.0]], requires_grad=True)
    ones = torch.ones(1)
    fused = mixed(logits.log_softmax(1), logits.log_softmax(1), present(torch.full((1,), 0.5), ones, ones))
    assert fused[0, 0].item() == pytest.approx(-300)
    fused[0, 0].backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.tensor([[1.0, -1.0]]))


def test_what_is_not_there_gets_no_gradient() -> None:
    voice, face, share = (
        answers(0).requires_grad_(),
        answers(1).requires_grad_(),
        torch.full((4,), 0.5).requires_grad_(),
    )
    mixed(voice, face, present(share, HAS_SOUND, HAS_FACE))[:, 0].sum().backward()
    assert voice.grad is not None
    assert face.grad is not None
    assert share.grad is not None
    assert share.grad.ne(0).tolist() == [True, False, False, False]
    assert voice.grad.abs().sum(1).gt(0).tolist() == [True, False, True, False]
    assert face.grad.abs().sum(1).gt(0).tolist() == [True, True, False, False]


def test_a_learnt_share_starts_even_and_stays_within_0_and_1() -> None:
    share = LearnedShare()
    assert share().item() == pytest.approx(0.5)
    torch.testing.assert_close(torch.nn.functional.softplus(share.raw), torch.ones(2))
    for raw, low, high in (((9.0, -9.0), 0.999, 1.0), ((-9.0, 9.0), 0.0, 0.001)):
        with torch.no_grad():
            share.raw.copy_(torch.tensor(raw))
        assert low <= share().item() <= high
