import math

import pytest
import torch
from torch import Tensor

from mien.models.layers.deformable_attention import DeformableAttention, DenseAttention
from mien.models.layers.positioned_attention import sincos_2d

WIDTH, HEADS, POINTS = 8, 2, 3
SIZES = ((6, 5), (3, 3), (2, 1))


def bilinear(x: Tensor, place: Tensor) -> Tensor:
    """The map ``[d, H, W]`` read at x and y in [0, 1], zero beyond, corner by corner."""
    height, width = x.shape[1:]
    column, row = place[0].item() * width - 0.5, place[1].item() * height - 0.5
    total = torch.zeros(x.shape[0])
    for j in (math.floor(column), math.floor(column) + 1):
        for i in (math.floor(row), math.floor(row) + 1):
            if 0 <= i < height and 0 <= j < width:
                total += (1 - abs(column - j)) * (1 - abs(row - i)) * x[:, i, j]
    return total


def written(layer: DeformableAttention, query: Tensor, boxes: Tensor, maps: list[Tensor]) -> Tensor:
    """One query, one head, one map, one place after the other."""
    rows = []
    for b, picture in enumerate(query):
        values = [layer.value_proj(x[b]).chunk(HEADS) for x in maps]
        for q, one in enumerate(picture):
            offsets = layer.sampling_offsets(one).view(HEADS, len(maps), POINTS, 2)
            weights = layer.attention_weights(one).view(HEADS, -1).softmax(-1).view(HEADS, len(maps), POINTS)
            found = torch.zeros(HEADS, WIDTH // HEADS)
            for h in range(HEADS):
                for level, value in enumerate(values):
                    for p in range(POINTS):
                        place = boxes[b, q, :2] + offsets[h, level, p] / POINTS * boxes[b, q, 2:] * 0.5
                        found[h] += weights[h, level, p] * bilinear(value[h], place)
            rows.append(layer.output_proj(found.flatten()))
    return torch.stack(rows).view_as(query)


@pytest.fixture
def given() -> tuple[Tensor, Tensor, list[Tensor]]:
    torch.manual_seed(0)
    return torch.randn(2, 4, WIDTH), torch.rand(2, 4, 4), [torch.randn(2, WIDTH, *size) for size in SIZES]


def test_it_equals_the_written_formula(given: tuple[Tensor, Tensor, list[Tensor]]) -> None:
    layer = DeformableAttention(WIDTH, HEADS, len(SIZES), POINTS)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    with torch.no_grad():
        torch.testing.assert_close(layer(*given), written(layer, *given), rtol=1e-4, atol=1e-5)


def test_memory_format_changes_nothing(given: tuple[Tensor, Tensor, list[Tensor]]) -> None:
    query, boxes, maps = given
    layer = DeformableAttention(WIDTH, HEADS, len(SIZES), POINTS)
    last = [x.to(memory_format=torch.channels_last) for x in maps]
    torch.testing.assert_close(layer(query, boxes, last), layer(query, boxes, maps))


def test_it_starts_on_a_ring(given: tuple[Tensor, Tensor, list[Tensor]]) -> None:
    layer = DeformableAttention(WIDTH, 8)
    query, boxes, _ = given
    places = layer.places(query, boxes)
    assert places.shape == (2, 4, 8, 3, 4, 2)
    steps = (places - boxes[:, :, None, None, None, :2]) / boxes[:, :, None, None, None, 2:]
    diagonal = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)]
    for point in range(4):
        expected = torch.tensor(diagonal) * 0.5 * (point + 1) / 4
        torch.testing.assert_close(steps[1, 2, :, 1, point], expected, atol=1e-6, rtol=1e-4)
    assert not layer.attention_weights(query).any()


def test_places_are_in_single_precision(given: tuple[Tensor, Tensor, list[Tensor]]) -> None:
    layer = DeformableAttention(WIDTH, HEADS, len(SIZES), POINTS)
    exact = layer(*given)
    with torch.autocast("cpu", torch.bfloat16):
        query, boxes, maps = given
        assert layer.places(query.bfloat16(), boxes).dtype == torch.float32
        close = layer(query.bfloat16(), boxes, [x.bfloat16() for x in maps])
    assert close.dtype == torch.bfloat16
    torch.testing.assert_close(close.float(), exact, rtol=0.1, atol=0.02)


def test_dense_attention_sees_every_cell_with_its_place(given: tuple[Tensor, Tensor, list[Tensor]]) -> None:
    query, boxes, _ = given
    maps = [torch.randn(2, WIDTH, 4, 4), torch.randn(2, WIDTH, 2, 2)]
    layer = DenseAttention(WIDTH, HEADS)
    tokens = torch.cat([x.flatten(2).transpose(1, 2) for x in maps], 1)
    places = torch.cat((sincos_2d(4, 4, WIDTH), sincos_2d(2, 2, WIDTH, spacing=2.0)), 1)
    torch.testing.assert_close(layer(query, boxes, maps), layer.attention(query, tokens + places, tokens))
