"""``mien predict`` with a model of face and voice: clips with sound, sounds alone, drawings, and what is refused."""

import csv
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mien.media.image import read_image
from mien.media.video import VideoInfo, probe_video, read_video
from mien.media.video_writer import VideoWriter
from mien.schema.labels import FERPLUS
from mien.schema.prediction import LEADING_COLUMNS, SHARE_COLUMNS

RATE = 16_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle that reads face and voice, half and half, with answers that mean nothing."""
    from onnx import TensorProto, helper, numpy_helper

    from mien.runtime.bundle import Bundle, write_bundle
    from mien.schema.inputs import ClipSpec, FlagSpec, SoundSpec

    clip = ClipSpec(n_frames=4, segments=4, per_segment=1, seconds=1.28, size_px=16)
    sound = SoundSpec(n_mels=16)
    rng = np.random.default_rng(0)
    constants = {
        "seen": rng.normal(0, 0.02, (4 * 3 * 16 * 16, len(FERPLUS))).astype(np.float16),
        "heard": rng.normal(0, 0.02, (16 * 128, len(FERPLUS))).astype(np.float16),
        "half": np.array([0.5], np.float16),
    }
    nodes = [
        ("Flatten", ["clip"], "pixels"),
        ("MatMul", ["pixels", "seen"], "face"),
        ("Flatten", ["sound"], "bands"),
        ("MatMul", ["bands", "heard"], "voice"),
        ("Add", ["face", "voice"], "logits"),
        ("Mul", ["has_sound", "has_face"], "both"),
        ("Mul", ["both", "half"], "less"),
        ("Sub", ["has_sound", "less"], "voice_share"),
    ]
    floats = TensorProto.FLOAT
    shapes = {"clip": clip.shape, "sound": sound.shape, "has_sound": (), "has_face": ()}
    graph = helper.make_graph(
        [helper.make_node(kind, given, [made]) for kind, given, made in nodes],
        "face_and_voice",
        [helper.make_tensor_value_info(name, floats, ["batch", *shape]) for name, shape in shapes.items()],
        [
            helper.make_tensor_value_info("logits", floats, ["batch", len(FERPLUS)]),
            helper.make_tensor_value_info("voice_share", floats, ["batch"]),
        ],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    bundle = Bundle(
        path=tmp_path_factory.mktemp("bundles") / "face_and_voice",
        name="face_and_voice",
        model="linear",
        model_config={},
        inputs={"clip": clip, "sound": sound, "has_sound": FlagSpec(), "has_face": FlagSpec()},
        labels=FERPLUS,
        task={"name": "classify", "temperature": 1.0, "min_score": 0.0},
        provenance={"recipe": "none", "seed": 0, "commit": "none", "data_fingerprint": "none"},
        licences={"code": "Apache-2.0", "weights": "Apache-2.0", "training_data": "none"},
    )
    return write_bundle(bundle, constants, made.SerializeToString()).path


def write_wav(path: Path, seconds: float, seed: int = 0) -> Path:
    samples = np.random.default_rng(seed).normal(0, 3000, round(seconds * RATE)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path


@pytest.fixture(scope="module")
def clip(portrait: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a portrait at 12.5 frames a second, with noise for a voice."""
    folder = tmp_path_factory.mktemp("clip")
    picture = read_image(portrait)[:480]
    info = VideoInfo(
        width=picture.shape[1],
        height=picture.shape[0],
        rate=Fraction(25, 2),
        duration_s=None,
        frames=None,
        rotation_deg=0,
        codec="h264",
        has_sound=True,
        time_base=Fraction(1, 1000),
    )
    with VideoWriter(folder / "a.mp4", info, sound_from=write_wav(folder / "voice.wav", 2.0)) as writer:
        for number in range(25):
            writer.write(picture, number * 0.08)
    return folder / "a.mp4"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_clip_is_a_table_a_drawn_video_and_episodes(mien: Callable, model: Path, clip: Path, tmp_path: Path) -> None:
    code, said, _ = mien(
        *("predict", clip, "--model", model, "--out", tmp_path / "t.csv", "--strict"),
        *("--draw", tmp_path / "drawn", "--episodes", tmp_path / "e.csv"),
    )
    assert code == 0, said
    assert "4 moments, to 1.2 s, 1 face" in said
    rows = rows_of(tmp_path / "t.csv")
    chances = [f"{kind}_{name}" for kind in ("p", "raw_p") for name in FERPLUS.names]
    assert tuple(rows[0]) == (*LEADING_COLUMNS, *chances, *SHARE_COLUMNS)
    assert [float(row["time_s"]) for row in rows] == pytest.approx([0.64, 0.84, 1.04, 1.24])
    assert {(row["modalities"], row["w_face"], row["w_voice"]) for row in rows} == {
        ("face+voice", "0.500000", "0.500000")
    }
    assert all(float(row["x2"]) > float(row["x1"]) for row in rows)
    drawn = probe_video(tmp_path / "drawn" / "a.mp4")
    assert drawn.has_sound
    assert drawn.height / drawn.width > 480 / 512 + 0.02
    with read_video(tmp_path / "drawn" / "a.mp4") as frames:
        assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.64, 0.84, 1.04, 1.24], abs=2e-3)
    assert {row["kind"] for row in rows_of(tmp_path / "e.csv")} <= {"episode", "share"}


def test_sounds_are_read_by_name_and_in_folders_and_resume_goes_on(mien: Callable, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "voices"
    folder.mkdir()
    for number in range(3):
        write_wav(folder / f"{number}.wav", 2.0, number)
    whole, part = tmp_path / "whole.csv", tmp_path / "part.csv"
    code, said, _ = mien("predict", folder, "--model", model, "--out", whole, "--strict", "--fps", 10)
    assert code == 0
    assert "voice alone  8 moments" in said
    rows = rows_of(whole)
    assert len(rows) == 24
    assert {(row["modalities"], row["w_voice"], row["x1"], row["face_id"]) for row in rows} == {
        ("voice", "1.000000", "", "")
    }
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    code, said, _ = mien("predict", folder, "--model", model, "--out", part, "--fps", 10, "--resume")
    assert (code, part.read_bytes()) == (0, whole.read_bytes())
    assert "2 sounds" in said


def test_sound_for_a_model_that_does_not_listen_is_a_row_that_says_who_does(
    mien: Callable, tiny_bundle: Path, tmp_path: Path
) -> None:
    voice = write_wav(tmp_path / "a.wav", 1.0)
    code, _, _ = mien("predict", voice, "--model", tiny_bundle, "--out", tmp_path / "t.csv", "--strict")
    (row,) = rows_of(tmp_path / "t.csv")
    assert (code, row["status"]) == (1, "error")
    assert "gcsa_av" in row["detail"]
    assert tuple(row)[-1] == "p_contempt"
    _, said, _ = mien("predict", tmp_path, "--model", tiny_bundle)
    assert "There is no picture or video in the folder" in said


@pytest.mark.parametrize(("given", "reason"), [("a.wav", "files of sound alone"), ("-", "cannot be read twice")])
def test_what_cannot_be_drawn_is_said_at_once(
    mien: Callable, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_wav(tmp_path / "a.wav", 1.0)
    code, _, err = mien("predict", given, "--model", model, "--draw", tmp_path / "drawn")
    assert code == 2
    assert reason in err
    assert not (tmp_path / "drawn").exists()


def test_a_benchmark_of_such_a_model_says_how_long_its_sound_is(mien: Callable, model: Path) -> None:
    code, out, _ = mien("benchmark", model, "--seconds", "0.02", "--runtimes", "openvino")
    assert code == 0
    assert "clip 16 x 16 pixels, sound 1.28 seconds\n" in out
