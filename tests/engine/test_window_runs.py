"""Windows of frames on a small tree of Aff-Wild2: trained, measured frame by frame, averaged, refused."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.data.aff_wild2_writer import read_submission
from mien.data.augment import Augment
from mien.data.frame_windows import FrameWindows
from mien.data.readers import read_dataset
from mien.data.synthetic_clips import render_clip
from mien.engine import fit as module
from mien.engine.calibrate import fit_temperature_and_threshold
from mien.engine.evaluate import evaluate
from mien.engine.fit import fit
from mien.engine.journal import read_journal
from mien.engine.material import counts_in, gather, labels_in
from mien.engine.measure_windows import answer_windows
from mien.engine.optim import Optimizer, Schedule
from mien.engine.submit import submit
from mien.engine.views import views_of
from mien.predict.loading import load
from mien.predict.watch import VideoOptions
from mien.recipes import find
from mien.runtime.bundle import Bundle, find_bundle
from mien.runtime.session import open_session
from mien.schema.errors import ConfigError, DatasetError
from mien.schema.labels import AFF_WILD2
from mien.tasks import task_from_json

TINY = find("frame_ensemble_aff_wild2_tiny")
HEADER = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
VIDEOS: dict[str, tuple[str, Sequence[int]]] = {
    "a": ("Train_Set", range(12)),
    "b_left": ("Train_Set", range(5)),
    "c": ("Validation_Set", (0, 1, 2, 5, 6)),
    "d": ("Validation_Set", ()),
}
"""Part, and which of the twelve labelled frames have a picture; the third is never labelled."""


def aff_wild2(root: Path, *, coloured: bool = False) -> None:
    """A tree of small drawn faces, or of plain pictures whose colour tells the class."""
    for index, (name, (part, numbers)) in enumerate(VIDEOS.items()):
        labels = [-1 if number == 2 else (number + index) % 8 for number in range(12)]
        text = root / "EXPR_Recognition_Challenge" / part / f"{name}.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text("\n".join([HEADER, *map(str, labels)]) + "\n")
        (root / "cropped_aligned" / name).mkdir(parents=True)
        images = render_clip(index, 0, list(numbers))[0]
        if coloured:
            bits = [[255 * ((labels[number] >> bit) & 1) for bit in range(3)] for number in numbers]
            images = np.broadcast_to(np.array(bits, np.uint8).reshape(-1, 1, 1, 3), images.shape)
        for number, image in zip(numbers, images, strict=True):
            path = root / "cropped_aligned" / name / f"{number + 1:05d}.png"
            cv2.imwrite(str(path), cv2.resize(image, (32, 32))[..., ::-1])
    (root / "frame_rates.csv").write_text("video,rate\n*,10\n")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("aff")
    aff_wild2(root)
    return root


@pytest.fixture(scope="module")
def trained(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    fit(
        replace(TINY, train=replace(TINY.train, batch_size=4, ema_decay=0.5)),
        root=tree,
        out=out,
        device="cpu",
        progress=False,
    )
    return out


def test_windows_are_gathered(tree: Path) -> None:
    material = gather(TINY, tree, progress=False)
    train = material.train
    assert isinstance(train, FrameWindows)
    assert len(train) == 4 + 2
    assert material.dropped == {"select: no labelled frame with a picture": 1}
    counts = counts_in(train, 8)
    assert counts.sum() == 11 + 4
    labels = labels_in(train)
    assert len(labels) == len(train)
    for label, row in zip(labels, train.windows.label, strict=True):
        assert label in row
        assert counts[label] == min(counts[one] for one in row if one >= 0)


def test_each_labelled_frame_is_answered_once(tree: Path, trained: Path, tmp_path: Path) -> None:
    bundle = find_bundle(trained)
    assert bundle.task["name"] == "classify_frames"
    assert bundle.provenance["data"] == "Aff-Wild2: 2 videos trained on, 2 selected by"
    record = json.loads((trained / "run.json").read_text())
    assert sum(record["data"]["train_per_class"].values()) == 15
    how = {"root": tree, "crop": "whole", "resamples": 5, "progress": False}
    report = evaluate(bundle, "aff_wild2", out=tmp_path / "one", **how)
    assert report["faces"] == 22
    assert {name: one["frames"] for name, one in report["videos"].items()} == {"c": 11, "d": 11}
    with (tmp_path / "one" / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == [f"{name}#{n:05d}" for name in "cd" for n in range(1, 13) if n != 3]
    chances = {row["key"]: [float(row[f"p_{name}"]) for name in AFF_WILD2.names] for row in rows}
    for number, nearest in ((3, 1), (4, 5), (7, 6), (11, 6)):
        assert chances[f"c#{number + 1:05d}"] == chances[f"c#{nearest + 1:05d}"]
    assert chances["c#00001"] != chances["c#00002"]
    assert len({tuple(values) for key, values in chances.items() if key.startswith("d")}) <= 3, "black windows"
    text = (tmp_path / "one" / "report.md").read_text()
    assert "## Videos" in text
    smooth = evaluate(bundle, "aff_wild2", smooth=99, **how)
    assert smooth["runtime"]["smooth"] == 99
    three = evaluate(bundle, "aff_wild2", others=[trained, trained], out=tmp_path / "three", **how)
    assert three["metrics"]["macro_f1"] == report["metrics"]["macro_f1"]
    with (tmp_path / "three" / "answers.csv").open(newline="") as file:
        for own, row in zip(rows, csv.DictReader(file), strict=True):
            assert own["label"] == row["label"]
            for name in AFF_WILD2.names:
                assert float(row[f"p_{name}"]) == pytest.approx(float(own[f"p_{name}"]), rel=1e-4, abs=1e-6)


def test_the_challenge_is_answered_for_every_frame(tree: Path, trained: Path, tmp_path: Path) -> None:
    how = {"root": tree, "split": "valid", "crop": "whole", "progress": False}
    answers = read_submission(submit(trained, "aff_wild2", tmp_path / "one.txt", **how))
    assert {name: len(labels) for name, labels in answers.items()} == {"c": 12, "d": 12}
    evaluate(trained, "aff_wild2", root=tree, crop="whole", out=tmp_path / "one", resamples=5, progress=False)
    with (tmp_path / "one" / "answers.csv").open(newline="") as file:
        told = {row["key"]: row["label"] for row in csv.DictReader(file) if row["key"].startswith("c#")}
    assert told == {f"c#{n:05d}": label for n, label in enumerate(answers["c"], start=1) if n != 3}
    equal = submit(trained, "aff_wild2", tmp_path / "two.txt", others=[trained], **how)
    assert read_submission(equal) == answers


def test_a_clip_is_read_as_its_frames_are_measured(tree: Path, trained: Path) -> None:
    """Of frames that show the face alone, every one of them: windows, filling and pictures are those of evaluation."""
    bundle = find_bundle(trained)
    (sample,) = (one for one in read_dataset("aff_wild2", tree) if one.key == "c")
    frames = [replace(sample, frame=number, key=f"c#{number}") for number in VIDEOS["c"][1]]
    how: dict[str, Any] = {"dataset": "aff_wild2", "crop": "whole", "progress": False}
    measured = answer_windows(open_session(bundle, "openvino"), bundle.inputs, frames, **how)
    expected = task_from_json(bundle.task, bundle.labels).decode(measured.outputs)
    raw, folder = VideoOptions(smoothing="none"), tree / "cropped_aligned" / "c"
    result = load(trained, finder=None)(str(folder / "%05d.png"), video=raw)
    assert [row.frame for row in result] == list(range(len(frames)))
    assert [row.label for row in result] == list(expected.label)
    assert not np.allclose(expected.probabilities[0], expected.probabilities[-1], atol=1e-5)
    np.testing.assert_allclose([row.probabilities for row in result], expected.probabilities, rtol=1e-5, atol=1e-7)


def test_frames_are_learnt_by_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "export", lambda *given: tmp_path)
    aff_wild2(tmp_path / "tree", coloured=True)
    optimizer, schedule = Optimizer(name="adamw", lr=5e-3), Schedule(name="cosine", warm_up=0.1)
    train = replace(TINY.train, epochs=30, batch_size=2, optimizer=optimizer, schedule=schedule)
    model = replace(TINY.model, backbones=("regnety_016",), drop=0.0)
    run = replace(TINY, model=model, train=train, augment=Augment(), data=replace(TINY.data, valid_splits=("train",)))
    fit(run, root=tmp_path / "tree", out=tmp_path / "run", device="cpu", progress=False)
    last = read_journal(tmp_path / "run" / "journal.csv")[-1]
    assert float(last["select_accuracy"]) > 0.9


def test_a_temperature_is_fitted(tree: Path, trained: Path) -> None:
    bundle = fit_temperature_and_threshold(find_bundle(trained), "aff_wild2", root=tree, crop="whole", progress=False)
    assert bundle.task["name"] == "classify_frames"
    assert "22 frames" in bundle.provenance["calibrated_on"]


def test_frames_are_put_into_windows_as_in_training(tree: Path) -> None:
    """A network that tells brightness: each frame has its own, and those of a window are those of training."""
    seen: list[np.ndarray] = []

    def bright(**arrays: np.ndarray) -> dict[str, np.ndarray]:
        seen.append(arrays["clip"])
        mean = arrays["clip"].mean(axis=(2, 3, 4))
        return {"logits": np.stack([mean * (k + 1) for k in range(8)], axis=2)}

    material = gather(TINY, tree, progress=False)
    (view,), _ = views_of(read_dataset("aff_wild2", tree), TINY.data, "valid", AFF_WILD2)
    session: Any = bright
    found = answer_windows(
        session, TINY.model.inputs(), view.samples, dataset="aff_wild2", crop="whole", progress=False
    )
    clips = np.concatenate(seen)
    own = material.select.__getitems__(range(len(material.select)))
    np.testing.assert_array_equal(clips[:2], own["clip"].numpy())
    expected = own["clip"].numpy().mean(axis=(2, 3, 4))[own["label"].numpy() >= 0]
    rows = [found.rows[f"c#{number + 1:05d}"] for number in (0, 1, 5, 6)]
    np.testing.assert_allclose(found.outputs["logits"][rows, 0], expected)
    assert not clips[2:].any()


def test_what_does_not_fit_is_refused(tree: Path, tiny_bundle: Path) -> None:
    with pytest.raises(ConfigError, match="frames of windows cannot be mixed"):
        replace(TINY, augment=Augment(mixup=0.2))
    faces = find("product_cross_small_synthetic_tiny")
    with pytest.raises(ConfigError, match=r"needs a model that answers each frame of a window, .* reads image"):
        gather(replace(faces, task="classify_frames"), None, progress=False)
    clips = replace(TINY, data=replace(TINY.data, reader="synthetic_clips", limit=7))
    with pytest.raises(DatasetError, match="needs labels of single frames, and 'synthetic_clips' has none for 7 of 7"):
        gather(clips, None, progress=False)


def test_pictures_are_no_frames(trained: Path) -> None:
    bundle: Bundle = find_bundle(trained)
    with pytest.raises(DatasetError, match="answers the frames of videos"):
        evaluate(bundle, "synthetic_clips", data=replace(TINY.data, reader="synthetic_clips", limit=3), progress=False)
