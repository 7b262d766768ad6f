"""``mien features`` on sounds and clips made here: what is written, what goes on, what is refused."""

import json
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import polars
import pytest

from mien.data.feature_tables import FeatureTables
from mien.deploy import features
from mien.deploy.feature_clips import ClipEncoder

RATE = 16_000
COLUMNS = {"key": "String", "step": "Int32", "time_s": "Float64", "present": "Boolean"}


def write_wav(path: Path, seconds: float, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).normal(0, 3000, round(seconds * RATE)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path


def write_clip(path: Path, seconds: float, rate: int = 10) -> Path:
    """A clip that grows brighter, without sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.bit_rate = 400_000
        for number in range(round(seconds * rate)):
            image = np.full((32, 32, 3), min(255, 10 + 8 * number), np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode())
    return path


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    for number, seconds in enumerate((1.2, 2.0, 0.4, 3.1, 1.0)):
        write_wav(folder / "talks" / f"{number}.wav", seconds, seed=number)
    return folder


def rows(folder: Path) -> polars.DataFrame:
    return polars.concat([polars.read_parquet(path) for path in sorted(folder.glob("part-*.parquet"))])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def stopping_after(count: int) -> Callable[..., object]:
    """Reads so many clips, then is interrupted."""
    read, done = ClipEncoder.__call__, []

    def stop(self, sample, known):
        done.append(sample.key)
        if len(done) > count:
            raise KeyboardInterrupt
        return read(self, sample, known)

    return stop


def test_sounds_of_a_folder(mien, sounds: Path, tiny_encoders: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said, _ = mien("features", sounds, "--encoder", tiny_encoders["sound"], "--out", out, "--part-clips", 2)
    assert code == 0
    assert "tiny_sound, weights " in said
    assert "16 numbers a step, a step every 0.5 s\n5 clips: " in said
    table = rows(out)
    assert {name: str(table.schema[name]) for name in COLUMNS} == COLUMNS
    assert table.schema["feature"] == polars.Array(polars.Float32, 16)
    counts = dict(table.group_by("key").len().iter_rows())
    assert counts == {"talks/0": 3, "talks/1": 4, "talks/2": 1, "talks/3": 7, "talks/4": 2}
    assert table.filter(polars.col("key") == "talks/3")["time_s"].to_list() == [0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    assert table.filter(polars.col("key") == "talks/3")["step"].to_list() == list(range(7))
    manifest = json.loads((out / "manifest.json").read_text())
    assert {key: manifest[key] for key in ("schema_version", "encoder", "modality", "width", "step_s", "start_s")} == {
        "schema_version": 1, "encoder": "tiny_sound", "modality": "sound", "width": 16, "step_s": 0.5, "start_s": 0.5,
    }  # fmt: skip
    assert manifest["source"]["folder"] == "sounds"
    assert manifest["preprocessing"]["sound"]["n_mels"] == 16
    assert [part["keys"] for part in manifest["parts"].values()] == [
        ["talks/0", "talks/1"], ["talks/2", "talks/3"], ["talks/4"],
    ]  # fmt: skip
    assert not (out / "failed.csv").exists()


def test_a_run_that_was_stopped_goes_on_and_gives_the_same_bytes(
    mien, sounds: Path, tiny_encoders, tmp_path: Path, monkeypatch
) -> None:
    how = ("features", sounds, "--encoder", tiny_encoders["sound"], "--part-clips", 2)
    write_wav(sounds / "talks" / "5.wav", 0.0)
    assert mien(*how, "--out", tmp_path / "whole")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(features, "core_count", lambda: 1)
        patch.setattr(ClipEncoder, "__call__", stopping_after(3))
        assert mien(*how, "--out", tmp_path / "out")[0] == 130
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.json", "part-00000.parquet"]
    (tmp_path / "out" / ".part-00001.parquet.killed.parquet").write_bytes(b"half of it")
    code, said, _ = mien(*how, "--out", tmp_path / "out")
    assert code == 0
    assert "6 clips, 2 of them kept from before" in said
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert "6 of them kept" in mien(*how, "--out", tmp_path / "out")[1]


def test_parts_that_are_damaged_are_made_anew(mien, sounds: Path, tiny_encoders, tmp_path: Path) -> None:
    out = tmp_path / "out"
    how = ("features", sounds, "--encoder", tiny_encoders["sound"], "--part-clips", 2, "--out", out)
    mien(*how)
    before = contents(out)
    part = out / "part-00001.parquet"
    part.write_bytes(before[part.name][:-1])
    (out / "part-00002.parquet").unlink()
    assert "2 of them kept" in mien(*how)[1]
    assert contents(out) == before


def test_fewer_and_other_clips(mien, sounds: Path, tiny_encoders, tmp_path: Path) -> None:
    out = tmp_path / "out"
    how = ("features", sounds, "--encoder", tiny_encoders["sound"], "--part-clips", 2, "--out", out)
    assert mien(*how, "--limit", 2)[0] == 0
    assert "2 of them kept" in mien(*how)[1]
    write_wav(sounds / "talks" / "2.wav", 1.7)
    assert "3 of them kept" in mien(*how)[1]
    assert "2 of them kept" in mien(*how, "--limit", 2)[1]
    assert sorted(path.name for path in out.iterdir()) == ["manifest.json", "part-00000.parquet"]


def test_other_features_are_not_mixed_in(mien, sounds: Path, tiny_encoders, tmp_path: Path) -> None:
    out = tmp_path / "out"
    how = ("features", sounds, "--encoder", tiny_encoders["sound"], "--out", out)
    mien(*how)
    before = contents(out)
    code, _, said = mien(*how, "--every", 1)
    assert (code, "step_s: 0.5 there, 1.0 now" in said) == (2, True)
    code, _, said = mien("features", sounds, "--encoder", tiny_encoders["face"], "--out", out)
    assert code == 2
    write_clip(tmp_path / "clips" / "a.mp4", 1.0)
    code, _, said = mien("features", tmp_path / "clips", "--encoder", tiny_encoders["face"], "--out", out, "--crops")
    assert code == 2
    assert "encoder: 'tiny_sound' there, 'tiny_face' now" in said
    manifest = json.loads(before["manifest.json"])
    (out / "manifest.json").write_text(json.dumps({**manifest, "weights": "0" * 64}))
    code, _, said = mien(*how)
    assert code == 2
    assert f"weights: '{'0' * 64}' there, '{manifest['weights']}' now" in said


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(mien, sounds: Path, tiny_encoders, tmp_path: Path) -> None:
    (sounds / "talks" / "bad.wav").write_text("no sound")
    write_clip(sounds / "mute.mp4", 1.0)
    out = tmp_path / "out"
    how = ("features", sounds, "--encoder", tiny_encoders["sound"], "--out", out)
    code, said, _ = mien(*how)
    assert code == 0
    assert "FAILED  mute: There is no sound in it." in said
    assert "FAILED  talks/bad: " in said
    assert [line.split(",")[:2] for line in (out / "failed.csv").read_text().splitlines()] == [
        ["key", "steps"], ["mute", "0"], ["talks/bad", "0"],
    ]  # fmt: skip
    assert mien(*how, "--strict")[0] == 1
    assert len(rows(out)["key"].unique()) == 5


def test_frames_of_clips_and_photos_that_are_faces(mien, tiny_encoders, tmp_path: Path) -> None:
    write_clip(tmp_path / "clips" / "a.mp4", 2.0)
    out = tmp_path / "out"
    code, _, _ = mien("features", tmp_path / "clips", "--encoder", tiny_encoders["face"], "--out", out, "--crops")
    assert code == 0
    table = rows(out)
    assert table["time_s"].to_list() == [0.5, 1.0, 1.5, 2.0]
    assert table["present"].all()
    brightness = np.stack(table["feature"].to_numpy()).mean(1)
    assert (np.diff(brightness) > 0.2).all()
    assert json.loads((out / "manifest.json").read_text())["preprocessing"]["crops"] is True


def test_what_is_written_is_what_training_reads(mien, sounds: Path, tiny_encoders, tmp_path: Path) -> None:
    out = tmp_path / "out"
    mien("features", sounds, "--encoder", tiny_encoders["sound"], "--out", out, "--part-clips", 2)
    tables, table = FeatureTables(out), rows(out)
    assert len(tables) == 5
    for key in ("talks/0", "talks/3"):
        expected = np.stack(table.filter(polars.col("key") == key)["feature"].to_numpy())
        np.testing.assert_array_equal(tables.rows(key), expected)


def test_a_drawn_dataset_is_read_without_searching(mien, tiny_encoders, tmp_path: Path) -> None:
    how = ("features", "synthetic_speakers", "--split", "test", "--limit", 2)
    assert mien(*how, "--encoder", tiny_encoders["face"], "--out", tmp_path / "face")[0] == 0
    assert mien(*how, "--encoder", tiny_encoders["sound"], "--out", tmp_path / "sound")[0] == 0
    face, sound = rows(tmp_path / "face"), rows(tmp_path / "sound")
    assert face["key"].to_list() == sound["key"].to_list()
    assert face["time_s"].to_list() == sound["time_s"].to_list()
    assert face["present"].all()
    manifest = json.loads((tmp_path / "face" / "manifest.json").read_text())
    assert manifest["source"]["dataset"] == "synthetic_speakers"
    assert manifest["source"]["split"] == "test"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--encoder", "deepspectrum"), "name them with --weights"),
        (("--encoder", "deepspektrum"), "There is no encoder 'deepspektrum'. Did you mean: deepspectrum"),
        (("--encoder", "deepspectrum", "--weights", "nowhere.pth"), "There is no file 'nowhere.pth'"),
        (("--encoder", "deepspectrum", "--weights", "nowhere.pth", "--random"), "leave out one of them"),
        (("--encoder", "product_cross_small", "--random"), "brings its own weights"),
        (("--encoder", "product_cross_small", "--split", "train"), "--data and --split are for datasets"),
        (("--encoder", "product_cross_small", "--limit", "0"), "--limit is at least 1"),
        (("--encoder", "product_cross_small", "--every", "0"), "0.01 to 3600 seconds"),
        (("--encoder", "product_cross_small"), "has no pictures or clips for an encoder of faces"),
    ],
    ids=str,
)
def test_mistakes_are_one_line(mien, sounds: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    code, _, error = mien("features", sounds / "talks" / "0.wav", *words, "--out", tmp_path / "out")
    assert (code, said in error) == (2, True), error
    assert not (tmp_path / "out").exists()


def test_a_dataset_that_is_not_there(mien, tiny_encoders, tmp_path: Path) -> None:
    how = ("--encoder", tiny_encoders["sound"], "--out", tmp_path / "out")
    assert "Did you mean: ravdess" in mien("features", "ravdes", *how)[2]
    assert "has no split 'dev'" in mien("features", "synthetic_voices", "--split", "dev", *how)[2]
