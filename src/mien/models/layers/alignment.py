"""Which frames agree with the sound at their time, and how much face and voice shall count at this moment.

The abstract of J. Yu et al. ("Design of an Expression Recognition Solution Employing the Global Channel-Spatial
Attention Mechanism", 2025) has a "key-frame alignment technique ... to calculate the weights of speech and facial
expressions"; the paper does not describe it. This reading of it is ours: the sound's map is cut into as many parts as
there are frames, and a frame counts by the cosine of the two.

``B`` batch, ``K`` frames, ``E`` and ``D`` channels of the maps of sound and face.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

TEMPERATURE = 0.1


class Alignment(nn.Module):
    """Maps of both to the share of the voice and the weights of the frames.

    Args:
        voice_width: channels of the sound's map.
        face_width: channels of a frame's map.
        width: of the vectors that are compared.
    """

    def __init__(self, voice_width: int, face_width: int, width: int = 64) -> None:
        super().__init__()
        self.voice = nn.Linear(voice_width, width)
        self.face = nn.Linear(face_width, width)
        self.voice_score = nn.Linear(voice_width, 1)
        self.face_score = nn.Linear(face_width, 1)

    def forward(
        self, voice: Float[Tensor, "B E P Q"], face: Float[Tensor, "B K D F F"]
    ) -> tuple[Float[Tensor, "B"], Float[Tensor, "B K"]]:
        """The share, and the weights; both in [0, 1], the weights summing to 1. ``K`` divides ``Q``."""
        frames = face.shape[1]
        parts = voice.mean(2).unflatten(2, (frames, voice.shape[3] // frames)).mean(3).transpose(1, 2)
        means = face.mean((3, 4))
        agreement = F.cosine_similarity(self.voice(parts).float(), self.face(means).float(), dim=2)
        looks = (agreement / TEMPERATURE).softmax(1)
        heard, seen = ((looks[..., None] * vectors).sum(1) for vectors in (parts, means))
        scores = torch.cat((self.voice_score(heard), self.face_score(seen)), 1).float()
        return scores.softmax(1)[:, 0], looks
