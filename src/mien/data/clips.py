"""Labelled clips as batches of tensors: the counterpart of ``data/loader.py`` for models that see frames and landmarks.

Randomness comes from (seed, epoch, position in the epoch) alone, whatever the number of workers. One clip has one
augmentation: all its frames and landmarks are moved, mirrored, lit and erased alike.

Shapes: ``B`` batch, ``N`` frames, ``S`` side of the network's input, ``C`` classes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from mien.data.augment import Augment, augment_batch
from mien.data.clip_input import ClipInput
from mien.data.loader import Batch, Epoch
from mien.data.prepare_clips import ClipFaces
from mien.data.splits import Labelled
from mien.schema.errors import DatasetError
from mien.schema.inputs import ClipSpec, InputSpec
from mien.schema.sample import Clip, FrameFolder, RenderedClip

_BATCH_STREAM = 1


class Clips(Dataset[Batch]):
    """Clips of one split, ready to be batched by position in the epoch.

    Args:
        items: what to load; ``items[i].distribution`` is the target, ``float32 [C]``.
        faces: where the face is in each frame of each clip.
        inputs: of the network: ``clip``, and ``landmarks`` if it takes them.
        augment: how to vary the clips; ``None`` for evaluation, which takes the middle frames of each segment.
        whole: take the frames as they are, as datasets of aligned frames come; else faces are aligned by our crop.

    Raises:
        DatasetError: if a clip has no frame.
    """

    def __init__(
        self,
        items: Sequence[Labelled],
        faces: Sequence[ClipFaces],
        inputs: Mapping[str, InputSpec],
        *,
        augment: Augment | None = None,
        whole: bool = False,
    ) -> None:
        assert len(items) == len(faces), (len(items), len(faces))
        if empty := [item.sample.key for item, known in zip(items, faces, strict=True) if not len(known)]:
            raise DatasetError(f"{len(empty)} clips have no frame, e.g. {empty[0]}; leave them out.")
        self.items, self.faces = tuple(items), tuple(faces)
        self.make = ClipInput(inputs, augment=augment, whole=whole)
        self.distributions = np.stack([item.distribution for item in items]) if items else np.zeros((0, 1), np.float32)
        self.epoch = Epoch(np.arange(len(items)))

    @property
    def spec(self) -> ClipSpec:
        """How the network wants the frames."""
        return self.make.spec

    def __len__(self) -> int:
        return len(self.epoch.order)

    def resized(self, size_px: int) -> "Clips":
        """The same clips for an input of another side."""
        if size_px == self.spec.size_px:
            return self
        make = self.make.resized(size_px)
        return Clips(self.items, self.faces, make.inputs, augment=make.augment, whole=make.whole)

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """The clips at these positions of the epoch as one batch."""
        indices = self.epoch.order[np.asarray(positions, np.int64)]
        made = []
        for i, position in zip(indices.tolist(), positions, strict=True):
            source = self.items[i].sample.source
            assert isinstance(source, FrameFolder | Clip | RenderedClip), source
            made.append(self.make(source, self.faces[i], self._rng(position) if self.make.augment else None))
        batch = {name: np.stack([one[name] for one in made]) for name in self.make.inputs}
        batch["distribution"] = self.distributions[indices]
        if self.make.augment:
            rng = self._rng(positions[0], _BATCH_STREAM)
            batch["clip"], batch["distribution"] = augment_batch(
                batch["clip"], batch["distribution"], self.make.augment, rng
            )
        arrays = {**batch, "index": indices, "label": batch["distribution"].argmax(1)}
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}

    def _rng(self, position: int, stream: int = 0) -> np.random.Generator:
        return np.random.default_rng((self.epoch.seed, stream, self.epoch.number, int(position)))
