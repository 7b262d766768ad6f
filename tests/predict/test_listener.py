"""What is heard around a moment: one file in stretches as in one piece, nothing beyond its ends and in silence."""

import wave
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.media.audio import read_sound
from mien.media.mel import sound_tensor
from mien.predict.listener import Listener, is_sound_alone
from mien.predict.sources import SoundFile, Video
from mien.schema.inputs import SoundSpec

SPEC = SoundSpec(n_mels=16, n_frames=32)
RATE = SPEC.sample_rate


@pytest.fixture
def noise(rng: np.random.Generator) -> NDArray[np.float32]:
    """Three seconds, of which the second from 1 to 2 is silent."""
    samples = rng.normal(0, 0.1, 3 * RATE).astype(np.float32)
    samples[RATE : 2 * RATE] = 0
    return samples


def write(path: Path, samples: NDArray[np.float32]) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.rint(samples.clip(-1, 1) * 32_767).astype("<i2").tobytes())
    return path


def test_stretches_give_what_the_whole_gives(noise, tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise)
    whole, listener = read_sound(path), Listener(path, SPEC, stretch_s=0.7)
    for time_s in (0.0, 0.3, 0.65, 0.69, 0.71, 1.1, 2.0, 2.8, 2.95):
        wanted = sound_tensor(whole.window(time_s, SPEC.seconds), SPEC)
        np.testing.assert_allclose(listener.hear(time_s), wanted, atol=1e-3)
    assert listener.problem == ""


def test_beyond_the_ends_and_in_silence_nothing_is_heard(noise, tmp_path: Path) -> None:
    listener = Listener(write(tmp_path / "a.wav", noise), SPEC)
    assert listener.hear(1.5) is None
    assert listener.hear(3.2) is None
    assert listener.hear(2.1) is not None
    assert listener.end_s(0.0) == pytest.approx(3.0)
    assert (listener.lasts(2.84), listener.lasts(2.85)) == (True, False)


def test_what_cannot_be_read_is_silent_and_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF of something else" * 40)
    listener = Listener(tmp_path / "bad.wav", SPEC, stretch_s=1.0)
    assert [listener.hear(time_s) for time_s in (0.0, 1.5, 2.5)] == [None] * 3
    assert listener.problem.count("cannot be read") == 1
    assert listener.end_s(0.0) == float("-inf")
    assert not listener.lasts(0.0)


def test_files_of_sound_alone_are_told_by_what_they_hold(noise, tmp_path: Path) -> None:
    path = tmp_path / "recorded.mp4"
    with av.open(str(path), "w") as output:
        track = output.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise[None], "fltp", "mono")
        frame.sample_rate = RATE
        for packet in (*track.encode(frame), *track.encode(None)):
            output.mux(packet)
    (tmp_path / "bad.mp4").write_text("no video")
    assert is_sound_alone(SoundFile("a.wav", tmp_path / "a.wav"))
    assert is_sound_alone(Video("recorded.mp4", path))
    assert not is_sound_alone(Video("bad.mp4", tmp_path / "bad.mp4"))
    assert not is_sound_alone(Video("none.mp4", tmp_path / "none.mp4"))
    assert not is_sound_alone(Video("stdin", "-", is_live=True))
    assert not is_sound_alone(Video("f", str(tmp_path / "%05d.png")))
