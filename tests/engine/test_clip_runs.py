"""Keypoint-Graph on small trees of all four layouts: trained, resumed, measured by folds, predicting."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import mien
from mien.data.synthetic_clips import render_clip
from mien.engine import fit as module
from mien.engine.evaluate import evaluate
from mien.engine.fit import fit
from mien.engine.folds import evaluate_folds
from mien.engine.material import gather
from mien.engine.run import Run
from mien.media.video_writer import VideoWriter
from mien.recipes import find
from mien.runtime.bundle import find_bundle
from mien.schema.errors import ConfigError, DatasetError
from mien.schema.labels import AFEW, DFEW, MAFW_11

FERV39K_FOLDERS = ("Happy", "Sad", "Neutral", "Angry", "Surprise", "Disgust", "Fear")
AFEW_FOLDERS = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))


def frames(folder: Path, index: int) -> None:
    folder.mkdir(parents=True)
    images, _ = render_clip(index, 0, [0, 12, 24, 36])
    for number, image in enumerate(images, start=1):
        cv2.imwrite(str(folder / f"{number}.jpg"), image[..., ::-1])


def dfew(root: Path) -> None:
    clips = {number: number % 7 + 1 for number in range(1, 15)}
    for number in clips:
        frames(root / "Clip" / "clip_224x224" / f"{number:05d}", number)
    for fold in range(1, 6):
        for part in ("train", "test"):
            chosen = [n for n in clips if ((n % 5 + 1) == fold) == (part == "test")]
            path = root / "EmoLabel_DataSplit" / f"{part}(single-labeled)" / f"set_{fold}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(["video_name,label", *(f"{n},{clips[n]}" for n in chosen)]) + "\n")


def ferv39k(root: Path) -> None:
    (root / "4_setups" / "All_scenes").mkdir(parents=True)
    for part, first in (("train", 0), ("test", 1)):
        rows = [f"Action/{name}/{first:04d} {name}" for name in FERV39K_FOLDERS]
        (root / "4_setups" / "All_scenes" / f"{part}_All.csv").write_text("\n".join(rows) + "\n")
        for index, name in enumerate(FERV39K_FOLDERS):
            frames(root / "2_ClipsforFaceCrop" / "Action" / name / f"{first:04d}", index)


def mafw(root: Path) -> None:
    clips = {number: MAFW_11.names[number % 11] for number in range(1, 16)}
    for number in clips:
        frames(root / "data" / "frames" / f"{number:05d}", number)
    for fold in range(1, 6):
        folder = root / "Train & Test Set" / "single" / "no_caption" / f"set_{fold}"
        folder.mkdir(parents=True)
        for part in ("train", "test"):
            chosen = [n for n in clips if ((n % 5 + 1) == fold) == (part == "test")]
            text = "".join(f"{number:05d}.mp4 {clips[number]}\n" for number in chosen)
            (folder / f"{part}.txt").write_text(text, encoding="utf-8")


def afew(root: Path) -> None:
    for name in ("train", "validation"):
        text = ""
        for index, (folder, label) in enumerate(zip(AFEW_FOLDERS, AFEW.names, strict=True)):
            frames(root / "AFEW_Face" / name / folder / f"{index:03d}", index)
            text += f"d/AFEW_Face/{name}/{folder}/{index:03d} 4 {DFEW.index(label)}\n"
        (root / f"AFEW_{name}.txt").write_text(text)


TREES: dict[str, Callable[[Path], None]] = {"dfew": dfew, "ferv39k": ferv39k, "mafw": mafw, "afew": afew}


def tiny(dataset: str) -> Run:
    """The paper's run on a dataset with the network of the tests."""
    run, small = find(f"keypoint_graph_{dataset}"), find("keypoint_graph_synthetic_tiny")
    train = replace(run.train, epochs=2, batch_size=4, workers=0)
    return replace(run, model=small.model, train=train, loss=replace(run.loss, class_counts=()))


@pytest.mark.filterwarnings("ignore::mien.data.readers.DatasetWarning")
@pytest.mark.parametrize("dataset", sorted(TREES))
def test_a_tree_is_trained_resumed_measured_and_predicts(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = tmp_path / "tree", tmp_path / "run"
    TREES[dataset](root)
    looks = iter((module.evaluate,))
    with monkeypatch.context() as patch:
        patch.setattr(module, "evaluate", lambda *given: next(looks)(*given))
        with pytest.raises(StopIteration):
            fit(tiny(dataset), root=root, out=out, progress=False)
    assert len((out / "journal.csv").read_text().splitlines()) == 2
    bundle = fit(tiny(dataset), root=root, out=out, resume=True, progress=False)
    assert json.loads((out / "run.json").read_text())["epochs"] == 2
    assert find_bundle(bundle).inputs.keys() == {"clip", "landmarks"}

    if dataset in ("dfew", "mafw"):
        for fold in range(1, 6):
            shutil.copytree(bundle, tmp_path / f"fold_{fold}")
        found = evaluate_folds(
            str(tmp_path / "fold_{fold}"), dataset, root=root, out=tmp_path / "report", resamples=20, progress=False
        )
        assert found["faces"] == {"dfew": 14, "mafw": 15}[dataset]
        war = [one["metrics"]["accuracy"]["value"] for one in found["folds"].values()]
        assert found["metrics"]["accuracy"]["mean"] == pytest.approx(np.mean(war))
        assert found["metrics"]["accuracy"]["std"] == pytest.approx(np.std(war, ddof=1))
        assert np.sum(found["confusion"]["counts"]) == found["faces"]
        assert "| fold 5 | mean | std |" in (tmp_path / "report" / "report.md").read_text()
        assert (tmp_path / "report" / "confusion.png").stat().st_size > 5000
    else:
        split = "test" if dataset == "ferv39k" else "valid"
        report = evaluate(bundle, dataset, root=root, split=split, resamples=20, progress=False)
        assert report["faces"] == 7
        with pytest.raises(ConfigError, match="no official folds"):
            evaluate_folds(str(tmp_path / "fold_{fold}"), dataset, root=root)

    clip = tmp_path / "clip.mp4"
    write_video(clip)
    predictor = mien.load(bundle, finder=None)
    *windows, whole = predictor(clip)
    assert {row.status for row in (*windows, whole)} <= {"ok", "uncertain"}
    assert whole.end_s > whole.start_s == 0.0


def write_video(path: Path) -> None:
    from fractions import Fraction

    from mien.media.video import VideoInfo

    info = VideoInfo(
        width=128,
        height=128,
        rate=Fraction(25),
        duration_s=None,
        frames=None,
        rotation_deg=0,
        codec="h264",
        has_sound=False,
        time_base=Fraction(1, 1000),
    )
    with VideoWriter(path, info) as writer:
        for number, image in enumerate(render_clip(1, 0, range(0, 24, 2))[0]):
            writer.write(image, number / 25)


def test_eight_clips_are_learnt_by_heart() -> None:
    run = find("keypoint_graph_synthetic_tiny")
    run = replace(run, data=replace(run.data, limit=8), augment=replace(run.augment, flip=0.0))
    material = gather(run, None, progress=False)
    batch = material.train.__getitems__(range(8))
    torch.manual_seed(0)
    network = run.model.build(material.splits.labels).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    loss = run.loss.build(material.splits.labels)
    inputs = {name: batch[name] for name in run.model.inputs()}
    for _ in range(60):
        optimizer.zero_grad()
        loss(network(**inputs), batch)["loss"].backward()
        optimizer.step()
    right = (network(**inputs).logits.argmax(1) == batch["label"]).float().mean()
    assert right > 0.95


def test_pictures_are_no_clips(tmp_path: Path) -> None:
    run = find("keypoint_graph_synthetic_tiny")
    faces = replace(run, data=find("product_cross_small_synthetic_tiny").data)
    with pytest.raises(DatasetError, match="reads clips, but 'synthetic' has pictures"):
        gather(faces, None, progress=False)
