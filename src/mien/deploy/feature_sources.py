"""What features are made of: the clips, sounds and pictures of a dataset or of a folder, each with a stable key."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mien.data.readers import READERS, read_dataset
from mien.data.splits import data_fingerprint
from mien.predict.encode import Modality
from mien.predict.sources import Picture, SoundFile, Video, sources
from mien.schema.errors import ConfigError, DatasetError
from mien.schema.sample import Clip, FeatureCsv, FeatureTable, File, Recording, RenderedVoice, Sample
from mien.schema.tables import unknown_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What an encoder reads.

    Attributes:
        described: name of the dataset, and its split, or name of the folder; plain data.
        samples: in a stable order; of clips whose frames are annotated one by one each clip once.
        reader: name of the dataset; ``None`` for a folder.
    """

    described: dict[str, Any]
    samples: Sequence[Sample]
    reader: str | None

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with any key, annotation or size of a file."""
        return data_fingerprint(self.samples)


def find_material(
    given: str,
    modality: Modality,
    *,
    root: Path | None = None,
    split: str | None = None,
    limit: int | None = None,
) -> Material:
    """What a dataset or a folder has for an encoder.

    Args:
        given: name of a dataset, or a folder, a file or a pattern of files.
        modality: what the encoder reads.
        root: of the dataset.
        split: the dataset's own split; ``None`` takes all.
        limit: take only so many, the first ones.

    Raises:
        ConfigError: if ``given`` is neither, or ``root`` or ``split`` is given for a folder.
        DatasetError: if the dataset is not there, or has nothing to read for this encoder.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit is at least 1; given: {limit}")
    if given in READERS:
        found, described = _of_dataset(given, modality, root, split), {"dataset": given, "split": split}
    else:
        if root is not None or split is not None:
            raise ConfigError(f"--data and --split are for datasets; {given!r} is none. `mien data list` names them")
        found, described = _of_folder(given, modality), {"folder": Path(given).expanduser().resolve().name}
    if not found:
        what = "pictures or clips" if modality == "face" else "sound"
        raise DatasetError(f"{given} has no {what} for an encoder of {modality}s")
    return Material(described=described, samples=found[:limit], reader=given if given in READERS else None)


def _of_dataset(name: str, modality: Modality, root: Path | None, split: str | None) -> list[Sample]:
    samples = read_dataset(name, root)
    splits = dict.fromkeys(sample.split for sample in samples)
    if split is not None and split not in splits:
        raise DatasetError(f"{name} has no split {split!r}; it has: {', '.join(splits)}")
    chosen = (sample for sample in samples if split in (None, sample.split) and _can_be_read(sample, modality))
    return list({sample.key: sample for sample in map(_whole, chosen)}.values())


def _can_be_read(sample: Sample, modality: Modality) -> bool:
    if modality == "sound":
        return sample.voice is not None
    return not isinstance(sample.source, Recording | RenderedVoice | FeatureTable | FeatureCsv)


def _whole(sample: Sample) -> Sample:
    """The clip of a frame that is a sample of its own."""
    return sample if sample.frame is None else replace(sample, key=sample.key.partition("#")[0], frame=None)


def _of_folder(given: str, modality: Modality) -> list[Sample]:
    if not Path(given).expanduser().exists() and len(Path(given).parts) == 1 and not set(given) & set("*?["):
        raise ConfigError(f"There is no folder {given!r}. {unknown_name(given, READERS, 'dataset')}")
    found = list(sources(given, sounds=modality == "sound"))
    if problems := [one.problem for one in found if isinstance(one, Picture) and one.problem]:
        raise ConfigError(problems[0])
    kept = [one for one in found if isinstance(one.content, Path) and _is_wanted(one, modality)]
    named = _keys(kept)
    return [_sample(key, one) for key, one in zip(named, kept, strict=True)]


def _is_wanted(one: Picture | Video, modality: Modality) -> bool:
    if modality == "sound":
        return isinstance(one, Video)
    return not isinstance(one, SoundFile)


def _keys(found: Iterable[Picture | Video]) -> list[str]:
    """Paths below the folder without their suffix, or with it where two would be the same."""
    paths = [one.inside or Path(one.name) for one in found]
    bare = [path.with_suffix("").as_posix() for path in paths]
    counts = Counter(bare)
    keys = [path.as_posix() if counts[key] > 1 else key for path, key in zip(paths, bare, strict=True)]
    if repeated := [key for key, n in Counter(keys).items() if n > 1]:
        raise ConfigError(f"Two files have the name {repeated[0]!r}; give the folder above them instead")
    return keys


def _sample(key: str, one: Picture | Video) -> Sample:
    path = one.content
    if isinstance(one, SoundFile):
        return Sample(key=key, source=Recording(path), split="")
    if isinstance(one, Video):
        return Sample(key=key, source=Clip(path), split="", sound=Recording(path))
    return Sample(key=key, source=File(path), split="")
