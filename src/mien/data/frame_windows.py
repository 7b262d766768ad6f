"""Windows of consecutive labelled frames of videos as batches: for networks that answer each frame of a window.

A window has ``T`` frames, for whose labels it answers once each: the last window of a video is filled up by repeating
its last frame, and these repetitions count for nothing. Randomness comes from (seed, epoch, position in the epoch)
alone, whatever the number of workers; all frames of a window are moved, mirrored and lit alike.

Shapes: ``B`` batch, ``W`` windows, ``S`` side of the network's input.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mien.data.augment import Augment
from mien.data.clip_input import ClipInput
from mien.data.loader import Batch, Epoch
from mien.data.moment_faces import Known, faces_at
from mien.data.moment_plan import pictured
from mien.data.splits import Labelled
from mien.media.clip_source import read_frames
from mien.schema.errors import DatasetError
from mien.schema.inputs import ClipSpec, InputSpec
from mien.schema.labels import LabelSet
from mien.schema.prediction import Face
from mien.schema.sample import Clip, FrameFolder, RenderedClip, Sample

NONE = -1
"""Label of a frame for which a window does not answer."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Which frames each window has.

    Attributes:
        owner: number of the video, ``int64 [W]``.
        frame: number of each frame in its video, from 0, ``int64 [W, T]``.
        label: class index of each frame, ``int64 [W, T]``; -1 where it is unlabelled or a repetition. Where it is not,
            the window answers for the frame, and no other window does.
    """

    owner: Ints
    frame: Ints
    label: Ints

    def __len__(self) -> int:
        return len(self.owner)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """For which of its frames each window answers, ``[W, T]``; row by row they are all labelled frames in order."""
        answered: NDArray[np.bool_] = self.label != NONE
        return answered


def windows(samples: Sequence[Sample], labels: LabelSet, size: int, *, drop_unlabeled: bool = True) -> Windows:
    """Cut videos into windows, video by video.

    Frames without a picture are left out, as in the challenge. Frames whose label is none of ``labels`` are unlabelled.

    Args:
        samples: videos with labels of their frames.
        labels: the classes.
        size: frames of a window, ``T``.
        drop_unlabeled: leave out unlabelled frames before windows are cut, so that a window may leap over them; else
            they are seen and not answered, and windows without a labelled frame are left out.

    Raises:
        DatasetError: if a sample has no labels of frames.
    """
    owner, frame, label = list[int](), list[Ints](), list[Ints]()
    for number, sample in enumerate(samples):
        frames, known = _labelled(sample, labels, drop_unlabeled)
        for start in range(0, len(frames), size):
            part, told = frames[start : start + size], known[start : start + size]
            if (told != NONE).any():
                missing = size - len(part)
                owner.append(number)
                frame.append(np.pad(part, (0, missing), mode="edge"))
                label.append(np.pad(told, (0, missing), constant_values=NONE))
    none = np.zeros((0, size), np.int64)
    return Windows(
        owner=np.array(owner, np.int64),
        frame=np.stack(frame) if frame else none,
        label=np.stack(label) if label else none,
    )


class FrameWindows(Dataset[Batch]):
    """Windows of the videos of one split, ready to be batched by position in the epoch.

    Args:
        items: videos with labels of their frames.
        known: where the face of each is; of no use where pictures are taken as they are.
        inputs: of the network: ``clip``, whose frames are a window.
        labels: the classes.
        augment: how to vary the windows; ``None`` for evaluation.
        whole: take pictures as they are, as those of Aff-Wild2, which are aligned; else by our crop.
        drop_unlabeled: as for :func:`windows`.

    Raises:
        DatasetError: if a sample has no labels of frames.
    """

    def __init__(
        self,
        items: Sequence[Labelled],
        known: Sequence[Known],
        inputs: Mapping[str, InputSpec],
        labels: LabelSet,
        *,
        augment: Augment | None = None,
        whole: bool = True,
        drop_unlabeled: bool = True,
    ) -> None:
        assert len(items) == len(known), (len(items), len(known))
        self.items, self.known = tuple(items), tuple(known)
        self.make = ClipInput(inputs, augment=augment, whole=whole)
        samples = [item.sample for item in items]
        self.windows = windows(samples, labels, self.spec.n_frames, drop_unlabeled=drop_unlabeled)
        self._pictured: dict[int, Ints] = {}
        self.epoch = Epoch(np.arange(len(self.windows)))

    @property
    def spec(self) -> ClipSpec:
        """How the network wants the frames."""
        return self.make.spec

    @property
    def labels(self) -> Ints:
        """Class index of every labelled frame, once each, in the order of the windows, ``int64 [F]``."""
        found: Ints = self.windows.label[self.windows.answered]
        return found

    def __len__(self) -> int:
        return len(self.epoch.order)

    def resized(self, size_px: int) -> "FrameWindows":
        """The same windows for frames of another side."""
        if size_px == self.spec.size_px:
            return self
        made = copy.copy(self)
        made.make = self.make.resized(size_px)
        return made

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """The windows at these positions of the epoch: ``clip [B, T, 3, S, S]``, ``label [B, T]``, ``index [B]``.

        ``index`` is the number of the window, by which ``windows`` tells the video and the frames.

        Raises:
            MediaError: if a picture cannot be read.
        """
        chosen = self.epoch.order[np.asarray(positions, np.int64)]
        clips = [self._clip(int(window), int(position)) for window, position in zip(chosen, positions, strict=True)]
        arrays = {"clip": np.stack(clips), "label": self.windows.label[chosen], "index": chosen}
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}

    def _clip(self, window: int, position: int) -> NDArray[np.float32]:
        owner = int(self.windows.owner[window])
        source = self.items[owner].sample.source
        assert isinstance(source, FrameFolder | Clip | RenderedClip), source
        places = np.searchsorted(self._numbers(owner), self.windows.frame[window]).tolist()
        rng = None
        if self.make.augment is not None:
            rng = np.random.default_rng((self.epoch.seed, 0, self.epoch.number, position))
        return self.make.of_frames(read_frames(source, places), self._faces(owner, places), rng)["clip"]

    def _numbers(self, owner: int) -> Ints:
        """Numbers of the frames that have a picture, in the order of the pictures."""
        if owner not in self._pictured:
            self._pictured[owner] = pictured(self.items[owner].sample)
        return self._pictured[owner]

    def _faces(self, owner: int, places: Sequence[int]) -> list[Face | None]:
        """The face in each picture; where none was found that of the nearest one of the video with a face."""
        return [None] * len(places) if self.make.whole else faces_at(self.known[owner], places)


def _labelled(sample: Sample, labels: LabelSet, drop_unlabeled: bool) -> tuple[Ints, Ints]:
    """Frames that have a picture, and the class index of each; -1 where there is none."""
    if sample.targets.frames is None:
        raise DatasetError(f"{sample.key} has no labels of its frames; windows are cut of videos that have.")
    index = {name: number for number, name in enumerate(labels.names)}
    known = np.array([index.get(name or "", NONE) for name in sample.targets.frames], np.int64)
    frames = pictured(sample)
    frames = frames[frames < len(known)]
    told = known[frames]
    keep = told != NONE if drop_unlabeled else np.ones(len(frames), bool)
    return frames[keep], told[keep]
