"""Keypoint-Graph: the paper's runs on four datasets with its own settings, and the network on drawn clips.

Full runs follow section 4.2 of the paper and, where it is silent, the public code of Former-DFER whose protocol it
takes over: a clip is two frames from each of eight segments, one random crop and mirroring for all of them. Faces are
aligned by our crop; ``crop=whole`` takes frames as the dataset's authors aligned them. The trunk of the paper starts
from public weights, which are the user's to give: ``--set.weights trunk resnet18-f37072fd.pth``.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from mien.data.augment import Augment
from mien.data.splits import DataConfig
from mien.engine.optim import Optimizer, Schedule
from mien.engine.run import Run, TrainConfig
from mien.losses.clip_auxiliary import ClipAuxiliary
from mien.models.keypoint_graph import Config

ROWS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "t9_a": {"model.graph": False, "model.temporal": "mean"},
        "t9_b": {"model.graph": True, "model.temporal": "mean"},
        "t9_c": {"model.graph": True, "model.temporal": "lstm"},
        "t9_d": {"model.graph": False, "model.temporal": "transformer"},
        "t9_e": {"model.graph": True, "model.temporal": "transformer"},
        "t10_mean": {"model.fusion": "mean"},
        "t10_lstm": {"model.fusion": "lstm"},
        "t10_region": {"model.fusion": "region"},
        "t11_6": {"model.heads": 6},
        "t11_8": {"model.heads": 8},
        "t11_10": {"model.heads": 10},
        "t11_12": {"model.heads": 12},
        "t12_2": {"model.depth": 2},
        "t12_3": {"model.depth": 3},
        "t12_4": {"model.depth": 4},
        "t12_5": {"model.depth": 5},
        "t12_6": {"model.depth": 6},
        "fig8_0.0": {"loss.share": 0.0},
        "fig8_0.1": {"loss.share": 0.1},
        "fig8_0.2": {"loss.share": 0.2},
        "fig8_0.3": {"loss.share": 0.3},
        "fig8_0.4": {"loss.share": 0.4},
        "fig8_0.5": {"loss.share": 0.5},
        "no_triplet": {"model.triplet": False},
        "no_cheeks": {"model.cheeks": False},
        "gate_source": {"model.gate_axis": "source"},
        "gate_literal": {"model.gate_scale": "none"},
        "gate_identity": {"model.gate_init": "identity"},
        "heat_sum": {"model.heat_norm": "sum"},
        "enlarge_none": {"model.enlarge": "none"},
        "enlarge_two": {"model.enlarge": "layer3+4"},
        "plain_pixels": {"model.normalize": False},
        "balanced": {"train.sampler": "inverse_frequency"},
        "adjusted": {"loss.logit_adjustment": 1.0},
    }
)
"""Rows of Tables 9 to 12 and of Figure 8, the switches that the paper leaves open, and two balances of the classes.

The paper draws clips as they come and never answers disgust on DFEW; ``balanced`` draws rare classes more often,
``adjusted`` learns with the class frequencies added to the logits.
"""

FOLDS: Mapping[str, Mapping[str, Any]] = MappingProxyType({f"fold_{k}": {"data.fold": k} for k in range(1, 6)})
"""The five official folds of DFEW (Table 3) and MAFW (Table 7)."""

FOLDED_ROWS: Mapping[str, Mapping[str, Any]] = MappingProxyType({**FOLDS, **ROWS})

FERV39K_ROWS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "t6_dl11k": {"data.groups": ("dl11k",)},
        "t6_wis9k": {"data.groups": ("wis9k",)},
        "t6_sia10k": {"data.groups": ("sia10k",)},
        "t6_ai9k": {"data.groups": ("ai9k",)},
        "t6_social": {"data.groups": ("social",)},
        "t6_conflict": {"data.groups": ("conflict",)},
        "t6_argue": {"data.groups": ("argue",)},
        "t6_action": {"data.groups": ("action",)},
        "t6_art": {"data.groups": ("art",)},
        **ROWS,
    }
)
"""Beside ``ROWS`` the subsets of Table 6: four groups of scenes, named so in ``scenes.csv``, and five single scenes."""


def dfew() -> Run:
    """The paper's run on the first fold of DFEW; 68.73 % WAR and 55.85 % UAR over the five folds there."""
    return Run(
        name="keypoint_graph_dfew",
        architecture="keypoint_graph",
        model=Config(),
        data=DataConfig(reader="dfew", fold=1, halve_valid=False, drop_duplicates=False),
        loss=ClipAuxiliary(share=0.2),
        augment=Augment(flip=0.5, crop_area=(0.5, 1.0)),
        train=TrainConfig(
            epochs=80,
            batch_size=64,
            optimizer=Optimizer(name="adam", lr=1e-3, betas=(0.9, 0.99)),
            schedule=Schedule(name="multistep", gamma=0.1, at=(0.5, 0.75)),
            workers=4,
        ),
    )


def ferv39k() -> Run:
    """The paper's run on FERV39k; 47.80 % WAR and 35.16 % UAR there."""
    base = dfew()
    data = replace(base.data, reader="ferv39k", fold=None, valid_splits=("test",))
    return replace(base, name="keypoint_graph_ferv39k", data=data)


def mafw() -> Run:
    """The paper's run on the first fold of MAFW, eleven classes; 47.44 % WAR and 33.39 % UAR over the folds there."""
    base = dfew()
    return replace(base, name="keypoint_graph_mafw", data=replace(base.data, reader="mafw"))


def afew() -> Run:
    """The paper's run on AFEW, from a network trained on the first fold of DFEW; 55.00 % WAR, 50.14 % UAR there.

    That network is the user's to give: ``--init runs/keypoint_graph_dfew/<run>/bundle``.
    """
    base = dfew()
    return replace(
        base,
        name="keypoint_graph_afew",
        data=replace(base.data, reader="afew", label_set="dfew", fold=None),
        train=replace(base.train, epochs=20, optimizer=replace(base.train.optimizer, lr=1e-4)),
    )


def synthetic() -> Run:
    """The network of the paper on drawn clips at 48 pixels, which it has to understand in time, on a CPU.

    The gates of the graph start open: from random weights all of them may be closed, for good (see the model's page).
    """
    base = dfew()
    return replace(
        base,
        name="keypoint_graph_synthetic",
        model=replace(base.model, size_px=48, gate_init="identity"),
        data=DataConfig(reader="synthetic_clips", halve_valid=False, drop_duplicates=False),
        augment=Augment(flip=0.5, crop_area=(0.7, 1.0)),
        train=TrainConfig(
            epochs=10,
            batch_size=32,
            optimizer=Optimizer(name="adamw", lr=3e-4, weight_decay=0.02),
            schedule=Schedule(name="cosine", warm_up=0.05),
            clip_norm=5.0,
            precision="bf16-mixed",
        ),
    )


def synthetic_stills() -> Run:
    """The trunk alone on drawn faces, one at a time: where the runs on drawn clips start from.

    ``--set.weights trunk RUN/bundle``, as the paper starts from a trunk trained on faces.
    """
    base = synthetic()
    return replace(
        base,
        name="keypoint_graph_synthetic_stills",
        model=replace(base.model, segments=1, per_segment=1, stride=1, graph=False, temporal="mean"),
        data=replace(base.data, reader="synthetic_stills"),
        train=replace(
            base.train,
            epochs=8,
            batch_size=128,
            optimizer=Optimizer(name="adamw", lr=1e-3, weight_decay=0.05),
        ),
    )


def synthetic_tiny() -> Run:
    """A few seconds, for tests."""
    base = synthetic()
    return replace(
        base,
        name="keypoint_graph_synthetic_tiny",
        model=Config.tiny(),
        data=replace(base.data, limit=28),
        augment=Augment(flip=0.5),
        train=replace(
            base.train, epochs=2, batch_size=7, optimizer=Optimizer(name="adamw", lr=1e-3), precision="32-true"
        ),
    )
