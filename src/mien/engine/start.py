"""The network a run starts from: new, from a bundle, or from public weights, with its prior and its frozen parts."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mien.data.sequences import Sequences, fit_standard
from mien.engine.run import Run
from mien.models.checkpoints import COUNTER, load_foreign
from mien.runtime.bundle import Bundle, find_bundle
from mien.schema.errors import BundleError, ConfigError
from mien.schema.labels import LabelSet

MIN_FRACTION = 0.5
"""Least share of a network's tensors that a bundle must fill to count as a start."""


def build_model(run: Run, labels: LabelSet) -> nn.Module:
    """The network of ``run`` for ``labels``, on the CPU.

    Raises:
        BundleError: if a bundle or a checkpoint does not fit the network.
        ConfigError: if ``run.freeze`` names nothing, or ``run.train.unfreeze`` what is never trained.
    """
    network: nn.Module = run.model.build(None if run.task == "landmarks" else labels)
    if run.prior:
        _load_prior(network, find_bundle(run.prior))
    for part, path in run.weights:
        if Path(path).is_dir():
            take_part(network, part, find_bundle(path))
        else:
            load_foreign(network.get_submodule(part), Path(path))
    if run.init:
        start_from(network, [find_bundle(name) for name in (run.init, *run.blend)], run)
    for prefix in run.freeze:
        for parameter in _named(network, prefix):
            parameter.requires_grad_(False)
    for prefix, _ in run.train.unfreeze:
        if not any(parameter.requires_grad for parameter in _named(network, prefix)):
            raise ConfigError(
                f"train.unfreeze: nothing of {prefix!r} is ever trained; the model itself keeps it frozen"
            )
    return network


def start_from(network: nn.Module, bundles: Sequence[Bundle], run: Run) -> list[str]:
    """Fill ``network`` with the tensors that fit, the mean over ``bundles``; the names of those that start anew.

    Raises:
        BundleError: if one is another model, is fed otherwise, or fills less than half of the network, or if they do
            not have the same tensors.
    """
    have = network.state_dict()
    found = [_fitting(have, bundle, run) for bundle in bundles]
    for bundle, other in zip(bundles[1:], found[1:], strict=True):
        if differing := sorted(found[0].keys() ^ other.keys()):
            raise BundleError(
                f"{bundle.name} cannot be blended with {bundles[0].name}: only one of them has a tensor that fits for "
                f"{differing[0]!r}"
            )
    network.load_state_dict({name: _mean([tensors[name] for tensors in found]) for name in found[0]}, strict=False)
    return sorted(set(have) - set(found[0]))


def _fitting(have: Mapping[str, Tensor], bundle: Bundle, run: Run) -> dict[str, Tensor]:
    """The tensors of a bundle that stand in a network under the same name, in the same shape."""
    if bundle.model != run.architecture:
        raise BundleError(f"{bundle.name} is a {bundle.model!r}; the run {run.name!r} trains a {run.architecture!r}")
    bundle.check_inputs(run.model.inputs(), cut_otherwise=True)
    fitting = {n: t for n, t in weights_of(bundle).items() if n in have and have[n].shape == t.shape}
    if len(fitting) < MIN_FRACTION * len(have):
        raise BundleError(f"Of {len(have)} tensors of {run.architecture!r} only {len(fitting)} are in {bundle.name}")
    return fitting


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    """The mean of one tensor over several bundles; a counter is the first one's."""
    first = tensors[0]
    return torch.stack(list(tensors)).mean(dim=0) if first.is_floating_point() else first


def take_part(network: nn.Module, part: str, bundle: Bundle) -> None:
    """Fill one part of ``network`` with the tensors that ``bundle`` has under the same name, whatever the rest is.

    Raises:
        BundleError: if the bundle lacks one of the part's tensors, or has it in another shape.
    """
    own = network.get_submodule(part).state_dict()
    given = {n.removeprefix(f"{part}."): t for n, t in weights_of(bundle).items() if n.startswith(f"{part}.")}
    needed = {name: tensor for name, tensor in own.items() if not name.endswith(COUNTER)}
    unfit = [name for name, tensor in needed.items() if name not in given or given[name].shape != tensor.shape]
    if unfit:
        raise BundleError(
            f"{bundle.name} cannot fill {part!r}: {len(unfit)} of its {len(needed)} tensors are not there or have "
            f"another shape, e.g. {part}.{unfit[0]}"
        )
    network.get_submodule(part).load_state_dict({name: given[name] for name in needed}, strict=False)


def weights_of(bundle: Bundle) -> dict[str, Tensor]:
    """The tensors of a bundle, floats in ``float32``."""
    tensors = load_file(bundle.path / "model.safetensors")
    return {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}


def _load_prior(network: nn.Module, bundle: Bundle) -> None:
    load = getattr(network, "load_prior", None)
    if load is None:
        raise ConfigError(f"{type(network).__name__} has no prior to load {bundle.name} into")
    with torch.no_grad():
        load(weights_of(bundle))


def settle(network: nn.Module, inputs: Mapping[str, Tensor]) -> None:
    """Give frozen random parts the batch statistics of some inputs, given by the names of ``forward``'s arguments.

    Without trained statistics the maps of a random prior shrink from layer to layer to a thousandth, and with them all
    that is multiplied by them.
    """
    names: frozenset[str] = getattr(network, "frozen_parameters", frozenset)()
    norms = [
        module
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d) and f"{name}.weight" in names
    ]
    was_training, momenta = network.training, [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        network(**inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(was_training)


def settle_scale(network: nn.Module, data: Sequences) -> None:
    """Give a network that scales its features the mean and deviation of those of training.

    They are rounded as they will be exported, so that the exported network scales as the trained one did; a deviation
    is no smaller than the rounding of its mean.
    """
    if not getattr(network.config, "standardize", False):
        return
    standard, rows = fit_standard(data), {}
    for name, mean in standard.mean.items():
        middle = mean.astype(np.float16).astype(np.float32)
        least = np.maximum(np.abs(middle) * float(np.finfo(np.float16).eps), float(np.finfo(np.float16).tiny))
        std = np.maximum(standard.std[name], least).astype(np.float16).astype(np.float32)
        rows[name] = torch.from_numpy(np.stack([middle - std, middle + std]))
    fit_scale: Any = network.fit_scale
    fit_scale(rows)


def hold_still(network: nn.Module, prefixes: Iterable[str]) -> None:
    """Put frozen parts into evaluation mode, so that their batch statistics and dropout rest too."""
    for name, module in network.named_modules():
        if any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes):
            module.eval()


def thaw(network: nn.Module, starts: Iterable[tuple[str, float]], progress: float) -> None:
    """Let parts learn from their share of the run on; before it they rest, in evaluation mode.

    They stand in the optimizer all the time, which passes by what has no gradient.
    """
    for name, start in starts:
        part, learns = network.get_submodule(name), progress >= start - 1e-9
        part.requires_grad_(learns)
        if not learns:
            part.eval()


def _named(network: nn.Module, prefix: str) -> list[nn.Parameter]:
    """The parameters of a part."""
    named = [p for name, p in network.named_parameters() if name == prefix or name.startswith(f"{prefix}.")]
    if not named:
        parts = ", ".join(name for name, _ in network.named_children())
        raise ConfigError(f"Nothing in the network is called {prefix!r}; its parts: {parts}")
    return named
