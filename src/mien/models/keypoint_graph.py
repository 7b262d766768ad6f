"""Keypoint-Graph: key points of the face joined in a graph, regions fused, frames attending to each other.

Z. Huang, Y. Zhu, H. Li, D. Yang, "Dynamic facial expression recognition based on spatial key-points optimized region
feature fusion and temporal self-attention", Engineering Applications of Artificial Intelligence, 2024
(https://doi.org/10.1016/j.engappai.2024.108535). A ResNet-18 makes a map of each frame. Gaussian heat maps around 18
key points pool it into 18 local vectors; its mean is the global one. A graph convolution passes local vectors along its
edges, gated by how well each agrees with the global one. The means of three regions of the face, beside the global
vector, are the frame; a transformer over the frames gives the clip. The loss is ``losses/clip_auxiliary.py``.

Where the text is silent or contradicts itself, a field of :class:`Config` states the choice. Marked [U]: from HOReID
(CVPR 2020), triplet attention (WACV 2021) or Former-DFER (ACM MM 2021), on which the paper builds. Marked [D]: ours.
- "Change the stride of the last two convolution layers" is read as in HOReID: both strided convolutions of the last
  stage. Relative speeds in Table 8 support the 7x7 map that follows.
- Equation 3 as printed does not fit its shapes; read as written in :class:`GraphConvolution`, all do. The global vector
  passes the same linear layer as the local ones, since Table 11 speaks of four parts of equal width.
- 17 million parameters are met with a hidden width of 768 in the transformer; Former-DFER has 1024 (17.8 million).
- Vectors are never negative and much alike, so one random W opens or closes nearly all gates of all frames together;
  closed ones pass no gradient to W. ``gate_init="identity"`` starts with all of them open.
- Which key points, which edges and how wide the heat maps are: see ``layers/face_graph.py``.
- Frames without landmarks take them from the nearest frame that has some (``media.tensors``).

Shapes: ``B`` clips, ``T`` frames, ``S`` side of a frame, ``F`` side of its map (7 at 112 pixels), ``E`` channels of the
map, ``K`` key points, ``G`` width of a node after the graph, ``D`` width of a frame, ``C`` classes.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mien.models.layers import face_graph
from mien.models.layers.resnet import Enlarge, ResNet
from mien.models.layers.temporal import TemporalShape, TemporalTransformer
from mien.models.layers.triplet import TripletAttention
from mien.schema.errors import ConfigError
from mien.schema.inputs import IMAGENET_MEAN, IMAGENET_STD, ClipSpec, LandmarkSpec
from mien.schema.labels import LabelSet

PARTS = len(face_graph.REGIONS) + 1
"""A frame is three regions and the whole face."""

LEAST_HEAT = 1e-6
"""Heat maps whose sum is smaller lie far outside of the frame and pool nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The network of the paper by default: 17.04 M parameters, 12.33 G multiply-accumulates a clip of 16 frames.

    Attributes:
        size_px: side of the frames [U]; the paper names none. Other sizes run too.
        segments: parts of a clip from each of which frames are taken [U].
        per_segment: consecutive frames from each part [U].
        stride: frames between the starts of two windows of a long video [D].
        colour: ``grey`` where the training data are grey.
        source_px: side to which crops are brought before they are enlarged to ``size_px``.
        normalize: scale by ImageNet's mean and deviation; without it pixels lie in [0, 1], as in Former-DFER.
        widths: channels of the four stages of the trunk.
        units: residual blocks of the four stages.
        enlarge: stages of the trunk that keep the size of the map.
        triplet: triplet attention on the map.
        keep_fc: a linear layer after the global pooling, which section 3.1.1 names; of equal width, to fit.
        sigma_ratio: deviation of a heat map as a share of the map's side [D].
        heat_norm: ``none`` divides the pooled sum by the number of cells (equation 2), ``sum`` by the sum of the heat.
        cheeks: the two key points on the cheeks.
        graph: the graph convolution (Table 9); without it a linear layer of the same widths.
        gate_axis: whether gates weigh the node that receives (equation 3 read literally) or the one that sends.
        gate_scale: ``root`` divides the gate's bilinear form by the root of its width [D]; ``none`` is literal.
        gate_init: ``uniform`` draws the gate's matrix as a linear layer's; ``identity`` starts with the product of
            both vectors, which closes no gate [D].
        adj_norm: how the adjacency is normalised.
        node_width: of a node after the graph.
        fusion: what makes a frame of its nodes (Table 10): region means, the mean of all, or the end of an LSTM.
        temporal: what makes a clip of its frames (Table 9): transformer, LSTM, or mean.
        readout: with ``temporal="mean"``, what is averaged over frames: the ``mean`` of the nodes, or the ``region``
            fusion; Figure 7b is not explicit.
        depth: layers of the transformer (Table 12).
        heads: of each layer (Table 11).
        head_width: of each head [D].
        mlp_width: hidden width of the transformer [D].
        drop: dropout in the transformer.
        final_norm: layer norm before the classifier of the clip [D].
    """

    size_px: int = 112
    segments: int = 8
    per_segment: int = 2
    stride: int = 8
    colour: Literal["rgb", "grey"] = "rgb"
    source_px: int | None = None
    normalize: bool = True
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    units: tuple[int, int, int, int] = (2, 2, 2, 2)
    enlarge: Enlarge = "layer4"
    triplet: bool = True
    keep_fc: bool = False
    sigma_ratio: float = 1 / 7
    heat_norm: Literal["none", "sum"] = "none"
    cheeks: bool = True
    graph: bool = True
    gate_axis: Literal["target", "source"] = "target"
    gate_scale: Literal["root", "none"] = "root"
    gate_init: Literal["uniform", "identity"] = "uniform"
    adj_norm: face_graph.Norm = "row"
    node_width: int = 128
    fusion: Literal["region", "mean", "lstm"] = "region"
    temporal: Literal["transformer", "lstm", "mean"] = "transformer"
    readout: Literal["mean", "region"] = "mean"
    depth: int = 3
    heads: int = 8
    head_width: int = 64
    mlp_width: int = 768
    drop: float = 0.0
    final_norm: bool = False

    def __post_init__(self) -> None:
        if min(self.depth, self.heads, self.head_width, *self.units) < 1:
            raise ConfigError(
                f"depth, heads, head_width and units are at least 1; given: {self.depth=}, {self.heads=}, "
                f"{self.head_width=}, {self.units=}"
            )
        if self.sigma_ratio <= 0:
            raise ConfigError(f"sigma_ratio is above 0; given: {self.sigma_ratio}")

    @classmethod
    def tiny(cls) -> "Config":
        return cls(
            size_px=48, segments=2, stride=2, widths=(8, 12, 16, 24), units=(1, 1, 1, 1), node_width=8, depth=2,
            heads=3, head_width=4, mlp_width=24,
        )  # fmt: skip

    @property
    def n_frames(self) -> int:
        return self.segments * self.per_segment

    @property
    def frame_width(self) -> int:
        """Width of what is known of a frame before its neighbours are seen."""
        means_only = self.temporal == "mean" and self.readout == "mean"
        return self.node_width if means_only else PARTS * self.node_width

    def inputs(self) -> dict[str, ClipSpec | LandmarkSpec]:
        clip = ClipSpec(
            n_frames=self.n_frames,
            segments=self.segments,
            per_segment=self.per_segment,
            stride=self.stride,
            size_px=self.size_px,
            colour=self.colour,
            source_px=self.source_px,
            mean=IMAGENET_MEAN if self.normalize else (0.0, 0.0, 0.0),
            std=IMAGENET_STD if self.normalize else (1.0, 1.0, 1.0),
        )
        landmarks = LandmarkSpec(n_frames=self.n_frames, size_px=self.size_px, crop=clip.crop, source_px=self.source_px)
        return {"clip": clip, "landmarks": landmarks}

    def build(self, labels: LabelSet | None) -> "KeypointGraph":
        """The network with random weights; the trunk takes public weights, see ``models/checkpoints.py``.

        Raises:
            ConfigError: without labels.
        """
        if labels is None:
            raise ConfigError("keypoint_graph is a classifier and needs a label set")
        return KeypointGraph(self, len(labels))


class Outputs(NamedTuple):
    """What is known of a clip.

    ``feature`` enters the last linear layer. ``gate`` weighs the key points; ones without a graph. ``attention`` says
    where the class token looks in each of ``L`` layers and ``H`` heads, itself first; zeros without a transformer.
    ``aux_logits`` judge the mean of the frames, for training; the same as ``logits`` if ``temporal="mean"``.
    """

    logits: Float[Tensor, "B C"]
    aux_logits: Float[Tensor, "B C"]
    feature: Float[Tensor, "B D"]
    frame_feature: Float[Tensor, "B T D"]
    gate: Float[Tensor, "B T K"]
    attention: Float[Tensor, "B L H N"]


class GraphConvolution(nn.Module):
    """Equations 3 and 4: gated exchange along the edges, and one linear layer for local and global vectors.

    ``s = relu(V_l W V_g^T)``, ``V' = relu(f((s * A) V_l + V_l))``, ``g' = relu(f(V_g))``.
    """

    adjacency: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.widths[-1]
        drawn = torch.empty(width, width).uniform_(-(width**-0.5), width**-0.5)
        start = torch.eye(width) if config.gate_init == "identity" else drawn
        self.weight = nn.Parameter(start) if config.graph else None
        self.scale = width**-0.5 if config.gate_scale == "root" else 1.0
        self.gates_senders = config.gate_axis == "source"
        self.linear = nn.Linear(width, config.node_width)
        self.register_buffer("adjacency", face_graph.adjacency(config.adj_norm, config.cheeks), persistent=False)

    def forward(
        self, local: Float[Tensor, "B T K E"], whole: Float[Tensor, "B T E"]
    ) -> tuple[Float[Tensor, "B T K G"], Float[Tensor, "B T G"], Float[Tensor, "B T K"]]:
        """Nodes, global vector and gates."""
        gate = self.gate(local, whole)
        if self.weight is not None:
            local = local + self.messages(local, gate)
        return self.linear(local).relu(), self.linear(whole).relu(), gate

    def gate(self, local: Float[Tensor, "B T K E"], whole: Float[Tensor, "B T E"]) -> Float[Tensor, "B T K"]:
        """How much each key point agrees with the whole face; the product is taken from its cheaper end."""
        if self.weight is None:
            return local.new_ones(local.shape[:-1])
        asked = F.linear(whole, self.weight) * self.scale
        return (local @ asked[..., None])[..., 0].relu()

    def messages(self, local: Float[Tensor, "B T K E"], gate: Float[Tensor, "B T K"]) -> Float[Tensor, "B T K E"]:
        """What each node receives."""
        if self.gates_senders:
            return self.adjacency @ (gate[..., None] * local)
        return gate[..., None] * (self.adjacency @ local)


class Fusion(nn.Module):
    """Nodes and global vector of a frame to one vector (Table 10)."""

    def __init__(self, kind: Literal["region", "mean", "lstm"], node_width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(node_width, PARTS * node_width) if kind == "mean" else None
        self.lstm = nn.LSTM(node_width, PARTS * node_width, batch_first=True) if kind == "lstm" else None

    def forward(self, local: Float[Tensor, "B T K G"], whole: Float[Tensor, "B T G"]) -> Float[Tensor, "B T D"]:
        if self.linear is None and self.lstm is None:
            return torch.cat((*(local[..., region, :].mean(2) for region in face_graph.REGIONS), whole), -1)
        every = torch.cat((local, whole[:, :, None]), 2)
        if self.linear is not None:
            fused: Tensor = self.linear(every.mean(2))
            return fused
        assert self.lstm is not None
        ends: Tensor = self.lstm(every.flatten(0, 1))[0][:, -1].unflatten(0, every.shape[:2])
        return ends


class KeypointGraph(nn.Module):
    """The network; maps, vectors, frames and clip are separate steps, so that each can be drawn."""

    corners: Tensor

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__()
        self.config = config
        width, channels = config.frame_width, config.widths[-1]
        self.trunk = ResNet(config.widths, config.units, config.enlarge)
        self.triplet = TripletAttention() if config.triplet else nn.Identity()
        self.fc = nn.Linear(channels, channels) if config.keep_fc else None
        self.gcn = GraphConvolution(config)
        self.fusion = Fusion(config.fusion, config.node_width) if width > config.node_width else None
        self.temporal = _temporal(config)
        self.head = nn.Linear(width, classes)
        self.aux_head = nn.Linear(width, classes) if self.temporal is not None else None
        self.register_buffer("corners", face_graph.corner_indices(config.cheeks), persistent=False)

    def frozen_parameters(self) -> frozenset[str]:
        """Names of parameters that training never moves."""
        return frozenset()

    def unused_parameters(self) -> frozenset[str]:
        """Names of trainable parameters that no output depends on."""
        unread = self.fusion is None and not self.config.graph and self.fc is not None
        return frozenset(("fc.weight", "fc.bias")) if unread else frozenset()

    def forward(self, clip: Float[Tensor, "B T 3 S S"], landmarks: Float[Tensor, "B T 68 2"]) -> Outputs:
        local, whole = self.forward_vectors(clip, landmarks)
        frames, gate = self.forward_frames(local, whole)
        feature, attention = self.forward_clip(frames)
        aux_logits = self.head(frames).mean(1) if self.aux_head is None else self.aux_head(frames.mean(1))
        return Outputs(self.head(feature), aux_logits, feature, frames, gate, attention)

    def forward_maps(self, clip: Float[Tensor, "B T 3 S S"]) -> Float[Tensor, "BT E F F"]:
        """The map of each frame."""
        maps: Tensor = self.triplet(self.trunk(clip.flatten(0, 1)))
        return maps

    def forward_heat(self, landmarks: Float[Tensor, "B T 68 2"], side: int, size_px: int) -> Float[Tensor, "BT K F F"]:
        """The heat maps of each frame on a grid of ``side`` cells, for frames of ``size_px``."""
        points = face_graph.key_points(landmarks.flatten(0, 1), self.corners)
        return face_graph.heat_maps(points, side, size_px, self.config.sigma_ratio)

    def forward_vectors(
        self, clip: Float[Tensor, "B T 3 S S"], landmarks: Float[Tensor, "B T 68 2"]
    ) -> tuple[Float[Tensor, "B T K E"], Float[Tensor, "B T E"]]:
        """A local vector of each key point (equation 2), and the global one."""
        maps = self.forward_maps(clip)
        heat = self.forward_heat(landmarks, maps.shape[-1], clip.shape[-1]).flatten(2)
        by_sum = self.config.heat_norm == "sum"
        share = heat / heat.sum(2, keepdim=True).clamp(min=LEAST_HEAT) if by_sum else heat / heat.shape[2]
        local = share @ maps.flatten(2).transpose(1, 2)
        whole = maps.mean((2, 3))
        if self.fc is not None:
            whole = self.fc(whole)
        return local.unflatten(0, clip.shape[:2]), whole.unflatten(0, clip.shape[:2])

    def forward_frames(
        self, local: Float[Tensor, "B T K E"], whole: Float[Tensor, "B T E"]
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B T K"]]:
        """One vector a frame, and the gates of its key points."""
        nodes, overall, gate = self.gcn(local, whole)
        return nodes.mean(2) if self.fusion is None else self.fusion(nodes, overall), gate

    def forward_clip(self, frames: Float[Tensor, "B T D"]) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B L H N"]]:
        """One vector a clip, and the attention to its frames."""
        if isinstance(self.temporal, TemporalTransformer):
            clip, attention = self.temporal(frames)
            return clip, attention
        nowhere = frames.new_zeros(frames.shape[0], 1, 1, 1 + frames.shape[1])
        return frames.mean(1) if self.temporal is None else self.temporal(frames)[0][:, -1], nowhere


def _temporal(config: Config) -> nn.Module | None:
    width = config.frame_width
    if config.temporal == "mean":
        return None
    if config.temporal == "lstm":
        return nn.LSTM(width, width, batch_first=True)
    return TemporalTransformer(
        TemporalShape(
            width=width,
            n_frames=config.n_frames,
            depth=config.depth,
            heads=config.heads,
            head_width=config.head_width,
            mlp_width=config.mlp_width,
            drop=config.drop,
            final_norm=config.final_norm,
        )
    )
