"""POSTER++: landmark maps at three sizes question those of the image, and a small transformer reads the answers.

J. Mao, R. Xu, X. Yin, Y. Chang, B. Nie, A. Huang, "POSTER++: A simpler and stronger facial expression recognition
network", Pattern Recognition 2024 (arXiv 2301.12149). A frozen landmark network (MobileFaceNet) and an image network
(IR-50 up to stride 8) give a map each at three sizes. In one window that covers the whole map, the landmarks ask and
the image answers. All answers become tokens of one transformer of two blocks; its class token is the feature.

With ``vit`` it is the extractor of features of J. Li et al., "Multimodal Feature Extraction and Fusion for Emotional
Reaction Intensity Estimation and Expression Classification in Videos with Transformers", CVPR workshops 2023: its class
token beside that of a ViT-B/16, 768 + 768 numbers.

Marked [U]: from github.com/Talented-Q/POSTER_V2. Marked [D]: ours.
- The public code builds further layers that nothing reads (a fourth image stage, a second patch embedding, and more);
  they are left out here, and when its weights are loaded.
- There the batch statistics of the frozen landmark network move in training; here they rest [D].

Shapes: ``B`` batch, ``S`` side of the image, ``F`` width of the feature, ``C`` classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.gate import SEGate
from mien.models.layers.ir_net import IRNet
from mien.models.layers.mobilefacenet import MobileFaceNet
from mien.models.layers.vit import ClassTokenTransformer, VisionTransformer
from mien.models.layers.window_attention import WindowLevel
from mien.schema.errors import BundleError, ConfigError
from mien.schema.inputs import IMAGENET_MEAN, IMAGENET_STD, ImageSpec
from mien.schema.labels import LabelSet

DROP_PATHS = (0.0, 0.125, 0.25)
"""How often what a level adds is left out in training [U]."""

HALF = (0.5, 0.5, 0.5)
"""Mean and deviation of pixels for the vision transformer: [0, 1] becomes [-1, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """POSTER++ by default: 43.85 M parameters, 8.44 G multiply-accumulates beside those inside the attention.

    Attributes:
        size_px: side of the image that POSTER++ sees.
        colour: ``grey`` where the training data are grey.
        source_px: side to which crops are brought before they are enlarged.
        widths: channels of the three stages of the image network.
        units: residual units of the three stages.
        stem_stride: 1, or 2 to halve the map before the first stage [D].
        head_width: of the attention in the windows.
        queries: ``raw`` takes the landmark maps as they are, ``projected`` brings them to ``widths`` first [D].
        width: of the tokens.
        depth: blocks of the transformer.
        heads: of the transformer.
        drop: dropout in the transformer's blocks.
        freeze_landmark: keep the landmark network as it is.
        prior_width: see ``width`` of the landmark model.
        prior_depths: see ``depths`` of the landmark model.
        prior_head_width: see ``head_width`` of the landmark model.
        vit: ``none`` is POSTER++, ``alone`` the vision transformer that stands beside it, ``joined`` both.
        joint_freeze: with ``joined``, train the classifier alone.
        vit_px: side of the image with ``vit``; POSTER++ sees the same one at ``size_px``.
        vit_width: of the vision transformer's tokens.
        vit_depth: its blocks.
        vit_heads: its heads.
        vit_patch_px: side of its patches.
    """

    size_px: int = 112
    colour: Literal["rgb", "grey"] = "rgb"
    source_px: int | None = None
    widths: tuple[int, int, int] = (64, 128, 256)
    units: tuple[int, int, int] = (3, 4, 14)
    stem_stride: Literal[1, 2] = 1
    head_width: int = 32
    queries: Literal["raw", "projected"] = "raw"
    width: int = 768
    depth: int = 2
    heads: int = 8
    drop: float = 0.0
    freeze_landmark: bool = True
    prior_width: int = 64
    prior_depths: tuple[int, int, int] = (4, 6, 2)
    prior_head_width: int = 512
    vit: Literal["none", "alone", "joined"] = "none"
    joint_freeze: bool = False
    vit_px: int = 224
    vit_width: int = 768
    vit_depth: int = 12
    vit_heads: int = 12
    vit_patch_px: int = 16

    def __post_init__(self) -> None:
        raw = (self.prior_width, 2 * self.prior_width)
        rules = (
            (self.vit in ("none", "alone", "joined"), "vit is none, alone or joined", "vit"),
            (self.queries in ("raw", "projected"), "queries are raw or projected", "queries"),
            (
                self.queries == "projected" or self.widths[:2] == raw,
                f"queries='raw' needs an image network that begins with {raw} channels, as the landmark network",
                "widths",
            ),
            (not any(w % self.head_width for w in self.widths), "widths are multiples of head_width", "widths"),
            (self.width % self.heads == 0, f"width is a multiple of heads={self.heads}", "width"),
            (self.vit_width % self.vit_heads == 0, f"vit_width is a multiple of {self.vit_heads=}", "vit_width"),
            (self.vit_px % self.vit_patch_px == 0, f"vit_px is a multiple of {self.vit_patch_px=}", "vit_px"),
            (not self.joint_freeze or self.vit == "joined", "joint_freeze needs vit='joined'", "joint_freeze"),
        )
        for kept, rule, name in rules:
            if not kept:
                raise ConfigError(f"{rule}; given: {name}={getattr(self, name)!r}")

    @classmethod
    def small(cls) -> "Config":
        """2.7 M parameters beside the landmark network's million, for training and use on a CPU [D]."""
        return cls(
            size_px=64, widths=(32, 64, 128), units=(2, 2, 3), stem_stride=2, head_width=16, queries="projected",
            width=128, heads=4, drop=0.1,
        )  # fmt: skip

    @classmethod
    def tiny(cls) -> "Config":
        return cls(
            size_px=32, widths=(8, 16, 16), units=(1, 1, 1), head_width=8, width=24, heads=2, prior_width=8,
            prior_depths=(1, 1, 1), prior_head_width=16, vit_px=64, vit_width=16, vit_depth=1, vit_heads=2,
        )  # fmt: skip

    @property
    def feature_width(self) -> int:
        """Numbers of the feature."""
        return (self.vit != "alone") * self.width + (self.vit != "none") * self.vit_width

    def inputs(self) -> dict[str, ImageSpec]:
        if self.vit == "none":
            return {"image": ImageSpec(size_px=self.size_px, colour=self.colour, source_px=self.source_px)}
        spec = ImageSpec(size_px=self.vit_px, colour=self.colour, source_px=self.source_px, mean=HALF, std=HALF)
        return {"image": spec}

    def build(self, labels: LabelSet | None) -> "PosterV2":
        """The network with random weights, the landmark network included; see :meth:`PosterV2.load_prior`.

        Raises:
            ConfigError: without labels.
        """
        if labels is None:
            raise ConfigError("poster_v2 is a classifier and needs a label set")
        return PosterV2(self, len(labels))


class Outputs(NamedTuple):
    """``feature`` is the class token before the gate; with ``vit="joined"`` that of the transformer follows it."""

    logits: Float[Tensor, "B C"]
    feature: Float[Tensor, "B F"]


class PosterTrunk(nn.Module):
    """A face to the class token.

    Its levels are questions and answers at strides 4, 8 and 16.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        widths, width = config.widths, config.width
        prior = (config.prior_width, 2 * config.prior_width)
        self.landmark = MobileFaceNet(config.prior_width, config.prior_depths, config.prior_head_width)
        self.image = IRNet(widths, config.units, config.stem_stride)
        self.queries = (
            nn.ModuleList(nn.Conv2d(*pair, 1) for pair in zip(prior, widths[:2], strict=True))
            if config.queries == "projected"
            else None
        )
        self.last_face_conv = nn.Conv2d(config.prior_head_width, widths[2], 3, 1, 1)
        self.levels = nn.ModuleList(
            WindowLevel(channels, channels // config.head_width, -(-config.size_px // stride), drop_path)
            for channels, stride, drop_path in zip(widths, (4, 8, 16), DROP_PATHS, strict=True)
        )
        self.embed = nn.ModuleList(
            (
                nn.Sequential(nn.Conv2d(widths[0], width, 3, 2, 1), nn.Conv2d(width, width, 3, 2, 1)),
                nn.Conv2d(widths[1], width, 3, 2, 1),
                nn.Conv2d(widths[2], width, 1),
            )
        )
        cells = (-(-config.size_px // 16)) ** 2
        self.transformer = ClassTokenTransformer(3 * cells, width, config.depth, config.heads, drop=config.drop)

    def forward(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B D"]:
        asking, answering = self.forward_queries(image), self.image.forward_features(image)
        tokens = []
        for level, embed, given, asked in zip(self.levels, self.embed, answering, asking, strict=True):
            tokens.append(embed(level(given, asked)).flatten(2).transpose(1, 2))
        token: Tensor = self.transformer(torch.cat(tokens, dim=1))
        return token

    def forward_queries(self, image: Float[Tensor, "B 3 S S"]) -> tuple[Tensor, Tensor, Tensor]:
        """What the landmarks ask at strides 4, 8 and 16."""
        taps = self.landmark.forward_features(image)
        last = self.last_face_conv(taps.conv_6_sep)
        if self.queries is None:
            return taps.conv_3, taps.conv_4, last
        return self.queries[0](taps.conv_3), self.queries[1](taps.conv_4), last


class PosterV2(nn.Module):
    """The classifier; ``poster`` is absent with ``vit="alone"``, ``vit`` with ``vit="none"``."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__()
        self.config = config
        self.poster = None if config.vit == "alone" else PosterTrunk(config)
        self.vit = (
            None
            if config.vit == "none"
            else VisionTransformer(
                config.vit_px, config.vit_patch_px, config.vit_width, config.vit_depth, config.vit_heads
            )
        )
        self.gate = SEGate(config.width) if config.vit == "none" else None
        self.head = nn.Linear(config.feature_width, classes)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        if self.poster is not None:
            self.poster.landmark.requires_grad_(not config.freeze_landmark)
        if config.joint_freeze:
            for trunk in self._trunks():
                trunk.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> "PosterV2":
        """Frozen parts stay in evaluation mode, so their batch statistics never move."""
        super().train(mode)
        if self.config.freeze_landmark and self.poster is not None:
            self.poster.landmark.eval()
        if self.config.joint_freeze:
            for trunk in self._trunks():
                trunk.eval()
        return self

    def load_prior(self, weights: Mapping[str, Tensor]) -> None:
        """Fill the landmark network from the weights of a ``landmarks`` model.

        Raises:
            BundleError: if they are not exactly its tensors.
            ConfigError: if there is no landmark network.
        """
        if self.poster is None:
            raise ConfigError("vit='alone' has no landmark network; train it without a prior")
        own = {n: t.shape for n, t in self.poster.landmark.state_dict().items() if not n.endswith("batches_tracked")}
        given = {n.removeprefix("backbone."): t for n, t in weights.items() if n.startswith("backbone.")}
        misfits = sorted(n for n in own.keys() | given.keys() if not n.endswith("batches_tracked")
                         and (n not in own or n not in given or own[n] != given[n].shape))  # fmt: skip
        if misfits:
            raise BundleError(
                f"These weights are not those of the landmark network built here: {len(misfits)} tensors are missing, "
                f"unknown or of another shape, the first is {misfits[0]!r}. Set prior_width, prior_depths and "
                "prior_head_width to those of the landmark model."
            )
        self.poster.landmark.load_state_dict({n: given[n] for n in own}, strict=False)

    def frozen_parameters(self) -> frozenset[str]:
        """Names of parameters that training never moves."""
        return frozenset(name for name, parameter in self.named_parameters() if self._rests(name))

    def unused_parameters(self) -> frozenset[str]:
        """Names of trainable parameters that no output depends on: the landmarks themselves."""
        tail = "poster.landmark.output_layer."
        return frozenset(n for n, _ in self.named_parameters() if n.startswith(tail) and not self._rests(n))

    @property
    def cam_layers(self) -> dict[str, tuple[str, Literal["input", "output"]]]:
        """Places of a class activation map: a submodule, and its first input or its output; the first is the default.

        They are the maps in which landmarks have questioned the image, at strides 16, 8 and 4, and the patches as they
        enter the last block of the vision transformer.
        """
        places: dict[str, tuple[str, Literal["input", "output"]]] = {}
        if self.poster is not None:
            for number in (2, 1, 0):
                places[f"level_{number + 1}"] = (f"poster.levels.{number}", "output")
        if self.vit is not None:
            places["vit_block_in"] = (f"vit.blocks.{self.config.vit_depth - 1}", "input")
        return places

    def forward(self, image: Float[Tensor, "B 3 S S"]) -> Outputs:
        feature = self.forward_feature(image)
        return Outputs(self.head(feature if self.gate is None else self.gate(feature)), feature)

    def forward_feature(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B F"]:
        """The class tokens, side by side."""
        if self.vit is None:
            assert self.poster is not None
            token: Tensor = self.poster(image)
            return token
        patches: Tensor = self.vit(image)
        return patches if self.poster is None else torch.cat((self.poster(self.poster_view(image)), patches), dim=1)

    def poster_view(self, image: Float[Tensor, "B 3 V V"]) -> Float[Tensor, "B 3 S S"]:
        """The vision transformer's image as POSTER++ sees it: smaller, with ImageNet's mean and deviation."""
        side = self.config.size_px
        small = F.interpolate(image, size=(side, side), mode="bilinear", align_corners=False)
        return (small * HALF[0] + HALF[0] - self.mean) / self.std

    def _trunks(self) -> list[nn.Module]:
        return [trunk for trunk in (self.poster, self.vit) if trunk is not None]

    def _rests(self, name: str) -> bool:
        if self.config.joint_freeze:
            return not name.startswith("head.")
        return self.config.freeze_landmark and name.startswith("poster.landmark.")
