"""The published systems: one paper = one file, plain ``nn.Module`` and a frozen configuration each.

``MODELS`` can be read without importing torch. A model's configuration offers ``inputs()`` (what it is fed),
``build(labels)`` (the network) and ``tiny()`` (under one million parameters, for tests).
"""

from collections.abc import Mapping
from types import MappingProxyType

MODELS: Mapping[str, str] = MappingProxyType(
    {
        "frame_ensemble": "mien.models.frame_ensemble:Config",
        "gcsa_av": "mien.models.gcsa_av:Config",
        "keypoint_graph": "mien.models.keypoint_graph:Config",
        "landmarks": "mien.models.landmarks:Config",
        "natten_deim": "mien.models.natten_deim:Config",
        "poster_v2": "mien.models.poster_v2:Config",
        "product_cross": "mien.models.product_cross:Config",
        "product_cross_small": "mien.models.product_cross:SmallConfig",
        "reaction": "mien.models.reaction:Config",
    }
)
