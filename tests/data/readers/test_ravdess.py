import pytest

from mien.data.readers import ravdess
from mien.schema.errors import DatasetError
from mien.schema.labels import RAVDESS
from mien.schema.sample import Clip, Recording


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_names_tell_everything(tmp_path):
    touch(
        tmp_path,
        "Audio_Speech_Actors_01-24/Actor_12/03-01-06-01-02-01-12.wav",
        "Audio_Song_Actors_01-24/Actor_17/03-02-02-02-01-01-17.flac",
        "Actor_24/03-01-08-02-01-02-24.MP3",
        "Actor_24/notes.wav",
        ".hidden/03-01-08-02-01-01-24.wav",
    )
    samples = ravdess.read(tmp_path)
    assert [s.key for s in samples] == ["01-06-01-02-01-12", "01-08-02-01-02-24", "02-02-02-01-01-17"]
    assert [s.split for s in samples] == ["train", "test", "valid"]
    assert [s.targets.label for s in samples] == ["fear", "surprise", "calm"]
    assert [s.subject for s in samples] == ["actor 12", "actor 24", "actor 17"]
    assert [s.groups for s in samples] == [("speech", "normal"), ("speech", "strong"), ("song", "strong")]
    path = tmp_path / "Audio_Speech_Actors_01-24/Actor_12/03-01-06-01-02-01-12.wav"
    assert samples[0].source == samples[0].voice == Recording(path)
    assert samples[0].sound is None


def test_the_fullest_recording_of_an_utterance_is_taken(tmp_path):
    touch(tmp_path, "a/01-01-01-01-01-01-01.mp4", "a/02-01-01-01-01-01-01.mp4", "b/03-01-01-01-01-01-01.wav")
    touch(tmp_path, "a/02-01-01-01-01-02-01.mp4", "b/03-01-01-01-01-02-01.wav", "a/02-01-01-01-02-02-01.mp4")
    both, heard, seen = ravdess.read(tmp_path)
    video = tmp_path / "a/01-01-01-01-01-01-01.mp4"
    assert (both.source, both.sound) == (Clip(video), Recording(video))
    assert heard.source == Recording(tmp_path / "b/03-01-01-01-01-02-01.wav")
    assert (seen.source, seen.voice) == (Clip(tmp_path / "a/02-01-01-01-02-02-01.mp4"), None)
    touch(tmp_path, "c/01-01-01-01-01-01-01.mp4")
    with pytest.raises(DatasetError, match="are one utterance; remove one of them"):
        ravdess.read(tmp_path)


def write_table(root, *rows, head="path,emotion,actor,intensity"):
    (root / "labels.csv").write_text("\n".join([head, *rows]) + "\n")


def test_a_table_of_labels(tmp_path):
    write_table(tmp_path, "x/03-01-03-02-01-01-05.flac,happy,05,strong", "x/free.wav,calm,21,normal")
    named, free = ravdess.read(tmp_path)
    assert (named.key, named.split, named.groups) == ("01-03-02-01-01-05", "train", ("speech", "strong"))
    assert (free.key, free.split, free.groups, free.subject) == ("x/free.wav", "test", ("normal",), "actor 21")
    assert [s.targets.label for s in (named, free)] == ["happiness", "calm"]
    assert free.source == Recording(tmp_path / "x/free.wav")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("x/a.wav,joy,05,normal", r"labels\.csv, line 2: the emotion is one of neutral, calm"),
        ("x/a.wav,happy,five,normal", r"labels\.csv, line 2: the actor is a number; found 'five'"),
        ("x/a.wav,happy,25,normal", r"a\.wav: there is no speaker 25"),
        ("x/03-01-03-02-01-01-05.wav,sad,05,strong", r"line 2: .* named as happiness, but labelled sadness"),
    ],
)
def test_errors_of_the_table(row, message, tmp_path):
    write_table(tmp_path, row)
    with pytest.raises(DatasetError, match=message):
        ravdess.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("04-01-01-01-01-01-01.wav", "the name starts with 01, 02 or 03"),
        ("03-03-01-01-01-01-01.wav", "found 03, 01, 01"),
        ("03-01-09-01-01-01-01.wav", "an expression from 01 to 08"),
        ("03-01-01-03-01-01-01.wav", "an intensity, 01, 02"),
        ("03-01-01-01-01-01-25.wav", "there is no speaker 25"),
    ],
)
def test_errors_of_names(name, message, tmp_path):
    touch(tmp_path, name)
    with pytest.raises(DatasetError, match=message):
        ravdess.read(tmp_path)


def test_on_the_real_table(mien_data):
    if not (mien_data / "speech" / "labels.csv").is_file():
        pytest.skip("there is no speech")
    samples = ravdess.read(mien_data / "speech")
    assert len({s.key for s in samples}) == len(samples)
    assert {s.targets.label for s in samples} == set(RAVDESS.names)
    speakers = {split: {s.subject for s in samples if s.split == split} for split in ("train", "valid")}
    assert [len(found) for found in speakers.values()] == [16, 4]
    assert not speakers["train"] & speakers["valid"]
