"""Pictures with boxes in the format of YOLO: a text file for each picture, one sample for each of its lines.

The root is a folder with ``data.yaml`` (or another single ``*.yaml``), or that file. It names the classes (``names``)
and for ``train``, ``val`` and ``test`` a folder of pictures, several, or a text file that lists pictures. The lines for
``images/a.jpg`` are in ``labels/a.txt``: class number, centre x and y, width and height, as shares of the picture.

Of the pictures only the header is read, for their size. The key of a sample is split, picture and number of the line's
face: ``train/a.jpg#0``.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mien.data.readers.text import at, lines, numbers
from mien.schema.errors import DatasetError
from mien.schema.labels import canonical
from mien.schema.sample import Box, File, Sample, Targets

SPLITS: Mapping[str, str] = {"train": "train", "val": "valid", "valid": "valid", "test": "test"}
PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
LAYOUT = "Expected: data.yaml with names and train, and the folders images and labels."

_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
"""The EXIF entry that says how a picture is held, and its values for a quarter turn."""

Value = str | list[str] | dict[str, str]


def read(root: Path) -> list[Sample]:
    """Every box under ``root``, split by split, sorted by picture.

    Raises:
        DatasetError: if the layout is not found, or a file cannot be read (names the file and the line).
    """
    path = _description(root)
    given = _parse(path)
    labels = _names(path, given)
    samples = [
        sample
        for key, split in SPLITS.items()
        if given.get(key)
        for place in _places(path, given, key)
        for sample in _read_split(place, split, labels)
    ]
    if not samples:
        raise DatasetError(f"No box is annotated in {root}. {LAYOUT}")
    return samples


def _description(root: Path) -> Path:
    if root.is_file():
        return root
    found = (
        [root / "data.yaml"] if (root / "data.yaml").is_file() else sorted([*root.glob("*.yaml"), *root.glob("*.yml")])
    )
    if len(found) != 1:
        raise DatasetError(f"{root} has {len(found)} files *.yaml. {LAYOUT} Give the file itself if there are several.")
    return found[0]


def _names(path: Path, given: Mapping[str, Value]) -> list[str]:
    names = given.get("names")
    if isinstance(names, dict):
        wanted = [str(number) for number in range(len(names))]
        if sorted(names) != sorted(wanted):
            raise DatasetError(f"{path}: the classes in names are numbered from 0; found: {', '.join(names)}.")
        names = [names[number] for number in wanted]
    if not isinstance(names, list) or not names:
        raise DatasetError(f"{path} has no names of classes. {LAYOUT}")
    return [canonical(name) for name in names]


def _places(path: Path, given: Mapping[str, Value], key: str) -> list[Path]:
    """The folders or lists of one split; a ``path`` that is not there, as in copies, is the file's own folder."""
    base = path.parent / str(given.get("path") or "")
    bases = [base if base.is_dir() else path.parent, path.parent]
    value = given[key]
    found = []
    for one in [value] if isinstance(value, str) else list(value):
        here = [b / name for b in bases for name in (one, one.removeprefix("../"))]
        place = next((p for p in here if p.exists()), None)
        if place is None:
            raise DatasetError(f"{path}: {key} is {one!r}, but there is no {here[0]}.")
        found.append(place)
    return found


def _read_split(place: Path, split: str, labels: Sequence[str]) -> Iterator[Sample]:
    for name, picture in _pictures(place):
        listed = _label_file(picture)
        if listed is None:
            continue
        size = None
        for face, (line, text) in enumerate(lines(listed)):
            size = size or _size(picture)
            label, box = _fields(listed, line, text.split(), labels, size)
            yield Sample(
                key=f"{split}/{name}#{face}",
                source=File(picture),
                split=split,
                box=box,
                targets=Targets(label=label),
            )


def _pictures(place: Path) -> list[tuple[str, Path]]:
    if place.is_file():
        return [(text.strip(), place.parent / text.strip()) for _, text in lines(place)]
    found = sorted(path for path in place.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
    return [(path.relative_to(place).as_posix(), path) for path in found]


def _label_file(picture: Path) -> Path | None:
    """``labels`` instead of the last ``images`` of the path, else beside the picture; absent where it has no face."""
    parts = list(picture.parts)
    places = [picture.with_suffix(".txt")]
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        places.insert(0, Path(*parts[:last], "labels", *parts[last + 1 :]).with_suffix(".txt"))
    return next((place for place in places if place.is_file()), None)


def _fields(
    path: Path, line: int, fields: Sequence[str], labels: Sequence[str], size: tuple[int, int]
) -> tuple[str, Box]:
    if len(fields) != 5:
        raise at(path, line, f"expected class, centre x, centre y, width, height; found {len(fields)} fields")
    number, x, y, wide, tall = numbers(path, line, fields)
    if number not in range(len(labels)):
        raise at(path, line, f"the class is a number from 0 to {len(labels) - 1}, found {fields[0]}")
    if not (wide > 0 and tall > 0 and 0 <= x <= 1 and 0 <= y <= 1):
        raise at(path, line, f"the box is empty or not given as shares of the picture: {' '.join(fields[1:])}")
    width, height = size
    box = ((x - wide / 2) * width, (y - tall / 2) * height, (x + wide / 2) * width, (y + tall / 2) * height)
    return labels[int(number)], box


def _size(picture: Path) -> tuple[int, int]:
    """Width and height of the picture as it is seen, upright."""
    try:
        with Image.open(picture) as image:
            turned = image.getexif().get(_ORIENTATION) in _TURNED
            return (image.height, image.width) if turned else (image.width, image.height)
    except (OSError, UnidentifiedImageError) as error:
        raise DatasetError(f"The size of {picture} cannot be read: {error}.") from error


def _parse(path: Path) -> dict[str, Value]:
    """The part of YAML in which data sets are described: texts, lists and one level of numbered names.

    Raises:
        DatasetError: naming the line, if it is anything else.
    """
    given, open_key = dict[str, Value](), ""
    for line, raw in lines(path):
        text = _without_comment(raw)
        if not text.strip() or text.strip() == "---":
            continue
        key, colon, value = text.strip().partition(":")
        if text.lstrip().startswith("- ") and open_key:
            items = given[open_key] or []
            given[open_key] = [*items, _plain(text.strip()[2:])] if isinstance(items, list) else items
        elif text[0].isspace() and open_key and colon:
            inside = given[open_key] or {}
            given[open_key] = {**inside, _plain(key): _plain(value)} if isinstance(inside, dict) else inside
        elif colon and not text[0].isspace():
            open_key = "" if value.strip() else key
            given[key] = _flow(value.strip())
        else:
            raise at(path, line, f"expected 'name: value', found {text.strip()[:60]!r}")
    return given


def _flow(text: str) -> Value:
    inside = text[1:-1].split(",")
    if text.startswith("[") and text.endswith("]"):
        return [_plain(item) for item in inside if item.strip()]
    if text.startswith("{") and text.endswith("}"):
        pairs = [item.partition(":") for item in inside if item.strip()]
        return {_plain(key): _plain(value) for key, _, value in pairs}
    return _plain(text)


def _plain(text: str) -> str:
    return text.strip().strip("\"'")


def _without_comment(text: str) -> str:
    """A comment begins with a ``#`` that opens the line or follows a blank."""
    return "" if text.lstrip().startswith("#") else text.partition(" #")[0]
