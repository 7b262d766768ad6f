from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mien.deploy.export import onnx_graph
from mien.deploy.parity import compare
from mien.models.gcsa_av import (
    Config,
    FaceNetwork,
    FeatureNetwork,
    FusedFeatureNetwork,
    FusedNetwork,
    Outputs,
    VoiceNetwork,
    VoiceOutputs,
)
from mien.models.layers.gcsa import GCSA
from mien.models.layers.median_attention import MedianAttention
from mien.schema.errors import ConfigError
from mien.schema.inputs import ClipSpec, FeatureSpec, FlagSpec, SoundSpec
from mien.schema.labels import LabelSet

AFF_WILD2 = LabelSet(
    "expr_8", ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "other"), "a test"
)
ALIGNED: dict[str, Any] = {"fusion_weights": "aligned"}
DILATED: dict[str, Any] = {"fusion": "concat_dilated"}
FED: dict[str, Any] = {"visual_net": "features"}


def fused(**changes: Any) -> FusedNetwork:
    torch.manual_seed(0)
    network = replace(Config.tiny(), **changes).build(AFF_WILD2)
    assert isinstance(network, FusedNetwork)
    return network.eval()


def alone(modality: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    return replace(Config.tiny(), modality=modality, **changes).build(AFF_WILD2).eval()


@pytest.fixture
def given() -> dict[str, Tensor]:
    """Four moments: with both, with the face alone, with the voice alone, with neither."""
    generator = torch.Generator().manual_seed(1)
    return {
        "clip": torch.randn(4, 4, 3, 32, 32, generator=generator),
        "sound": torch.randn(4, 1, 64, 128, generator=generator),
        "has_sound": torch.tensor([1.0, 0.0, 1.0, 0.0]),
        "has_face": torch.tensor([1.0, 1.0, 0.0, 0.0]),
    }


def run(network: nn.Module, given: dict[str, Tensor], **changes: Tensor) -> Outputs:
    with torch.no_grad():
        outputs: Outputs = network(**{**given, **changes})
    return outputs


def run_voice(network: nn.Module, given: dict[str, Tensor]) -> VoiceOutputs:
    with torch.no_grad():
        outputs: VoiceOutputs = network(**given)
    return outputs


def both(given: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**given, "has_sound": torch.ones(4), "has_face": torch.ones(4)}


# Counts


def counted(**changes: Any) -> tuple[int, float]:
    """Parameters, and 10^9 multiply-accumulates of a moment."""
    config = replace(Config(), **changes)
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        network = config.build(AFF_WILD2).eval()
        network(**{name: torch.empty(1, *spec.shape) for name, spec in config.inputs().items()})
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() / 2e9


@pytest.mark.parametrize(
    ("changes", "parameters", "giga"),
    [
        ({}, 2_836_944, 2.163),
        ({"modality": "a"}, 2_039_144, 0.945),
        ({"modality": "a", "audio_attn": "none"}, 2_039_144 - 922_560, 0.473),
        ({"modality": "v", "frames": 1}, 797_800, 0.305),
        ({"modality": "v"}, 797_800, 4 * 0.30452),
        ({"modality": "v", "frames": 1, "visual_attn": "none"}, 797_800 - 258_624, 0.261),
        ({"modality": "v", "frames": 1, "visual_attn": "gcsa"}, 797_800 - 258_624 + 1_639_680, 0.582),
        ({"fusion_weights": "learned"}, 2_836_944 + 2, 2.163),
        (ALIGNED, 2_836_944 + 33_410, 2.163),
        ({**ALIGNED, **DILATED}, 2_836_944 + 1_804_170, 2.510),
        ({"modality": "a", "audio_net": "resnet18"}, 17_730_504, 0.336),
        ({"modality": "v", "visual_net": "r3d18"}, 34_146_376, 10.826),
        ({"modality": "v", **FED}, 1281 * 8, 0.0),
        (FED, 2_039_144 + 1281 * 8, 0.945),
    ],
    ids=str,
)
def test_parameters_and_multiply_accumulates(changes: dict[str, Any], parameters: int, giga: float) -> None:
    found = counted(**changes)
    assert found[0] == parameters
    assert found[1] == pytest.approx(giga, abs=0.001)


def test_what_it_is_fed() -> None:
    specs = Config().inputs()
    half = (0.5, 0.5, 0.5)
    clip = ClipSpec(n_frames=4, segments=4, per_segment=1, seconds=1.28, size_px=112, mean=half, std=half)
    assert specs == {"clip": clip, "sound": SoundSpec(), "has_sound": FlagSpec(), "has_face": FlagSpec()}
    assert SoundSpec().shape == (1, 64, 128)
    assert set(Config(modality="v").inputs()) == {"clip"}
    assert Config(modality="a", mel_scale="htk").inputs() == {"sound": SoundSpec(mel_scale="htk")}
    grey = replace(Config(), frames=2, size_px=64, colour="grey", source_px=48).inputs()["clip"]
    assert isinstance(grey, ClipSpec)
    assert (grey.shape, grey.crop_px, grey.colour) == ((2, 3, 64, 64), 48, "grey")
    told = FeatureSpec(width=1280, n_steps=4, step_s=0.32, around_moment=True)
    assert Config(modality="v", **FED).inputs() == {"face_features": told}
    assert replace(Config(), frames=2, **FED).inputs() == {
        "face_features": replace(told, n_steps=2, step_s=0.64),
        "sound": SoundSpec(),
        "has_sound": FlagSpec(),
        "has_face": FlagSpec(),
    }
    assert Config(modality="a", **FED).inputs() == {"sound": SoundSpec()}


def test_the_maps_of_the_paper() -> None:
    with torch.device("meta"), torch.no_grad():
        network = Config(modality="va").build(AFF_WILD2).eval()
        assert isinstance(network, FusedNetwork)
        assert network.voice.forward_maps(torch.empty(1, 1, 64, 128)).shape == (1, 256, 4, 8)
        assert network.face.forward_maps(torch.empty(1, 4, 3, 112, 112)).shape == (1, 4, 256, 14, 14)
        other = replace(Config(), audio_net="resnet18", visual_net="r3d18").build(AFF_WILD2).eval()
        assert isinstance(other, FusedNetwork)
        assert other.voice.forward_maps(torch.empty(1, 1, 64, 128)).shape == (1, 512, 2, 4)
        assert other.face.forward_maps(torch.empty(1, 4, 3, 112, 112)).shape == (1, 1, 512, 7, 7)


def test_attention_stands_where_it_is_asked_for() -> None:
    network = fused()
    assert isinstance(network.voice.trunk.attention, GCSA)
    assert isinstance(network.voice.attention, nn.Identity)
    assert isinstance(network.face.attention, MedianAttention)
    turned = fused(audio_attn="mesc", visual_attn="gcsa", audio_net="resnet18", gcsa_parts="spatial", shuffle=False)
    assert isinstance(turned.voice.attention, MedianAttention)
    assert isinstance(turned.face.attention, GCSA)
    assert (turned.face.attention.squeeze, turned.face.attention.groups) == (None, 1)


# Fusion


def test_a_moment_with_both_is_their_mean_by_proportion(given: dict[str, Tensor]) -> None:
    for m, n in ((1, 1), (2, 5), (5, 1)):
        found = run(fused(weights=(m, n)), both(given))
        assert found.voice_logits is not None
        assert found.face_logits is not None
        assert found.voice_share is not None
        voice, face = found.voice_logits.exp(), found.face_logits.exp()
        torch.testing.assert_close(found.probabilities, (m * voice + n * face) / (m + n))
        torch.testing.assert_close(found.voice_share, torch.full((4,), m / (m + n)))
        torch.testing.assert_close(found.logits.softmax(1), found.probabilities)
        assert (found.probabilities <= torch.maximum(voice, face) * (1 + 1e-5)).all()
        assert (found.probabilities >= torch.minimum(voice, face) * (1 - 1e-5)).all()


def test_only_the_proportion_counts(given: dict[str, Tensor]) -> None:
    outputs = [run(fused(weights=pair), both(given)).logits for pair in ((1, 2), (2, 4), (2, 1))]
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2])


@pytest.mark.parametrize(
    "changes", [{}, {"fusion_weights": "learned"}, ALIGNED, DILATED, {**ALIGNED, **DILATED}], ids=str
)
def test_what_is_not_there_does_not_count(changes: dict[str, Any], given: dict[str, Tensor]) -> None:
    network = fused(**changes)
    found = run(network, given)
    assert found.voice_logits is not None
    assert found.face_logits is not None
    assert found.voice_share is not None
    assert found.alignment is not None
    torch.testing.assert_close(found.probabilities.sum(1), torch.ones(4))
    torch.testing.assert_close(found.logits[1], found.face_logits[1])
    torch.testing.assert_close(found.logits[2], found.voice_logits[2])
    torch.testing.assert_close(found.probabilities[3], torch.full((8,), 1 / 8))
    assert found.voice_share[1:].tolist() == [0, 1, 0]
    torch.testing.assert_close(found.alignment[1:], torch.full((3, 4), 0.25))
    torch.testing.assert_close(found.alignment.sum(1), torch.ones(4))
    noisy = run(network, given, sound=torch.where(given["has_sound"][:, None, None, None] > 0, given["sound"], 7.0))
    torch.testing.assert_close(noisy.logits, found.logits)


def test_the_face_is_the_mean_of_its_frames(given: dict[str, Tensor]) -> None:
    network = alone("v")
    whole = run(network, {"clip": given["clip"]}).probabilities
    frames = [run(network, {"clip": given["clip"][:, k : k + 1]}).probabilities for k in range(4)]
    torch.testing.assert_close(whole, torch.stack(frames).mean(0))


def told(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same moments, of whose faces there are features."""
    rest = {name: tensor for name, tensor in given.items() if name != "clip"}
    return {"face_features": torch.randn(4, 4, 12, generator=torch.Generator().manual_seed(2)), **rest}


def test_features_of_a_face_are_judged_frame_by_frame(given: dict[str, Tensor]) -> None:
    network, moments = alone("v", **FED), told(given)["face_features"]
    assert isinstance(network, FeatureNetwork)
    assert set(network.forward.__annotations__) - {"return"} == set(network.config.inputs())
    assert network.cam_layers == {}
    found = run(network, {"face_features": moments})
    torch.testing.assert_close(found.probabilities, network.face.head(moments).softmax(2).mean(1))
    torch.testing.assert_close(found.logits.exp(), found.probabilities)


@pytest.mark.parametrize("changes", [{}, {"weights": (2, 5)}, {"fusion_weights": "learned"}], ids=str)
def test_features_and_a_voice_are_mixed_like_a_face_and_a_voice(
    changes: dict[str, Any], given: dict[str, Tensor]
) -> None:
    torch.manual_seed(0)
    network = replace(Config.tiny(), **FED, **changes).build(AFF_WILD2).eval()
    assert isinstance(network, FusedFeatureNetwork)
    assert set(network.forward.__annotations__) - {"return"} == set(network.config.inputs())
    assert set(network.cam_layers) == {"voice", "voice_before_attention"}
    found = run(network, told(given))
    assert found.voice_logits is not None
    assert found.face_logits is not None
    m, n = network.config.weights
    both = (m * found.voice_logits[0].exp() + n * found.face_logits[0].exp()) / (m + n)
    torch.testing.assert_close(found.probabilities[0], both)
    torch.testing.assert_close(found.logits[1], found.face_logits[1])
    torch.testing.assert_close(found.logits[2], found.voice_logits[2])
    torch.testing.assert_close(found.probabilities[3], torch.full((8,), 1 / 8))
    torch.testing.assert_close(found.alignment, torch.full((4, 4), 0.25))
    part = alone("v", **FED)
    part.load_state_dict({name: network.state_dict()[name] for name in part.state_dict()})
    torch.testing.assert_close(run(part, {"face_features": told(given)["face_features"]}).logits, found.face_logits)


def test_networks_of_one_kind_are_parts_of_the_fused_one(given: dict[str, Tensor]) -> None:
    network = fused()
    found = run(network, both(given))
    for modality, kind, name in (("v", FaceNetwork, "clip"), ("a", VoiceNetwork, "sound")):
        part = alone(modality)
        assert isinstance(part, kind)
        part.load_state_dict({n: network.state_dict()[n] for n in part.state_dict()})
        outputs = run(part, {name: given[name]})
        expected = found.face_logits if modality == "v" else found.voice_logits
        torch.testing.assert_close(outputs.logits, expected)
        torch.testing.assert_close(outputs.probabilities.sum(1), torch.ones(4))
        if modality == "v":
            assert outputs[2:] == (None,) * 5
        else:
            heard = run_voice(part, {name: given[name]})
            torch.testing.assert_close(heard.feature, found.voice_feature)


def test_the_feature_of_a_voice_is_what_its_classifier_reads(given: dict[str, Tensor]) -> None:
    network = alone("a")
    outputs = run_voice(network, {"sound": given["sound"]})
    assert outputs.feature.shape == (4, network.config.voice_width)
    expected = network.voice.head(outputs.feature).log_softmax(1)
    torch.testing.assert_close(outputs.logits, expected)


def test_aligned_shares_belong_to_the_moment(given: dict[str, Tensor]) -> None:
    found = run(fused(**ALIGNED), both(given))
    assert found.voice_share is not None
    assert found.alignment is not None
    assert found.voice_share.unique().numel() == 4
    assert found.alignment.std(1).min() > 0
    torch.testing.assert_close(found.alignment.sum(1), torch.ones(4))
    still = {**both(given), "clip": given["clip"][:, :1].expand(-1, 4, -1, -1, -1), "sound": torch.zeros(4, 1, 64, 128)}
    network = fused(**ALIGNED)
    maps = network.voice.forward_maps(still["sound"])[..., :1].expand(-1, -1, -1, 8)
    _, looks = network.forward_shares(maps, network.face.forward_maps(still["clip"]))
    torch.testing.assert_close(looks, torch.full((4, 4), 0.25))


def test_dilated_fusion_reads_the_maps(given: dict[str, Tensor]) -> None:
    network = fused(**DILATED)
    found = run(network, both(given))
    assert network.dilated is not None
    with torch.no_grad():
        maps = network.voice.forward_maps(given["sound"]), network.face.forward_maps(given["clip"])
        expected = network.dilated(*maps, torch.full((4,), 0.5), torch.full((4, 4), 0.25)).softmax(1)
    torch.testing.assert_close(found.probabilities, expected)


def test_training_hides_one_of_two_now_and_then() -> None:
    network, many = fused(modality_dropout=0.4), torch.ones(4000)
    heard, seen = network.forward_presence(many, many)
    assert heard.all()
    assert seen.all()
    network.train()
    torch.manual_seed(0)
    heard, seen = network.forward_presence(many, many)
    assert heard.mean().item() == pytest.approx(0.8, abs=0.03)
    assert seen.mean().item() == pytest.approx(0.8, abs=0.03)
    assert (heard + seen).min() == 1
    heard, seen = network.forward_presence(many, torch.zeros(4000))
    assert heard.all()
    assert not seen.any()
    always = fused(modality_dropout=1.0).train()
    heard, seen = always.forward_presence(many, many)
    assert (heard + seen).eq(1).all()


# Switches

SWITCHES: tuple[dict[str, Any], ...] = (
    {"modality": "v"},
    {"modality": "a"},
    {"modality": "a", "audio_net": "resnet18"},
    {"modality": "v", "visual_net": "r3d18"},
    {"modality": "v", **FED},
    {**FED, "fusion_weights": "learned", "audio_net": "resnet18"},
    {"audio_net": "resnet18", "visual_net": "r3d18", "fusion_weights": "learned"},
    {"audio_attn": "none", "visual_attn": "none"},
    {"audio_attn": "mesc", "visual_attn": "gcsa"},
    {"gcsa_parts": "channel"},
    {"gcsa_parts": "spatial"},
    {"shuffle": False},
    {"mesc_sum": "pre_sigmoid", "mesc_gate": "none", "share_pointwise": True},
    {"fusion_weights": "learned"},
    ALIGNED,
    {**ALIGNED, "frames": 1},
    DILATED,
    {**ALIGNED, **DILATED, "frames": 2},
    {**DILATED, "fusion_weights": "learned"},
    {"modality_dropout": 0.5},
)


@pytest.mark.parametrize("changes", SWITCHES, ids=str)
def test_every_switch_trains_what_it_says(changes: dict[str, Any]) -> None:
    torch.manual_seed(3)
    config = replace(Config.tiny(), dropout=0.0, **changes)
    network = config.build(AFF_WILD2).train()
    drawn = {
        name: torch.ones(4) if isinstance(spec, FlagSpec) else torch.randn(4, *spec.shape)
        for name, spec in config.inputs().items()
    }
    outputs = [out for out in network(**drawn) if out is not None]
    sum((torch.randn_like(out) * out).sum() for out in outputs).backward()
    without = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert without == network.frozen_parameters() | network.unused_parameters()


@pytest.mark.parametrize(
    "changes",
    [
        {**ALIGNED, **DILATED},
        {"fusion_weights": "learned", "audio_net": "resnet18", "visual_net": "r3d18", "audio_attn": "mesc"},
        {"modality": "v", "visual_attn": "gcsa"},
        {"modality": "v", **FED},
        FED,
    ],
    ids=str,
)
def test_switches_can_be_exported(changes: dict[str, Any]) -> None:
    config = replace(Config.tiny(), **changes)
    torch.manual_seed(0)
    network = config.build(AFF_WILD2).eval()
    parity = compare(network, onnx_graph(network, config.inputs()), config.inputs())
    assert all(found["max_abs"] < 1e-2 for found in parity.values())


@pytest.mark.parametrize("changes", [{}, {"audio_net": "resnet18"}, {"modality": "v"}, {"modality": "a"}], ids=str)
def test_logits_depend_on_every_place_of_an_activation_map(changes: dict[str, Any], given: dict[str, Tensor]) -> None:
    torch.manual_seed(0)
    config = replace(Config.tiny(), **changes)
    network = config.build(AFF_WILD2).eval()
    kept: dict[str, Tensor] = {}

    def keep(name: str, tensor: Tensor) -> None:
        kept[name] = tensor
        tensor.retain_grad()

    for name, (path, end) in network.cam_layers.items():
        module = network.get_submodule(path)
        if end == "input":
            module.register_forward_pre_hook(lambda _, taken, name=name: keep(name, taken[0]))
        else:
            module.register_forward_hook(lambda _, taken, out, name=name: keep(name, out))
    drawn = {name: tensor for name, tensor in both(given).items() if name in config.inputs()}
    network(**drawn).logits[:, 4].sum().backward()
    assert set(kept) == set(network.cam_layers)
    assert {name.partition("_")[0] for name in kept} == {
        kind for kind, letter in (("face", "v"), ("voice", "a")) if letter in config.modality
    }
    for tensor in kept.values():
        assert tensor.ndim == 4
        assert tensor.grad is not None
        assert tensor.grad.any()


def test_mistakes_are_named() -> None:
    for pair in ((0, 1), (1, 6), (-1, 2)):
        with pytest.raises(ConfigError, match=r"integers from 1 to 5; given: weights="):
            Config(weights=pair)
    for changes, message in (
        (
            {"audio_net": "resnet18", **ALIGNED},
            r"fusion_weights='aligned' needs audio_net='mcnn'; given: audio_net='resn",
        ),
        (
            {"visual_net": "r3d18", **DILATED},
            r"fusion='concat_dilated' needs visual_net='rhcnn'; given: visual_net='r3",
        ),
        ({**FED, **ALIGNED}, r"fusion_weights='aligned' needs visual_net='rhcnn'; given: visual_net='features'"),
        ({**FED, **DILATED}, r"fusion='concat_dilated' needs visual_net='rhcnn'; given: visual_net='features'"),
        ({**FED, "visual_attn": "gcsa"}, "features have no map: visual_attn is mesc or none; given: visual_attn='gc"),
        ({"feature_width": 0}, "at least 1 number; given: feature_width=0"),
        ({"frames": 3, **ALIGNED}, "divide 8; given: frames=3"),
        ({"dropout": 1.0}, r"dropout lies in \[0, 1\)"),
        ({"modality_dropout": 1.5}, r"modality_dropout lies in \[0, 1\]"),
        ({"visual_widths": (8, 8, 10, 16)}, "multiples of 4"),
    ):
        with pytest.raises(ConfigError, match=message):
            replace(Config(), **changes)
    replace(Config(), modality="v", visual_net="r3d18", frames=3, **ALIGNED)
    with pytest.raises(ConfigError, match="label set"):
        Config.tiny().build(None)
