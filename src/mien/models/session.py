"""The torch form of a session: a bundle's network on any device that torch has."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien.models import MODELS
from mien.runtime.bundle import Bundle
from mien.runtime.session import Arrays, Precision, check_arrays
from mien.schema.errors import BundleError, ConfigError
from mien.schema.tables import look_up


class TorchSession:
    """Arrays in by name, arrays out by name.

    Args:
        bundle: read and verified.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, …
        precision: ``bf16`` computes in bfloat16 where that is safe.

    Raises:
        ConfigError: if torch has no such device here.
        BundleError: if the weights do not fit the network that the bundle describes.
    """

    def __init__(self, bundle: Bundle, *, device: str = "cpu", precision: Precision = "fp32") -> None:
        self._device = find_device(device)
        self._half = precision == "bf16"
        self._specs = bundle.inputs
        self._network = build_network(bundle).to(self._device).to(memory_format=torch.channels_last)
        self.inputs = tuple(bundle.inputs)
        self.outputs = self._output_names()

    def __call__(self, **arrays: NDArray[Any]) -> Arrays:
        check_arrays(arrays, self.inputs, self._specs)
        return {name: tensor.float().cpu().numpy() for name, tensor in self._run(arrays).items()}

    def _run(self, arrays: Arrays) -> dict[str, torch.Tensor]:
        tensors = {name: self._moved(array) for name, array in arrays.items()}
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            outputs = self._network(**tensors)._asdict()
        return {name: tensor for name, tensor in outputs.items() if tensor is not None}

    def _moved(self, array: NDArray[Any]) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array)).to(self._device)
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor

    def _output_names(self) -> tuple[str, ...]:
        return tuple(self._run({name: np.zeros((1, *spec.shape), np.float32) for name, spec in self._specs.items()}))


def build_network(bundle: Bundle) -> torch.nn.Module:
    """The network of a bundle with its weights in ``float32``, in evaluation mode, on the CPU.

    Raises:
        BundleError: if the weights do not fit the network that the bundle describes.
        ConfigError: if the bundle's model is unknown here.
    """
    make = look_up(MODELS, bundle.model, "model")
    try:
        network: torch.nn.Module = make(**bundle.model_config).build(bundle.labels)
        weights = {name: torch.from_numpy(array) for name, array in bundle.weights().items()}
        network.load_state_dict({n: t.float() if t.is_floating_point() else t for n, t in weights.items()})
    except (TypeError, RuntimeError) as error:
        raise BundleError(
            f"The weights of {bundle.name} do not fit the network {bundle.model!r} of this version: {error}"
        ) from error
    return network.eval()


def find_device(name: str) -> torch.device:
    """A device that torch has here.

    Raises:
        ConfigError: if it has no such device.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"torch has no device {name!r} here ({str(error).splitlines()[0]}); cpu always works"
        ) from error
    return device
