"""Reaction and the frame-wise ensemble: the runs of the paper, every row of its tables, and small ones.

Section 4.3 gives the settings of the intensities; weight decay is that of the authors' code, which also falls back to
half of the learning rate every 30 epochs (row ``released_schedule``). For the frames the paper refers to its baseline:
AdamW, five epochs in which the rate rises from a tenth, then a fall whenever macro F1 rises no more; by how much and
after how many epochs is not said (ours: to a tenth, after three), row ``multistep`` falls at two fixed shares of the
run. An ensemble of seeds needs no recipe: ``mien evaluate`` averages bundles. Tables 3 and 5 rank entries of the test
parts; the paper's are those of the full runs.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from mien.data.augment import Augment
from mien.data.splits import DataConfig
from mien.engine.optim import Optimizer, Schedule
from mien.engine.run import Run, TrainConfig
from mien.losses.focal import Focal
from mien.losses.reaction import ReactionLoss
from mien.models import frame_ensemble
from mien.models.reaction import Config

ROWS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "t1_a": {"model.modalities": "a"},
        "t1_v": {"model.modalities": "v"},
        "t1_av": {"model.modalities": "av"},
        "t1_av_inter": {"model.modalities": "av_inter"},
        "t2_ours": {"loss.beta": 0.01},
        "t2_no_class": {"loss.beta": 0.0},
        "t2_no_ema": {"train.ema_decay": 0.0},
        "t2_no_l2": {"train.optimizer.weight_decay": 0.0},
        "no_clip": {"train.clip_norm": 0.0},
        "embed_conv1d": {"model.embed": "conv1d"},
        "mask": {"model.mask": True},
        "standardize": {"model.standardize": True},
        "base_10000": {"model.position_base": 10_000.0},
        "class_normalized": {"loss.class_target": "normalized"},
        "class_argmax": {"loss.class_target": "argmax"},
        "beta_0.1": {"loss.beta": 0.1},
        "beta_1": {"loss.beta": 1.0},
        "released_schedule": {
            "train.schedule.name": "step",
            "train.schedule.gamma": 0.5,
            "train.schedule.every_epochs": 30,
            "train.patience": 10,
            "train.min_delta": 1e-4,
        },
    }
)
"""Rows of Tables 1 and 2, and every other switch."""

DRAWN_ROWS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        **{name: fields for name, fields in ROWS.items() if name != "standardize"},
        "as_they_come": {"model.standardize": False},
    }
)
"""The same where features are scaled from the start."""

FRAME_ROWS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "t4_regnet": {"model.backbones": ("regnety_016",)},
        "t4_irv1_1": {"model.backbones": ("irv1_vggface2",)},
        "t4_irv1_2": {"model.backbones": ("irv1_casia",)},
        "t4_ensemble": {"model.fusion": "ensemble"},
        "concat": {"model.fusion": "concat"},
        "head_only_trans": {"model.head": "only_trans"},
        "head_only_att": {"model.head": "only_att"},
        "head_none": {"model.head": "none"},
        "irv1_160": {"model.irv1_size": 160},
        "l2": {"model.l2": True},
        "train_all": {"model.freeze": "none"},
        "no_smoothing": {"loss.label_smoothing": 0.0},
        "kl_mix": {"loss.kl_mix": 0.2},
        "gamma_1": {"loss.gamma": 1.0},
        "gamma_5": {"loss.gamma": 5.0},
        "cross_entropy": {"loss.alpha": 1.0, "loss.gamma": 0.0, "loss.label_smoothing": 0.0},
        "multistep": {"train.schedule.name": "multistep", "train.schedule.at": (0.6, 0.85)},
    }
)
"""Rows of Table 4, and every other switch."""

OWN = (("sound_features", "features/sound"), ("face_features", "features/face"))
"""Folders of ``mien features``, of encoders trained here."""


def hume_reaction() -> Run:
    """The paper's run on Hume-Reaction; a mean Pearson correlation of 0.4394 there."""
    return Run(
        name="reaction_hume_reaction",
        architecture="reaction",
        model=Config(),
        data=DataConfig(reader="hume_reaction", halve_valid=False, drop_duplicates=False),
        task="regress",
        loss=ReactionLoss(),
        train=TrainConfig(
            epochs=100,
            batch_size=256,
            optimizer=Optimizer(name="adam", lr=1e-4, weight_decay=1e-3),
            clip_norm=0.1,
            ema_decay=0.99,
            cache_mb=8192,
            patience=15,
            monitor="pearson",
        ),
        features=(("sound_features", "DeepSpectrum"), ("face_features", "PosterV2-Vit")),
    )


def synthetic() -> Run:
    """Drawn reactions by features of encoders trained here (256 of the voice, 128 of the face), for two cores.

    What these encoders say of drawn faces varies little around its mean, so features are scaled: as they come, a
    network of the face alone learnt nothing of a smile, which a linear fit to their mean over the clip tells at r 0.68.
    """
    base = hume_reaction()
    return replace(
        base,
        name="reaction_synthetic",
        model=Config(
            sound_width=256,
            face_width=128,
            width=64,
            head_width=32,
            mlp_width=128,
            projection=128,
            standardize=True,
        ),
        data=DataConfig(reader="synthetic_reactions", drop_duplicates=False),
        train=replace(
            base.train, epochs=30, batch_size=64, patience=8, optimizer=replace(base.train.optimizer, lr=5e-4)
        ),
        features=OWN,
    )


def synthetic_tiny() -> Run:
    """A few seconds, for tests: features of any encoder with the widths of the tiny network."""
    base = synthetic()
    return replace(
        base,
        name="reaction_synthetic_tiny",
        model=Config.tiny(),
        data=replace(base.data, limit=28),
        train=replace(
            base.train, epochs=2, batch_size=7, optimizer=Optimizer(name="adam", lr=1e-3), ema_decay=0.0, patience=0
        ),
        random_features=True,
    )


def frames_aff_wild2() -> Run:
    """The paper's frame-wise run on Aff-Wild2; 34.6 % macro F1 there. Public backbones go in by ``weights``."""
    return Run(
        name="frame_ensemble_aff_wild2",
        architecture="frame_ensemble",
        model=frame_ensemble.Config(),
        data=DataConfig(reader="aff_wild2", halve_valid=False, drop_duplicates=False),
        task="classify_frames",
        loss=Focal(),
        augment=Augment(flip=0.5, brightness=0.25, contrast=0.25, saturation=0.25),
        train=TrainConfig(
            epochs=30,
            batch_size=16,
            optimizer=Optimizer(name="adamw", lr=1e-3, weight_decay=5e-5),
            schedule=Schedule(name="plateau", warm_up=5 / 30, warm_up_from=0.1, gamma=0.1, patience_epochs=3),
            precision="16-mixed",
            workers=4,
            monitor="macro_f1",
        ),
        crop="whole",
    )


def frames_tiny() -> Run:
    """A few seconds, for tests on a small tree of the same layout."""
    base = frames_aff_wild2()
    return replace(
        base,
        name="frame_ensemble_aff_wild2_tiny",
        model=replace(frame_ensemble.Config.tiny(), freeze="none"),
        augment=Augment(flip=0.5),
        train=replace(
            base.train,
            epochs=2,
            batch_size=2,
            schedule=Schedule(),
            precision="32-true",
            workers=0,
        ),
    )
