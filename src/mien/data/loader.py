"""Labelled faces as batches of tensors: read, cut, varied, scaled; the same path for training and evaluation.

A picture is read once and kept while it fits. The augmentation is composed with the crop, so a face is cut out of its
picture in one step. Randomness comes from (seed, epoch, position in the epoch) alone, whatever the number of workers.

Shapes: ``B`` batch, ``S`` side of the network's input, ``C`` classes.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from typing import Any, Protocol, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mien.data.augment import FLIP_68, Augment, augment_batch, augment_crop, augment_input, from_unit, jitter, to_unit
from mien.data.splits import Labelled
from mien.media.crop import cut, face_matrix, transform_points, whole_matrix
from mien.media.image import read_source
from mien.media.tensors import image_batch
from mien.schema.inputs import ImageSpec
from mien.schema.prediction import Face

Batch = dict[str, Tensor]

_BATCH_STREAM = 1
"""Second number of the seed of batch-level draws, so that they never equal a sample's."""


class Pictures:
    """The source pictures of ``items``, kept in memory up to ``cache_mb``.

    Args:
        items: whose pictures.
        cache_mb: how much may be kept.
        grey: give pictures whose three channels are equal as ``uint8 [H, W]``; all others are ``[H, W, 3]`` RGB.
    """

    def __init__(self, items: Sequence[Labelled], cache_mb: int, *, grey: bool = False) -> None:
        self._sources = [item.sample.source for item in items]
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._free = cache_mb * 2**20
        self._grey = grey

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        image = read_source(self._sources[index])
        if self._grey and (image == image[..., :1]).all():
            image = np.ascontiguousarray(image[..., 0])
        if image.nbytes <= self._free:
            self._kept[index] = image
            self._free -= image.nbytes
        return image

    def warm(self, threads: int = 2) -> None:
        """Read what fits, before worker processes copy this one."""
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(self._sources), 4096):
                if self._free <= 0:
                    return
                stop = min(start + 4096, len(self._sources))
                list(pool.map(self.__getitem__, range(start, stop), chunksize=64))


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass: which samples in which order (an index may occur twice), its randomness, and how far the run is.

    ``progress`` is the share of the run that was done when the pass began, in [0, 1].
    """

    order: NDArray[np.int64]
    seed: int = 0
    number: int = 0
    progress: float = 0.0


class Faces(Dataset[Batch]):
    """Faces of one split, ready to be batched by position in the epoch.

    Args:
        items: what to load; ``items[i].distribution`` is the target, ``float32 [C]``.
        faces: for each item where its face is, or ``None`` to take the whole picture.
        spec: the input of the network.
        augment: how to vary the faces; ``None`` for evaluation.
        landmarks: whether the targets are the faces' 68 points instead of labels.
        teacher: what a teacher answers for each item, ``float32 [N, V, C]``: as it is and, with two views, mirrored.
        pictures: a shared cache; made if not given.
        cache_mb: how much of the pictures may stay in memory.

    Attributes:
        looks: the same faces, seen otherwise: further images of each batch by name, mirrored and mixed as its own are.
    """

    def __init__(
        self,
        items: Sequence[Labelled],
        faces: Sequence[Face | None],
        spec: ImageSpec,
        *,
        augment: Augment | None = None,
        landmarks: bool = False,
        teacher: NDArray[np.float32] | None = None,
        pictures: Pictures | None = None,
        cache_mb: int = 2048,
    ) -> None:
        assert len(items) == len(faces), (len(items), len(faces))
        self.items, self.faces, self.spec, self.augment = tuple(items), tuple(faces), spec, augment
        self.landmarks, self.teacher = landmarks, teacher
        self.pictures = pictures or Pictures(items, cache_mb, grey=spec.colour == "grey")
        self.looks: dict[str, Faces] = {}
        self._sizes: dict[int, Faces] = {}
        self._bases: dict[int, NDArray[np.float64]] = {}
        self.distributions = np.stack([item.distribution for item in items]) if items else np.zeros((0, 1), np.float32)
        self.epoch = Epoch(np.arange(len(items)))

    def __len__(self) -> int:
        return len(self.epoch.order)

    def resized(self, size_px: int) -> "Faces":
        """The same faces for an input of another side; pictures are shared, and each size is made once."""
        if size_px == self.spec.size_px:
            return self
        if size_px not in self._sizes:
            spec = replace(self.spec, size_px=size_px)
            self._sizes[size_px] = Faces(
                self.items,
                self.faces,
                spec,
                augment=self.augment,
                landmarks=self.landmarks,
                teacher=self.teacher,
                pictures=self.pictures,
            )
            self._sizes[size_px].looks = self.looks
        return self._sizes[size_px]

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """The samples at these positions of the epoch as one batch."""
        indices = self.epoch.order[np.asarray(positions, np.int64)]
        images, points, flips = self._images(indices, positions, self.epoch)
        images, wanted = self._mixed(images, self._wanted(indices, flips), positions, self.epoch)
        classes = self.distributions.shape[1]
        distributions = wanted[:, :classes]
        batch = {"image": images, "distribution": distributions, "index": indices}
        if self.teacher is not None:
            batch["teacher"] = wanted[:, classes:]
        if self.landmarks:
            batch["landmarks"] = np.stack(points).reshape(len(points), -1)
        for name, look in self.looks.items():
            seen, _, _ = look._images(indices, positions, self.epoch)
            batch[name], _ = look._mixed(seen, wanted, positions, self.epoch)
        batch["label"] = distributions.argmax(1)
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in batch.items()}

    def _images(
        self, indices: NDArray[np.int64], positions: Sequence[int], epoch: Epoch
    ) -> tuple[NDArray[np.float32], tuple[Any, ...], tuple[bool, ...]]:
        """Images, the points of each if they are the target, and which are mirrored."""
        rngs = [_rng(epoch, position) for position in positions] if self.augment else []
        crops, points, flips = zip(*(self._cut(i, rng) for i, rng in zip_longest(indices, rngs)), strict=True)
        images = image_batch(crops, self.spec)
        if self.augment:
            for image, rng in zip(images, rngs, strict=True):
                augment_input(image, self.augment, rng)
        return images, points, flips

    def _mixed(
        self, images: NDArray[np.float32], wanted: NDArray[np.float32], positions: Sequence[int], epoch: Epoch
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Images and targets of a batch, mixed if they are to be."""
        if not self.augment:
            return images, wanted
        return augment_batch(images, wanted, self.augment, _rng(epoch, positions[0], _BATCH_STREAM))

    def _wanted(self, indices: NDArray[np.int64], flips: Sequence[bool]) -> NDArray[np.float32]:
        """Labels and, beside them, what the teacher answers: ``[B, C]`` or ``[B, 2 C]``."""
        distributions = self.distributions[indices]
        if self.teacher is None:
            return distributions
        views = np.minimum(flips, self.teacher.shape[1] - 1)
        return np.concatenate([distributions, self.teacher[indices, views]], axis=1)

    def _cut(
        self, index: int, rng: np.random.Generator | None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None, bool]:
        """The crop, the points in it if they are the target, and whether it is mirrored."""
        image, face, side = self.pictures[index], self.faces[index], self.spec.crop_px
        matrix = self._bases.get(index)
        if matrix is None:
            matrix = (
                face_matrix(face, image.shape, self.spec)
                if face
                else whole_matrix(image.shape[0], image.shape[1], side)
            )
            self._bases[index] = matrix
        flipped = False
        if self.augment and rng is not None:
            unit, flipped = jitter(self.augment, rng)
            change = from_unit(side)[:2] @ unit @ to_unit(side)
            matrix = change[:, :2] @ matrix
            matrix[:, 2] += change[:, 2]
        crop = cut(image, matrix, side)
        placed = None
        if (self.landmarks or (self.augment and self.augment.cover)) and face is not None:
            placed = _placed(face, matrix, flipped)
        if self.augment and rng is not None:
            crop = augment_crop(crop, self.augment, rng, placed)
        points = None
        if self.landmarks:
            assert placed is not None
            points = ((placed + 0.5) / side).astype(np.float32)
        return crop if crop.ndim == 3 else np.asarray(cv2.merge((crop, crop, crop)), np.uint8), points, flipped


def _rng(epoch: Epoch, position: int, stream: int = 0) -> np.random.Generator:
    return np.random.default_rng((epoch.seed, stream, epoch.number, int(position)))


def _placed(face: Face, matrix: NDArray[np.float64], flipped: bool) -> NDArray[np.float64] | None:
    """The landmarks of a face in pixels of its crop, in their order also where it is mirrored; ``None`` without any."""
    if face.landmarks is None:
        return None
    points = transform_points(face.landmarks, matrix)
    return points[FLIP_68] if flipped else points


class Loadable(Protocol):
    """Samples that come in batches by their position in the epoch."""

    def __len__(self) -> int: ...

    def __getitems__(self, positions: Sequence[int], /) -> Batch: ...


def batches(faces: Loadable, batch_size: int, *, workers: int = 0, drop_last: bool = False) -> Iterator[Batch]:
    """The epoch of ``faces`` in batches, prepared ahead by a thread (0 workers) or by that many processes."""
    stop = len(faces) // batch_size * batch_size if drop_last else len(faces)
    positions = [list(range(start, min(start + batch_size, stop))) for start in range(0, stop, batch_size)]
    if workers:
        loader: DataLoader[Any] = DataLoader(
            cast(Dataset[Batch], faces),
            batch_sampler=positions,
            num_workers=workers,
            collate_fn=_unchanged,
            worker_init_fn=_quiet_worker,
            prefetch_factor=4,
        )
        yield from loader
    else:
        yield from _prefetched(faces, positions)


def _prefetched(faces: Loadable, positions: Sequence[Sequence[int]], ahead: int = 4) -> Iterator[Batch]:
    with ThreadPoolExecutor(1) as thread:
        waiting = iter(positions)
        queue: list[Future[Batch]] = [thread.submit(faces.__getitems__, p) for p in islice(waiting, ahead)]
        while queue:
            batch = queue.pop(0).result()
            queue.extend(thread.submit(faces.__getitems__, p) for p in islice(waiting, 1))
            yield batch


def _unchanged(batch: Any) -> Any:
    return batch


def _quiet_worker(worker: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
