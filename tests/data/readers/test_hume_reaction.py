import pytest

from mien.data.readers import read_dataset
from mien.data.readers.hume_reaction import read
from mien.data.splits import DataConfig, make_splits
from mien.data.verify import verify
from mien.schema.errors import DatasetError
from mien.schema.labels import HUME_REACTION
from mien.schema.sample import Clip, FeatureCsv, Recording

HEADER = "File_ID,Adoration,Amusement,Anxiety,Disgust,Empathic-Pain,Fear,Surprise"
FIRST, SECOND = "0.25,1.0,0,0,0.5,0,0.125", "0,0,0,1,0,0.5,1"
LABELS = f"{HEADER}\n[00001],{FIRST}\n[00002],{SECOND}\n"
PARTITION = "Id,Subject,Proposal\n[00001],7,train\n[00002],8,devel\n[00010],9,test\n"


def write(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.fixture
def muse(tmp_path):
    features = {f"feats/DeepSpectrum/{name}.csv": "File_ID,timestamp,a\n" for name in ("00001", "00002", "00010")}
    return write(
        tmp_path,
        {"labels.csv": LABELS, "partition.csv": PARTITION, "feats/FAUs/[00001].csv": "", "raw/[00002].mp4": ""}
        | features,
    )


def strengths(text):
    return tuple(zip(HUME_REACTION.names, map(float, text.split(",")), strict=True))


def test_the_form_of_muse_has_what_is_there_of_each_clip(muse):
    one, two, test = read(muse)
    spectrum = {name: FeatureCsv(muse / f"feats/DeepSpectrum/{name}.csv") for name in ("00001", "00002", "00010")}
    assert [s.key for s in (one, two, test)] == ["00001", "00002", "00010"]
    assert [s.split for s in (one, two, test)] == ["train", "valid", "test"]
    assert one.targets.intensities == strengths(FIRST)
    assert two.targets.intensities == strengths(SECOND)
    assert test.targets.intensities is None
    assert one.features == (("DeepSpectrum", spectrum["00001"]), ("FAUs", FeatureCsv(muse / "feats/FAUs/[00001].csv")))
    assert (one.source, one.sound) == (spectrum["00001"], None)
    video = muse / "raw/[00002].mp4"
    assert (two.source, two.sound) == (Clip(video), Recording(video))
    assert test.source == spectrum["00010"]
    assert one.features[0][1].skip == 2


def test_the_form_of_abaw(tmp_path):
    rows = [
        f"{HEADER},Split",
        f"[1],{FIRST},Train",
        f"[2],{SECOND},Val",
        "[3],,,,,,,,Test",
        "[4],nan,nan,nan,NaN,,,,Test",
    ]
    write(tmp_path, {"data_info.csv": "\n".join(rows), "a/[1].mp4": "", "b/2.mkv": "", "b/2.wav": "", "[3].wav": ""})
    one, two, three = read(tmp_path)
    assert [(s.key, s.split) for s in (one, two, three)] == [("1", "train"), ("2", "valid"), ("3", "test")]
    assert one.targets.intensities == strengths(FIRST)
    assert (two.source, two.sound) == (Clip(tmp_path / "b/2.mkv"), Recording(tmp_path / "b/2.wav"))
    assert three.source == three.voice == Recording(tmp_path / "[3].wav")
    assert three.targets.intensities is None


def test_through_the_table_into_parts(muse):
    with pytest.warns(UserWarning, match="published"):
        samples = read_dataset("hume_reaction", muse)
    splits = make_splits(samples, DataConfig(reader="hume_reaction"))
    assert [item.sample.key for item in (*splits.train, *splits.report, *splits.test)] == ["00001", "00002"]
    assert splits.train[0].distribution.tolist() == [0.25, 1, 0, 0, 0.5, 0, 0.125]
    assert splits.train[0].index == 1
    report = verify("hume_reaction", muse)
    assert report.missing == 0
    assert report.splits["test"].unlabelled == {"no label": 1}
    assert {name for name, n in report.splits["valid"].classes.items() if n} == {"disgust"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels.csv", LABELS.replace("0.125", "1.5"), r"labels\.csv, line 2: a strength is a number .*'1\.5'"),
        ("labels.csv", LABELS.replace("0.125", "x"), r"line 2: a strength is a number .*'x'"),
        ("labels.csv", LABELS.replace("0.125", ""), r"line 2: a strength is a number .*''"),
        ("labels.csv", LABELS.replace("1.0", "0.9"), "line 2: the largest strength of a clip is 1; found 0.9"),
        ("labels.csv", LABELS.replace(",Fear", ",Joy"), "line 1: the header lacks fear; it has: File_ID, Ador"),
        ("labels.csv", LABELS.replace("[00002]", "00001"), "line 3: the clip 00001 was listed before"),
        ("labels.csv", LABELS.replace("[00002]", "[]"), "line 3: the name of the clip is empty"),
        ("labels.csv", LABELS + f"[9],{FIRST}\n", "has 1 clips that are not in .*partition.csv, e.g. 9"),
        ("labels.csv", LABELS.replace(FIRST, "1"), "line 2: 2 fields, but the header names 8"),
        ("partition.csv", PARTITION.replace("devel", "dev"), "line 3: the part is one of train, devel, val, test"),
        ("partition.csv", "Id\n[00001]\n", r"line 2: expected the name of a clip and its part, found '\[00001\]'"),
        ("feats/DeepSpectrum/[00001].csv", "", "has the features of 00001 twice"),
        ("other/00002.mp4", "", "are one clip; remove one of them"),
    ],
)
def test_damage_is_named(muse, name, content, message):
    write(muse, {name: content})
    with pytest.raises(DatasetError, match=message):
        read(muse)


def test_nothing_there_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match=r"Expected: labels\.csv and partition\.csv, or data_info\.csv"):
        read(tmp_path)
    write(tmp_path, {"labels.csv": LABELS, "partition.csv": PARTITION})
    with pytest.raises(DatasetError, match="of any of the 3 clips that its tables list"):
        read(tmp_path)
