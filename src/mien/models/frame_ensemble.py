"""Expressions frame by frame, by several networks of faces and objects whose answers are averaged.

J. Li et al., "Multimodal Feature Extraction and Fusion for Emotional Reaction Intensity Estimation and Expression
Classification in Videos with Transformers", CVPR workshops 2023, section 3.2. Inception-ResNet-v1 that was trained on
the faces of VGGFace2, one that was trained on those of CASIA-WebFace, and RegNetY-1.6GF that was trained on ImageNet
each make a vector of every frame of a window. An encoder lets the frames of the window see each other, a linear layer
gives the classes. The loss is ``losses/focal.py``.

Marked [U]: from K. N. Phan, H.-H. Nguyen, V.-T. Huynh, S.-H. Kim, "Facial Expression Classification using Fusion of
Deep Neural Network in Video", CVPR workshops 2022, and its code, to which the paper refers for its settings. Marked
[D]: ours.
- Section 3.2 stitches the vectors of all three before one encoder, the caption of Table 4 averages the networks: the
  latter; ``fusion="concat"`` is the former.
- What is averaged is not said: probabilities.
- Early stages and all batch norms keep their pre-trained weights and statistics [U]; without such weights use
  ``freeze="none"``.

Shapes: ``B`` windows, ``T`` frames, ``S`` side of a frame, ``N`` members, ``C`` classes.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.combined_encoder import CombinedEncoder
from mien.models.layers.inception_resnet import SMALLEST_PX, InceptionResnetV1
from mien.models.layers.regnet import RegNetY
from mien.schema.errors import ConfigError
from mien.schema.inputs import IMAGENET_MEAN, IMAGENET_STD, ClipSpec
from mien.schema.labels import LabelSet

BACKBONES = ("irv1_vggface2", "irv1_casia", "regnety_016")

FACE_MEAN = (127.5 / 255,) * 3
FACE_STD = (128 / 255,) * 3
"""Of the face networks, for pixels in [0, 1]: ``(255 x - 127.5) / 128``."""

KEPT = {
    "irv1": ("conv2d_1a", "conv2d_2a", "conv2d_2b", "conv2d_3b", "conv2d_4a", "conv2d_4b", "repeat_1"),
    "regnety": ("stem", "trunk_output.block1"),
}
"""Parts that are not trained, by the beginning of the backbone's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All three backbones, a head each, answers averaged: 61.26 M parameters by default.

    Attributes:
        backbones: names of ``BACKBONES``; a single one is a row of Table 4.
        fusion: ``ensemble`` gives each backbone a head and averages the probabilities, ``concat`` puts all vectors of
            a frame side by side under one head.
        head: what reads the vectors of a window; ``none`` judges each frame by itself.
        heads: of the encoder's attention.
        head_width: of each head.
        mlp_width: hidden width of the transformer layer.
        drop: dropout before the classifier [U].
        encoder_drop: dropout in the encoder.
        l2: bring each vector to length 1.
        freeze: ``early`` keeps the first stages and all batch norms; ``none`` trains everything [D].
        frames: of a window [U].
        size_px: side of the frames.
        irv1_size: side at which the face networks see them; 160 is that of their own training.
        irv1_unit: factor of the face networks' channels; 16 is the published network.
        irv1_width: of their vectors.
        irv1_drop: dropout in front of their last linear layer, as published.
        irv1_depths: residual blocks of their three stages.
        regnet_widths: channels of the four stages of RegNetY.
        regnet_depths: blocks of the four stages.
        regnet_group: channels of a group.
        regnet_stem: channels of its first convolution.
    """

    backbones: tuple[str, ...] = BACKBONES
    fusion: Literal["ensemble", "concat"] = "ensemble"
    head: Literal["combine", "only_trans", "only_att", "none"] = "combine"
    heads: int = 2
    head_width: int = 64
    mlp_width: int = 512
    drop: float = 0.5
    encoder_drop: float = 0.0
    l2: bool = False
    freeze: Literal["early", "none"] = "early"
    frames: int = 64
    size_px: int = 112
    irv1_size: int = 112
    irv1_unit: int = 16
    irv1_width: int = 512
    irv1_drop: float = 0.6
    irv1_depths: tuple[int, int, int] = (5, 10, 5)
    regnet_widths: tuple[int, int, int, int] = (48, 120, 336, 888)
    regnet_depths: tuple[int, int, int, int] = (2, 6, 17, 2)
    regnet_group: int = 24
    regnet_stem: int = 32

    def __post_init__(self) -> None:
        names = self.backbones
        known = bool(names) and set(names) <= set(BACKBONES) and len(set(names)) == len(names)
        grouped = not any(width % self.regnet_group for width in self.regnet_widths)
        rules = (
            (known, f"backbones are some of {', '.join(BACKBONES)}, each once", "backbones"),
            (self.fusion in ("ensemble", "concat"), "fusion is ensemble or concat", "fusion"),
            (self.head in ("combine", "only_trans", "only_att", "none"), "there is no such head", "head"),
            (self.freeze in ("early", "none"), "freeze is early or none", "freeze"),
            (self.irv1_size >= SMALLEST_PX, f"the face networks need {SMALLEST_PX} pixels", "irv1_size"),
            (grouped, f"regnet_widths are multiples of {self.regnet_group=}", "regnet_widths"),
            (0 <= self.drop < 1, "drop lies in [0, 1)", "drop"),
        )
        for kept, rule, name in rules:
            if not kept:
                raise ConfigError(f"{rule}; given: {name}={getattr(self, name)!r}")

    @classmethod
    def tiny(cls) -> "Config":
        return cls(
            backbones=("irv1_casia", "regnety_016"), head_width=8, mlp_width=16, frames=3, size_px=80, irv1_size=80,
            irv1_unit=2, irv1_width=24, irv1_depths=(1, 1, 1), regnet_widths=(16, 16, 24, 24),
            regnet_depths=(1, 1, 1, 1), regnet_group=8, regnet_stem=16,
        )  # fmt: skip

    def inputs(self) -> dict[str, ClipSpec]:
        spec = ClipSpec(
            n_frames=self.frames,
            segments=1,
            per_segment=self.frames,
            stride=self.frames,
            size_px=self.size_px,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        )
        return {"clip": spec}

    def build(self, labels: LabelSet | None) -> "FrameEnsemble":
        """The network with random weights; those of its ``trunks`` are the user's to give.

        Raises:
            ConfigError: without labels.
        """
        if labels is None:
            raise ConfigError("frame_ensemble is a classifier and needs a label set")
        return FrameEnsemble(self, len(labels))


class Outputs(NamedTuple):
    """``logits`` of each frame: the logarithm of the mean of the members' probabilities.

    With ``fusion="concat"`` there is one member, whose logits they are.
    """

    logits: Float[Tensor, "B T C"]
    member_logits: Float[Tensor, "B N T C"]


class Trunk(nn.Module):
    """Frames with pixels in [0, 1] to vectors, by a network with a scale and a size of its own."""

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, config: Config) -> None:
        super().__init__()
        face = name.startswith("irv1")
        self.net = (
            InceptionResnetV1(config.irv1_unit, config.irv1_width, config.irv1_drop, config.irv1_depths)
            if face
            else RegNetY(config.regnet_widths, config.regnet_depths, config.regnet_group, config.regnet_stem)
        )
        self.width: int = self.net.width
        self.size_px = config.irv1_size if face else config.size_px
        self.l2 = config.l2
        mean, std = (FACE_MEAN, FACE_STD) if face else (IMAGENET_MEAN, IMAGENET_STD)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.resting = tuple(self._resting(KEPT["irv1" if face else "regnety"])) if config.freeze == "early" else ()
        for module in self.resting:
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> "Trunk":
        """Parts that are not trained stay in evaluation mode, batch norms above all."""
        super().train(mode)
        for module in self.resting:
            module.eval()
        return self

    def forward(self, frames: Float[Tensor, "M 3 S S"]) -> Float[Tensor, "M D"]:
        if frames.shape[-1] != self.size_px:
            side = (self.size_px, self.size_px)
            frames = F.interpolate(frames, size=side, mode="bilinear", align_corners=False)
        vectors: Tensor = self.net((frames - self.mean) / self.std)
        return F.normalize(vectors, dim=1) if self.l2 else vectors

    def _resting(self, parts: tuple[str, ...]) -> list[nn.Module]:
        norms = [module for module in self.net.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
        return [*(self.net.get_submodule(part) for part in parts), *norms]


class Head(nn.Module):
    """Vectors of a window to the logits of each frame."""

    def __init__(self, width: int, classes: int, config: Config) -> None:
        super().__init__()
        self.encoder = (
            None
            if config.head == "none"
            else CombinedEncoder(
                width,
                config.heads,
                head_width=config.head_width,
                mlp_width=config.mlp_width,
                drop=config.encoder_drop,
                parts=config.head,
            )
        )
        self.drop = nn.Dropout(config.drop)
        self.classify = nn.Linear(width if self.encoder is None else self.encoder.width, classes)

    def forward(self, vectors: Float[Tensor, "B T D"]) -> Float[Tensor, "B T C"]:
        steps = vectors if self.encoder is None else self.encoder(vectors)[0]
        logits: Tensor = self.classify(self.drop(steps))
        return logits


class FrameEnsemble(nn.Module):
    """``trunks`` by the names of the backbones; ``members`` has a head for each, or one named ``all``."""

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__()
        self.config = config
        trunks = {name: Trunk(name, config) for name in config.backbones}
        self.trunks = nn.ModuleDict(trunks)
        widths = {name: trunk.width for name, trunk in trunks.items()}
        if config.fusion == "concat":
            widths = {"all": sum(widths.values())}
        self.members = nn.ModuleDict({name: Head(width, classes, config) for name, width in widths.items()})

    def frozen_parameters(self) -> frozenset[str]:
        """Names of parameters that training never moves."""
        trunks = [trunk for trunk in self.trunks.values() if isinstance(trunk, Trunk)]
        resting = {id(p) for trunk in trunks for module in trunk.resting for p in module.parameters()}
        return frozenset(name for name, parameter in self.named_parameters() if id(parameter) in resting)

    def unused_parameters(self) -> frozenset[str]:
        """Names of trainable parameters that no output depends on."""
        return frozenset()

    def forward(self, clip: Float[Tensor, "B T 3 S S"]) -> Outputs:
        frames = clip.flatten(0, 1)
        vectors = [trunk(frames).unflatten(0, clip.shape[:2]) for trunk in self.trunks.values()]
        if self.config.fusion == "concat":
            logits = self.members["all"](torch.cat(vectors, dim=2)).float()
            return Outputs(logits, logits[:, None])
        pairs = zip(self.members.values(), vectors, strict=True)
        members = torch.stack([head(given).float() for head, given in pairs], dim=1)
        return Outputs(members.log_softmax(3).logsumexp(1) - math.log(members.shape[1]), members)
