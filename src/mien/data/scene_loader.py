"""Marked pictures as batches of tensors: the counterpart of ``data/loader.py`` for models that find faces.

A picture is read once and kept while it fits. Randomness comes from (seed, epoch, position in the epoch) alone,
whatever the number of workers.

Shapes: ``B`` batch, ``S`` side of the network's input, ``N`` most faces of a picture of the batch, at least 1.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mien.data.loader import Batch, Epoch, Pictures
from mien.data.pictures import MarkedPicture
from mien.data.scene_augment import Marked, SceneAugment, vary
from mien.media.picture import boxes_to_unit, picture_tensor
from mien.schema.inputs import PictureSpec

PADDING = -1
"""Class index where a picture has fewer faces than another of its batch."""

_BATCH_STREAM = 1


class _Faces(NamedTuple):
    """The faces of one picture as the network counts them: ``[n, 4]``, ``[n]``, ``[n]``."""

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    weights: NDArray[np.float32]


class Scenes(Dataset[Batch]):
    """Pictures of one part with all their faces, ready to be batched by position in the epoch.

    A batch has ``image``, ``float32 [B, 3, S, S]``; ``boxes``, ``float32 [B, N, 4]``, centre, width and height where 0
    and 1 are the edges of the square; ``box_labels``, ``int64 [B, N]``, -1 where there is no face; ``box_weights``,
    ``float32 [B, N]``, below 1 in blended pictures, 0 where there is no face; and ``index``, ``int64 [B]``.

    Args:
        items: what to load.
        spec: the input of the network.
        augment: how to vary the pictures; ``None`` for evaluation. When which change happens follows from
            ``epoch.progress``.
        pictures: a shared cache; made if not given.
        cache_mb: how much of the pictures may stay in memory.
    """

    def __init__(
        self,
        items: Sequence[MarkedPicture],
        spec: PictureSpec,
        *,
        augment: SceneAugment | None = None,
        pictures: Pictures | None = None,
        cache_mb: int = 2048,
    ) -> None:
        self.items, self.spec, self.augment = tuple(items), spec, augment
        self.pictures = pictures or Pictures([item.faces[0] for item in items], cache_mb)
        self._sizes: dict[int, Scenes] = {}
        self.epoch = Epoch(np.arange(len(items)))

    def __len__(self) -> int:
        return len(self.epoch.order)

    def resized(self, size_px: int) -> "Scenes":
        """The same pictures for an input of another side; they are shared, and each size is made once."""
        if size_px == self.spec.size_px:
            return self
        if size_px not in self._sizes:
            spec = replace(self.spec, size_px=size_px)
            self._sizes[size_px] = Scenes(self.items, spec, augment=self.augment, pictures=self.pictures)
        return self._sizes[size_px]

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """The pictures at these positions of the epoch as one batch."""
        indices = self.epoch.order[np.asarray(positions, np.int64)]
        made = [self._made(index, position) for index, position in zip(indices.tolist(), positions, strict=True)]
        images = np.stack([picture_tensor(marked.image, self.spec) for marked in made])
        faces = [self._faces(marked) for marked in made]
        if self.augment and self.augment.has_blends(self.epoch.progress):
            images, faces = _blended(images, faces, self.augment, self._rng(positions[0], _BATCH_STREAM))
        arrays = {"image": images, **_padded(faces), "index": indices}
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}

    def marked(self, index: int) -> Marked:
        """A picture as it was read, with its boxes in its own pixels."""
        image, item = self.pictures[index], self.items[index]
        return Marked(image, item.boxes(image.shape).astype(np.float64), item.labels)

    def _made(self, index: int, position: int) -> Marked:
        if self.augment is None:
            return self.marked(index)
        rng = self._rng(position)

        def others() -> list[Marked]:
            return [self.marked(int(other)) for other in self.epoch.order[rng.integers(len(self), size=3)]]

        return vary(self.marked(index), others, self.spec, self.augment, self.epoch.progress, rng)

    def _faces(self, marked: Marked) -> _Faces:
        boxes = boxes_to_unit(marked.boxes, marked.image.shape, self.spec)
        return _Faces(boxes, marked.labels, np.ones(len(boxes), np.float32))

    def _rng(self, position: int, stream: int = 0) -> np.random.Generator:
        return np.random.default_rng((self.epoch.seed, stream, self.epoch.number, int(position)))


def _blended(
    images: NDArray[np.float32], faces: Sequence[_Faces], config: SceneAugment, rng: np.random.Generator
) -> tuple[NDArray[np.float32], list[_Faces]]:
    """Each picture blended with the one before it in the batch, the first with the last; faces of both, weighted."""
    if len(images) < 2 or rng.random() >= config.mixup:
        return images, list(faces)
    share = np.float32(rng.uniform(*config.mixup_share))
    both = [
        _Faces(
            np.concatenate([own.boxes, other.boxes]),
            np.concatenate([own.labels, other.labels]),
            np.concatenate([share * own.weights, (1 - share) * other.weights]),
        )
        for own, other in zip(faces, [faces[-1], *faces[:-1]], strict=True)
    ]
    return share * images + (1 - share) * np.roll(images, 1, axis=0), both


def _padded(faces: Sequence[_Faces]) -> dict[str, NDArray[np.generic]]:
    most = max(1, *(len(one.labels) for one in faces))
    boxes = np.zeros((len(faces), most, 4), np.float32)
    labels = np.full((len(faces), most), PADDING, np.int64)
    weights = np.zeros((len(faces), most), np.float32)
    for row, one in enumerate(faces):
        count = len(one.labels)
        boxes[row, :count], labels[row, :count], weights[row, :count] = one
    return {"boxes": boxes, "box_labels": labels, "box_weights": weights}
