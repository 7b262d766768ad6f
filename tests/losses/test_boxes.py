import pytest
import torch
from torchvision.ops import box_convert, box_iou, generalized_box_iou

from mien.losses.boxes import corners, overlap


def boxes(count: int, seed: int) -> torch.Tensor:
    """Centre, width and height, some of them beyond the unit square."""
    return torch.rand(count, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_corners_as_torchvision() -> None:
    torch.testing.assert_close(corners(boxes(20, 0)), box_convert(boxes(20, 0), "cxcywh", "xyxy"))


def test_all_with_all_as_torchvision() -> None:
    first, second = corners(boxes(20, 0)), corners(boxes(30, 1))
    found = overlap(first[:, None], second)
    torch.testing.assert_close(found.iou, box_iou(first, second))
    torch.testing.assert_close(found.giou, generalized_box_iou(first, second))


def test_pair_by_pair_is_the_diagonal() -> None:
    first, second = corners(boxes(20, 0)), corners(boxes(20, 1))
    found = overlap(first, second)
    torch.testing.assert_close(found.iou, box_iou(first, second).diagonal())
    torch.testing.assert_close(found.giou, generalized_box_iou(first, second).diagonal())


def test_by_hand() -> None:
    """Two of 2x2 that share a cell of 1x1: 1 / 7, in a hull of 9; and two of 1x1 at opposite ends of 1x3."""
    first = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0]])
    second = torch.tensor([[1.0, 1.0, 3.0, 3.0], [0.0, 2.0, 1.0, 3.0]])
    found = overlap(first, second)
    torch.testing.assert_close(found.iou, torch.tensor([1 / 7, 0.0]))
    torch.testing.assert_close(found.giou, torch.tensor([1 / 7 - 2 / 9, -1 / 3]))


@pytest.mark.parametrize(
    "box", [(0.5, 0.5, 0.0, 0.0), (0.5, 0.5, 0.0, 0.3), (0.0, 0.0, 1e-20, 1e-20), (0.5, 0.5, 0.2, 0.2)]
)
def test_boxes_without_area_have_finite_values_and_gradients(box: tuple[float, ...]) -> None:
    for other in ((0.5, 0.5, 0.2, 0.2), box):
        given = torch.tensor(box, requires_grad=True)
        found = overlap(corners(given), corners(torch.tensor(other)))
        (found.iou + found.giou).backward()
        assert found.iou.isfinite()
        assert -1 <= found.giou.item() <= 1
        assert given.grad is not None
        assert given.grad.isfinite().all()
