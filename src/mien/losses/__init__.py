"""Training losses: one published loss = one file.

A loss is a frozen configuration; ``build(labels)`` gives a function ``(outputs, targets) -> {"loss": ..., parts}``,
where ``outputs`` is the model's named tuple and ``targets`` a dictionary of tensors. Parts are detached.
"""

from collections.abc import Mapping
from types import MappingProxyType

LOSSES: Mapping[str, str] = MappingProxyType(
    {
        "clip_auxiliary": "mien.losses.clip_auxiliary:ClipAuxiliary",
        "coarse_fine": "mien.losses.coarse_fine:CoarseFine",
        "cross_entropy": "mien.losses.cross_entropy:CrossEntropy",
        "detection": "mien.losses.detection:Detection",
        "distillation": "mien.losses.distillation:Distillation",
        "early_learning": "mien.losses.early_learning:EarlyLearning",
        "focal": "mien.losses.focal:Focal",
        "neutral_anchor": "mien.losses.neutral_anchor:NeutralAnchor",
        "reaction": "mien.losses.reaction:ReactionLoss",
        "smooth_l1": "mien.losses.landmarks:SmoothL1",
        "two_views": "mien.losses.two_views:TwoViews",
        "wing": "mien.losses.landmarks:Wing",
    }
)
