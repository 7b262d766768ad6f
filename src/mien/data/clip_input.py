"""Frames of a clip as a network is fed them: read, cut, perhaps varied, scaled. The same in training and evaluation.

Shapes: ``N`` frames, ``S`` side of the network's input.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.data.augment import FLIP_68, Augment, augment_crop, augment_input, from_unit, jitter, to_unit
from mien.data.prepare_clips import ClipFaces
from mien.media.clip import clip_indices, nearest_present
from mien.media.clip_source import read_frames
from mien.media.crop import cut, face_matrix, transform_points, whole_matrix
from mien.media.tensors import clip_tensor, landmark_tensor
from mien.schema.inputs import ClipSpec, InputSpec, LandmarkSpec
from mien.schema.prediction import Face
from mien.schema.sample import ClipSource

Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Change:
    """One variation of all frames of a clip."""

    matrix: NDArray[np.float64]
    flipped: bool
    look: int


class ClipInput:
    """Makes the inputs of a network out of a clip and its faces.

    Args:
        inputs: of the network: ``clip``, and ``landmarks`` if it takes them.
        augment: how to vary clips where chance is given.
        whole: take frames as they are, as datasets of aligned frames come; else faces are aligned by our crop.
    """

    def __init__(self, inputs: Mapping[str, InputSpec], *, augment: Augment | None = None, whole: bool = False) -> None:
        spec, landmarks = inputs["clip"], inputs.get("landmarks")
        assert isinstance(spec, ClipSpec), spec
        assert landmarks is None or isinstance(landmarks, LandmarkSpec), landmarks
        self.inputs, self.spec, self.landmarks = dict(inputs), spec, landmarks
        self.augment, self.whole = augment, whole

    def resized(self, size_px: int) -> "ClipInput":
        """The same for an input of another side."""
        inputs: dict[str, InputSpec] = {"clip": replace(self.spec, size_px=size_px)}
        if self.landmarks is not None:
            inputs["landmarks"] = replace(self.landmarks, size_px=size_px)
        return ClipInput(inputs, augment=self.augment, whole=self.whole)

    def frames_of(self, length: int, rng: np.random.Generator | None = None) -> NDArray[np.int64]:
        """Numbers of the frames that stand for a clip of ``length`` frames, ``int64 [N]``."""
        return clip_indices(length, self.spec.segments, self.spec.per_segment, rng)

    def __call__(
        self, source: ClipSource, faces: ClipFaces, rng: np.random.Generator | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """The inputs by name, without the batch.

        Args:
            source: the clip.
            faces: where the face is in each of its frames.
            rng: chance, for training; without it the middle frames of the segments are taken as they are.

        Raises:
            MediaError: if a frame cannot be read.
        """
        numbers = self.frames_of(len(faces), rng).tolist()
        images = read_frames(source, numbers)
        return self.of_frames(images, [_face(faces, number) for number in numbers], rng)

    def of_frames(
        self,
        images: Sequence[NDArray[np.uint8]],
        faces: Sequence[Face | None],
        rng: np.random.Generator | None = None,
    ) -> dict[str, NDArray[np.float32]]:
        """The same from ``N`` frames ``uint8 [H, W, 3]`` RGB and the face in each; ``None`` takes the whole frame."""
        change = None
        if self.augment is not None and rng is not None:
            matrix, flipped = jitter(self.augment, rng)
            change = _Change(matrix, flipped, int(rng.integers(2**63)))
        cuts = [self._cut(image, face, change) for image, face in zip(images, faces, strict=True)]
        clip = clip_tensor([crop for crop, _ in cuts], self.spec)
        if change is not None and self.augment is not None:
            for frame in clip:
                augment_input(frame, self.augment, np.random.default_rng((change.look, 1)))
        made = {"clip": clip}
        if self.landmarks is not None:
            made["landmarks"] = landmark_tensor([points for _, points in cuts], self.landmarks)
        return made

    def _cut(
        self, image: NDArray[np.uint8], face: Face | None, change: _Change | None
    ) -> tuple[NDArray[np.uint8], Points | None]:
        side = self.spec.crop_px
        if self.whole or face is None:
            matrix = whole_matrix(image.shape[0], image.shape[1], side)
        else:
            matrix = face_matrix(face, image.shape, self.spec.image)
        if change is not None:
            moved = from_unit(side) @ change.matrix @ to_unit(side)
            matrix = np.column_stack([moved[:2, :2] @ matrix[:, :2], moved[:2, :2] @ matrix[:, 2] + moved[:2, 2]])
        points = None
        if face is not None and face.landmarks is not None:
            points = transform_points(face.landmarks, matrix).astype(np.float32)
            points = points[FLIP_68] if change is not None and change.flipped else points
        crop = cut(image, matrix, side)
        if change is not None and self.augment is not None:
            crop = augment_crop(crop, self.augment, np.random.default_rng(change.look), points)
        return crop, points


def _face(known: ClipFaces, number: int) -> Face | None:
    """The face in a frame, or, where none was found, in the nearest frame with one; ``None`` if there is none."""
    if (face := known.face(number)) is not None:
        return face
    present = [known.face(i) is not None for i in range(len(known))]
    return known.face(int(nearest_present(present)[number])) if any(present) else None
