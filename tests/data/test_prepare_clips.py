import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.data import prepare_clips as module
from mien.data.prepare_clips import prepare_clips
from mien.data.synthetic_clips import render_clip, samples
from mien.schema.errors import DatasetError
from mien.schema.prediction import Face
from mien.schema.sample import Clip, File, FrameFolder, Sample, Targets


class Finder:
    """Finds the eyes where the picture is bright; counts the pictures."""

    looks = 0

    def __init__(self, *, threads: int) -> None:
        assert threads >= 1

    def __call__(self, pictures):
        faces = []
        for image, box in pictures:
            Finder.looks += 1
            eyes = np.array([[10.0, 12.0], [20.0, 12.0]]) if image.mean() > 100 else None
            faces.append(
                Face(
                    box=box or (0.0, 0.0, 40.0, 40.0),
                    score=1.0,
                    eyes=eyes,
                    alignment="none" if eyes is None else "detector",
                )
            )
        return faces


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> type[Finder]:
    monkeypatch.setattr(module, "SingleFaceReader", Finder)
    Finder.looks = 0
    return Finder


def clip(folder: Path, levels: list[int], key: str = "a") -> Sample:
    folder.mkdir(exist_ok=True)
    for number, level in enumerate(levels):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((40, 40, 3), level, np.uint8))
    paths = tuple(folder / f"{number}.png" for number in range(len(levels)))
    return Sample(key=key, source=FrameFolder(paths), split="train", targets=Targets(label="neutral"))


def test_every_frame_is_searched_once(finder, tmp_path: Path) -> None:
    sample = clip(tmp_path / "a", [200, 20, 200])
    (faces,) = prepare_clips([sample], name="d", cache=tmp_path / "cache", progress=False).values()
    assert [face is not None for face in map(faces.face, range(3))] == [True, False, True]
    assert faces.counts() == {"detector": 2, "none": 1}
    found = faces.face(0)
    assert found is not None
    assert found.alignment == "detector"
    again = prepare_clips([sample], name="d", cache=tmp_path / "cache", progress=False)["a"]
    np.testing.assert_array_equal(again.eyes, faces.eyes)
    assert finder.looks == 3


def test_clips_are_searched_at_once_and_what_was_found_before_a_failure_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(2, timeout=30)

    class Slow(Finder):
        def __call__(self, pictures):
            if pictures[0][0].mean() < 5:
                raise RuntimeError("broken")
            together.wait()
            return super().__call__(pictures)

    monkeypatch.setattr(module, "SingleFaceReader", Slow)
    samples = [clip(tmp_path / key, [level], key) for key, level in (("a", 200), ("b", 150), ("c", 0))]
    cache = tmp_path / "cache"
    with pytest.raises(RuntimeError, match="broken"):
        prepare_clips(samples, name="d", cache=cache, progress=False, workers=2)
    assert len(list(cache.rglob("*.npz"))) == 2
    monkeypatch.setattr(module, "SingleFaceReader", Finder)
    Finder.looks = 0
    assert len(prepare_clips(samples, name="d", cache=cache, progress=False)) == 3
    assert Finder.looks == 1


def test_changed_pictures_are_searched_again_and_a_damaged_file_counts_as_absent(finder, tmp_path: Path) -> None:
    sample = clip(tmp_path / "a", [200, 20])
    prepare_clips([sample], name="d", cache=tmp_path / "cache", progress=False)
    (kept,) = (tmp_path / "cache").rglob("*.npz")
    kept.write_bytes(kept.read_bytes()[:50])
    prepare_clips([sample], name="d", cache=tmp_path / "cache", progress=False)
    assert finder.looks == 4
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a" / "1.png"), noise)
    prepare_clips([sample], name="d", cache=tmp_path / "cache", progress=False)
    assert finder.looks == 6


def test_a_clip_that_cannot_be_read_is_told_and_the_others_go_on(finder, tmp_path: Path, capsys) -> None:
    good, bad = clip(tmp_path / "a", [200]), clip(tmp_path / "b", [200], key="b")
    (tmp_path / "b" / "0.png").write_bytes(b"no picture")
    missing = replace(good, key="c", source=Clip(tmp_path / "none.mp4"))
    found = prepare_clips([bad, good, missing], name="d", cache=tmp_path / "cache")
    assert [len(found[key]) for key in ("a", "b", "c")] == [1, 0, 0]
    said = capsys.readouterr().err
    assert "left out: b:" in said
    assert "left out: c:" in said
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 1


def test_drawn_clips_bring_their_landmarks(finder, tmp_path: Path) -> None:
    sample = samples(3)[2]
    faces = prepare_clips([sample], name="d", cache=tmp_path / "cache", progress=False)[sample.key]
    truth = render_clip(2, 0, [0, 17])[1].landmarks
    np.testing.assert_allclose(faces.landmarks[[0, 17]], truth, atol=1e-3)
    assert finder.looks == 0


def test_pictures_are_refused(tmp_path: Path) -> None:
    sample = Sample(key="p", source=File(tmp_path / "p.png"), split="train")
    with pytest.raises(DatasetError, match="p is a picture, not a clip"):
        prepare_clips([sample], name="d", cache=tmp_path, progress=False)
