"""Product-Cross: facial landmarks weigh and question the image features.

Y. Nie, R. Pan, Q. Zhang, X. Xu, G. Li, H. Cai, "Face Expression Recognition via Product-Cross Dual Attention and
Neutral-Aware Anchor Loss". A frozen landmark network (MobileFaceNet) and a trained image backbone (IR-50 up to
stride 8) look at the same face. The strongest landmark channel at each place multiplies the image map (product
attention); the result becomes tokens, and in two transformer blocks the landmark tokens ask (queries) while the image
tokens answer (cross attention). The class token goes to a linear layer. The loss is ``losses/neutral_anchor.py``.

Where the text is silent or contradicts itself, a field of :class:`Config` states the choice. Marked [U]: from the
public family of POSTER, POSTER++, face.evoLVe and pytorch_face_landmark. Marked [D]: ours.
- The paper's counts of parameters and operations (17.6 M, 1.0 M, 15.6 M; 5.5 G, 0.2 G, 3.6 G multiply-accumulates)
  are met only if one query-key-value layer serves both streams and landmark keys and values are computed for nothing;
  ``skip_discarded`` leaves out what never reaches the logits, with equal outputs.
- Section 3.3 trains both backbones, section 4.2 fixes the landmark network: it is fixed.
- Equation 2 writes the class token last; here it is first, which changes nothing.

Shapes: ``B`` batch, ``S`` side of the image, ``h`` side of the maps (14 at 112 pixels), ``N = h*h + 1`` tokens,
``D`` their width, ``C`` classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.attention import CrossAttention, Mlp
from mien.models.layers.gate import SEGate
from mien.models.layers.ir_net import TOTAL_STRIDE, IRNet
from mien.models.layers.mobilefacenet import MobileFaceNet
from mien.models.layers.tokens import TokenStream
from mien.schema.errors import BundleError, ConfigError
from mien.schema.inputs import CROPS, IMAGENET_MEAN, IMAGENET_STD, CropName, ImageSpec
from mien.schema.labels import LabelSet

NORM_EPS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The network of the paper by default: 34.6 M parameters, 9.3 G multiply-accumulates at 112 pixels.

    Attributes:
        size_px: side of the image; other sizes run too, with position embeddings interpolated.
        colour: ``grey`` where the training data are grey.
        source_px: side to which crops are brought before they are enlarged to ``size_px``.
        crop: how faces are cut out, a name in ``CROPS``.
        widths: channels of the three stages of the image backbone.
        units: residual units of the three stages.
        stem_stride: 1 [U], or 2 to halve the map before the first stage.
        dot: product attention (Table 1); without it the image map becomes tokens as it is.
        cross: landmark queries (Table 1); without it the fusion tokens question themselves.
        attn_map: how landmark channels become the factor of the product (Table 4).
        attn_map_kernel: kernel of ``attn_map="conv"`` [D].
        qkv: ``shared`` applies one linear layer to both streams; ``separate`` gives landmark queries their own.
        width: width of the tokens.
        depth: transformer blocks; 8 in the pre-trained row of Table 2.
        heads: attention heads.
        mlp_ratio: hidden over token width; 3 in the pre-trained row of Table 2.
        drop: dropout after the projection and both linear layers of the MLP; the paper gives no place.
        attn_scale: scores are divided by the root of the ``head`` width, or of the token ``width``.
        pre_norm_attn: layer norm before attention, which equation 4 does not show [U].
        pos_embed: learnt position embeddings for each stream [D].
        se_gate: gate of the class token before the classifier [U].
        anchor_feature: whether ``feature`` is the class token before or after that gate.
        landmark_input: ``imagenet`` as the image backbone, ``raw01_bgr`` as the public landmark network was trained.
        freeze_landmark: keep the landmark network as it is, batch norm included.
        prior_width: see ``width`` of the landmark model.
        prior_depths: see ``depths`` of the landmark model.
        prior_head_width: see ``head_width`` of the landmark model.
        skip_discarded: leave out landmark keys and values, and in the last block all queries but the class token's.
        flip_test: in evaluation mode logits and feature are the mean over the face and its mirror image, for twice the
            operations [D]; training sees either by chance anyhow.
    """

    size_px: int = 112
    colour: Literal["rgb", "grey"] = "rgb"
    source_px: int | None = None
    crop: CropName = "face_v1"
    widths: tuple[int, int, int] = (64, 128, 256)
    units: tuple[int, int, int] = (3, 4, 14)
    stem_stride: Literal[1, 2] = 1
    dot: bool = True
    cross: bool = True
    attn_map: Literal["max", "sum", "abs_sum", "conv"] = "max"
    attn_map_kernel: int = 1
    qkv: Literal["shared", "separate"] = "shared"
    width: int = 768
    depth: int = 2
    heads: int = 8
    mlp_ratio: float = 4.0
    drop: float = 0.5
    attn_scale: Literal["head", "width"] = "head"
    pre_norm_attn: bool = True
    pos_embed: bool = True
    se_gate: bool = True
    anchor_feature: Literal["pre_se", "post_se"] = "pre_se"
    landmark_input: Literal["imagenet", "raw01_bgr"] = "imagenet"
    freeze_landmark: bool = True
    prior_width: int = 64
    prior_depths: tuple[int, int, int] = (4, 6, 2)
    prior_head_width: int = 512
    skip_discarded: bool = False
    flip_test: bool = False

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigError(f"width is a multiple of heads; given: {self.width=}, {self.heads=}")
        if self.depth < 1 or min(self.units) < 1:
            raise ConfigError(f"depth and units are at least 1; given: {self.depth=}, {self.units=}")
        if self.attn_map_kernel % 2 == 0:
            raise ConfigError(f"attn_map_kernel is odd, so that the map keeps its size; given: {self.attn_map_kernel}")
        if self.anchor_feature == "post_se" and not self.se_gate:
            raise ConfigError("anchor_feature='post_se' needs se_gate=True")

    @classmethod
    def tiny(cls) -> "Config":
        return cls(
            size_px=32, widths=(8, 12, 16), units=(1, 1, 1), width=24, heads=2, prior_width=8, prior_depths=(1, 1, 1),
            prior_head_width=16,
        )  # fmt: skip

    @property
    def grid(self) -> int:
        """Side of the maps at ``size_px``."""
        return -(-self.size_px // TOTAL_STRIDE)

    @property
    def score_scale(self) -> float:
        """Factor of the attention scores."""
        scaled = self.width if self.attn_scale == "width" else self.width // self.heads
        return float(scaled**-0.5)

    def inputs(self) -> dict[str, ImageSpec]:
        cut = CROPS[self.crop]
        return {"image": ImageSpec(size_px=self.size_px, crop=cut, colour=self.colour, source_px=self.source_px)}

    def build(self, labels: LabelSet | None) -> "ProductCross":
        """The network with random weights, the landmark network included; see :meth:`ProductCross.load_prior`.

        Raises:
            ConfigError: without labels.
        """
        if labels is None:
            raise ConfigError("product_cross is a classifier and needs a label set")
        return ProductCross(self, len(labels))


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallConfig(Config):
    """A network of 2.1 M parameters beside the landmark network, sized for training and use on a CPU."""

    widths: tuple[int, int, int] = (32, 64, 128)
    units: tuple[int, int, int] = (2, 4, 5)
    stem_stride: Literal[1, 2] = 2
    width: int = 128
    heads: int = 4
    mlp_ratio: float = 2.0
    drop: float = 0.1
    skip_discarded: bool = True

    @classmethod
    def tiny(cls) -> "SmallConfig":
        return cls(
            size_px=32, widths=(8, 12, 16), units=(1, 1, 1), width=24, heads=2, prior_width=8, prior_depths=(1, 1, 1),
            prior_head_width=16,
        )  # fmt: skip


class Outputs(NamedTuple):
    """``heatmap`` is the factor of the product (the mean of all factors if there are several), not squashed."""

    logits: Float[Tensor, "B C"]
    feature: Float[Tensor, "B D"]
    heatmap: Float[Tensor, "B 1 h h"]


class Maps(NamedTuple):
    """All at stride 8; ``factor`` has one channel or as many as ``image``."""

    landmark: Float[Tensor, "B L h h"]
    image: Float[Tensor, "B I h h"]
    factor: Float[Tensor, "B F h h"]
    fusion: Float[Tensor, "B I h h"]


class Block(nn.Module):
    """Transformer block that updates the fusion tokens only (equation 5); names as in timm's vision transformers."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, normed = config.width, config.pre_norm_attn
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS) if normed else nn.Identity()
        self.norm_q = nn.LayerNorm(width, eps=NORM_EPS) if normed and config.cross else nn.Identity()
        own_query = config.cross and config.qkv == "separate"
        self.attn = CrossAttention(width, config.heads, config.score_scale, own_query, config.skip_discarded)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = Mlp(width, int(width * config.mlp_ratio), config.drop)
        self.drop = nn.Dropout(config.drop)

    def forward(
        self, fusion: Float[Tensor, "B N D"], landmark: Float[Tensor, "B N D"] | None, first: int | None = None
    ) -> Float[Tensor, "B M D"]:
        """Update the ``first`` tokens, or all of them."""
        asking, answering = self.streams(fusion, landmark)
        if first is not None:
            fusion, asking = fusion[:, :first], asking[:, :first]
        attended = fusion + self.drop(self.attn(asking, answering))
        out: Tensor = attended + self.mlp(self.norm2(attended))
        return out

    def streams(self, fusion: Tensor, landmark: Tensor | None) -> tuple[Tensor, Tensor]:
        """What asks and what answers, normalised."""
        answering: Tensor = self.norm1(fusion)
        if landmark is None:
            return answering, answering
        return self.norm_q(landmark), answering


class ProductCross(nn.Module):
    """The network; maps, tokens and head are separate steps, so that a heat map can be drawn from any of them."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__()
        self.config = config
        self.flip_test = config.flip_test
        self.landmark = MobileFaceNet(config.prior_width, config.prior_depths, config.prior_head_width)
        self.image = IRNet(config.widths, config.units, config.stem_stride)
        channels, prior = config.widths[-1], self.landmark.prior_channels
        kernel = config.attn_map_kernel
        self.attn_map = (
            nn.Conv2d(prior, channels, kernel, padding=kernel // 2)
            if config.dot and config.attn_map == "conv"
            else None
        )
        self.fusion_tokens = TokenStream(channels, config.width, config.grid, config.pos_embed)
        self.landmark_tokens = TokenStream(prior, config.width, config.grid, config.pos_embed) if config.cross else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.gate = SEGate(config.width) if config.se_gate else None
        self.head = nn.Linear(config.width, classes)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        for part in (self.blocks, self.head, self.gate):
            if part is not None:
                part.apply(_initialise)
        self.landmark.requires_grad_(not config.freeze_landmark)
        self.train()

    def train(self, mode: bool = True) -> "ProductCross":
        """A frozen landmark network stays in evaluation mode, so its batch statistics never move."""
        super().train(mode)
        if self.config.freeze_landmark:
            self.landmark.eval()
        return self

    def load_prior(self, weights: Mapping[str, Tensor]) -> None:
        """Fill the landmark network from the weights of a ``landmarks`` model.

        Raises:
            BundleError: if they are not exactly its tensors.
        """
        own = {n: t for n, t in self.landmark.state_dict().items() if not n.endswith("num_batches_tracked")}
        given = {n.removeprefix("backbone."): t for n, t in weights.items() if n.startswith("backbone.")}
        given = {n: t for n, t in given.items() if not n.endswith("num_batches_tracked")}
        misfits = sorted(own.keys() ^ given.keys()) + [n for n in own if n in given and own[n].shape != given[n].shape]
        if misfits:
            raise BundleError(
                f"These weights are not those of the landmark network built here: {len(misfits)} tensors are missing, "
                f"unknown or of another shape, the first is {misfits[0]!r}. Set prior_width, prior_depths and "
                "prior_head_width to those of the landmark model."
            )
        self.landmark.load_state_dict(given, strict=False)

    def lean(self) -> "ProductCross":
        """The same network without what never reaches its outputs; see ``skip_discarded``."""
        config = replace(self.config, skip_discarded=True)
        lean = ProductCross(config, self.head.out_features).train(self.training)
        lean.load_state_dict(self.state_dict())
        return lean

    def frozen_parameters(self) -> frozenset[str]:
        """Names of parameters that training never moves."""
        return self._landmark_names() if self.config.freeze_landmark else frozenset()

    def unused_parameters(self) -> frozenset[str]:
        """Names of trainable parameters that logits and feature do not depend on."""
        config = self.config
        unused: set[str] = set()
        if not config.freeze_landmark:
            tail = ("landmark.conv_45.", "landmark.conv_5.", "landmark.conv_6_sep.", "landmark.output_layer.")
            needed = config.dot or (config.cross and config.depth > 1)
            unused |= {n for n in self._landmark_names() if not needed or n.startswith(tail)}
        if config.cross and config.depth == 1:
            unused |= {"landmark_tokens.proj.weight", "landmark_tokens.proj.bias"}
        return frozenset(unused)

    def _landmark_names(self) -> frozenset[str]:
        return frozenset(f"landmark.{name}" for name, _ in self.landmark.named_parameters())

    def forward(self, image: Float[Tensor, "B 3 S S"]) -> Outputs:
        if not self.flip_test or self.training:
            return self.forward_once(image)
        both = self.forward_once(torch.cat([image, image.flip(-1)]))
        logits, feature = (one.unflatten(0, (2, -1)).mean(0) for one in (both.logits, both.feature))
        heatmap = both.heatmap.unflatten(0, (2, -1))
        return Outputs(logits, feature, (heatmap[0] + heatmap[1].flip(-1)) / 2)

    def forward_once(self, image: Float[Tensor, "B 3 S S"]) -> Outputs:
        """The image as it is, whatever ``flip_test`` says."""
        maps = self.forward_maps(image)
        fusion, landmark = self.forward_tokens(maps)
        logits, feature = self.forward_head(self.forward_last_block(fusion, landmark))
        return Outputs(logits, feature, maps.factor.mean(1, keepdim=True))

    def forward_maps(self, image: Float[Tensor, "B 3 S S"]) -> Maps:
        """Both backbones and the product (equation 1)."""
        landmark = self.landmark.forward_prior(self.landmark_view(image))
        features = self.image(image)
        factor = self._factor(landmark)
        return Maps(landmark, features, factor, factor * features if self.config.dot else features)

    def forward_tokens(self, maps: Maps) -> tuple[Float[Tensor, "B N D"], Float[Tensor, "B N D"] | None]:
        """Fusion tokens as they enter the last block, and the landmark tokens, the same for every block."""
        fusion = self.fusion_tokens(maps.fusion)
        landmark = None if self.landmark_tokens is None else self.landmark_tokens(maps.landmark)
        for block in self.blocks[:-1]:
            fusion = block(fusion, landmark)
        return fusion, landmark

    def forward_last_block(self, fusion: Tensor, landmark: Tensor | None) -> Float[Tensor, "B D"]:
        """The class token after the last block."""
        first = 1 if self.config.skip_discarded else None
        token: Tensor = self.blocks[-1](fusion, landmark, first)[:, 0]
        return token

    def forward_head(self, token: Float[Tensor, "B D"]) -> tuple[Float[Tensor, "B C"], Float[Tensor, "B D"]]:
        """Logits, and the feature that the anchor loss compares."""
        plain: Tensor = self.norm(token)
        gated: Tensor = plain if self.gate is None else self.gate(plain)
        return self.head(gated), gated if self.config.anchor_feature == "post_se" else plain

    @property
    def cam_layers(self) -> dict[str, tuple[str, Literal["input", "output"]]]:
        """Places of a class activation map: a submodule, and its first input or its output; the first is the default.

        The output of the last block has no use: only its class token reaches the logits.
        """
        return {
            "block_in": (f"blocks.{self.config.depth - 1}", "input"),
            "f_fusion": ("fusion_tokens", "input"),
            "f_img": ("image", "output"),
        }

    def class_attention(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B L h h"]:
        """Where the class token looks in each of ``L`` blocks: mean over the heads, its own entry dropped."""
        maps = self.forward_maps(image)
        fusion = self.fusion_tokens(maps.fusion)
        landmark = None if self.landmark_tokens is None else self.landmark_tokens(maps.landmark)
        rows = []
        for block in self.blocks:
            assert isinstance(block, Block)
            asking, answering = block.streams(fusion, landmark)
            rows.append(block.attn.weights(asking[:, :1], answering)[:, :, 0, 1:].mean(1))
            fusion = block(fusion, landmark)
        attention: Tensor = torch.stack(rows, 1).unflatten(2, maps.fusion.shape[-2:])
        return attention

    def landmark_points(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 136"]:
        """68 points in units of the crop, from the whole landmark network."""
        points: Tensor = self.landmark(self.landmark_view(image))
        return points

    def landmark_view(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 3 S S"]:
        """The image as the landmark network wants it."""
        if self.config.landmark_input == "imagenet":
            return image
        return (image * self.std + self.mean).flip(1)

    def _factor(self, landmark: Float[Tensor, "B L h h"]) -> Float[Tensor, "B F h h"]:
        if self.attn_map is not None:
            maps: Tensor = self.attn_map(landmark)
            return maps
        if self.config.attn_map == "sum":
            return landmark.sum(1, keepdim=True)
        if self.config.attn_map == "abs_sum":
            return landmark.abs().sum(1, keepdim=True)
        return landmark.amax(1, keepdim=True)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
