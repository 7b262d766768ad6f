"""What a bundle that answers each frame of a window says of the frames of videos, by the same steps as in training."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.clip_input import ClipInput
from mien.data.moment_faces import Known, faces_at, locate
from mien.data.moment_plan import pictured
from mien.engine.measure import Answers, Crop, tracked
from mien.engine.measure_moments import alignment_of
from mien.engine.pooling import check_smoothing
from mien.engine.video_frames import Videos, asked_of, filled_rows, steady, videos_of
from mien.faces.graph import core_count
from mien.media.clip_source import read_frames
from mien.runtime.session import Session
from mien.schema.errors import DatasetError
from mien.schema.inputs import InputSpec
from mien.schema.sample import Clip, FrameFolder, RenderedClip, Sample

Frames = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Frames of one video that are answered together.

    Attributes:
        rows: places of the samples among all.
        places: of the frames among the pictures of the video; none where it has no picture at all.
    """

    rows: NDArray[np.int64]
    places: NDArray[np.int64]


def answer_windows(
    session: Session,
    inputs: Mapping[str, InputSpec],
    samples: Sequence[Sample],
    *,
    dataset: str,
    crop: Crop = "face",
    batch_size: int = 64,
    smooth: int = 1,
    progress: bool = True,
) -> Answers:
    """Feed windows of consecutive labelled frames to the network; one answer a frame.

    The last window of a video is filled up by repeating its last frame. A frame without a picture has the answer of the
    nearest one of its video that has one; the frames of a video without any are black.

    Args:
        session: the network.
        inputs: how it wants the frames of a window: ``clip``.
        samples: frames of videos; without repetition.
        dataset: name of the reader, which names the cache of prepared faces.
        crop: ``face`` aligns by eyes, ``whole`` takes pictures as they are.
        batch_size: frames in one run of the network, at least a window.
        smooth: average the answers over so many frames of their video; 1 is off.
        progress: whether to show a bar.

    Raises:
        ConfigError: if ``smooth`` is even or below 1.
        DatasetError: if a sample is no frame of a video.
        MediaError: if a picture cannot be read.
    """
    check_smoothing(smooth)
    if strange := [sample.key for sample in samples if sample.frame is None]:
        raise DatasetError(
            f"The network answers the frames of videos; {len(strange)} of {len(samples)} samples are none, e.g. "
            f"{strange[0]}. Choose a dataset whose frames are labelled one by one."
        )
    make = ClipInput(inputs, whole=crop == "whole")
    known = locate(samples, name=dataset, whole=make.whole, progress=progress)
    videos = videos_of(samples)
    asked = asked_of(samples, videos)
    cut = list(_windows(samples, videos, asked, make.spec.n_frames))
    answered = np.concatenate([np.zeros(0, np.int64), *(window.rows for window in cut)])
    logits = _run(session, make, samples, known, cut, max(1, batch_size // make.spec.n_frames), progress)
    logits = logits[np.argsort(answered)][filled_rows(len(samples), videos, asked)]
    return Answers(
        rows={sample.key: row for row, sample in enumerate(samples)},
        outputs={"logits": steady(logits, videos, smooth) if smooth > 1 else logits},
        landmarks=np.full((len(samples), 136), np.nan, np.float32),
        alignment=tuple(alignment_of(sample, faces) for sample, faces in zip(samples, known, strict=True)),
    )


def _windows(samples: Sequence[Sample], videos: Videos, asked: NDArray[np.int64], size: int) -> Iterator[_Window]:
    """The frames that are asked for, in order, cut into windows of at most ``size``."""
    for rows, numbers in videos:
        there = np.isin(rows, asked)
        own, pictures = rows[there], pictured(samples[rows[0]])
        places = np.searchsorted(pictures, numbers[there]) if np.isin(numbers, pictures).any() else None
        for start in range(0, len(own), size):
            part = slice(start, start + size)
            yield _Window(rows=own[part], places=np.zeros(0, np.int64) if places is None else places[part])


def _run(
    session: Session,
    make: ClipInput,
    samples: Sequence[Sample],
    known: Sequence[Known],
    cut: Sequence[_Window],
    batch_size: int,
    progress: bool,
) -> NDArray[np.float32]:
    """Logits of the frames of all windows, one after the other."""
    found: list[NDArray[np.float32]] = []
    with ThreadPoolExecutor(core_count()) as pool:
        for start in tracked(list(range(0, len(cut), batch_size)), progress):
            part = cut[start : start + batch_size]
            clips = list(pool.map(lambda window: _clip(make, samples, known, window), part))
            logits = session(clip=np.stack(clips))["logits"]
            found += [rows[: len(window.rows)] for rows, window in zip(logits, part, strict=True)]
    return np.concatenate(found)


def _clip(make: ClipInput, samples: Sequence[Sample], known: Sequence[Known], window: _Window) -> Frames:
    row, size = int(window.rows[0]), make.spec.n_frames
    if not len(window.places):
        return np.zeros(make.spec.shape, np.float32)
    places = np.pad(window.places, (0, size - len(window.places)), mode="edge").tolist()
    source = samples[row].source
    assert isinstance(source, FrameFolder | Clip | RenderedClip), source
    faces = [None] * size if make.whole else faces_at(known[row], places)
    return make.of_frames(read_frames(source, places), faces)["clip"]
