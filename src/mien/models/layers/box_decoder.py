"""Decoder that corrects boxes: in each layer the queries talk, look at the maps, and move their boxes a little.

X. Zhu et al., "Deformable DETR", ICLR 2021, with the gradient through two steps of DINO (ICLR 2023), in the form of
RT-DETRv2 (arXiv 2407.17140). ``B`` batch, ``Q`` queries, ``D`` their width, ``C`` classes, ``L`` layers.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mien.models.layers.deformable_attention import DeformableAttention, DenseAttention, Map
from mien.models.layers.positioned_attention import PositionedAttention

HEADS = 8
EDGE = 1e-5
"""Boxes keep this distance from 0 and 1 where their logit is taken."""

PRIOR = 0.01
"""Score of every class at the start."""

CrossAttn = Literal["deformable", "dense"]


class Perceptron(nn.Sequential):
    """Three linear layers with SiLU between.

    Args:
        still: the last layer starts at 0, so that what is added to starts unchanged.
    """

    def __init__(self, inp: int, width: int, out: int, *, still: bool = False) -> None:
        last = nn.Linear(width, out)
        super().__init__(nn.Linear(inp, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), last)
        self.apply(initialise_linear)
        if still:
            nn.init.zeros_(last.weight)


class ScoreLayer(nn.Linear):
    """A linear layer to one logit a class; all scores start around ``PRIOR``."""

    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__(width, n_classes)
        nn.init.constant_(self.bias, math.log(PRIOR / (1 - PRIOR)))


class DecoderLayer(nn.Module):
    """Attention among the queries, attention to the maps, two linear layers with SiLU; layer norm after each sum."""

    def __init__(self, width: int, cross_attn: CrossAttn) -> None:
        super().__init__()
        self.self_attn = PositionedAttention(width, HEADS)
        self.norm1 = nn.LayerNorm(width)
        deformable = cross_attn == "deformable"
        self.cross_attn = DeformableAttention(width, HEADS) if deformable else DenseAttention(width, HEADS)
        self.norm2 = nn.LayerNorm(width)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))
        self.ffn.apply(initialise_linear)
        self.norm3 = nn.LayerNorm(width)

    def forward(
        self,
        query: Float[Tensor, "B Q D"],
        place: Float[Tensor, "B Q D"],
        boxes: Float[Tensor, "B Q 4"],
        maps: Sequence[Map],
        allowed: Bool[Tensor, "Q Q"] | None,
    ) -> Float[Tensor, "B Q D"]:
        placed = query + place
        query = self.norm1(query + self.self_attn(placed, placed, query, allowed))
        query = self.norm2(query + self.cross_attn(query + place, boxes, maps))
        out: Tensor = self.norm3(query + self.ffn(query))
        return out


class BoxDecoder(nn.Module):
    """Queries and their boxes to class logits and better boxes; box arithmetic is in single precision.

    Args:
        n_classes: of the logits.
        layers: of the decoder.
        width: of the queries and maps, a multiple of eight.
        cross_attn: see ``deformable_attention.py``.
    """

    def __init__(self, n_classes: int, layers: int, width: int, cross_attn: CrossAttn) -> None:
        super().__init__()
        self.place = Perceptron(4, width, width)
        self.layers = nn.ModuleList(DecoderLayer(width, cross_attn) for _ in range(layers))
        self.scores = nn.ModuleList(ScoreLayer(width, n_classes) for _ in range(layers))
        self.steps = nn.ModuleList(Perceptron(width, width, 4, still=True) for _ in range(layers))

    def forward(
        self,
        query: Float[Tensor, "B Q D"],
        boxes: Float[Tensor, "B Q 4"],
        maps: Sequence[Map],
        allowed: Bool[Tensor, "Q Q"] | None = None,
    ) -> tuple[Float[Tensor, "L B Q C"], Float[Tensor, "L B Q 4"]]:
        """Logits and boxes (centre, width, height in [0, 1]) of all layers, in evaluation of the last one only."""
        logits, moved = [], []
        for layer, score, step in zip(self.layers, self.scores, self.steps, strict=True):
            seen = boxes.detach()
            query = layer(query, self.place(seen), seen, maps, allowed)
            boxes = (step(query).float() + boxes.logit(EDGE)).sigmoid()
            if self.training or layer is self.layers[-1]:
                logits.append(score(query).float())
                moved.append(boxes)
        return torch.stack(logits), torch.stack(moved)


def initialise_linear(module: nn.Module) -> None:
    """Weights after Xavier, biases at 0."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
