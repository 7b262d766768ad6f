import wave
from pathlib import Path

import numpy as np
import pytest

from mien.predict import loudness as room
from mien.predict.loudness import loudness


def write_wav(path: Path, samples: np.ndarray, rate: int = 8000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(samples * 32_767).astype("<i2").tobytes())
    return path


def test_parts_are_as_loud_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tone = np.sin(np.arange(8000) * 2 * np.pi * 440 / 8000)
    path = write_wav(tmp_path / "a.wav", np.concatenate([tone, 0.1 * tone, 0 * tone, 0.01 * tone]))
    found = loudness(path, 0.0, 4.0, 4)
    assert found is not None
    decibels = (1 - found) * room.SOFTEST_DB
    assert decibels[[0, 1, 3]].tolist() == pytest.approx([-3.0, -23.0, -43.0], abs=0.2)
    assert found[2] == 0
    monkeypatch.setattr(room, "STRETCH_S", 0.7)
    np.testing.assert_allclose(loudness(path, 0.0, 4.0, 4), found, atol=0.01)


def test_a_part_and_what_is_no_sound(tmp_path: Path) -> None:
    tone = np.sin(np.arange(8000) * 2 * np.pi * 440 / 8000)
    path = write_wav(tmp_path / "a.wav", np.concatenate([0 * tone, tone]))
    found = loudness(path, 0.5, 1.5, 2)
    assert found is not None
    assert (found[0], found[1]) == (0, pytest.approx(1 + 3 / room.SOFTEST_DB, abs=0.01))
    (tmp_path / "b.mp4").write_bytes(b"nothing")
    assert loudness(tmp_path / "b.mp4", 0.0, 1.0, 4) is None
