"""Labelled clips as batches of tensors: frames chosen, faces cut, varied alike in all frames, scaled.

The counterpart of ``data/loader.py`` for models that see frames and landmarks. Randomness comes from (seed, epoch,
position in the epoch) alone, whatever the number of workers. One clip has one augmentation: all its frames and
landmarks are moved, mirrored, lit and erased alike.

Shapes: ``B`` batch, ``N`` frames, ``S`` side of the network's input, ``C`` classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mien.data.augment import FLIP_68, Augment, augment_batch, augment_crop, augment_input, from_unit, jitter, to_unit
from mien.data.loader import Batch, Epoch
from mien.data.prepare_clips import ClipFaces
from mien.data.splits import Labelled
from mien.media.clip import clip_indices, nearest_present
from mien.media.clip_source import read_frames
from mien.media.crop import cut, face_matrix, transform_points, whole_matrix
from mien.media.tensors import clip_tensor, landmark_tensor
from mien.schema.errors import DatasetError
from mien.schema.inputs import ClipSpec, InputSpec, LandmarkSpec
from mien.schema.prediction import Face
from mien.schema.sample import Clip, FrameFolder, RenderedClip

_BATCH_STREAM = 1

Points = NDArray[np.float32]


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
        spec, landmarks = inputs["clip"], inputs.get("landmarks")
        assert isinstance(spec, ClipSpec), spec
        assert landmarks is None or isinstance(landmarks, LandmarkSpec), landmarks
        self.items, self.faces, self.augment, self.whole = tuple(items), tuple(faces), augment, whole
        self.inputs, self.spec, self.landmarks = dict(inputs), spec, landmarks
        self.distributions = np.stack([item.distribution for item in items]) if items else np.zeros((0, 1), np.float32)
        self.epoch = Epoch(np.arange(len(items)))

    def __len__(self) -> int:
        return len(self.epoch.order)

    def resized(self, size_px: int) -> "Clips":
        """The same clips for an input of another side."""
        if size_px == self.spec.size_px:
            return self
        inputs = {name: replace(spec, size_px=size_px) for name, spec in self.inputs.items()}
        return Clips(self.items, self.faces, inputs, augment=self.augment, whole=self.whole)

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """The clips at these positions of the epoch as one batch."""
        indices = self.epoch.order[np.asarray(positions, np.int64)]
        given = [self._one(int(i), position) for i, position in zip(indices, positions, strict=True)]
        clips, distributions = np.stack([clip for clip, _ in given]), self.distributions[indices]
        if self.augment:
            batch_rng = self._rng(positions[0], _BATCH_STREAM)
            clips, distributions = augment_batch(clips, distributions, self.augment, batch_rng)
        batch = {"clip": clips, "distribution": distributions, "index": indices, "label": distributions.argmax(1)}
        if self.landmarks:
            batch["landmarks"] = np.stack([points for _, points in given])
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in batch.items()}

    def frames_of(self, index: int, rng: np.random.Generator | None = None) -> NDArray[np.int64]:
        """Numbers of the frames that a clip is represented by, ``int64 [N]``."""
        return clip_indices(len(self.faces[index]), self.spec.segments, self.spec.per_segment, rng)

    def _one(self, index: int, position: int) -> tuple[NDArray[np.float32], Points]:
        rng = self._rng(position) if self.augment else None
        numbers = self.frames_of(index, rng).tolist()
        source = self.items[index].sample.source
        assert isinstance(source, FrameFolder | Clip | RenderedClip), source
        images = read_frames(source, numbers)
        change, flipped = jitter(self.augment, rng) if self.augment and rng is not None else (None, False)
        look = int(rng.integers(2**63)) if rng is not None else 0
        crops: list[NDArray[np.uint8] | None] = []
        points: list[Points | None] = []
        for number, image in zip(numbers, images, strict=True):
            crop, mark = self._cut(image, self._face(index, number), change, flipped)
            if self.augment and crop is not None:
                crop = augment_crop(crop, self.augment, np.random.default_rng(look))
            crops.append(crop)
            points.append(mark)
        clip = clip_tensor(crops, self.spec)
        if self.augment:
            for frame in clip:
                augment_input(frame, self.augment, np.random.default_rng((look, 1)))
        marks = landmark_tensor(points, self.landmarks) if self.landmarks else np.empty(0, np.float32)
        return clip, marks

    def _face(self, index: int, number: int) -> Face | None:
        """The face in a frame, or, where none was found, in the nearest frame with one; ``None`` if there is none."""
        known = self.faces[index]
        if (face := known.face(number)) is not None:
            return face
        present = [known.face(i) is not None for i in range(len(known))]
        return known.face(int(nearest_present(present)[number])) if any(present) else None

    def _cut(
        self, image: NDArray[np.uint8], face: Face | None, change: NDArray[np.float64] | None, flipped: bool
    ) -> tuple[NDArray[np.uint8], Points | None]:
        side = self.spec.crop_px
        if self.whole or face is None:
            matrix = whole_matrix(image.shape[0], image.shape[1], side)
        else:
            matrix = face_matrix(face, image.shape, self.spec.image)
        if change is not None:
            moved = from_unit(side) @ change @ to_unit(side)
            matrix = np.column_stack([moved[:2, :2] @ matrix[:, :2], moved[:2, :2] @ matrix[:, 2] + moved[:2, 2]])
        points = None
        if face is not None and face.landmarks is not None:
            points = transform_points(face.landmarks, matrix).astype(np.float32)
            points = points[FLIP_68] if flipped else points
        return cut(image, matrix, side), points

    def _rng(self, position: int, stream: int = 0) -> np.random.Generator:
        return np.random.default_rng((self.epoch.seed, stream, self.epoch.number, int(position)))
