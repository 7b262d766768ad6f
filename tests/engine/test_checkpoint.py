"""Checkpoints: everything comes back with the same bits, nothing is unpickled, a kill never leaves half a file."""

import pickle

import pytest
import torch
from torch import nn

from mien.engine import checkpoint
from mien.schema.errors import BundleError


def network() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2))
    return model.to(memory_format=torch.channels_last)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, start: int = 0) -> None:
    for step in range(start, start + steps):
        torch.manual_seed(step)
        images = torch.randn(4, 3, 8, 8).contiguous(memory_format=torch.channels_last)
        model(images).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


BUILDERS = {
    "adamw": lambda model: torch.optim.AdamW(model.parameters(), lr=0.01),
    "sgd": lambda model: torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_training_goes_on_with_the_same_bits(tmp_path, name):
    model = network()
    optimizer = BUILDERS[name](model)
    train(model, optimizer, 3)
    tensors = checkpoint.prefixed("model", model.state_dict())
    tensors |= checkpoint.prefixed("optimizer", checkpoint.optimizer_tensors(optimizer))
    checkpoint.save(tmp_path / "last.safetensors", tensors, {"epoch": 3, "best": None, "spent_s": 1.5})
    train(model, optimizer, 3, start=3)

    again = network()
    optimizer = BUILDERS[name](again)
    tensors, numbers = checkpoint.load(tmp_path / "last.safetensors")
    checkpoint.load_module(again, checkpoint.part("model", tensors))
    checkpoint.load_optimizer(optimizer, checkpoint.part("optimizer", tensors))
    train(again, optimizer, 3, start=3)
    assert numbers == {"epoch": 3, "best": None, "spent_s": 1.5}
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


def test_a_fresh_optimizer_has_nothing_to_keep(tmp_path):
    model = network()
    optimizer = BUILDERS["adamw"](model)
    assert checkpoint.optimizer_tensors(optimizer) == {}
    checkpoint.load_optimizer(optimizer, {})
    train(model, optimizer, 1)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "last.safetensors"
    checkpoint.save(path, {"a": torch.ones(2)}, {"epoch": 1})

    def fail(tensors, file, metadata):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("mien.engine.checkpoint.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(path, {"a": torch.zeros(2)}, {"epoch": 2})
    tensors, numbers = checkpoint.load(path)
    assert tensors["a"].tolist() == [1, 1]
    assert numbers == {"epoch": 1}


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "last.safetensors"
    with pytest.raises(BundleError, match="no checkpoint"):
        checkpoint.load(path)
    path.write_bytes(pickle.dumps({"model": 1}))
    with pytest.raises(BundleError, match="no checkpoint"):
        checkpoint.load(path)
    whole = tmp_path / "whole.safetensors"
    checkpoint.save(whole, {"a": torch.ones(100)}, {})
    path.write_bytes(whole.read_bytes()[:-8])
    with pytest.raises(BundleError, match="no checkpoint"):
        checkpoint.load(path)


def test_the_weights_of_another_model_are_refused():
    with pytest.raises(BundleError, match="does not fit"):
        checkpoint.load_module(network(), nn.Linear(2, 2).state_dict())
