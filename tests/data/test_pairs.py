"""Pairs keep persons, actors and pixels of the parts apart, and are always the same ones."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from mien.data import pairs, splits
from mien.data.moment_faces import locate
from mien.data.moments import Moments
from mien.data.readers import ferplus
from mien.data.rules import distribution_of
from mien.data.synthetic_voices import render_voice, write_wav
from mien.recipes import find
from mien.schema.errors import DatasetError
from mien.schema.labels import BASIC_7, RAVDESS
from mien.schema.sample import CsvRow, Recording


@pytest.fixture
def root(tmp_path, ferplus_root):
    """The faces of the tests, and two actors of each part who say everything twice."""
    (tmp_path / "fer2013").symlink_to(ferplus_root)
    for actor in (1, 16, 17, 20, 21):
        for emotion in range(1, 9):
            for repetition in (1, 2):
                path = (
                    tmp_path
                    / "ravdess"
                    / f"Actor_{actor:02d}"
                    / f"03-01-{emotion:02d}-01-01-{repetition:02d}-{actor:02d}.wav"
                )
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"")
    return tmp_path


def test_both_have_the_same_expression_and_the_same_part(root):
    found = pairs.read(root)
    faces = {face.key: face for face in ferplus.read(root / "fer2013")}
    assert {s.split for s in found} == {"train", "valid", "test"}
    for sample in found:
        voice, _, face = sample.key.partition("#")
        assert isinstance(sample.source, CsvRow)
        assert isinstance(sample.sound, Recording)
        assert faces[face].split == sample.split
        shares = distribution_of(faces[face].targets, BASIC_7, "majority")
        assert sample.targets.label == BASIC_7.names[shares.argmax()] == RAVDESS.names[int(voice.split("-")[1]) - 1]
        assert sample.sound.path.stem == f"03-{voice}"
        assert sample.subject == f"actor {voice[-2:]}"
    actors = defaultdict(set)
    for sample in found:
        actors[sample.split].add(sample.subject)
    assert actors == {"train": {"actor 01", "actor 16"}, "valid": {"actor 17", "actor 20"}, "test": {"actor 21"}}


def test_faces_occur_once_and_voices_take_turns(root):
    found = pairs.read(root)
    assert len({s.pixel_hash for s in found}) == len(found)
    train = [s for s in found if s.split == "train"]
    turns = Counter(s.sound for s in train if s.targets.label == "neutral")
    assert max(turns.values()) - min(turns.values()) <= 1
    # of 24 training faces two have no class, and one stands in the validation part as well
    assert len(train) == 21
    assert found == pairs.read(root)


def test_a_voice_is_heard_in_one_half_only(root, monkeypatch):
    monkeypatch.setattr(splits, "MIN_HALVED", 2)
    parts = splits.make_splits(pairs.read(root), splits.DataConfig(reader="audio_visual_pairs"))
    halves = [{item.sample.sound for item in half} for half in (parts.select, parts.report)]
    assert all(halves)
    assert not halves[0] & halves[1]


def test_a_pair_is_seen_and_heard(root):
    run = find("gcsa_av_pairs")
    parts = splits.make_splits(pairs.read(root), run.data)
    items = parts.train[:3]
    for number, item in enumerate(items):
        write_wav(item.sample.sound.path, render_voice(number, 0)[0])
    known = locate([item.sample for item in items], name="pairs", whole=True)
    data = Moments(items, known, run.model.inputs(), parts.labels, augment=run.augment, whole=True)
    batch = data.__getitems__(range(3))
    assert batch["clip"].shape == (3, 1, 3, 64, 64)
    np.testing.assert_array_equal(batch["clip"][:, :, 0], batch["clip"][:, :, 1])
    assert batch["has_face"].tolist() == batch["has_sound"].tolist() == [1.0, 1.0, 1.0]
    assert batch["label"].tolist() == [BASIC_7.index(item.sample.targets.label) for item in items]


def test_no_class_has_more_than_its_number(root, monkeypatch):
    whole = pairs.read(root)
    monkeypatch.setattr(pairs, "MOST", {"train": 2, "valid": 1, "test": 1})
    found = pairs.read(root)
    counts = Counter((s.split, s.targets.label) for s in found)
    assert set(counts.values()) <= {1, 2}
    assert {s.source for s in found} < {s.source for s in whole}


def test_what_is_missing_is_named(root, tmp_path_factory):
    (root / "ravdess").rename(root / "voices")
    with pytest.raises(DatasetError, match="has no RAVDESS; expected it in speech or ravdess"):
        pairs.read(root)
    lonely = root / "speech" / "03-01-02-01-01-01-01.wav"
    lonely.parent.mkdir()
    lonely.write_bytes(b"")
    with pytest.raises(DatasetError, match="no part with both"):
        pairs.read(root)


def test_on_the_real_faces_and_voices(mien_data):
    if not (mien_data / "speech").is_dir() or not (mien_data / "fer2013").is_dir():
        pytest.skip("faces or voices are not there")
    found = pairs.read(mien_data)
    counts = Counter((s.split, s.targets.label) for s in found)
    assert counts["train", "neutral"] == 1000
    assert counts["valid", "happiness"] == 150
    heard = {split: {s.sound for s in found if s.split == split} for split in ("train", "valid")}
    assert not heard["train"] & heard["valid"]
    assert len({s.pixel_hash for s in found}) == len(found)
