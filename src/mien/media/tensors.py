"""The one preprocessing: a face cut out of its picture or out of the frames of a clip, as a network takes it."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.media.clip import nearest_present
from mien.media.mean_face import mean_face
from mien.schema.errors import MediaError
from mien.schema.inputs import ClipSpec, FeatureSpec, ImageSpec, LandmarkSpec

_Pixel = TypeVar("_Pixel", np.uint8, np.float32)


def image_tensor(crop: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.float32]:
    """One network input.

    The crop is made grey if ``spec`` says so, brought to ``spec.source_px`` if it is larger, enlarged to
    ``spec.size_px``, scaled to [0, 1] and normalised by the mean and the standard deviation.

    Args:
        crop: ``uint8 [s, s, 3]`` RGB.

    Returns:
        ``float32 [3, S, S]`` with ``S = spec.size_px``.
    """
    assert crop.dtype == np.uint8 and crop.ndim == 3 and crop.shape[0] == crop.shape[1], (crop.dtype, crop.shape)
    pixels = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)[..., None] if spec.colour == "grey" else crop
    pixels = _resize(pixels, min(spec.crop_px, pixels.shape[0]))
    pixels = _resize(pixels.astype(np.float32), spec.size_px).clip(0, 255)
    scale = 1 / (255 * np.array(spec.std, np.float32))
    offset = np.array(spec.mean, np.float32) / np.array(spec.std, np.float32)
    return np.ascontiguousarray((pixels * scale - offset).transpose(2, 0, 1))


def image_batch(crops: Iterable[NDArray[np.uint8]], spec: ImageSpec) -> NDArray[np.float32]:
    """Several inputs of one kind, ``float32 [B, 3, S, S]``."""
    tensors = [image_tensor(crop, spec) for crop in crops]
    return np.stack(tensors) if tensors else np.zeros((0, 3, spec.size_px, spec.size_px), np.float32)


def clip_tensor(crops: Sequence[NDArray[np.uint8] | None], spec: ClipSpec) -> NDArray[np.float32]:
    """One clip; a frame without a face becomes a copy of the nearest one that has a face, of two the earlier.

    Args:
        crops: ``spec.n_frames`` crops in order, ``uint8 [s, s, 3]`` RGB, or ``None`` where there is no face.

    Returns:
        ``float32 [N, 3, S, S]``, each frame as :func:`image_tensor` makes it.

    Raises:
        MediaError: if no frame has a face.
    """
    assert len(crops) == spec.n_frames, (len(crops), spec.n_frames)
    found = {i: image_tensor(crop, spec.image) for i, crop in enumerate(crops) if crop is not None}
    if not found:
        raise MediaError(f"None of the {len(crops)} frames has a face; a clip needs at least one")
    return np.stack([found[i] for i in nearest_present([crop is not None for crop in crops])])


def landmark_tensor(points: Sequence[NDArray[np.floating] | None], spec: LandmarkSpec) -> NDArray[np.float32]:
    """Landmarks of one clip; a frame without any takes those of the nearest that has some, of two the earlier.

    Args:
        points: for each of ``spec.n_frames`` frames ``[68, 2]`` in pixels of a crop of side ``spec.crop_px``, whole
            numbers at the centres of pixels; or ``None``. If all are ``None`` the face has the mean shape.

    Returns:
        ``float32 [N, 68, 2]`` in pixels of the network's square, whose edges are 0 and ``spec.size_px``.
    """
    assert len(points) == spec.n_frames, (len(points), spec.n_frames)
    present = [one is not None for one in points]
    if not any(present):
        return np.tile(mean_face(spec.crop, spec.size_px), (spec.n_frames, 1, 1))
    filled = np.stack([np.asarray(points[i], np.float64) for i in nearest_present(present)])
    assert filled.shape == spec.shape, (filled.shape, spec.shape)
    tensor: NDArray[np.float32] = ((filled + 0.5) * (spec.size_px / spec.crop_px)).astype(np.float32)
    return tensor


def features_tensor(features: NDArray[np.floating], spec: FeatureSpec) -> NDArray[np.float32]:
    """What an encoder said of one clip or sound; cut at the end, or filled up with zeros there.

    Args:
        features: ``[N, width]``, a row a step; ``N`` may be 0.

    Returns:
        ``float32 [n_steps, width]``.

    Raises:
        MediaError: if there is another number of columns, or a number is not finite.
    """
    if features.ndim != 2 or features.shape[1] != spec.width:
        raise MediaError(
            f"The network takes {spec.width} features a step; given: {features.shape}. Give it those of the encoder "
            "with which it was trained."
        )
    tensor = np.zeros(spec.shape, np.float32)
    kept = features[: spec.n_steps]
    tensor[: len(kept)] = kept
    if not np.isfinite(tensor).all():
        raise MediaError("Some features are not finite; compute them again.")
    return tensor


def _resize(pixels: NDArray[_Pixel], size_px: int) -> NDArray[_Pixel]:
    side = pixels.shape[0]
    if side == size_px:
        return pixels
    interpolation = cv2.INTER_AREA if size_px < side else cv2.INTER_CUBIC
    resized = np.asarray(cv2.resize(pixels, (size_px, size_px), interpolation=interpolation), pixels.dtype)
    return resized.reshape(size_px, size_px, -1)
