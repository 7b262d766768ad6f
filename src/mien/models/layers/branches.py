"""What a voice and a face are judged by, each by itself: a trunk, an attention and a classifier, or the latter alone.

Shapes: ``B`` moments, ``K`` frames, ``S`` side of a frame, ``M`` mel bands, ``T`` frames of sound, ``E`` channels of a
map, ``U`` maps of a face (``K``, or 1 of a trunk that joins frames), ``F`` their side, ``D`` width of features of a
face, ``C`` classes.
"""

import math

from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.resnet3d import ResNet3d


class VoiceBranch(nn.Module):
    """Sound to a map, a map to a vector, and that to an answer.

    Args:
        trunk: sound to a map.
        attention: on that map.
        width: channels of the map.
        classes: of the answer.
        dropout: before the classifier.
    """

    def __init__(self, trunk: nn.Module, attention: nn.Module, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.trunk = trunk
        self.attention = attention
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)

    def forward_maps(self, sound: Float[Tensor, "B 1 M T"]) -> Float[Tensor, "B E P Q"]:
        """Bands before time."""
        maps: Tensor = self.attention(self.trunk(sound))
        return maps

    def forward_feature(self, maps: Float[Tensor, "B E P Q"]) -> Float[Tensor, "B E"]:
        """Mean over all places: what enters the classifier."""
        return maps.mean((2, 3))

    def forward(self, feature: Float[Tensor, "B E"]) -> Float[Tensor, "B C"]:
        """Logarithm of the probabilities."""
        logits: Tensor = self.head(self.drop(feature))
        return logits.float().log_softmax(1)


class FaceBranch(nn.Module):
    """Frames to maps, and maps to an answer.

    Args:
        trunk: frames to maps, all together if it is a :class:`ResNet3d`, else one by one.
        attention: on each map.
        width: channels of a map.
        classes: of the answer.
        dropout: before the classifier.
    """

    def __init__(self, trunk: nn.Module, attention: nn.Module, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.trunk = trunk
        self.attention = attention
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)

    def forward_maps(self, clip: Float[Tensor, "B K 3 S S"]) -> Float[Tensor, "B U E F F"]:
        """One map a frame, or one of all."""
        if isinstance(self.trunk, ResNet3d):
            whole: Tensor = self.attention(self.trunk(clip.transpose(1, 2)).mean(2))
            return whole[:, None]
        maps: Tensor = self.attention(self.trunk(clip.flatten(0, 1))).unflatten(0, clip.shape[:2])
        return maps

    def forward(self, maps: Float[Tensor, "B U E F F"]) -> Float[Tensor, "B C"]:
        """Logarithm of the mean of the probabilities of all maps."""
        return mean_answer(self.head(self.drop(maps.mean((3, 4)))))


class FeatureBranch(nn.Module):
    """What a foreign network made of each frame to an answer.

    Args:
        width: numbers of a frame.
        classes: of the answer.
        dropout: before the classifier.
    """

    def __init__(self, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)

    def forward(self, features: Float[Tensor, "B K D"]) -> Float[Tensor, "B C"]:
        """Logarithm of the mean of the probabilities of all frames."""
        return mean_answer(self.head(self.drop(features)))


def mean_answer(logits: Float[Tensor, "B U C"]) -> Float[Tensor, "B C"]:
    """Logarithm of the mean of the probabilities that ``U`` answers give."""
    return logits.float().log_softmax(2).logsumexp(1) - math.log(logits.shape[1])
