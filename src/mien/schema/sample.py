"""One annotated face, clip or utterance, described without touching a pixel."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

Box = tuple[float, float, float, float]
"""``x1, y1, x2, y2`` in pixels of the source picture."""


@dataclass(frozen=True, slots=True)
class File:
    """A picture that is a file of its own."""

    path: Path


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A picture inside a zip archive."""

    archive: Path
    member: str


@dataclass(frozen=True, slots=True)
class CsvRow:
    """A picture written as numbers in a row of a CSV file; ``offset`` is the row's first byte."""

    path: Path
    offset: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """A picture drawn on demand: ``"module:name"`` of a function of ``(index, seed)``."""

    renderer: str
    index: int
    seed: int


@dataclass(frozen=True, slots=True)
class Composed:
    """A picture put together on demand from the pictures of a dataset.

    Attributes:
        renderer: ``"module:name"`` of a function of this value.
        root: folder of the dataset whose pictures are used.
        split: part of the dataset whose pictures are used.
        index: number of the picture in its split.
        seed: seed of the set.
        material: names of what is used beside the dataset, such as photographs that come with installed packages.
    """

    renderer: str
    root: Path
    split: str
    index: int
    seed: int
    material: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FrameFolder:
    """A clip as pictures in the order of time; where there are none, ``paths`` is the folder that should have them.

    Attributes:
        paths: the pictures.
        numbers: of which frames of the video they are, from 0, rising; ``None`` if none is left out.
        rate: frames a second of the video; ``None`` if unknown.
    """

    paths: tuple[Path, ...]
    numbers: tuple[int, ...] | None = None
    rate: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of a video file, in seconds of its own clock; ``end_s=None`` is its end."""

    path: Path
    start_s: float = 0.0
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class RenderedClip:
    """A clip drawn on demand.

    Attributes:
        renderer: ``"module:name"`` of a function ``(index, seed, frames=None)``. It gives the frames of these numbers,
            or all, as ``uint8 [N, H, W, 3]`` RGB, and their truth, which has ``landmarks``, ``float32 [N, 68, 2]``.
            Beside it stands ``name_landmarks`` of ``(index, seed)``, the landmarks of all frames without a pixel.
        index: number of the clip.
        seed: seed of the set.
        n_frames: how many frames there are.
        rate: frames a second.
    """

    renderer: str
    index: int
    seed: int
    n_frames: int = 48
    rate: Fraction = Fraction(25)


@dataclass(frozen=True, slots=True)
class Recording:
    """A stretch of the sound in a file of sound or a video, in seconds of its own clock; ``end_s=None`` is its end."""

    path: Path
    start_s: float = 0.0
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class RenderedVoice:
    """A voice made on demand.

    Attributes:
        renderer: ``"module:name"`` of a function ``(index, seed)`` that gives ``float32 [N]`` in [-1, 1] at 16 kHz, and
            its truth.
        index: number of the voice.
        seed: seed of the set.
    """

    renderer: str
    index: int
    seed: int


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Features of one clip or sound in a folder that ``mien features`` wrote: the rows of ``key``."""

    path: Path
    key: str


@dataclass(frozen=True, slots=True)
class FeatureCsv:
    """Features of one clip or sound in a CSV file with a header, a line a step.

    Attributes:
        path: the file.
        skip: how many columns stand before the features, such as name and time.
    """

    path: Path
    skip: int = 2


@dataclass(frozen=True, slots=True)
class FeatureArray:
    """Features of one clip in a NumPy file: ``float [N, D]``, row ``i`` of frame ``i`` of the clip, from 0."""

    path: Path


PictureSource = File | ZipMember | CsvRow | Rendered | Composed
ClipSource = FrameFolder | Clip | RenderedClip
SoundSource = Recording | RenderedVoice
FeatureSource = FeatureTable | FeatureCsv | FeatureArray
Source = PictureSource | ClipSource | SoundSource | FeatureTable | FeatureCsv


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What is known of a sample; whatever is unknown is ``None``.

    Attributes:
        label: canonical name of the single label.
        votes: (canonical label, count) for each answer that annotators could give.
        landmarks: 68 ``(x, y)`` points in pixels of the source picture.
        intensity: strength of the expression in [0, 1].
        valence: pleasantness in [-1, 1].
        arousal: activation in [-1, 1].
        frames: label of each frame of a clip, from its first on, ``None`` where nobody labelled it. Names are shared
            (``sys.intern``), so that a frame costs a pointer.
        intensities: (canonical name, strength in [0, 1]) of each reaction that was judged.
    """

    label: str | None = None
    votes: tuple[tuple[str, float], ...] | None = None
    landmarks: tuple[tuple[float, float], ...] | None = None
    intensity: float | None = None
    valence: float | None = None
    arousal: float | None = None
    frames: tuple[str | None, ...] | None = None
    intensities: tuple[tuple[str, float], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One annotated face, clip or utterance.

    Attributes:
        key: unique and stable name within the dataset; the same on every machine.
        source: where its pixels are; of an utterance without pictures its sound; where neither is there, features.
        split: the dataset's own split: ``train``, ``valid`` or ``test``.
        folds: official folds in which the sample is held back, if the dataset has folds.
        groups: parts of the dataset to which it belongs beside its split, such as its scene; lower-case.
        subject: person, where the dataset tells.
        box: the face in the source picture; ``None`` if that is a face crop already, or if nobody marked the face.
        aligned: whether the picture is a crop aligned by the dataset's authors.
        pixel_hash: digest of the decoded pixels, where the layout brings one.
        also_in: other splits in which the same pixels stand, where the layout tells.
        targets: the annotation.
        sound: the voice that belongs to the pictures of ``source``, by the same clock.
        frame: where one frame of a clip is a sample of its own, its number from 0; ``source`` is then the whole clip.
        features: (name, where they are) of each set of features that was computed of it.
    """

    key: str
    source: Source
    split: str
    folds: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()
    subject: str | None = None
    box: Box | None = None
    aligned: bool = False
    pixel_hash: str | None = None
    also_in: tuple[str, ...] = ()
    targets: Targets = field(default_factory=Targets)
    sound: SoundSource | None = None
    frame: int | None = None
    features: tuple[tuple[str, FeatureSource], ...] = ()

    @property
    def voice(self) -> SoundSource | None:
        """Where its sound is: beside the pictures, or all that there is; ``None`` if it is mute."""
        return self.source if isinstance(self.source, Recording | RenderedVoice) else self.sound
