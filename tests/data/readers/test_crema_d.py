import pytest

from mien.data.readers import crema_d
from mien.schema.errors import DatasetError
from mien.schema.sample import Clip, Recording


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_names_tell_everything(tmp_path):
    names = ["1001_DFA_ANG_XX", "1040_ITH_SAD_X", "1064_IEO_DIS_LO", "1065_IEO_FEA_MD", "1078_IEO_HAP_HI"]
    touch(tmp_path, *(f"AudioWAV/{name}.wav" for name in names), "AudioWAV/readme.wav")
    samples = crema_d.read(tmp_path)
    assert [s.key for s in samples] == names
    assert [s.targets.label for s in samples] == ["anger", "sadness", "disgust", "fear", "happiness"]
    assert [s.split for s in samples] == ["train", "train", "train", "valid", "test"]
    assert [s.groups for s in samples] == [(g,) for g in ("unspecified", "unspecified", "low", "medium", "high")]
    assert [s.subject for s in samples] == [f"actor {name[:4]}" for name in names]
    assert samples[0].source == Recording(tmp_path / "AudioWAV/1001_DFA_ANG_XX.wav")


def test_videos_go_before_wav_and_wav_before_the_rest(tmp_path):
    touch(tmp_path, "VideoFlash/1001_DFA_ANG_XX.flv", "AudioWAV/1001_DFA_ANG_XX.wav", "AudioMP3/1001_DFA_ANG_XX.mp3")
    touch(tmp_path, "AudioWAV/1001_DFA_NEU_XX.wav", "AudioMP3/1001_DFA_NEU_XX.mp3")
    video, heard = crema_d.read(tmp_path)
    path = tmp_path / "VideoFlash/1001_DFA_ANG_XX.flv"
    assert (video.source, video.sound) == (Clip(path), Recording(path))
    assert heard.voice == Recording(tmp_path / "AudioWAV/1001_DFA_NEU_XX.wav")
    touch(tmp_path, "copy/1001_DFA_NEU_XX.wav")
    with pytest.raises(DatasetError, match="are one utterance"):
        crema_d.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("1001_DFA_JOY_XX.wav", "found JOY, XX"),
        ("1001_DFA_ANG_UP.wav", "an intensity, LO, MD, HI"),
        ("1092_DFA_ANG_XX.wav", "there is no speaker 1092"),
    ],
)
def test_errors(name, message, tmp_path):
    touch(tmp_path, name)
    with pytest.raises(DatasetError, match=message):
        crema_d.read(tmp_path)
