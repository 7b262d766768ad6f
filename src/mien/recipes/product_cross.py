"""Product-Cross: the paper's runs with its own settings, and the small network for a CPU.

Full runs: section 4 of the paper; where it is silent, the settings of the public code it builds on. The best epoch is
chosen on the part that the paper tests on, as that code does; ``DataConfig.halve_valid`` keeps half of it for figures.
"""

from dataclasses import replace

from mien.data.augment import Augment
from mien.data.splits import DataConfig
from mien.engine.optim import Optimizer, Schedule
from mien.engine.run import Run, TrainConfig
from mien.losses.neutral_anchor import NeutralAnchor
from mien.models.product_cross import Config, SmallConfig

SMALL_AUGMENT = Augment(
    flip=0.5,
    scale_ratio=0.08,
    shift_ratio=0.04,
    rotation_deg=10.0,
    brightness=0.1,
    contrast=0.2,
    gamma=0.2,
    erase=0.5,
    erase_area=(0.02, 0.15),
)


def small_ferplus() -> Run:
    """The network that ships: soft votes of FERPlus, 2 CPU cores, 75 minutes."""
    return Run(
        name="product_cross_small_ferplus",
        architecture="product_cross_small",
        model=SmallConfig(colour="grey", source_px=48),
        data=DataConfig(reader="ferplus", train_rule="votes", valid_rule="majority"),
        loss=NeutralAnchor(target="distribution"),
        augment=SMALL_AUGMENT,
        prior="landmarks",
        train=TrainConfig(
            epochs=60,
            batch_size=128,
            optimizer=Optimizer(name="adamw", lr=2e-3, weight_decay=0.05),
            schedule=Schedule(name="cosine", warm_up=0.05),
            clip_norm=5.0,
            ema_decay=0.999,
            sizes=((0.0, 64), (0.85, 112)),
            precision="bf16-mixed",
            channels_last=True,
            time_limit_min=75,
        ),
        seed=1,
    )


def small_synthetic() -> Run:
    """The small network on drawn faces, under two minutes on 2 CPU cores."""
    base = small_ferplus()
    return replace(
        base,
        name="product_cross_small_synthetic",
        model=SmallConfig(size_px=48),
        data=DataConfig(reader="synthetic", limit=2000),
        loss=NeutralAnchor(),
        prior=None,
        train=replace(base.train, epochs=6, sizes=(), time_limit_min=0, ema_decay=0.99),
    )


def small_synthetic_tiny() -> Run:
    """A few seconds, for tests."""
    base = small_synthetic()
    return replace(
        base,
        name="product_cross_small_synthetic_tiny",
        model=SmallConfig.tiny(),
        data=DataConfig(reader="synthetic", limit=64),
        train=replace(base.train, epochs=3, batch_size=16, precision="32-true"),
    )
