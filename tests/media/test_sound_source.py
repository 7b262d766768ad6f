"""Stretches of files and voices made on demand come out as the same kind of sound."""

from pathlib import Path

import numpy as np
import pytest

from mien.data.synthetic_voices import render_voice, write_wav
from mien.media.sound_source import read_sound_source
from mien.schema.errors import MediaError
from mien.schema.sample import Recording, RenderedVoice


def test_a_drawn_voice_is_what_its_renderer_gives() -> None:
    sound = read_sound_source(RenderedVoice("mien.data.synthetic_voices:render_voice", 3, 1))
    np.testing.assert_array_equal(sound.samples, render_voice(3, 1)[0])
    assert (sound.sample_rate, sound.start_s) == (16_000, 0.0)
    with pytest.raises(MediaError, match="16000 samples a second; asked for: 8000"):
        read_sound_source(RenderedVoice("mien.data.synthetic_voices:render_voice", 3, 1), sample_rate=8000)


def test_a_stretch_of_a_file_and_what_is_asked_for_of_it(tmp_path: Path) -> None:
    whole = np.linspace(-0.5, 0.5, 32_000, dtype=np.float32)
    path = write_wav(tmp_path / "a.wav", whole)
    for source, first, last, wanted in (
        (Recording(path), None, None, (0.0, 2.0)),
        (Recording(path, 0.5, 1.5), None, None, (0.5, 1.5)),
        (Recording(path, 0.5, 1.5), 0.25, 1.0, (0.5, 1.0)),
        (Recording(path, 0.5), 1.0, None, (1.0, 2.0)),
    ):
        sound = read_sound_source(source, start_s=first, end_s=last)
        assert (sound.start_s, sound.end_s) == pytest.approx(wanted)
        np.testing.assert_allclose(
            sound.samples, whole[round(wanted[0] * 16_000) : round(wanted[1] * 16_000)], atol=1e-4
        )
