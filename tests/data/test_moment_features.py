"""What a network is told of a face at moments: by which rows, and where there is none."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mien.data.feature_tables import FeatureStore
from mien.data.moment_features import FaceFeatures, bind_moments, face_features
from mien.data.moment_input import MomentInput, is_answerable, is_momentary
from mien.schema.errors import DatasetError
from mien.schema.inputs import FeatureSpec, FlagSpec, InputSpec, SoundSpec
from mien.schema.sample import (
    Clip,
    FeatureArray,
    FeatureTable,
    File,
    FrameFolder,
    Recording,
    RenderedClip,
    RenderedVoice,
    Sample,
)

Write = Callable[..., Path]
SPEC = FeatureSpec(width=3, n_steps=4, step_s=0.32, around_moment=True)
BOTH: dict[str, InputSpec] = {
    "face_features": SPEC,
    "sound": SoundSpec(),
    "has_sound": FlagSpec(),
    "has_face": FlagSpec(),
}
VOICE = RenderedVoice("mien.data.synthetic_voices:render_voice", 0, 0)


def video(key: str = "v", rate: int = 10) -> Sample:
    """A video of which neither pictures nor their number are there."""
    return Sample(key=key, source=FrameFolder((Path("none"),), rate=Fraction(rate)), split="train", sound=VOICE)


def rows_of(numbers: list[float]) -> np.ndarray:
    """Rows that tell their number; 0 is a row of zeros."""
    return np.repeat(np.array(numbers, np.float32)[:, None], 3, axis=1)


def bound(folder: Path, sample: Sample) -> tuple[Sample, FaceFeatures]:
    store = FeatureStore()
    (found,) = bind_moments([sample], "face_features", folder, store)
    return found, FaceFeatures("face_features", SPEC, store)


def told(faces: FaceFeatures, sample: Sample, second: float) -> list[float] | None:
    found = faces(sample, second)
    if found is None:
        return None
    assert found.shape == (4, 3)
    assert found.dtype == np.float32
    return found[:, 0].tolist()


def test_a_row_a_frame(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", rows_of(list(range(1, 31))))
    sample, faces = bound(tmp_path, video())
    assert faces.has(sample)
    # 1.52, 1.84, 2.16 and 2.48 s are nearest to frames 15, 18, 22 and 25
    assert told(faces, sample, 2.0) == [16, 19, 23, 26]
    assert told(faces, sample, 0.0) == [1, 1, 3, 6]
    assert told(faces, sample, 9.0) == [30, 30, 30, 30]
    assert faces.frames(sample).tolist() == list(range(30))
    assert faces.span(sample) == pytest.approx((0.0, 2.95))


@pytest.mark.parametrize("count", [10, 11, 12])
def test_frames_without_a_row_of_their_own_take_the_nearest(count: int, tmp_path: Path) -> None:
    numbers = [0.0, 0.0, 3.0, 4.0, *[0.0] * (count - 5), 9.0]
    np.save(tmp_path / "v.npy", rows_of(numbers))
    sample, faces = bound(tmp_path, video())
    assert faces.frames(sample).tolist() == [2, 3, count - 1]
    assert told(faces, sample, 0.0) == [3, 3, 3, 4]
    assert told(faces, sample, 5.0) == [9, 9, 9, 9]


def test_a_clip_without_any_row_with_a_face_has_none(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", rows_of([0.0] * 5))
    sample, faces = bound(tmp_path, video())
    assert not faces.has(sample)
    assert faces.frames(sample).size == 0
    assert told(faces, sample, 0.2) is None
    store = FeatureStore()
    first, second = bind_moments([video(), video("w")], "face_features", tmp_path, store)
    assert (first.features, second.features) == ((("face_features", FeatureArray(tmp_path / "v.npy")),), ())
    faces = FaceFeatures("face_features", SPEC, store)
    assert (faces.has(second), faces.span(second), told(faces, second, 0.0)) == (False, (0.0, 0.0), None)


def test_files_lie_as_keys_are_written_and_frames_share_that_of_their_clip(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    np.save(tmp_path / "train" / "v.npy", rows_of([1, 2]))
    frame = replace(video("train/v#00002"), frame=1)
    sample, faces = bound(tmp_path, frame)
    assert sample.features == (("face_features", FeatureArray(tmp_path / "train" / "v.npy")),)
    assert told(faces, sample, 0.1) == [1, 1, 2, 2]


def test_steps_of_mien_features_are_taken_by_their_time(tmp_path: Path, write_features: Write) -> None:
    folder = write_features(tmp_path / "face", [{"v": rows_of([0.0, 2.0, 3.0, 4.0])}])
    sample, faces = bound(folder, video())
    assert sample.features == (("face_features", FeatureTable(folder, "v")),)
    # rows stand at 0.5, 1.0, 1.5 and 2.0 s; the first has no face
    assert told(faces, sample, 1.3) == [2, 2, 3, 4]
    assert told(faces, sample, 0.0) == [2, 2, 2, 2]
    assert faces.frames(sample).tolist() == list(range(8, 25)), "0.8 s is nearer to 1.0 than to 0.5"
    assert faces.span(sample) == (0.0, 2.5)


def test_seconds_are_those_of_the_file(tmp_path: Path, write_features: Write) -> None:
    folder = write_features(tmp_path / "face", [{"v": rows_of([1.0, 2.0, 3.0, 4.0])}])
    for source in (Clip(Path("a.mp4"), start_s=10.0, end_s=12.0), Recording(Path("a.wav"), start_s=10.0)):
        sample, faces = bound(folder, Sample(key="v", source=source, split="train"))
        assert told(faces, sample, 11.3) == [2, 2, 3, 4]
        assert faces.span(sample) == (10.0, 12.5)


def test_a_picture_has_one_row(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", rows_of([7.0, 8.0]))
    sample, faces = bound(tmp_path, Sample(key="p", source=File(Path("p.png")), split="train"))
    assert told(faces, sample, 0.0) == [7, 7, 7, 7]
    assert faces.span(sample) == (0.0, 0.0)
    np.save(tmp_path / "s.npy", rows_of([7.0]))
    sound, faces = bound(tmp_path, Sample(key="s", source=VOICE, split="train"))
    with pytest.raises(DatasetError, match=r"s\.npy has a row for each frame, and s has no frames"):
        faces.has(sound)


def test_folders_that_cannot_be_used_are_refused(tmp_path: Path, write_features: Write) -> None:
    with pytest.raises(DatasetError, match=r"There is no folder .*none with face_features"):
        bound(tmp_path / "none", video())
    with pytest.raises(DatasetError, match=r"has features of none of the 1 clips, such as v: .* nor v\.npy"):
        bound(tmp_path, video())
    np.save(tmp_path / "v.npy", np.ones((4, 5), np.float32))
    sample, faces = bound(tmp_path, video())
    with pytest.raises(DatasetError, match=r"v\.npy has 5 features a row; the network takes 3"):
        faces.has(sample)
    with pytest.raises(DatasetError, match="random weights, which mean nothing"):
        bound(write_features(tmp_path / "random", [{"v": rows_of([1.0])}], weights="random"), video())
    heard = write_features(tmp_path / "heard", [{"v": rows_of([1.0])}], modality="sound")
    wide = write_features(tmp_path / "wide", [{"v": np.ones((2, 4), np.float32)}], width=4)
    broken = write_features(tmp_path / "broken", [{"v": rows_of([1.0, np.nan])}])
    for folder, message in (
        (heard, "heard has features of the sound by tiny; face_features are those of a face"),
        (wide, "wide has 4 features a row; the network takes 3"),
        (broken, "broken has features of 'v' that are not finite"),
    ):
        sample, faces = bound(folder, video())
        with pytest.raises(DatasetError, match=message):
            faces.has(sample)


def test_a_moment_is_told_and_heard_with_flags_for_what_is_not_there(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", rows_of([float(n) for n in range(1, 41)]))
    store = FeatureStore()
    one = Sample(key="a", source=RenderedClip("mien.data.synthetic_clips:render_clip", 0, 0), split="train")
    faces = face_features(BOTH, store)
    assert faces is not None
    assert face_features({"sound": SoundSpec()}, store) is None
    assert face_features({"x": FeatureSpec(width=3)}, store) is None
    assert is_momentary({"face_features": SPEC})
    assert not is_momentary({"face_features": FeatureSpec(width=3)})
    mute, spoken, silent = bind_moments(
        [one, replace(one, key="b", sound=VOICE), replace(one, key="c")], "face_features", tmp_path, store
    )
    assert [is_answerable(sample, None, BOTH, faces) for sample in (mute, spoken, silent)] == [True, True, False]
    assert not is_answerable(spoken, None, {"face_features": SPEC}, faces)
    make = MomentInput(BOTH, faces=faces)
    assert make.seconds == SoundSpec().seconds
    assert MomentInput({"face_features": SPEC}, faces=faces).seconds == pytest.approx(1.28)
    assert (make.spec, make.size_px, make.resized(48)) == (SPEC, 0, make)
    found = [make(sample, None, 0.8) for sample in (mute, spoken, silent)]
    assert [(float(f["has_face"]), float(f["has_sound"])) for f in found] == [(1, 0), (0, 1), (0, 0)]
    assert found[0].keys() == BOTH.keys()
    np.testing.assert_array_equal(found[0]["face_features"][:, 0], [9, 17, 25, 33])
    assert not found[1]["face_features"].any()
