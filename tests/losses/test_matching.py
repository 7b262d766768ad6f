import itertools
import math

import pytest
import torch

from mien.losses.matching import Cost, Faces, assign, union
from mien.schema.errors import ConfigError


def table(outputs: int, pictures: int, queries: int, faces: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(outputs, pictures, queries, faces, generator=torch.Generator().manual_seed(seed))


def test_the_cost_by_hand() -> None:
    """A score of 1/2, a box shifted by half its width: an overlap of one third, with no room around it."""
    logits = torch.tensor([[[[0.0, math.log(9)]]]])  # scores 0.5 and 0.9
    boxes = torch.tensor([[[[0.5, 0.5, 0.2, 0.2]]]])
    faces = Faces(torch.tensor([[[0.6, 0.5, 0.2, 0.2]]]), torch.tensor([[0]]), torch.ones(1, 1))
    half = 0.25 * 0.5**2 * math.log(2) - 0.75 * 0.5**2 * math.log(2)
    found = Cost().table(logits, boxes, faces)
    assert found.shape == (1, 1, 1, 1)
    assert found.item() == pytest.approx(2 * half + 5 * 0.1 - 2 / 3, rel=1e-5)
    sure = -0.25 * 0.1**2 * math.log(0.9) + 0.75 * 0.9**2 * math.log(0.1)
    found = Cost().table(logits, boxes, faces._replace(labels=torch.tensor([[1]])))
    assert found.item() == pytest.approx(2 * sure + 5 * 0.1 - 2 / 3, rel=1e-5)


def test_the_parts_of_the_cost_can_be_left_out() -> None:
    torch.manual_seed(0)
    logits, boxes = torch.randn(2, 3, 5, 7), torch.rand(2, 3, 5, 4)
    faces = Faces(torch.rand(3, 2, 4), torch.randint(7, (3, 2)), torch.ones(3, 2))
    l1 = Cost(classification=0.0, l1=1.0, giou=0.0).table(logits, boxes, faces)
    for k, b, q, n in itertools.product(range(2), range(3), range(5), range(2)):
        expected = sum(abs(x - y) for x, y in zip(boxes[k, b, q].tolist(), faces.boxes[b, n].tolist(), strict=True))
        assert l1[k, b, q, n].item() == pytest.approx(expected, rel=1e-5)
    parts = ((2.0, 0.0, 0.0), (0.0, 5.0, 0.0), (0.0, 0.0, 2.0))
    total = sum(Cost(classification=a, l1=b, giou=c).table(logits, boxes, faces) for a, b, c in parts)
    torch.testing.assert_close(Cost().table(logits, boxes, faces), total)


def test_the_assignment_is_the_cheapest_of_all() -> None:
    cost, real = table(3, 2, 5, 3), torch.ones(2, 3, dtype=torch.bool)
    match = assign(cost, real)
    for k, b in itertools.product(range(3), range(2)):
        prices = {
            chosen: sum(cost[k, b, q, n].item() for n, q in enumerate(chosen))
            for chosen in itertools.permutations(range(5), 3)
        }
        cheapest = min(prices, key=lambda chosen: prices[chosen])
        expected = [cheapest.index(q) if q in cheapest else -1 for q in range(5)]
        assert match[k, b].tolist() == expected


def test_every_true_face_gets_one_query_and_padding_none() -> None:
    real = torch.tensor([[True, False, True], [False, False, False], [True, True, True], [False, True, False]])
    match = assign(table(4, 4, 20, 3), real)
    for output in match:
        for picture, mask in zip(output, real, strict=True):
            assert sorted(picture[picture >= 0].tolist()) == mask.nonzero().flatten().tolist()


def test_more_faces_than_queries() -> None:
    match = assign(table(1, 1, 2, 5), torch.ones(1, 5, dtype=torch.bool))
    assert (match >= 0).all()
    assert match[0, 0, 0] != match[0, 0, 1]


def test_costs_that_are_no_numbers_are_dear() -> None:
    cost = table(1, 1, 3, 1)
    cost[0, 0, :2] = torch.nan
    assert assign(cost, torch.ones(1, 1, dtype=torch.bool)).tolist() == [[[-1, -1, 0]]]


def test_the_union_takes_the_face_that_most_outputs_give() -> None:
    match = torch.tensor([[[0, 1, -1, -1]], [[0, -1, 1, -1]], [[1, 0, -1, -1]]])
    found = union(match, 2)
    assert found.shape == match.shape
    assert found[:, 0].tolist() == [[0, 0, 1, -1]] * 3
    assert union(match.flip(0), 2).equal(found)


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="at least 0"):
        Cost(l1=-1.0)
    with pytest.raises(ConfigError, match="one is more"):
        Cost(classification=0.0, l1=0.0, giou=0.0)
    with pytest.raises(ConfigError, match=r"alpha is in \[0, 1\]; given: 2.0"):
        Cost(alpha=2.0)
