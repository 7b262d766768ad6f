"""CREMA-D: twelve sentences said by 91 actors with one of six expressions (Cao et al. 2014, IEEE TAC).

Files are found at any depth by their names, ``1001_DFA_ANG_XX.wav``: actor, sentence, expression and intensity, as in
the folders ``VideoFlash`` (pictures and sound), ``AudioWAV`` and ``AudioMP3``. Of a clip that is there more than once
the video is taken, else WAV. The key of a sample is its name without the suffix. There is no official split; actors
1001 to 1064 are ``train``, 1065 to 1077 ``valid``, 1078 to 1091 ``test``.
"""

import re
from pathlib import Path

from mien.data.readers.clips import VIDEOS
from mien.data.readers.utterances import heard_files, keep_best, part_of, seen_and_heard
from mien.schema.errors import DatasetError
from mien.schema.labels import CREMA_D
from mien.schema.sample import Sample, Targets

ACTORS = {"train": range(1001, 1065), "valid": range(1065, 1078), "test": range(1078, 1092)}
EXPRESSIONS = dict(zip(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"), CREMA_D.names, strict=True))
INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
"""One file is named with a single X."""

_NAME = re.compile(r"([0-9]{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})")


def read(root: Path) -> list[Sample]:
    """Every clip under ``root``, sorted by key.

    Raises:
        DatasetError: if no clip is found, a name has an unknown code, or a clip occurs twice.
    """
    best = dict[str, tuple[int, Path]]()
    for path, _ in heard_files(root, _NAME):
        suffix = path.suffix.lower()
        keep_best(best, path.stem, 0 if suffix in VIDEOS else 1 if suffix == ".wav" else 2, path)
    if not best:
        raise DatasetError(f"No CREMA-D clip in {root}. Expected: files such as AudioWAV/1001_DFA_ANG_XX.wav.")
    return [_sample(best[key][1]) for key in sorted(best)]


def _sample(path: Path) -> Sample:
    actor, _, expression, intensity = path.stem.split("_")
    if expression not in EXPRESSIONS or intensity not in INTENSITIES:
        raise DatasetError(
            f"{path}: after the sentence come an expression, {', '.join(EXPRESSIONS)}, and an intensity, "
            f"{', '.join(INTENSITIES)}; found {expression}, {intensity}."
        )
    source, sound = seen_and_heard(path)
    return Sample(
        key=path.stem,
        source=source,
        split=part_of(path, int(actor), ACTORS),
        groups=(INTENSITIES[intensity],),
        subject=f"actor {actor}",
        targets=Targets(label=EXPRESSIONS[expression]),
        sound=sound,
    )
