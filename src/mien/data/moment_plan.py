"""Which moments of annotated samples are looked at and listened to.

An utterance or a clip with one label is judged as a whole: training draws one moment of it in each epoch, evaluation
takes moments on a grid, whose answers are pooled. A clip whose frames are labelled one by one has a moment for each of
them. ``M`` moments.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mien.data.splits import Labelled
from mien.media.audio import Sound
from mien.media.frame_clock import clip_span, frame_rate
from mien.schema.labels import LabelSet
from mien.schema.sample import Clip, FrameFolder, RenderedClip, Sample, Targets

STRIDE_S = 0.32
"""From one moment of the grid to the next."""

_PIECE_S = 0.02
_QUIET = 10 ** (-30 / 20)
"""A piece of sound is voiced if it is at most 30 dB below the loud ones."""

Span = tuple[float, float]
"""First and last second."""

Spans = Callable[[Sample], Span]

Frames = Callable[[Sample], NDArray[np.int64]]
"""Numbers of the frames of a clip that can be looked at, rising."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Moments of some samples.

    Attributes:
        owner: number of the sample, ``int64 [M]``.
        second: of its clock, ``float64 [M]``; NaN where each epoch draws another one.
        frame: number of the labelled frame, ``int64 [M]``; -1 where the sample is judged as a whole.
        unit: number of what is judged, ``int64 [M]``, rising from 0: of a sample, or of one of its frames.
        label: class index of a labelled frame, ``int64 [M]``; -1 elsewhere.
    """

    owner: NDArray[np.int64]
    second: NDArray[np.float64]
    frame: NDArray[np.int64]
    unit: NDArray[np.int64]
    label: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.owner)


def plan(
    samples: Sequence[Sample], labels: LabelSet, spans: Spans, *, seconds: float, training: bool, seen: Frames | None
) -> Plan:
    """The moments of samples, sample by sample.

    Args:
        samples: in any order; of one with a ``frame`` that frame is the moment.
        labels: the classes; frames with other labels are left out.
        spans: where in a sample moments lie.
        seconds: that a moment covers.
        training: whether utterances have one moment, which is drawn later.
        seen: which frames the network can look at, such as :func:`pictured`; other labelled frames are left out.
            ``None`` if it does not look.
    """
    parts = [_moments(sample, labels, spans, seconds, training, seen) for sample in samples]
    units, unit = list[NDArray[np.int64]](), 0
    for _, frames, _ in parts:
        own = np.zeros(len(frames), np.int64) if (frames < 0).all() else np.arange(len(frames))
        units.append(own + unit)
        unit += int(own.max(initial=-1)) + 1
    return Plan(
        owner=np.repeat(np.arange(len(parts)), [len(second) for second, _, _ in parts]),
        second=np.concatenate([np.zeros(0), *(second for second, _, _ in parts)]),
        frame=_joined([frame for _, frame, _ in parts]),
        unit=_joined(units),
        label=_joined([label for _, _, label in parts]),
    )


_Columns = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]


def _moments(
    sample: Sample, labels: LabelSet, spans: Spans, seconds: float, training: bool, seen: Frames | None
) -> _Columns:
    """Second, frame and label of each moment of a sample."""
    if sample.frame is not None:
        frames = np.array([sample.frame])
        return frames / _rate(sample), frames, np.full(1, -1)
    if sample.targets.frames is not None:
        index = {name: number for number, name in enumerate(labels.names)}
        known = np.array([index.get(name or "", -1) for name in sample.targets.frames], np.int64)
        frames = np.flatnonzero(known >= 0)
        frames = frames if seen is None else frames[np.isin(frames, seen(sample))]
        return frames / _rate(sample), frames, known[frames]
    second = np.full(1, np.nan) if training else grid(spans(sample), seconds)
    return second, np.full(len(second), -1), np.full(len(second), -1)


def grid(span: Span, seconds: float) -> NDArray[np.float64]:
    """Middles of windows of ``seconds``, 0.32 s apart, the first at the start of a span and the last at its end.

    A span that is shorter than a window has one, in its middle.
    """
    start, end = span
    if end - start <= seconds:
        return np.array([(start + end) / 2])
    last = end - seconds / 2
    regular = np.arange(start + seconds / 2, last, STRIDE_S)
    middles: NDArray[np.float64] = np.append(regular[last - regular > 1e-6], last)
    return middles


def drawn(span: Span, seconds: float, rng: np.random.Generator) -> float:
    """Middle of a window of ``seconds`` at random: inside a span, or, if that is shorter, so that it is inside."""
    low, high = sorted((span[0] + seconds / 2, span[1] - seconds / 2))
    return float(rng.uniform(low, high))


def voiced_part(sound: Sound) -> Span:
    """From the first to the last piece of a sound that is not much softer than its loud ones; all of a silent one."""
    size = max(1, round(_PIECE_S * sound.sample_rate))
    pieces = np.resize(sound.samples, (max(1, len(sound.samples) // size), size)) if len(sound.samples) else None
    loudness = np.zeros(1) if pieces is None else np.sqrt(np.mean(pieces.astype(np.float64) ** 2, axis=1))
    heard = np.flatnonzero(loudness > _QUIET * np.percentile(loudness, 95))
    if not heard.size:
        return sound.start_s, sound.end_s
    first, last = heard[0] * size, min((heard[-1] + 1) * size, len(sound.samples))
    return sound.start_s + first / sound.sample_rate, sound.start_s + last / sound.sample_rate


def pictured(sample: Sample) -> NDArray[np.int64]:
    """Numbers of the frames of a clip that are there, rising."""
    match sample.source:
        case FrameFolder(paths, numbers):
            if numbers is not None:
                return np.array(numbers, np.int64)
            return np.arange(len(paths) if paths[0].is_file() else 0)
        case RenderedClip():
            return np.arange(sample.source.n_frames)
        case Clip():
            start, end = clip_span(sample.source)
            return np.arange(round((end - start) * frame_rate(sample.source)))
        case _:
            return np.arange(0)


def frame_by_frame(items: Sequence[Labelled], labels: LabelSet) -> Iterator[Labelled]:
    """The same, with each labelled frame as a sample of its own, named ``<clip>#<frame from 1>``."""
    each = np.eye(len(labels), dtype=np.float32)
    for item in items:
        if item.sample.targets.frames is None:
            yield item
            continue
        for number, name in enumerate(item.sample.targets.frames):
            if name is not None and name in labels.names:
                index = labels.names.index(name)
                key = f"{item.sample.key}#{number + 1:05d}"
                sample = replace(item.sample, key=key, frame=number, targets=Targets(label=name))
                yield Labelled(sample=sample, index=index, distribution=each[index])


def _rate(sample: Sample) -> float:
    source = sample.source
    assert isinstance(source, FrameFolder | Clip | RenderedClip), f"{sample.key} has labels of frames, but no frames"
    rate: Fraction = frame_rate(source, sample.sound)
    return float(rate)


def _joined(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *parts])
