from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.data.synthetic_clips import render_clip, samples
from mien.media.clip_source import all_frames, count_frames, read_frames
from mien.schema.errors import MediaError
from mien.schema.sample import Clip, FrameFolder, RenderedClip


@pytest.fixture
def folder(tmp_path: Path) -> FrameFolder:
    paths = tuple(tmp_path / f"{number}.png" for number in range(5))
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((8, 8, 3), 10 * number, np.uint8))
    return FrameFolder(paths)


def test_pictures_of_a_folder(folder: FrameFolder) -> None:
    assert count_frames(folder) == 5
    assert [int(image.mean()) for image in all_frames(folder)] == [0, 10, 20, 30, 40]
    assert [int(image.mean()) for image in read_frames(folder, [3, 1, 3])] == [30, 10, 30]
    with pytest.raises(MediaError, match="has no frame 7"):
        read_frames(folder, [1, 7])


def test_a_folder_without_pictures_has_no_frame(tmp_path: Path) -> None:
    assert count_frames(FrameFolder((tmp_path,))) == 0


def test_a_stretch_of_a_video(film, write_video) -> None:
    path = write_video("a.mp4", [40 * number for number in range(30)])
    assert count_frames(Clip(path)) == 30
    part = Clip(path, start_s=0.4, end_s=0.8)
    numbers = [film.number_of(image) for image in all_frames(part)]
    assert numbers == list(range(10, 20))
    assert [film.number_of(image) for image in read_frames(part, [5, 0])] == [15, 10]


def test_drawn_frames_are_those_that_are_asked_for() -> None:
    source = samples(4)[3].source
    assert isinstance(source, RenderedClip)
    assert count_frames(source) == 48
    found = read_frames(source, [20, 2])
    wanted = render_clip(3, 0, [2, 20])[0]
    np.testing.assert_array_equal(found[0], wanted[1])
    np.testing.assert_array_equal(found[1], wanted[0])
