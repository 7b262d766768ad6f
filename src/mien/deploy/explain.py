"""What a network looks at: class activation maps, attention, heat maps, and their pictures.

Maps are ``float32 [B, h, w]`` in [0, 1] on the network's own grid; :func:`overlay` enlarges them to a face. They show
what moves an answer of the network, not why, and not what a person feels.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import isqrt
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.schema.errors import ConfigError
from mien.schema.tables import unknown_name

Maps = NDArray[np.float32]

ALPHA = 0.4


def grad_cam(network: nn.Module, image: Tensor, *, layer: str | None = None, classes: Tensor | None = None) -> Maps:
    """Class activation maps: channels weighted by the mean gradient of a logit, summed, negative values cut.

    R. Selvaraju et al., "Grad-CAM", ICCV 2017. Of tokens the first, the class token, is dropped.

    Args:
        network: with ``logits`` among its outputs and a table ``cam_layers``; used in evaluation mode.
        image: ``float32 [B, 3, S, S]`` as the network is fed.
        layer: name in ``cam_layers``; by default its first.
        classes: ``int64 [B]``, the class explained for each image; by default the predicted one.

    Returns:
        ``float32 [B, h, w]``, each from 0 to 1; all 0 where nothing speaks for the class.

    Raises:
        ConfigError: if there is no such layer, or the logits do not depend on it.
    """
    module, end = _place(network, layer)
    with _evaluating(network), torch.enable_grad(), _captured(module, end) as caught:
        logits = _once(network)(image).logits
        chosen = logits.argmax(1) if classes is None else classes
        (gradient,) = torch.autograd.grad(logits.gather(1, chosen[:, None]).sum(), caught, allow_unused=True)
    if gradient is None or not gradient.any():
        raise ConfigError(f"The logits do not depend on the layer {layer!r}; choose one that they pass through")
    activation, gradient = _as_maps(caught[0].detach().float()), _as_maps(gradient.float())
    weights = gradient.mean((2, 3), keepdim=True)
    return stretched((weights * activation).sum(1).relu().cpu().numpy(), from_zero=True)


def attention_maps(network: Any, image: Tensor) -> NDArray[np.float32]:
    """Where the class token looks, block by block: ``float32 [B, L, h, w]``, each from 0 to 1.

    Args:
        network: with a method ``class_attention``.
        image: ``float32 [B, 3, S, S]`` as the network is fed.
    """
    with _evaluating(network), torch.no_grad():
        found: Tensor = network.class_attention(image)
    return stretched(found.float().cpu().numpy())


def heat_maps(network: nn.Module, image: Tensor) -> Maps:
    """The factor by which landmarks weigh the image, each from 0 to 1.

    Args:
        network: with ``heatmap`` among its outputs.
        image: ``float32 [B, 3, S, S]`` as the network is fed.
    """
    with _evaluating(network), torch.no_grad():
        found = _once(network)(image).heatmap[:, 0].float().cpu().numpy()
    return stretched(found)


def stretched(maps: NDArray[np.float32], *, from_zero: bool = False) -> NDArray[np.float32]:
    """Each map brought to [0, 1] by its own minimum (or by 0) and maximum; constant maps become 0."""
    low = np.zeros(1, maps.dtype) if from_zero else maps.min((-2, -1), keepdims=True)
    span = maps.max((-2, -1), keepdims=True) - low
    found: NDArray[np.float32] = np.divide(maps - low, span, out=np.zeros_like(maps), where=span > 0)
    return found


def overlay(face: NDArray[np.uint8], heat: NDArray[np.float32], *, alpha: float = ALPHA) -> NDArray[np.uint8]:
    """A face with a map laid over it in colours from blue (0) to red (1).

    Args:
        face: ``uint8 [H, W, 3]`` RGB, not normalised.
        heat: ``float32 [h, w]`` in [0, 1]; enlarged bilinearly.
        alpha: weight of the colours.
    """
    height, width = face.shape[:2]
    large = cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR)
    bgr = cv2.applyColorMap(np.rint(large.clip(0, 1) * 255).astype(np.uint8), cv2.COLORMAP_JET)
    return np.asarray(cv2.addWeighted(bgr[:, :, ::-1].copy(), alpha, face, 1 - alpha, 0), np.uint8)


def _place(network: Any, layer: str | None) -> tuple[nn.Module, Literal["input", "output"]]:
    layers: dict[str, tuple[str, Literal["input", "output"]]] = network.cam_layers
    name = layer or next(iter(layers))
    if name not in layers:
        raise ConfigError(unknown_name(name, layers, "layer"))
    path, end = layers[name]
    return network.get_submodule(path), end


@contextmanager
def _captured(module: nn.Module, end: Literal["input", "output"]) -> Iterator[list[Tensor]]:
    """Make what enters or leaves a module a leaf of the graph, and list it."""
    caught: list[Tensor] = []

    def leaf(tensor: Tensor) -> Tensor:
        caught.append(tensor.detach().requires_grad_())
        return caught[-1]

    if end == "input":
        handle = module.register_forward_pre_hook(lambda _, given: (leaf(given[0]), *given[1:]))
    else:
        handle = module.register_forward_hook(lambda _, given, out: leaf(out))
    try:
        yield caught
    finally:
        handle.remove()


def _once(network: nn.Module) -> Any:
    """The network without its look at the mirror image, of which a map of the face says nothing."""
    return getattr(network, "forward_once", network)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def _as_maps(x: Tensor) -> Tensor:
    """Channels first; tokens ``[B, 1 + h*w, D]`` lose the class token and become a square."""
    if x.ndim == 4:
        return x
    side = isqrt(x.shape[1] - 1)
    assert side * side == x.shape[1] - 1, "tokens of a square map"
    square: Tensor = x[:, 1:].transpose(1, 2).unflatten(2, (side, side))
    return square
