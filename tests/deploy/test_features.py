"""Features of clips that are stored in different ways, and the names of clips of a folder."""

import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mien.deploy.encoders import open_encoder
from mien.deploy.feature_clips import ClipEncoder
from mien.deploy.feature_sources import find_material
from mien.media.image import read_image
from mien.predict.encode import Steps
from mien.schema.errors import ConfigError, DatasetError
from mien.schema.sample import Clip, File, FrameFolder, Recording, RenderedVoice, Sample

Make = Callable[..., ClipEncoder]


@pytest.fixture
def make(tiny_encoders: dict[str, Path]) -> Make:
    def make(kind: str, **changes) -> ClipEncoder:
        return ClipEncoder(encoder=open_encoder(tiny_encoders[kind]), steps=Steps(), **changes)

    return make


def film(path: Path, images: list[np.ndarray], rate: int = 10) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=Fraction(rate))
        stream.height, stream.width, stream.pix_fmt = *images[0].shape[:2], "yuv420p"
        stream.bit_rate = 4_000_000
        for image in images:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode())
    return path


def grey(value: int) -> np.ndarray:
    return np.full((32, 32, 3), value, np.uint8)


def test_a_stretch_of_a_video_counts_its_own_seconds(make: Make, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [grey(5 * i) for i in range(50)])
    clips = make("face", crops=True)
    whole = clips(Sample(key="a", source=Clip(path), split=""), None)
    part = clips(Sample(key="b", source=Clip(path, 2.0, 4.0), split=""), None)
    assert len(whole) == 10
    assert part.time_s.tolist() == [0.5, 1.0, 1.5, 2.0]
    np.testing.assert_allclose(part.features[:3], whole.features[4:7], atol=0.05)


def test_frames_that_are_files_have_the_time_of_their_number(make: Make, tmp_path: Path) -> None:
    paths = []
    for number in (5, 6, 7, 40):
        paths.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(paths[-1]), grey(6 * number))
    source = FrameFolder(tuple(paths), numbers=(5, 6, 7, 40), rate=Fraction(10))
    found = make("face", crops=True)(Sample(key="a", source=source, split=""), None)
    assert found.present.tolist() == [True, True, True, False, False, True, True, True, True]
    brightness = found.features.mean(1)
    assert brightness[0] < brightness[1] == brightness[2] == brightness[4] < brightness[5]


def test_the_sound_of_a_stretch(make: Make) -> None:
    clips = make("sound")
    source = RenderedVoice("mien.data.synthetic_voices:render_voice", 0, 0)
    found = clips(Sample(key="a", source=source, split=""), None)
    assert len(found) == len(found.present) > 0
    assert found.features.shape[1] == 16


def test_a_stretch_is_heard_on_its_own_clock(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = np.random.default_rng(0).normal(0, 3000, 6 * 16_000)
    samples[: 2 * 16_000] = 0
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(samples.astype("<i2").tobytes())
    clips = make("sound")
    whole = clips(Sample(key="a", source=Recording(path), split=""), None)
    part = clips(Sample(key="b", source=Recording(path, 3.0, 5.0), split=""), None)
    assert whole.present.tolist() == [False, False, True, *[True] * 9]
    assert len(part) == 4
    np.testing.assert_allclose(part.features[1], whole.features[7], atol=1e-4)


def test_a_face_is_followed_in_a_video_and_found_in_a_photo(make: Make, portrait: Path, tmp_path: Path) -> None:
    photo = cv2.resize(read_image(portrait), (256, 300))
    blank = np.full_like(photo, 90)
    path = film(tmp_path / "a.mp4", [photo] * 12 + [blank] * 8)
    clips = make("face")
    found = clips(Sample(key="a", source=Clip(path), split=""), None)
    assert found.present.tolist() == [True, True, False, False]
    np.testing.assert_array_equal(found.features[2], found.features[1])
    still = clips(Sample(key="b", source=File(portrait), split=""), None)
    assert (len(still), still.present.tolist()) == (1, [True])
    assert np.abs(still.features - found.features[0]).mean() < 0.1


# What a folder and a dataset hold


def test_keys_are_paths_without_suffix(tmp_path: Path) -> None:
    for name in ("b/10.mp4", "b/9.mp4", "a.wav", "a.mp4", "c.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    sound = find_material(str(tmp_path), "sound")
    assert [one.key for one in sound.samples] == ["a.mp4", "a.wav", "b/9", "b/10"]
    assert isinstance(sound.samples[1].source, Recording)
    face = find_material(str(tmp_path), "face")
    assert [(one.key, type(one.source)) for one in face.samples] == [
        ("a", Clip), ("c", File), ("b/9", Clip), ("b/10", Clip),
    ]  # fmt: skip
    assert face.described == {"folder": tmp_path.name}
    before = face.fingerprint
    (tmp_path / "c.jpg").write_bytes(b"longer")
    assert find_material(str(tmp_path), "face").fingerprint != before


def test_frames_that_are_samples_stand_for_their_clip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mien.deploy import feature_sources

    clip = Clip(tmp_path / "a.mp4")
    frames = [Sample(key=f"a#{i}", source=clip, split="train", frame=i) for i in range(3)]
    monkeypatch.setattr(feature_sources, "read_dataset", lambda *_: frames)
    found = find_material("aff_wild2", "face")
    assert [(one.key, one.frame) for one in found.samples] == [("a", None)]
    with pytest.raises(DatasetError, match="aff_wild2 has no sound for an encoder of sounds"):
        find_material("aff_wild2", "sound")


def test_names_that_stand_for_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no folder 'ravdes'.* Did you mean: ravdess"):
        find_material("ravdes", "sound")
    with pytest.raises(ConfigError, match="There is no file"):
        find_material(str(tmp_path / "none" / "x.wav"), "sound")
