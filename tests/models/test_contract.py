"""What every model keeps: the list of models grows, these tests stay."""

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mien.models import MODELS
from mien.schema.inputs import FlagSpec, InputSpec, LandmarkSpec
from mien.schema.labels import FERPLUS
from mien.schema.tables import resolve

FED_OTHERWISE: dict[str, tuple[str, dict[str, Any]]] = {"gcsa_av_features": ("gcsa_av", {"visual_net": "features"})}
"""Networks of a model that are fed something else than its usual one."""

NAMES = pytest.mark.parametrize("name", [*MODELS, *FED_OTHERWISE])
BATCH = 5
SCALES = ("running_var", "bn.weight", "bn1.weight", "bn2.weight", "downsample.1.weight")
"""Ends of names of what batch norms divide and multiply by."""


def tiny(name: str) -> Any:
    model, changes = FED_OTHERWISE.get(name, (name, {}))
    return replace(resolve(MODELS[model]).tiny(), **changes)


def build(name: str, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return tiny(name).build(FERPLUS)


def inputs(name: str, batch: int = BATCH, seed: int = 1) -> dict[str, Tensor]:
    """Normal noise for pixels and sounds, places all over the crop for landmarks, 1 or 0 for flags."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(spec: InputSpec) -> Tensor:
        if isinstance(spec, FlagSpec):
            return (torch.rand(batch, generator=generator) < 0.5).float()
        if isinstance(spec, LandmarkSpec):
            return torch.rand(batch, *spec.shape, generator=generator) * spec.size_px
        return torch.randn(batch, *spec.shape, generator=generator)

    return {n: drawn(spec) for n, spec in tiny(name).inputs().items()}


def fill(network: nn.Module, rng: np.random.Generator) -> None:
    """Weights that do not depend on torch's random numbers."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.from_numpy(rng.normal(0, 0.2, tuple(tensor.shape))).float()
            tensor.copy_(drawn.abs() + 0.5 if name.endswith(SCALES) else drawn)


def run(network: nn.Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    with torch.no_grad():
        found: dict[str, Tensor] = network(**given)._asdict()
    return found


@NAMES
def test_tiny_is_tiny(name: str) -> None:
    assert sum(p.numel() for p in build(name).parameters()) < 1_000_000


@pytest.mark.parametrize("name", MODELS)
def test_the_configuration_is_plain_data(name: str) -> None:
    make = resolve(MODELS[name])
    for config in (make(), make.tiny()):
        plain = json.loads(json.dumps(asdict(config)))
        again = make(**{key: tuple(v) if isinstance(v, list) else v for key, v in plain.items()})
        assert again == config
        assert type(again) is type(config)


@NAMES
def test_inputs_are_the_arguments_of_forward(name: str) -> None:
    names = build(name).forward.__annotations__.keys() - {"return"}
    assert set(tiny(name).inputs()) == names


@NAMES
def test_every_parameter_gets_a_gradient_or_is_listed(name: str) -> None:
    network = build(name).train()
    torch.manual_seed(2)
    sum((torch.randn_like(out) * out).sum() for out in network(**inputs(name))).backward()
    without = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    still: frozenset[str] = getattr(network, "still_parameters", frozenset)()
    assert without == network.frozen_parameters() | network.unused_parameters() | still
    assert {n for n, p in network.named_parameters() if not p.requires_grad} == network.frozen_parameters()


@NAMES
def test_frozen_parts_keep_their_statistics_in_training(name: str) -> None:
    network = build(name).train()
    before = {n: b.clone() for n, b in network.named_buffers()}
    network(**inputs(name))
    moved = {n for n, b in network.named_buffers() if not torch.equal(b, before[n])}
    frozen_modules = {n.rpartition(".")[0] for n in network.frozen_parameters()}
    kept = {n.rpartition(".")[0] for n in before if n.endswith("running_mean")}
    assert moved or kept <= frozen_modules, "batch norm of what is trained does move"
    assert not {n for n in moved if n.rpartition(".")[0] in frozen_modules}


@NAMES
def test_order_and_size_of_the_batch_change_nothing(name: str) -> None:
    network, given = build(name).eval(), inputs(name)
    whole = run(network, given)
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = run(network, {n: x[order] for n, x in given.items()})
    single = run(network, {n: x[2:3] for n, x in given.items()})
    for key, out in whole.items():
        torch.testing.assert_close(shuffled[key], out[order], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(single[key], out[2:3], rtol=1e-4, atol=1e-5)


@NAMES
def test_every_input_changes_some_output(name: str, rng: np.random.Generator) -> None:
    network, given = build(name).eval(), inputs(name)
    fill(network, rng)
    before = run(network, given)
    for changed in given:
        after = run(network, {**given, changed: given[changed].flip(-1) + 0.5})
        assert any(not torch.allclose(before[key], after[key]) for key in before), changed


@NAMES
def test_weights_make_the_round_trip(name: str) -> None:
    network, other, given = build(name).eval(), build(name, seed=9).eval(), inputs(name)
    other.load_state_dict(network.state_dict())
    before, after = run(network, given), run(other, given)
    assert all(torch.equal(before[key], after[key]) for key in before)


@NAMES
def test_the_same_seed_builds_the_same_network(name: str) -> None:
    first, second = build(name).state_dict(), build(name).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@NAMES
def test_channels_last_and_bf16_stay_close(name: str) -> None:
    network, given = build(name).eval(), inputs(name)
    exact = run(network, given)
    network.to(memory_format=torch.channels_last)
    nhwc = {n: x.to(memory_format=torch.channels_last) if x.ndim == 4 else x for n, x in given.items()}
    with torch.autocast("cpu", torch.bfloat16):
        half = run(network, nhwc)
    for key, out in run(network, nhwc).items():
        torch.testing.assert_close(out, exact[key], rtol=1e-4, atol=1e-5)
        assert (half[key].float() - out).norm() < 0.05 * out.norm().clamp(min=1)


@NAMES
def test_it_can_be_exported(name: str) -> None:
    from mien.deploy.export import onnx_graph
    from mien.runtime.session import OnnxSession

    network, given = build(name).eval(), inputs(name)
    session = OnnxSession(onnx_graph(network, tiny(name).inputs()), threads=1)
    found = session(**{n: x.numpy() for n, x in given.items()})
    for key, out in run(network, given).items():
        np.testing.assert_allclose(found[key], out.numpy(), rtol=1e-2, atol=2e-3)


@NAMES
def test_outputs_are_the_golden_ones(name: str, rng: np.random.Generator, golden: Any) -> None:
    network = build(name).eval()
    fill(network, rng)
    given = {}
    for n, spec in tiny(name).inputs().items():
        if isinstance(spec, FlagSpec):
            drawn = np.ones(2)
        elif isinstance(spec, LandmarkSpec):
            drawn = rng.uniform(0, spec.size_px, (2, *spec.shape))
        else:
            drawn = rng.normal(0, 1, (2, *spec.shape))
        given[n] = torch.from_numpy(drawn).float()
    golden(f"model_{name}", run(network, given), rtol=1e-3, atol=1e-4)
