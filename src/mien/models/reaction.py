"""Reaction: how strongly somebody reacts, in seven ways, from what encoders saw and heard over a clip.

J. Li, Y. Chen, X. Zhang, J. Nie, Z. Li, Y. Yu, Y. Zhang, R. Hong, M. Wang, "Multimodal Feature Extraction and Fusion
for Emotional Reaction Intensity Estimation and Expression Classification in Videos with Transformers", CVPR workshops
2023, for the 5th ABAW competition. Two sequences of features, of the sound and of the face, are brought to one width.
Each passes an encoder of its own, and both together a third one, which keep what they were given beside what they make
of it. All steps are flattened and projected; one linear layer gives the intensities, another one says which reaction is
the strongest. The loss is ``losses/reaction.py``; the paper's frame-wise classifier is ``models/frame_ensemble.py``.

Marked [U]: from the authors' public code. Marked [D]: ours.
- The text has a 1-d convolution as embedding, without any size; the code five levels of causal convolutions: ``embed``.
- Figure 1 calls an encoder a "single-layer transformer encoder", equation 3 puts three terms side by side: the latter.
- Shorter sequences end in zeros, which count like any step [U]; ``mask`` leaves them out [D].
- Weights published beside the code belong to an older network, so no format of others can be loaded.

Shapes: ``B`` clips, ``T`` steps, ``W`` and ``V`` widths of the features of sound and face, ``D`` of a step, ``E``
encoders, ``F`` width of the joined projection, ``C`` reactions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mien.models.layers.causal_convolutions import CausalConvolutions
from mien.models.layers.combined_encoder import CombinedEncoder
from mien.schema.errors import ConfigError
from mien.schema.inputs import FeatureSpec
from mien.schema.labels import LabelSet

MODALITIES = ("a", "v", "av", "av_inter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The network of the paper by default: 33.45 M parameters, 29.25 M with ``embed="conv1d"``.

    Attributes:
        modalities: ``a`` the sound alone, ``v`` the face alone, ``av`` both, ``av_inter`` with the encoder of both
            together.
        embed: ``tcn`` five levels of causal convolutions [U], ``conv1d`` one convolution as worded.
        sound_width: of a step of the sound's features; 1024 of DeepSpectrum.
        face_width: of a step of the face's features; 1536 of PosterV2-ViT.
        steps: that the network sees [U].
        step_s: seconds from one step to the next [D].
        width: of a step after the embedding.
        levels: of causal convolutions.
        kernel: of the embedding's convolutions.
        embed_drop: dropout in and after the embedding [U].
        position_base: of the sines that tell steps apart [U].
        heads: of the encoders of one kind.
        drop: dropout in them.
        joint_heads: of the encoder of both together.
        joint_drop: dropout in it.
        head_width: of each head [U].
        mlp_width: hidden width of the transformer layers [U].
        projection: width to which all steps of an encoder are brought.
        mask: leave out the zeros at the end of a sequence [D].
        standardize: scale each number of the features by the mean and deviation that :meth:`Reaction.fit_scale` found.
    """

    modalities: Literal["a", "v", "av", "av_inter"] = "av_inter"
    embed: Literal["tcn", "conv1d"] = "tcn"
    sound_width: int = 1024
    face_width: int = 1536
    steps: int = 30
    step_s: float = 0.5
    width: int = 256
    levels: int = 5
    kernel: int = 3
    embed_drop: float = 0.2
    position_base: float = 1000.0
    heads: int = 2
    drop: float = 0.5
    joint_heads: int = 8
    joint_drop: float = 0.1
    head_width: int = 64
    mlp_width: int = 512
    projection: int = 256
    mask: bool = False
    standardize: bool = False

    def __post_init__(self) -> None:
        sizes = (self.levels, self.heads, self.joint_heads, self.head_width, self.mlp_width, self.projection)
        rules = (
            (self.modalities in MODALITIES, "modalities are a, v, av or av_inter", "modalities"),
            (self.embed in ("tcn", "conv1d"), "embed is tcn or conv1d", "embed"),
            (self.width > 0 and self.width % 2 == 0, "width is even, of sines and cosines", "width"),
            (self.kernel > 0 and self.kernel % 2 == 1, "kernel is odd, so that conv1d keeps the steps", "kernel"),
            (self.position_base > 1, "position_base is above 1", "position_base"),
            (min(sizes) >= 1, "levels, heads and widths are at least 1", "levels"),
            (0 <= self.embed_drop < 1, "embed_drop lies in [0, 1)", "embed_drop"),
            (0 <= self.drop < 1, "drop lies in [0, 1)", "drop"),
            (0 <= self.joint_drop < 1, "joint_drop lies in [0, 1)", "joint_drop"),
        )
        for kept, rule, name in rules:
            if not kept:
                raise ConfigError(f"{rule}; given: {name}={getattr(self, name)!r}")
        self.inputs()

    @classmethod
    def tiny(cls) -> "Config":
        return cls(
            sound_width=12, face_width=20, steps=6, width=16, levels=2, head_width=8, joint_heads=2, mlp_width=24,
            projection=12,
        )  # fmt: skip

    @property
    def hears(self) -> bool:
        """Whether the sound is an input."""
        return self.modalities != "v"

    @property
    def sees(self) -> bool:
        """Whether the face is an input."""
        return self.modalities != "a"

    def inputs(self) -> dict[str, FeatureSpec]:
        specs = {}
        if self.hears:
            specs["sound_features"] = FeatureSpec(width=self.sound_width, n_steps=self.steps, step_s=self.step_s)
        if self.sees:
            specs["face_features"] = FeatureSpec(width=self.face_width, n_steps=self.steps, step_s=self.step_s)
        return specs

    def build(self, labels: LabelSet | None) -> "SoundReaction | FaceReaction | JointReaction":
        """The network with random weights.

        Raises:
            ConfigError: without labels.
        """
        if labels is None:
            raise ConfigError("reaction gives a number for each label and needs a label set")
        match self.modalities:
            case "a":
                return SoundReaction(self, len(labels))
            case "v":
                return FaceReaction(self, len(labels))
            case _:
                return JointReaction(self, len(labels))


class Outputs(NamedTuple):
    """``intensity`` of each reaction in (0, 1); ``class_logits`` which one is the strongest, for the loss.

    ``feature`` is the joined projection, of 256 or 512 numbers. ``attention`` says where each step looks, mean over the
    heads: in each encoder (sound, face, both) in ``MHA`` and in ``Trans``.
    """

    intensity: Float[Tensor, "B C"]
    class_logits: Float[Tensor, "B C"]
    feature: Float[Tensor, "B F"]
    attention: Float[Tensor, "B E 2 T T"]


class Encoded(NamedTuple):
    """What an encoder made of a sequence: its steps, and where each looks."""

    steps: Float[Tensor, "B T G"]
    attention: Float[Tensor, "B 2 T T"]


class Embedding(nn.Module):
    """Features to steps of one width, each told where it stands."""

    positions: Tensor

    def __init__(self, inp: int, config: Config) -> None:
        super().__init__()
        width = config.width
        self.convolve = (
            CausalConvolutions(inp, width, config.levels, config.kernel, config.embed_drop)
            if config.embed == "tcn"
            else nn.Conv1d(inp, width, config.kernel, padding=config.kernel // 2)
        )
        self.scale = width**0.5
        self.drop = nn.Dropout(config.embed_drop)
        self.register_buffer("positions", sincos(config.steps, width, config.position_base), persistent=False)

    def forward(self, features: Float[Tensor, "B T W"]) -> Float[Tensor, "B T D"]:
        steps = self.convolve(features.transpose(1, 2)).transpose(1, 2)
        out: Tensor = self.drop(steps * self.scale + self.positions)
        return out


class Branch(nn.Module):
    """Features of one kind: scaled, embedded, encoded."""

    mean: Tensor
    std: Tensor

    def __init__(self, inp: int, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embed = Embedding(inp, config)
        self.encoder = CombinedEncoder(
            config.width,
            config.heads,
            head_width=config.head_width,
            mlp_width=config.mlp_width,
            drop=config.drop,
        )
        if config.standardize:
            self.register_buffer("mean", torch.zeros(inp))
            self.register_buffer("std", torch.ones(inp))

    def forward_embed(self, features: Float[Tensor, "B T W"], there: Bool[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Steps before the encoder."""
        if self.config.standardize:
            features = torch.where(there[:, :, None], (features - self.mean) / self.std, 0.0)
        steps: Tensor = self.embed(features)
        return steps

    def forward(self, steps: Float[Tensor, "B T D"], there: Bool[Tensor, "B T"]) -> Encoded:
        return encode(self.encoder, steps, there if self.config.mask else None)

    @torch.no_grad()
    def fit_scale(self, rows: Float[Tensor, "N W"]) -> None:
        """Take the mean and deviation of each column; one that never changes is left at a deviation of 1."""
        if self.config.standardize:
            std = rows.std(0, correction=0)
            self.mean.copy_(rows.mean(0))
            self.std.copy_(torch.where(std > 0, std, 1.0))


class Network(nn.Module):
    """What all three networks offer; those of one kind have the names of their part of the joined one."""

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__()
        self.config = config
        self.sound = Branch(config.sound_width, config) if config.hears else None
        self.face = Branch(config.face_width, config) if config.sees else None
        joint = config.modalities == "av_inter"
        kinds = config.hears + config.sees
        self.both = (
            CombinedEncoder(
                2 * config.width,
                config.joint_heads,
                head_width=config.head_width,
                mlp_width=config.mlp_width,
                drop=config.joint_drop,
            )
            if joint
            else None
        )
        wide = config.steps * 3 * config.width * kinds
        self.project = nn.Linear(wide, config.projection)
        self.project_both = nn.Linear(wide, config.projection) if joint else None
        feature = config.projection * (1 + joint)
        self.intensity = nn.Linear(feature, classes)
        self.strongest = nn.Linear(feature, classes)

    def frozen_parameters(self) -> frozenset[str]:
        """Names of parameters that training never moves."""
        return frozenset()

    def unused_parameters(self) -> frozenset[str]:
        """Names of trainable parameters that no output depends on."""
        return frozenset()

    def fit_scale(self, rows: Mapping[str, Tensor]) -> None:
        """With ``standardize``, take over the scale of the features of the training part.

        Args:
            rows: by the name of the input, ``float32 [N, width]``: all steps of all clips, without any filling.
        """
        for name, branch in (("sound_features", self.sound), ("face_features", self.face)):
            if branch is not None:
                branch.fit_scale(rows[name])

    def forward_heads(self, found: list[Encoded]) -> Outputs:
        """Projections and both answers, from what the encoders made."""
        own = found if self.both is None else found[:-1]
        parts = [self.project(torch.cat([one.steps for one in own], dim=2).flatten(1))]
        if self.project_both is not None:
            parts.append(self.project_both(found[-1].steps.flatten(1)))
        feature = torch.cat(parts, dim=1).relu()
        return Outputs(
            self.intensity(feature).sigmoid(),
            self.strongest(feature),
            feature,
            torch.stack([one.attention for one in found], dim=1),
        )


class SoundReaction(Network):
    """Features of the sound to intensities."""

    def forward(self, sound_features: Float[Tensor, "B T W"]) -> Outputs:
        assert self.sound is not None
        there = present(sound_features)
        return self.forward_heads([self.sound(self.sound.forward_embed(sound_features, there), there)])


class FaceReaction(Network):
    """Features of the face to intensities."""

    def forward(self, face_features: Float[Tensor, "B T V"]) -> Outputs:
        assert self.face is not None
        there = present(face_features)
        return self.forward_heads([self.face(self.face.forward_embed(face_features, there), there)])


class JointReaction(Network):
    """Features of sound and face to intensities."""

    def forward(self, sound_features: Float[Tensor, "B T W"], face_features: Float[Tensor, "B T V"]) -> Outputs:
        assert self.sound is not None
        assert self.face is not None
        heard, seen = present(sound_features), present(face_features)
        sound = self.sound.forward_embed(sound_features, heard)
        face = self.face.forward_embed(face_features, seen)
        found = [self.sound(sound, heard), self.face(face, seen)]
        if self.both is not None:
            there = heard | seen if self.config.mask else None
            found.append(encode(self.both, torch.cat((sound, face), dim=2), there))
        return self.forward_heads(found)


def sincos(steps: int, width: int, base: float) -> Float[Tensor, "T D"]:
    """Sines of each step in even columns, cosines in odd ones."""
    angles = torch.arange(steps)[:, None] * base ** (-torch.arange(0, width, 2) / width)
    return torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1)


def present(features: Float[Tensor, "B T W"]) -> Bool[Tensor, "B T"]:
    """``False`` for the zeros at the end; zeros between other steps are part of the sequence."""
    something = (features != 0).any(2).to(torch.int32)
    return something.flip(1).cumsum(1).flip(1) > 0


def encode(encoder: CombinedEncoder, steps: Float[Tensor, "B T D"], there: Bool[Tensor, "B T"] | None) -> Encoded:
    """What an encoder makes of the steps that are there; the others are zeros. Of nothing, every step is seen."""
    if there is None:
        return Encoded(*encoder(steps))
    out, attention = encoder(steps, there | ~there.any(1, keepdim=True))
    return Encoded(out * there[:, :, None], attention)
