from pathlib import Path

import pytest
from PIL import Image

from mien.data.readers import READERS


def test_every_dataset_is_listed_with_its_licence(mien, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_DATA", str(tmp_path))
    (tmp_path / "fer2013").mkdir()
    code, out, _ = mien("data", "list")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert set(lines) == set(READERS)
    assert all(entry.licence in lines[name] for name, entry in READERS.items())
    assert lines["ferplus"].split()[2] == "yes"
    assert lines["raf_db"].split()[2] == "no"
    assert lines["synthetic"].split()[2] == "always"


@pytest.fixture
def drawn(mien, tmp_path: Path) -> Path:
    assert mien("data", "synthesize", tmp_path / "drawn", "--count", 21, "--seed", 2)[0] == 0
    return tmp_path / "drawn"


def test_drawn_faces_are_a_folder_that_can_be_verified_and_prepared(mien, drawn: Path) -> None:
    assert len(list(drawn.rglob("*.png"))) == 21
    code, out, _ = mien("data", "verify", "folder", "--data", drawn, "--decode")
    assert (code, out.strip().splitlines()[-1]) == (0, "ok")
    assert "neutral" in out
    code, out, _ = mien("data", "prepare", "folder", "--data", drawn, "--workers", 1)
    assert code == 0
    assert "21 faces, 21 of them searched for now" in out
    assert "21 faces, 0 of them" in mien("data", "prepare", "folder", "--data", drawn)[1]


def test_what_is_not_as_published_is_said_and_changes_the_exit_code(mien, drawn: Path) -> None:
    picture = next(drawn.rglob("*.png"))
    picture.write_bytes(picture.read_bytes()[:100])
    code, out, _ = mien("data", "verify", "folder", "--data", drawn, "--decode")
    assert code == 1
    assert "NOT AS PUBLISHED: 1 pictures cannot be decoded" in out
    assert mien("data", "verify", "folder", "--data", drawn)[0] == 0


def test_the_same_seed_draws_the_same_pixels(mien, drawn: Path, tmp_path: Path) -> None:
    mien("data", "synthesize", tmp_path / "again", "--count", 7, "--seed", 2)
    for path in (tmp_path / "again").rglob("*.png"):
        with Image.open(path) as one, Image.open(drawn / path.relative_to(tmp_path / "again")) as other:
            assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("verify", "fer"), "There is no dataset 'fer'. Did you mean"),
        (("verify", "raf_db"), "Where is 'raf_db'? Give its root with --data, or set MIEN_DATA"),
        (("synthesize", "."), "is not empty"),
        (("synthesize", "new", "--count", "0"), "at least 1"),
        (("download", "raf_db"), "There is no command 'download'"),
    ],
)
def test_what_cannot_be_done_is_one_line(mien, monkeypatch, words, said: str) -> None:
    monkeypatch.delenv("MIEN_DATA", raising=False)
    code, _, err = mien("data", *words)
    assert code == 2
    assert err.startswith("mien: ")
    assert said in err
