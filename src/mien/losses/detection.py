"""Loss of a detector that answers in one pass: class, distance and overlap of the queries matched to true faces.

S. Huang et al., "DEIM: DETR with Improved Matching for Fast Convergence", CVPR 2025: the matchability-aware loss
(MAL). H. Zhang et al., "VarifocalNet", CVPR 2021: the varifocal loss (VFL), for comparison. Box losses and the sum over
decoder layers as in DETR (ECCV 2020), denoising queries as in DINO (H. Zhang et al., ICLR 2023).

``K`` outputs (decoder layers, then query selection), ``B`` pictures, ``Q`` queries, ``D`` denoising queries, ``C``
classes, ``N`` faces of a picture, padding included.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mien.losses.boxes import corners, overlap
from mien.losses.matching import Cost, Faces, assign, union
from mien.schema.errors import ConfigError
from mien.schema.labels import LabelSet

DetectionLoss = Callable[[Any, Mapping[str, Tensor]], dict[str, Tensor]]
Parts = dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The weighted sum of a classification loss, L1 and ``1 - GIoU`` of the boxes, over all that the network answers.

    A query matched to a face should give the face's class a score that grows with their overlap, every other score
    should be 0. Each part is a sum over queries divided by the number of matched boxes of one output. What one face
    adds is multiplied by its ``box_weights``, and it counts as that many boxes.

    Attributes:
        classification: ``mal``: the target is ``IoU ** gamma``, and all matched queries count alike; ``vfl``: the
            target is the IoU, and they count by it, so that poor matches are hardly mended.
        gamma: of ``mal``, for target and for scores that should be 0.
        mal_alpha: factor of scores that should be 0 in ``mal``; ``None`` for 1.
        vfl_gamma: how little low scores that should be 0 count in ``vfl``.
        vfl_alpha: factor of scores that should be 0 in ``vfl``.
        classification_weight: factor of the classification loss in the sum.
        l1_weight: factor of the L1 distance of centre, width and height.
        giou_weight: factor of ``1 - GIoU``.
        denoise_weight: factor of the same loss for denoising queries, whose faces are known.
        cost: what the matching weighs.
        union_of_matches: boxes of a query that any output has matched learn in all outputs.
    """

    classification: Literal["mal", "vfl"] = "mal"
    gamma: float = 1.5
    mal_alpha: float | None = None
    vfl_gamma: float = 2.0
    vfl_alpha: float = 0.75
    classification_weight: float = 1.0
    l1_weight: float = 5.0
    giou_weight: float = 2.0
    denoise_weight: float = 1.0
    cost: Cost = field(default_factory=Cost)
    union_of_matches: bool = False

    def __post_init__(self) -> None:
        weights = (self.classification_weight, self.l1_weight, self.giou_weight, self.denoise_weight)
        factors = (self.gamma, self.vfl_gamma, self.vfl_alpha, 0.0 if self.mal_alpha is None else self.mal_alpha)
        if min(*weights, *factors) < 0:
            raise ConfigError(f"Weights and exponents of the detection loss are at least 0; given: {self}")

    def build(self, labels: LabelSet | None) -> DetectionLoss:
        """The loss for these labels.

        It reads ``boxes``, ``box_labels`` and ``box_weights`` of the targets, and of the outputs ``pred_logits`` and
        ``pred_boxes``, or where they are given ``layer_*``, ``encoder_*`` and ``denoise_*``.

        Raises:
            ConfigError: without labels.
        """
        if labels is None:
            raise ConfigError("The detection loss needs a label set")

        def loss(outputs: Any, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
            faces = Faces(targets["boxes"].float(), targets["box_labels"], targets["box_weights"].float())
            logits, boxes = _answers(outputs)
            match = assign(self.cost.table(logits, boxes, faces), faces.real)
            parts = self.parts(logits, boxes, faces, match)
            total = self._sum(parts)
            if outputs.denoise_logits is not None:
                parts["denoise"] = self._denoise(outputs, faces)
                total = total + self.denoise_weight * parts["denoise"]
            return {"loss": total, **{name: part.detach() for name, part in parts.items()}}

        return loss

    def parts(
        self,
        logits: Float[Tensor, "K B Q C"],
        boxes: Float[Tensor, "K B Q 4"],
        faces: Faces,
        match: Int[Tensor, "K B Q"],
    ) -> Parts:
        """``classification``, ``l1`` and ``giou`` of queries matched so: without their weights, summed over outputs."""
        wide = union(match, faces.labels.shape[1]) if self.union_of_matches else match
        return {"classification": self._classification(logits, boxes, faces, match), **_distances(boxes, faces, wide)}

    def _classification(
        self,
        logits: Float[Tensor, "K B Q C"],
        boxes: Float[Tensor, "K B Q 4"],
        faces: Faces,
        match: Int[Tensor, "K B Q"],
    ) -> Float[Tensor, ""]:
        place = (match >= 0).nonzero(as_tuple=True)
        face = (place[1], match[place])
        weight = faces.weights[face]
        quality = overlap(corners(boxes[place].detach()), corners(faces.boxes[face])).iou
        p = logits.detach().sigmoid()
        if self.classification == "mal":
            wanted, loud = quality**self.gamma, weight
            weights = p**self.gamma * (1.0 if self.mal_alpha is None else self.mal_alpha)
        else:
            wanted, loud = quality, weight * quality
            weights = self.vfl_alpha * p**self.vfl_gamma
        named = (*place, faces.labels[face])
        target = torch.zeros_like(p).index_put(named, wanted)
        weights = weights.index_put(named, loud)
        total = F.binary_cross_entropy_with_logits(logits, target, weights, reduction="sum")
        return total / _boxes_counted(weight, len(match))

    def _denoise(self, outputs: Any, faces: Faces) -> Float[Tensor, ""]:
        """The faces of denoising queries are known, so nothing is matched."""
        logits, boxes = outputs.denoise_logits.float(), outputs.denoise_boxes.float()
        return self._sum(self.parts(logits, boxes, faces, outputs.denoise_index.expand(len(logits), -1, -1)))

    def _sum(self, parts: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        boxes = self.l1_weight * parts["l1"] + self.giou_weight * parts["giou"]
        return self.classification_weight * parts["classification"] + boxes


def _answers(outputs: Any) -> tuple[Float[Tensor, "K B Q C"], Float[Tensor, "K B Q 4"]]:
    """All decoder layers and the query selection; in evaluation only what is predicted."""
    if outputs.layer_logits is None:
        return outputs.pred_logits[None].float(), outputs.pred_boxes[None].float()
    logits = torch.cat((outputs.layer_logits, outputs.encoder_logits[None]))
    boxes = torch.cat((outputs.layer_boxes, outputs.encoder_boxes[None]))
    return logits.float(), boxes.float()


def _distances(boxes: Float[Tensor, "K B Q 4"], faces: Faces, match: Int[Tensor, "K B Q"]) -> Parts:
    place = (match >= 0).nonzero(as_tuple=True)
    face = (place[1], match[place])
    found, true, weight = boxes[place], faces.boxes[face], faces.weights[face]
    count = _boxes_counted(weight, len(match))
    l1 = (weight * (found - true).abs().sum(-1)).sum() / count
    giou = (weight * (1 - overlap(corners(found), corners(true)).giou)).sum() / count
    return {"l1": l1, "giou": giou}


def _boxes_counted(weight: Float[Tensor, "pairs"], outputs: int) -> Float[Tensor, ""]:
    """Matched boxes of one output by their weights, at least 1."""
    return (weight.sum() / outputs).clamp(min=1)
