"""Models of the intensity of reactions on clips: windows, what is missing, and that features are those of training."""

import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.faces.track import TrackedFace, Tracker
from mien.media.image import write_image
from mien.media.tensors import features_tensor
from mien.media.video import VideoInfo
from mien.media.video_writer import VideoWriter
from mien.predict.encode import Encoder, Steps, encode_faces, encode_sound
from mien.predict.loading import load
from mien.predict.main_face import watch_main
from mien.predict.reactions import SEVERAL, UNMOVED, ReactionPredictor
from mien.predict.senses import Ear, Eye, WindowEar, hearing
from mien.predict.sources import UNHEARD, Video
from mien.predict.watch import VideoOptions
from mien.runtime.bundle import read_bundle, revise_bundle
from mien.schema.errors import BundleError, ConfigError, MediaError
from mien.schema.inputs import FeatureSpec, ImageSpec, SoundSpec
from mien.schema.labels import LabelSet
from mien.schema.prediction import Result
from mien.schema.sample import Recording
from mien.tasks.regress import Regress

LABELS = LabelSet("two", ("fear", "surprise"))
RATE = 16_000
NAMES = {"a": "sound_features", "v": "face_features"}


class Means:
    """Fear is the mean of the first number of all steps of the face, surprise that of the sound; keeps its food."""

    outputs = ("intensity",)

    def __init__(self, inputs: Sequence[str]) -> None:
        self.inputs = tuple(inputs)
        self.fed: list[dict[str, NDArray[Any]]] = []

    def __call__(self, **arrays: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        assert set(arrays) == set(self.inputs)
        assert all(array.dtype == np.float32 and array.shape == (1, 6, 2) for array in arrays.values())
        self.fed.append({name: array[0] for name, array in arrays.items()})
        nothing = np.zeros((1, 6, 2), np.float32)
        means = [arrays.get(name, nothing)[:, :, 0].mean(1) for name in ("face_features", "sound_features")]
        return {"intensity": np.stack(means, axis=1)}


class Everywhere:
    """Faces side by side over the whole frame, away while it is black; breaks off at the second that is set."""

    def __init__(self, faces: int = 1, until_s: float = np.inf) -> None:
        self.faces, self.until_s = faces, until_s

    def update(self, image: NDArray[np.uint8], time_s: float) -> list[TrackedFace]:
        if time_s >= self.until_s:
            raise MediaError("cut off")
        if image.mean() < 5:
            return []
        height, width = image.shape[:2]
        edges = np.linspace(0, width, self.faces + 1).tolist()
        return [
            TrackedFace(box=(left, 0.0, right, float(height)), score=0.9, face_id=number)
            for number, (left, right) in enumerate(pairwise(edges))
        ]


def encoder(kind: str) -> Encoder:
    """The mean of its input, and a one."""

    def run(tensors: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.stack([tensors.mean((1, 2, 3)), np.ones(len(tensors))], axis=1).astype(np.float32)

    sense: Eye | Ear = (
        Eye(spec=ImageSpec(size_px=8, mean=(0, 0, 0), std=(1, 1, 1)))
        if kind == "v"
        else WindowEar(spec=SoundSpec(n_mels=16))
    )
    modality = "face" if kind == "v" else "sound"
    return Encoder(name=kind, weights="random", modality=modality, width=2, sense=sense, run=run, batch_size=4)


@pytest.fixture
def make() -> Callable[..., ReactionPredictor]:
    """A predictor of windows of three seconds; ``kinds`` says what it reads."""

    def made(kinds: str = "av", **follow: Any) -> ReactionPredictor:
        names = [NAMES[kind] for kind in kinds]
        return ReactionPredictor(
            session=Means(names),
            task=Regress(labels=LABELS),
            inputs={name: FeatureSpec(width=2, n_steps=6) for name in names},
            encoders={NAMES[kind]: encoder(kind) for kind in kinds},
            model="means@0",
            make_tracker=lambda options: cast(Tracker, Everywhere(**follow)),
        )

    return made


def write_wav(path: Path, seconds: float) -> Path:
    samples = np.random.default_rng(1).normal(0, 3000, round(seconds * RATE)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path


def film(path: Path, levels: Sequence[int], voice_s: float = 0.0) -> Path:
    """Grey pictures at 10 a second, as bright as ``levels``, and perhaps noise for a voice."""
    info = VideoInfo(
        width=64,
        height=48,
        rate=Fraction(10),
        duration_s=None,
        frames=None,
        rotation_deg=0,
        codec="h264",
        has_sound=voice_s > 0,
        time_base=Fraction(1, 1000),
    )
    voice = write_wav(path.with_suffix(".wav"), voice_s) if voice_s else None
    with VideoWriter(path, info, sound_from=voice) as writer:
        for number, level in enumerate(levels):
            writer.write(np.full((48, 64, 3), level, np.uint8), number / 10)
    return path


def fed(predictor: ReactionPredictor, name: str) -> NDArray[Any]:
    assert isinstance(predictor.session, Means)
    return np.stack([one[name] for one in predictor.session.fed])


def spans(result: Result) -> list[tuple[float | None, float | None]]:
    return [(row.start_s, row.end_s) for row in result]


RAMP = [20 + 4 * number for number in range(50)]


def test_a_short_clip_is_one_row_from_features_as_in_training(make, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", RAMP[:24], 2.4)
    predictor = make()
    (row,) = predictor(path)
    assert (row.start_s, row.end_s) == pytest.approx((0.0, 2.4), abs=0.06)
    assert row.time_s == pytest.approx((row.start_s + row.end_s) / 2)
    assert (row.source, row.status, row.detail, row.modalities) == (str(path), "ok", "", "face+voice")
    assert (row.label, row.score, row.probabilities, row.w_face, row.w_voice) == (None,) * 5
    assert row.face is not None
    assert (row.face.box, row.face_id, row.frame) == ((0.0, 0.0, 64.0, 48.0), 0, 10)
    spec, steps = FeatureSpec(width=2, n_steps=6), Steps()
    face = encode_faces(watch_main(Video("a", path), cast(Tracker, Everywhere())), encoder("v"), steps)
    ear = encoder("a").sense
    assert isinstance(ear, Ear)
    voice = encode_sound(hearing(Recording(path), ear), encoder("a"), steps)
    assert len(face) == len(voice) == 5
    np.testing.assert_array_equal(fed(predictor, "face_features")[0], features_tensor(face.features, spec))
    np.testing.assert_array_equal(fed(predictor, "sound_features")[0], features_tensor(voice.features, spec))
    assert not fed(predictor, "face_features")[0, 5].any()


def test_longer_clips_have_a_window_every_so_often_and_one_at_the_end(make, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", RAMP)
    predictor = make("v")
    result = predictor(path, video=VideoOptions(window_every_s=1.0))
    assert spans(result) == [(0.0, 3.0), (1.0, 4.0), (2.0, 5.0)]
    assert [row.time_s for row in result] == [1.5, 2.5, 3.5]
    fear = [row.intensities[0] for row in result if row.intensities is not None]
    assert fear == pytest.approx([(20 + 4 * middle) / 255 for middle in (17.5, 27.5, 36.5)], abs=0.02)
    assert spans(make("v")(path)) == [(0.0, 3.0), (2.0, 5.0)]
    assert spans(make("v")(film(tmp_path / "b.mp4", RAMP[:30]))) == [(0.0, 3.0)]


def test_a_window_is_answered_as_the_clip_that_consists_of_it(make, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [*RAMP[:22], *[0] * 14, *RAMP[:14]], 5.0)
    whole, part = make(), make()
    result = whole(path, video=VideoOptions(window_every_s=2.0))
    (row,) = part(path, video=VideoOptions(start_s=2.0, end_s=5.0))
    assert (row.start_s, row.end_s, row.time_s) == pytest.approx((2.0, 5.0, 3.5), abs=0.06)
    assert (row.frame, row.face) == (result[1].frame, None)
    face = fed(whole, "face_features")
    np.testing.assert_array_equal(face[1], fed(part, "face_features")[0])
    assert not face[1, :2].any(), "a face of before this window is none of it"
    assert face[0, 4:].any(), "one that was lost in it repeats"
    np.testing.assert_allclose(fed(whole, "sound_features")[1], fed(part, "sound_features")[0], atol=1e-3)


def test_what_is_missing_is_zeros_and_the_row_says_what_was_there(make, tmp_path: Path) -> None:
    predictor = make()
    (mute,) = predictor(film(tmp_path / "a.mp4", RAMP[:20]))
    assert (mute.modalities, mute.status) == ("face", "ok")
    assert not fed(predictor, "sound_features").any()
    predictor = make()
    (voice,) = predictor(film(tmp_path / "b.mp4", [0] * 20, 2.0))
    assert (voice.modalities, voice.status, voice.face, voice.face_id) == ("voice", "ok", None, None)
    assert not fed(predictor, "face_features").any()
    (nothing,) = make()(film(tmp_path / "c.mp4", [0] * 20))
    assert (nothing.status, nothing.modalities, nothing.intensities) == ("no_face", "", None)
    assert nothing.detail == "No face was found, and nothing is heard."
    assert (nothing.start_s, nothing.end_s) == pytest.approx((0.0, 2.0))


def test_a_network_of_one_kind_without_its_kind_says_so(make, tmp_path: Path) -> None:
    (row,) = make("v")(film(tmp_path / "a.mp4", [0] * 20, 2.0))
    assert (row.status, row.detail) == ("no_face", "No face was found.")
    (row,) = make("a")(film(tmp_path / "b.mp4", RAMP[:20]))
    assert (row.status, row.detail) == ("no_face", "Nothing is heard.")
    (row,) = make("a")(film(tmp_path / "c.mp4", RAMP[:20], 2.0))
    assert (row.status, row.modalities, row.face) == ("ok", "voice", None)


def test_sound_alone_is_heard_or_refused(make, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", 4.0)
    result = make()(path)
    assert spans(result) == [(0.0, 3.0), (1.0, 4.0)]
    assert {(row.modalities, row.status, row.frame) for row in result} == {("voice", "ok", None)}
    (row,) = make("v")(path)
    assert (row.status, row.detail) == ("error", UNHEARD)


def test_pictures_and_what_cannot_be_read_are_rows_that_say_so(make, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "b.mp4").write_bytes(b"no video")
    picture, broken, absent = make()([tmp_path / "a.png", tmp_path / "b.mp4", tmp_path / "c.mp4"])
    assert (picture.status, picture.detail) == ("error", UNMOVED)
    assert broken.status == absent.status == "error"
    assert "b.mp4" in broken.detail
    assert {row.modalities for row in (picture, broken, absent)} == {""}


def test_a_clip_that_breaks_off_keeps_its_rows_and_says_so(make, tmp_path: Path) -> None:
    first, second, problem = make("v", until_s=4.0)(film(tmp_path / "a.mp4", RAMP))
    assert [(row.start_s, row.end_s) for row in (first, second)] == [(0.0, 3.0), (1.0, 4.0)]
    assert (problem.status, problem.detail, problem.start_s) == ("error", "cut off", None)


def test_of_several_faces_the_largest_is_followed_and_the_row_says_so(make, tmp_path: Path) -> None:
    (row,) = make(faces=2)(film(tmp_path / "a.mp4", RAMP[:20]))
    assert (row.detail, row.face_id, row.status) == (SEVERAL, 0, "ok")
    assert make("a", faces=2)(film(tmp_path / "b.mp4", RAMP[:20], 2.0))[0].detail == ""


def test_answers_that_are_no_numbers_are_errors(make, tmp_path: Path) -> None:
    class Broken(Means):
        def __call__(self, **arrays: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
            return {"intensity": np.full((1, 2), np.nan, np.float32)}

    (row,) = replace(make("v"), session=Broken(["face_features"]))(film(tmp_path / "a.mp4", RAMP[:20]))
    assert (row.status, row.intensities) == ("error", None)


def test_frames_are_those_of_training(make, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", RAMP)
    for options in (VideoOptions(every=2), VideoOptions(fps=5)):
        with pytest.raises(ConfigError, match="as in training; leave out `every` and `fps`"):
            make()(path, video=options)
    with pytest.raises(ConfigError, match="From one window to the next"):
        VideoOptions(window_every_s=0.1)


def test_a_source_that_comes_in_its_own_time_is_answered_as_it_comes(make, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", RAMP, 5.0)
    answers = make().stream([Video("live", path, is_live=True)], keep_images=True)
    first = next(answers)
    assert first.predictions[0].modalities == "face", "a camera has no sound"
    assert first.sights[-1].time_s < 4.5
    rest = list(answers)
    assert [answer.predictions[0].end_s for answer in (first, *rest)] == [3.0, 5.0]
    seen = [sight.time_s for answer in (first, *rest) for sight in answer.sights]
    assert seen == pytest.approx(np.arange(50) / 10)


def test_the_table_has_intensities_in_place_of_probabilities(make, tmp_path: Path) -> None:
    result = make()(film(tmp_path / "a.mp4", RAMP[:20]))
    names = list(result.columns)
    assert names[-5:] == ["i_fear", "i_surprise", "modalities", "w_face", "w_voice"]
    assert not [name for name in names if name.startswith("p_")]
    frame = result.to_pandas()
    assert frame["i_fear"][0] == pytest.approx(result[0].intensities[0], abs=1e-6)
    assert (frame["label"][0], frame["modalities"][0]) == ("", "face")
    for suffix in (".csv", ".jsonl", ".parquet"):
        assert result.save(tmp_path / f"t{suffix}").stat().st_size
    with pytest.raises(ConfigError, match="read the columns i_<reaction> instead"):
        result.episodes()
    assert result.draw().shape[1] == 1440
    with pytest.raises(ConfigError, match="no answer to draw"):
        make()(tmp_path / "none.mp4").draw()


def test_a_bundle_is_loaded_with_its_encoders_and_needs_no_torch(make_reaction, without_torch, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", RAMP[:30], 3.0)
    code = (
        "import sys, mien\n"
        "reader = mien.load(sys.argv[1], finder=None)\n"
        "(row,) = reader(sys.argv[2])\n"
        "assert row.modalities == 'face+voice' and row.intensities.shape == (7,), row\n"
        "assert ((0 < row.intensities) & (row.intensities < 1)).all()\n"
    )
    without_torch(code, str(make_reaction("av", steps=6)), str(tmp_path / "a.mp4"))


def test_a_bundle_that_cannot_be_used_on_clips_says_what_to_do(make_reaction) -> None:
    bare = make_reaction("av", attach=False)
    with pytest.raises(BundleError, match=r"encoder that makes sound_features and face_features. Attach .*attach_enc"):
        load(bare)
    other = revise_bundle(read_bundle(make_reaction("v")), task={"name": "classify"})
    with pytest.raises(BundleError, match="needs the task 'regress' and face_features, sound_features or both"):
        load(other.path)


def test_a_real_face_and_voice(make_reaction, mien_data: Path) -> None:
    path = mien_data / "video" / "grid_lbax4n.mpg"
    (row,) = load(make_reaction("av"))(path)
    assert (row.start_s, row.modalities, row.status) == (0.0, "face+voice", "ok")
    assert row.end_s == pytest.approx(3.0, abs=0.1)
    assert row.face is not None
    mute = load(make_reaction("v"))(mien_data / "video" / "pyfeat_face_noface.mov")
    assert {one.status for one in mute} == {"ok"}
