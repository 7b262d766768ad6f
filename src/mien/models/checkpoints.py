"""Public weights in the formats their authors publish, loaded without pickle's code and with an account of the fit.

Known: ``ir50.pth`` of face.evoLVe and the same tensors split as in POSTER++ (for :class:`IRNet`),
``mobilefacenet_model_best.pth.tar`` of pytorch_face_landmark (for :class:`MobileFaceNet`), torchvision's ``resnet18``
and the networks of the same names trained on MS-Celeb-1M (for :class:`ResNet`), its ``r3d_18`` of Kinetics (for
:class:`ResNet3d`), its ``regnet_y_1_6gf`` (for :class:`RegNetY`) and ``densenet121``, also with the names of its old
file (for :class:`DenseNet`), timm's vision transformers, such as ``vit_small_p16_224-15ec54c9.pth`` (for the blocks of
:class:`ProductCross`) and ``vit_base_patch16_224`` (for :class:`VisionTransformer`), ``PPHGNetV2_B0_stage1.pth``,
timm's networks of that name and whole detectors of D-FINE and DEIM (for :class:`HGNetV2`), facenet-pytorch's
``20180402-114759-vggface2.pt`` and ``20180408-102900-casia-webface.pt`` (for :class:`InceptionResnetV1`), and whole
classifiers of POSTER++ (for :class:`PosterV2` and its :class:`PosterTrunk`).
"""

import logging
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mien.models.layers.densenet import DenseNet
from mien.models.layers.hgnet import HGNetV2
from mien.models.layers.inception_resnet import InceptionResnetV1
from mien.models.layers.ir_net import IRNet
from mien.models.layers.mobilefacenet import MobileFaceNet
from mien.models.layers.regnet import RegNetY
from mien.models.layers.resnet import ResNet
from mien.models.layers.resnet3d import ResNet3d
from mien.models.layers.vit import VisionTransformer
from mien.models.poster_v2 import PosterTrunk, PosterV2
from mien.models.product_cross import ProductCross
from mien.schema.errors import BundleError, ConfigError

WRAPPERS = ("state_dict", "model", "model_state_dict", "ema", "module")
PREFIXES = ("module.", "backbone.", "ir_back.", "face_landback.")
COUNTER = "num_batches_tracked"

Rename = Callable[[str], tuple[str, ...]]
"""A published name to ours; no name for what is left out on purpose."""

_UNREADABLE = (AttributeError, EOFError, LookupError, OSError, RuntimeError, SafetensorError, TypeError, ValueError)
"""What reading a file that is no checkpoint may end in."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """How published names become the names of a module.

    Attributes:
        rename: of one tensor.
        scope: pattern of the module's own names that the format can fill.
    """

    rename: Rename
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was loaded.

    Attributes:
        source: the file.
        matched: the module's tensors that were filled.
        missing: tensors in scope that were not.
        unexpected: published tensors that the module has no place for.
        misshapen: published tensors whose place has another shape.
        left_out: published tensors that are left out on purpose.
    """

    source: Path
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def fraction(self) -> float:
        """Share of the tensors in scope that were filled."""
        return len(self.matched) / max(1, len(self.matched) + len(self.missing))

    def __str__(self) -> str:
        return (
            f"{self.source.name}: {len(self.matched)} tensors matched, {len(self.missing)} missing, "
            f"{len(self.unexpected)} unexpected, {len(self.misshapen)} of another shape, {len(self.left_out)} left out"
        )


def load_foreign(module: nn.Module, path: Path, *, table: Table | None = None, min_fraction: float = 0.5) -> Report:
    """Fill a module with published weights; what does not fit stays as it is, and is reported.

    Args:
        module: of a class that this file's first lines name, or any with a ``table``.
        path: ``.safetensors``, or a file of ``torch.save`` that holds nothing but tensors and plain values.
        table: how names change; by default that of the module's class.
        min_fraction: least share of the tensors in scope that must be filled.

    Raises:
        BundleError: if the file cannot be read safely or too little of it fits; the module is then unchanged.
        ConfigError: if no format is known for the module.
    """
    table = table or _table_of(module)
    plan, report = _compare(module, read_tensors(path), table, path)
    if report.fraction < min_fraction:
        raise BundleError(
            f"{path} does not fit {type(module).__name__}: {report.fraction:.0%} of its tensors were found, at least "
            f"{min_fraction:.0%} are needed. {report}. First missing: {', '.join(report.missing[:3])}; first "
            f"unexpected: {', '.join(report.unexpected[:3]) or 'none'}"
        )
    module.load_state_dict(plan, strict=False)
    _LOG.log(logging.WARNING if report.missing or report.misshapen else logging.INFO, "%s", report)
    return report


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by published name, without wrappers and prefixes.

    Raises:
        BundleError: if it cannot be read, or holds anything that only unpickling code could build.
    """
    try:
        if path.suffix == ".safetensors":
            return _stripped(load_file(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise BundleError(f"{path} cannot be read as a checkpoint: {error}") from error
    except pickle.UnpicklingError as error:
        raise BundleError(
            f"{path} holds more than tensors, or is no checkpoint, and is not loaded: unpickling could run any code. "
            "Save its state dict alone, best as .safetensors."
        ) from error
    return _stripped(_unwrapped(loaded))


def _unwrapped(loaded: Any) -> Mapping[str, Any]:
    while isinstance(loaded, Mapping):
        inner = next((loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            return loaded
        loaded = inner
    raise BundleError(f"The checkpoint is a {type(loaded).__name__}, not a table of tensors")


def _stripped(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    found = {}
    for name, tensor in tensors.items():
        if isinstance(tensor, Tensor):
            while prefix := next((p for p in PREFIXES if name.startswith(p)), None):
                name = name.removeprefix(prefix)
            found[name] = tensor
    return found


def _compare(
    module: nn.Module, given: Mapping[str, Tensor], table: Table, path: Path
) -> tuple[dict[str, Tensor], Report]:
    own = module.state_dict()
    plan: dict[str, Tensor] = {}
    unexpected, misshapen, left_out = [], [], []
    for name, tensor in given.items():
        targets = table.rename(name)
        if not targets:
            left_out.append(name)
        for target in targets:
            if target not in own:
                unexpected.append(name)
            elif own[target].shape != tensor.shape:
                misshapen.append(name)
            else:
                plan[target] = tensor
    scope = re.compile(table.scope)
    wanted = [name for name in own if scope.match(name) and not name.endswith(COUNTER)]
    return plan, Report(
        source=path,
        matched=tuple(name for name in wanted if name in plan),
        missing=tuple(name for name in wanted if name not in plan),
        unexpected=tuple(dict.fromkeys(unexpected)),
        misshapen=tuple(dict.fromkeys(misshapen)),
        left_out=tuple(left_out),
    )


_AS_PUBLISHED: tuple[tuple[type[nn.Module], tuple[str, ...]], ...] = (
    (InceptionResnetV1, ("logits.",)),
    (MobileFaceNet, ()),
    (RegNetY, ("fc.",)),
    (ResNet, ("fc.",)),
    (ResNet3d, ("fc.",)),
    (VisionTransformer, ("head.", "pre_logits.")),
)
"""Networks whose names are the published ones, and the beginnings of those that are left out: classifiers."""


def _table_of(module: nn.Module) -> Table:
    for kind, left_out in _AS_PUBLISHED:
        if isinstance(module, kind):
            return Table(rename=partial(_unless, beginnings=left_out))
    match module:
        case DenseNet():
            return Table(rename=_densenet_name)
        case HGNetV2():
            return Table(rename=_hgnet_name)
        case IRNet():
            return Table(rename=partial(_ir_name, units=module.units))
        case PosterTrunk():
            return Table(rename=partial(_poster_name, units=module.image.units))
        case PosterV2():
            scope = r"poster\.|gate\.|head\." if module.vit is None else r"poster\."
            return Table(rename=partial(_poster_classifier_name, network=module), scope=scope)
        case ProductCross():
            return Table(
                rename=partial(_transformer_name, network=module),
                scope=r"blocks\.\d+\.(norm|attn\.(qkv|proj)|mlp)|norm\.|fusion_tokens\.(cls_token|pos_embed)",
            )
    known = (DenseNet, HGNetV2, IRNet, PosterTrunk, PosterV2, ProductCross, *(kind for kind, _ in _AS_PUBLISHED))
    raise ConfigError(
        f"No public format is known for {type(module).__name__}; known: {', '.join(kind.__name__ for kind in known)}"
    )


def _unless(name: str, beginnings: tuple[str, ...]) -> tuple[str, ...]:
    return () if name.startswith(beginnings) else (name,)


def _hgnet_name(name: str) -> tuple[str, ...]:
    """``stages_0`` (timm's feature extractor) to ``stages.0``; classifiers and the rest of a detector are left out."""
    return () if name.startswith(("head.", "encoder.", "decoder.")) else (re.sub(r"^stages_", "stages.", name),)


def _densenet_name(name: str) -> tuple[str, ...]:
    """``norm.1`` (torchvision's old file) to ``norm1``; the classifier is left out."""
    if name.startswith("classifier."):
        return ()
    return (re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name),)


def _ir_name(name: str, units: tuple[int, int, int]) -> tuple[str, ...]:
    """``body1.0`` (POSTER++) to ``body.0``; the fourth stage and the 512-d output are left out."""
    match = re.fullmatch(r"body([1-4]?)\.(\d+)\.(.+)", name)
    if match is None:
        return () if name.startswith("output_layer.") else (name,)
    stage, unit, rest = match.groups()
    number = int(unit) + sum(units[: int(stage or 1) - 1])
    return (f"body.{number}.{rest}",) if number < sum(units) else ()


def _transformer_name(name: str, network: ProductCross) -> tuple[str, ...]:
    """timm to ours; patch embedding, classifier and blocks beyond the depth are left out."""
    if name in ("cls_token", "pos_embed"):
        return (f"fusion_tokens.{name}",) if f"fusion_tokens.{name}" in network.state_dict() else ()
    block = re.match(r"blocks\.(\d+)\.", name)
    if name.startswith(("patch_embed.", "head.", "pre_logits.")) or (block and int(block[1]) >= len(network.blocks)):
        return ()
    if ".norm1." in name and network.config.cross:
        return name, name.replace(".norm1.", ".norm_q.")
    return (name,)


_POSTER: tuple[tuple[str, str | None], ...] = (
    (r"VIT\.(patch_embed|eca_block|CON1|IRLinear\d|se_block|head|blocks\.\d+\.conv)\.", None),
    (r"output_layer\.\d|attn\d\.relative_position_index", None),
    (r"VIT\.", "transformer."),
    (r"(?=conv1\.(conv|bn|prelu)\.|conv2_dw\.|conv_|output_layer\.)", "landmark."),
    (r"(?=input_layer\.)", "image."),
    (r"embed_q\.", "embed.0."),
    (r"embed_k\.0\.", "embed.1."),
    (r"embed_v\.proj\.", "embed.2."),
    *((rf"window{level}\.", f"levels.{level - 1}.") for level in (1, 2, 3)),
    *((rf"{part}{level}\.", f"levels.{level - 1}.{part}.") for part in ("conv", "attn", "ffn") for level in (1, 2, 3)),
)
"""Beginnings of names in POSTER++ and ours, ``None`` for what nothing reads; the first that fits counts.

The prefixes of both its backbones are gone already; what they have in common is not.
"""


def _poster_name(name: str, units: tuple[int, int, int]) -> tuple[str, ...]:
    """``attn1.qkv`` to ``levels.0.attn.qkv``, ``body1.0`` to ``image.body.0``; what nothing reads is left out."""
    if name.startswith("body"):
        return tuple(f"image.{found}" for found in _ir_name(name, units))
    for beginning, ours in _POSTER:
        if re.match(beginning, name):
            return () if ours is None else (re.sub(beginning, ours, name, count=1),)
    return (name,)


def _poster_classifier_name(name: str, network: PosterV2) -> tuple[str, ...]:
    """As :func:`_poster_name`, with the gate and the classifier, unless a vision transformer shares the latter."""
    for theirs, ours in (("VIT.se_block.", "gate."), ("VIT.head.linear.", "head.")):
        if network.vit is None and name.startswith(theirs):
            return (name.replace(theirs, ours),)
    units = (0, 0, 0) if network.poster is None else network.poster.image.units
    return tuple(f"poster.{found}" for found in _poster_name(name, units))
