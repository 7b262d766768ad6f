"""One clip, sound or picture of a dataset or folder to its features, whatever it is stored as."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from mien.data.moment_faces import Known, locate
from mien.data.prepare_clips import ClipFaces
from mien.faces.reader import FaceReader
from mien.faces.track import Tracker
from mien.media.clip_source import read_frames
from mien.media.frame_clock import clip_span, frame_rate, frame_times, nearest
from mien.media.image import read_source
from mien.predict.encode import Encoded, Encoder, Rgb, Shown, Steps, encode_faces, encode_sound
from mien.predict.main_face import largest, watch_main
from mien.predict.senses import Ear, hearing
from mien.predict.sources import Video
from mien.schema.errors import MediaError
from mien.schema.prediction import Face
from mien.schema.sample import Clip, FrameFolder, Recording, RenderedClip, Sample


@dataclass(kw_only=True)
class ClipEncoder:
    """Encodes samples, from any number of threads.

    Faces of videos are followed, and those of pictures in a folder searched; where a dataset tells that there is one
    face, in pictures and in clips that are pictures, it is found as for training and kept in the cache.

    Attributes:
        encoder: of faces or sounds.
        steps: when.
        reader: name of the dataset; ``None`` for a folder.
        crops: take each picture and frame for one face that is cut out already.
        min_face_px: smallest face that is searched for, by the shorter side of its box.
    """

    encoder: Encoder
    steps: Steps
    reader: str | None = None
    crops: bool = False
    min_face_px: int = 32
    _loading: Lock = field(default_factory=Lock, init=False, repr=False)
    _finder: FaceReader | None = field(default=None, init=False, repr=False)

    def locate(self, samples: Sequence[Sample]) -> Mapping[str, Known]:
        """Where the faces are that are not followed, by key.

        Raises:
            MediaError: if a picture cannot be read.
            BundleError: if the graphs that find faces are not on this machine.
        """
        if self.encoder.modality == "sound" or self.crops or self.reader is None:
            return {}
        searched = [sample for sample in samples if not isinstance(sample.source, Clip)]
        known = locate(searched, name=self.reader, progress=False)
        return {sample.key: face for sample, face in zip(searched, known, strict=True)}

    def __call__(self, sample: Sample, known: Known) -> Encoded:
        """The features of one sample.

        Args:
            sample: with a picture or clip for an encoder of faces, with a voice for one of sounds.
            known: of :meth:`locate`.

        Raises:
            MediaError: if it cannot be read, or there is nothing in it.
        """
        if self.encoder.modality == "sound":
            return self._hear(sample)
        match sample.source:
            case Clip(path, start_s, end_s):
                frames = watch_main(Video(str(path), path), self._tracker(), start_s, end_s)
                length = None if end_s is None else end_s - start_s
                return encode_faces(frames, self.encoder, self.steps, length)
            case FrameFolder() | RenderedClip():
                if isinstance(known, ClipFaces) and known.problem:
                    raise MediaError(known.problem)
                end_s = clip_span(sample.source, sample.sound)[1]
                return encode_faces(self._pictures(sample, known), self.encoder, self.steps, end_s)
        image = read_source(sample.source)
        return encode_faces([Shown(0.0, image, self._face(image, known))], self.encoder, self.steps)

    def _hear(self, sample: Sample) -> Encoded:
        voice, ear = sample.voice, self.encoder.sense
        assert voice is not None and isinstance(ear, Ear), sample.key
        origin_s = sample.source.start_s if isinstance(sample.source, Clip | Recording) else 0.0
        return encode_sound(hearing(voice, ear, origin_s), self.encoder, self.steps)

    def _pictures(self, sample: Sample, known: Known) -> Iterator[Shown]:
        """Of a clip that is pictures, or drawn, those that are nearest to a step."""
        source = sample.source
        assert isinstance(source, FrameFolder | RenderedClip)
        times = frame_times(source, frame_rate(source, sample.sound))
        count = 1 + int(times[-1] / self.steps.every_s)
        places = nearest(times, [self.steps.centre_s(number) for number in range(count)])
        for place in np.unique(places).tolist():
            (image,) = read_frames(source, [place])
            face = known.face(place) if isinstance(known, ClipFaces) else self._face(image, None)
            yield Shown(float(times[place]), image, face)

    def _face(self, image: Rgb, known: Known) -> Face | None:
        if isinstance(known, Face):
            return known
        if self.crops:
            return Face(box=(0.0, 0.0, float(image.shape[1]), float(image.shape[0])), score=1.0)
        return largest(self._reader.find_faces(image))

    def _tracker(self) -> Tracker | None:
        return None if self.crops else Tracker(self._reader, self._reader.mesh)

    @property
    def _reader(self) -> FaceReader:
        """Loaded when it is first needed: drawn clips and face crops do without."""
        with self._loading:
            if self._finder is None:
                self._finder = FaceReader(min_face_px=self.min_face_px)
        return self._finder
