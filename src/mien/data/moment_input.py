"""What is seen and heard around one moment, as a network is fed it. The same in training and evaluation.

Sound and frames cover the same time: a window around the moment, and the frames nearest to the middles of its equal
parts. ``N`` frames, ``S`` side of the network's input.
"""

from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.data.augment import Augment, augment_sound, mask_sound
from mien.data.clip_input import ClipInput
from mien.data.moment_faces import Known
from mien.data.moment_features import FaceFeatures
from mien.data.moment_plan import Frames, Span, pictured, voiced_part
from mien.data.prepare_clips import ClipFaces
from mien.media.audio import Sound
from mien.media.clip_source import read_frames
from mien.media.frame_clock import clip_span, frame_rate, frame_times, frames_near, nearest
from mien.media.image import read_image, read_source
from mien.media.mel import sound_tensor
from mien.media.sound_source import read_sound_source
from mien.schema.inputs import ClipSpec, FeatureSpec, InputSpec, SoundSpec
from mien.schema.sample import (
    Clip,
    FeatureCsv,
    FeatureTable,
    FrameFolder,
    Recording,
    RenderedClip,
    RenderedVoice,
    Sample,
    SoundSource,
)

LONG_S = 30.0
"""Of sounds that are longer and cannot be kept in memory only the window is read; of all, once there is no room."""

Inputs = dict[str, NDArray[np.float32]]
Rgb = NDArray[np.uint8]
Value = TypeVar("Value")


def is_momentary(inputs: Mapping[str, InputSpec]) -> bool:
    """Whether a network looks or listens around a moment, rather than at a picture or a whole clip."""
    clip = inputs.get("clip")
    fed = any(isinstance(spec, FeatureSpec) and spec.around_moment for spec in inputs.values())
    return "sound" in inputs or fed or (isinstance(clip, ClipSpec) and clip.seconds is not None)


def is_answerable(
    sample: Sample, known: Known, inputs: Mapping[str, InputSpec], faces: FaceFeatures | None = None
) -> bool:
    """Whether a sample has what a network needs: a voice to hear, pictures to look at, or, for both, one of them.

    Args:
        sample: whatever it has.
        known: where its faces are.
        inputs: of the network.
        faces: reads the features that stand for pictures, of a network that takes them.

    Raises:
        DatasetError: if features cannot be used.
    """
    readable = not (isinstance(known, ClipFaces) and known.problem)
    seen = "clip" in inputs and readable and _has_pictures(sample)
    seen = seen or (faces is not None and faces.has(sample))
    return seen or ("sound" in inputs and sample.voice is not None)


class Kept(Generic[Value]):
    """Things that stay in memory while they fit.

    Args:
        megabytes: how much may be kept.
        size: bytes of one.
    """

    def __init__(self, megabytes: float, size: Callable[[Value], int]) -> None:
        self._free, self._size = megabytes * 2**20, size
        self._kept: dict[Hashable, Value] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def has_room(self, size: float) -> bool:
        """Whether so many bytes would be kept."""
        return size <= self._free

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What is kept under ``key``, or what ``make`` gives, which is kept if it fits."""
        if key in self._kept:
            return self._kept[key]
        value = make()
        if (size := self._size(value)) <= self._free:
            self._kept[key] = value
            self._free -= size
        return value


class MomentInput:
    """Makes the inputs of a network out of a sample and a second.

    Args:
        inputs: of the network: any of ``clip`` or features of a face, ``sound``, ``has_sound`` and ``has_face``.
        faces: what tells the features, of a network that takes them.
        augment: how to vary moments where chance is given.
        whole: take pictures as they are; else faces are aligned by our crop.
        cache_mb: how much of pictures and sounds may stay in memory, half of it each.
    """

    def __init__(
        self,
        inputs: Mapping[str, InputSpec],
        *,
        faces: FaceFeatures | None = None,
        augment: Augment | None = None,
        whole: bool = False,
        cache_mb: float = 256,
    ) -> None:
        clip, sound = inputs.get("clip"), inputs.get("sound")
        assert clip is None or (isinstance(clip, ClipSpec) and clip.seconds is not None), clip
        assert sound is None or isinstance(sound, SoundSpec), sound
        assert clip or sound or faces, inputs
        self.inputs, self.clip, self.sound, self.faces = dict(inputs), clip, sound, faces
        self.augment, self.whole = augment, whole
        self._cut = ClipInput({"clip": clip}, augment=augment, whole=whole) if clip else None
        self._images = Kept[Rgb](cache_mb / 2, lambda image: image.nbytes)
        self._sounds = Kept[Sound](cache_mb / 2, lambda sound: sound.samples.nbytes)
        self._voiced: dict[SoundSource, Span] = {}
        self._times: dict[int, tuple[FrameFolder | RenderedClip, NDArray[np.float64]]] = {}
        self._long: set[SoundSource] = set()

    @property
    def seconds(self) -> float:
        """What a moment covers."""
        return self.sound.seconds if self.sound else float(self.spec.seconds or 0)

    @property
    def spec(self) -> ClipSpec | FeatureSpec | SoundSpec:
        """How the network wants frames, or features of them, or, if it does not look, the sound."""
        spec = self.clip or (self.faces.spec if self.faces else self.sound)
        assert spec is not None
        return spec

    @property
    def frames(self) -> Frames | None:
        """Tells which frames of a clip can be looked at; ``None`` if the network does not look."""
        if self.faces is not None:
            return self.faces.frames
        return pictured if self.clip else None

    @property
    def size_px(self) -> int:
        """Side of the frames; 0 if the network does not look."""
        return self.clip.size_px if self.clip else 0

    def resized(self, size_px: int) -> "MomentInput":
        """The same for frames of another side; what is in memory is shared."""
        if self._cut is None or size_px == self.size_px:
            return self
        cut = self._cut.resized(size_px)
        made = MomentInput({**self.inputs, **cut.inputs}, augment=self.augment, whole=self.whole, cache_mb=0)
        made._images, made._sounds, made._voiced = self._images, self._sounds, self._voiced
        made._times, made._long = self._times, self._long
        return made

    def span(self, sample: Sample) -> Span:
        """Where in a sample moments lie: in the voiced part if it has a voice, else anywhere; a picture has second 0.

        Raises:
            MediaError: if sound or video cannot be read.
        """
        if self.sound and sample.voice is not None:
            if sample.voice not in self._voiced:
                sound = self._whole_sound(sample.voice)
                self._voiced[sample.voice] = voiced_part(sound) if sound.present else (np.nan, np.nan)
            if not np.isnan(self._voiced[sample.voice][0]):
                return self._voiced[sample.voice]
        if isinstance(sample.source, FrameFolder | Clip | RenderedClip) and _has_pictures(sample):
            return clip_span(sample.source, sample.sound)
        return self.faces.span(sample) if self.faces else (0.0, 0.0)

    def warm(self, sample: Sample) -> None:
        """Keep the sound of a sample in memory, if there is room for it."""
        if sample.voice is not None and self._has_room():
            self._whole_sound(sample.voice)

    def __call__(self, sample: Sample, known: Known, second: float, rng: np.random.Generator | None = None) -> Inputs:
        """The inputs by name, without the batch; zeros where there is no face or no voice.

        Args:
            sample: what is looked at and listened to.
            known: where its faces are.
            second: the moment.
            rng: chance, for training.

        Raises:
            DatasetError: if features cannot be used.
            MediaError: if a picture or the sound cannot be read.
        """
        chances = rng.spawn(2) if rng is not None and self.augment is not None else (None, None)
        made: Inputs = {}
        if self.clip is not None:
            clip = self._see(sample, known, second, chances[0])
            made["clip"] = np.zeros(self.clip.shape, np.float32) if clip is None else clip
            made["has_face"] = np.array(clip is not None, np.float32)
        if self.faces is not None:
            told = self.faces(sample, second)
            made[self.faces.name] = np.zeros(self.faces.spec.shape, np.float32) if told is None else told
            made["has_face"] = np.array(told is not None, np.float32)
        if self.sound is not None:
            made["sound"] = self._hear(sample.voice, second, chances[1])
            made["has_sound"] = np.array(made["sound"].any(), np.float32)
        return {name: made[name] for name in self.inputs}

    def _see(
        self, sample: Sample, known: Known, second: float, rng: np.random.Generator | None
    ) -> NDArray[np.float32] | None:
        assert self.clip is not None and self._cut is not None
        if not _has_pictures(sample):
            return None
        count = self.clip.n_frames
        if not isinstance(known, ClipFaces):
            images = self._pictures(sample, second)[1]
            return self._cut.of_frames(images, [known] * count, rng)["clip"]
        present = np.flatnonzero(~np.isnan(known.eyes).any(axis=(1, 2)))
        if not present.size:
            return None
        numbers, images = self._pictures(sample, second)
        places = present[nearest(present.astype(np.float64), numbers)]
        return self._cut.of_frames(images, [known.face(int(place)) for place in places], rng)["clip"]

    def _pictures(self, sample: Sample, second: float) -> tuple[list[int], list[Rgb]]:
        """The frames around a moment: places in the clip, and pixels."""
        assert self.clip is not None
        source, count = sample.source, self.clip.n_frames
        seconds = (second + ((np.arange(count) + 0.5) / count - 0.5) * (self.clip.seconds or 0)).tolist()
        match source:
            case Clip():
                near = frames_near(source, seconds)
                return [number for number, _ in near], [image for _, image in near]
            case FrameFolder(paths):
                places = nearest(self._clock(sample, source), seconds).tolist()
                return places, [self._images.get(paths[i], partial(read_image, paths[i])) for i in places]
            case RenderedClip():
                places = nearest(self._clock(sample, source), seconds).tolist()
                return places, self._drawn(source, places)
            case _:
                return [0] * count, [self._images.get(source, lambda: read_source(source))] * count

    def _drawn(self, source: RenderedClip, places: list[int]) -> list[Rgb]:
        missing = [place for place in dict.fromkeys(places) if (source, place) not in self._images]
        made = dict(zip(missing, read_frames(source, missing), strict=True)) if missing else {}
        return [self._images.get((source, place), partial(made.__getitem__, place)) for place in places]

    def _clock(self, sample: Sample, source: FrameFolder | RenderedClip) -> NDArray[np.float64]:
        """Seconds of the frames, kept with the clip they belong to."""
        if id(source) not in self._times:
            self._times[id(source)] = source, frame_times(source, frame_rate(source, sample.sound))
        return self._times[id(source)][1]

    def _hear(self, voice: SoundSource | None, second: float, rng: np.random.Generator | None) -> NDArray[np.float32]:
        assert self.sound is not None
        if voice is None:
            return np.zeros(self.sound.shape, np.float32)
        if rng is None or self.augment is None:
            return sound_tensor(self._window(voice, second), self.sound)
        shift = self.augment.sound_shift_s * rng.uniform(-1, 1)
        samples = augment_sound(self._window(voice, second + shift), self.augment, rng)
        tensor = sound_tensor(samples, self.sound)
        mask_sound(tensor, self.augment, rng)
        return tensor

    def _window(self, voice: SoundSource, second: float) -> NDArray[np.float32]:
        assert self.sound is not None
        sound = self._around(voice, second)
        if not sound.holds(second):
            return np.zeros(self.sound.n_samples, np.float32)
        return sound.window(second, self.sound.seconds)

    def _around(self, voice: SoundSource, second: float) -> Sound:
        """All of a sound that can be kept, else the part around a second."""
        assert self.sound is not None
        if voice in self._sounds or (voice not in self._long and self._has_room()):
            return self._whole_sound(voice)
        reach = self.sound.seconds
        return read_sound_source(
            voice,
            sample_rate=self.sound.sample_rate,
            start_s=max(0.0, second - reach),
            end_s=max(reach, second + reach),
        )

    def _has_room(self) -> bool:
        return self.sound is not None and self._sounds.has_room(LONG_S * self.sound.sample_rate * 4)

    def _whole_sound(self, voice: SoundSource) -> Sound:
        assert self.sound is not None
        rate = self.sound.sample_rate
        sound = self._sounds.get(voice, lambda: read_sound_source(voice, sample_rate=rate))
        if voice not in self._sounds and sound.end_s - sound.start_s > LONG_S:
            self._long.add(voice)
        return sound


def _has_pictures(sample: Sample) -> bool:
    source = sample.source
    if isinstance(source, FrameFolder):
        return source.numbers is not None or source.paths[0].is_file()
    return not isinstance(source, Recording | RenderedVoice | FeatureTable | FeatureCsv)
