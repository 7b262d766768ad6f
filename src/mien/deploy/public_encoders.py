"""Public networks as encoders, filled with the weights that their authors publish.

Their features are those of S. Amiriparian et al. (DeepSpectrum) and of J. Li et al., "Multimodal Feature Extraction and
Fusion for Emotional Reaction Intensity Estimation and Expression Classification in Videos with Transformers", CVPR
workshops 2023: POSTER++ beside a ViT-B/16, and the three backbones of its ensemble. Faces are the square around their
box and a fifth of it on each side.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.media.spectrum_picture import SpectrumSpec
from mien.models.checkpoints import load_foreign
from mien.models.layers.densenet import DenseNet
from mien.models.layers.inception_resnet import InceptionResnetV1
from mien.models.layers.regnet import RegNetY
from mien.models.poster_v2 import Config, PosterV2
from mien.models.session import find_device
from mien.predict.encode import Encoder
from mien.predict.senses import Ear, Eye, SpectrumEar
from mien.schema.errors import ConfigError
from mien.schema.inputs import ImageSpec
from mien.schema.labels import BASIC_7

MARGIN_RATIO = 0.2
RANDOM = "random"
SEED = 0
LEAST_FRACTION = 0.98
"""A network that is filled with less than this share of its tensors is not the published one."""

FACENET = ImageSpec(size_px=160, mean=(0.5, 0.5, 0.5), std=(128 / 255, 128 / 255, 128 / 255))
"""(255 x - 127.5) / 128, the scale of the FaceNet family."""

BATCH = 16

Network = TypeVar("Network", bound=nn.Module)
Run = Callable[[Tensor], Tensor]


def deepspectrum(weights: Sequence[Path], device: str) -> Encoder:
    """DenseNet121 of ImageNet on coloured pictures of sound: 1024 numbers. One file, as torchvision has it.

    Args:
        weights: the file; none takes random weights.
        device: as torch names it.

    Raises:
        ConfigError: if there are more files, or there is no such device.
        BundleError: if the file does not fit.
    """
    network = _filled(DenseNet, weights, "deepspectrum")
    return _encoder("deepspectrum", network, weights, SpectrumEar(spec=SpectrumSpec()), network.width, device)


def irv1_vggface2(weights: Sequence[Path], device: str) -> Encoder:
    """Inception-ResNet-v1 of VGGFace2: 512 numbers, before they are brought to length 1. As :func:`deepspectrum`."""
    return _irv1("irv1_vggface2", weights, device)


def irv1_casia(weights: Sequence[Path], device: str) -> Encoder:
    """Inception-ResNet-v1 of CASIA-WebFace: 512 numbers. As :func:`deepspectrum`."""
    return _irv1("irv1_casia", weights, device)


def regnety_016(weights: Sequence[Path], device: str) -> Encoder:
    """RegNetY-1.6GF of ImageNet: 888 numbers. One file, as torchvision has it; as :func:`deepspectrum`."""
    network = _filled(RegNetY, weights, "regnety_016")
    eye = Eye(spec=ImageSpec(size_px=224), margin_ratio=MARGIN_RATIO)
    return _encoder("regnety_016", network, weights, eye, network.width, device)


def poster_vit(weights: Sequence[Path], device: str, config: Config | None = None) -> Encoder:
    """The class tokens of POSTER++ and ViT-B/16 side by side: 1536 numbers. Two files, in this order.

    Args:
        weights: of POSTER++, as its authors publish it, and of timm's ``vit_base_patch16_224`` or one with its names;
            none takes random weights.
        device: as torch names it.
        config: sizes; by default the published ones.

    Raises:
        ConfigError: if there are not two files, or there is no such device.
        BundleError: if a file does not fit.
    """
    config = config or Config(vit="joined")
    _check_count("poster_vit", weights, ("POSTER++", "ViT-B/16"))
    network: PosterV2 = _seeded(lambda: config.build(BASIC_7))
    if weights:
        assert network.poster is not None and network.vit is not None
        load_foreign(network.poster, weights[0], min_fraction=LEAST_FRACTION)
        load_foreign(network.vit, weights[1], min_fraction=LEAST_FRACTION)
    eye = Eye(spec=config.inputs()["image"], margin_ratio=MARGIN_RATIO)
    return _encoder("poster_vit", network, weights, eye, config.feature_width, device, forward=network.forward_feature)


def _irv1(name: str, weights: Sequence[Path], device: str) -> Encoder:
    network = _filled(InceptionResnetV1, weights, name)
    return _encoder(name, network, weights, Eye(spec=FACENET, margin_ratio=MARGIN_RATIO), network.width, device)


def _filled(make: Callable[[], Network], weights: Sequence[Path], name: str) -> Network:
    _check_count(name, weights, ("one file",))
    network = _seeded(make)
    if weights:
        load_foreign(network, weights[0], min_fraction=LEAST_FRACTION)
    return network


def _check_count(name: str, weights: Sequence[Path], wanted: tuple[str, ...]) -> None:
    if weights and len(weights) != len(wanted):
        files = (
            "one file of weights" if len(wanted) == 1 else f"the weights of {' and of '.join(wanted)}, in this order"
        )
        raise ConfigError(f"{name} takes {files}; given: {len(weights)} files")


def _seeded(make: Callable[[], Network]) -> Network:
    """Random weights, the same ones every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return make()


def _encoder(
    name: str,
    network: nn.Module,
    weights: Sequence[Path],
    sense: Eye | Ear,
    width: int,
    device: str,
    forward: Run | None = None,
) -> Encoder:
    place = find_device(device)
    network.eval().to(place)
    call: Run = forward or network

    def run(tensors: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            said: NDArray[np.float32] = call(torch.from_numpy(tensors).to(place)).float().cpu().numpy()
        return said

    return Encoder(
        name=name,
        weights=_identity(weights),
        modality="face" if isinstance(sense, Eye) else "sound",
        width=width,
        sense=sense,
        run=run,
        batch_size=BATCH,
    )


def _identity(weights: Sequence[Path]) -> str:
    """sha256 of a file; of several that of their digests; ``random`` of none."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in weights]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest() if digests else RANDOM
