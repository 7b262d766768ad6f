"""Reaction: counts, the layout of its parts, what is missing and what is scaled."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from mien.models.reaction import Config, Network, present, sincos
from mien.schema.errors import ConfigError
from mien.schema.inputs import FeatureSpec
from mien.schema.labels import HUME_REACTION


def build(**changes: Any) -> Any:
    torch.manual_seed(0)
    return replace(Config.tiny(), **changes).build(HUME_REACTION).eval()


def drawn(config: Config, clips: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(clips, *spec.shape, generator=generator) for name, spec in config.inputs().items()}


def count(module: torch.nn.Module | None) -> int:
    assert module is not None
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("changes", "millions"),
    [
        ({}, 33.45),
        ({"embed": "conv1d"}, 29.25),
        ({"modalities": "a"}, 9.25),
        ({"modalities": "v"}, 9.78),
        ({"modalities": "av"}, 19.02),
    ],
    ids=str,
)
def test_parameters(changes: dict[str, Any], millions: float) -> None:
    with torch.device("meta"):
        assert count(replace(Config(), **changes).build(HUME_REACTION)) / 1e6 == pytest.approx(millions, abs=0.005)


def test_parameters_of_the_parts() -> None:
    with torch.device("meta"):
        network = Config().build(HUME_REACTION)
    assert isinstance(network, Network)
    assert network.sound is not None
    assert network.face is not None
    parts = (network.sound.embed, network.face.embed, network.sound.encoder, network.face.encoder, network.both,
             network.project, network.project_both)  # fmt: skip
    found = [round(count(part) / 1e6, 3) for part in parts]
    assert found == [2.823, 3.348, 0.527, 0.527, 2.626, 11.797, 11.797]


def test_what_it_is_fed() -> None:
    sound, face = FeatureSpec(width=1024), FeatureSpec(width=1536)
    assert (sound.shape, face.shape) == ((30, 1024), (30, 1536))
    for modalities in ("av", "av_inter"):
        assert replace(Config(), modalities=modalities).inputs() == {"sound_features": sound, "face_features": face}
    assert Config(modalities="a").inputs() == {"sound_features": sound}
    assert Config(modalities="v").inputs() == {"face_features": face}


@pytest.mark.parametrize("embed", ["tcn", "conv1d"])
@pytest.mark.parametrize(("modalities", "encoders"), [("a", 1), ("v", 1), ("av", 2), ("av_inter", 3)])
def test_outputs(modalities: str, encoders: int, embed: str) -> None:
    network = build(modalities=modalities, embed=embed)
    with torch.no_grad():
        found = network(**drawn(network.config))
    assert found.intensity.shape == found.class_logits.shape == (3, 7)
    assert ((found.intensity > 0) & (found.intensity < 1)).all()
    assert found.feature.shape == (3, 24 if encoders == 3 else 12)
    assert found.attention.shape == (3, encoders, 2, 6, 6)
    torch.testing.assert_close(found.attention.sum(-1), torch.ones(3, encoders, 2, 6))


def test_steps_are_told_apart_by_sines_of_base_1000() -> None:
    table = sincos(30, 256, 1000.0)
    assert table.shape == (30, 256)
    assert table[7, 0].item() == pytest.approx(torch.sin(torch.tensor(7.0)).item())
    assert table[7, 129].item() == pytest.approx(torch.cos(torch.tensor(7 * 1000 ** (-128 / 256))).item(), abs=1e-6)


def test_zeros_at_the_end_are_no_steps() -> None:
    features = torch.randn(2, 6, 3)
    features[0, 4:] = 0
    features[0, 1] = 0
    features[1] = 0
    assert present(features).tolist() == [[True] * 4 + [False] * 2, [False] * 6]


def test_with_a_mask_nobody_looks_at_what_is_not_there() -> None:
    network = build(mask=True)
    given = drawn(network.config)
    given["sound_features"][0, 4:] = 0
    given["face_features"][0, 3:] = 0
    given["sound_features"][1] = 0
    with torch.no_grad():
        found = network(**given)
    sound, face, both = found.attention[0]
    assert not sound[..., 4:].any()
    assert not face[..., 3:].any()
    assert not both[..., 4:].any()
    assert found.attention[2].min() > 0
    assert found.attention[1, 0].min() > 0
    assert torch.isfinite(found.intensity).all()


def test_scale_of_the_training_part() -> None:
    network, plain = build(standardize=True), build()
    plain.load_state_dict({n: t for n, t in network.state_dict().items() if n in plain.state_dict()})
    given = drawn(network.config)
    rows = {name: 5 + 3 * torch.randn(100, tensor.shape[2]) for name, tensor in given.items()}
    rows["sound_features"][:, 0] = 2.0
    network.fit_scale(rows)
    scaled = {}
    for name, tensor in given.items():
        std = rows[name].std(0, correction=0)
        scaled[name] = (tensor - rows[name].mean(0)) / torch.where(std > 0, std, 1.0)
    with torch.no_grad():
        torch.testing.assert_close(network(**given).intensity, plain(**scaled).intensity)


def test_networks_of_one_kind_have_the_names_of_the_joined_one() -> None:
    joined = set(build(modalities="av").state_dict())
    for kind, part in (("a", "sound."), ("v", "face.")):
        assert {n for n in build(modalities=kind).state_dict() if n.startswith(part)} <= joined


def test_mistakes_are_named() -> None:
    for changes, message in (
        ({"width": 15}, "width is even"),
        ({"drop": 1.0}, r"drop lies in \[0, 1\)"),
    ):
        with pytest.raises(ConfigError, match=message):
            replace(Config(), **changes)
    with pytest.raises(ConfigError, match="label set"):
        Config.tiny().build(None)
