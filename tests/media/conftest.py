"""Videos with known pictures, times and sounds, written for the tests that read them back."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

BITS = 12
SOUND_RATE_HZ = 44_100


def _numbered(number: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    width, height = size
    stripes = np.array([230 if number >> bit & 1 else 25 for bit in range(BITS)], np.uint8)
    row = stripes[np.arange(width) * BITS // width]
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def _noisy(number: int) -> np.ndarray:
    noise = np.random.default_rng(number).integers(-20, 21, (48, 64, 3))
    return (_numbered(number) + noise).clip(0, 255).astype(np.uint8)


def _number_of(image: np.ndarray) -> int:
    centres = [int((bit + 0.5) * image.shape[1] / BITS) for bit in range(BITS)]
    return sum(1 << bit for bit, x in enumerate(centres) if image[:, x].mean() > 127)


def _clicks(click_s: float, length_s: float) -> list[av.AudioFrame]:
    samples = np.zeros((1, int(length_s * SOUND_RATE_HZ)), np.float32)
    start = int(click_s * SOUND_RATE_HZ)
    samples[0, start : start + 441] = 0.9 * np.sin(np.arange(441) * 0.3)
    frames = []
    for at in range(0, samples.shape[1], 1152):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, at : at + 1152]), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE_HZ, at, Fraction(1, SOUND_RATE_HZ)
        frames.append(frame)
    return frames


def _click_s(path: Path) -> float:
    with av.open(str(path)) as source:
        for frame in source.decode(audio=0):
            loud = np.abs(frame.to_ndarray().astype(np.float64)).max(axis=0)
            loud = loud / 32768 if frame.format.name.startswith("s16") else loud
            if loud.max() > 0.3:
                return float(frame.time) + int((loud > 0.3).argmax()) / frame.sample_rate
    raise AssertionError("there is no click")


@pytest.fixture(scope="session")
def film() -> SimpleNamespace:
    """What the written videos show and how to read it back.

    ``numbered(n)`` is a picture whose stripes are the bits of ``n``, ``number_of(image)`` reads them; ``noisy(n)`` is
    the same with noise, so that it takes some kilobytes;
    ``click_s(path)`` is when the burst of 10 ms is heard, by the file's clock.
    """
    return SimpleNamespace(numbered=_numbered, noisy=_noisy, number_of=_number_of, click_s=_click_s)


@pytest.fixture
def write_video(tmp_path: Path) -> Callable[..., Path]:
    """``write_video(name, stamps)``: a video whose n-th picture is ``numbered(n)``, shown at ``stamps[n]`` ms."""

    def write(
        name: str,
        stamps: Sequence[int],
        *,
        time_base: Fraction = Fraction(1, 1000),
        rate: Fraction | None = Fraction(25),
        picture: Callable[[int], np.ndarray] = _numbered,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        options: dict[str, str] | None = None,
        container_options: dict[str, str] | None = None,
        rotate: dict[str, Any] | None = None,
        click_s: float | None = None,
        sound_codec: str = "aac",
    ) -> Path:
        path = tmp_path / name
        height, width = picture(0).shape[:2]
        with av.open(str(path), "w", container_options=container_options or {}) as output:
            stream = output.add_stream(codec, rate=rate or 1 / time_base, options=options or {})
            stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
            stream.codec_context.time_base = time_base
            if rotate:
                stream.set_display_rotation(**rotate)
            if click_s is not None:
                sound = output.add_stream(sound_codec, rate=SOUND_RATE_HZ, layout="mono")
                for piece in [*_clicks(click_s, float(stamps[-1] * time_base) + 0.04), None]:
                    output.mux(sound.encode(piece))
            for number, stamp in enumerate(stamps):
                frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
                frame.pts, frame.time_base = stamp, time_base
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return path

    return write
