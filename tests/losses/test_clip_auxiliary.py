from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from mien.losses.clip_auxiliary import ClipAuxiliary
from mien.losses.cross_entropy import CrossEntropy
from mien.schema.errors import ConfigError
from mien.schema.labels import DFEW

COUNTS = (100.0, 50.0, 25.0, 10.0, 5.0, 2.0, 1.0)
LABEL = torch.tensor([0, 3, 6, 1, 5])


def outputs() -> SimpleNamespace:
    generator = torch.Generator().manual_seed(0)
    logits, aux = (torch.randn(5, 7, generator=generator, requires_grad=True) for _ in range(2))
    return SimpleNamespace(logits=logits, aux_logits=aux)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_it_equals_equation_13(share: float) -> None:
    given = outputs()
    parts = ClipAuxiliary(share=share).build(DFEW)(given, {"label": LABEL})
    clip, frames = F.cross_entropy(given.logits, LABEL), F.cross_entropy(given.aux_logits, LABEL)
    torch.testing.assert_close(parts["loss"], share * frames + (1 - share) * clip)
    torch.testing.assert_close(parts["clip"], clip.detach())
    torch.testing.assert_close(parts["frames"], frames.detach())
    assert not parts["clip"].requires_grad
    assert ClipAuxiliary().share == 0.2


def test_a_share_of_0_or_1_moves_one_head_only() -> None:
    for share, still, moved in ((0.0, "aux_logits", "logits"), (1.0, "logits", "aux_logits")):
        given = outputs()
        ClipAuxiliary(share=share).build(DFEW)(given, {"label": LABEL})["loss"].backward()
        assert not getattr(given, still).grad.any()
        assert getattr(given, moved).grad.any()


def test_one_head_twice_is_plain_cross_entropy() -> None:
    given = outputs()
    given.aux_logits = given.logits
    found = ClipAuxiliary().build(DFEW)(given, {"label": LABEL})["loss"]
    torch.testing.assert_close(found, F.cross_entropy(given.logits, LABEL))


def test_class_balance_acts_on_both_heads() -> None:
    given, prior = outputs(), torch.tensor(COUNTS) / sum(COUNTS)
    adjusted = ClipAuxiliary(logit_adjustment=1.5, class_counts=COUNTS)
    parts = adjusted.build(DFEW)(given, {"label": LABEL})
    for name, logits in (("clip", given.logits), ("frames", given.aux_logits)):
        torch.testing.assert_close(parts[name], F.cross_entropy(logits + 1.5 * prior.log(), LABEL).detach())
    weighted = ClipAuxiliary(class_weight="inverse", class_counts=COUNTS)
    parts = weighted.build(DFEW)(given, {"label": LABEL})
    for name, logits in (("clip", given.logits), ("frames", given.aux_logits)):
        torch.testing.assert_close(parts[name], F.cross_entropy(logits, LABEL, 1 / torch.tensor(COUNTS)).detach())
    assert adjusted.needs_class_counts
    assert weighted.needs_class_counts


def test_soft_labels_and_smoothing_as_in_cross_entropy() -> None:
    given, votes = outputs(), torch.rand(5, 7).softmax(1)
    fields = {"target": "distribution", "smoothing": 0.1}
    found = ClipAuxiliary(share=0.3, **fields).build(DFEW)(given, {"distribution": votes})["loss"]
    plain = CrossEntropy(**fields).build(DFEW)
    clip, frames = (plain(SimpleNamespace(logits=x), {"distribution": votes})["loss"] for x in vars(given).values())
    torch.testing.assert_close(found, 0.7 * clip + 0.3 * frames)


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match=r"share is in \[0, 1\]; given: 1\.1"):
        ClipAuxiliary(share=1.1)
    with pytest.raises(ConfigError, match="smoothing"):
        ClipAuxiliary(smoothing=-0.1)
    with pytest.raises(ConfigError, match="class_counts"):
        ClipAuxiliary(logit_adjustment=1.0).build(DFEW)
    with pytest.raises(ConfigError, match="label set"):
        ClipAuxiliary().build(None)
