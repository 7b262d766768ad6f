"""Models of face and voice on clips: a row a face and moment, and what is left where one of the two is missing."""

import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.faces.track import TrackedFace, Tracker
from mien.media.image import write_image
from mien.predict.loading import load_moments
from mien.predict.moments import UNSEEN, MomentPredictor
from mien.predict.shares import SEVERAL
from mien.predict.sources import UNHEARD
from mien.predict.watch import VideoOptions
from mien.runtime.bundle import Bundle
from mien.schema.errors import BundleError
from mien.schema.inputs import ClipSpec, SoundSpec
from mien.schema.labels import LabelSet
from mien.schema.prediction import Face, Result
from mien.tasks.classify import Classify

LABELS = LabelSet("two", ("neutral", "happiness"))
CLIP = ClipSpec(
    n_frames=4, segments=4, per_segment=1, seconds=1.28, size_px=16, mean=(0.0,) * 3, std=(1.0,) * 3
)  # fmt: skip
SOUND = SoundSpec(n_mels=16)
RATE = 16_000
RAW = VideoOptions(smoothing="none")


class Both:
    """The brighter the face the more happiness, and more of it with a voice, which counts a quarter; keeps its food."""

    outputs = ("logits", "voice_share")

    def __init__(self, inputs: tuple[str, ...] = ("clip", "sound", "has_sound", "has_face")) -> None:
        self.inputs = inputs
        self.fed: dict[str, list[NDArray[Any]]] = {name: [] for name in inputs}

    def __call__(self, **arrays: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        assert tuple(arrays) == self.inputs
        assert all(array.dtype == np.float32 for array in arrays.values())
        for name, array in arrays.items():
            self.fed[name] += list(array)
        size = len(next(iter(arrays.values())))
        bright = arrays["clip"].mean((1, 2, 3, 4)) if "clip" in arrays else np.zeros(size)
        voice = arrays["sound"].any((1, 2, 3)) if "sound" in arrays else np.zeros(size)
        logits = np.stack([np.zeros(size), 10 * bright - 5 + 2 * voice], axis=1)
        return {"logits": logits} | ({"voice_share": np.full(size, 0.25)} if "has_face" in self.inputs else {})


class Everywhere:
    """Faces side by side over the whole frame; they are away while it is black."""

    def __init__(self, faces: int = 1) -> None:
        self.faces = faces

    def find_faces(self, image: NDArray[np.uint8]) -> list[Face]:
        if image.mean() < 5:
            return []
        height, width = image.shape[:2]
        edges = np.linspace(0, width, self.faces + 1).tolist()
        return [Face(box=(left, 0.0, right, float(height)), score=0.9) for left, right in pairwise(edges)]

    def update(self, image: NDArray[np.uint8], time_s: float) -> list[TrackedFace]:
        return [
            TrackedFace(box=face.box, score=0.9, face_id=number) for number, face in enumerate(self.find_faces(image))
        ]


def babble(seconds: float) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


def film(
    path: Path, levels: Sequence[int], voice: NDArray[np.float32] | None = None, voice_start_s: float = 0.0
) -> Path:
    """Grey pictures at 25 a second, as bright as ``levels``, and perhaps a voice that starts somewhere."""
    with av.open(str(path), "w") as output:
        packets: list[Any] = []
        stream = output.add_stream("libx264", rate=25, options={"crf": "10", "g": "5"}) if levels else None
        track = None if voice is None else output.add_stream("flac", rate=RATE, layout="mono")
        if stream is not None:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.time_base = Fraction(1, 25)
            for number, level in enumerate(levels):
                grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), format="rgb24")
                grey.pts, grey.time_base = number, Fraction(1, 25)
                packets += stream.encode(grey)
            packets += stream.encode(None)
        if track is not None and voice is not None:
            whole = np.rint(voice * 32_767).astype(np.int16)[None]
            for at in range(0, whole.shape[1], 1600):
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(whole[:, at : at + 1600]), "s16", "mono")
                frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
                frame.pts = at + round(voice_start_s * RATE)
                packets += track.encode(frame)
            packets += track.encode(None)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return path


@pytest.fixture
def make() -> Callable[..., MomentPredictor]:
    """A predictor of face and voice; ``kinds`` says of which."""

    def made(kinds: str = "va", *, faces: int = 1, **changes: Any) -> MomentPredictor:
        names = {"va": ("clip", "sound", "has_sound", "has_face"), "v": ("clip",), "a": ("sound",)}[kinds]
        fields: dict[str, Any] = {
            "session": Both(names),
            "task": Classify(labels=LABELS),
            "clip": CLIP if "v" in kinds else None,
            "sound": SOUND if "a" in kinds else None,
            "window_s": 1.28,
            "model": "both@0",
            "make_tracker": lambda options: cast(Tracker, Everywhere(faces)),
            "finder": Everywhere(faces),
            "quality": None,
            "batch_size": 4,
            "threads": 1,
        }
        return MomentPredictor(**{**fields, **changes})

    return made


def fed(predictor: MomentPredictor, name: str) -> NDArray[Any]:
    assert isinstance(predictor.session, Both)
    return np.stack(predictor.session.fed[name])


def column(result: Result, name: str) -> list[Any]:
    return [getattr(row, name) for row in result]


def test_a_clip_is_answered_on_a_grid_from_its_face_and_its_voice(make, tmp_path: Path) -> None:
    levels = [20 + 4 * number for number in range(50)]
    predictor = make()
    result = predictor(film(tmp_path / "a.mkv", levels, babble(2.0)), video=RAW)
    assert column(result, "time_s") == pytest.approx([0.64, 0.84, 1.04, 1.24])
    assert column(result, "frame") == [16, 21, 26, 31]
    assert column(result, "start_s") == pytest.approx([0.0, 0.2, 0.4, 0.6])
    assert column(result, "end_s") == pytest.approx([1.28, 1.48, 1.68, 1.88])
    assert {(row.modalities, row.w_face, row.w_voice, row.face_id) for row in result} == {("face+voice", 0.75, 0.25, 0)}
    assert result[0].face is not None
    assert result[0].face.box == (0.0, 0.0, 64.0, 48.0)
    shown = fed(predictor, "clip").mean((2, 3, 4)) * 255
    frames = [[round((row.time_s + offset) * 25 - 0.01) for offset in (-0.48, -0.16, 0.16, 0.48)] for row in result]
    np.testing.assert_allclose(shown, [[levels[number] for number in one] for one in frames], atol=3)
    np.testing.assert_array_equal(fed(predictor, "has_sound"), np.ones(4))
    np.testing.assert_array_equal(fed(predictor, "has_face"), np.ones(4))


def test_a_mute_clip_is_answered_by_the_face_alone(make, tmp_path: Path) -> None:
    predictor = make()
    result = predictor(film(tmp_path / "a.mkv", [200] * 40), video=RAW)
    assert [(row.modalities, row.w_face, row.w_voice) for row in result] == [("face", 1.0, 0.0)] * 2
    assert not fed(predictor, "has_sound").any()
    assert not fed(predictor, "sound").any()


def test_sound_that_starts_late_joins_the_face(make, tmp_path: Path) -> None:
    result = make()(film(tmp_path / "a.mkv", [200] * 75, babble(1.5), voice_start_s=1.5), video=RAW)
    kinds = {row.time_s: row.modalities for row in result}
    assert {kind for time_s, kind in kinds.items() if time_s < 1.35} == {"face"}
    assert {kind for time_s, kind in kinds.items() if time_s > 1.45} == {"face+voice"}


def test_a_voice_without_a_face_is_a_row_without_a_box(make, tmp_path: Path) -> None:
    predictor = make()
    result = predictor(film(tmp_path / "a.mkv", [0] * 40, babble(1.6)), video=RAW)
    assert [(row.modalities, row.face_id, row.face, row.frame) for row in result] == [
        ("voice", None, None, 16),
        ("voice", None, None, 21),
    ]
    assert (result[0].w_voice, result[0].status, result[0].label) == (1.0, "ok", "neutral")
    assert not fed(predictor, "clip").any()
    assert not fed(predictor, "has_face").any()


def test_where_there_is_neither_the_moment_says_so(make, tmp_path: Path) -> None:
    result = make()(film(tmp_path / "a.mkv", [0] * 40), video=RAW)
    assert {(row.status, row.modalities, row.w_voice) for row in result} == {("no_face", "", None)}
    assert "nothing is heard" in result[0].detail
    assert result.columns["modalities"].tolist() == ["", ""]


@pytest.mark.parametrize("name", ["a.flac", "a.mkv"])
def test_sound_alone_is_answered_by_the_voice(make, tmp_path: Path, name: str) -> None:
    result = make()(film(tmp_path / name, [], babble(2.0)))
    assert column(result, "time_s") == pytest.approx([0.64, 0.84, 1.04, 1.24])
    assert {(row.modalities, row.frame, row.face_id, row.status) for row in result} == {("voice", None, None, "ok")}
    assert all(row.raw is not None for row in result)
    (summary,) = result.episodes()
    assert summary.face_id is None
    assert summary.shares == {"neutral": 1.0, "happiness": 0.0}


def test_a_short_clip_is_answered_from_its_beginning_to_its_end(make, tmp_path: Path) -> None:
    result = make()(film(tmp_path / "a.mkv", [200] * 10, babble(0.5)), video=RAW)
    assert column(result, "time_s") == pytest.approx([0.0, 0.2, 0.4])
    assert column(result, "end_s") == pytest.approx([0.5, 0.5, 0.5])
    assert {row.modalities for row in result} == {"face+voice"}


def test_pictures_and_sound_of_different_length_are_answered_to_the_end_of_the_longer(make, tmp_path: Path) -> None:
    result = make()(film(tmp_path / "a.mkv", [200] * 30, babble(3.0)), video=RAW)
    assert column(result, "modalities") == ["face+voice"] * 4 + ["voice"] * 5
    assert result[-1].time_s == pytest.approx(2.24)
    assert result[-1].frame is None
    result = make()(film(tmp_path / "b.mkv", [200] * 75, babble(1.0)), video=RAW)
    assert column(result, "modalities") == ["face+voice"] * 3 + ["face"] * 6


def test_several_faces_share_the_voice_and_say_so(make, tmp_path: Path) -> None:
    predictor = make(faces=2)
    result = predictor(film(tmp_path / "a.mkv", [200] * 40, babble(1.6)))
    assert [(row.face_id, row.modalities, row.detail) for row in result][:2] == [
        (0, "face+voice", SEVERAL),
        (1, "face+voice", SEVERAL),
    ]
    sound = fed(predictor, "sound")
    np.testing.assert_array_equal(sound[0], sound[1])
    mute = make(faces=2)(film(tmp_path / "b.mkv", [200] * 40))
    assert {row.detail for row in mute} == {""}


def test_faces_that_are_too_small_are_reported_and_the_voice_is_read(make, tmp_path: Path) -> None:
    result = make(min_face_px=50)(film(tmp_path / "a.mkv", [200] * 40, babble(1.6)), video=RAW)
    assert [(row.status, row.modalities, row.face is None) for row in result] == [
        ("too_small", "", False),
        ("ok", "voice", True),
    ] * 2


def test_a_part_has_the_answers_of_the_whole(make, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", [20 + 2 * number for number in range(100)], babble(4.0))
    whole = [row for row in make()(path, video=RAW) if 1.5 <= row.time_s < 2.5]
    part = list(make()(path, video=VideoOptions(smoothing="none", start_s=1.5, end_s=2.5)))
    assert len(part) == 5
    assert [row.time_s for row in part] == [row.time_s for row in whole]
    assert [row.frame for row in part] == [row.frame for row in whole]
    for one, other in zip(part, whole, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)


def test_a_model_of_the_voice_alone_looks_at_no_picture(make, tmp_path: Path) -> None:
    predictor = make("a")
    heard, mute, picture = (
        predictor(film(tmp_path / "a.mkv", [200] * 40, babble(1.6)), video=RAW),
        predictor(film(tmp_path / "b.mkv", [200] * 40)),
        predictor(np.zeros((8, 8, 3), np.uint8)),
    )
    assert [(row.modalities, row.frame, row.w_voice) for row in heard] == [("voice", None, 1.0)] * 2
    assert [(row.status, row.time_s) for row in mute] == [("no_face", None)]
    assert [(row.status, row.detail) for row in picture] == [("error", UNSEEN)]


def test_a_model_of_the_face_alone_does_not_listen(make, tmp_path: Path) -> None:
    predictor = make("v")
    result = predictor([film(tmp_path / "a.mkv", [200] * 40, babble(1.6)), film(tmp_path / "b.flac", [], babble(1.0))])
    assert [(row.modalities, row.w_face) for row in result][:2] == [("face", 1.0)] * 2
    assert (result[2].status, result[2].detail) == ("error", UNHEARD)


def test_a_picture_is_answered_as_frames_that_are_all_alike(make) -> None:
    predictor = make()
    (row,) = predictor(np.full((48, 64, 3), 200, np.uint8))
    assert (row.modalities, row.label, row.time_s, row.frame) == ("face", "happiness", None, None)
    np.testing.assert_allclose(fed(predictor, "clip"), 200 / 255, atol=1e-6)
    (nobody,) = predictor(np.zeros((48, 64, 3), np.uint8))
    assert (nobody.status, nobody.modalities) == ("no_face", "")


def test_what_cannot_be_read_is_a_row_and_what_is_cut_off_has_one_more(make, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    (tmp_path / "bad.wav").write_text("no sound")
    rows = list(make()([tmp_path / "bad.mp4", tmp_path / "bad.wav"]))
    assert [(row.status, row.modalities) for row in rows] == [("error", "")] * 2
    path = film(tmp_path / "a.flac", [], babble(3.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    *heard, last = make()(path)
    assert {row.status for row in heard} == {"ok"}
    assert (last.status, last.time_s) == ("error", None)


def test_of_pipes_only_the_pictures_are_read(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mkv", [200] * 40, babble(1.6))
    with path.open("rb") as pipe:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=pipe))
        result = make()("-", video=RAW)
    assert [(row.source, row.modalities) for row in result] == [("stdin", "face")] * 2
    assert column(result, "time_s") == pytest.approx([0.64, 0.84])


def test_numbered_pictures_are_a_mute_video_at_their_own_rate(make, tmp_path: Path) -> None:
    for number in range(20):
        write_image(tmp_path / f"{number:05d}.png", np.full((48, 64, 3), 200, np.uint8))
    result = make()(str(tmp_path / "%05d.png"), video=VideoOptions(smoothing="none", fps=10))
    assert column(result, "time_s") == pytest.approx([0.64, 0.84, 1.04, 1.24])
    assert column(result, "frame") == [6, 8, 10, 12]
    assert {row.modalities for row in result} == {"face"}


def test_an_impossible_choice_of_moments_is_a_row_that_says_so(make, tmp_path: Path) -> None:
    (row,) = make()(film(tmp_path / "a.mkv", [200] * 10), video=VideoOptions(every=2, fps=3))
    assert row.status == "error"
    assert "not both" in row.detail


@pytest.mark.parametrize("inputs", [{"clip", "sound"}, {"sound", "landmarks"}])
def test_networks_that_need_more_or_cannot_do_without_one_kind_are_refused(inputs: set[str]) -> None:
    bundle = SimpleNamespace(name="odd", inputs=dict.fromkeys(inputs), labels=LABELS, task={"name": "classify"})
    with pytest.raises(BundleError, match=r"'odd' answers the task 'classify' from .*has_sound and has_face"):
        load_moments(cast(Bundle, bundle))
