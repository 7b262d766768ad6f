import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mien.media.archive import member_sizes, read_member, read_row
from mien.schema.errors import MediaError

LIMIT = 1 << 20


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/1.bin", b"one")
        file.writestr("a/2.bin", b"x" * 5000, compress_type=zipfile.ZIP_DEFLATED)
    return path


def test_members_are_read(archive: Path) -> None:
    assert read_member(archive, "a/1.bin", LIMIT) == b"one"
    assert read_member(archive, "a/2.bin", LIMIT) == b"x" * 5000
    assert member_sizes(archive)["a/2.bin"][0] == 5000


def test_the_size_of_a_member_is_checked_before_it_is_unpacked(archive: Path) -> None:
    with pytest.raises(MediaError, match="5,000 bytes; the limit is 4,999"):
        read_member(archive, "a/2.bin", 4999)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_reads_beside_its_parent(archive: Path) -> None:
    assert read_member(archive, "a/1.bin", LIMIT) == b"one"
    child = os.fork()
    if child == 0:
        good = all(read_member(archive, "a/2.bin", LIMIT) == b"x" * 5000 for _ in range(200))
        os._exit(0 if good else 1)
    assert all(read_member(archive, "a/1.bin", LIMIT) == b"one" for _ in range(200))
    assert os.waitpid(child, 0)[1] == 0


def test_what_cannot_be_read_is_said(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such member"):
        read_member(archive, "a/3.bin", LIMIT)
    with pytest.raises(MediaError, match="does not exist"):
        read_member(tmp_path / "none.zip", "a", LIMIT)
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(MediaError, match="cannot be read"):
        read_member(tmp_path / "text.zip", "a", LIMIT)


def test_a_row_of_numbers(tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    first = " ".join(str(i % 256) for i in range(2304))
    second = " ".join(str((7 * i) % 256) for i in range(2304))
    header = "emotion,pixels,Usage\r\n"
    path.write_text(f"{header}0,{first},Training\r\n3,{second},PublicTest\r\n", newline="")
    offset = len(header) + len(f"0,{first},Training\r\n")
    assert (read_row(path, len(header)) == (np.arange(2304) % 256).reshape(48, 48)).all()
    assert (read_row(path, offset) == (7 * np.arange(2304) % 256).reshape(48, 48)).all()


@pytest.mark.parametrize("row", ["", "0,1 2 3,Training", "0,1 2 3 256,Training", "0,a b c d,Training", "0,-1,x"])
def test_rows_that_are_no_picture(tmp_path: Path, row: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(row)
    with pytest.raises(MediaError):
        read_row(path, 0)
