from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from mien.losses.two_views import TwoViews, covariance, pairs, spread
from mien.schema.errors import ConfigError

INDEX = torch.tensor([7, 7, 2, 2, 9, 9, 4, 4])


def drawn(seed: int = 0, scale: float = 0.7) -> Tensor:
    return scale * torch.randn(8, 5, generator=torch.Generator().manual_seed(seed))


def test_views_of_one_face_are_found_wherever_they_are() -> None:
    first, second = pairs(torch.tensor([5, 3, 5, 8, 3, 5, 1]))
    assert (first.tolist(), second.tolist()) == ([1, 0], [4, 2])
    assert pairs(torch.tensor([1, 2, 3])).shape == (2, 0)
    assert pairs(torch.tensor([1])).shape == (2, 0)
    first, second = pairs(torch.tensor([4, 4, 4, 4]))
    assert (first.tolist(), second.tolist()) == ([0], [1])


def test_the_three_terms_follow_the_paper() -> None:
    feature = drawn()
    one, other = feature.double().numpy()[0::2], feature.double().numpy()[1::2]
    wanted = {"invariance": 0.0, "variance": 0.0, "covariance": 0.0}
    for a, b in zip(one, other, strict=True):
        wanted["invariance"] += ((a - b) ** 2).mean() / len(one)
    for view in (one, other):
        for column in view.T:
            wanted["variance"] += max(0.0, 1 - np.sqrt(column.var(ddof=1) + 1e-4)) / view.shape[1]
        matrix = np.cov(view.T)
        wanted["covariance"] += sum(
            matrix[i, j] ** 2 for i in range(5) for j in range(5) if i != j
        ) / view.shape[1]  # fmt: skip
    parts = TwoViews().build()(SimpleNamespace(feature=feature), {"index": INDEX})
    for name, value in wanted.items():
        assert parts[name].item() == pytest.approx(value, abs=1e-5), name
    total = 25 * wanted["invariance"] + 25 * wanted["variance"] + wanted["covariance"]
    assert parts["loss"].item() == pytest.approx(total, abs=1e-4)


def test_it_learns_and_does_not_collapse() -> None:
    """From nearly one point, views of a face come together and faces apart."""
    torch.manual_seed(0)
    feature = (0.01 * torch.randn(32, 4)).requires_grad_()
    index = torch.arange(16).repeat_interleave(2)
    optimizer = torch.optim.Adam([feature], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        parts = TwoViews().build()(SimpleNamespace(feature=feature), {"index": index})
        parts["loss"].backward()
        optimizer.step()
    one, other = feature.detach()[0::2], feature.detach()[1::2]
    assert (one - other).square().mean() < 0.01
    assert one.std(0).min() > 0.9
    assert covariance(one) < 0.05


def test_what_is_spread_enough_costs_nothing() -> None:
    wide = torch.tensor([[2.0, 2.0], [-2.0, 2.0], [2.0, -2.0], [-2.0, -2.0]])
    assert spread(wide).item() == 0
    assert covariance(wide).item() == 0
    assert spread(torch.ones(4, 3)).item() == pytest.approx(0.99)


def test_a_batch_without_second_views_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"train\.sampler to paired"):
        TwoViews().build()(SimpleNamespace(feature=drawn()), {"index": torch.arange(8)})
    with pytest.raises(ConfigError, match="at least 0"):
        TwoViews(covariance=-1.0)
