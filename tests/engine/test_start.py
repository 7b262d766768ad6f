"""What a run starts from; parts of a network that learn from a share of the run on, and rest before."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mien.engine import checkpoint, start
from mien.engine import fit as module
from mien.engine.fit import LAST, fit
from mien.engine.run import Run, TrainConfig
from mien.engine.start import build_model, thaw
from mien.recipes import find
from mien.schema.errors import BundleError, ConfigError
from mien.schema.labels import BASIC_7


def thawing(share: float, **train: Any) -> Run:
    """The classifier for tests, whose gates are open, so that its landmark network learns as soon as it may."""
    run = find("natten_deim_synthetic_tiny")
    model = replace(run.model, freeze_landmark=False, gate_start=0.5)
    how = {"epochs": 4, "ema_decay": 0.9, "clip_norm": 1.0, **train}
    data = replace(run.data, limit=32)
    return replace(run, model=model, data=data, train=replace(run.train, unfreeze=(("landmark", share),), **how))


def test_a_part_rests_until_its_share_of_the_run() -> None:
    network = build_model(thawing(0.6), BASIC_7).train()
    optimizer = thawing(0.6).train.optimizer.build(network)
    before = {name: tensor.clone() for name, tensor in network.landmark.state_dict().items()}
    for progress, learns in ((0.0, False), (0.59, False), (0.6, True), (0.9, True)):
        network.train()
        thaw(network, (("landmark", 0.6),), progress)
        network(torch.rand(4, 3, 64, 64)).logits.square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        after = network.landmark.state_dict()
        moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
        assert network.landmark.training is learns
        assert bool(moved) is learns
        assert any("running_mean" in name for name in moved) is learns


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_run_that_was_killed_before_a_part_learns_goes_on_as_if_not(
    optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = thawing(0.5)
    run = replace(run, train=replace(run.train, optimizer=replace(run.train.optimizer, name=optimizer)))
    monkeypatch.setattr(module, "export", lambda *_: tmp_path)
    fit(run, out=tmp_path / "whole", progress=False)
    looks = iter((module.evaluate,))
    with monkeypatch.context() as patch:
        patch.setattr(module, "evaluate", lambda *given: next(looks)(*given))
        with pytest.raises(StopIteration):
            fit(run, out=tmp_path / "killed", progress=False)
    before, _ = checkpoint.load(tmp_path / "killed" / LAST)
    fit(run, out=tmp_path / "killed", resume=True, progress=False)
    whole, _ = checkpoint.load(tmp_path / "whole" / LAST)
    after, _ = checkpoint.load(tmp_path / "killed" / LAST)
    assert whole.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in whole.items())
    name = next(name for name in before if name.startswith("model.landmark.") and name.endswith("conv.weight"))
    assert not torch.equal(before[name], after[name])
    assert len(before) < len(after), "the optimizer remembers nothing of what has not learnt"


def test_what_can_not_be_thawed_is_told() -> None:
    run = thawing(0.5)
    with pytest.raises(ConfigError, match="its parts: trunk"):
        build_model(replace(run, train=replace(run.train, unfreeze=(("landmarks", 0.5),))), BASIC_7)
    frozen = replace(run, model=replace(run.model, freeze_landmark=True))
    with pytest.raises(ConfigError, match="nothing of 'landmark' is ever trained"):
        build_model(frozen, BASIC_7)
    with pytest.raises(ConfigError, match=r"shares of the run in \[0, 1\)"):
        TrainConfig(unfreeze=(("landmark", 1.0),))


@dataclass(frozen=True)
class Weights:
    """What a run starts from, in place of a bundle."""

    name: str
    tensors: dict[str, torch.Tensor]
    model: str = "natten_deim"

    def check_inputs(self, inputs: Any, *, cut_otherwise: bool) -> None:
        assert set(inputs) == {"image"}


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, Weights]:
    """Three sets of weights of one network by their names, the third without its head."""
    run = thawing(0.5)
    found = {}
    for seed, name in enumerate(("first", "second", "headless")):
        torch.manual_seed(seed)
        found[name] = Weights(name, build_model(run, BASIC_7).state_dict())
    found["headless"] = Weights(
        "headless", {n: t for n, t in found["first"].tensors.items() if not n.startswith("head")}
    )
    monkeypatch.setattr(start, "find_bundle", found.__getitem__)
    monkeypatch.setattr(start, "weights_of", lambda bundle: bundle.tensors)
    return found


def test_a_blend_is_the_mean_of_all_its_weights(kept: dict[str, Weights]) -> None:
    run = replace(thawing(0.5), init="first", blend=("second", "first"))
    tensors = build_model(run, BASIC_7).state_dict()
    first, second = kept["first"].tensors, kept["second"].tensors
    assert tensors.keys() == first.keys()
    assert not torch.equal(first["head.weight"], second["head.weight"])
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, (2 * first[name] + second[name]) / 3)
        else:
            assert torch.equal(tensor, first[name])


def test_what_does_not_blend_is_told(kept: dict[str, Weights]) -> None:
    with pytest.raises(BundleError, match=r"headless cannot be blended with first: .*'head\.bias'"):
        build_model(replace(thawing(0.5), init="first", blend=("headless",)), BASIC_7)
    with pytest.raises(ConfigError, match=r"there is none. Given: \('second',\)"):
        replace(thawing(0.5), blend=("second",))
