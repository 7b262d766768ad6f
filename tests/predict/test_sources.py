from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.predict.sources import SoundFile, sources
from mien.schema.errors import ConfigError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Pictures (empty files do), and things that are none."""
    names = "face10.JPG face2.jpg notes.txt .hidden.png sub/deep/x.webp sub/y.tiff .git/z.png __MACOSX/w.jpg b/1.gif"
    for name in names.split():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(given) -> list[str]:
    return [picture.name for picture in sources(given)]


def test_a_folder_is_every_picture_below_it_in_natural_order(tree: Path) -> None:
    wanted = ["face2.jpg", "face10.JPG", "b/1.gif", "sub/y.tiff", "sub/deep/x.webp"]
    assert names(tree) == names(str(tree)) == [str(tree / name) for name in wanted]
    assert [str(picture.inside) for picture in sources(tree)] == [str(Path(name)) for name in wanted]


def test_a_named_file_is_tried_whatever_its_suffix(tree: Path) -> None:
    (picture,) = sources(tree / "notes.txt")
    assert (picture.content, picture.problem, str(picture.inside)) == (tree / "notes.txt", "", "notes.txt")


def test_patterns_that_the_shell_left_alone_are_expanded(tree: Path) -> None:
    assert names(f"{tree}/*.[jJ][pP][gG]") == [str(tree / "face2.jpg"), str(tree / "face10.JPG")]
    assert str(tree / "sub/deep/x.webp") in names(f"{tree}/**/*.webp")
    assert names(f"{tree}/su*") == [str(tree / "sub/y.tiff"), str(tree / "sub/deep/x.webp")]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    path = tmp_path / "face[1].jpg"
    path.touch()
    assert names(path) == [str(path)]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("absent.jpg", "There is no file 'absent.jpg'"),
        ("absent/*.jpg", "No file matches the pattern"),
        ("https://example.org/a.jpg", "Addresses are not fetched"),
    ],
)
def test_what_is_not_there_becomes_one_picture_with_a_problem(given: str, problem: str) -> None:
    (picture,) = sources(given)
    assert picture.name == given
    assert picture.problem.startswith(problem)


def test_an_empty_folder_is_one_problem(tmp_path: Path) -> None:
    (picture,) = sources(tmp_path)
    assert picture.problem == f"There is no picture or video in the folder {str(tmp_path)!r}."


def test_pixels_get_names_by_their_position(tmp_path: Path) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as opened:
        found = names([image, b"bytes", opened, Image.fromarray(image)])
    assert found == ["array_0", "bytes_1", str(tmp_path / "p.png"), "image_3"]


def test_lists_may_mix_and_be_generators(tree: Path) -> None:
    given = [tree / "face2.jpg", str(tree / "b")]
    assert names(iter(given)) == names(given) == names(tuple(given)) == [str(tree / "face2.jpg"), str(tree / "b/1.gif")]


@pytest.mark.parametrize("given", [3, [None], {"a": 1}])
def test_what_cannot_be_a_picture_is_refused(given) -> None:
    with pytest.raises(ConfigError, match="cannot be read as a picture; give a path"):
        list(sources(given))


def test_sounds_are_read_by_name_and_in_folders_where_somebody_listens(tree: Path) -> None:
    for name in ("voice2.wav", "voice10.MP3"):
        (tree / name).touch()
    assert not [one for one in sources(tree) if isinstance(one, SoundFile)]
    found = [one for one in sources(tree, sounds=True) if isinstance(one, SoundFile)]
    assert [one.name for one in found] == [str(tree / "voice2.wav"), str(tree / "voice10.MP3")]
    assert len(list(sources(tree, sounds=True))) == len(list(sources(tree))) + 2
    assert [type(one) for one in sources(f"{tree}/voice*")] == [SoundFile, SoundFile]
    (tree / "empty").mkdir()
    (nothing,) = sources(tree / "empty", sounds=True)
    assert "picture, video or sound" in nothing.problem
