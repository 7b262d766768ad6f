"""Maps of face and voice side by side, read by convolutions that look near and far.

The abstract of J. Yu et al. ("Design of an Expression Recognition Solution Employing the Global Channel-Spatial
Attention Mechanism", 2025) has weights of both "input into the feature fusion layer for multi scale dilated fusion";
the paper does not describe it. The layout is ours; convolutions as in F. Yu and V. Koltun, "Multi-Scale Context
Aggregation by Dilated Convolutions", ICLR 2016.

``B`` batch, ``K`` frames, ``E`` and ``D`` channels of the maps of sound and face, ``C`` classes.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

DILATIONS = (1, 2, 3)


class DilatedFusion(nn.Module):
    """Both maps to logits.

    Args:
        voice_width: channels of the sound's map.
        face_width: channels of a frame's map.
        classes: of the answer.
        dropout: before the last layer.
        width: channels of what the convolutions find.
    """

    def __init__(self, voice_width: int, face_width: int, classes: int, dropout: float, width: int = 128) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(voice_width + face_width, width, 3, padding=rate, dilation=rate, bias=False) for rate in DILATIONS
        )
        self.bn = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)

    def forward(
        self,
        voice: Float[Tensor, "B E P Q"],
        face: Float[Tensor, "B K D F F"],
        share: Float[Tensor, "B"],
        looks: Float[Tensor, "B K"],
    ) -> Float[Tensor, "B C"]:
        """``share`` is the voice's, in [0, 1]; at one half the maps enter as they are. ``looks`` weighs the frames."""
        heard = F.interpolate(voice, size=face.shape[3:], mode="bilinear", align_corners=False)
        seen = (looks[:, :, None, None, None] * face).sum(1)
        voice_scale = 2 * share[:, None, None, None]
        both = torch.cat((voice_scale * heard, (2 - voice_scale) * seen), 1)
        found: Tensor = self.bn(sum(conv(both) for conv in self.convs)).relu()
        logits: Tensor = self.head(self.drop(found.mean((2, 3))))
        return logits
