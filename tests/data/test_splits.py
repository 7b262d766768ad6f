import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.data.splits import MIN_HALVED, DataConfig, data_fingerprint, half_of, label_set_of, make_splits
from mien.schema.errors import ConfigError, DatasetError
from mien.schema.sample import Clip, FeatureCsv, File, FrameFolder, Recording, Sample, Targets

CONFIG = DataConfig(reader="none", label_set="basic_7")


def sample(key, split="train", label="neutral", **changes):
    return Sample(key=key, source=File(Path(key)), split=split, targets=Targets(label=label), **changes)


def keys(part):
    return [x.sample.key for x in part]


def many(n, split, labels=("neutral", "fear")):
    return [sample(f"{split}{i}", split, labels[i % len(labels)]) for i in range(n)]


def test_half_is_the_first_bit_of_sha256():
    for i in range(50):
        first = hashlib.sha256(f"fer{i:07d}".encode()).hexdigest()[0]
        assert half_of(f"fer{i:07d}") == ("a" if first in "01234567" else "b")
    assert [half_of(k) for k in ("fer0028638", "fer0028639", "fer0028640")] == ["b", "b", "a"]


def test_halves_cover_validation_and_do_not_overlap():
    splits = make_splits(many(20, "train") + many(300, "valid"), CONFIG)
    a, b = set(keys(splits.select)), set(keys(splits.report))
    assert splits.halved
    assert not a & b
    assert a | b == {f"valid{i}" for i in range(300)} == set(keys(splits.valid))
    assert all(half_of(k) == "a" for k in a)
    assert min(len(a), len(b)) > 120


def test_small_validation_parts_are_not_halved():
    splits = make_splits(many(20, "train") + many(MIN_HALVED - 1, "valid"), CONFIG)
    assert not splits.halved
    assert splits.select == splits.report == splits.valid
    whole = make_splits(many(300, "valid"), replace(CONFIG, halve_valid=False))
    assert len(whole.select) == len(whole.report) == len(whole.valid) == 300


def test_equal_pixels_stay_in_one_half():
    twins = [sample(f"valid{i}", "valid", pixel_hash=str(i // 2)) for i in range(400)]
    splits = make_splits(twins, CONFIG)
    assert not {x.sample.pixel_hash for x in splits.select} & {x.sample.pixel_hash for x in splits.report}
    assert len(splits.select) + len(splits.report) == 400
    # a sample without a twin falls where its key says, with or without a digest
    alone = make_splits([replace(s, pixel_hash=s.key) for s in twins], CONFIG)
    assert keys(alone.select) == keys(make_splits([replace(s, pixel_hash=None) for s in twins], CONFIG).select)


def test_training_loses_repeated_pixels_and_those_of_other_splits():
    samples = [
        sample("first", pixel_hash="p"),
        sample("again", pixel_hash="p"),
        sample("leak", pixel_hash="v"),
        sample("elsewhere", pixel_hash="e", also_in=("test",)),
        sample("unknown_pixels"),
        sample("unknown_too"),
        sample("held", "valid", pixel_hash="v"),
    ]
    splits = make_splits(samples, CONFIG)
    assert keys(splits.train) == ["first", "unknown_pixels", "unknown_too"]
    assert splits.dropped == {"train: same pixels in another split": 2, "train: same pixels as another sample": 1}
    assert len(make_splits(samples, replace(CONFIG, drop_duplicates=False)).train) == 6


def test_the_sample_kept_of_equal_ones_is_one_that_has_a_label():
    samples = [sample("a", label=None, pixel_hash="p"), sample("b", label="fear", pixel_hash="p"), *many(4, "valid")]
    assert keys(make_splits(samples, CONFIG).train) == ["b"]


def test_without_validation_a_share_of_each_class_is_held_back():
    labels = ["neutral"] * 40 + ["fear"] * 8 + ["anger"]
    samples = [sample(f"k{i}", label=label) for i, label in enumerate(labels)]
    splits = make_splits(samples, CONFIG)
    held = Counter(x.sample.targets.label for x in splits.valid)
    assert held == {"neutral": 8, "fear": 2}
    assert not set(keys(splits.valid)) & set(keys(splits.train))
    assert len(splits.train) == 39
    shuffled = make_splits(samples[::-1], CONFIG)
    assert set(keys(shuffled.valid)) == set(keys(splits.valid))
    assert make_splits(samples, replace(CONFIG, valid_ratio=0)).valid == ()


def test_a_person_and_a_picture_are_not_torn_apart():
    people = [sample(f"k{i}", label="neutral" if i % 3 else "fear", subject=f"person{i // 6}") for i in range(120)]
    splits = make_splits(people, CONFIG)
    held, trained = ({x.sample.subject for x in part} for part in (splits.valid, splits.train))
    assert not held & trained
    assert len(held) == 4
    faces = [sample(f"photo{i // 4}.jpg#{i % 4}", label=("neutral", "fear")[i % 2]) for i in range(80)]
    splits = make_splits(faces, CONFIG)
    pictures = [{x.sample.key.split("#")[0] for x in part} for part in (splits.valid, splits.train)]
    assert [len(p) for p in pictures] == [4, 16]


def test_hashes_can_be_handed_in():
    samples = [sample("a"), sample("b"), sample("c"), *many(3, "valid")]
    splits = make_splits(samples, CONFIG, pixel_hashes={"a": "p", "b": "p", "c": "v", "valid0": "v", "valid1": "w"})
    assert keys(splits.train) == ["a"]


def test_test_part_can_serve_as_validation():
    samples = many(10, "train") + many(6, "test")
    splits = make_splits(samples, replace(CONFIG, valid_splits=("test",), halve_valid=False))
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (10, 6, 6)


def test_folds():
    samples = [sample(f"s{i}", folds=(i % 3 + 1,)) for i in range(9)] + [sample("outside", "other")]
    splits = make_splits(samples, replace(CONFIG, fold=2))
    assert keys(splits.valid) == ["s1", "s4", "s7"]
    assert keys(splits.train) == ["s0", "s2", "s3", "s5", "s6", "s8"]
    with pytest.raises(ConfigError, match="no fold 4; it has: 1, 2, 3"):
        make_splits(samples, replace(CONFIG, fold=4))


def test_one_fold_is_enough():
    """Where only one of the official lists was brought, what it trains on is held back in no fold."""
    samples = [sample(f"s{i}", folds=(1,) if i < 2 else ()) for i in range(10)]
    splits = make_splits(samples, replace(CONFIG, fold=1))
    assert (len(splits.train), keys(splits.valid)) == (8, ["s0", "s1"])
    with pytest.raises(ConfigError, match="no fold 2; it has: 1"):
        make_splits(samples, replace(CONFIG, fold=2))
    with pytest.raises(ConfigError, match="it has: no folds"):
        make_splits(many(4, "train"), replace(CONFIG, fold=1))


def test_groups():
    scenes = {"action": "conflict", "art": "calm", "crime": "conflict"}
    samples = [sample(f"{scene}{i}", groups=(scene, group)) for scene, group in scenes.items() for i in range(4)]
    config = replace(CONFIG, valid_ratio=0)
    assert len(make_splits(samples, config).train) == 12
    assert keys(make_splits(samples, replace(config, groups=("Art",))).train) == [f"art{i}" for i in range(4)]
    assert len(make_splits(samples, replace(config, groups=("conflict", "action"))).train) == 8
    with pytest.raises(ConfigError, match="no group war; it has: action, art, calm, conflict, crime"):
        make_splits(samples, replace(config, groups=("war", "art")))
    with pytest.raises(ConfigError, match="it has: no groups"):
        make_splits(many(4, "train"), replace(config, groups=("art",)))


def test_limit_keeps_a_stable_choice_in_order():
    samples = many(50, "train") + many(200, "valid")
    small, large = (make_splits(samples, replace(CONFIG, limit=n)) for n in (5, 20))
    assert [len(p) for p in (small.train, small.select, small.report)] == [5, 5, 5]
    assert set(keys(small.train)) < set(keys(large.train))
    assert keys(large.train) == sorted(keys(large.train), key=lambda k: int(k.removeprefix("train")))


def test_classes():
    samples = [sample("a", label="cross"), sample("b", label="calm")]
    assert label_set_of(samples, DataConfig(reader="folder")).names == ("calm", "cross")
    subset = replace(CONFIG, labels=("fear", "Happy"), valid_ratio=0)
    splits = make_splits(many(10, "train", ("happiness", "fear", "anger")), subset)
    assert splits.labels.names == ("happiness", "fear")
    assert splits.dropped["train: anger is not among the classes"] == 3
    assert {tuple(x.distribution) for x in splits.train} == {(1.0, 0.0), (0.0, 1.0)}
    assert all(x.distribution[x.index] == 1 and x.distribution.dtype == np.float32 for x in splits.train)
    with pytest.raises(ConfigError, match="'joy' is not a label"):
        make_splits(samples, replace(CONFIG, labels=("joy",)))
    with pytest.raises(DatasetError, match="no labels"):
        label_set_of([sample("a", label=None)], DataConfig(reader="folder"))


def test_nothing_left_is_an_error_that_says_why():
    with pytest.raises(DatasetError, match=r"No usable sample .*'train: calm is not among the classes': 3"):
        make_splits([sample(str(i), label="calm") for i in range(3)], replace(CONFIG, valid_ratio=0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_rule": "median"}, "no label rule 'median'"),
        ({"valid_ratio": 1.0}, "valid_ratio"),
        ({"limit": 0}, "limit is at least 1"),
        ({"label_set": "seven"}, "no label set 'seven'"),
    ],
)
def test_config_is_checked(change, message):
    with pytest.raises(ConfigError, match=message):
        DataConfig(reader="none", **change)


def test_fingerprint(tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"1234")
    samples = [*many(5, "train"), replace(sample("a"), source=File(picture))]
    base = data_fingerprint(samples)
    assert len(base) == 12
    assert int(base, 16) >= 0
    assert data_fingerprint(samples[::-1]) == base
    elsewhere = tmp_path / "elsewhere.png"
    elsewhere.write_bytes(b"5678")
    assert data_fingerprint([*samples[:-1], replace(samples[-1], source=File(elsewhere))]) == base
    changed = [
        replace(samples[0], key="other"),
        replace(samples[0], split="valid"),
        replace(samples[0], targets=Targets(label="fear")),
        replace(samples[0], box=(0.0, 0.0, 1.0, 1.0)),
    ]
    prints = {data_fingerprint([change, *samples[1:]]) for change in changed}
    assert len(prints | {base}) == 5
    picture.write_bytes(b"12345")
    assert data_fingerprint(samples) != base


def test_fingerprint_of_clips(tmp_path):
    video = tmp_path / "a.mp4"
    video.write_bytes(b"1234")
    frames = tuple(tmp_path / f"{i}.jpg" for i in range(3))
    sources = [
        FrameFolder(frames),
        FrameFolder(frames[:2]),
        Clip(video),
        Clip(video, 1.0),
        Clip(video, 0.0, 2.0),
        Clip(tmp_path / "none.mp4"),
    ]
    assert len({data_fingerprint([replace(sample("a"), source=source)]) for source in sources}) == 6
    elsewhere = FrameFolder(tuple(Path("elsewhere", path.name) for path in frames))
    moved = [replace(sample("a"), source=source) for source in (sources[0], elsewhere)]
    assert data_fingerprint(moved[:1]) == data_fingerprint(moved[1:])


def pictures(n, split, faces=3):
    labels = ("neutral", "fear", "anger")
    return [sample(f"{split}{i}.jpg#{f}", split, labels[f % 3]) for i in range(n) for f in range(faces)]


def by_picture(part):
    return Counter(key.partition("#")[0] for key in keys(part))


def test_the_faces_of_one_picture_fall_into_one_half_that_of_the_picture():
    splits = make_splits(pictures(4, "train") + pictures(100, "valid"), CONFIG)
    select, report = by_picture(splits.select), by_picture(splits.report)
    assert not select.keys() & report.keys()
    assert set((select + report).values()) == {3}
    assert all(half_of(name) == "a" for name in select)
    assert min(len(select), len(report)) > 30


def test_the_faces_of_one_picture_are_no_duplicates_of_each_other():
    train = [replace(s, pixel_hash=s.key.partition("#")[0]) for s in pictures(3, "train")]
    copies = [replace(s, key=f"copy-{s.key}") for s in train[:3]]
    splits = make_splits(train + copies + pictures(3, "valid"), CONFIG)
    assert by_picture(splits.train) == {"train0.jpg": 3, "train1.jpg": 3, "train2.jpg": 3}
    assert splits.dropped == {"train: same pixels as another sample": 3}


@pytest.mark.parametrize(("limit", "kept"), [(10, 9), (9, 9), (2, 3), (1000, 60)])
def test_limit_keeps_whole_pictures(limit, kept):
    splits = make_splits(pictures(20, "train") + pictures(4, "valid"), replace(CONFIG, limit=limit))
    assert len(splits.train) == kept
    assert set(by_picture(splits.train).values()) == {3}


def test_the_fingerprint_knows_the_voice_that_belongs_to_a_picture(tmp_path):
    heard = tmp_path / "a.wav"
    heard.write_bytes(b"1234")
    mute, spoken = sample("a"), sample("a", sound=Recording(heard))
    prints = {data_fingerprint([mute]), data_fingerprint([spoken])}
    heard.write_bytes(b"12345")
    assert len(prints | {data_fingerprint([spoken])}) == 3
    alone = replace(mute, source=Recording(heard))
    assert data_fingerprint([alone]) != data_fingerprint([replace(alone, source=Recording(heard, 0.5))])


def test_a_sample_with_strengths_has_the_strongest_as_its_class():
    strengths = (("fear", 0.25), ("neutral", 1.0))
    told = [
        Sample(key=f"a{i}", source=FeatureCsv(Path(f"{i}.csv")), split=split, targets=Targets(intensities=known))
        for i, (split, known) in enumerate([("train", strengths), ("valid", strengths[::-1]), ("test", None)])
    ]
    splits = make_splits(told, replace(CONFIG, labels=("neutral", "fear")))
    (one,), (other,) = splits.train, splits.report
    assert (one.index, one.distribution.tolist()) == (0, [1.0, 0.25])
    assert other.distribution.tolist() == one.distribution.tolist()
    assert (splits.test, dict(splits.dropped)) == ((), {"test: no label": 1})


def test_the_fingerprint_knows_the_features(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n")
    plain = sample("a")
    with_features = replace(plain, features=(("face", FeatureCsv(path)),))
    before = data_fingerprint([with_features])
    path.write_text("x\n1\n2\n")
    assert len({data_fingerprint([plain]), before, data_fingerprint([with_features])}) == 3
