"""Neighbourhood attention: each place of a map looks at the ``k x k`` places nearest to it.

A. Hassani et al., "Neighborhood Attention Transformer", CVPR 2023 (arXiv 2204.07143); with dilation A. Hassani and
H. Shi, "Dilated Neighborhood Attention Transformer" (arXiv 2209.15001). At the border the window is shifted, not cut,
so every place sees as many others, as in the public package. Rows and columns of a map are independent axes; along one,
with dilation ``d``, every ``d``-th place forms an axis of its own, and windows stay within it. A window wider than the
axis becomes the axis: global attention.

There are two ways to the same numbers. :func:`attend_windows` gathers the window of each place: the definition, with
``k * k`` copies of the map. :func:`attend_tiles` gathers, for a tile of places, the few rows and columns that its
windows touch together, and leaves out by a mask what a place does not see: with tiles of eight by eight and ``k = 7``
three copies of the map, and plain matrix products. Time and memory of both grow with the map, not with its square.

Shapes: ``B`` batch, ``H`` and ``W`` of the map, ``C`` its width, ``h`` heads, ``D = C / h``; ``T`` tiles of ``L``
places that see ``S`` places; ``G = B h``; ``K`` is the side of the table of relative positions, ``2k - 1``.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.models.layers.attention import Mlp

TILE = 8
"""Places along a side of a tile, about; ``benchmarks/neighborhood_attention.py`` compares others."""

WHOLE = 2**31 - 1
"""As the side of a tile: all of the map."""

Table = Float[Tensor, "h K K"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a map cut into tiles; numbers count places along the axis.

    Attributes:
        asking: ``int64 [T, L]``, the places of each tile; the last tile of an axis may repeat places of the one before.
        answering: ``int64 [T, S]``, the places that its windows touch.
        seen: ``bool [T, L, S]``, which of them each place sees.
        offset: ``int64 [T, L, S]``, how far they lie behind it, in steps of the dilation.
        back: ``int64 [n]``, where in ``asking`` each place of the axis stands.
    """

    asking: NDArray[np.int64]
    answering: NDArray[np.int64]
    seen: NDArray[np.bool_]
    offset: NDArray[np.int64]
    back: NDArray[np.int64]


def windows(length: int, kernel: int, dilation: int = 1) -> NDArray[np.int64]:
    """What each place of an axis sees: ``int64 [length, k]``, where ``k`` is at most ``length // dilation``.

    Row ``i`` begins at ``clamp(i - k // 2, 0, length - k)``, without dilation.
    """
    assert kernel % 2 == 1 and 1 <= dilation <= length, (length, kernel, dilation)
    place = np.arange(length)
    first, step = place % dilation, place // dilation
    count = -(-(length - first) // dilation)
    width = min(kernel, length // dilation)
    start = np.clip(step - width // 2, 0, count - width)
    return first[:, None] + dilation * (start[:, None] + np.arange(width))


def tiled(length: int, kernel: int, dilation: int = 1, side: int | None = None) -> Axis:
    """An axis cut into tiles of ``side`` places, by default about :data:`TILE`, all of one size."""
    window = windows(length, kernel, dilation)
    shortest, longest = length // dilation, -(-length // dilation)
    size = min(side or _even_side(shortest), shortest)
    reach = min(longest, size + window.shape[1] - 1)
    asking, answering = [], []
    for first in range(dilation):
        axis = np.arange(first, length, dilation)
        for start in range(0, len(axis), size):
            places = axis[min(start, len(axis) - size) :][:size]
            begin = max(0, min(int(window[places[0], 0]) // dilation, len(axis) - reach))
            asking.append(places)
            answering.append(np.resize(axis[begin:][:reach], reach))
    asks, answers = np.stack(asking), np.stack(answering)
    first_seen, last_seen = window[asks][..., :1], window[asks][..., -1:]
    fits = np.arange(reach) < np.array([len(np.unique(row)) for row in answers])[:, None]
    return Axis(
        asking=asks,
        answering=answers,
        seen=(answers[:, None] >= first_seen) & (answers[:, None] <= last_seen) & fits[:, None],
        offset=(answers[:, None] - asks[..., None]) // dilation,
        back=np.argmax(asks.reshape(-1) == np.arange(length)[:, None], axis=1),
    )


def attend_windows(
    query: Float[Tensor, "B H W h D"],
    pair: Float[Tensor, "B H W h 2 D"],
    kernel: int,
    dilation: int = 1,
    table: Table = None,
) -> Float[Tensor, "B H W h D"]:
    """The definition: gather the keys and values of each window.

    Args:
        query: already scaled.
        pair: keys and values.
        kernel: odd side of a window.
        dilation: distance of the places of a window.
        table: added to the scores by relative position; its middle is the place itself.
    """
    height, width, heads = query.shape[1:4]
    rows, columns = windows(height, kernel, dilation), windows(width, kernel, dilation)
    index = (rows[:, None, :, None] * width + columns[None, :, None, :]).reshape(height * width, -1)
    seen = torch.as_tensor(index, device=query.device)
    key, value = (_gather(_by_head(x), seen) for x in pair.unbind(4))
    scores = torch.einsum("gnd,gnsd->gns", _by_head(query), key).unflatten(0, (-1, heads))
    if table is not None:
        down, right = (
            (axis - np.arange(len(axis))[:, None]) // dilation + table.shape[1] // 2 for axis in (rows, columns)
        )
        bias = table[:, down[:, None, :, None], right[None, :, None, :]]
        scores = scores + bias.flatten(3, 4).flatten(1, 2)
    mixed = torch.einsum("gns,gnsd->gnd", scores.flatten(0, 1).softmax(-1), value)
    out: Tensor = mixed.unflatten(0, (-1, heads)).transpose(1, 2).unflatten(1, (height, width))
    return out


def attend_tiles(
    query: Float[Tensor, "B H W h D"],
    pair: Float[Tensor, "B H W h 2 D"],
    kernel: int,
    dilation: int = 1,
    table: Table = None,
    side: int | None = None,
) -> Float[Tensor, "B H W h D"]:
    """The same, tile by tile; arguments as of :func:`attend_windows`.

    Args:
        side: places along a side of a tile; :data:`WHOLE` is masked attention over the whole map.
    """
    height, width, heads = query.shape[1:4]
    rows, columns = tiled(height, kernel, dilation, side), tiled(width, kernel, dilation, side)
    touched = _crossed(rows.answering, columns.answering, query)
    key, value = (_gather(_by_head(x), touched) for x in pair.unbind(4))
    asking = _gather(_by_head(query), _crossed(rows.asking, columns.asking, query))
    scores = asking @ key.transpose(-1, -2)
    if table is not None:
        scores = (scores.unflatten(0, (-1, heads)) + _bias(table, rows, columns)).flatten(0, 1)
    if not (rows.seen.all() and columns.seen.all()):
        scores = scores.add_(_unseen(rows, columns, scores))
    mixed = scores.softmax(-1).to(value.dtype) @ value
    back = _gather(mixed.flatten(1, 2), _places(rows, columns, query))
    out: Tensor = back.unflatten(0, (-1, heads)).transpose(1, 2).unflatten(1, (height, width))
    return out


def _even_side(length: int) -> int:
    """Side of tiles of one size, about :data:`TILE`."""
    return -(-length // max(1, round(length / TILE)))


def _crossed(rows: NDArray[np.int64], columns: NDArray[np.int64], like: Tensor) -> Int[Tensor, "T L"]:
    """Numbers of the places of a map, row by row, that lie in each tile of rows and columns."""
    index = rows[:, None, :, None] * like.shape[2] + columns[None, :, None, :]
    return torch.as_tensor(index.reshape(len(rows) * len(columns), -1), device=like.device)


def _places(rows: Axis, columns: Axis, like: Tensor) -> Int[Tensor, "N"]:
    """Where each place of a map stands among the places of all tiles, in their order."""
    (down, in_down), (right, in_right) = (np.divmod(axis.back, axis.asking.shape[1]) for axis in (rows, columns))
    tile = down[:, None] * len(columns.asking) + right
    index = (tile * rows.asking.shape[1] + in_down[:, None]) * columns.asking.shape[1] + in_right
    return torch.as_tensor(index.reshape(-1), device=like.device)


def _by_head(x: Float[Tensor, "B H W h D"]) -> Float[Tensor, "G N D"]:
    """A map for each image and head, places in a row."""
    return x.flatten(1, 2).transpose(1, 2).flatten(0, 1)


def _gather(maps: Float[Tensor, "G N D"], index: Int[Tensor, "*P"]) -> Float[Tensor, "G *P D"]:
    """Places of each map by number.

    An embedding does this, since its backward pass is by far the fastest sum over places taken more than once.
    """
    starts = torch.arange(maps.shape[0], device=maps.device) * maps.shape[1]
    return F.embedding(starts.view(-1, *(1 for _ in index.shape)) + index, maps.flatten(0, 1))


def _unseen(rows: Axis, columns: Axis, like: Tensor) -> Float[Tensor, "T L S"]:
    """Minus infinity where a place does not see another, else 0."""
    hidden = like.new_full((), float("-inf"))
    down, right = (
        torch.where(torch.as_tensor(axis.seen, device=like.device), like.new_zeros(()), hidden)
        for axis in (rows, columns)
    )
    both = down[:, None, :, None, :, None] + right[None, :, None, :, None, :]
    return both.flatten(4, 5).flatten(2, 3).flatten(0, 1)


def _bias(table: Float[Tensor, "h K K"], rows: Axis, columns: Axis) -> Float[Tensor, "h T L S"]:
    """The table's entry for each place and what it sees; any entry for what it does not."""
    reach = table.shape[1] // 2
    down, right = (np.clip(axis.offset, -reach, reach) + reach for axis in (rows, columns))
    bias = table[:, down[:, None, :, None, :, None], right[None, :, None, :, None, :]]
    return bias.flatten(5, 6).flatten(3, 4).flatten(1, 2)


class NeighborhoodAttention(nn.Module):
    """Multi-head neighbourhood attention on a map whose channels stand last.

    Args:
        width: of the map.
        heads: of the attention.
        kernel: odd side of a window; ``None`` looks everywhere.
        dilation: distance of the places of a window.
        rpb: learnt biases by relative position, 0 at the start.
    """

    def __init__(self, width: int, heads: int, kernel: int | None, dilation: int = 1, rpb: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.kernel = kernel
        self.dilation = dilation
        self.scale = (width // heads) ** -0.5
        self.query = nn.Linear(width, width)
        self.pair = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.table = nn.Parameter(torch.zeros(heads, 2 * kernel - 1, 2 * kernel - 1)) if rpb and kernel else None

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        query = (self.query(x) * self.scale).unflatten(-1, (self.heads, -1))
        pair = self.pair(x).unflatten(-1, (self.heads, 2, -1))
        out: Tensor = self.proj(self.attend(query, pair).flatten(3))
        return out

    def attend(self, query: Float[Tensor, "B H W h D"], pair: Float[Tensor, "B H W h 2 D"]) -> Tensor:
        if self.kernel is None:
            everywhere = 2 * max(query.shape[1:3]) + 1
            return attend_tiles(query, pair, everywhere, side=WHOLE)
        return attend_tiles(query, pair, self.kernel, self.dilation, self.table)


class NeighborhoodBlock(nn.Module):
    """Layer norm, neighbourhood attention, sum; layer norm, two linear layers with GELU between, sum."""

    def __init__(
        self,
        width: int,
        heads: int,
        kernel: int | None,
        dilation: int = 1,
        rpb: bool = False,
        mlp_ratio: float = 2.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = NeighborhoodAttention(width, heads, kernel, dilation, rpb)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, int(width * mlp_ratio), 0.0)

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        attended = x + self.attn(self.norm1(x))
        more: Tensor = self.mlp(self.norm2(attended).flatten(1, 2))
        out: Tensor = attended + more.unflatten(1, x.shape[1:3])
        return out
