"""Drawn faces and voices of one number belong together."""

import pytest

from mien.data import synthetic_clips, synthetic_speakers
from mien.data.synthetic_voices import render_voice
from mien.schema.errors import DatasetError
from mien.schema.sample import RenderedVoice


def test_face_and_voice_are_of_one_person_with_one_expression():
    speakers, clips = synthetic_speakers.samples(21), synthetic_clips.samples(21)
    for index, (speaker, clip) in enumerate(zip(speakers, clips, strict=True)):
        assert speaker.source == clip.source
        assert (speaker.split, speaker.subject) == (clip.split, clip.subject)
        assert speaker.targets.label == clip.targets.label == render_voice(index, 0)[1].label
        assert speaker.voice == speaker.sound == RenderedVoice("mien.data.synthetic_voices:render_voice", index, 0)


def test_voices_alone():
    voices = synthetic_speakers.read_voices()
    assert len({s.key for s in voices}) == len(voices) == 2800
    assert all(isinstance(s.source, RenderedVoice) and s.sound is None for s in voices[:50])
    with pytest.raises(DatasetError, match="lie nowhere"):
        synthetic_speakers.read_voices("a")
    with pytest.raises(DatasetError, match="lie nowhere"):
        synthetic_speakers.read("a")
