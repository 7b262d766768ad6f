"""Moments of clips and utterances as batches of tensors, for networks that look and listen around a moment.

Randomness comes from (seed, epoch, position in the epoch) alone, whatever the number of workers.

Shapes: ``B`` batch, ``M`` moments, ``C`` classes.
"""

import copy
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mien.data.augment import Augment
from mien.data.loader import Batch, Epoch
from mien.data.moment_faces import Known
from mien.data.moment_features import FaceFeatures
from mien.data.moment_input import MomentInput
from mien.data.moment_plan import drawn, plan
from mien.data.splits import Labelled
from mien.schema.inputs import ClipSpec, FeatureSpec, InputSpec, SoundSpec
from mien.schema.labels import LabelSet


class Moments(Dataset[Batch]):
    """Moments of one split, ready to be batched by position in the epoch.

    Args:
        items: the samples; ``items[i].distribution`` is the target of one that is judged as a whole, ``float32 [C]``.
        known: where the faces of each are.
        inputs: of the network: any of ``clip`` or features of a face, ``sound``, ``has_sound`` and ``has_face``.
        labels: the classes.
        faces: what tells the features, of a network that takes them.
        augment: how to vary the moments, which are then drawn at random; ``None`` for evaluation, on a grid.
        whole: take pictures as they are; else faces are aligned by our crop.
        cache_mb: how much of pictures and sounds may stay in memory.

    Raises:
        MediaError: if in evaluation a sound or a video cannot be read.
    """

    def __init__(
        self,
        items: Sequence[Labelled],
        known: Sequence[Known],
        inputs: Mapping[str, InputSpec],
        labels: LabelSet,
        *,
        faces: FaceFeatures | None = None,
        augment: Augment | None = None,
        whole: bool = False,
        cache_mb: float = 2048,
    ) -> None:
        assert len(items) == len(known), (len(items), len(known))
        self.items, self.known = tuple(items), tuple(known)
        self.make = MomentInput(inputs, faces=faces, augment=augment, whole=whole, cache_mb=cache_mb)
        self.plan = plan(
            [item.sample for item in items],
            labels,
            self.make.span,
            seconds=self.make.seconds,
            training=augment is not None,
            seen=self.make.frames,
        )
        indices = np.array([item.index for item in items], np.int64)
        self.labels: NDArray[np.int64] = np.where(
            self.plan.label >= 0, self.plan.label, indices[self.plan.owner] if items else -1
        )
        self._each = np.eye(len(labels), dtype=np.float32)
        self.epoch = Epoch(np.arange(len(self.plan)))

    @property
    def spec(self) -> ClipSpec | FeatureSpec | SoundSpec:
        """How the network wants frames, or features of them, or, if it does not look, the sound."""
        return self.make.spec

    @property
    def unit(self) -> NDArray[np.int64]:
        """Number of what is judged by each moment, ``int64 [M]``, from 0: several moments of an utterance share one."""
        return self.plan.unit

    def __len__(self) -> int:
        return len(self.epoch.order)

    def resized(self, size_px: int) -> "Moments":
        """The same moments for frames of another side."""
        made = copy.copy(self)
        made.make = self.make.resized(size_px)
        return self if made.make is self.make else made

    def warm(self, threads: int = 2) -> None:
        """Read what sounds fit, before worker processes copy this one."""
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda item: self.make.warm(item.sample), self.items, chunksize=16))

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """The moments at these positions of the epoch as one batch; ``index`` is the number of the sample."""
        chosen = self.epoch.order[np.asarray(positions, np.int64)]
        made = [self._one(int(moment), int(position)) for moment, position in zip(chosen, positions, strict=True)]
        owners = self.plan.owner[chosen]
        arrays: dict[str, NDArray[Any]] = {name: np.stack([one[name] for one in made]) for name in self.make.inputs}
        distribution = np.stack([self._target(int(moment)) for moment in chosen])
        arrays |= {"distribution": distribution, "label": self.labels[chosen], "index": owners}
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}

    def _one(self, moment: int, position: int) -> dict[str, NDArray[np.float32]]:
        owner, second = int(self.plan.owner[moment]), float(self.plan.second[moment])
        sample = self.items[owner].sample
        rng = None
        if self.make.augment is not None:
            rng = np.random.default_rng((self.epoch.seed, 0, self.epoch.number, position))
        if np.isnan(second):
            assert rng is not None
            second = drawn(self.make.span(sample), self.make.seconds, rng)
        return self.make(sample, self.known[owner], second, rng)

    def _target(self, moment: int) -> NDArray[np.float32]:
        label = int(self.plan.label[moment])
        target: NDArray[np.float32] = self._each[label]
        return target if label >= 0 else self.items[self.plan.owner[moment]].distribution
