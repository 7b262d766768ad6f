from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from mien.losses.neutral_anchor import NeutralAnchor, anchors, entropy
from mien.schema.errors import ConfigError
from mien.schema.labels import AFFECTNET_7, RAF_DB, LabelSet

CLASSES = 7


def batch(labels: list[int], seed: int = 0, width: int = 6) -> tuple[SimpleNamespace, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    size = len(labels)
    outputs = SimpleNamespace(
        logits=3 * torch.randn(size, CLASSES, generator=generator),
        feature=torch.randn(size, width, generator=generator).requires_grad_(),
    )
    return outputs, {"label": torch.tensor(labels, dtype=torch.int64)}


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)) / len(a)


def brute_force(outputs: Any, label: list[int], neutral: int | None, norm: str, reduce: str) -> tuple[float, float]:
    """Equations 6 to 9, sample by sample."""
    features, logits = outputs.feature.detach().double(), outputs.logits.double()

    def entropy_of(i: int) -> float:
        p = logits[i].softmax(0)
        return -sum(float(v) * float(v.log()) for v in p)

    terms = []
    for c in range(CLASSES):
        members = [i for i, y in enumerate(label) if y == c]
        if c == neutral or not members:
            continue
        anchor = min(members, key=entropy_of)
        terms.append(sum(distance(features[i], features[anchor]) for i in members) / len(members))
    others = sum(terms) / (max(1, len(terms)) if reduce == "mean" else 1)
    own = [i for i, y in enumerate(label) if y == neutral]
    n = len(own)
    if n < 2:
        return others, 0.0
    pairs = sum(distance(features[i], features[j]) for i in own for j in own if i != j)
    return others, pairs / ((n - 1) ** 2 if norm == "paper" else n * (n - 1))


def parts(config: NeutralAnchor, labels: list[int], seed: int = 0, label_set: LabelSet = RAF_DB) -> dict[str, float]:
    outputs, targets = batch(labels, seed)
    return {k: v.item() for k, v in config.build(label_set)(outputs, targets).items()}


@given(
    st.lists(st.integers(-1, CLASSES - 1), min_size=1, max_size=14),
    st.sampled_from(["paper", "pairs"]),
    st.sampled_from(["sum", "mean"]),
    st.sampled_from(["neaa", "anchor"]),
)
def test_equals_the_double_loop(labels: list[int], norm: Any, reduce: Any, kind: Any) -> None:
    outputs, targets = batch(labels)
    config = NeutralAnchor(neutral_norm=norm, class_reduce=reduce, kind=kind, weight=0.5)
    found = config.build(RAF_DB)(outputs, targets)
    neutral = RAF_DB.index("neutral") if kind == "neaa" else None
    others, pairs = brute_force(outputs, labels, neutral, norm, reduce)
    assert found["anchor"].item() == pytest.approx(others, rel=1e-4, abs=1e-6)
    assert found["neutral"].item() == pytest.approx(pairs, rel=1e-4, abs=1e-6)
    known = [i for i, y in enumerate(labels) if y >= 0]
    expected = F.cross_entropy(outputs.logits[known], targets["label"][known]).item() if known else 0.0
    assert found["cross_entropy"].item() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert found["loss"].item() == pytest.approx(expected + 0.5 * (others + pairs), rel=1e-4, abs=1e-6)


def test_the_neutral_class_is_found_by_name() -> None:
    labels = [0, 0, 0, 6, 6]
    first, last = parts(NeutralAnchor(), labels, label_set=AFFECTNET_7), parts(NeutralAnchor(), labels)
    outputs, _ = batch(labels)
    assert first["neutral"] == pytest.approx(brute_force(outputs, labels, 0, "paper", "sum")[1], rel=1e-4)
    assert last["neutral"] == pytest.approx(brute_force(outputs, labels, 6, "paper", "sum")[1], rel=1e-4)


def test_zero_where_every_class_is_a_point() -> None:
    labels = [6, 6, 6, 1, 1, 4]
    outputs, targets = batch(labels)
    with torch.no_grad():
        outputs.feature.copy_(torch.eye(7, 6)[targets["label"]] * 100)
    found = NeutralAnchor().build(RAF_DB)(outputs, targets)
    assert found["anchor"].item() == 0
    assert found["neutral"].item() == pytest.approx(0, abs=1e-8)
    with torch.no_grad():
        outputs.feature[0] += 1
    assert NeutralAnchor().build(RAF_DB)(outputs, targets)["neutral"].item() > 0


def test_neutral_samples_do_not_touch_the_other_term() -> None:
    labels = [6, 1, 1, 6, 2, 6, 2]
    outputs, targets = batch(labels)
    loss = NeutralAnchor().build(RAF_DB)
    before = loss(outputs, targets)["anchor"].item()
    with torch.no_grad():
        outputs.feature[targets["label"] == 6] *= 50
    assert loss(outputs, targets)["anchor"].item() == before


@pytest.mark.parametrize("labels", [[1, 1, 2], [6, 1, 1], [6], [1]])
@pytest.mark.parametrize("norm", ["paper", "pairs"])
def test_few_neutral_samples_stay_finite(labels: list[int], norm: Any) -> None:
    outputs, targets = batch(labels)
    found = NeutralAnchor(neutral_norm=norm).build(RAF_DB)(outputs, targets)
    found["loss"].backward()
    assert found["neutral"].item() == 0
    assert outputs.feature.grad.isfinite().all()


def test_the_order_of_the_batch_does_not_matter() -> None:
    labels = [6, 1, 1, 6, 2, 6, 2, 0, 5, 5]
    outputs, targets = batch(labels)
    loss = NeutralAnchor().build(RAF_DB)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(3))
    shuffled = SimpleNamespace(logits=outputs.logits[order], feature=outputs.feature[order])
    found = loss(shuffled, {"label": targets["label"][order]})["loss"]
    torch.testing.assert_close(found, loss(outputs, targets)["loss"])


def test_the_anchor_is_the_surest_sample() -> None:
    p = torch.tensor([[0.4, 0.3, 0.3], [0.98, 0.01, 0.01], [0.5, 0.5, 0.0001], [0.1, 0.8, 0.1]])
    member = torch.tensor([[True, False, False]] * 3 + [[False, True, False]])
    surest = anchors(entropy(p.log()), member)
    assert surest[:2].tolist() == [1, 3]
    torch.testing.assert_close(entropy(p.log()), torch.distributions.Categorical(p).entropy())


def test_the_paper_norm_is_the_pair_norm_times_n_over_n_minus_1() -> None:
    labels = [6] * 5 + [1, 2]
    paper, pairs = parts(NeutralAnchor(), labels), parts(NeutralAnchor(neutral_norm="pairs"), labels)
    assert paper["neutral"] == pytest.approx(pairs["neutral"] * 5 / 4, rel=1e-5)


def test_large_common_offsets_do_not_cancel() -> None:
    labels = [6] * 8
    outputs, targets = batch(labels)
    loss = NeutralAnchor().build(RAF_DB)
    near = loss(outputs, targets)["neutral"].item()
    with torch.no_grad():
        outputs.feature += 1000
    assert loss(outputs, targets)["neutral"].item() == pytest.approx(near, rel=1e-3)


def test_detached_anchors_get_no_gradient_from_others() -> None:
    labels = [1, 1]
    for detach in (False, True):
        outputs, targets = batch(labels)
        sure = int(anchors(entropy(outputs.logits), torch.ones(2, 1, dtype=torch.bool))[0])
        NeutralAnchor(detach_anchor=detach).build(RAF_DB)(outputs, targets)["loss"].backward()
        assert (outputs.feature.grad[sure] == 0).all() == detach
        assert (outputs.feature.grad[1 - sure] != 0).any()


def test_logits_are_trained_by_cross_entropy_alone() -> None:
    outputs, targets = batch([6, 6, 1, 1])
    outputs.logits.requires_grad_()
    NeutralAnchor(weight=100.0).build(RAF_DB)(outputs, targets)["loss"].backward()
    expected = outputs.logits.detach().clone().requires_grad_()
    F.cross_entropy(expected, targets["label"]).backward()
    torch.testing.assert_close(outputs.logits.grad, expected.grad)


def test_half_precision_features_are_counted_in_single() -> None:
    outputs, targets = batch([6, 6, 1, 1])
    half = SimpleNamespace(logits=outputs.logits.bfloat16(), feature=outputs.feature.bfloat16())
    assert all(v.dtype == torch.float32 for v in NeutralAnchor().build(RAF_DB)(half, targets).values())


def test_without_neutral_the_message_says_what_to_do() -> None:
    labels = LabelSet("mine", ("yes", "no"))
    with pytest.raises(ConfigError, match="kind='anchor'"):
        NeutralAnchor().build(labels)
    NeutralAnchor(kind="anchor").build(labels)
    assert set(NeutralAnchor(kind="none").build(RAF_DB)(*batch([1]))) == {"loss"}
