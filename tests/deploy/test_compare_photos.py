import shutil
from pathlib import Path

import numpy as np
import pytest

from mien.deploy.compare_photos import compare_photos, main
from mien.media.image import read_image
from mien.predict.outline import PAGE


@pytest.fixture
def photos(portrait: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(portrait, folder / "one.jpg")
    return folder


def test_two_models_read_the_same_faces(tiny_bundle: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    ours, theirs = compare_photos("product_cross_small", tiny_bundle, photos, out)
    assert [row.face.box for row in ours if row.face] == [row.face.box for row in theirs if row.face]
    assert ours.model != theirs.model
    sheet = read_image(out)
    assert (sheet == PAGE).all(axis=2).mean() > 0.2
    compare_photos("product_cross_small", tiny_bundle, photos, tmp_path / "seen.png", pixels=True)
    assert np.ptp(sheet.astype(int) - read_image(tmp_path / "seen.png")) > 0


def test_from_the_shell(tiny_bundle: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sheet.png"
    with pytest.raises(SystemExit) as stopped:
        main([str(tiny_bundle), str(tiny_bundle), str(photos), "--out", str(out)])
    assert stopped.value.code == 0
    assert capsys.readouterr().err == f"1 faces, 0 answered otherwise: {out}\n"
    assert out.is_file()
    with pytest.raises(SystemExit) as stopped:
        main(["nothing", str(tiny_bundle), str(photos), "--out", str(out)])
    assert stopped.value.code == 2
    assert "BundleError" in capsys.readouterr().err
