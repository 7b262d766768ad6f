import pytest

from mien.data.readers import ferv39k
from mien.data.splits import DataConfig, make_splits
from mien.schema.errors import DatasetError
from mien.schema.labels import FERV39K
from mien.schema.sample import FrameFolder

TRAIN = [("Action/Happy/0267", "Happy"), ("Action/Disgust/0001", "Disgust"), ("DailyLife/Sad/0003", "Sad")]
TEST = [("Art/Angry/0267", "Angry"), ("DailyLife/Fear/0009", "Fear")]


def write_frames(root):
    for name, _ in (*TRAIN, *TEST):
        folder = root / "2_ClipsforFaceCrop" / name
        folder.mkdir(parents=True)
        for i in (9, 10, 100):
            (folder / f"{i:04d}.jpg").write_bytes(b"jpg")


def write_setups(root):
    folder = root / "4_setups" / "All_scenes"
    folder.mkdir(parents=True)
    for name, rows in (("train_All.csv", TRAIN), ("test_All.csv", TEST)):
        (folder / name).write_text("".join(f"{path} {label}\n" for path, label in rows))


def write_lists(root, folder=""):
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", TRAIN), ("test", TEST)):
        text = "".join(f"/data/my sets/FERV39K/faces/{path} 3 {FERV39K.index(label)}\n" for path, label in rows)
        (root / folder / f"FERV39K_{name}.txt").write_text(text)


@pytest.mark.parametrize("folder", [None, "", "annotation"])
def test_both_kinds_of_lists(folder, tmp_path):
    write_frames(tmp_path)
    if folder is None:
        write_setups(tmp_path)
    else:
        write_lists(tmp_path, folder)
    samples = ferv39k.read(tmp_path)
    assert [s.key for s in samples] == [name for name, _ in (*TRAIN, *TEST)]
    assert [s.split for s in samples] == ["train"] * 3 + ["test"] * 2
    assert [s.targets.label for s in samples] == ["happiness", "disgust", "sadness", "anger", "fear"]
    assert [s.groups for s in samples] == [("action",), ("action",), ("dailylife",), ("art",), ("dailylife",)]
    clip = tmp_path / "2_ClipsforFaceCrop" / "Action" / "Happy" / "0267"
    assert samples[0].source == FrameFolder(tuple(clip / name for name in ("0009.jpg", "0010.jpg", "0100.jpg")))
    assert not any(s.folds or s.box or s.aligned for s in samples)


def test_scenes_and_their_groups(tmp_path):
    write_frames(tmp_path)
    write_setups(tmp_path)
    table = tmp_path / "scenes.csv"
    table.write_text("scene,group\nAction,StrongInteractive\nart,WeakInteractive\nDailyLife,Daily\n")
    samples = ferv39k.read(tmp_path)
    assert samples[0].groups == ("action", "stronginteractive")
    config = DataConfig(reader="ferv39k", groups=("Daily", "art"), valid_ratio=0)
    splits = make_splits(samples, config)
    assert [x.sample.key for x in splits.train] == ["DailyLife/Sad/0003"]
    assert [x.sample.key for x in splits.test] == ["Art/Angry/0267", "DailyLife/Fear/0009"]
    for text, message in (
        (
            "scene,group\nAction,a\nDailyLife,b\n",
            r"test_All.csv, line 1: the scene of Art/Angry/0267 is not in .*'art,",
        ),
        ("scene,group\nAction,a\nACTION,b\n", r"scenes.csv, line 3: the scene action has a group already, a"),
        ("scene,group\nAction,\n", r"scenes.csv, line 2: the group is empty"),
        ("scene,groups\nAction,a\n", r"scenes.csv, line 1: the header lacks group"),
        ("scene,group\n", r"scenes.csv, line 1: there is no scene"),
    ):
        table.write_text(text)
        with pytest.raises(DatasetError, match=message):
            ferv39k.read(tmp_path)


def test_one_list_is_enough_and_missing_pictures_keep_their_place(tmp_path):
    write_setups(tmp_path)
    (tmp_path / "2_ClipsforFaceCrop").mkdir()
    (tmp_path / "4_setups" / "All_scenes" / "train_All.csv").unlink()
    samples = ferv39k.read(tmp_path)
    assert {s.split for s in samples} == {"test"}
    assert samples[0].source == FrameFolder((tmp_path / "2_ClipsforFaceCrop" / "Art" / "Angry" / "0267",))


@pytest.mark.parametrize("bad", ["Action/Happy/0267", "Action/0267 Happy", "Action/Happy/0267 Joy", "../../../x Happy"])
def test_errors_of_the_setups(bad, tmp_path):
    write_frames(tmp_path)
    write_setups(tmp_path)
    (tmp_path / "4_setups" / "All_scenes" / "test_All.csv").write_text(f"Art/Angry/0267 Angry\n{bad}\n")
    with pytest.raises(DatasetError, match=r"test_All\.csv, line 2: (expected a clip as scene|the label is one of)"):
        ferv39k.read(tmp_path)


def test_numbers_in_another_order_are_noticed(tmp_path):
    write_frames(tmp_path)
    write_lists(tmp_path)
    (tmp_path / "FERV39K_test.txt").write_text("x/Art/Angry/0267 3 0\n")
    with pytest.raises(
        DatasetError, match=r"FERV39K_test\.txt, line 1: .* the label 0, which is happiness; the labels"
    ):
        ferv39k.read(tmp_path)
    (tmp_path / "FERV39K_test.txt").write_text("x/Art/Angry/0267 3 3\nAngry/0267 3 3\n")
    with pytest.raises(DatasetError, match=r"line 2: expected a clip as scene/expression/number"):
        ferv39k.read(tmp_path)


def test_incomplete_layouts(tmp_path):
    with pytest.raises(DatasetError, match=r"No FERV39k lists in .*train_All\.csv and test_All\.csv"):
        ferv39k.read(tmp_path)
    write_setups(tmp_path)
    with pytest.raises(DatasetError, match=r"has lists but not the folder 2_ClipsforFaceCrop"):
        ferv39k.read(tmp_path)
