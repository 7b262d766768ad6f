import pytest

from mien.data.readers import afew
from mien.data.splits import DataConfig, make_splits
from mien.schema.errors import DatasetError
from mien.schema.labels import AFEW, DFEW
from mien.schema.sample import Clip, FrameFolder

FOLDERS = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
FACES = {"Train_AFEW": "AlignedFaces_LBPTOP_Points", "Val_AFEW": "AlignedFaces_LBPTOP_Points_Val"}


def write_videos(root, parts=("Train_AFEW", "Val_AFEW")):
    for p, part in enumerate(parts):
        for i, folder in enumerate(FOLDERS):
            (root / part / folder).mkdir(parents=True)
            (root / part / folder / f"0000{p}{i}.avi").write_bytes(b"avi")
            (root / part / folder / "Thumbs.db").write_bytes(b"x")


def write_faces(root, part, clip):
    folder = root / part / FACES[part] / "Faces" / clip
    folder.mkdir(parents=True)
    for i in (0, 2, 11):
        (folder / f"{clip}-{i:03d}.jpg").write_bytes(b"jpg")
    return folder


def write_lists(root, folder="", *, order=DFEW.names):
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name in ("train", "validation"):
        text = ""
        for i, (expression, label) in enumerate(zip(FOLDERS, AFEW.names, strict=True)):
            clip = root / "AFEW_Face" / name / expression / f"00{i}"
            clip.mkdir(parents=True)
            (clip / "1.jpg").write_bytes(b"jpg")
            text += f"d/AFEW_Face/{name}/{expression}/00{i} 1 {order.index(label)}\n"
        (root / folder / f"AFEW_{name}.txt").write_text(text)


def test_videos(tmp_path):
    write_videos(tmp_path)
    samples = afew.read(tmp_path)
    assert [s.targets.label for s in samples] == list(AFEW.names) * 2
    assert [s.split for s in samples] == ["train"] * 7 + ["valid"] * 7
    assert (samples[0].key, samples[-1].key) == ("train/000000", "valid/000016")
    assert samples[3].source == Clip(tmp_path / "Train_AFEW" / "Happy" / "000003.avi")
    assert not any(s.aligned for s in samples)


def test_aligned_faces_replace_videos_clip_by_clip(tmp_path):
    write_videos(tmp_path)
    train, valid = write_faces(tmp_path, "Train_AFEW", "000003"), write_faces(tmp_path, "Val_AFEW", "000016")
    (tmp_path / "Val_AFEW" / FACES["Val_AFEW"] / "Faces" / "000015").mkdir()
    samples = {s.key: s for s in afew.read(tmp_path)}
    assert len(samples) == 14
    assert samples["train/000003"].source == FrameFolder(
        tuple(train / f"000003-{i}.jpg" for i in ("000", "002", "011"))
    )
    assert samples["valid/000016"].source.paths[0].parent == valid
    assert {key for key, s in samples.items() if s.aligned} == {"train/000003", "valid/000016"}
    assert isinstance(samples["valid/000015"].source, Clip)
    assert samples["valid/000016"].targets.label == "surprise"


@pytest.mark.parametrize("folder", ["", "annotation"])
@pytest.mark.parametrize("order", [DFEW.names, AFEW.names])
def test_lists_are_read_by_name(folder, order, tmp_path):
    write_lists(tmp_path, folder, order=order)
    samples = afew.read(tmp_path)
    assert [s.targets.label for s in samples] == list(AFEW.names) * 2
    assert [s.key for s in samples[:2]] == ["train/000", "train/001"]
    assert samples[7].split == "valid"
    assert samples[7].source == FrameFolder((tmp_path / "AFEW_Face" / "validation" / "Angry" / "000" / "1.jpg",))
    assert all(s.aligned for s in samples)


def test_the_order_of_dfew_for_transfer(tmp_path):
    write_videos(tmp_path)
    splits = make_splits(afew.read(tmp_path), DataConfig(reader="afew", label_set="dfew"))
    assert splits.labels == DFEW
    assert [x.index for x in splits.train] == [3, 5, 6, 0, 2, 1, 4]
    assert len(splits.valid) == 7


def test_errors(tmp_path):
    with pytest.raises(DatasetError, match=r"No AFEW layout in .*Train_AFEW and Val_AFEW"):
        afew.read(tmp_path)
    (tmp_path / "Train_AFEW" / "AlignedFaces_LBPTOP_Points").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"There is no video in .*Train_AFEW"):
        afew.read(tmp_path)
    (tmp_path / "Train_AFEW" / "Joy").mkdir()
    with pytest.raises(DatasetError, match=r"Joy is not an expression of AFEW; the folders are anger, "):
        afew.read(tmp_path)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("d/AFEW_Face/train/Joy/000 1 0", "the label is one of anger, .*; found 'Joy'"),
        ("d/AFEW_Face/validation/Happy/000 1 0", "the part 'validation' is none of this list"),
        ("Happy/000 1 0", "expected a path that ends in part/expression/clip"),
        ("d/AFEW_Face/train/Happy/000 0", "expected 'path frames label'"),
    ],
)
def test_errors_of_lists(bad, message, tmp_path):
    write_lists(tmp_path)
    path = tmp_path / "AFEW_train.txt"
    path.write_text(path.read_text() + bad + "\n")
    with pytest.raises(DatasetError, match=rf"AFEW_train\.txt, line 8: {message}"):
        afew.read(tmp_path)


def test_lists_without_pictures(tmp_path):
    write_lists(tmp_path)
    (tmp_path / "AFEW_Face").rename(tmp_path / "faces")
    with pytest.raises(DatasetError, match="has lists but not the folder AFEW_Face"):
        afew.read(tmp_path)
