"""Public weights in the formats their authors publish, loaded without pickle's code and with an account of the fit.

Known: ``ir50.pth`` of face.evoLVe and the same tensors split as in POSTER++ (for :class:`IRNet`),
``mobilefacenet_model_best.pth.tar`` of pytorch_face_landmark (for :class:`MobileFaceNet`), torchvision's ``resnet18``
and the networks of the same names trained on MS-Celeb-1M (for :class:`ResNet`), its ``r3d_18`` of Kinetics (for
:class:`ResNet3d`), timm's vision transformers, such as ``vit_small_p16_224-15ec54c9.pth`` (for the blocks of
:class:`ProductCross`), and ``PPHGNetV2_B0_stage1.pth``, timm's networks of that name and whole detectors of D-FINE and
DEIM (for :class:`HGNetV2`).
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

from mien.models.layers.hgnet import HGNetV2
from mien.models.layers.ir_net import IRNet
from mien.models.layers.mobilefacenet import MobileFaceNet
from mien.models.layers.resnet import ResNet
from mien.models.layers.resnet3d import ResNet3d
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
        module: an :class:`HGNetV2`, :class:`IRNet`, :class:`MobileFaceNet`, :class:`ResNet`, :class:`ResNet3d` or
            :class:`ProductCross`, or any with a ``table``.
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


def _table_of(module: nn.Module) -> Table:
    match module:
        case HGNetV2():
            return Table(rename=_hgnet_name)
        case IRNet():
            return Table(rename=partial(_ir_name, units=module.units))
        case MobileFaceNet():
            return Table(rename=lambda name: (name,))
        case ResNet() | ResNet3d():
            return Table(rename=lambda name: () if name.startswith("fc.") else (name,))
        case ProductCross():
            return Table(
                rename=partial(_transformer_name, network=module),
                scope=r"blocks\.\d+\.(norm|attn\.(qkv|proj)|mlp)|norm\.|fusion_tokens\.(cls_token|pos_embed)",
            )
    raise ConfigError(
        f"No public format is known for {type(module).__name__}; known: HGNetV2, IRNet, MobileFaceNet, ResNet, "
        "ResNet3d, ProductCross"
    )


def _hgnet_name(name: str) -> tuple[str, ...]:
    """``stages_0`` (timm's feature extractor) to ``stages.0``; classifiers and the rest of a detector are left out."""
    return () if name.startswith(("head.", "encoder.", "decoder.")) else (re.sub(r"^stages_", "stages.", name),)


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
