"""Detection head in the manner of DETR: three maps to a fixed number of boxes, each with a score for every class.

W. Lv et al., "RT-DETRv2" (arXiv 2407.17140), as DEIM uses it (S. Huang et al., CVPR 2025): every cell of the maps is
judged, the best become queries, and a decoder corrects them. Boxes need no suppression afterwards.

Two details differ from the public code, with equal meaning: cells at the very edge, which get an infinite box there,
are left out of the ranking, since no graph of integers holds infinity; boxes are computed only for the cells chosen.

``B`` batch, ``S`` side of the picture, ``M`` cells of all maps, ``Q`` queries, ``C`` classes, ``L`` decoder layers,
``D`` denoising queries. Boxes are centre, width and height in [0, 1] of the picture.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mien.models.layers.box_decoder import HEADS, BoxDecoder, CrossAttn, Perceptron, ScoreLayer, initialise_linear
from mien.models.layers.denoising import Denoising
from mien.models.layers.mobilefacenet import LinearUnit
from mien.schema.errors import ConfigError

STRIDES = (8, 16, 32)
ANCHOR_SIZE = 0.05
"""Side of a box on the finest map; it doubles from map to map."""

MARGIN = 0.01
"""Cells whose box has a number closer than this to 0 or 1 are never chosen."""


class Answer(NamedTuple):
    """What is predicted, and in training all that the loss compares besides.

    ``layer_*`` are all decoder layers, the last included; ``encoder_*`` the queries as they were chosen; ``denoise_*``
    belong to denoising queries, and ``denoise_index`` is the number of the face each was made from, -1 for none.
    """

    pred_logits: Float[Tensor, "B Q C"]
    pred_boxes: Float[Tensor, "B Q 4"]
    layer_logits: Float[Tensor, "L B Q C"] | None = None
    layer_boxes: Float[Tensor, "L B Q 4"] | None = None
    encoder_logits: Float[Tensor, "B Q C"] | None = None
    encoder_boxes: Float[Tensor, "B Q 4"] | None = None
    denoise_logits: Float[Tensor, "L B D C"] | None = None
    denoise_boxes: Float[Tensor, "L B D 4"] | None = None
    denoise_index: Int[Tensor, "B D"] | None = None


class Chosen(NamedTuple):
    """Cells that became queries."""

    content: Float[Tensor, "B Q W"]
    logits: Float[Tensor, "B Q C"]
    boxes: Float[Tensor, "B Q 4"]


Sizes = tuple[tuple[int, int], ...]


def anchors(sizes: Sequence[tuple[int, int]]) -> Float[Tensor, "M 4"]:
    """One square box on each cell of the maps, row by row; ``sizes`` are heights and widths, the finest first."""
    boxes = []
    for level, (height, width) in enumerate(sizes):
        y, x = ((torch.arange(cells) + 0.5) / cells for cells in (height, width))
        y, x = torch.meshgrid(y, x, indexing="ij")
        side = torch.full_like(x, ANCHOR_SIZE * 2**level)
        boxes.append(torch.stack((x, y, side, side), dim=-1).flatten(0, 1))
    return torch.cat(boxes)


class DetectionHead(nn.Module):
    """Maps at strides 8, 16 and 32 to an :class:`Answer`.

    Args:
        channels: of the three maps.
        n_classes: of the scores.
        size_px: side of the pictures; others run too, a little slower.
        queries: boxes that come out; all cells if there are fewer.
        layers: of the decoder.
        cross_attn: ``deformable`` reads the maps at a few places, ``dense`` at all of them.
        num_denoising: pairs of denoising queries in training; 0 for none.
        label_noise: see :class:`Denoising`.
        box_noise: see :class:`Denoising`.
        dim: width of the queries, a multiple of eight.

    Raises:
        ConfigError: if a number does not fit.
    """

    anchors: Tensor
    inside: Tensor

    def __init__(
        self,
        channels: tuple[int, int, int],
        n_classes: int,
        size_px: int,
        queries: int = 300,
        layers: int = 3,
        cross_attn: CrossAttn = "deformable",
        num_denoising: int = 0,
        label_noise: float = 0.5,
        box_noise: float = 1.0,
        dim: int = 256,
    ) -> None:
        super().__init__()
        if dim % HEADS or min(dim, queries, layers) < 1 or num_denoising < 0:
            raise ConfigError(
                f"A detection head needs a width that is a multiple of {HEADS}, a query and a layer at least, and no "
                f"negative number of denoising queries; given: {dim=}, {queries=}, {layers=}, {num_denoising=}"
            )
        self.queries = queries
        self.project = nn.ModuleList(LinearUnit(inp, dim) for inp in channels)
        self.memory = nn.Sequential(nn.Linear(dim, dim), nn.LayerNorm(dim))
        self.memory.apply(initialise_linear)
        self.score = ScoreLayer(dim, n_classes)
        self.step = Perceptron(dim, dim, 4, still=True)
        self.decoder = BoxDecoder(n_classes, layers, dim, cross_attn)
        self.denoising = Denoising(n_classes, dim, num_denoising, label_noise, box_noise) if num_denoising else None
        self.sizes: Sizes = tuple((-(-size_px // stride),) * 2 for stride in STRIDES)
        for name, tensor in zip(("anchors", "inside"), _placed(self.sizes), strict=True):
            self.register_buffer(name, tensor, persistent=False)

    def still_parameters(self) -> frozenset[str]:
        """Names of parameters that get no gradient before the layers behind them, which start at 0, have moved."""
        steps = {f"{name}.": module for name, module in self.named_modules() if isinstance(module, Perceptron)}
        steps.pop("decoder.place.")
        return frozenset(p + n for p, m in steps.items() for n, _ in m.named_parameters() if not n.startswith("4."))

    def forward(
        self,
        maps: Sequence[Float[Tensor, "B _ _ _"]],
        boxes: Float[Tensor, "B N 4"] | None = None,
        box_labels: Int[Tensor, "B N"] | None = None,
    ) -> Answer:
        """The answer; true ``boxes`` and their labels, -1 for padding, are made into denoising queries in training."""
        projected = [project(x) for project, x in zip(self.project, maps, strict=True)]
        chosen = self.choose(projected)
        query, start = chosen.content.detach(), chosen.boxes.detach()
        if not self.training:
            logits, moved = self.decoder(query, start, projected)
            return Answer(logits[-1], moved[-1])
        if self.denoising is None or boxes is None or box_labels is None:
            logits, moved = self.decoder(query, start, projected)
            return _to_learn_from(logits, moved, chosen)
        noisy = self.denoising(boxes, box_labels)
        extra = noisy.face.shape[1]
        query, start = torch.cat((noisy.content, query), dim=1), torch.cat((noisy.boxes, start), dim=1)
        logits, moved = self.decoder(query, start, projected, noisy.allowed(query.shape[1] - extra))
        answer = _to_learn_from(logits[:, :, extra:], moved[:, :, extra:], chosen)
        return answer._replace(
            denoise_logits=logits[:, :, :extra], denoise_boxes=moved[:, :, :extra], denoise_index=noisy.face
        )

    def choose(self, maps: Sequence[Float[Tensor, "B W _ _"]]) -> Chosen:
        """The cells whose best class scores highest."""
        memory = self.memory(torch.cat([x.flatten(2).transpose(1, 2) for x in maps], dim=1))
        logits = self.score(memory).float()
        places, inside = self._places(tuple((x.shape[2], x.shape[3]) for x in maps))
        rank = logits.amax(-1).masked_fill(~inside, torch.finfo(logits.dtype).min)
        best = rank.topk(min(self.queries, len(places)), dim=1).indices
        content, best_logits = (x.gather(1, best[..., None].expand(-1, -1, x.shape[2])) for x in (memory, logits))
        boxes = (self.step(content).float() + places[best]).sigmoid()
        return Chosen(content, best_logits, boxes)

    def _places(self, sizes: Sizes) -> tuple[Float[Tensor, "M 4"], Bool[Tensor, "M"]]:
        """Logits of the anchors, and which may be chosen."""
        if sizes == self.sizes:
            return self.anchors, self.inside
        logits, inside = _placed(sizes)
        return logits.to(self.anchors.device), inside.to(self.inside.device)


def _to_learn_from(logits: Float[Tensor, "L B Q C"], boxes: Float[Tensor, "L B Q 4"], chosen: Chosen) -> Answer:
    return Answer(logits[-1], boxes[-1], logits, boxes, chosen.logits, chosen.boxes)


def _placed(sizes: Sizes) -> tuple[Float[Tensor, "M 4"], Bool[Tensor, "M"]]:
    boxes = anchors(sizes)
    return boxes.logit(), ((boxes > MARGIN) & (boxes < 1 - MARGIN)).all(-1)
