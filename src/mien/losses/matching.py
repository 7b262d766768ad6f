"""Which query answers for which face: the cheapest one-to-one assignment in each picture.

N. Carion et al., "End-to-End Object Detection with Transformers", ECCV 2020, with the focal class cost of Deformable
DETR (X. Zhu et al., ICLR 2021). The union of matches is that of D-FINE (Y. Peng et al., ICLR 2025).

``K`` outputs that are matched each on its own (decoder layers and query selection), ``B`` pictures, ``Q`` queries,
``C`` classes, ``N`` faces of a picture, padding included. A match is the number of a face for every query, -1 for none.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mien.losses.boxes import corners, overlap
from mien.schema.errors import ConfigError


class Faces(NamedTuple):
    """What is true: boxes as centre, width and height in [0, 1]; a label of -1 is padding."""

    boxes: Float[Tensor, "B N 4"]
    labels: Int[Tensor, "B N"]
    weights: Float[Tensor, "B N"]

    @property
    def real(self) -> Bool[Tensor, "B N"]:
        return self.labels >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What it costs to let a query answer for a face.

    Attributes:
        classification: factor of the focal difference between calling the face its class and not.
        l1: factor of the sum of the four differences of centre, width and height.
        giou: factor of the negative generalised intersection over union.
        alpha: weight of the class that is there, in [0, 1]; the rest is that of its absence.
        gamma: how little sure answers count.
    """

    classification: float = 2.0
    l1: float = 5.0
    giou: float = 2.0
    alpha: float = 0.25
    gamma: float = 2.0

    def __post_init__(self) -> None:
        weights = (self.classification, self.l1, self.giou)
        if min(weights) < 0 or max(weights) == 0:
            raise ConfigError(f"The costs of a match are at least 0, and one is more; given: {self}")
        if not 0 <= self.alpha <= 1:
            raise ConfigError(f"alpha is in [0, 1]; given: {self.alpha}")

    @torch.no_grad()
    def table(
        self, logits: Float[Tensor, "K B Q C"], boxes: Float[Tensor, "K B Q 4"], faces: Faces
    ) -> Float[Tensor, "K B Q N"]:
        """The cost of every pair; columns of padding mean nothing."""
        own = faces.labels.clamp(min=0)[None, :, None].expand(*logits.shape[:3], -1)
        focal = self._focal(logits).gather(-1, own)
        found, true = boxes[..., None, :], faces.boxes[None, :, None]
        distance = (found - true).abs().sum(-1)
        giou = overlap(corners(found), corners(true)).giou
        return self.classification * focal + self.l1 * distance - self.giou * giou

    def _focal(self, logits: Float[Tensor, "K B Q C"]) -> Float[Tensor, "K B Q C"]:
        p = logits.sigmoid()
        there = self.alpha * (1 - p) ** self.gamma * -F.logsigmoid(logits)
        absent = (1 - self.alpha) * p**self.gamma * -F.logsigmoid(-logits)
        return there - absent


def assign(cost: Float[Tensor, "K B Q N"], real: Bool[Tensor, "B N"]) -> Int[Tensor, "K B Q"]:
    """The cheapest assignment of each picture and output: every true face gets one query of its own.

    Where there are more faces than queries, as many faces as there are queries. A cost that is not a number counts as
    dear, so that it shows in the loss and not here.
    """
    from scipy.optimize import linear_sum_assignment

    table = cost.nan_to_num(nan=1e6).cpu().numpy()
    match = np.full(table.shape[:3], -1, np.int64)
    for picture, mask in enumerate(real.cpu().numpy()):
        columns = np.flatnonzero(mask)
        for output in range(len(table) if len(columns) else 0):
            queries, chosen = linear_sum_assignment(table[output, picture][:, columns])
            match[output, picture, queries] = columns[chosen]
    return torch.from_numpy(match).to(cost.device)


def union(match: Int[Tensor, "K B Q"], faces: int) -> Int[Tensor, "K B Q"]:
    """Every query that any output matched, for all outputs: to the face it got most often, else to the first."""
    number = torch.arange(faces, device=match.device)
    votes = (match[..., None] == number).sum(0)
    most, face = (votes * faces - number).max(-1)
    return torch.where(most > 0, face, -1).expand_as(match)
