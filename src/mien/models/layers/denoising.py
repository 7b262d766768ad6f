"""Denoising queries: true faces, moved and renamed, that a detector learns to put right while it trains.

F. Li et al., "DN-DETR", CVPR 2022, in the contrastive form of H. Zhang et al., "DINO", ICLR 2023. ``B`` batch, ``N``
faces of a picture, padding included, ``D`` denoising queries, ``Q`` queries of the detector, ``W`` width.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class NoisyFaces(NamedTuple):
    """Queries made from faces: what they claim, where, and from which face, -1 for a contrast or padding.

    ``group``: each group holds every face once near the truth and once as a contrast, which is no face.
    """

    content: Float[Tensor, "B D W"]
    boxes: Float[Tensor, "B D 4"]
    face: Int[Tensor, "B D"]
    group: Int[Tensor, "D"]

    def allowed(self, queries: int) -> Bool[Tensor, "M M"]:
        """Who sees whom, these first, then ``queries`` others: a group itself and the others, they none of these."""
        other = self.group.new_full((queries,), -1)
        group = torch.cat((self.group, other))
        return (group[:, None] == group) | (group == -1)


class Denoising(nn.Module):
    """Makes such queries.

    Args:
        n_classes: of faces.
        width: of a query.
        number: pairs of queries for a picture, in whole groups; one group at least.
        label_noise: half of this share of the faces claims a class drawn at random.
        box_noise: each side of a box moves by up to this many halves of its length; that of a contrast by one to two
            times as much.
    """

    def __init__(self, n_classes: int, width: int, number: int, label_noise: float, box_noise: float) -> None:
        super().__init__()
        self.n_classes, self.number = n_classes, number
        self.label_noise, self.box_noise = label_noise, box_noise
        self.classes = nn.Embedding(n_classes + 1, width, padding_idx=n_classes)

    def forward(self, boxes: Float[Tensor, "B N 4"], labels: Int[Tensor, "B N"]) -> NoisyFaces:
        """Queries from boxes (centre, width, height in [0, 1]) and their labels, -1 for padding."""
        n_faces = labels.shape[1]
        copies = 2 * max(1, self.number // n_faces)
        numbers = torch.arange(n_faces * copies, device=labels.device)
        face, copy = numbers % n_faces, numbers // n_faces
        contrast, known = copy % 2 == 1, labels[:, face]
        return NoisyFaces(
            content=self.classes(self._renamed(known)),
            boxes=self._moved(boxes[:, face].float(), contrast),
            face=torch.where((known >= 0) & ~contrast, face, -1),
            group=copy // 2,
        )

    def _renamed(self, labels: Int[Tensor, "B D"]) -> Int[Tensor, "B D"]:
        drawn = torch.randint_like(labels, self.n_classes)
        chosen = torch.rand(labels.shape, device=labels.device) < self.label_noise / 2
        return torch.where(labels < 0, self.n_classes, torch.where(chosen, drawn, labels))

    def _moved(self, boxes: Float[Tensor, "B D 4"], contrast: Bool[Tensor, "D"]) -> Float[Tensor, "B D 4"]:
        """Both corners moved, each coordinate for itself; the picture's edge stops them."""
        half = boxes[..., 2:] / 2
        reach = self.box_noise * torch.cat((half, half), dim=-1)
        size = torch.rand_like(boxes) + contrast[:, None]
        sign = 2 * torch.randint_like(boxes, 2) - 1
        corners = torch.cat((boxes[..., :2] - half, boxes[..., :2] + half), dim=-1)
        first, last = (corners + sign * size * reach).clamp(0, 1).chunk(2, dim=-1)
        return torch.cat(((first + last) / 2, (last - first).abs()), dim=-1)
