"""Natten-Deim: landmarks modulate the maps of a light trunk, neighbourhood attention sharpens them at three scales.

W. Luo, Z. Chen, C. Peng, "Natten-Deim: Facial Expression Classification Network Based on Neighborhood Attention and
Dual-Branch Feature Fusion". A frozen landmark network (LPB) and a trained trunk (EBB, HGNetV2) see the same image. At
three scales two gates made of landmark features weigh the trunk's channels and places (DFPM), and attention within
windows of 7, 5 and 3 places refines the map (NATTEN). The maps meet on one grid, where every place attends to every
other. The end is a classifier of one face, or a detector of all faces of a picture in the manner of DEIM.

Where the text is silent or contradicts itself, a field of :class:`Config` states the choice. Marked [U]: from DEIM,
D-FINE, POSTER++ or the Neighborhood Attention Transformer. Marked [D]: ours.
- The text describes a classifier, and reports a metric that needs boxes: hence two heads.
- Of sizes it gives hardly any: the trunk, all widths and depths are [U] or [D], and no count can be compared.
- The spatial gate is written once with the shape of the channel gate; it has one number a place.
- "Interpolate X^hgnet to match X^hgnet": it is the landmark map that is resized.
- 3x3, 5x5 and 7x7 "convolution kernels" are windows of attention: 3 at stride 32, 5 at 16, 7 at 8.
- PCAF, which the conclusion credits, is defined nowhere; it is read as attention and fusion together.

Shapes: ``B`` batch, ``S`` side of the image, ``h`` side of the grid where scales meet (14 at 224 pixels), ``D`` width
of the maps there, ``H`` heads, ``C`` classes, ``Q`` queries of the detector.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mien.models.layers.detection_head import Answer, DetectionHead
from mien.models.layers.hgnet import SHAPES, STRIDES, ConvUnit, HGNetV2, Variant
from mien.models.layers.hybrid_encoder import HybridEncoder
from mien.models.layers.landmark_prior import LandmarkPrior, View
from mien.models.layers.prior_modulator import Gates
from mien.models.layers.scale_fusion import GlobalAttention, Scale, ScaleShape, initialise, resized
from mien.schema.errors import ConfigError
from mien.schema.inputs import ImageSpec, PictureSpec
from mien.schema.labels import LabelSet

SCALES = STRIDES[1:]

LANDMARK_STEPS = (("conv_3",), ("conv_34", "conv_4"), ("conv_45", "conv_5", "conv_6_sep"))
"""Parts of the landmark network that lead from one map to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ScaleShape):
    """The classifier by default: 16.8 M parameters, 2.7 G multiply-accumulates at 224 pixels.

    What happens at each scale has its switches in :class:`ScaleShape`: ``lpb``, ``dfpm``, ``natten`` and what belongs
    to them, ``reduce_first``, ``refine`` and ``width``.

    Attributes:
        head: ``cls`` judges one aligned face, ``det`` finds and judges all faces of a picture.
        size_px: side of the image; ``None`` is 224 for ``cls`` [D] and 640 for ``det`` [U].
        colour: ``grey`` where the training data are grey (``cls``).
        source_px: side to which crops are brought before they are enlarged to ``size_px`` (``cls``).
        resize: how a picture becomes a square (``det``).
        ebb: size of the trunk; the text says "lightweight" [D].
        scales: strides of the maps that are used, of 8, 16 and 32; ``det`` needs all.
        landmark_input: ``imagenet``, or ``raw01_bgr`` as the public landmark network was trained.
        freeze_landmark: keep the landmark network as it is, batch norm included.
        prior_px: side of the image that the landmark network sees.
        prior_width: see ``width`` of the landmark model.
        prior_depths: see ``depths`` of the landmark model.
        prior_head_width: see ``head_width`` of the landmark model.
        kernels: sides of its windows at strides 8, 16 and 32.
        fuse_stride: stride of the grid where they meet [D].
        mha: attention of all places there.
        heads: of that attention.
        mha_pos: position code in its queries and keys [D].
        mha_ffn: a two-layer perceptron behind it [D].
        neck: ``hybrid`` is the baseline, DEIM's encoder on the bare trunk (``det``); only ``ebb`` and ``width`` apply.
        queries: boxes that the detector proposes.
        layers: of its decoder.
        cross_attn: how its queries read the maps.
        num_denoising: denoising queries in training [U].
        label_noise: share of them with a changed label [U].
        box_noise: size of their displacement [U].
    """

    head: Literal["cls", "det"] = "cls"
    size_px: int | None = None
    colour: Literal["rgb", "grey"] = "rgb"
    source_px: int | None = None
    resize: Literal["letterbox", "stretch"] = "letterbox"
    ebb: Variant = "b0"
    scales: tuple[int, ...] = SCALES
    landmark_input: View = "imagenet"
    freeze_landmark: bool = True
    prior_px: int = 112
    prior_width: int = 64
    prior_depths: tuple[int, int, int] = (4, 6, 2)
    prior_head_width: int = 512
    kernels: tuple[int, int, int] = (7, 5, 3)
    fuse_stride: Literal[8, 16, 32] = 16
    mha: bool = True
    heads: int = 8
    mha_pos: Literal["none", "sincos2d"] = "none"
    mha_ffn: bool = False
    neck: Literal["ours", "hybrid"] = "ours"
    queries: int = 300
    layers: int = 3
    cross_attn: Literal["deformable", "dense"] = "deformable"
    num_denoising: int = 0
    label_noise: float = 0.5
    box_noise: float = 1.0

    def __post_init__(self) -> None:
        known = tuple(stride for stride in SCALES if stride in self.scales)
        whole = not any(width % self.head_width for width in self.attended_widths)
        gates = self.gate_learnt or self.gate_start != 0 or not self.gated
        fits = self.dilation <= self.side_px // max(self.scales, default=SCALES[-1])
        rules = (
            (bool(known) and known == self.scales, "scales are some of 8, 16 and 32, rising", "scales"),
            (self.head == "cls" or self.scales == SCALES, "a detector needs all scales", "scales"),
            (self.head == "det" or self.neck == "ours", "the hybrid neck belongs to head='det'", "neck"),
            (self.lpb or self.dfpm not in ("add", "concat"), "landmarks that are mixed in need lpb=True", "dfpm"),
            (gates, "gates whose strength is 0 and not learnt do nothing", "gate_start"),
            (all(kernel % 2 for kernel in self.kernels), "kernels are odd", "kernels"),
            (self.depth >= 1, "depth is at least 1", "depth"),
            (self.dilation >= 1 and fits, "dilation is at least 1, at most the side of the smallest map", "dilation"),
            (self.width % self.heads == 0, "heads divide the width", "heads"),
            (whole, "head_width divides the width of every map", "head_width"),
        )
        for kept, rule, name in rules:
            if not kept:
                raise ConfigError(f"{rule}; given: {name}={getattr(self, name)!r}")

    @classmethod
    def tiny(cls) -> "Config":
        return cls(
            size_px=64, ebb="tiny", prior_px=32, prior_width=8, prior_depths=(1, 1, 1), prior_head_width=16,
            head_width=8, width=16, heads=2,
        )  # fmt: skip

    @classmethod
    def tiny_detector(cls) -> "Config":
        return cls(
            head="det", size_px=64, ebb="tiny", prior_px=32, prior_width=8, prior_depths=(1, 1, 1), prior_head_width=16,
            head_width=8, width=16, heads=2, queries=12, layers=2,
        )  # fmt: skip

    @classmethod
    def small(cls) -> "Config":
        """A detector sized for training and use on a CPU."""
        return cls(head="det", size_px=256, reduce_first=True, width=128, queries=100, layers=3)

    @property
    def side_px(self) -> int:
        return self.size_px or (224 if self.head == "cls" else 640)

    @property
    def fuses(self) -> bool:
        """Whether there is anything of the paper beside trunk and head."""
        return self.neck == "ours"

    @property
    def reads_landmarks(self) -> bool:
        """Whether there is a landmark network at all."""
        return self.fuses and (self.gated or self.dfpm in ("add", "concat"))

    @property
    def attended_widths(self) -> tuple[int, ...]:
        """Widths of the maps that enter neighbourhood attention."""
        if self.natten == "off" or not self.fuses:
            return ()
        if self.reduce_first:
            return (self.width,)
        return tuple(SHAPES[self.ebb].widths[STRIDES.index(stride)] for stride in self.scales)

    def sees_itself_alone(self, scale: int) -> bool:
        """Whether windows of a scale hold one place, so that it does not matter what it asks."""
        side = -(-self.side_px // SCALES[scale])
        return min(self.kernels[scale], side // self.dilation) == 1

    def inputs(self) -> dict[str, ImageSpec | PictureSpec]:
        if self.head == "det":
            return {"image": PictureSpec(size_px=self.side_px, resize=self.resize)}
        return {"image": ImageSpec(size_px=self.side_px, colour=self.colour, source_px=self.source_px)}

    def build(self, labels: LabelSet | None) -> "Classifier | Detector":
        """The network with random weights, the landmark network included; see :meth:`Network.load_prior`.

        Raises:
            ConfigError: without labels.
        """
        if labels is None:
            raise ConfigError("natten_deim names expressions and needs a label set")
        return (Classifier if self.head == "cls" else Detector)(self, len(labels))


class Outputs(NamedTuple):
    """What is known of a face.

    ``feature`` is the mean over the grid, and enters the classifier. ``attention`` says how much each place of the grid
    is looked at by all places, head by head; each head sums to 1. Without ``mha`` there is one head that looks evenly.
    """

    logits: Float[Tensor, "B C"]
    feature: Float[Tensor, "B D"]
    attention: Float[Tensor, "B H h h"]


class Maps(NamedTuple):
    """``scales`` are the refined maps at strides 8, 16 and 32; ``fused`` is made of all, ``enhanced`` by attention."""

    scales: list[Float[Tensor, "B D _ _"]]
    fused: Float[Tensor, "B D h h"]
    enhanced: Float[Tensor, "B D h h"]


class Network(nn.Module):
    """From the image to maps; what follows is :class:`Classifier` or :class:`Detector`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.trunk = HGNetV2(config.ebb, config.scales)
        self.chosen = [SCALES.index(stride) for stride in config.scales] if config.fuses else []
        self.landmark = _landmark_network(config) if config.reads_landmarks else None
        priors = (config.prior_width, 2 * config.prior_width, config.prior_head_width)
        self.scales = nn.ModuleList(
            Scale(config, self.trunk.widths[place], priors[i], config.kernels[i]) for place, i in enumerate(self.chosen)
        )
        self.fuse = ConvUnit(len(self.chosen) * config.width, config.width, 1) if config.fuses else None
        self.attention = (
            GlobalAttention(config.width, config.heads, config.mha_pos == "sincos2d", config.mha_ffn)
            if config.fuses and config.mha
            else None
        )

    def load_prior(self, weights: Mapping[str, Tensor]) -> None:
        """Fill the landmark network from the weights of a ``landmarks`` model; without one there is nothing to fill.

        Raises:
            BundleError: if they are not exactly its tensors.
        """
        if self.landmark is not None:
            self.landmark.fill(weights)

    def frozen_parameters(self) -> frozenset[str]:
        """Names of parameters that training never moves."""
        return self._landmark_names() if self.config.freeze_landmark else frozenset()

    def unused_parameters(self) -> frozenset[str]:
        """Names of trainable parameters that no output depends on."""
        beyond = sum(
            (LANDMARK_STEPS[i] for i in range(max(self.chosen, default=0) + 1, len(SCALES))), ("output_layer",)
        )
        unused = {n for n in self._landmark_names() - self.frozen_parameters() if n.split(".")[1] in beyond}
        blind = {f"scales.{place}." for place, i in enumerate(self.chosen) if self.config.sees_itself_alone(i)}
        if self.config.natten == "on":
            ends = ("attn.query.weight", "attn.query.bias", "attn.table")
            names = (n for n, _ in self.named_parameters() if n.endswith(ends))
            unused |= {n for n in names if n.startswith(tuple(blind))}
        return frozenset(unused)

    def still_parameters(self) -> frozenset[str]:
        """Names of parameters that get no gradient before alpha and beta, which start at 0, have moved."""
        if not self.config.gated or self.config.gate_start:
            return frozenset()
        gates = {n for n, _ in self.named_parameters() if ".channel_gate." in n or ".spatial_gate." in n}
        return (self._landmark_names() | gates) - self.frozen_parameters() - self.unused_parameters()

    def _landmark_names(self) -> frozenset[str]:
        if self.landmark is None:
            return frozenset()
        return frozenset(f"landmark.{name}" for name, _ in self.landmark.named_parameters())

    def forward_maps(self, image: Float[Tensor, "B 3 S S"]) -> Maps:
        """Both branches, all scales, and where they meet."""
        assert self.fuse is not None
        taken = zip(self.scales, self.trunk(image), self._priors(image), strict=True)
        maps = [scale(x, prior) for scale, x, prior in taken]
        grid = _side(image, self.config.fuse_stride)
        fused = self.fuse(torch.cat([resized(x, grid) for x in maps], 1))
        return Maps(maps, fused, fused if self.attention is None else self.attention(fused))

    def forward_gates(self, image: Float[Tensor, "B 3 S S"]) -> list[Gates]:
        """What the landmarks open at each scale, before alpha and beta weigh it."""
        found = []
        for scale, prior, stride in zip(self.scales, self._priors(image), self.config.scales, strict=True):
            assert isinstance(scale, Scale)
            found.append(scale.gates(prior, _side(image, stride)))
        return found

    def _priors(self, image: Float[Tensor, "B 3 S S"]) -> list[Tensor | None]:
        if self.landmark is None:
            return [None for _ in self.chosen]
        taps = self.landmark.forward_maps(image)
        return [taps[i] for i in self.chosen]


class Classifier(Network):
    """One face to its expression."""

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__(config)
        self.head = nn.Linear(config.width, classes)
        initialise(self.head)

    def forward(self, image: Float[Tensor, "B 3 S S"]) -> Outputs:
        maps = self.forward_maps(image)
        feature = maps.enhanced.mean((2, 3))
        return Outputs(self.head(feature), feature, self.forward_looks(maps.fused))

    def forward_looks(self, fused: Float[Tensor, "B D h h"]) -> Float[Tensor, "B H h h"]:
        """The attention on the grid."""
        if self.attention is None:
            return torch.full_like(fused[:, :1], 1 / (fused.shape[2] * fused.shape[3]))
        looks: Tensor = self.attention.looks(fused)
        return looks

    @property
    def cam_layers(self) -> dict[str, tuple[str, Literal["input", "output"]]]:
        """Places of a class activation map: a submodule, and its first input or its output; the first is the default.

        They are the fused map and the refined ones that it is made of.
        """
        places: dict[str, tuple[str, Literal["input", "output"]]] = {"fused": ("fuse", "output")}
        for number, stride in enumerate(self.config.scales):
            places[f"stride_{stride}"] = (f"scales.{number}", "output")
        return places

    def class_attention(self, image: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 1 h h"]:
        """How much each place is looked at, mean over the heads."""
        return self.forward_looks(self.forward_maps(image).fused).mean(1, keepdim=True)


class Detector(Network):
    """A picture to the boxes of its faces and their expressions."""

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__(config)
        width = config.width
        first, second, third = self.trunk.widths
        self.neck = None if config.fuses else HybridEncoder((first, second, third), width)
        self.detector = DetectionHead(
            (width, width, width),
            classes,
            config.side_px,
            queries=config.queries,
            layers=config.layers,
            cross_attn=config.cross_attn,
            num_denoising=config.num_denoising,
            label_noise=config.label_noise,
            box_noise=config.box_noise,
            dim=width,
        )

    @property
    def reads_targets(self) -> tuple[str, ...]:
        """Targets that ``forward`` takes in training."""
        return ("boxes", "box_labels") if self.config.num_denoising else ()

    def still_parameters(self) -> frozenset[str]:
        """As of :class:`Network`, and those of the head that wait for layers which start at 0."""
        return super().still_parameters() | {f"detector.{n}" for n in self.detector.still_parameters()}

    def forward(
        self,
        image: Float[Tensor, "B 3 S S"],
        boxes: Float[Tensor, "B N 4"] | None = None,
        box_labels: Int[Tensor, "B N"] | None = None,
    ) -> Answer:
        """Boxes and scores; the targets are read by denoising, in training only."""
        answer: Answer = self.detector(self.forward_pyramid(image), boxes, box_labels)
        return answer

    def forward_pyramid(self, image: Float[Tensor, "B 3 S S"]) -> list[Float[Tensor, "B D _ _"]]:
        """The maps that the head reads; what attention made of all is added to the middle one."""
        if self.neck is not None:
            pyramid: list[Tensor] = self.neck(self.trunk(image))
            return pyramid
        maps = self.forward_maps(image)
        fine, middle, coarse = maps.scales
        return [fine, middle + resized(maps.enhanced, (middle.shape[2], middle.shape[3])), coarse]


def _landmark_network(config: Config) -> LandmarkPrior:
    return LandmarkPrior(
        config.prior_width,
        config.prior_depths,
        config.prior_head_width,
        size_px=config.prior_px,
        view=config.landmark_input,
        normalised=config.head == "cls",
        frozen=config.freeze_landmark,
    )


def _side(image: Tensor, stride: int) -> tuple[int, int]:
    """Height and width of a map of this stride."""
    return -(-image.shape[2] // stride), -(-image.shape[3] // stride)
