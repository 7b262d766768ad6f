"""GCSA-AV: an expression at a moment from face and voice, each judged by itself, then added in proportion.

J. Yu, Y. Zheng, L. Wang, Y. Wang, S. Xu, "Design of an Expression Recognition Solution Employing the Global
Channel-Spatial Attention Mechanism", 2025, for the 8th ABAW competition. Some frames around a moment and the sound
around it go through two small networks: MCNN reads the log-mel picture of the sound in three ways at once, RHCNN each
frame. Global channel-spatial attention (GCSA) gates every channel at every place of the sound's map, median-enhanced
attention (MESC) those of a face. Two classifiers give probabilities, and a proportion ``m : n`` of small integers joins
them. The loss, ``losses/coarse_fine.py``, costs more where an answer misses even the coarse group of the expression.

The text fixes GCSA, the proportion, the loss and the optimiser; no width, no kernel, no count of parameters. A field of
:class:`Config` states each choice. Marked [U]: from public code of the blocks. Marked [D]: ours.
- The abstract has GCSA for speech and MESC for faces, the conclusion GCSA for both, section 4.3 describes GCSA alone:
  as in the abstract, and ``visual_attn="gcsa"`` for the rows of Table 1 that see faces only.
- The overview names a "3D residual network and ResNet18", section 4.2 MCNN and RHCNN: the latter; the former are
  switches.
- ``m`` and ``n`` are searched on the selection part after training (``tasks/fuse.py``); Setup gives the "weight
  parameters of speech and facial images" a learning rate, so they can be learnt as well.
- The abstract's "key-frame alignment" and "multi scale dilated fusion" are not described: see ``layers/alignment.py``
  and ``layers/dilated_fusion.py``.
- Of the face a foreign network may tell in RHCNN's place (``visual_net="features"``): a row of numbers for each frame.
- A moment without sound is judged by the face alone; ours: one without a face by the voice alone, one without either
  evenly over all classes.

Shapes: ``B`` moments, ``K`` frames, ``S`` side of a frame, ``M`` mel bands, ``T`` frames of sound, ``E`` channels of a
map, ``U`` maps of a face (``K``, or 1 of a trunk that joins frames), ``F`` their side, ``D`` width of features of a
face, ``C`` classes.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers.alignment import Alignment
from mien.models.layers.branches import FaceBranch, FeatureBranch, VoiceBranch
from mien.models.layers.decision_fusion import LearnedShare, mixed, present
from mien.models.layers.dilated_fusion import DilatedFusion
from mien.models.layers.gcsa import GCSA, Parts
from mien.models.layers.mcnn import MCNN, TIME_TO_CELLS
from mien.models.layers.median_attention import Gate, MedianAttention, Sum
from mien.models.layers.resnet import ResNet
from mien.models.layers.resnet3d import ResNet3d
from mien.models.layers.rhcnn import GROUPS, RHCNN
from mien.schema.errors import ConfigError
from mien.schema.inputs import ClipSpec, FeatureSpec, FlagSpec, InputSpec, SoundSpec
from mien.schema.labels import LabelSet

Attention = Literal["none", "gcsa", "mesc"]

PROPORTIONS = range(1, 6)
"""What ``m`` and ``n`` may be: equation 4 has 0 < m, n < 6."""

HALF = (0.5, 0.5, 0.5)
"""Mean and deviation of pixels: [0, 1] becomes [-1, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """MCNN with GCSA and RHCNN with MESC by default: 2.84 M parameters, 2.16 G multiply-accumulates a moment.

    Attributes:
        modality: ``va`` for both, ``v`` for the face alone, ``a`` for the voice alone.
        audio_net: trunk of the voice.
        visual_net: trunk of the face; ``rhcnn`` reads frames one by one, ``r3d18`` all together; ``features`` has none
            and is fed what a foreign network made of each frame.
        audio_attn: attention of the voice: of ``mcnn`` where its branches meet, of ``resnet18`` on its map.
        visual_attn: attention on the map of the face; ``features`` have no map, and leave the default as it is.
        gcsa_parts: both gates of GCSA, or one of them.
        shuffle: whether GCSA mixes the channels.
        mesc_sum: whether MESC adds three gates or makes one of their sum [U].
        mesc_gate: whether MESC's weights of places pass a sigmoid [U].
        share_pointwise: one 1x1 convolution in all three places of MESC, as in some public versions [U].
        fusion: ``proportional`` adds probabilities, ``concat_dilated`` reads both maps together [D].
        fusion_weights: ``grid`` takes ``weights``, ``learned`` trains them, ``aligned`` finds them for each moment [D].
        weights: ``m`` of the voice and ``n`` of the face, 1 to 5.
        modality_dropout: in training, how often one of the two is hidden from the fusion; 0 is never [D].
        frames: of the face, from equal parts of the time that the sound covers [D].
        size_px: side of the frames [D].
        colour: ``grey`` where the training data are grey.
        source_px: side to which crops are brought before they are enlarged to ``size_px``.
        mel_scale: which scale the bands of the sound follow [D].
        dropout: before each classifier.
        audio_widths: channels of MCNN: both blocks of a branch, and the map [D].
        visual_widths: channels of RHCNN: both first blocks, and both pairs of residual ones [D].
        resnet_widths: channels of the four stages of ``resnet18`` and ``r3d18``.
        feature_width: numbers that ``features`` have for each frame; 1280 of EmotiEffNet.
    """

    modality: Literal["v", "a", "va"] = "va"
    audio_net: Literal["mcnn", "resnet18"] = "mcnn"
    visual_net: Literal["rhcnn", "r3d18", "features"] = "rhcnn"
    audio_attn: Attention = "gcsa"
    visual_attn: Attention = "mesc"
    gcsa_parts: Parts = "both"
    shuffle: bool = True
    mesc_sum: Sum = "post_sigmoid"
    mesc_gate: Gate = "sigmoid"
    share_pointwise: bool = False
    fusion: Literal["proportional", "concat_dilated"] = "proportional"
    fusion_weights: Literal["grid", "learned", "aligned"] = "grid"
    weights: tuple[int, int] = (1, 1)
    modality_dropout: float = 0.0
    frames: int = 4
    size_px: int = 112
    colour: Literal["rgb", "grey"] = "rgb"
    source_px: int | None = None
    mel_scale: Literal["slaney", "htk"] = "slaney"
    dropout: float = 0.2
    audio_widths: tuple[int, int, int] = (32, 64, 256)
    visual_widths: tuple[int, int, int, int] = (32, 64, 128, 256)
    resnet_widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    feature_width: int = 1280

    def __post_init__(self) -> None:
        parts, mapped = SoundSpec().n_frames // TIME_TO_CELLS, not self.fed
        grouped = (self.audio_widths[1], *self.visual_widths[2:], self.resnet_widths[-1])
        rules = (
            (self.modality in ("v", "a", "va"), "modality is v, a or va", "modality"),
            (all(weight in PROPORTIONS for weight in self.weights), "m and n are integers from 1 to 5", "weights"),
            (not self.meet or self.audio_net == "mcnn", f"{self._meeting} needs audio_net='mcnn'", "audio_net"),
            (not self.meet or self.visual_net == "rhcnn", f"{self._meeting} needs visual_net='rhcnn'", "visual_net"),
            (mapped or self.visual_attn != "gcsa", "features have no map: visual_attn is mesc or none", "visual_attn"),
            (self.feature_width >= 1, "features have at least 1 number", "feature_width"),
            (not self.aligned or parts % self.frames == 0, f"aligned frames divide {parts}", "frames"),
            (0 <= self.dropout < 1, "dropout lies in [0, 1)", "dropout"),
            (0 <= self.modality_dropout <= 1, "modality_dropout lies in [0, 1]", "modality_dropout"),
            (not any(width % GROUPS for width in grouped), "widths of maps are multiples of 4", "visual_widths"),
        )
        for kept, rule, name in rules:
            if not kept:
                raise ConfigError(f"{rule}; given: {name}={getattr(self, name)!r}")

    @classmethod
    def tiny(cls) -> "Config":
        return cls(
            size_px=32, audio_widths=(4, 8, 16), visual_widths=(8, 8, 12, 16), resnet_widths=(8, 12, 16, 24),
            feature_width=12,
        )  # fmt: skip

    @property
    def aligned(self) -> bool:
        return self.modality == "va" and self.fusion_weights == "aligned"

    @property
    def fed(self) -> bool:
        """Whether the face is not looked at but told by features."""
        return "v" in self.modality and self.visual_net == "features"

    @property
    def meet(self) -> bool:
        """Whether maps of both, not only their answers, are read together."""
        return self.aligned or (self.modality == "va" and self.fusion == "concat_dilated")

    @property
    def _meeting(self) -> str:
        return "fusion='concat_dilated'" if self.fusion == "concat_dilated" else "fusion_weights='aligned'"

    @property
    def voice_width(self) -> int:
        """Channels of the map of the voice."""
        return self.audio_widths[-1] if self.audio_net == "mcnn" else self.resnet_widths[-1]

    @property
    def face_width(self) -> int:
        """Channels of the map of the face."""
        return self.visual_widths[-1] if self.visual_net == "rhcnn" else self.resnet_widths[-1]

    def inputs(self) -> dict[str, InputSpec]:
        sound = SoundSpec(mel_scale=self.mel_scale)
        face = self._face_input(sound.seconds)
        alone: dict[str, dict[str, InputSpec]] = {"v": face, "a": {"sound": sound}}
        return alone.get(self.modality, {**face, "sound": sound, "has_sound": FlagSpec(), "has_face": FlagSpec()})

    def _face_input(self, seconds: float) -> dict[str, InputSpec]:
        if self.fed:
            step_s, width = seconds / self.frames, self.feature_width
            return {"face_features": FeatureSpec(width=width, n_steps=self.frames, step_s=step_s, around_moment=True)}
        clip = ClipSpec(
            n_frames=self.frames,
            segments=self.frames,
            per_segment=1,
            seconds=seconds,
            size_px=self.size_px,
            colour=self.colour,
            source_px=self.source_px,
            mean=HALF,
            std=HALF,
        )
        return {"clip": clip}

    def build(self, labels: LabelSet | None) -> "Network":
        """The network with random weights.

        Raises:
            ConfigError: without labels.
        """
        if labels is None:
            raise ConfigError("gcsa_av is a classifier and needs a label set")
        face, both = (FeatureNetwork, FusedFeatureNetwork) if self.fed else (FaceNetwork, FusedNetwork)
        kinds: dict[str, type[Network]] = {"a": VoiceNetwork, "v": face, "va": both}
        return kinds[self.modality](self, len(labels))


class Outputs(NamedTuple):
    """What is known of a moment; of a network of one kind the answer alone, all else is ``None``.

    All ``logits`` are logarithms of probabilities: of both together, of the voice and of the face. ``voice_share`` is
    what the voice counted: 0 without sound, 1 without a face. ``alignment`` says how much each frame counted for the
    fusion; the same everywhere unless maps were aligned. ``voice_feature`` is what the classifier of the voice reads.
    """

    logits: Float[Tensor, "B C"]
    probabilities: Float[Tensor, "B C"]
    voice_logits: Float[Tensor, "B C"] | None = None
    face_logits: Float[Tensor, "B C"] | None = None
    voice_share: Float[Tensor, "B"] | None = None
    alignment: Float[Tensor, "B K"] | None = None
    voice_feature: Float[Tensor, "B E"] | None = None


class VoiceOutputs(NamedTuple):
    """What a network that only listens knows of a moment: its answer, and ``feature``, what the classifier reads."""

    logits: Float[Tensor, "B C"]
    probabilities: Float[Tensor, "B C"]
    feature: Float[Tensor, "B E"]


class Network(nn.Module):
    """What all networks offer; those of one kind have the names of their part of the fused one."""

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__()
        self.config = config
        self.voice: Any = _voice(config, classes) if "a" in config.modality else None
        self.face: Any = _face(config, classes) if "v" in config.modality else None

    def frozen_parameters(self) -> frozenset[str]:
        """Names of parameters that training never moves."""
        return frozenset()

    def unused_parameters(self) -> frozenset[str]:
        """Names of trainable parameters that no output depends on: a single frame counts in full, come what may."""
        if not self.config.aligned or self.config.frames > 1:
            return frozenset()
        return frozenset(f"alignment.{part}.{kind}" for part in ("voice", "face") for kind in ("weight", "bias"))

    @property
    def cam_layers(self) -> dict[str, tuple[str, Literal["input", "output"]]]:
        """Places of a class activation map: a submodule, and its first input or its output; the first is the default.

        They are the maps of face and voice, before and after attention; those of the face come frame by frame.
        """
        inside = self.config.audio_net == "mcnn"
        places: dict[str, tuple[str, Literal["input", "output"]]] = {}
        if "v" in self.config.modality and not self.config.fed:
            places["face"] = ("face.attention", "output")
            places["face_before_attention"] = ("face.attention", "input")
        if "a" in self.config.modality:
            places["voice"] = ("voice.attention", "output")
            places["voice_before_attention"] = ("voice.trunk.attention" if inside else "voice.attention", "input")
        return places


class FaceNetwork(Network):
    """Frames to an expression."""

    def forward(self, clip: Float[Tensor, "B K 3 S S"]) -> Outputs:
        face = self.face(self.face.forward_maps(clip))
        return Outputs(face, face.exp())


class FeatureNetwork(Network):
    """Features of the frames to an expression."""

    def forward(self, face_features: Float[Tensor, "B K D"]) -> Outputs:
        face = self.face(face_features)
        return Outputs(face, face.exp())


class VoiceNetwork(Network):
    """Sound to an expression."""

    def forward(self, sound: Float[Tensor, "B 1 M T"]) -> VoiceOutputs:
        feature = self.voice.forward_feature(self.voice.forward_maps(sound))
        voice = self.voice(feature)
        return VoiceOutputs(voice, voice.exp(), feature.float())


class BothNetwork(Network):
    """What networks of face and voice share; answers and shares are separate steps, so that each can be drawn."""

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__(config, classes)
        widths = (config.voice_width, config.face_width)
        self.share = LearnedShare() if config.fusion_weights == "learned" else None
        self.alignment = Alignment(*widths) if config.aligned else None
        dilated = config.fusion == "concat_dilated"
        self.dilated = DilatedFusion(*widths, classes, config.dropout) if dilated else None

    def forward_both(
        self,
        shown: Float[Tensor, "B U ..."],
        sound: Float[Tensor, "B 1 M T"],
        has_sound: Float[Tensor, "B"],
        has_face: Float[Tensor, "B"],
    ) -> Outputs:
        """The answer to what is known of the face, maps or features, and to the sound."""
        voice_maps = self.voice.forward_maps(sound)
        feature = self.voice.forward_feature(voice_maps)
        voice, face = self.voice(feature), self.face(shown)
        share, looks = self.forward_shares(voice_maps, shown)
        heard, seen = self.forward_presence(has_sound, has_face)
        both, shares = heard * seen, present(share, heard, seen)
        fused = mixed(voice, face, shares)
        if self.dilated is not None:
            joined = self.dilated(voice_maps, shown, share, looks).float().log_softmax(1)
            fused = torch.where(both[:, None] > 0, joined, fused)
        even = 1 / self.config.frames
        alignment = even + both[:, None] * (looks - even)
        return Outputs(fused, fused.exp(), voice, face, shares[:, 0], alignment, feature.float())

    def forward_shares(
        self, voice_maps: Float[Tensor, "B E P Q"], shown: Float[Tensor, "B U ..."]
    ) -> tuple[Float[Tensor, "B"], Float[Tensor, "B K"]]:
        """The share of the voice and the weights of the frames, wherever both are there."""
        if self.alignment is not None:
            share, looks = self.alignment(voice_maps, shown)
            return share, looks
        m, n = self.config.weights
        moments = voice_maps.new_ones(voice_maps.shape[0], dtype=torch.float32)
        share = moments * (m / (m + n) if self.share is None else self.share())
        return share, (moments / self.config.frames)[:, None].expand(-1, self.config.frames)

    def forward_presence(
        self, has_sound: Float[Tensor, "B"], has_face: Float[Tensor, "B"]
    ) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
        """1 or 0 for sound and face; in training one of two that are there may be hidden."""
        heard, seen = (has_sound > 0.5).float(), (has_face > 0.5).float()
        if not self.training or not self.config.modality_dropout:
            return heard, seen
        drawn, both = torch.rand_like(heard), heard * seen
        hidden = both * (drawn < self.config.modality_dropout)
        silent = both * (drawn < self.config.modality_dropout / 2)
        return heard - silent, seen - (hidden - silent)


class FusedNetwork(BothNetwork):
    """Frames and sound to an expression."""

    def forward(
        self,
        clip: Float[Tensor, "B K 3 S S"],
        sound: Float[Tensor, "B 1 M T"],
        has_sound: Float[Tensor, "B"],
        has_face: Float[Tensor, "B"],
    ) -> Outputs:
        return self.forward_both(self.face.forward_maps(clip), sound, has_sound, has_face)


class FusedFeatureNetwork(BothNetwork):
    """Features of the frames, and sound, to an expression."""

    def forward(
        self,
        face_features: Float[Tensor, "B K D"],
        sound: Float[Tensor, "B 1 M T"],
        has_sound: Float[Tensor, "B"],
        has_face: Float[Tensor, "B"],
    ) -> Outputs:
        return self.forward_both(face_features, sound, has_sound, has_face)


def _voice(config: Config, classes: int) -> VoiceBranch:
    """Attention stands inside MCNN, where its branches meet, and behind ResNet."""
    mcnn = config.audio_net == "mcnn"
    inside = _attention(config, config.audio_attn if mcnn else "none", 3 * config.audio_widths[1])
    trunk = MCNN(config.audio_widths, inside) if mcnn else ResNet(config.resnet_widths, channels=1)
    behind = _attention(config, "none" if mcnn else config.audio_attn, config.voice_width)
    return VoiceBranch(trunk, behind, config.voice_width, classes, config.dropout)


def _face(config: Config, classes: int) -> FaceBranch | FeatureBranch:
    if config.fed:
        return FeatureBranch(config.feature_width, classes, config.dropout)
    trunk = RHCNN(config.visual_widths) if config.visual_net == "rhcnn" else ResNet3d(config.resnet_widths)
    attention = _attention(config, config.visual_attn, config.face_width)
    return FaceBranch(trunk, attention, config.face_width, classes, config.dropout)


def _attention(config: Config, kind: Attention, channels: int) -> nn.Module:
    if kind == "gcsa":
        return GCSA(channels, parts=config.gcsa_parts, shuffle=config.shuffle)
    if kind == "mesc":
        return MedianAttention(
            channels, total=config.mesc_sum, gate=config.mesc_gate, share_pointwise=config.share_pointwise
        )
    return nn.Identity()
