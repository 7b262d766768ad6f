"""Product-Cross, the small network on FERPlus: what makes it better, field by field, and the runs that follow from it.

Rows are compared by ``python -m mien.deploy.sweep product_cross_small_ferplus study_...``, all with the same
``--set train.time_limit_min``; what was measured stands on the model's page.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from mien.data.augment import Augment
from mien.engine.run import Run
from mien.losses.distillation import Distillation
from mien.losses.early_learning import EarlyLearning
from mien.losses.two_views import TwoViews
from mien.recipes import product_cross
from mien.recipes.product_cross import STRONG_AUGMENT, small_ferplus, small_ferplus_on

STUDY: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # what the votes mean
        "study_majority": {"data.train_rule": "majority"},
        "study_argmax": {"data.train_rule": "argmax"},
        "study_argmax_smooth": {"data.train_rule": "argmax", "loss.smoothing": 0.1},
        # pixels
        "study_64": {"train.sizes": ()},
        "study_96": {"model.size_px": 96, "train.sizes": ((0.0, 48), (0.5, 96))},
        "study_112": {"model.size_px": 112, "train.sizes": ((0.0, 48), (0.5, 112))},
        "study_source_any": {"model.source_px": None},
        # place and shape
        "study_still": {"augment.scale_ratio": 0.0, "augment.shift_ratio": 0.0, "augment.rotation_deg": 0.0},
        "study_affine": {"augment.scale_ratio": 0.15, "augment.shift_ratio": 0.08, "augment.rotation_deg": 20.0},
        "study_crops": {"augment.crop_area": (0.6, 1.0)},
        # what is covered or mixed
        "study_no_erase": {"augment.erase": 0.0},
        "study_erase": {"augment.erase": 0.75, "augment.erase_area": (0.02, 0.3)},
        "study_mixup": {"augment.mixup": 0.3, "augment.mix": 0.5},
        "study_cutmix": {"augment.cutmix": 1.0, "augment.mix": 0.5},
        # sharpness, light and colour
        "study_blur": {"augment.blur": 0.3, "augment.noise": 0.3, "augment.jpeg": 0.2},
        "study_low_light": {"augment.low_light": 0.2},
        "study_colour": {"model.colour": "rgb"},
        "study_colour_cast": {"model.colour": "rgb", "augment.colour_cast": 0.4},
        # all that STRONG_AUGMENT has
        "study_strong": {
            "augment.scale_ratio": 0.12,
            "augment.shift_ratio": 0.06,
            "augment.rotation_deg": 15.0,
            "augment.brightness": 0.15,
            "augment.contrast": 0.3,
            "augment.gamma": 0.3,
            "augment.blur": 0.2,
            "augment.noise": 0.2,
            "augment.erase_area": (0.02, 0.2),
            "augment.mixup": 0.3,
            "augment.cutmix": 1.0,
            "augment.mix": 0.5,
        },
        # wrong labels
        "study_early_learning": {"added": (EarlyLearning(weight=1.0),)},
        "study_argmax_early_learning": {"data.train_rule": "argmax", "added": (EarlyLearning(weight=3.0),)},
        # rare classes
        "study_inverse_root": {"train.sampler": "inverse_root"},
        "study_adjusted": {"loss.logit_adjustment": 0.5},
        # the prior: random, moved; without any it is t1_001
        "study_prior_random": {"prior": None},
        "study_prior_moved": {"model.freeze_landmark": False},
        # averages, flat minima, dropout, length
        "study_no_average": {"train.ema_decay": 0.0},
        "study_average_0.9995": {"train.ema_decay": 0.9995},
        "study_sam": {"train.sam_rho": 0.05},
        "study_drop_0.3": {"model.drop": 0.3},
        "study_epochs_20": {"train.epochs": 20, "train.time_limit_min": 0.0},
        "study_epochs_40": {"train.epochs": 40, "train.time_limit_min": 0.0},
        "study_epochs_80": {"train.epochs": 80, "train.time_limit_min": 0.0},
        # a teacher, whose answers --set teacher=FILE names
        "study_taught": {"added": (Distillation(weight=0.7, temperature=2.0),)},
        "study_taught_alone": {"added": (Distillation(weight=1.0, temperature=2.0),)},
    }
)
"""One question a row. The neutral-aware loss is left out by ``loss_none``, a row of the paper's sweeps."""

ROWS: Mapping[str, Mapping[str, Any]] = MappingProxyType({**product_cross.ROWS, **STUDY})
"""The rows of the paper and those of the study."""


def small_ferplus_long() -> Run:
    """The strongest single run for two and a half hours of one core, 35 epochs at 100 pictures a second.

    It goes on from a bundle of :func:`small_ferplus_on`, given by ``init``: that has seen 2.2 million pictures, and 35
    epochs are 0.9 million more; from random weights they would end before where that one began. In 50 to 75 minutes of
    a core nothing was gained by it.
    """
    base = small_ferplus_on()
    return replace(
        base,
        name="product_cross_small_ferplus_long",
        # Photos are JPEG and often dim; what is learnt by heart from 26,642 faces has to be varied most.
        augment=replace(STRONG_AUGMENT, crop_area=(0.8, 1.0), jpeg=0.1, low_light=0.1),
        train=replace(
            base.train,
            # More than fit into the limit on one core, so that a faster machine does more.
            epochs=90,
            # Two thirds of the first run's rate: enough to leave the minimum where those weights lie.
            optimizer=replace(base.train.optimizer, lr=1e-3, weight_decay=0.1),
            # Not two thirds of the cost of 64 pixels through a third of the run, while the rate is high.
            sizes=((0.0, 48), (0.35, 64)),
            # The average of the last five epochs, where the cosine is nearly 0.
            ema_decay=0.999,
            # The cosine ends at the best epoch, and the best of 35 on 1,601 faces would be chance to a good part.
            keep="last",
            time_limit_min=150.0,
        ),
        init="product_cross_small",
    )


def small_ferplus_student() -> Run:
    """As :func:`small_ferplus_long`, taught by the answers of other models, which ``teacher`` names, for an hour.

    The weights that ship are of it: seed 74, after seed 51, taught by those of :func:`small_ferplus_on`.

    Ten votes are a noisy sample of what people see; a mean over several seeds, or the full network, is less so. The
    teacher saw clear faces, the student sees them as users meet them: behind glasses and hands, out of focus, coded
    hard, dim. ``init`` and ``blend`` may name the teachers themselves, whose mean is a better start than any.

    ``teachers`` that look on served better than a file. Faces are cut so that those turned to the side keep their
    mouth, and with all pixels that the input has room for. What is measured, and exported, answers for each face and
    its mirror image; in 8 bits (``deploy/quantise.py``) that takes no longer than one of them did.
    """
    base = small_ferplus_long()
    assert isinstance(base.augment, Augment)
    return replace(
        base,
        name="product_cross_small_ferplus_student",
        model=replace(base.model, crop="face_v2", source_px=None, flip_test=True),
        # The teacher has seen these very faces, so the votes keep a third; 2 shows what it holds for second best.
        added=(Distillation(weight=0.7, temperature=2.0),),
        # Mixing stays: without it the teacher's answers are learnt by heart as labels are.
        augment=replace(
            base.augment,
            rotation_deg=20.0,
            cover=0.15,
            blur=0.25,
            blur_sigma_px=1.3,
            jpeg=0.2,
            jpeg_quality=15,
            low_light_least=0.1,
        ),
        train=replace(
            base.train,
            # A start that is good already is not left again.
            optimizer=replace(base.train.optimizer, lr=2.5e-4),
            sizes=(),
            time_limit_min=65.0,
        ),
    )


def small_ferplus_blend() -> Run:
    """The mean of the weights of several runs from one start, which ``init`` and ``blend`` name; hardly trained.

    Such runs lie in one basin, and their mean is often better than each. One epoch gives it the batch statistics of
    its own, which the mean of theirs is not; at this rate the weights themselves stay where they are.
    """
    base = small_ferplus_student()
    return replace(
        base,
        name="product_cross_small_ferplus_blend",
        train=replace(
            base.train,
            epochs=1,
            optimizer=replace(base.train.optimizer, lr=1e-5, weight_decay=0.0),
            sizes=(),
            time_limit_min=0.0,
        ),
    )


def small_ferplus_pretrain() -> Run:
    """Features of the same faces without their labels, for a run that takes the bundle by ``init``.

    The head stays random, so the accuracy in its journal is chance and the bundle by itself names nothing.
    """
    base = small_ferplus()
    return replace(
        base,
        name="product_cross_small_ferplus_pretrain",
        # Dropout would be a difference between two views that nothing should be learnt from.
        model=replace(base.model, drop=0.0),
        loss=TwoViews(),
        # What the labels do not depend on, and no mixing: two views are of one face.
        augment=replace(STRONG_AUGMENT, mixup=0.0, cutmix=0.0, crop_area=(0.5, 1.0)),
        train=replace(
            base.train,
            # 128 faces twice: covariances of 128 numbers need as many.
            batch_size=256,
            sampler="paired",
            epochs=60,
            # Little more than half of the cost of 64 pixels until the end, which gets used to the final size.
            sizes=((0.0, 48), (0.85, 64)),
            keep="last",
            time_limit_min=60.0,
        ),
    )
