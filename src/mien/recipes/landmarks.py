"""Landmarks by distillation: the points that a face mesh reads off training faces are the targets.

The network sees what the systems built on it feed it: the aligned crop, normalised with the ImageNet statistics.
"""

from dataclasses import replace

from mien.data.augment import Augment
from mien.data.splits import DataConfig
from mien.engine.optim import Optimizer, Schedule
from mien.engine.run import Run, TrainConfig
from mien.losses.landmarks import Wing
from mien.models.landmarks import Config

AUGMENT = Augment(
    flip=0.5,
    scale_ratio=0.08,
    shift_ratio=0.04,
    rotation_deg=10.0,
    brightness=0.15,
    contrast=0.25,
    gamma=0.3,
    blur=0.15,
    blur_sigma_px=0.8,
    noise=0.2,
    noise_levels=8.0,
    jpeg=0.1,
    erase=0.3,
    erase_area=(0.02, 0.1),
)


def ferplus() -> Run:
    """MobileFaceNet on the FER2013 training faces, for 2 CPU cores in 40 minutes."""
    return Run(
        name="landmarks_ferplus",
        architecture="landmarks",
        model=Config(size_px=112, colour="grey", source_px=48),
        data=DataConfig(reader="ferplus", train_rule="votes", valid_rule="votes"),
        task="landmarks",
        loss=Wing(),
        augment=AUGMENT,
        train=TrainConfig(
            epochs=40,
            batch_size=128,
            optimizer=Optimizer(name="adamw", lr=2e-3, weight_decay=1e-4),
            schedule=Schedule(name="cosine", warm_up=0.03),
            clip_norm=5.0,
            ema_decay=0.998,
            sizes=((0.0, 64), (0.7, 112)),
            precision="bf16-mixed",
            channels_last=True,
            monitor="nme",
            monitor_mode="min",
            time_limit_min=38.0,
        ),
        seed=1,
    )


def synthetic() -> Run:
    """The same network on drawn faces with true points, at 48 pixels."""
    base = ferplus()
    return replace(
        base,
        name="landmarks_synthetic",
        model=Config(size_px=48, width=16, depths=(1, 2, 1), head_width=128),
        data=DataConfig(reader="synthetic", limit=2000),
        train=replace(base.train, epochs=12, sizes=(), time_limit_min=0.0, ema_decay=0.99),
    )


def synthetic_tiny() -> Run:
    """A few seconds, for tests."""
    base = synthetic()
    return replace(
        base,
        name="landmarks_synthetic_tiny",
        model=Config.tiny(),
        data=DataConfig(reader="synthetic", limit=64),
        train=replace(base.train, epochs=3, batch_size=16, precision="32-true"),
    )
