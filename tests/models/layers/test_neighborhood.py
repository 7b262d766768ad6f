from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mien.models.layers.neighborhood import (
    WHOLE,
    NeighborhoodAttention,
    NeighborhoodBlock,
    attend_tiles,
    attend_windows,
    tiled,
    windows,
)

MAPS = ((7, 7, 3, 1), (9, 12, 5, 1), (5, 8, 7, 1), (4, 3, 1, 1), (11, 10, 3, 2), (13, 9, 3, 3), (20, 17, 7, 1))
"""Height, width, kernel, dilation; one smaller than its window, several that no tile divides."""


def written_start(index: int, length: int, kernel: int, dilation: int) -> int:
    """Where a window begins, as the public package writes it in C++."""
    side = kernel // 2
    if dilation <= 1:
        start = max(index - side, 0)
        return start + (length - index - side - 1 if index + side >= length else 0)
    near = index - side * dilation
    if near < 0:
        return index % dilation
    if index + side * dilation >= length:
        residue, whole = index % dilation, length // dilation * dilation
        rest = length - whole
        if residue < rest:
            return length - rest + residue - 2 * side * dilation
        return whole + residue - kernel * dilation
    return near


def looped(query: Tensor, pair: Tensor, kernel: int, dilation: int, table: Tensor | None = None) -> Tensor:
    """One place after the other, one head after the other; windows no wider than the map."""
    height, width, heads = query.shape[1:4]
    out = torch.zeros_like(query)
    for row, column in product(range(height), range(width)):
        rows = [written_start(row, height, kernel, dilation) + dilation * i for i in range(kernel)]
        columns = [written_start(column, width, kernel, dilation) + dilation * i for i in range(kernel)]
        seen = list(product(rows, columns))
        for head in range(heads):
            key = torch.stack([pair[:, r, c, head, 0] for r, c in seen], 1)
            value = torch.stack([pair[:, r, c, head, 1] for r, c in seen], 1)
            scores = (key @ query[:, row, column, head, :, None])[..., 0]
            if table is not None:
                places = [((r - row) // dilation + kernel - 1, (c - column) // dilation + kernel - 1) for r, c in seen]
                scores = scores + torch.stack([table[head, i, j] for i, j in places])
            out[:, row, column, head] = (scores.softmax(-1)[:, None] @ value)[:, 0]
    return out


def drawn(height: int, width: int, batch: int = 2, heads: int = 2, dtype: torch.dtype = torch.float64) -> tuple:
    generator = torch.Generator().manual_seed(3)
    query = torch.randn(batch, height, width, heads, 3, generator=generator, dtype=dtype)
    return query, torch.randn(batch, height, width, heads, 2, 3, generator=generator, dtype=dtype)


# Windows


@given(st.integers(1, 40), st.sampled_from((1, 3, 5, 7, 9)), st.integers(1, 4))
def test_windows_are_those_of_the_public_package(length: int, kernel: int, dilation: int) -> None:
    if kernel * dilation > length:
        return
    expected = [
        [written_start(i, length, kernel, dilation) + dilation * step for step in range(kernel)] for i in range(length)
    ]
    np.testing.assert_array_equal(windows(length, kernel, dilation), expected)


def test_windows_are_centred_inside_and_shifted_at_the_border() -> None:
    found = windows(9, 5)
    assert all(found[i, 2] == i for i in range(2, 7))
    assert found[0].tolist() == found[1].tolist() == [0, 1, 2, 3, 4]
    assert found[8].tolist() == found[7].tolist() == [4, 5, 6, 7, 8]


def test_a_window_wider_than_the_axis_is_the_axis() -> None:
    assert windows(4, 7).tolist() == [[0, 1, 2, 3]] * 4
    assert windows(5, 7, 2)[:, 0].tolist() == [0, 1, 0, 1, 2]


@given(st.integers(1, 60), st.sampled_from((1, 3, 7, 13)), st.integers(1, 3), st.sampled_from((None, 1, 2, 5, WHOLE)))
def test_tiles_see_what_windows_say(length: int, kernel: int, dilation: int, side: int | None) -> None:
    if dilation > length:
        return
    axis, expected = tiled(length, kernel, dilation, side), windows(length, kernel, dilation)
    asking, shape = axis.asking.reshape(-1), axis.seen.shape
    assert asking[axis.back].tolist() == list(range(length))
    for tile, place in product(range(shape[0]), range(shape[1])):
        index, seen = axis.asking[tile, place], axis.seen[tile, place]
        assert axis.answering[tile][seen].tolist() == expected[index].tolist()
        assert (index + dilation * axis.offset[tile, place][seen]).tolist() == expected[index].tolist()


def test_work_grows_with_the_map() -> None:
    for kernel in (3, 5, 7):
        pairs = [tiled(length, kernel).seen.size / length for length in (40, 80, 160, 320)]
        assert max(pairs) == pytest.approx(min(pairs))
        assert pairs[0] <= 8 + kernel


# Attention


@pytest.mark.parametrize(("height", "width", "kernel", "dilation"), MAPS[:2] + MAPS[4:6])
@pytest.mark.parametrize("rpb", [False, True])
def test_the_definition_equals_a_loop(height: int, width: int, kernel: int, dilation: int, rpb: bool) -> None:
    query, pair = drawn(height, width)
    table = torch.randn(2, 2 * kernel - 1, 2 * kernel - 1, dtype=torch.float64) if rpb else None
    expected = looped(query, pair, kernel, dilation, table)
    torch.testing.assert_close(attend_windows(query, pair, kernel, dilation, table), expected)


@pytest.mark.parametrize(("height", "width", "kernel", "dilation"), MAPS)
@pytest.mark.parametrize("side", [None, 3, WHOLE])
def test_tiles_equal_the_definition(height: int, width: int, kernel: int, dilation: int, side: int | None) -> None:
    query, pair = drawn(height, width)
    table = torch.randn(2, 2 * kernel - 1, 2 * kernel - 1, dtype=torch.float64)
    for bias in (None, table):
        expected = attend_windows(query, pair, kernel, dilation, bias)
        torch.testing.assert_close(attend_tiles(query, pair, kernel, dilation, bias, side), expected)
    query, pair = query.float(), pair.float()
    expected = attend_windows(query, pair, kernel, dilation)
    assert (attend_tiles(query, pair, kernel, dilation, None, side) - expected).abs().max() < 1e-5


@pytest.mark.parametrize(("height", "width", "kernel", "dilation"), [(5, 6, 3, 1), (6, 4, 3, 2), (2, 3, 7, 1)])
def test_gradients_are_exact(height: int, width: int, kernel: int, dilation: int) -> None:
    query, pair = (x[:1, :, :, :1, ..., :2].clone().requires_grad_() for x in drawn(height, width))
    table = torch.randn(1, 2 * kernel - 1, 2 * kernel - 1, dtype=torch.float64, requires_grad=True)
    for way in (attend_windows, partial(attend_tiles, side=3)):
        attend = partial(way, kernel=kernel, dilation=dilation)
        assert torch.autograd.gradcheck(lambda q, p, t, attend=attend: attend(q, p, table=t), (query, pair, table))


def test_a_window_over_the_whole_map_is_global_attention() -> None:
    query, pair = drawn(6, 5, dtype=torch.float32)
    key, value = pair.flatten(1, 2).unbind(3)
    expected = torch.nn.functional.scaled_dot_product_attention(
        query.flatten(1, 2).transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), scale=1.0
    )
    expected = expected.transpose(1, 2).unflatten(1, (6, 5))
    for way in (attend_windows, attend_tiles):
        torch.testing.assert_close(way(query, pair, 7), expected)
    layer = NeighborhoodAttention(6, 2, None)
    torch.testing.assert_close(layer.attend(query, pair), expected)


# Layers


def test_a_window_of_one_place_is_the_projected_value() -> None:
    torch.manual_seed(0)
    layer, x = NeighborhoodAttention(12, 3, 1), torch.randn(2, 9, 10, 12)
    torch.testing.assert_close(layer(x), layer.proj(layer.pair(x).unflatten(-1, (3, 2, 4))[..., 1, :].flatten(3)))


def test_scores_are_divided_by_the_root_of_the_head_width() -> None:
    torch.manual_seed(0)
    layer, x = NeighborhoodAttention(12, 3, 3), torch.randn(2, 5, 4, 12)
    query, pair = layer.query(x).unflatten(-1, (3, 4)) / 2, layer.pair(x).unflatten(-1, (3, 2, 4))
    torch.testing.assert_close(layer(x), layer.proj(looped(query, pair, 3, 1).flatten(3)))


def test_the_block_is_that_of_the_neighborhood_attention_transformer() -> None:
    torch.manual_seed(0)
    block, x = NeighborhoodBlock(8, 2, 3, mlp_ratio=2.0), torch.randn(2, 6, 5, 8)
    attended = x + block.attn(block.norm1(x))
    torch.testing.assert_close(block(x), attended + block.mlp(block.norm2(attended).flatten(1, 2)).view_as(x))
    assert sum(p.numel() for p in block.parameters()) == 8 * 8**2 + 11 * 8


def test_places_far_away_change_nothing() -> None:
    torch.manual_seed(0)
    layer, x = NeighborhoodAttention(8, 2, 5), torch.randn(1, 30, 30, 8)
    before, changed = layer(x), x.clone()
    changed[:, 20, 20] += 1
    moved = (layer(changed) - before).abs().amax(-1)[0] > 0
    expected = torch.zeros(30, 30, dtype=torch.bool)
    expected[18:23, 18:23] = True
    assert torch.equal(moved, expected)


def test_relative_positions_start_at_zero_and_learn() -> None:
    torch.manual_seed(0)
    layer, x = NeighborhoodAttention(8, 2, 3, rpb=True), torch.randn(2, 6, 6, 8)
    assert layer.table is not None
    plain = NeighborhoodAttention(8, 2, 3)
    plain.load_state_dict({n: t for n, t in layer.state_dict().items() if n != "table"})
    torch.testing.assert_close(layer(x), plain(x))
    layer(x).square().sum().backward()
    assert layer.table.grad is not None
    assert layer.table.grad.any()


def test_bf16_stays_close() -> None:
    torch.manual_seed(0)
    layer, x = NeighborhoodBlock(16, 2, 7), torch.randn(2, 20, 20, 16)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x)
    exact = layer(x)
    assert (half.float() - exact).norm() < 0.02 * exact.norm()
    half.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


def test_the_work_of_tiles_is_a_small_multiple_of_the_definition() -> None:
    with torch.device("meta"):
        query, pair = torch.empty(1, 80, 80, 8, 32), torch.empty(1, 80, 80, 8, 2, 32)
    work = {}
    for name, way in (("windows", attend_windows), ("tiles", attend_tiles)):
        with FlopCounterMode(display=False) as counter:
            way(query, pair, 7)
        work[name] = counter.get_total_flops() / 2
    assert work["windows"] == 2 * 6400 * 49 * 256
    assert work["tiles"] <= 4 * work["windows"]
    assert work["tiles"] < 0.04 * 2 * 6400**2 * 256
