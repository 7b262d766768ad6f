"""POSTER++: its authors' runs, a small network for a CPU, and the runs that make PosterV2-ViT an extractor of features.

Settings of the full runs are those of github.com/Talented-Q/POSTER_V2: Adam, sharpness-aware steps, batches of 144, 200
epochs, a rate that falls by 2 % an epoch. The vision transformer and both together follow J. Li et al., CVPR workshops
2023, who say no more than that they are trained one by one, then jointly: rates and epochs are ours. Public backbones
go in by ``weights``: ``poster.image``, ``poster.landmark``, ``vit``, or ``poster`` for a whole POSTER++. Windows have a
fixed size, so no run changes the side of its input.
"""

from dataclasses import replace

from mien.data.augment import Augment
from mien.data.splits import DataConfig
from mien.engine.optim import Optimizer, Schedule
from mien.engine.run import Run, TrainConfig
from mien.losses.cross_entropy import CrossEntropy
from mien.models.poster_v2 import Config


def raf_db() -> Run:
    """The authors' run on RAF-DB; 92.21 % there."""
    return Run(
        name="poster_v2_raf_db",
        architecture="poster_v2",
        model=Config(),
        data=DataConfig(reader="raf_db", valid_splits=("test",), halve_valid=False),
        loss=CrossEntropy(),
        augment=Augment(flip=0.5, erase=0.5, erase_area=(0.02, 0.1)),
        train=TrainConfig(
            epochs=200,
            batch_size=144,
            optimizer=Optimizer(name="adam", lr=3.5e-5),
            schedule=Schedule(name="exponential", gamma=0.98),
            sam_rho=0.05,
            workers=4,
            cache_mb=16384,
        ),
        prior="landmarks",
    )


def affectnet_7() -> Run:
    """The authors' run on AffectNet with seven classes, rare classes drawn more often; 67.49 % there."""
    base = raf_db()
    return replace(
        base,
        name="poster_v2_affectnet_7",
        data=DataConfig(reader="affectnet", label_set="affectnet_7", halve_valid=False),
        augment=Augment(flip=0.5, erase=1.0, erase_area=(0.05, 0.05)),
        train=replace(
            base.train, optimizer=replace(base.train.optimizer, lr=1e-6), sampler="inverse_frequency", cache_mb=0
        ),
    )


def affectnet_8() -> Run:
    """The same with contempt; 63.77 % there."""
    base = affectnet_7()
    return replace(base, name="poster_v2_affectnet_8", data=replace(base.data, label_set="affectnet_8"))


def ferplus() -> Run:
    """FERPlus, most voted label, tested on PrivateTest."""
    base = raf_db()
    return replace(
        base,
        name="poster_v2_ferplus",
        model=replace(base.model, colour="grey", source_px=48),
        data=DataConfig(
            reader="ferplus", train_rule="argmax", valid_rule="argmax", valid_splits=("test",), halve_valid=False
        ),
    )


def vit_affectnet_7() -> Run:
    """ViT-B/16 alone, the first half of PosterV2-ViT's training; start it from ImageNet weights (``weights``)."""
    base = affectnet_7()
    return replace(
        base,
        name="poster_v2_vit_affectnet_7",
        model=Config(vit="alone"),
        train=replace(
            base.train,
            epochs=20,
            batch_size=64,
            optimizer=Optimizer(name="adamw", lr=1e-5, weight_decay=0.05),
            schedule=Schedule(name="cosine", warm_up=0.05),
            sam_rho=0.0,
        ),
        prior=None,
    )


def joint_affectnet_7() -> Run:
    """POSTER++ and ViT-B/16 side by side; 67.57 % there. Start both parts from their own runs (``weights``)."""
    base = affectnet_7()
    return replace(
        base,
        name="poster_v2_joint_affectnet_7",
        model=Config(vit="joined"),
        train=replace(base.train, epochs=10, batch_size=64, schedule=Schedule(), sam_rho=0.0),
    )


def small_ferplus() -> Run:
    """The small network on the votes of FERPlus, for two cores, an hour."""
    base = ferplus()
    return replace(
        base,
        name="poster_v2_small_ferplus",
        model=replace(Config.small(), colour="grey", source_px=48),
        data=DataConfig(reader="ferplus", train_rule="votes"),
        loss=CrossEntropy(target="distribution"),
        augment=Augment(
            flip=0.5,
            scale_ratio=0.08,
            shift_ratio=0.04,
            rotation_deg=10.0,
            brightness=0.1,
            contrast=0.2,
            gamma=0.2,
            erase=0.5,
            erase_area=(0.02, 0.15),
        ),
        train=TrainConfig(
            epochs=60,
            batch_size=128,
            optimizer=Optimizer(name="adamw", lr=1e-3, weight_decay=0.05),
            schedule=Schedule(name="cosine", warm_up=0.05),
            clip_norm=5.0,
            ema_decay=0.998,
            precision="bf16-mixed",
            channels_last=True,
            time_limit_min=60.0,
        ),
    )


def synthetic_tiny() -> Run:
    """A few seconds, for tests."""
    base = small_ferplus()
    return replace(
        base,
        name="poster_v2_synthetic_tiny",
        model=Config.tiny(),
        data=DataConfig(reader="synthetic", limit=64),
        loss=CrossEntropy(),
        train=replace(
            base.train, epochs=3, batch_size=16, precision="32-true", channels_last=False, time_limit_min=0.0
        ),
        prior=None,
    )
