"""RAVDESS: two sentences, spoken and sung by 24 actors with one of eight expressions.

S. Livingstone and F. Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song", PLoS ONE, 2018.

Two layouts are read; the first that is found under the root is taken:

- ``labels.csv`` with the columns ``path`` (relative to it), ``emotion`` and ``actor``, and perhaps ``intensity``;
- the official file names ``03-01-06-01-02-01-12.wav`` at any depth, whatever the kind of sound; likewise the videos of
  the audio-visual edition. The seven numbers are what is recorded (01 picture and sound, 02 picture, 03 sound), speech
  or song, expression, intensity, sentence, repetition and actor.

Of an utterance that is there in several recordings the one with pictures and sound is taken, else the sound. The key of
a sample is its name without the first number (``01-06-01-02-01-12``). There is no official split; actors 1 to 16 are
``train``, 17 to 20 ``valid``, 21 to 24 ``test``.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mien.data.readers.clips import is_number
from mien.data.readers.text import at, csv_records
from mien.data.readers.utterances import heard_files, keep_best, part_of, seen_and_heard
from mien.schema.errors import DatasetError
from mien.schema.labels import RAVDESS
from mien.schema.sample import Sample, Targets

ACTORS = {"train": range(1, 17), "valid": range(17, 21), "test": range(21, 25)}
CHANNELS = {"01": "speech", "02": "song"}
INTENSITIES = {"01": "normal", "02": "strong"}
RANKS = {"01": 0, "03": 1, "02": 2}
"""Which recording of an utterance is preferred."""

_NAME = re.compile(r"([0-9]{2})((?:-[0-9]{2}){6})")


def read(root: Path) -> list[Sample]:
    """Every utterance under ``root``, in the order of ``labels.csv``, or sorted by key.

    Raises:
        DatasetError: if no utterance is found, a name or a line has an unknown code, or an utterance occurs twice.
    """
    if (root / "labels.csv").is_file():
        return list(_read_csv(root / "labels.csv"))
    best = dict[str, tuple[int, Path]]()
    for path, name in heard_files(root, _NAME):
        if name[1] not in RANKS:
            raise DatasetError(f"{path}: the name starts with 01, 02 or 03, what was recorded; found {name[1]}.")
        keep_best(best, name[2][1:], RANKS[name[1]], path)
    if not best:
        raise DatasetError(
            f"No RAVDESS utterance in {root}. Expected: labels.csv, or files such as "
            "Actor_12/03-01-06-01-02-01-12.wav at any depth."
        )
    return [_named(key, best[key][1]) for key in sorted(best)]


def _named(key: str, path: Path) -> Sample:
    channel, emotion, intensity, _, _, actor = key.split("-")
    if channel not in CHANNELS or intensity not in INTENSITIES or not 1 <= int(emotion) <= len(RAVDESS):
        raise DatasetError(
            f"{path}: after what was recorded come {', '.join(CHANNELS)}, an expression from 01 to 0{len(RAVDESS)} and "
            f"an intensity, {', '.join(INTENSITIES)}; found {channel}, {emotion}, {intensity}."
        )
    label = RAVDESS.names[int(emotion) - 1]
    sample = _sample(key, path, label, actor, (CHANNELS[channel], INTENSITIES[intensity]))
    return replace(sample, sound=None) if path.stem.startswith("02") else sample


def _sample(key: str, path: Path, label: str, actor: str, groups: tuple[str, ...]) -> Sample:
    source, sound = seen_and_heard(path)
    return Sample(
        key=key,
        source=source,
        split=part_of(path, int(actor), ACTORS),
        groups=groups,
        subject=f"actor {int(actor):02d}",
        targets=Targets(label=label),
        sound=sound,
    )


def _read_csv(listed: Path) -> Iterator[Sample]:
    for line, row in csv_records(listed, ("path", "emotion", "actor")):
        path = listed.parent / row["path"]
        if row["emotion"] not in RAVDESS:
            raise at(listed, line, f"the emotion is one of {', '.join(RAVDESS.names)}; found {row['emotion'][:40]!r}")
        if not is_number(row["actor"]):
            raise at(listed, line, f"the actor is a number; found {row['actor'][:40]!r}")
        name = _NAME.fullmatch(path.stem)
        label = RAVDESS.names[RAVDESS.index(row["emotion"])]
        if name and (told := _named(name[2][1:], path)).targets.label != label:
            raise at(listed, line, f"{path.name} is named as {told.targets.label}, but labelled {label}")
        intensity = row.get("intensity", "").strip().lower()
        groups = told.groups if name else ((intensity,) if intensity else ())
        yield _sample(name[2][1:] if name else row["path"], path, label, row["actor"], groups)
