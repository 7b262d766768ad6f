from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mien.data.augment import FLIP_68
from mien.deploy.export import onnx_graph
from mien.deploy.parity import compare
from mien.losses.clip_auxiliary import ClipAuxiliary
from mien.models.keypoint_graph import Config, Fusion, GraphConvolution, KeypointGraph, Outputs
from mien.models.layers.face_graph import FLIP, LOWER, UPPER_LEFT, UPPER_RIGHT
from mien.schema.errors import ConfigError
from mien.schema.inputs import ClipSpec, LandmarkSpec
from mien.schema.labels import DFEW, MAFW_11

ABLATIONS: dict[str, dict[str, Any]] = {
    "A": {"graph": False, "temporal": "mean"},
    "B": {"temporal": "mean"},
    "C": {"temporal": "lstm"},
    "D": {"graph": False},
    "E": {},
}
"""Rows of Table 9."""


def tiny(**changes: Any) -> KeypointGraph:
    torch.manual_seed(0)
    return replace(Config.tiny(), **changes).build(DFEW)


def full(**changes: Any) -> KeypointGraph:
    with torch.device("meta"):
        return replace(Config(), **changes).build(DFEW).eval()


def million(module: nn.Module) -> float:
    return sum(p.numel() for p in module.parameters()) / 1e6


@pytest.fixture
def clip() -> Tensor:
    return torch.randn(2, 4, 3, 48, 48, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def landmarks() -> Tensor:
    return torch.rand(2, 4, 68, 2, generator=torch.Generator().manual_seed(2)) * 48


# The paper's counts


def test_parameters_of_the_paper() -> None:
    network = full()
    parts = {name: million(part) for name, part in network.named_children()}
    assert parts["trunk"] == pytest.approx(11.177, abs=0.001)
    assert parts["triplet"] == pytest.approx(300e-6)
    assert parts["gcn"] == pytest.approx((262_144 + 65_664) / 1e6)
    assert parts["temporal"] == pytest.approx(5.526, abs=0.001)
    assert parts["head"] + parts["aux_head"] == pytest.approx(7_182e-6)
    assert 16.5 < million(network) < 17.5
    assert million(network) == pytest.approx(17.038, abs=0.001)
    with torch.device("meta"):
        assert million(Config().build(MAFW_11)) == pytest.approx(17.042, abs=0.001)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"mlp_width": 1024}, 17.825),
        *(({"depth": 2 + i}, count) for i, count in enumerate((15.20, 17.04, 18.88, 20.72, 22.55))),
        *(({"heads": heads}, count) for heads, count in ((6, 16.25), (8, 17.04), (10, 17.82), (12, 18.61))),
    ],
    ids=str,
)  # fmt: skip
def test_parameters_of_the_rows_of_tables_11_and_12(changes: dict[str, Any], expected: float) -> None:
    assert million(full(**changes)) == pytest.approx(expected, abs=0.006)


def test_multiply_accumulates_of_a_clip() -> None:
    """In the printed order of equation 3 each key point, not each frame, is multiplied by W: 12.40 G."""
    network = full()
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        outputs = network(torch.empty(1, 16, 3, 112, 112), torch.empty(1, 16, 68, 2))
    giga = counter.get_total_flops() / 2e9
    assert giga == pytest.approx(12.327, abs=0.001)
    assert giga + 16 * (18 - 1) * 512**2 / 1e9 == pytest.approx(12.40, abs=0.005)
    shapes = {name: tuple(value.shape[1:]) for name, value in outputs._asdict().items()}
    assert shapes == {
        "logits": (7,),
        "aux_logits": (7,),
        "feature": (512,),
        "frame_feature": (16, 512),
        "gate": (16, 18),
        "attention": (3, 8, 17),
    }


def test_what_it_is_fed() -> None:
    specs = Config().inputs()
    assert specs == {"clip": ClipSpec(), "landmarks": LandmarkSpec()}
    plain = replace(Config(), normalize=False, size_px=224, source_px=64, colour="grey").inputs()
    assert (plain["clip"].mean, plain["clip"].std) == ((0, 0, 0), (1, 1, 1))
    assert (plain["clip"].shape, plain["landmarks"].shape) == ((16, 3, 224, 224), (16, 68, 2))
    assert plain["clip"].crop_px == plain["landmarks"].crop_px == 64


# Frame by frame


def test_vectors_equal_equation_2(clip: Tensor, landmarks: Tensor) -> None:
    for heat_norm in ("none", "sum"):
        network = tiny(heat_norm=heat_norm).eval()
        maps = network.forward_maps(clip).unflatten(0, (2, 4))
        heat = network.forward_heat(landmarks, 3, 48).unflatten(0, (2, 4))
        local, whole = network.forward_vectors(clip, landmarks)
        for b, t, j in ((0, 0, 0), (1, 3, 17), (0, 2, 9)):
            weighed = maps[b, t] * heat[b, t, j]
            divisor = 9 if heat_norm == "none" else heat[b, t, j].sum()
            torch.testing.assert_close(local[b, t, j], weighed.sum((1, 2)) / divisor)
        torch.testing.assert_close(whole, maps.mean((3, 4)))


def test_wide_heat_makes_every_vector_the_global_one(clip: Tensor, landmarks: Tensor) -> None:
    local, whole = tiny(sigma_ratio=1e4).eval().forward_vectors(clip, landmarks)
    torch.testing.assert_close(local, whole[:, :, None].expand_as(local), rtol=1e-4, atol=1e-6)


def test_a_layer_after_the_pooling_changes_the_global_vector_alone(clip: Tensor, landmarks: Tensor) -> None:
    plain, layered = tiny().eval(), tiny(keep_fc=True).eval()
    layered.load_state_dict(plain.state_dict(), strict=False)
    (local, whole), (same, other) = (network.forward_vectors(clip, landmarks) for network in (plain, layered))
    assert layered.fc is not None
    torch.testing.assert_close(same, local)
    torch.testing.assert_close(other, layered.fc(whole))


def test_landmarks_outside_of_the_frame_do_no_harm(clip: Tensor, landmarks: Tensor) -> None:
    for heat_norm in ("none", "sum"):
        for shift in (1e5, -300.0, 60.0):
            outputs = tiny(heat_norm=heat_norm).eval()(clip, landmarks + shift)
            assert all(torch.isfinite(value).all() for value in outputs)


def test_a_mirrored_face_has_permuted_heat_maps(landmarks: Tensor) -> None:
    network = tiny()
    mirrored = landmarks[:, :, torch.from_numpy(FLIP_68)] * torch.tensor([-1.0, 1.0]) + torch.tensor([48.0, 0.0])
    expected = network.forward_heat(landmarks, 3, 48)[:, list(FLIP)].flip(-1)
    torch.testing.assert_close(network.forward_heat(mirrored, 3, 48), expected)


@pytest.mark.parametrize(("size_px", "enlarge", "side"), [(48, "none", 2), (48, "layer3+4", 6), (80, "layer4", 5)])
def test_any_size_runs(size_px: int, enlarge: str, side: int) -> None:
    network = tiny(enlarge=enlarge).eval()
    clip, landmarks = torch.randn(1, 4, 3, size_px, size_px), torch.rand(1, 4, 68, 2) * size_px
    assert network.forward_maps(clip).shape == (4, 24, side, side)
    assert network(clip, landmarks).logits.shape == (1, 7)


# Graph


def written_graph(graph: GraphConvolution, local: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
    """Equations 3 and 4 for one frame: ``local`` [18, E], ``whole`` [1, E]."""
    s = (local @ graph.weight @ whole.T * graph.scale).relu()
    weighed = graph.adjacency * (s.T if graph.gates_senders else s)
    nodes = (graph.linear(weighed @ local + local)).relu()
    return torch.cat((nodes, graph.linear(whole).relu())), s[:, 0]


@pytest.mark.parametrize("gate_scale", ["root", "none"])
@pytest.mark.parametrize("gate_axis", ["target", "source"])
@pytest.mark.parametrize("adj_norm", ["row", "sym", "none"])
def test_the_graph_equals_equations_3_and_4(gate_scale: str, gate_axis: str, adj_norm: str) -> None:
    graph = tiny(gate_scale=gate_scale, gate_axis=gate_axis, adj_norm=adj_norm).gcn
    assert graph.scale == (24**-0.5 if gate_scale == "root" else 1)
    local, whole = torch.rand(2, 4, 18, 24), torch.rand(2, 4, 24)
    nodes, overall, gate = graph(local, whole)
    for b, t in ((0, 0), (1, 3)):
        expected, s = written_graph(graph, local[b, t], whole[b, t, None])
        torch.testing.assert_close(torch.cat((nodes[b, t], overall[b, t, None])), expected)
        torch.testing.assert_close(gate[b, t], s)


def test_closed_gates_leave_the_linear_layer() -> None:
    graph, plain = tiny().gcn, tiny(graph=False).gcn
    local, whole = torch.rand(1, 2, 18, 24), torch.rand(1, 2, 24)
    with torch.no_grad():
        graph.weight.zero_()
    plain.load_state_dict({"linear.weight": graph.linear.weight, "linear.bias": graph.linear.bias})
    for found, expected in zip(graph(local, whole)[:2], plain(local, whole)[:2], strict=True):
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(plain(local, whole)[0], F.linear(local, *plain.parameters()).relu())
    assert plain(local, whole)[2].eq(1).all()
    assert plain.weight is None


def test_the_graph_starts_small() -> None:
    weight = tiny().gcn.weight
    assert weight is not None
    assert weight.abs().max() <= 24**-0.5
    assert weight.std().item() == pytest.approx(24**-0.5 / 3**0.5, rel=0.1)


def test_the_identity_opens_every_gate(clip: Tensor, landmarks: Tensor) -> None:
    network = tiny(gate_init="identity").eval()
    local, whole = network.forward_vectors(clip, landmarks)
    gate = network.gcn.gate(local, whole)
    torch.testing.assert_close(gate, (local * whole[:, :, None]).sum(-1) / 24**0.5)
    assert (gate > 0).all()


# Fusion


def test_regions_do_not_know_the_order_of_their_nodes_nor_the_nose() -> None:
    fusion = tiny().fusion
    assert fusion is not None
    local, whole = torch.randn(2, 4, 18, 8), torch.randn(2, 4, 8)
    fused = fusion(local, whole)
    order = [3, 1, 4, 0, 2, 9, 8, 6, 5, 7, 10, 11, 17, 12, 15, 14, 16, 13]
    changed = local[:, :, order]
    changed[:, :, 10:12] = 99
    torch.testing.assert_close(fusion(changed, whole), fused)
    expected = [local[:, :, part].mean(2) for part in (UPPER_LEFT, UPPER_RIGHT, LOWER)]
    torch.testing.assert_close(fused, torch.cat((*expected, whole), 2))


def test_equal_nodes_give_equal_regions() -> None:
    fusion = tiny().fusion
    assert fusion is not None
    node = torch.randn(1, 1, 1, 8)
    regions = fusion(node.expand(1, 1, 18, 8), torch.zeros(1, 1, 8)).unflatten(2, (4, 8))[0, 0]
    torch.testing.assert_close(regions[:3], node[0, 0].expand(3, 8))
    assert not regions[3].any()


def test_the_other_fusions_of_table_10() -> None:
    torch.manual_seed(0)
    local, whole = torch.randn(2, 4, 18, 8), torch.randn(2, 4, 8)
    mean, lstm = Fusion("mean", 8), Fusion("lstm", 8)
    assert mean.linear is not None
    assert lstm.lstm is not None
    torch.testing.assert_close(mean(local, whole), mean.linear((local.sum(2) + whole) / 19))
    sequence = torch.cat((local[1, 2], whole[1, 2, None]))
    torch.testing.assert_close(lstm(local, whole)[1, 2], lstm.lstm(sequence)[0][-1])
    assert [million(full(fusion=kind).fusion) * 1e6 for kind in ("region", "mean", "lstm")] == pytest.approx(
        [0, 128 * 512 + 512, 4 * 512 * (128 + 512 + 2)]
    )


# Time


def test_order_matters_through_positions_alone(clip: Tensor, landmarks: Tensor) -> None:
    network, order = tiny().eval(), [2, 0, 3, 1]
    with torch.no_grad():
        before, after = network(clip, landmarks), network(clip[:, order], landmarks[:, order])
        torch.testing.assert_close(after.aux_logits, before.aux_logits)
        assert not torch.allclose(after.logits, before.logits, atol=1e-4)
        network.temporal.pos_embed.zero_()
        before, after = network(clip, landmarks), network(clip[:, order], landmarks[:, order])
    torch.testing.assert_close(after.logits, before.logits)
    torch.testing.assert_close(after.attention[..., 1:], before.attention[..., 1:][..., order])


def test_heads_read_what_is_handed_out(clip: Tensor, landmarks: Tensor) -> None:
    network = tiny().eval()
    outputs = network(clip, landmarks)
    torch.testing.assert_close(network.head(outputs.feature), outputs.logits)
    assert network.aux_head is not None
    torch.testing.assert_close(network.aux_head(outputs.frame_feature.mean(1)), outputs.aux_logits)
    torch.testing.assert_close(outputs.attention.sum(-1), torch.ones(2, 2, 3))


@pytest.mark.parametrize(("share", "still"), [(0.0, ("aux_head",)), (1.0, ("head", "temporal"))])
def test_the_loss_of_one_head_leaves_the_other_alone(
    share: float, still: tuple[str, ...], clip: Tensor, landmarks: Tensor
) -> None:
    network = tiny().train()
    loss = ClipAuxiliary(share=share).build(DFEW)(network(clip, landmarks), {"label": torch.tensor([1, 5])})
    loss["loss"].backward()
    for name, parameter in network.named_parameters():
        moves = parameter.grad is not None and bool(parameter.grad.any())
        assert moves == (name.partition(".")[0] not in still), name


# Ablations


def test_the_rows_of_table_9(clip: Tensor, landmarks: Tensor) -> None:
    for row, changes in ABLATIONS.items():
        network = tiny(**changes).eval()
        outputs: Outputs = network(clip, landmarks)
        width = 8 if row in "AB" else 32
        assert outputs.feature.shape == (2, width)
        assert outputs.frame_feature.shape == (2, 4, width)
        assert outputs.attention.shape == ((2, 2, 3, 5) if row in "DE" else (2, 1, 1, 5))
        assert bool(outputs.attention.any()) == (row in "DE")
        assert bool(outputs.gate.eq(1).all()) == (row in "AD")
        assert torch.allclose(outputs.aux_logits, outputs.logits) == (row in "AB")


def test_rows_a_and_b_average_all_nodes_of_all_frames(clip: Tensor, landmarks: Tensor) -> None:
    for changes in (ABLATIONS["A"], ABLATIONS["B"]):
        network = tiny(**changes).eval()
        nodes, overall, _ = network.gcn(*network.forward_vectors(clip, landmarks))
        outputs = network(clip, landmarks)
        torch.testing.assert_close(outputs.logits, network.head(nodes.mean((1, 2))))
        regions = tiny(readout="region", **changes).eval()
        frames = Fusion("region", 8)(nodes, overall)
        torch.testing.assert_close(regions.gcn(*regions.forward_vectors(clip, landmarks))[0], nodes)
        torch.testing.assert_close(regions(clip, landmarks).feature, frames.mean(1))


def test_row_c_ends_with_the_last_state_of_an_lstm(clip: Tensor, landmarks: Tensor) -> None:
    network = tiny(**ABLATIONS["C"]).eval()
    outputs = network(clip, landmarks)
    assert network.temporal is not None
    _, (state, _) = network.temporal(outputs.frame_feature)
    torch.testing.assert_close(outputs.feature, state[0])
    assert million(full(**ABLATIONS["C"]).temporal) * 1e6 == pytest.approx(8 * 512 * (512 + 1))
    assert million(full(**ABLATIONS["A"]).head) * 1e6 == pytest.approx(128 * 7 + 7)


SWITCHES: tuple[dict[str, Any], ...] = (
    *ABLATIONS.values(),
    *({**ABLATIONS[row], "readout": "region"} for row in "AB"),
    *({"keep_fc": True, **ABLATIONS[row]} for row in "ABE"),
    *({"fusion": kind} for kind in ("mean", "lstm")),
    *({"enlarge": kind} for kind in ("none", "layer3+4")),
    *({"adj_norm": kind} for kind in ("sym", "none")),
    {"triplet": False},
    {"cheeks": False},
    {"cheeks": False, "fusion": "lstm"},
    {"gate_axis": "source"},
    {"gate_scale": "none"},
    {"gate_init": "identity"},
    {"heat_norm": "sum"},
    {"final_norm": True, "drop": 0.1},
    {"depth": 1, "heads": 1},
    {"heads": 5},
    {"segments": 3, "per_segment": 1},
)


@pytest.mark.parametrize("changes", SWITCHES, ids=str)
def test_every_switch_trains_what_it_says(changes: dict[str, Any], clip: Tensor, landmarks: Tensor) -> None:
    network = tiny(**changes).train()
    frames = network.config.n_frames
    torch.manual_seed(2)
    outputs = network(clip[:, :frames], landmarks[:, :frames])
    sum((torch.randn_like(out) * out).sum() for out in outputs).backward()
    without = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert without == network.frozen_parameters() | network.unused_parameters()


@pytest.mark.parametrize("row", ["A", "C"])
def test_ablations_can_be_exported(row: str) -> None:
    config = replace(Config.tiny(), fusion="lstm", **ABLATIONS[row])
    torch.manual_seed(0)
    network = config.build(DFEW).eval()
    parity = compare(network, onnx_graph(network, config.inputs()), config.inputs())
    assert all(found["max_abs"] < 1e-2 for found in parity.values())


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match=r"at least 1; given: self\.depth=0"):
        Config(depth=0)
    with pytest.raises(ConfigError, match="sigma_ratio is above 0"):
        Config(sigma_ratio=0.0)
    with pytest.raises(ConfigError, match="label set"):
        Config.tiny().build(None)
