"""Natten-Deim: the paper's runs on RAF-DB as classifier and as detector, their ablations, and runs on FERPlus.

The paper names an optimizer, a batch and when the learning rate falls, and no number of epochs; it prints average
precision of boxes and says neither which pictures nor which boxes it used. So the classifier follows its section on
training, and the detector the public recipe of DEIM (S. Huang et al., CVPR 2025), on whole pictures or, in the row
``aligned``, on aligned ones with the whole frame as the box. RAF-DB has no validation part: a tenth of its training
part is held back and chooses the epoch; the test part is for ``mien evaluate --split test``.

Public weights of the trunk are the user's to give: ``--set.weights trunk PPHGNetV2_B0_stage1.pth``. A classifier and a
detector of equal widths share their parts, so ``--set.weights trunk RUN/bundle scales RUN/bundle fuse RUN/bundle
attention RUN/bundle`` starts a detector from a classifier.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from mien.data.augment import Augment
from mien.data.scene_augment import SceneAugment
from mien.data.splits import DataConfig
from mien.engine.optim import Optimizer, Schedule
from mien.engine.run import Run, TrainConfig
from mien.losses.cross_entropy import CrossEntropy
from mien.losses.detection import Detection
from mien.models.natten_deim import Config

THAW = (("landmark", 0.6),)
"""The text freezes the landmark network "initially"; here for 0.6 of the run, when the learning rate falls."""

_SHARED: Mapping[str, Mapping[str, Any]] = {
    "lpb_off": {"model.lpb": False, "train.unfreeze": ()},
    "lpb_frozen": {"model.freeze_landmark": True, "train.unfreeze": ()},
    "lpb_late": {"model.freeze_landmark": False, "train.unfreeze": THAW},
    "lpb_trainable": {"model.freeze_landmark": False, "train.unfreeze": ()},
    "dfpm_off": {"model.dfpm": "off", "train.unfreeze": ()},
    "dfpm_add": {"model.dfpm": "add"},
    "dfpm_concat": {"model.dfpm": "concat"},
    "no_channel_gate": {"model.channel_gate": False},
    "no_spatial_gate": {"model.spatial_gate": False},
    "gates_fixed": {"model.gate_start": 1.0, "model.gate_learnt": False},
    "gate_per_channel": {"model.gate_scale": "per_channel"},
    "dw_separable": {"model.dw_separable": True},
    "natten_off": {"model.natten": "off"},
    "natten_global": {"model.natten": "global"},
    "kernel_3": {"model.kernels": (3, 3, 3)},
    "kernel_5": {"model.kernels": (5, 5, 5)},
    "kernel_7": {"model.kernels": (7, 7, 7)},
    "rpb": {"model.rpb": True},
    "depth_2": {"model.depth": 2},
    "reduce_first": {"model.reduce_first": True},
    "refine_off": {"model.refine": False},
    "mha_off": {"model.mha": False},
    "mha_ffn": {"model.mha_ffn": True},
    "mha_sincos": {"model.mha_pos": "sincos2d"},
    "heads_1": {"model.heads": 1},
    "heads_2": {"model.heads": 2},
    "heads_4": {"model.heads": 4},
    "heads_8": {"model.heads": 8},
    "ebb_b1": {"model.ebb": "b1"},
    "ebb_b2": {"model.ebb": "b2"},
    "ebb_b4": {"model.ebb": "b4"},
}

ROWS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        **_SHARED,
        "scale_8": {"model.scales": (8,)},
        "scale_16": {"model.scales": (16,)},
        "scale_32": {"model.scales": (32,)},
    }
)
"""Ablations of a classifier: the paper prints none, these are its parts one by one."""

BOX_ROWS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "baseline": {"model.neck": "hybrid", "train.unfreeze": ()},
        **_SHARED,
        "vfl": {"loss.classification": "vfl"},
        "union_of_matches": {"loss.union_of_matches": True},
        "no_mosaic": {"augment.mosaic": 0.0},
        "no_mixup": {"augment.mixup": 0.0},
        "no_mosaic_no_mixup": {"augment.mosaic": 0.0, "augment.mixup": 0.0},
        "denoising": {"model.num_denoising": 100},
        "dense": {"model.cross_attn": "dense"},
        "queries_100": {"model.queries": 100},
    }
)
"""Ablations of a detector; ``baseline`` is the row DEIM of Table 1, that network's own neck on the bare trunk."""

RAF_DB_ROWS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"all_of_train": {"data.valid_splits": ("test",)}, **ROWS}
)
"""Beside ``ROWS`` the run after a search on held-back faces: all of the training part, the epoch chosen on test."""

RAF_DB_BOX_ROWS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"aligned": {"data.reader": "raf_db", "model.size_px": 224}, **BOX_ROWS}
)
"""Beside ``BOX_ROWS`` aligned pictures with the whole frame as the box: average precision then only ranks classes."""

FACE_AUGMENT = Augment(
    flip=0.5,
    scale_ratio=0.1,
    shift_ratio=0.05,
    rotation_deg=12.0,
    brightness=0.12,
    contrast=0.25,
    gamma=0.25,
    blur=0.1,
    noise=0.1,
    erase=0.5,
    erase_area=(0.02, 0.15),
)

SCENE_AUGMENT = SceneAugment(
    zoom_out=0.3, zoom_out_most=2.0, iou_crop=0.5, mosaic_scale=(0.7, 1.5), grey=0.2, min_side_px=8.0
)
"""For pictures whose smallest faces are hard to read already: they shrink less than DEIM shrinks its own."""


def raf_db() -> Run:
    """The paper's training of the classifier: SGD, which here has Nesterov's momentum; 200 epochs are our choice."""
    return Run(
        name="natten_deim_raf_db",
        architecture="natten_deim",
        model=Config(freeze_landmark=False),
        data=DataConfig(reader="raf_db", valid_ratio=0.1, halve_valid=False),
        loss=CrossEntropy(),
        augment=Augment(flip=0.5, brightness=0.2, contrast=0.2, saturation=0.2, erase=0.5, erase_area=(0.02, 0.1)),
        train=TrainConfig(
            epochs=200,
            batch_size=256,
            optimizer=Optimizer(name="sgd", lr=1e-3, weight_decay=1e-4, momentum=0.9),
            schedule=Schedule(name="multistep", gamma=0.1, at=(0.6, 0.8)),
            unfreeze=THAW,
            workers=8,
            cache_mb=8192,
        ),
        prior="landmarks",
    )


def raf_db_boxes() -> Run:
    """The detector on RAF-DB's whole pictures by DEIM's recipe; 85.28 % mean average precision in the paper.

    That recipe counts in steps and epochs of its own: 2000 steps of warm-up, 4 epochs before and half of 132 with
    mosaics and blends, the last 12 unvaried. Here they are the same shares of the run. Its moving average counts fully
    after some thousand steps, as here, by another formula.
    """
    return Run(
        name="natten_deim_raf_db_boxes",
        architecture="natten_deim",
        model=Config(head="det", freeze_landmark=False),
        data=DataConfig(reader="raf_db_original", valid_ratio=0.1, halve_valid=False),
        task="detect",
        loss=Detection(),
        augment=SceneAugment(varied_until=0.91),
        train=TrainConfig(
            epochs=132,
            batch_size=32,
            optimizer=Optimizer(name="adamw", lr=4e-4, weight_decay=1e-4, lr_ratios=(("trunk", 0.5),)),
            schedule=Schedule(name="flat_cosine", warm_up=0.044, warm_up_power=2.0, flat_until=0.5, floor=0.5),
            clip_norm=0.1,
            ema_decay=0.9999,
            unfreeze=THAW,
            precision="bf16-mixed",
            channels_last=True,
            workers=8,
            cache_mb=16384,
            monitor="map50",
        ),
        crop="whole",
        prior="landmarks",
    )


def ferplus() -> Run:
    """The classifier on the votes of FERPlus, in grey: where a trunk without public weights learns faces, on a GPU."""
    return Run(
        name="natten_deim_ferplus",
        architecture="natten_deim",
        model=Config(colour="grey", source_px=48),
        data=DataConfig(reader="ferplus", train_rule="votes"),
        loss=CrossEntropy(target="distribution"),
        augment=replace(FACE_AUGMENT, mixup=0.3, cutmix=1.0, mix=0.5),
        train=TrainConfig(
            epochs=80,
            batch_size=128,
            optimizer=Optimizer(name="adamw", lr=1e-3, weight_decay=0.05),
            schedule=Schedule(name="cosine", warm_up=0.05),
            clip_norm=5.0,
            ema_decay=0.999,
            sizes=((0.0, 112), (0.6, 224)),
            precision="bf16-mixed",
            channels_last=True,
            workers=8,
        ),
        seed=1,
        prior="landmarks",
    )


def ferplus_scenes() -> Run:
    """The detector on scenes of FERPlus faces, from 320 to 640 pixels, on a GPU; start it from :func:`ferplus`."""
    base = raf_db_boxes()
    return replace(
        base,
        name="natten_deim_ferplus_scenes",
        model=Config(head="det"),
        data=DataConfig(reader="ferplus_scenes"),
        augment=SCENE_AUGMENT,
        train=replace(
            base.train,
            epochs=72,
            schedule=replace(base.train.schedule, floor=0.05),
            ema_decay=0.9995,
            sizes=((0.0, 320), (0.7, 640)),
            unfreeze=(),
            cache_mb=4096,
        ),
        seed=1,
    )


def small_ferplus() -> Run:
    """The trunk and the scales of the small detector learn faces first: votes of FERPlus, 2 CPU cores, 40 minutes.

    The faces have 48 pixels: 64 are enough for the landmark network, which at 112 takes more time than all else.
    """
    base, small = ferplus(), Config.small()
    model = replace(base.model, size_px=96, prior_px=64, reduce_first=small.reduce_first, width=small.width)
    return replace(
        base,
        name="natten_deim_small_ferplus",
        model=model,
        augment=FACE_AUGMENT,
        train=replace(
            base.train,
            optimizer=Optimizer(name="adamw", lr=1.5e-3, weight_decay=0.05),
            ema_decay=0.998,
            sizes=((0.0, 64), (0.6, 96)),
            workers=0,
            time_limit_min=40.0,
        ),
    )


def small_ferplus_scenes() -> Run:
    """The small detector on scenes of FERPlus faces, 2 CPU cores, 110 minutes; start it from :func:`small_ferplus`."""
    base = ferplus_scenes()
    return replace(
        base,
        name="natten_deim_small_ferplus_scenes",
        model=Config.small(),
        train=replace(
            base.train,
            batch_size=16,
            optimizer=replace(base.train.optimizer, lr=6e-4),
            ema_decay=0.998,
            sizes=((0.0, 192), (0.6, 256)),
            workers=0,
            cache_mb=2048,
            time_limit_min=110.0,
        ),
    )


def synthetic_tiny() -> Run:
    """The classifier on drawn faces in a few seconds, for tests."""
    return Run(
        name="natten_deim_synthetic_tiny",
        architecture="natten_deim",
        model=Config.tiny(),
        data=DataConfig(reader="synthetic", limit=64),
        loss=CrossEntropy(),
        augment=Augment(flip=0.5),
        train=TrainConfig(epochs=2, batch_size=16, optimizer=Optimizer(name="adamw", lr=1e-3)),
    )


def scenes_tiny() -> Run:
    """The detector on drawn pictures in a few seconds, for tests."""
    base = raf_db_boxes()
    return replace(
        base,
        name="natten_deim_scenes_tiny",
        model=replace(Config.tiny_detector(), width=32),
        data=DataConfig(reader="synthetic_scenes", limit=40),
        augment=replace(SCENE_AUGMENT, min_side_px=2.0),
        train=TrainConfig(
            epochs=2,
            batch_size=4,
            optimizer=Optimizer(name="adamw", lr=1e-3, weight_decay=1e-4),
            clip_norm=1.0,
            monitor="map50",
        ),
        prior=None,
    )
